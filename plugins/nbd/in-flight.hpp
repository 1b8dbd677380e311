// SPDX-License-Identifier: Apache-2.0
// A request between its arrival and its reply. Not thread-safe: belongs to its connection's loop.
#pragma once

#include "receiver.hpp"
#include "request.hpp"

#include <outport/cpp/block.hpp>

#include <string>

namespace outport::nbd {

class Connection;

struct InFlight : sdk::BlockRequest<InFlight> {
    Connection* connection = nullptr;
    InFlight* next = nullptr;  // in the list of those that the host has, or of those to be answered
    InFlight** link = nullptr; // in the first of these
    WireRequest wire{};
    Payload payload;         // of a WRITE; for READ and BLOCK_STATUS buffers[0] holds what is sent
    std::uint32_t error = 0; // on the wire; 0 for success
    std::uint32_t extents = 0;
    std::uint32_t charged = 0;  // bytes that count against the connection's bound
    bool flush_first = false;   // a READ with FUA, whose flush is under way
    const char* what = nullptr; // text of an error; or `details`
    std::string details;

    std::string_view text() const noexcept {
        return what ? std::string_view(what) : std::string_view(details);
    }
    bool has_data() const noexcept {
        return error == 0 && payload.count > 0 && wire.command() != Command::Write;
    }
};

} // namespace outport::nbd
