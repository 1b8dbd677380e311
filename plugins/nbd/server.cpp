// SPDX-License-Identifier: Apache-2.0
// Connections and exports of the server. Starting and stopping it stands in server-commands.cpp.
#include "server.hpp"

#include <algorithm>
#include <unistd.h>

namespace outport::nbd {

bool Server::has_export(std::string_view name) const noexcept {
    return std::any_of(exports_.begin(), exports_.end(), [&](const Export* e) { return e->name() == name; });
}

void Server::remove(Export& removed) noexcept {
    std::erase(exports_, &removed);
    finish_when_quiet();
}

std::optional<ExportView> Server::find(std::string_view name) {
    for (const Export* candidate : exports_)
        if (candidate->visible() && candidate->name() == name)
            return candidate->view();
    return std::nullopt;
}

void Server::for_each(const std::function<void(const ExportView&)>& visit) {
    for (const Export* candidate : exports_)
        if (candidate->visible())
            visit(candidate->view());
}

void Server::on_accepted(void* data, std::int32_t fd) noexcept {
    static_cast<Server*>(data)->accepted(fd);
}

void Server::accepted(int fd) noexcept {
    if (state_ != State::Running) {
        ::close(fd);
        return;
    }
    if (!full())
        return greet(fd);
    // Accepted before the pause took effect: it waits here in place of the backlog.
    try {
        waiting_.push_back(fd);
    } catch (...) {
        ::close(fd);
    }
}

void Server::greet(int fd) noexcept {
    Handshake* handshake;
    try {
        handshake = new Handshake(*this, fd, handshake_seconds_);
    } catch (...) {
        ::close(fd);
        return;
    }
    ++connections_;
    if (full())
        services_.net->pause(listener_, 1);
    handshake->next = handshakes_;
    handshake->link = &handshakes_;
    if (handshakes_)
        handshakes_->link = &handshake->next;
    handshakes_ = handshake;
    handshake->start();
}

bool Server::hand_over(std::uint64_t serial, const Session& session, int fd, std::string early) {
    for (Export* candidate : exports_)
        if (candidate->serial() == serial && candidate->visible())
            return candidate->take_client(session, fd, std::move(early));
    ::close(fd);
    return false;
}

void Server::handshake_done(Handshake& handshake, bool handed_over) noexcept {
    *handshake.link = handshake.next;
    if (handshake.next)
        handshake.next->link = handshake.link;
    delete &handshake;
    if (handed_over)
        finish_when_quiet();
    else
        connection_gone();
}

void Server::connection_gone() {
    --connections_;
    made_room();
    finish_when_quiet();
}

void Server::made_room() noexcept {
    if (state_ != State::Running || full())
        return;
    while (!waiting_.empty() && !full()) {
        const int fd = waiting_.front();
        waiting_.erase(waiting_.begin());
        greet(fd);
    }
    if (!full())
        services_.net->pause(listener_, 0);
}

} // namespace outport::nbd
