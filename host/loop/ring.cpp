// SPDX-License-Identifier: Apache-2.0
#include "host/loop/ring.hpp"

#include "host/base/text.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <sys/resource.h>

namespace outport::loop {
namespace {

constexpr const char* kWhat = "Could not create an io_uring";

// kernel.io_uring_disabled: 0, 1 or 2; -1 where there is none (before Linux 6.6).
int read_disabled_sysctl() {
    int value = -1;
    if (std::FILE* file = std::fopen("/proc/sys/kernel/io_uring_disabled", "re")) {
        if (std::fscanf(file, "%d", &value) != 1)
            value = -1;
        std::fclose(file);
    }
    return value;
}

Error explain_forbidden(int number) {
    int disabled = read_disabled_sysctl();
    if (disabled == 1 || disabled == 2) {
        return Error::from_errno(number, kWhat)
            .with_hint(disabled == 2 ? "the sysctl kernel.io_uring_disabled is 2, which forbids io_uring to "
                                       "everyone; set it to 0"
                                     : "the sysctl kernel.io_uring_disabled is 1; set it to 0, or add the "
                                       "process to the group "
                                       "named by kernel.io_uring_group, or give it CAP_SYS_ADMIN");
    }
    return Error::from_errno(number, kWhat)
        .with_hint(
            "a seccomp filter or a security module forbids io_uring_setup; container runtimes do by default");
}

Error explain_memory(int number) {
    rlimit limit{};
    getrlimit(RLIMIT_MEMLOCK, &limit);
    return Error::from_errno(number, kWhat)
        .with_hint(cat("memory is short, or the limit on locked memory is too small (RLIMIT_MEMLOCK, now ",
                       static_cast<std::uint64_t>(limit.rlim_cur), " bytes)"));
}

constexpr std::uint32_t kNeededFeatures =
    IORING_FEAT_NODROP | IORING_FEAT_SUBMIT_STABLE | IORING_FEAT_RW_CUR_POS | IORING_FEAT_FAST_POLL |
    IORING_FEAT_POLL_32BITS | IORING_FEAT_EXT_ARG | IORING_FEAT_NATIVE_WORKERS | IORING_FEAT_CQE_SKIP;

constexpr std::uint8_t kNeededOpcodes[] = {
    IORING_OP_NOP,      IORING_OP_READV,    IORING_OP_WRITEV,       IORING_OP_READ,      IORING_OP_WRITE,
    IORING_OP_FSYNC,    IORING_OP_POLL_ADD, IORING_OP_SENDMSG,      IORING_OP_RECVMSG,   IORING_OP_SEND,
    IORING_OP_RECV,     IORING_OP_ACCEPT,   IORING_OP_ASYNC_CANCEL, IORING_OP_FALLOCATE, IORING_OP_CONNECT,
    IORING_OP_SHUTDOWN, IORING_OP_CLOSE};

} // namespace

Error explain_setup_failure(int number) {
    switch (number) {
    case ENOSYS:
        return Error::from_errno(number, kWhat)
            .with_hint(
                "this kernel was built without io_uring, or a seccomp filter hides it; Linux 6.1 or later is "
                "needed, with CONFIG_IO_URING");
    case EPERM:
    case EACCES:
        return explain_forbidden(number);
    case ENOMEM:
        return explain_memory(number);
    case EMFILE:
        return Error::from_errno(number, kWhat).with_hint("raise the limit on open files (RLIMIT_NOFILE)");
    case ENFILE:
        return Error::from_errno(number, kWhat).with_hint("raise the sysctl fs.file-max");
    case EINVAL:
        return Error::from_errno(number, kWhat)
            .with_hint("this kernel's io_uring is too old; Linux 6.1 or later is needed");
    default:
        return Error::from_errno(number, kWhat);
    }
}

Ring::~Ring() {
    if (open_)
        io_uring_queue_exit(&ring_);
}

Result<> Ring::open(const RingOptions& options) {
    io_uring_params params{};
    // SUBMIT_ALL: one bad entry must not hold up the entries of others behind it. TASKRUN_FLAG: lets the loop
    // poll for completions without a system call. CLAMP: a kernel with smaller limits is good enough.
    params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG |
                   IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
    if (options.wide_entries)
        params.flags |= IORING_SETUP_SQE128;
    params.cq_entries = options.cq_entries;
    int rc = io_uring_queue_init_params(options.entries, &ring_, &params);
    if (rc < 0)
        return fail(explain_setup_failure(-rc));
    open_ = true;
    if ((params.features & kNeededFeatures) != kNeededFeatures)
        return fail("This kernel's io_uring lacks what outportd needs", "Linux 6.1 or later is needed");
    // Saves looking up the descriptor at each system call; all works without.
    io_uring_register_ring_fd(&ring_);
    setup_flags_ = params.flags;
    features_ = params.features;
    entries_ = params.sq_entries;
    mask_ = entries_ - 1;
    entry_size_ = options.wide_entries ? 128 : 64;
    tail_ = *ring_.sq.ktail;
    for (std::uint32_t i = 0; i < entries_; ++i)
        ring_.sq.array[i] = i;
    return probe();
}

Result<> Ring::probe() {
    io_uring_probe* probe = io_uring_get_probe_ring(&ring_);
    if (!probe)
        return fail("Could not ask the kernel which io_uring operations it knows");
    for (unsigned op = 0; op < 256 && op <= probe->last_op; ++op) {
        if (io_uring_opcode_supported(probe, static_cast<int>(op)))
            opcodes_[op / 64] |= std::uint64_t{1} << (op % 64);
    }
    io_uring_free_probe(probe);
    for (std::uint8_t op : kNeededOpcodes) {
        if (!knows(op))
            return fail(cat("This kernel's io_uring lacks operation ", static_cast<int>(op)),
                        "Linux 6.1 or later is needed, and no io_uring restrictions on the process");
    }
    return {};
}

std::uint32_t Ring::unsubmitted() const noexcept {
    return tail_ - __atomic_load_n(ring_.sq.khead, __ATOMIC_ACQUIRE);
}

std::uint32_t Ring::room() const noexcept {
    return entries_ - unsubmitted();
}

io_uring_sqe* Ring::take() noexcept {
    if (unsubmitted() == entries_)
        return nullptr;
    char* base = reinterpret_cast<char*>(ring_.sq.sqes);
    void* entry = base + static_cast<std::size_t>(tail_ & mask_) * entry_size_;
    std::memset(entry, 0, entry_size_);
    ++tail_;
    return static_cast<io_uring_sqe*>(entry);
}

bool Ring::has_completions() const noexcept {
    return *ring_.cq.khead != __atomic_load_n(ring_.cq.ktail, __ATOMIC_ACQUIRE);
}

bool Ring::needs_enter() const noexcept {
    return __atomic_load_n(ring_.sq.kflags, __ATOMIC_RELAXED) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW);
}

