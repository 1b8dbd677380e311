// SPDX-License-Identifier: Apache-2.0
// What is allowed is listed, not what is forbidden: a newer kernel's operations may reach tables that nobody
// here has thought of.
#include "host/loop/uring-policy.hpp"

#include <cstdint>
#include <liburing.h>

namespace outport::loop {
namespace {

// Operations that are newer than the header (include/uapi/linux/io_uring.h, Linux 6.16).
constexpr std::uint8_t kWaitid = 50, kFutexWait = 51, kFutexWake = 52, kFutexWaitv = 53, kFtruncate = 55,
                       kBind = 56, kListen = 57, kEpollWait = 59, kPipe = 62;

constexpr std::uint8_t kAllowedFlags = IOSQE_IO_LINK | IOSQE_IO_HARDLINK | IOSQE_ASYNC;

bool allowed_opcode(std::uint8_t opcode) {
    switch (opcode) {
    case IORING_OP_NOP:
    case IORING_OP_READV:
    case IORING_OP_WRITEV:
    case IORING_OP_FSYNC:
    case IORING_OP_POLL_ADD:
    case IORING_OP_SYNC_FILE_RANGE:
    case IORING_OP_SENDMSG:
    case IORING_OP_RECVMSG:
    case IORING_OP_TIMEOUT:
    case IORING_OP_ACCEPT:
    case IORING_OP_LINK_TIMEOUT:
    case IORING_OP_CONNECT:
    case IORING_OP_FALLOCATE:
    case IORING_OP_OPENAT:
    case IORING_OP_CLOSE:
    case IORING_OP_STATX:
    case IORING_OP_READ:
    case IORING_OP_WRITE:
    case IORING_OP_FADVISE:
    case IORING_OP_MADVISE:
    case IORING_OP_SEND:
    case IORING_OP_RECV:
    case IORING_OP_OPENAT2:
    case IORING_OP_EPOLL_CTL:
    case IORING_OP_SPLICE:
    case IORING_OP_TEE:
    case IORING_OP_SHUTDOWN:
    case IORING_OP_RENAMEAT:
    case IORING_OP_UNLINKAT:
    case IORING_OP_MKDIRAT:
    case IORING_OP_SYMLINKAT:
    case IORING_OP_LINKAT:
    case IORING_OP_FSETXATTR:
    case IORING_OP_SETXATTR:
    case IORING_OP_FGETXATTR:
    case IORING_OP_GETXATTR:
    case IORING_OP_SOCKET:
    case IORING_OP_URING_CMD:
    case IORING_OP_SEND_ZC:
    case IORING_OP_SENDMSG_ZC:
    case kWaitid:
    case kFutexWait:
    case kFutexWake:
    case kFutexWaitv:
    case kFtruncate:
    case kBind:
    case kListen:
    case kEpollWait:
    case kPipe:
        return true;
    default:
        return false;
    }
}

const char* refused_flag(std::uint8_t flags) {
    if (flags & IOSQE_IO_DRAIN)
        return "IOSQE_IO_DRAIN stalls every owner on the ring";
    if (flags & IOSQE_CQE_SKIP_SUCCESS)
        return "IOSQE_CQE_SKIP_SUCCESS: its completion would never come";
    if (flags & IOSQE_FIXED_FILE)
        return "IOSQE_FIXED_FILE: the file table is the host's";
    if (flags & IOSQE_BUFFER_SELECT)
        return "IOSQE_BUFFER_SELECT: buffer groups are the host's";
    return flags & ~kAllowedFlags ? "an unknown IOSQE flag" : nullptr;
}

// Members that, by operation, name a slot of the ring's tables of files and buffers.
const char* refused_table(const io_uring_sqe& sqe) {
    constexpr const char* kFile = "a slot of the ring's file table";
    constexpr const char* kBuffer = "a registered buffer of the ring";
    switch (sqe.opcode) {
    case IORING_OP_ACCEPT:
    case IORING_OP_OPENAT:
    case IORING_OP_OPENAT2:
    case IORING_OP_SOCKET:
    case IORING_OP_CLOSE:
    case kPipe:
        return sqe.file_index ? kFile : nullptr;
    case IORING_OP_SPLICE:
    case IORING_OP_TEE:
        return sqe.splice_flags & SPLICE_F_FD_IN_FIXED ? kFile : nullptr;
    case IORING_OP_SEND:
    case IORING_OP_SENDMSG:
    case IORING_OP_SEND_ZC:
    case IORING_OP_SENDMSG_ZC:
    case IORING_OP_RECV:
    case IORING_OP_RECVMSG:
        return sqe.ioprio & IORING_RECVSEND_FIXED_BUF ? kBuffer : nullptr;
    case IORING_OP_URING_CMD:
        return sqe.rw_flags & 1 ? kBuffer : nullptr; // IORING_URING_CMD_FIXED
    case IORING_OP_NOP:
        return sqe.rw_flags & ~1 ? "an unknown flag of a no-op" : nullptr; // IORING_NOP_FIXED_FILE, …_BUFFER
    default:
        return nullptr;
    }
}

} // namespace

const char* refusal(const io_uring_sqe& sqe) noexcept {
    if (!allowed_opcode(sqe.opcode))
        return "the operation reaches beyond the plugin's own entries, or is not known to this host";
    if (const char* why = refused_flag(sqe.flags))
        return why;
    if (sqe.personality)
        return "a personality";
    return refused_table(sqe);
}

} // namespace outport::loop
