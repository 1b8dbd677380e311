// SPDX-License-Identifier: Apache-2.0
// The one NBD server of the process: listener, negotiating clients, exports. Not thread-safe: the main
// loop's.
#pragma once

#include "export.hpp"
#include "handshake.hpp"

#include <memory>
#include <vector>

namespace outport::nbd {

class Server final : public ExportDirectory {
  public:
    // Adds the commands and options; throws sdk::Failure.
    explicit Server(const outport_host* host);
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;
    ~Server();

    const Services& services() const noexcept { return services_; }
    bool running() const noexcept { return state_ == State::Running; }
    bool stopped() const noexcept { return state_ == State::Stopped; }
    std::uint32_t max_connections() const noexcept { return max_connections_; }

    // The host ends, no export is left.
    void quit(outport_done* done) noexcept;

    // For exports.
    std::uint64_t next_serial() noexcept { return ++serials_; }
    bool has_export(std::string_view name) const noexcept;
    void add(Export& added) { exports_.push_back(&added); }
    void remove(Export& removed) noexcept;
    void connection_gone();

    // For handshakes. hand_over() takes the descriptor in any case; false when the export has gone meanwhile.
    bool hand_over(std::uint64_t serial, const Session& session, int fd, std::string early);
    void handshake_done(Handshake& handshake, bool handed_over) noexcept;

    std::optional<ExportView> find(std::string_view name) override;
    void for_each(const std::function<void(const ExportView&)>& visit) override;

  private:
    enum class State : std::uint8_t { Stopped, Starting, Running, Stopping };

    // How the host's net calls are answered.
    struct NetDone : outport_net_done {
        Server* server = nullptr;
    };

    static void on_start(outport_qmp_call* call, void* data) noexcept;
    static void on_option(outport_qmp_call* call, void* data) noexcept;
    static void on_stop(outport_qmp_call* call, void* data) noexcept;
    static void on_cancelled(outport_qmp_call* call) noexcept;
    static void on_listening(outport_net_done* done, std::int32_t status, const char* message,
                             std::uint64_t length) noexcept;
    static void on_closed(outport_net_done* done, std::int32_t status, const char* message,
                          std::uint64_t length) noexcept;
    static void on_accepted(void* data, std::int32_t fd) noexcept;

    void start(outport_qmp_call* call, bool legacy) noexcept;
    void stop(outport_qmp_call* call) noexcept;
    void give_up() noexcept;
    void fail(outport_qmp_call* call, std::string_view message) noexcept;
    void accepted(int fd) noexcept;
    void greet(int fd) noexcept;
    bool full() const noexcept { return max_connections_ != 0 && connections_ >= max_connections_; }
    void made_room() noexcept;
    void finish_when_quiet() noexcept;
    void on_quiet(std::int32_t);

    Services services_;
    State state_ = State::Stopped;
    std::uint32_t max_connections_ = 0;
    std::uint32_t handshake_seconds_ = 0;
    std::uint32_t connections_ = 0; // negotiating ones and clients
    std::uint64_t serials_ = 0;
    std::vector<Export*> exports_; // in the order of creation
    Handshake* handshakes_ = nullptr;
    std::vector<int> waiting_; // accepted when there was no room any more
    outport_listener* listener_ = nullptr;
    outport_qmp_call* starting_ = nullptr; // who waits for what
    outport_qmp_call* stopping_ = nullptr;
    outport_done* quitting_ = nullptr;
    NetDone listening_, closing_;
    sdk::LoopOp<Server, &Server::on_quiet> quiet_{*this};
};

} // namespace outport::nbd
