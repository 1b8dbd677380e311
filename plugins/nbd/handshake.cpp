// SPDX-License-Identifier: Apache-2.0
#include "handshake.hpp"

#include "server.hpp"

#include <cerrno>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace outport::nbd {

Handshake::Handshake(Server& server, int fd, std::uint32_t seconds)
    : server_(server), loop_(server.services().main), fd_(fd), seconds_(seconds), negotiation_(server) {}

Handshake::~Handshake() {
    if (fd_ >= 0)
        ::close(fd_);
}

void Handshake::start() {
    // The ring waits for a socket by itself only when the descriptor does not say that nobody waits.
    ::fcntl(fd_, F_SETFL, ::fcntl(fd_, F_GETFL) & ~O_NONBLOCK);
    if (seconds_ > 0)
        loop_.timer(timer_, std::uint64_t(seconds_) * 1'000'000'000);
    advance();
}

// Sends what there is to say, else reads on.
void Handshake::advance() {
    std::string& output = negotiation_.output();
    if (output.empty() && have_ > 0 && negotiation_.state() == Negotiation::State::Running) {
        const std::size_t used = negotiation_.feed({buffer_.data(), have_});
        have_ -= used;
        std::memmove(buffer_.data(), buffer_.data() + used, have_);
    }
    if (negotiation_.state() == Negotiation::State::Dropped) {
        server_.services().log.info("option negotiation failed: ", negotiation_.reason());
        return end();
    }
    if (!output.empty()) {
        piece_ = {reinterpret_cast<std::uint64_t>(output.data() + sent_), output.size() - sent_};
        return loop_.send(send_, fd_, {&piece_, 1}, MSG_WAITALL);
    }
    switch (negotiation_.state()) {
    case Negotiation::State::Running:
        return loop_.recv(receive_, fd_, std::span(buffer_).subspan(have_));
    case Negotiation::State::Chosen:
        return hand_over();
    case Negotiation::State::Ended:
    case Negotiation::State::Dropped:
        return end();
    }
}

void Handshake::on_received(std::int32_t result) {
    if (result <= 0 || ended_) {
        end();
    } else {
        have_ += std::size_t(result);
        try {
            advance();
        } catch (...) { // no memory for an answer
            end();
        }
    }
    settle();
}

void Handshake::on_sent(std::int32_t result) {
    if (result < 0 || ended_) {
        end();
    } else {
        sent_ += std::size_t(result);
        if (sent_ == negotiation_.output().size()) {
            negotiation_.output().clear();
            sent_ = 0;
        }
        try {
            advance();
        } catch (...) {
            end();
        }
    }
    settle();
}

void Handshake::on_late(std::int32_t result) {
    if (result == 0 && !ended_) {
        server_.services().log.debug("a client took too long to choose an export");
        end();
    }
    settle();
}

void Handshake::hand_over() {
    std::string early(reinterpret_cast<const char*>(buffer_.data()), have_);
    handed_over_ = server_.hand_over(negotiation_.chosen_serial(), negotiation_.session(),
                                     std::exchange(fd_, -1), std::move(early));
    end();
}

void Handshake::cut() noexcept {
    end();
    settle();
}

void Handshake::end() noexcept {
    if (ended_)
        return;
    ended_ = true;
    if (fd_ >= 0)
        ::shutdown(fd_, SHUT_RDWR); // what waits on the socket completes
    loop_.cancel(timer_);
}

void Handshake::settle() noexcept {
    if (ended_ && !receive_.running() && !send_.running() && !timer_.running())
        server_.handshake_done(*this, handed_over_);
}

} // namespace outport::nbd
