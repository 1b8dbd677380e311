// SPDX-License-Identifier: Apache-2.0
#include "export.hpp"

#include "fuse-types.hpp"
#include "job.hpp"

#include <outport/cpp/block.hpp>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace outport::fuse {

using sdk::cat;

// What the first job of a start gives.
struct Export::Mounting {
    MountOptions options;
    std::string record_folder;
    std::size_t devices = 0;
    Mounted mounted;
    Record record;
    std::uint32_t max_transfer = 0, queues = 0;
    std::vector<int> clones;

    ~Mounting() {
        for (const int fd : clones)
            ::close(fd);
    }
    void run(const sdk::Log& log);
    void clone_devices();
};

// [pool]
void Export::Mounting::run(const sdk::Log& log) {
    const Mountpoint point = find_mountpoint(options.path);
    max_transfer = options.max_read = read_max_transfer();
    queues = count_queues();
    record = Record::create(record_folder, {point.path, 0});
    mounted = mount_over(point, options, log);
    try {
        record.set({mounted.path, mounted.id});
        clone_devices();
    } catch (...) {
        ::close(mounted.device); // the kernel's side of the mount ends with it
        unmount(mounted, log);
        if (mounted.mount_fd >= 0)
            ::close(mounted.mount_fd);
        throw;
    }
}

void Export::Mounting::clone_devices() {
    while (clones.size() + 1 < devices) {
        const int fd = ::open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK);
        if (fd >= 0)
            clones.push_back(fd);
        std::uint32_t source = std::uint32_t(mounted.device);
        if (fd < 0 || ::ioctl(fd, FUSE_DEV_IOC_CLONE, &source) < 0)
            throw sdk::Failure{OUTPORT_FAILED, cat("Failed to set up FUSE session: ", std::strerror(errno))};
    }
}

namespace {

AllowOther allow_other(schema::FuseExportAllowOther word) {
    switch (word) {
    case schema::FuseExportAllowOther::off:
        return AllowOther::Off;
    case schema::FuseExportAllowOther::on:
        return AllowOther::On;
    case schema::FuseExportAllowOther::auto_:
        break;
    }
    return AllowOther::Auto;
}

IoUring io_uring(const std::optional<schema::FuseExportIoUring>& option) {
    const bool* const enabled = option ? std::get_if<bool>(&option->value) : nullptr;
    return !enabled ? IoUring::Auto : *enabled ? IoUring::On : IoUring::Off;
}

schema::BlockExportOptionsFuse read_options(const Services& services, const outport_export_args& args) {
    schema::BlockExportOptionsFuse options;
    if (!schema::read(services.values, args.options, options))
        throw sdk::Failure{OUTPORT_INVALID, "these are no options of an export of type 'fuse'"};
    return options;
}

FileOptions file_options(const Services& services, const outport_export_args& args, bool growable) {
    FileOptions file;
    file.writable = args.flags & OUTPORT_EXPORT_WRITABLE;
    file.growable = growable;
    file.uid = ::geteuid();
    file.gid = ::getegid();
    file.block_size =
        std::clamp(sdk::block_info(services.block, args.handle).request_alignment, 512u, kPageSize);
    return file;
}

} // namespace

Export::Export(const Services& services, Registry& registry, const outport_export_args& args)
    : Export(services, registry, args, read_options(services, args)) {}

Export::Export(const Services& services, Registry& registry, const outport_export_args& args,
               const schema::BlockExportOptionsFuse& options)
    : services_(services), registry_(registry), args_(args),
      mount_options_{options.mountpoint, allow_other(options.allow_other), 0},
      io_uring_(io_uring(options.io_uring)), place_(registry, options.mountpoint),
      file_(file_options(services, args, options.growable)) {}

Export::~Export() = default;

void Export::job(const char* verb, std::move_only_function<void()> work,
                 std::move_only_function<void(const sdk::Failure*)> done) {
    ++jobs_;
    Job::run(services_, cat(verb, " of '", mount_options_.path, "'"), std::move(work),
             [this, done = std::move(done)](const sdk::Failure* failure) mutable {
                 --jobs_;
                 done(failure);
             });
}

