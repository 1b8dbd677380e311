// SPDX-License-Identifier: Apache-2.0
// How much payload clients may have in flight: each has some memory of its own, so that it always gets on
// with small requests, and shares the rest with the others of its export and loop.
#include "connection.hpp"

#include <cerrno>

namespace outport::nbd {

namespace {

// Memory that goes with a request until it is answered. What will be refused needs none.
std::uint64_t cost(const WireRequest& wire) noexcept {
    switch (wire.command()) {
    case Command::Read:
    case Command::Write:
        return wire.length <= kMaxPayload ? wire.length : 0;
    case Command::BlockStatus:
        return kMostExtents * sizeof(outport_extent);
    default:
        return 0;
    }
}

} // namespace

// Not so when this connection has enough in flight (what completes makes room), or when the connections of
// this loop have (then it waits for its turn).
bool Connection::has_room(const WireRequest& wire) noexcept {
    const std::uint64_t bytes = bytes_ + cost(wire);
    if (requests_.in_use() == kMostInFlight || bytes > kMostBytes)
        return false;
    const std::uint64_t more = shared(bytes) - shared();
    if (more > 0 && !shard_.share(*this, more))
        return false;
    shard_.waits_no_more(*this);
    return true;
}

void Connection::account(std::int64_t change) noexcept {
    const std::uint64_t before = shared();
    bytes_ += std::uint64_t(change);
    shard_.shared(std::int64_t(shared() - before));
}

void Connection::charge(InFlight& request, std::uint32_t bytes) noexcept {
    request.charged = bytes;
    account(bytes);
}

void Connection::give_up(InFlight& request) noexcept {
    for (std::uint32_t i = 0; i < request.payload.count; ++i)
        shard_.pool().drop(request.payload.buffers[i]);
    request.payload.count = 0;
    account(-std::int64_t(std::exchange(request.charged, 0)));
}

bool Shard::share(Connection& connection, std::uint64_t more) noexcept {
    if (shared_ + more <= kShared && (!waiters_ || waiters_ == &connection))
        return true;
    if (connection.waits_)
        return false;
    connection.waits_ = true;
    connection.next_waiter_ = nullptr;
    *waiters_end_ = &connection;
    waiters_end_ = &connection.next_waiter_;
    if (!patience_.running()) {
        for (Connection* each = connections_; each; each = each->next_)
            each->moved_before_ = each->moved_;
        loop_.timer(patience_, kPatience);
    }
    return false;
}

void Shard::waits_no_more(Connection& connection) noexcept {
    if (!std::exchange(connection.waits_, false))
        return;
    Connection** link = &waiters_;
    while (*link != &connection)
        link = &(*link)->next_waiter_;
    *link = connection.next_waiter_;
    if (!*link)
        waiters_end_ = link;
    wake_waiter();
}

void Shard::shared(std::int64_t change) noexcept {
    shared_ += std::uint64_t(change);
    if (change < 0)
        wake_waiter();
}

void Shard::wake_waiter() noexcept {
    if (waiters_)
        waiters_->flush_soon();
}

// Others wait for memory: a client that in a minute neither sends a mebibyte of its payload nor fetches any
// of its answer loses what it holds. What the disk takes its time for is not its fault.
void Shard::on_patience(std::int32_t) {
    if (cutting_)
        return close_when_empty();
    if (!waiters_)
        return;
    for (Connection* connection = connections_; connection;) {
        Connection* const next = connection->next_;
        const bool moved = std::exchange(connection->moved_before_, connection->moved_) != connection->moved_;
        if (!moved && connection->shared() > 0 && connection->waits_for_client()) {
            connection->broken(ETIMEDOUT);
            connection->settle(); // may remove it
        }
        connection = next;
    }
    loop_.timer(patience_, kPatience);
}

} // namespace outport::nbd
