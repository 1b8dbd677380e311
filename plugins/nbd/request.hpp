// SPDX-License-Identifier: Apache-2.0
// One request as it stands on the wire, and the one place that says whether it may be carried out.
// Thread-safe: values and pure functions.
#pragma once

#include "session.hpp"
#include "wire.hpp"

#include <string>

namespace outport::nbd {

struct WireRequest {
    std::uint32_t magic;
    std::uint16_t flags;
    std::uint16_t type;
    std::uint64_t cookie; // opaque, in the byte order of the wire
    std::uint64_t offset;
    std::uint32_t length;

    Command command() const noexcept { return Command(type); }
    bool has_payload() const noexcept { return command() == Command::Write; }
};

// `from` has kRequestSize bytes.
inline WireRequest decode_request(const std::byte* from) noexcept {
    WireRequest request;
    request.magic = load_be<std::uint32_t>(from);
    request.flags = load_be<std::uint16_t>(from + 4);
    request.type = load_be<std::uint16_t>(from + 6);
    std::memcpy(&request.cookie, from + 8, sizeof request.cookie);
    request.offset = load_be<std::uint64_t>(from + 16);
    request.length = load_be<std::uint32_t>(from + 24);
    return request;
}

// What is wrong with a request.
enum class Fault : std::uint8_t {
    None,
    Magic, // the stream is out of step: answered, then the connection ends
    Type,
    TooLong, // the payload of such a write is not read: answered, then the connection ends
    ReadOnly,
    PastEnd,
    Flags,
    NoContext,
    EmptyStatus,
};

struct Verdict {
    Fault fault = Fault::None;
    std::uint32_t error = 0; // on the wire
    bool fatal = false;      // no further request can be read

    explicit operator bool() const noexcept { return fault == Fault::None; }
};

// Everything that can be said about a request before it is carried out, in the reference server's order, with
// the error numbers that the protocol asks for.
Verdict validate(const WireRequest& request, const Session& session) noexcept;

// The sentence for the person at the other end.
std::string describe(Fault fault, const WireRequest& request, const Session& session);

} // namespace outport::nbd
