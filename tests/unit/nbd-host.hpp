// SPDX-License-Identifier: Apache-2.0
// A host around nbd's server in which the test is the kernel, the disk and the clock: operations wait in
// lists until the test completes them, in the order and with the results that it wants. Not thread-safe.
#pragma once

#include "server.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <sys/socket.h>
#include <unistd.h>

namespace outport::nbd::test {

struct Host {
    struct Entry { // of the ring
        outport_uring_completion* completion;
        std::uint8_t opcode;
        int fd;
        std::uint64_t addr;
        std::uint32_t len;
    };
    struct Receive { // of the portable operations
        outport_loop_op* op = nullptr;
        void* into = nullptr;
    };

    std::vector<Entry> entries;
    std::deque<outport_block_request*> requests;
    std::vector<outport_block_request*> unwanted; // of these, those that were cancelled
    std::deque<outport_loop_op*> timers;
    std::map<int, Receive> receives; // of clients that negotiate, by descriptor
    std::string said;                // to those
    std::map<std::string, std::pair<outport_qmp_handler, void*>> commands;
    outport_listener_events listener{};
    void* listener_data = nullptr;
    outport_net_done* closing = nullptr;
    std::uint32_t memory_alignment = 1;
    std::uint64_t size = 1u << 20; // of the export
    bool hold_cancelled = false;   // what was cancelled takes its time

    Host() { the() = this; }
    ~Host() { the() = nullptr; }
    static Host*& the() {
        static Host* host = nullptr;
        return host;
    }
    const outport_host* face() const noexcept;
    outport_loop* loop() noexcept { return reinterpret_cast<outport_loop*>(this); }

    // Runs what is ready: first what was posted, then what was put off to the end of the turn, then what was
    // cancelled.
    void turn() {
        for (;;) {
            auto* list = !posted_.empty() ? &posted_ : !deferred_.empty() ? &deferred_ : &cancelled_;
            if (list->empty() || (hold_cancelled && list == &cancelled_))
                return;
            outport_loop_op* op = list->front();
            list->pop_front();
            op->complete(op, list == &cancelled_ ? -ECANCELED : list == &posted_ ? results_[op] : 0);
        }
    }

    // The first entry with this opcode for this descriptor; null when there is none.
    Entry* find(int fd, std::uint8_t opcode) {
        for (Entry& entry : entries)
            if (entry.fd == fd && entry.opcode == opcode)
                return &entry;
        return nullptr;
    }
    void complete(Entry* entry, std::int32_t result) {
        ASSERT_NE(entry, nullptr);
        const Entry done = *entry;
        entries.erase(entries.begin() + (entry - &entries.front()));
        done.completion->complete(done.completion, result, 0);
        turn();
    }
    void complete(outport_block_request* request, std::int32_t result) {
        std::erase(requests, request);
        std::erase(unwanted, request);
        request->complete(request, result);
        turn();
    }
    void fire_timer() {
        ASSERT_FALSE(timers.empty());
        outport_loop_op* op = timers.front();
        timers.pop_front();
        op->complete(op, 0);
        turn();
    }

  private:
    void post(outport_loop_op* op, std::int32_t result) {
        results_[op] = result;
        posted_.push_back(op);
    }

    std::deque<outport_loop_op*> posted_, deferred_, cancelled_;
    std::map<outport_loop_op*, std::int32_t> results_;
    std::unique_ptr<io_uring_sqe> sqe_;
    friend struct Tables;
};

// What the host offers.
struct Tables {
    static Host* the() { return Host::the(); }