// --- The start.

void Export::start(outport_done* done) {
    starting_ = done;
    state_ = State::Mounting;
    auto made = std::make_shared<Mounting>();
    made->options = mount_options_;
    made->record_folder = registry_.record_folder;
    made->devices = args_.loop_count;
    job(
        "mount", [made, &log = services_.log] { made->run(log); },
        [this, made](const sdk::Failure* failure) { mounted(*made, failure); });
}

void Export::mounted(Mounting& made, const sdk::Failure* failure) {
    if (failure)
        return fail_start(*failure);
    mounted_ = made.mounted;
    record_ = std::move(made.record);
    file_.set_allow_other(mounted_.allow_other);
    session_.max_transfer = made.max_transfer;
    // Entries come back when the connection is ended, which takes a mount made by ourselves.
    if (io_uring_ != IoUring::Off && mounted_.connection != 0 &&
        RingTransport::possible(services_, args_.loops[0]))
        queues_ = made.queues;
    state_ = State::Initialising;
    try {
        make_shards(made);
    } catch (const std::bad_alloc&) {
        return fail_start({OUTPORT_NO_MEMORY, "No memory for the requests of a FUSE export"});
    }
    if (hard_)
        return leave();
    shards_[0]->post_start();
}

void Export::make_shards(Mounting& made) {
    made.clones.insert(made.clones.begin(), mounted_.device);
    const std::uint32_t request_size = sdk::block_info(services_.block, args_.handle).request_size;
    shards_.reserve(args_.loop_count);
    for (std::uint64_t i = 0; i < args_.loop_count; ++i) {
        const int fd = std::exchange(made.clones[i], -1); // the shard's from here on
        shards_.push_back(std::make_unique<Shard>(services_, *this, args_.handle, args_.loops[i], file_,
                                                  i == 0, fd, request_size));
        if (!shards_.back()->allocate(session_.max_transfer))
            throw std::bad_alloc();
    }
}

Fault Export::negotiate(const Request& init, fuse_init_out& out) noexcept {
    return fuse::negotiate(init, queues_ > 0, session_, out);
}

// The shards stay as they are until the last of them, so also `from`, has closed.
void Export::interrupt_elsewhere(const Shard& from, std::uint64_t unique) noexcept {
    for (auto& shard : shards_)
        if (shard.get() != &from)
            shard->post_interrupt(unique);
}

void Export::initialised() {
    if (state_ != State::Initialising)
        return;
    for (std::size_t i = 1; i < shards_.size(); ++i)
        shards_[i]->post_start();
    if (io_uring_ == IoUring::On && !session_.over_io_uring)
        return ring_refused();
    if (session_.over_io_uring)
        start_rings();
    if (state_ == State::Initialising)
        look_once();
}

void Export::start_rings() {
    const auto step = std::uint32_t(shards_.size());
    for (std::uint32_t i = 0; i < step; ++i)
        if (!shards_[i]->allocate_ring(session_.max_transfer, queues_, i, step))
            return fail_start({OUTPORT_NO_MEMORY, "No memory for the requests of a FUSE export"});
    for (auto& shard : shards_)
        shard->post_start_ring();
}

// The kernel goes on by the device; that is as well unless it was asked for.
void Export::ring_refused() {
    if (state_ == State::Initialising && io_uring_ == IoUring::On)
        fail_start({OUTPORT_UNSUPPORTED, "FUSE over io_uring is not available here",
                    "It needs Linux 6.14, the module parameter fuse.enable_uring, and root"});
}

void Export::look_once() {
    job(
        "first look", [mounted = mounted_] { first_look(mounted); },
        [this](const sdk::Failure* failure) { looked(failure); });
}

void Export::looked(const sdk::Failure* failure) {
    if (state_ != State::Initialising)
        return finish();
    if (failure)
        return fail_start(*failure);
    state_ = State::Running;
    drop_mount_fd();
    services_.log.debug("fuse: '", mounted_.path, "' is served by ",
                        session_.over_io_uring ? "io_uring" : "/dev/fuse");
    outport_done* const done = std::exchange(starting_, nullptr);
    done->complete(done, OUTPORT_OK);
}

