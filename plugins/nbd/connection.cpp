// SPDX-License-Identifier: Apache-2.0
// A connection's life and its socket. What the bytes mean stands in transmission.cpp.
#include "connection.hpp"

#include "export.hpp"

#include <cerrno>
#include <poll.h>
#include <unistd.h>

namespace outport::nbd {

namespace {

// A unix socket that holds a whole large reply saves wake-ups on both sides. Only the privileged may ask for
// so much; the others keep what the system gives. TCP sizes its buffers by itself.
void widen(int fd) noexcept {
    int domain = 0;
    socklen_t length = sizeof domain;
    const int bytes = 1 << 20;
    if (::getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &length) == 0 && domain == AF_UNIX)
        ::setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes);
}

// Whether the other end is closed altogether, rather than just for sending.
bool hung_up(int fd) noexcept {
    pollfd asked{fd, 0, 0};
    return ::poll(&asked, 1, 0) == 1 && (asked.revents & (POLLHUP | POLLERR));
}

} // namespace

std::uint32_t Connection::request_size(const Shard& shard) noexcept {
    return sdk::block_info(shard.services().block, shard.parent().handle()).request_size;
}

Connection::Connection(Shard& shard, const Session& session, int fd, std::string early)
    : shard_(shard), session_(session), fd_(fd), early_(std::move(early)),
      ring_(shard.services().uring, shard.loop().raw()), requests_(request_size(shard), kMostInFlight),
      receiver_(shard.pool()), output_(shard.pool()) {
    widen(fd);
}

Connection::~Connection() {
    if (fd_ >= 0)
        ::close(fd_);
}

void Connection::on_start(std::int32_t) {
    shard_.services().threads.assert_loop(shard_.loop().raw());
    shard_.add(*this);
    const int status = shard_.cutting() ? OUTPORT_CANCELLED
                                        : queue_.open(shard_.services().block, shard_.parent().handle(),
                                                      shard_.loop().raw());
    if (status != OUTPORT_OK) {
        broken(ESHUTDOWN);
        return settle();
    }
    take_early();
    parse();
    settle();
}

void Connection::take_early() noexcept {
    if (early_.empty())
        return;
    const auto room = receiver_.space(); // fresh, and larger than what negotiation can hold
    if (room.size() < early_.size())
        return broken(ENOMEM);
    std::memcpy(room.data(), early_.data(), early_.size());
    receiver_.filled(early_.size());
    early_ = {};
}

void Connection::on_gone(std::int32_t) {
    shard_.parent().client_gone(*this);
}

void Connection::cut() noexcept {
    if (std::exchange(disconnected_, false) && broken_)
        cancel_all();
    broken(ESHUTDOWN);
    settle();
}

void Connection::broken(int error) noexcept {
    if (broken_)
        return;
    shard_.services().log.debug("connection ended: ", std::string_view(strerrordesc_np(error)));
    broken_ = ended_ = true;
    paused_ = false;
    shard_.waits_no_more(*this);
    ::shutdown(fd_, SHUT_RDWR); // what waits on the socket completes
    while (InFlight* request = answers_) {
        answers_ = request->next;
        release(*request);
    }
    answers_end_ = &answers_;
    if (!disconnected_)
        cancel_all();
}

// Nobody will hear of what is still under way, so it need not be carried out; its end is waited for. What was
// answered is done, and no flush that was answered had to cover any of this.
void Connection::cancel_all() noexcept {
    for (InFlight* request = lent_; request; request = request->next)
        queue_.cancel(request->block());
}

bool Connection::busy() const noexcept {
    return receive_.running() || send_.running() || flush_.running() || turn_.running() || room_.running() ||
           answers_ || !idle() || !output_.empty();
}

void Connection::settle() noexcept {
    if (!ended_)
        return;
    // As long as the receive runs, the kernel may write into that payload's memory.
    if (filling_ && !receive_.running())
        release(*std::exchange(filling_, nullptr));
    if (send_.running() && !broken_ && !linger_.running()) {
        progress_ = false;
        shard_.loop().timer(linger_, kLinger);
    }
    if (busy() || fd_ < 0)
        return;
    if (linger_.running())
        return shard_.loop().cancel(linger_);
    shard_.waits_no_more(*this);
    receiver_.release();
    queue_.close();
    ::close(fd_);
    fd_ = -1;
    shard_.consider_trim();
    shard_.remove(*this, gone_);
}

// A client that will send nothing more need not be waited for unless it fetches what it asked for: the slot
// of one that only half closed its socket, and does not read, would be lost for ever.
void Connection::on_linger(std::int32_t result) {
    if (result == 0 && send_.running() && !progress_)
        broken(ETIMEDOUT);
    settle();
}

