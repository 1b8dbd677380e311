// SPDX-License-Identifier: Apache-2.0
#include "request.hpp"

#include <cstdint>

namespace outport::fuse {

std::size_t argument_size(std::uint32_t op) noexcept {
    switch (op) {
    case FUSE_INIT:
        return 16; // as of 7.1; fuse_init_in has grown since, see negotiate()
    case FUSE_GETATTR:
        return sizeof(fuse_getattr_in);
    case FUSE_SETATTR:
        return sizeof(fuse_setattr_in);
    case FUSE_OPEN:
        return sizeof(fuse_open_in);
    case FUSE_READ:
        return sizeof(fuse_read_in);
    case FUSE_WRITE:
        return sizeof(fuse_write_in);
    case FUSE_RELEASE:
        return sizeof(fuse_release_in);
    case FUSE_FSYNC:
        return sizeof(fuse_fsync_in);
    case FUSE_FLUSH:
        return sizeof(fuse_flush_in);
    case FUSE_INTERRUPT:
        return sizeof(fuse_interrupt_in);
    case FUSE_FALLOCATE:
        return sizeof(fuse_fallocate_in);
    case FUSE_LSEEK:
        return sizeof(fuse_lseek_in);
    default:
        return 0;
    }
}

namespace {

bool has_range(std::uint64_t offset, std::uint64_t length) noexcept {
    return offset <= INT64_MAX && length <= INT64_MAX - offset;
}

Fault check_argument(const Request& request) noexcept {
    switch (request.op()) {
    case FUSE_READ:
        return has_range(request.arg<fuse_read_in>().offset, request.arg<fuse_read_in>().size)
                   ? Fault()
                   : Fault("a READ whose range is none");
    case FUSE_WRITE:
#ifdef OUTPORT_PLANTED_BUG // for tests/fuzz to find
        if (request.arg<fuse_write_in>().size == 0x4242)
            break;
#endif
        if (request.arg<fuse_write_in>().size != request.data.size())
            return "a WRITE whose size is not that of its data";
        return has_range(request.arg<fuse_write_in>().offset, request.arg<fuse_write_in>().size)
                   ? Fault()
                   : Fault("a WRITE whose range is none");
    default:
        break;
    }
    return {};
}

} // namespace

Fault parse(const fuse_in_header& header, std::span<const std::byte> args, std::span<std::byte> data,
            Request& request) noexcept {
    request = Request{header, args, data};
    if (header.len != sizeof header + args.size() + data.size())
        return "a length that is not what has arrived";
    if (header.opcode == 0)
        return "no operation";
    if (args.size() < argument_size(header.opcode))
        return "an argument that is cut off";
    return check_argument(request);
}

} // namespace outport::fuse
