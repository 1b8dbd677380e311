// SPDX-License-Identifier: Apache-2.0
// The portable operations of a loop: each fills in one entry.
#include "host/loop/loop.hpp"

#include <sys/socket.h>

namespace outport::loop {

void Loop::read(Completion& c, int fd, void* data, std::uint32_t length, std::uint64_t offset) {
    io_uring_prep_read(entry(c), fd, data, length, offset);
}

void Loop::write(Completion& c, int fd, const void* data, std::uint32_t length, std::uint64_t offset) {
    io_uring_prep_write(entry(c), fd, data, length, offset);
}

void Loop::readv(Completion& c, int fd, const iovec* iov, std::uint32_t count, std::uint64_t offset,
                 int rw_flags) {
    io_uring_prep_readv2(entry(c), fd, iov, count, offset, rw_flags);
}

void Loop::writev(Completion& c, int fd, const iovec* iov, std::uint32_t count, std::uint64_t offset,
                  int rw_flags) {
    io_uring_prep_writev2(entry(c), fd, iov, count, offset, rw_flags);
}

void Loop::fsync(Completion& c, int fd, bool data_only) {
    io_uring_prep_fsync(entry(c), fd, data_only ? IORING_FSYNC_DATASYNC : 0);
}

void Loop::fallocate(Completion& c, int fd, int mode, std::uint64_t offset, std::uint64_t length) {
    io_uring_prep_fallocate(entry(c), fd, mode, static_cast<off_t>(offset), static_cast<off_t>(length));
}

void Loop::recv(Completion& c, int fd, void* data, std::uint32_t length, int flags) {
    io_uring_prep_recv(entry(c), fd, data, length, flags);
}

void Loop::send(Completion& c, int fd, const void* data, std::uint32_t length, int flags) {
    io_uring_prep_send(entry(c), fd, data, length, flags | MSG_NOSIGNAL);
}

void Loop::recvmsg(Completion& c, int fd, msghdr* message, int flags) {
    io_uring_prep_recvmsg(entry(c), fd, message, static_cast<unsigned>(flags));
}

void Loop::sendmsg(Completion& c, int fd, const msghdr* message, int flags) {
    io_uring_prep_sendmsg(entry(c), fd, message, static_cast<unsigned>(flags | MSG_NOSIGNAL));
}

void Loop::accept(Completion& c, int fd) {
    io_uring_prep_accept(entry(c), fd, nullptr, nullptr, SOCK_CLOEXEC);
}

void Loop::accept_multishot(Completion& c, int fd) {
    io_uring_prep_multishot_accept(entry(c), fd, nullptr, nullptr, SOCK_CLOEXEC);
}

void Loop::connect(Completion& c, int fd, const sockaddr* address, std::uint32_t length) {
    io_uring_prep_connect(entry(c), fd, address, length);
}

void Loop::shutdown(Completion& c, int fd, int how) {
    io_uring_prep_shutdown(entry(c), fd, how);
}

void Loop::poll(Completion& c, int fd, std::uint32_t events) {
    io_uring_prep_poll_add(entry(c), fd, events);
}

void Loop::poll_multishot(Completion& c, int fd, std::uint32_t events) {
    io_uring_prep_poll_multishot(entry(c), fd, events);
}

void Loop::nop(Completion& c) {
    io_uring_prep_nop(entry(c));
}

} // namespace outport::loop