// --- The ring.

io_uring_sqe* Connection::entry() noexcept {
    io_uring_sqe* sqe = ring_.reserve();
    if (!sqe && !room_.running())
        ring_.wait(room_);
    return sqe;
}

void Connection::on_room(std::int32_t, std::uint32_t) {
    if (std::exchange(send_wanted_, false))
        send();
    if (std::exchange(receive_wanted_, false))
        receive();
    settle();
}

// --- Receiving.

void Connection::receive() noexcept {
    if (receive_.running() || paused_ || ended_)
        return;
    const auto room = receiver_.space();
    if (room.empty())
        return broken(ENOMEM);
    io_uring_sqe* sqe = entry();
    if (!sqe) {
        receive_wanted_ = true;
        return;
    }
    sqe->opcode = IORING_OP_RECV;
    sqe->fd = fd_;
    sqe->addr = reinterpret_cast<std::uint64_t>(room.data());
    // In pieces, so that a client that sends, if slowly, is seen to do so (Shard::on_patience).
    sqe->len = std::uint32_t(std::min(room.size(), kReceivePiece));
    sqe->msg_flags = receiver_.wants_all() ? MSG_WAITALL : 0;
    ring_.commit(receive_);
}

void Connection::on_received(std::int32_t result, std::uint32_t) {
    if (result <= 0 || broken_) {
        if (result == -EINTR || result == -EAGAIN)
            receive();
        else if (result < 0)
            broken(-result);
        else if (!broken_ && hung_up(fd_))
            broken(EPIPE);
        ended_ |= result == 0;
        return settle();
    }
    ++moved_;
    receiver_.filled(std::size_t(result));
    if (filling_ && receiver_.payload_complete())
        payload_arrived();
    parse();
    settle();
}

// Requests that can be served at once (from the page cache) are answered in the next turn, and the receive
// goes to the kernel behind the answers: the client has then been woken before we look for what it sends
// next. Where that was not so the last time, the node is one that takes its time, and the receive goes out
// with the requests.
void Connection::receive_behind_answers() noexcept {
    if (receive_.running() || paused_ || ended_ || turn_.running())
        return;
    if (eager_ > 0) {
        --eager_;
        return receive();
    }
    shard_.loop().yield(turn_);
}

void Connection::on_turn(std::int32_t) {
    if (!flush_.running()) {
        eager_ = kEager;
        receive();
    }
    settle();
}

// --- Sending.

void Connection::flush_soon() noexcept {
    if (!flush_.running())
        shard_.loop().defer(flush_);
}

void Connection::on_flush(std::int32_t) {
    answer();
    if (paused_)
        parse(); // there may be room now
    else
        receive();
    settle();
}

void Connection::answer() noexcept {
    if (!output_.empty() || broken_)
        return;
    while (InFlight* request = answers_) {
        InFlight* const next = request->next;
        if (!output_.add(*request, session_.structured))
            break;
        sending_ += std::exchange(request->charged, 0);
        answers_ = next;
        requests_.give_back(request);
    }
    if (!answers_)
        answers_end_ = &answers_;
    if (!output_.empty())
        send();
}

void Connection::send() noexcept {
    io_uring_sqe* sqe = entry();
    if (!sqe) {
        send_wanted_ = true;
        return;
    }
    const auto [pieces, length] = output_.next(kSendQuantum);
    sqe->fd = fd_;
    sqe->msg_flags = MSG_NOSIGNAL | MSG_WAITALL;
    if (pieces.size() == 1) {
        sqe->opcode = IORING_OP_SEND;
        sqe->addr = pieces[0].base;
        sqe->len = std::uint32_t(length);
    } else {
        message_.msg_iov = reinterpret_cast<iovec*>(pieces.data());
        message_.msg_iovlen = pieces.size();
        sqe->opcode = IORING_OP_SENDMSG;
        sqe->addr = reinterpret_cast<std::uint64_t>(&message_);
        sqe->len = 1;
    }
    ring_.commit(send_);
}

void Connection::on_sent(std::int32_t result, std::uint32_t) {
    if (result < 0 && result != -EINTR && result != -EAGAIN)
        broken(-result);
    if (broken_) {
        output_.clear();
        account(-std::int64_t(std::exchange(sending_, 0)));
        return settle();
    }
    if (result > 0) {
        output_.sent(std::uint64_t(result));
        progress_ = true;
        ++moved_;
    }
    if (!output_.empty()) {
        send();
    } else {
        account(-std::int64_t(std::exchange(sending_, 0)));
        shard_.consider_trim();
        if (answers_ || paused_)
            flush_soon();
    }
    settle();
}

} // namespace outport::nbd
