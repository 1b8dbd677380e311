// SPDX-License-Identifier: Apache-2.0
// One client past negotiation: requests in, replies out, many at once. Made and destroyed on the main loop;
// in between it belongs to its shard's loop.
//
// A turn of the loop: what was received is parsed, all its block requests are submitted together; what
// completes is answered together at the end of the turn, and the next receive is asked for behind the
// answers, so that one system call carries both.
#pragma once

#include "output.hpp"
#include "receiver.hpp"
#include "shard.hpp"

#include <outport/cpp/uring.hpp>

#include <string>

namespace outport::nbd {

inline constexpr std::uint32_t kMostExtents = 4096; // of one look-up

class Connection {
  public:
    // Owns `fd` from here on. `early` is what the client has sent beyond its last option.
    Connection(Shard& shard, const Session& session, int fd, std::string early);
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;
    ~Connection();

    // [main] Hands it to its loop; the export hears client_gone() when it has ended.
    void post_start() noexcept { shard_.loop().post(start_); }

    // [loop] Ends it without waiting for the client. May remove it from its shard.
    void cut() noexcept;

  private:
    friend class Shard;
    static constexpr std::uint32_t kMostInFlight = 128;
    static constexpr std::uint64_t kSendQuantum = 192u << 10; // bytes in one turn, so that others get theirs
    static constexpr std::size_t kReceivePiece = 1u << 20; // bytes of a payload that are waited for at once
    static constexpr std::uint32_t kEager = 31;
    static constexpr std::uint64_t kMostBytes = 64u << 20;   // of payload in flight
    static constexpr std::uint64_t kOwnBytes = 4u << 20;     // of these, not shared with other connections
    static constexpr std::uint64_t kLinger = 60'000'000'000; // ns without progress, for the last replies

    static std::uint32_t request_size(const Shard& shard) noexcept;

    // connection.cpp: its life, and the socket.
    void on_start(std::int32_t);
    void take_early() noexcept;
    void on_gone(std::int32_t);
    void on_linger(std::int32_t result);
    void on_room(std::int32_t, std::uint32_t);
    void on_received(std::int32_t result, std::uint32_t);
    void on_sent(std::int32_t result, std::uint32_t);
    void on_turn(std::int32_t);
    void on_flush(std::int32_t);
    void receive() noexcept;
    void receive_behind_answers() noexcept;
    void send() noexcept;
    void answer() noexcept;
    void flush_soon() noexcept;
    bool busy() const noexcept;
    void broken(int error) noexcept;
    void cancel_all() noexcept;
    void settle() noexcept; // the end, when nothing runs any more: the last act of each callback
    io_uring_sqe* entry() noexcept;

    // transmission.cpp: from bytes to requests to replies.
    void parse() noexcept;
    bool begin_request(const WireRequest& wire) noexcept;
    void refuse(InFlight& request, const Verdict& verdict) noexcept;
    void refuse_payload(InFlight& request) noexcept;
    void payload_arrived() noexcept;
    void execute(InFlight& request) noexcept;
    bool prepare_read(InFlight& request) noexcept;
    bool prepare_write(InFlight& request) noexcept;
    bool prepare_status(InFlight& request) noexcept;
    void prepare_range(InFlight& request, std::uint32_t op, std::uint32_t flags) noexcept;
    void submit() noexcept;
    void lend(InFlight& request) noexcept;
    void take_back(InFlight& request) noexcept;
    void fail(InFlight& request, std::uint32_t error, const char* what) noexcept;
    void finish(InFlight& request) noexcept;
    void completed(InFlight& request, std::int32_t result) noexcept;
    void finish_status(InFlight& request) noexcept;
    void release(InFlight& request) noexcept;
    static void on_block(outport_block_request* raw, std::int32_t result) noexcept;
    bool idle() const noexcept { return requests_.in_use() == 0; }

    // memory.cpp: what may be in flight.
    bool has_room(const WireRequest& wire) noexcept;
    void account(std::int64_t change) noexcept;
    std::uint64_t shared() const noexcept { return shared(bytes_); }
    static std::uint64_t shared(std::uint64_t bytes) noexcept {
        return bytes > kOwnBytes ? bytes - kOwnBytes : 0;
    }
    bool waits_for_client() const noexcept { return filling_ || send_.running(); }
    void charge(InFlight& request, std::uint32_t bytes) noexcept;
    void give_up(InFlight& request) noexcept;

    Shard& shard_;
    const Session session_;
    int fd_;
    std::string early_;

    sdk::Ring ring_;
    sdk::BlockQueue queue_;
    sdk::RequestPool<InFlight> requests_;
    Receiver receiver_;
    Output output_;

    InFlight* filling_ = nullptr; // a WRITE, refused or not, whose payload is not complete
    InFlight* lent_ = nullptr;    // those that the host has, in no order
    InFlight* answers_ = nullptr; // those to be answered, first
    InFlight** answers_end_ = &answers_;
    outport_block_request* batch_[kMostInFlight];
    std::uint32_t batched_ = 0;
    std::uint64_t bytes_ = 0;   // of payload in flight: of reads until sent, of writes until done
    std::uint64_t sending_ = 0; // of which the output holds so much
    std::uint32_t eager_ = 0;   // so many times more the receive does not wait for the answers
    bool paused_ = false;       // requests wait in the receiver for room
    bool ended_ = false;        // nothing more is read: DISC, the end of the stream, a fatal fault
    bool disconnected_ = false; // by DISC: what came before it is carried out
    bool broken_ = false;       // nothing more is sent either
    bool progress_ = false;     // something was sent since linger_ began
    bool receive_wanted_ = false, send_wanted_ = false; // when the ring has room

    msghdr message_{};
    sdk::LoopOp<Connection, &Connection::on_start> start_{*this};
    sdk::LoopOp<Connection, &Connection::on_gone> gone_{*this};
    sdk::LoopOp<Connection, &Connection::on_turn> turn_{*this};
    sdk::LoopOp<Connection, &Connection::on_flush> flush_{*this};
    sdk::LoopOp<Connection, &Connection::on_linger> linger_{*this};
    sdk::RingOp<Connection, &Connection::on_received> receive_{*this};
    sdk::RingOp<Connection, &Connection::on_sent> send_{*this};
    sdk::RingOp<Connection, &Connection::on_room> room_{*this};

    Connection* next_ = nullptr; // the shard's list
    Connection** link_ = nullptr;
    bool waits_ = false; // for shared memory
    Connection* next_waiter_ = nullptr;
    std::uint64_t moved_ = 0;        // counts what came from the client, the disk, and went out
    std::uint64_t moved_before_ = 0; // the shard's: when it looked the last time
};

} // namespace outport::nbd
