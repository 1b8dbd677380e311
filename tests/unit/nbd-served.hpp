// SPDX-License-Identifier: Apache-2.0
// An export served to clients of the test's own, on nbd-host.hpp. Not thread-safe.
#pragma once

#include "nbd-host.hpp"

#include <optional>

namespace outport::nbd::test {

template <class T> void append(std::string& out, T value) {
    std::byte bytes[sizeof value];
    store_be(bytes, value);
    out.append(reinterpret_cast<const char*>(bytes), sizeof bytes);
}

inline std::string request(Command command, std::uint64_t offset, std::uint32_t length,
                           std::uint64_t cookie = 7) {
    std::string out;
    append(out, kRequestMagic);
    append(out, std::uint16_t(0));
    append(out, std::uint16_t(command));
    append(out, cookie);
    append(out, offset);
    append(out, length);
    return out;
}

// What was answered: a status, once.
struct Done : outport_done {
    std::optional<std::int32_t> status;
    Done() : outport_done{} {
        struct_size = sizeof(outport_done);
        complete = [](outport_done* done, std::int32_t s) noexcept { static_cast<Done*>(done)->status = s; };
    }
};
struct Call : outport_qmp_call {
    std::optional<std::int32_t> status;
    Call() : outport_qmp_call{} {
        struct_size = sizeof(outport_qmp_call);
        complete = [](outport_qmp_call* c, std::int32_t s) noexcept { static_cast<Call*>(c)->status = s; };
    }
};

// An export with clients, in which the test does the kernel's part.
class NbdServed : public testing::Test {
  protected:
    explicit NbdServed(std::uint32_t memory_alignment = 1)
        : server_((host.memory_alignment = memory_alignment, host.face())) {
        start_.arguments = args_.options = reinterpret_cast<const outport_value*>(&host);
        run("nbd-server-start", start_);
        args_.struct_size = sizeof args_;
        args_.flags = OUTPORT_EXPORT_WRITABLE;
        args_.node_name = "x";
        args_.node_name_length = 1;
        loop_ = host.loop();
        args_.loops = &loop_;
        args_.loop_count = 1;
        export_.emplace(server_, args_);
        Done started;
        export_->start(&started);
    }
    ~NbdServed() override {
        for (const int fd : peers_)
            ::close(fd);
    }

    void run(const char* command, Call& call) {
        const auto [handler, data] = host.commands.at(command);
        handler(&call, data);
        host.turn();
    }

    // A client that has chosen the export; its descriptor on the server's side.
    int client() {
        int ends[2];
        EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
        peers_.push_back(ends[1]);
        host.listener.accepted(host.listener_data, ends[0]);
        host.turn();
        std::string words;
        append(words, std::uint32_t(kFixedNewstyle | kNoZeroes));
        append(words, kOptionMagic);
        append(words, std::uint32_t(Option::ExportName));
        append(words, std::uint32_t(1));
        negotiate(ends[0], words + "x");
        return ends[0];
    }
    void negotiate(int fd, std::string_view words) {
        const auto receive = host.receives.at(fd);
        host.receives.erase(fd);
        std::memcpy(receive.into, words.data(), words.size());
        receive.op->complete(receive.op, std::int32_t(words.size()));
        host.turn();
    }
    void say(int fd, std::string_view words) {
        auto* entry = host.find(fd, IORING_OP_RECV);
        ASSERT_NE(entry, nullptr);
        ASSERT_LE(words.size(), entry->len);
        std::memcpy(reinterpret_cast<void*>(entry->addr), words.data(), words.size());
        host.complete(entry, std::int32_t(words.size()));
    }
    // By a safe stop, which takes its course when there is none.
    bool has_client() {
        export_->stop(OUTPORT_STOP_SAFE, &safe_);
        return std::exchange(safe_.status, {}) == OUTPORT_BUSY;
    }
    // Everything that may be left ends; the server and the export must not mind.
    void cut_all() {
        Done done;
        export_->stop(OUTPORT_STOP_HARD, &done);
        host.turn();
        end_all(done);
    }
    // What is in flight ends; then the stop is done.
    void end_all(const Done& done) {
        while (!host.requests.empty())
            host.complete(host.requests.front(), 0);
        while (!host.entries.empty())
            host.complete(&host.entries.front(), -EPIPE);
        EXPECT_EQ(done.status, OUTPORT_OK);
    }

    Host host;
    Call start_;
    Done safe_;
    Server server_;
    outport_export_args args_{};
    outport_loop* loop_;
    std::optional<Export> export_;
    std::vector<int> peers_;
};

} // namespace outport::nbd::test
