// SPDX-License-Identifier: Apache-2.0
#include "host/net/net-api.hpp"

#include "host/base/sdk-handles.hpp"
#include "host/net/listener.hpp"

#include <boost/json/value.hpp>

#include <cstring>

namespace outport::net {

namespace {

Net* g_net = nullptr; // the one of the process: see net_api()

// What an `outport_listener` is: the listener, and the plugin that it holds.
struct ApiListener {
    explicit ApiListener(const outport_host* host) : context(sdk::context_of(host)) { ++context.listeners; }
    ApiListener(const ApiListener&) = delete;
    ApiListener& operator=(const ApiListener&) = delete;
    ~ApiListener() { --context.listeners; }

    sdk::HostContext& context;
    Listener* listener = nullptr;
};

ApiListener* to_api(outport_listener* handle) noexcept {
    return reinterpret_cast<ApiListener*>(handle);
}

// An `outport_value` is a boost::json::value, as the table of values has it.
const boost::json::value& to_value(const outport_value* value) noexcept {
    return *reinterpret_cast<const boost::json::value*>(value);
}

void complete(outport_net_done* done, const Result<>& result) {
    if (result)
        return done->complete(done, OUTPORT_OK, nullptr, 0);
    const Error& e = result.error();
    std::int32_t status = e.errno_value == Listener::kCancelled ? OUTPORT_CANCELLED : OUTPORT_FAILED;
    done->complete(done, status, e.message.data(), e.message.size());
}

void do_listen(const outport_host* host, const outport_value* address, std::uint32_t legacy,
               const outport_listener_events* events, void* data, outport_listener** listener,
               outport_net_done* done) noexcept {
    auto refuse = [&](std::string_view why) {
        *listener = nullptr;
        done->complete(done, OUTPORT_INVALID, why.data(), why.size());
    };
    outport_listener_events own{};
    std::memcpy(&own, events, events->struct_size < sizeof own ? events->struct_size : sizeof own);
    if (!OUTPORT_HAS(events, accepted))
        return refuse("a listener without a function for its clients");
    if (!to_value(address).is_object())
        return refuse("the address to listen on is no SocketAddress");
    auto parsed = to_address(to_value(address).get_object(), legacy != 0);
    if (!parsed)
        return refuse(parsed.error().message);
    auto accepted = [function = own.accepted, data](int fd) { function(data, fd); };
    int backlog = own.backlog ? static_cast<int>(own.backlog) : 128;
    auto* made = new ApiListener(host);
    *listener = reinterpret_cast<outport_listener*>(made);
    made->listener = Listener::open(*g_net, std::move(*parsed), backlog, accepted,
                                    [made, listener, done](const Result<>& result) {
                                        // After a cancelled listen there is still the close, which ends the
                                        // handle.
                                        if (!result && result.error().errno_value != Listener::kCancelled) {
                                            delete made;
                                            *listener = nullptr;
                                        }
                                        complete(done, result);
                                    });
}

void do_pause(outport_listener* listener, std::uint32_t paused) noexcept {
    to_api(listener)->listener->pause(paused != 0);
}

void do_close(outport_listener* listener, outport_net_done* done) noexcept {
    ApiListener* closing = to_api(listener);
    closing->listener->close([closing, done](const Result<>& result) {
        delete closing;
        complete(done, result);
    });
}

constexpr outport_net_api kTable{sizeof(outport_net_api), 0, do_listen, do_pause, do_close};

} // namespace

const outport_net_api* net_api(Net& net) {
    g_net = &net;
    return &kTable;
}

} // namespace outport::net