    static constexpr outport_block_api kBlock = {
        .struct_size = sizeof(outport_block_api),
        .reserved = 0,
        .get_info =
            [](outport_export*, outport_block_info* info) noexcept {
                info->size = the()->size;
                info->request_size = sizeof(outport_block_request);
                info->request_alignment = 1;
                info->memory_alignment = the()->memory_alignment;
                info->max_transfer = UINT64_MAX;
            },
        .queue_open = [](outport_export*, outport_loop* loop, const outport_block_notices*, void*,
                         outport_block_queue** queue, outport_error*) noexcept -> std::int32_t {
            *queue = reinterpret_cast<outport_block_queue*>(loop);
            return OUTPORT_OK;
        },
        .queue_close = [](outport_block_queue*) noexcept {},
        .submit =
            [](outport_block_queue*, outport_block_request* const* requests, std::uint32_t count) noexcept {
                the()->requests.insert(the()->requests.end(), requests, requests + count);
            },
        .cancel =
            [](outport_block_queue*, outport_block_request* request) noexcept {
                const auto& lent = the()->requests;
                EXPECT_NE(std::find(lent.begin(), lent.end(), request), lent.end()) << "not in flight";
                the()->unwanted.push_back(request);
            },
    };
    static constexpr outport_export_api kExport = {
        .struct_size = sizeof(outport_export_api),
        .reserved = 0,
        .no_space = [](outport_export*) noexcept {},
        .ended = [](outport_export*, const char*, std::uint64_t) noexcept {},
    };
    static constexpr outport_loop_api kLoop = {
        .struct_size = sizeof(outport_loop_api),
        .reserved = 0,
        .read = nullptr,
        .write = nullptr,
        .recv =
            [](outport_loop*, outport_loop_op* op, std::int32_t fd, void* into, std::uint64_t,
               std::uint32_t) noexcept {
                the()->receives[fd] = { op, into };
            },
        .send =
            [](outport_loop*, outport_loop_op* op, std::int32_t, const outport_iovec* iov, std::uint32_t,
               std::uint32_t) noexcept {
                the()->said.append(reinterpret_cast<const char*>(iov->base), iov->length);
                the()->post(op, std::int32_t(iov->length));
            },
        .accept = nullptr,
        .poll = nullptr,
        .timer = [](outport_loop*, outport_loop_op* op,
                    std::uint64_t) noexcept { the()->timers.push_back(op); },
        .post = [](outport_loop*, outport_loop_op* op) noexcept { the()->post(op, 0); },
        .defer = [](outport_loop*, outport_loop_op* op) noexcept { the()->deferred_.push_back(op); },
        .yield = [](outport_loop*, outport_loop_op* op) noexcept { the()->deferred_.push_back(op); },
        .cancel =
            [](outport_loop*, outport_loop_op* op) noexcept {
                if (std::erase(the()->timers, op) > 0)
                    the()->cancelled_.push_back(op);
            },
        .now = [](outport_loop*) noexcept -> std::uint64_t { return 0; },
        .main_loop = [](const outport_host*) noexcept { return the()->loop(); },
    };
    static constexpr outport_net_api kNet = {
        .struct_size = sizeof(outport_net_api),
        .reserved = 0,
        .listen =
            [](const outport_host*, const outport_value*, std::uint32_t,
               const outport_listener_events* events, void* data, outport_listener** listener,
               outport_net_done* done) noexcept {
                the()->listener = *events;
                the()->listener_data = data;
                *listener = reinterpret_cast<outport_listener*>(the());
                done->complete(done, OUTPORT_OK, nullptr, 0);
            },
        .pause = [](outport_listener*, std::uint32_t) noexcept {},
        .close = [](outport_listener*, outport_net_done* done) noexcept { the()->closing = done; },
    };
    static std::int32_t add(const outport_host*, const char* name, outport_qmp_handler handler, void* data,
                            outport_error*) noexcept {
        the()->commands[name] = {handler, data};
        return OUTPORT_OK;
    }
    static constexpr outport_qmp_api kQmp = {
        .struct_size = sizeof(outport_qmp_api),
        .reserved = 0,
        .add_command = &add,
        .add_option = &add,
        .event_begin = nullptr,
        .event_send = nullptr,
    };
    static constexpr outport_uring_api kUring = {
        .struct_size = sizeof(outport_uring_api),
        .reserved = 0,
        .get_info = nullptr,
        .reserve = [](outport_loop*, std::uint32_t, void** entries) noexcept -> std::int32_t {
            the()->sqe_ = std::make_unique<io_uring_sqe>();
            entries[0] = the()->sqe_.get();
            return OUTPORT_OK;
        },
        .commit =
            [](outport_loop*, std::uint32_t, outport_uring_completion* const* completions) noexcept {
                const io_uring_sqe& sqe = *the()->sqe_;
                the()->entries.push_back({completions[0], sqe.opcode, sqe.fd, sqe.addr, sqe.len});
            },
        .wait = nullptr,
        .cancel = nullptr,
    };
    // An object without members: all options have their defaults.
    static const outport_values_api* values() {
        static const outport_values_api api = [] {
            outport_values_api made{};
            made.struct_size = sizeof made;
            made.kind = [](const outport_value*) noexcept -> std::uint32_t { return OUTPORT_VALUE_OBJECT; };
            made.member = [](const outport_value*, const char*,
                             std::uint64_t) noexcept -> const outport_value* { return nullptr; };
            return made;
        }();
        return &api;
    }

    static const void* extension(const outport_host*, const char* id) noexcept {
        static const std::map<std::string_view, const void*> kTables = {
            {OUTPORT_BLOCK_ID, &kBlock},   {OUTPORT_EXPORT_ID, &kExport}, {OUTPORT_LOOP_ID, &kLoop},
            {OUTPORT_NET_ID, &kNet},       {OUTPORT_QMP_ID, &kQmp},       {OUTPORT_URING_ID, &kUring},
            {OUTPORT_VALUES_ID, values()},
        };
        const auto found = kTables.find(id);
        return found == kTables.end() ? nullptr : found->second;
    }
    static constexpr outport_host kHost = {
        .struct_size = sizeof(outport_host),
        .abi_major = OUTPORT_ABI_MAJOR,
        .abi_minor = OUTPORT_ABI_MINOR,
        .reserved = 0,
        .name = "test",
        .version = "0",
        .context = nullptr,
        .get_extension = &extension,
        .set_error = [](outport_error*, const char*, std::uint64_t, const char*, std::uint64_t) noexcept {},
    };
};

inline const outport_host* Host::face() const noexcept {
    return &Tables::kHost;
}

} // namespace outport::nbd::test
