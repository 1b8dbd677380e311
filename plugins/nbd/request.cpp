// SPDX-License-Identifier: Apache-2.0
#include "request.hpp"

#include <outport/cpp/text.hpp>

namespace outport::nbd {

namespace {

using sdk::cat;

std::string hex(std::uint32_t number) {
    char digits[8];
    return {digits, std::to_chars(digits, digits + sizeof digits, number, 16).ptr};
}

// What each command is checked for.
struct Rules {
    bool known;
    bool writes;            // refused on a read-only export
    bool bounded;           // the length is one of a payload, or of work like one
    std::uint16_t flags;    // beside FUA, which any command may carry ("Command flags")
    std::uint32_t too_long; // error for a length above kMaxPayload
    std::uint32_t past_end; // error for a range past the end
};

constexpr Rules kRules[] = {
    /* Read        */ {true, false, true, kFlagDf, kEOVERFLOW, kEINVAL},
    /* Write       */ {true, true, true, 0, kEINVAL, kENOSPC},
    /* Disconnect  */ {true, false, false, 0, 0, 0},
    /* Flush       */ {true, false, false, 0, 0, kEINVAL},
    /* Trim        */ {true, true, false, 0, 0, kEINVAL},
    /* Cache       */ {true, false, true, 0, kEOVERFLOW, kEINVAL},
    /* WriteZeroes */ {true, true, false, kFlagNoHole | kFlagFastZero, 0, kENOSPC},
    /* BlockStatus */ {true, false, false, kFlagReqOne, 0, kEINVAL},
};

constexpr Rules kUnknown{};

const Rules& rules_for(const WireRequest& request) {
    return request.type < std::size(kRules) ? kRules[request.type] : kUnknown;
}

std::uint16_t allowed_flags(const WireRequest& request, const Rules& rules, const Session& session) {
    std::uint16_t flags = rules.flags | kFlagFua;
    if (request.command() == Command::Read && !session.structured)
        flags &= std::uint16_t(~kFlagDf); // SEND_DF was not offered
    return flags;
}

} // namespace

Verdict validate(const WireRequest& request, const Session& session) noexcept {
    if (request.magic != kRequestMagic)
        return {Fault::Magic, kEINVAL, true};
    const Rules& rules = rules_for(request);
    if (!rules.known)
        return {Fault::Type, kEINVAL, false};
    if (request.command() == Command::Disconnect)
        return {};
    if (rules.bounded && request.length > kMaxPayload) {
        // EOVERFLOW is for clients that know of structured replies, or of a largest payload without one.
        const bool plain_read = request.command() == Command::Read && !session.structured;
        return {Fault::TooLong, plain_read ? kEINVAL : rules.too_long, request.has_payload()};
    }
    if (rules.writes && (session.flags & kReadOnly))
        return {Fault::ReadOnly, kEPERM, false};
    if (request.offset > session.size || request.length > session.size - request.offset)
        return {Fault::PastEnd, rules.past_end, false};
    if (request.flags & ~allowed_flags(request, rules, session))
        return {Fault::Flags, kEINVAL, false};
#ifdef OUTPORT_PLANTED_BUG // for tests/fuzz to find
    if (request.command() == Command::BlockStatus && (request.flags & kFlagFua))
        __builtin_trap();
#endif
    if (request.command() == Command::BlockStatus) {
        if (!session.base_allocation)
            return {Fault::NoContext, kEINVAL, false};
        if (request.length == 0)
            return {Fault::EmptyStatus, kEINVAL, false};
    }
    return {};
}

std::string describe(Fault fault, const WireRequest& request, const Session& session) {
    switch (fault) {
    case Fault::None:
        break;
    case Fault::Magic:
        return cat("invalid magic (got 0x", hex(request.magic), ", expected 0x", hex(kRequestMagic), ")");
    case Fault::Type:
        return cat("invalid request type (", request.type, ") received");
    case Fault::TooLong:
        return cat("len (", request.length, ") is larger than max len (", kMaxPayload, ")");
    case Fault::ReadOnly:
        return "Export is read-only";
    case Fault::PastEnd:
        return cat("operation past EOF; From: ", request.offset, ", Len: ", request.length,
                   ", Size: ", session.size);
    case Fault::Flags:
        return cat("unsupported flags for command ", command_name(request.type), " (got 0x",
                   hex(request.flags), ")");
    case Fault::NoContext:
        return "CMD_BLOCK_STATUS not negotiated";
    case Fault::EmptyStatus:
        return "need non-zero length";
    }
    return {};
}

} // namespace outport::nbd
