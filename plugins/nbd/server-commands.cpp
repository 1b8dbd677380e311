// SPDX-License-Identifier: Apache-2.0
// nbd-server-start, nbd-server-stop and --nbd-server.
#include "nbd-types.hpp"
#include "server.hpp"

#include <outport/cpp/value.hpp>

#include <unistd.h>

namespace outport::nbd {

namespace {

void check(std::int32_t status, const char* what) {
    if (status != OUTPORT_OK)
        throw sdk::Failure{status, sdk::cat("cannot add ", what)};
}

} // namespace

Server::Server(const outport_host* host) : services_(host) {
    listening_.struct_size = closing_.struct_size = sizeof(outport_net_done);
    listening_.server = closing_.server = this;
    listening_.complete = &on_listening;
    closing_.complete = &on_closed;
    const outport_qmp_api* qmp = services_.qmp;
    check(qmp->add_command(host, "nbd-server-start", &on_start, this, nullptr), "nbd-server-start");
    check(qmp->add_command(host, "nbd-server-stop", &on_stop, this, nullptr), "nbd-server-stop");
    check(qmp->add_option(host, "nbd-server", &on_option, this, nullptr), "--nbd-server");
}

Server::~Server() {
    for (const int fd : waiting_)
        ::close(fd);
}

void Server::on_start(outport_qmp_call* call, void* data) noexcept {
    static_cast<Server*>(data)->start(call, true);
}
void Server::on_option(outport_qmp_call* call, void* data) noexcept {
    static_cast<Server*>(data)->start(call, false);
}
void Server::on_stop(outport_qmp_call* call, void* data) noexcept {
    static_cast<Server*>(data)->stop(call);
}

void Server::fail(outport_qmp_call* call, std::string_view message) noexcept {
    sdk::set_error(services_.host, call->error, message);
    call->complete(call, OUTPORT_FAILED);
}

void Server::start(outport_qmp_call* call, bool legacy) noexcept {
    if (state_ != State::Stopped)
        return fail(call, "NBD server already running");
    schema::NbdServerOptionsBase options; // what both forms share; the address is the host's to read
    if (!schema::read(services_.values, call->arguments, options))
        return fail(call, "these are no options of the NBD server");
    max_connections_ = options.max_connections;
    handshake_seconds_ = options.handshake_max_seconds;
    state_ = State::Starting;
    starting_ = call;
    call->data = this;
    call->cancelled = &on_cancelled;
    outport_listener_events events{};
    events.struct_size = sizeof events;
    events.accepted = &on_accepted;
    const sdk::Value address = sdk::Value(services_.values, call->arguments)["addr"];
    services_.net->listen(services_.host, address.raw(), legacy ? 1 : 0, &events, this, &listener_,
                          &listening_);
}

// Nobody waits for the start any more: a look-up that hangs must not keep the server from being started anew.
void Server::on_cancelled(outport_qmp_call* call) noexcept {
    Server& server = *static_cast<Server*>(call->data);
    if (server.state_ == State::Starting && server.starting_ == call)
        server.give_up();
}

void Server::on_listening(outport_net_done* done, std::int32_t status, const char* message,
                          std::uint64_t length) noexcept {
    Server& server = *static_cast<NetDone*>(done)->server;
    outport_qmp_call* const call = std::exchange(server.starting_, nullptr);
    if (status == OUTPORT_OK) {
        server.state_ = State::Running;
    } else {
        if (server.state_ == State::Starting) { // else it was given up, and its close is to come
            server.state_ = State::Stopped;
            server.listener_ = nullptr;
        }
        sdk::set_error(server.services_.host, call->error, {message, length});
    }
    call->complete(call, status);
}

void Server::stop(outport_qmp_call* call) noexcept {
    if (state_ != State::Running)
        return fail(call, "NBD server not running");
    stopping_ = call;
    give_up();
}

void Server::quit(outport_done* done) noexcept {
    if (state_ == State::Stopped)
        return done->complete(done, OUTPORT_OK);
    quitting_ = done;
    if (state_ != State::Stopping)
        give_up();
}

// The listener and the clients that still negotiate go, then the exports, then comes the answer.
void Server::give_up() noexcept {
    state_ = State::Stopping;
    for (const int fd : waiting_)
        ::close(fd);
    waiting_.clear();
    services_.net->close(listener_, &closing_);
    for (Handshake* handshake = handshakes_; handshake;) {
        Handshake* const next = handshake->next;
        handshake->cut(); // may end it
        handshake = next;
    }
    constexpr std::string_view reason = "the NBD server stops";
    // Newest first, as they go at the end of the process; the list may change under our hands.
    for (std::size_t i = exports_.size(); i-- > 0;)
        if (i < exports_.size())
            services_.exports->ended(exports_[i]->handle(), reason.data(), reason.size());
    finish_when_quiet();
}

void Server::on_closed(outport_net_done* done, std::int32_t, const char*, std::uint64_t) noexcept {
    Server& server = *static_cast<NetDone*>(done)->server;
    server.listener_ = nullptr;
    server.finish_when_quiet();
}

void Server::finish_when_quiet() noexcept {
    // A handshake that has handed its client over may still wait for its timer.
    const bool nobody = exports_.empty() && connections_ == 0 && !handshakes_;
    if (state_ == State::Stopping && nobody && !listener_ && !quiet_.running())
        services_.main.post(quiet_); // behind the events of what has just ended
}

void Server::on_quiet(std::int32_t) {
    state_ = State::Stopped;
    if (outport_qmp_call* const call = std::exchange(stopping_, nullptr))
        call->complete(call, OUTPORT_OK);
    if (outport_done* const done = std::exchange(quitting_, nullptr))
        done->complete(done, OUTPORT_OK);
}

} // namespace outport::nbd
