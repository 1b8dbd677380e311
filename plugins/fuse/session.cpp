// SPDX-License-Identifier: Apache-2.0
#include "session.hpp"

#include <algorithm>
#include <cstring>
#include <fstream>

namespace outport::fuse {

namespace {

constexpr std::uint32_t kDefaultPages = 256;      // the limit of kernels before 6.13
constexpr std::uint32_t kMostTransfer = 1u << 20; // more per request does not go faster, only takes memory
constexpr std::uint16_t kBackground = 64;         // requests that nobody waits for in a system call
constexpr std::uint32_t kOldestMinor = 28;        // FUSE_MAX_PAGES; Linux 4.20

// FUSE_ATOMIC_O_TRUNC: an O_TRUNC is ours to carry out, and we don't, as qemu-storage-daemon does not: an
// image that is opened for writing keeps its size. FUSE_EXPLICIT_INVAL_DATA: pages stay valid until we say
// otherwise.
constexpr std::uint64_t kWanted = FUSE_ASYNC_READ | FUSE_ATOMIC_O_TRUNC | FUSE_BIG_WRITES | FUSE_ASYNC_DIO |
                                  FUSE_MAX_PAGES | FUSE_EXPLICIT_INVAL_DATA | FUSE_INIT_EXT |
                                  FUSE_DIRECT_IO_ALLOW_MMAP;

} // namespace

std::uint32_t read_max_transfer() {
    std::uint32_t pages = kDefaultPages;
    std::ifstream file("/proc/sys/fs/fuse/max_pages_limit");
    if (!(file >> pages) || pages == 0)
        pages = kDefaultPages;
    return std::uint32_t(std::min<std::uint64_t>(std::uint64_t(pages) * kPageSize, kMostTransfer));
}

Fault negotiate(const Request& init, bool want_io_uring, Session& session, fuse_init_out& out) noexcept {
    fuse_init_in in{};
    std::memcpy(&in, init.args.data(), std::min(sizeof in, init.args.size()));
    if (in.major != FUSE_KERNEL_VERSION || in.minor < kOldestMinor)
        return "a version of FUSE that is too old or too new";
    const std::uint64_t offered =
        in.flags | (in.flags & FUSE_INIT_EXT ? std::uint64_t(in.flags2) << 32 : std::uint64_t(0));
    const std::uint64_t flags = offered & (kWanted | (want_io_uring ? FUSE_OVER_IO_URING : 0));
    session.over_io_uring = flags & FUSE_OVER_IO_URING;
    out = {};
    out.major = FUSE_KERNEL_VERSION;
    out.minor = std::min<std::uint32_t>(in.minor, 42); // the newest that kernel.hpp knows the structs of
    out.max_readahead = in.max_readahead;
    out.flags = std::uint32_t(flags);
    out.flags2 = std::uint32_t(flags >> 32);
    out.max_background = kBackground;
    out.congestion_threshold = kBackground * 3 / 4;
    out.max_write = session.max_transfer;
    out.max_pages = std::uint16_t(session.max_transfer / kPageSize);
    out.time_gran = 1;
    return {};
}

} // namespace outport::fuse