void Export::fail_start(const sdk::Failure& failure) {
    if (!failure_)
        failure_ = std::make_unique<sdk::Failure>(failure);
    if (state_ == State::Mounting)
        return finish(); // nothing is there
    hard_ = true;
    leave();
}

// --- The end.

void Export::stop(std::uint32_t mode, outport_done* done) {
    stopping_.push_back(done);
    if (mode == OUTPORT_STOP_SOFT)
        for (auto& shard : shards_)
            shard->post_refuse();
    if (mode == OUTPORT_STOP_HARD || mode == OUTPORT_STOP_SAFE) // as in QEMU, an open file is no client
        hard_ = true;
    if (state_ != State::Mounting) // which sees hard_ when it is over
        leave();
}

// Takes the mount down, and with hard_ cuts what is under way.
void Export::leave() {
    if (hard_ && session_.over_io_uring)
        abort();
    if (hard_)
        cut();
    else
        state_ = State::Leaving;
    if (std::exchange(unmounting_, true))
        return finish();
    auto gone = std::make_shared<bool>(false);
    job(
        "unmount", [mounted = mounted_, gone, &log = services_.log] { *gone = unmount(mounted, log); },
        [this, gone](const sdk::Failure* failure) { unmounted(*gone, failure); });
}

void Export::abort() {
    if (std::exchange(aborting_, true))
        return;
    job(
        "end of the connection", [connection = mounted_.connection] { abort_connection(connection); },
        [this](const sdk::Failure* failure) {
            if (failure)
                services_.log.error("fuse: ", failure->message);
            finish();
        });
}

void Export::unmounted(bool gone, const sdk::Failure* failure) {
    if (failure)
        services_.log.warning("fuse: ", failure->message);
    if (gone)
        record_.remove();
    else
        record_.leave();
    services_.log.debug("fuse: '", mounted_.path, "' is unmounted");
    finish();
}

// It keeps the mount busy for umount(8), and alive without a name.
void Export::drop_mount_fd() {
    if (mounted_.mount_fd >= 0)
        ::close(std::exchange(mounted_.mount_fd, -1));
}

void Export::cut() {
    if (state_ == State::Cutting)
        return;
    state_ = State::Cutting;
    open_shards_ = shards_.size();
    for (auto& shard : shards_)
        shard->post_cut();
}

void Export::shard_ended(int error, Fault fault) {
    const std::string reason = !fault.empty() ? cat("the kernel sent ", fault)
                               : error == ENODEV
                                   ? std::string("it was unmounted")
                                   : cat("reading from /dev/fuse failed: ", std::strerror(error));
    if (state_ == State::Initialising)
        return fail_start({OUTPORT_FAILED, cat("Failed to set up FUSE session: ", reason)});
    if (state_ == State::Running)
        return services_.exports->ended(args_.handle, reason.data(), reason.size());
    if (state_ == State::Leaving) { // the last open file of a hidden export was closed
        hard_ = true;
        leave();
    }
}

void Export::shard_closed() {
    if (--open_shards_ > 0)
        return;
    // The last descriptors of the device: what waits for it in the kernel fails, the unmount's own requests
    // too.
    shards_.clear();
    finish();
}

// Answers everybody when nothing is left.
void Export::finish() {
    if (jobs_ == 0)
        drop_mount_fd(); // which a job may have used
    if (jobs_ > 0 || !shards_.empty() || (state_ != State::Mounting && state_ != State::Cutting))
        return;
    state_ = State::Stopped;
    if (outport_done* const done = std::exchange(starting_, nullptr)) {
        const sdk::Failure removed{OUTPORT_CANCELLED, "The export was removed while it was being made"};
        const sdk::Failure& failure = failure_ ? *failure_ : removed;
        sdk::set_error(services_.host, done->error, failure.message, failure.hint);
        done->complete(done, failure.status);
    }
    for (outport_done* const done : std::exchange(stopping_, {}))
        done->complete(done, OUTPORT_OK);
}

} // namespace outport::fuse
