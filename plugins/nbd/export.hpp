// SPDX-License-Identifier: Apache-2.0
// One export: its options, its place in the server's list, its shards. Not thread-safe: the main loop's, but
// for what its comment tags otherwise.
#pragma once

#include "connection.hpp"
#include "directory.hpp"

#include <memory>
#include <string>
#include <vector>

namespace outport::nbd {

class Server;

class Export {
  public:
    // Throws sdk::Failure.
    Export(Server& server, const outport_export_args& args);
    Export(const Export&) = delete;
    Export& operator=(const Export&) = delete;
    ~Export();

    void start(outport_done* done);
    void stop(std::uint32_t mode, outport_done* done);

    outport_export* handle() const noexcept { return args_.handle; } // [any]
    const Server& server() const noexcept { return server_; }
    const std::string& name() const noexcept { return name_; }
    std::uint64_t serial() const noexcept { return serial_; }
    bool visible() const noexcept { return state_ == State::Running; }
    ExportView view() const;

    // A client that chose this export. False when it cannot be taken; the descriptor is closed either way.
    bool take_client(const Session& session, int fd, std::string early);

    // From the shards.
    void client_gone(Connection& connection);
    void shard_closed();

  private:
    enum class State : std::uint8_t { Created, Running, Hidden, Stopping, Stopped };
    void cut();

    Server& server_;
    const outport_export_args& args_;
    const std::uint64_t serial_;
    std::string name_, description_;
    State state_ = State::Created;
    std::vector<std::unique_ptr<Shard>> shards_;
    std::size_t next_shard_ = 0;
    std::size_t open_shards_ = 0;
    std::uint32_t clients_ = 0;
    std::vector<outport_done*> stopping_; // a hard stop may follow the one that hides
};

} // namespace outport::nbd
