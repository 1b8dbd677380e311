// SPDX-License-Identifier: Apache-2.0
#include "export.hpp"

#include "nbd-types.hpp"
#include "server.hpp"

#include <outport/cpp/text.hpp>

#include <algorithm>
#include <unistd.h>

namespace outport::nbd {

using sdk::cat;

Export::Export(Server& server, const outport_export_args& args)
    : server_(server), args_(args), serial_(server.next_serial()) {
    schema::BlockExportOptionsNbd options;
    if (!schema::read(server.services().values, args.options, options))
        throw sdk::Failure{OUTPORT_INVALID, "these are no options of an export of type 'nbd'"};
    name_ = std::move(options.name).value_or(std::string(args.node_name, args.node_name_length));
    description_ = std::move(options.description).value_or("");

    // In the reference server's order.
    if (!server.running())
        throw sdk::Failure{OUTPORT_FAILED, "NBD server not running"};
    if (name_.size() > kMaxString)
        throw sdk::Failure{OUTPORT_INVALID, cat("export name '", name_, "' too long")};
    if (description_.size() > kMaxString)
        throw sdk::Failure{OUTPORT_INVALID, cat("description '", description_, "' too long")};
    if (server.has_export(name_))
        throw sdk::Failure{OUTPORT_FAILED, cat("NBD server already has export named '", name_, "'")};

    const auto info = sdk::block_info(server.services().block, args.handle);
    for (std::uint64_t i = 0; i < args.loop_count; ++i)
        shards_.push_back(
            std::make_unique<Shard>(server.services(), *this, args.loops[i], info.memory_alignment));
    server.add(*this);
}

Export::~Export() {
    server_.remove(*this);
}

void Export::start(outport_done* done) {
    state_ = State::Running;
    open_shards_ = shards_.size();
    done->complete(done, OUTPORT_OK);
}

void Export::stop(std::uint32_t mode, outport_done* done) {
    if (mode == OUTPORT_STOP_SAFE && clients_ > 0)
        return done->complete(done, OUTPORT_BUSY);
    stopping_.push_back(done);
    if (mode == OUTPORT_STOP_SOFT)
        for (auto& shard : shards_)
            shard->post_refuse();
    if ((mode == OUTPORT_STOP_HIDE || mode == OUTPORT_STOP_SOFT) && clients_ > 0)
        state_ = State::Hidden; // until the last of them has gone
    else
        cut();
}

void Export::cut() {
    if (state_ == State::Stopping)
        return;
    state_ = State::Stopping;
    for (auto& shard : shards_)
        shard->post_cut();
}

void Export::shard_closed() {
    if (--open_shards_ > 0)
        return;
    state_ = State::Stopped;
    for (outport_done* const done : std::exchange(stopping_, {}))
        done->complete(done, OUTPORT_OK);
}

ExportView Export::view() const {
    const auto info = sdk::block_info(server_.services().block, args_.handle);
    ExportView view;
    view.serial = serial_;
    view.name = name_;
    view.description = description_;
    view.size = info.size;
    view.flags = kHasFlags | kSendFlush | kSendFua | kSendCache;
    if (args_.flags & OUTPORT_EXPORT_WRITABLE)
        view.flags |= kSendTrim | kSendWriteZeroes | kSendFastZero;
    else
        view.flags |= kReadOnly;
    if (server_.max_connections() != 1)
        view.flags |= kCanMultiConn;
    view.min_block = std::clamp<std::uint32_t>(info.request_alignment, 1, 65536);
    view.max_block = std::uint32_t(
        std::clamp<std::uint64_t>(info.max_transfer, std::max(4096u, view.min_block), kMaxPayload));
    return view;
}

bool Export::take_client(const Session& session, int fd, std::string early) {
    Shard& shard = *shards_[next_shard_++ % shards_.size()];
    Connection* connection;
    try {
        connection = new Connection(shard, session, fd, std::move(early));
    } catch (...) {
        ::close(fd);
        return false;
    }
    ++clients_;
    connection->post_start();
    return true;
}

void Export::client_gone(Connection& connection) {
    delete &connection;
    --clients_;
    server_.connection_gone();
    if (state_ == State::Hidden && clients_ == 0)
        cut();
}

} // namespace outport::nbd