std::uint32_t Ring::reap(std::span<Reaped> out) noexcept {
    std::uint32_t head = *ring_.cq.khead;
    std::uint32_t available = __atomic_load_n(ring_.cq.ktail, __ATOMIC_ACQUIRE) - head;
    std::uint32_t count = available < out.size() ? available : static_cast<std::uint32_t>(out.size());
    for (std::uint32_t i = 0; i < count; ++i) {
        const io_uring_cqe& cqe = ring_.cq.cqes[(head + i) & ring_.cq.ring_mask];
        out[i] = {cqe.user_data, cqe.res, cqe.flags};
    }
    __atomic_store_n(ring_.cq.khead, head + count, __ATOMIC_RELEASE);
    return count;
}

int Ring::enter(std::uint32_t min_complete, std::uint64_t timeout_ns, bool get_events,
                std::uint32_t gather_us) noexcept {
    __atomic_store_n(ring_.sq.ktail, tail_, __ATOMIC_RELEASE);
    unsigned flags = get_events ? IORING_ENTER_GETEVENTS : 0;
    if (ring_.enter_ring_fd != ring_.ring_fd)
        flags |= IORING_ENTER_REGISTERED_RING;
    auto fd = static_cast<unsigned>(ring_.enter_ring_fd);
    if (!min_complete || (timeout_ns == UINT64_MAX && !gather_us))
        return io_uring_enter2(fd, unsubmitted(), min_complete, flags, nullptr, 0);
    __kernel_timespec ts{static_cast<std::int64_t>(timeout_ns / 1'000'000'000),
                         static_cast<long long>(timeout_ns % 1'000'000'000)};
    io_uring_getevents_arg arg{};
    if (timeout_ns != UINT64_MAX)
        arg.ts = reinterpret_cast<std::uint64_t>(&ts);
    arg.pad = gather_us; // named min_wait_usec since Linux 6.12
    return io_uring_enter2(fd, unsubmitted(), min_complete, flags | IORING_ENTER_EXT_ARG,
                           reinterpret_cast<sigset_t*>(&arg), sizeof arg);
}

} // namespace outport::loop
