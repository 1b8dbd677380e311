// SPDX-License-Identifier: Apache-2.0
// A connection that negotiates, on the main loop, within a time limit. Not thread-safe: the main loop's.
#pragma once

#include "negotiation.hpp"
#include "services.hpp"

#include <array>

namespace outport::nbd {

class Server;

class Handshake {
  public:
    // Owns `fd`. `seconds` is the limit, 0 for none.
    Handshake(Server& server, int fd, std::uint32_t seconds);
    Handshake(const Handshake&) = delete;
    Handshake& operator=(const Handshake&) = delete;
    ~Handshake();

    void start();
    void cut() noexcept; // ends without a word

    Handshake* next = nullptr; // the server's list
    Handshake** link = nullptr;

  private:
    void on_received(std::int32_t result);
    void on_sent(std::int32_t result);
    void on_late(std::int32_t result);
    void advance();
    void hand_over();
    void end() noexcept;
    void settle() noexcept;

    Server& server_;
    const sdk::Loop& loop_;
    int fd_;
    std::uint32_t seconds_;
    Negotiation negotiation_;
    bool ended_ = false;
    bool handed_over_ = false;
    std::size_t sent_ = 0;
    std::size_t have_ = 0;
    std::array<std::byte, 2 * Negotiation::kMaxNeed> buffer_;
    outport_iovec piece_{};
    sdk::LoopOp<Handshake, &Handshake::on_received> receive_{*this};
    sdk::LoopOp<Handshake, &Handshake::on_sent> send_{*this};
    sdk::LoopOp<Handshake, &Handshake::on_late> timer_{*this};
};

} // namespace outport::nbd
