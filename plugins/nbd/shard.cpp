// SPDX-License-Identifier: Apache-2.0
#include "shard.hpp"

#include "connection.hpp"
#include "export.hpp"

namespace outport::nbd {

Shard::Shard(const Services& services, Export& parent, outport_loop* loop, std::uint32_t memory_alignment)
    : services_(services), parent_(parent), loop_(services.loop, loop), pool_(memory_alignment) {}

void Shard::add(Connection& connection) noexcept {
    connection.next_ = connections_;
    connection.link_ = &connections_;
    if (connections_)
        connections_->link_ = &connection.next_;
    connections_ = &connection;
}

void Shard::remove(Connection& connection, sdk::LoopOpBase& gone) noexcept {
    *connection.link_ = connection.next_;
    if (connection.next_)
        connection.next_->link_ = connection.link_;
    services_.main.post(gone);
    close_when_empty();
}

void Shard::on_cut(std::int32_t) {
    for (Connection* connection = connections_; connection;) {
        Connection* const next = connection->next_;
        connection->cut(); // may remove it
        connection = next;
    }
    // Only now, and as the last act: once the main loop knows that all is closed, this may end at any moment.
    cutting_ = true;
    close_when_empty();
}

void Shard::close_when_empty() noexcept {
    if (!cutting_ || connections_ || closed_.running())
        return;
    if (trim_.running())
        return loop_.cancel(trim_);
    if (patience_.running())
        return loop_.cancel(patience_);
    // The connections' last posts to the main loop came before this one.
    services_.main.post(closed_);
}

void Shard::on_trim(std::int32_t) {
    if (cutting_)
        return close_when_empty();
    if (pool_.trim())
        consider_trim();
}

void Shard::on_closed(std::int32_t) {
    parent_.shard_closed();
}

} // namespace outport::nbd
