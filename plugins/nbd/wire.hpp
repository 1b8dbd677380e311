// SPDX-License-Identifier: Apache-2.0
// The NBD protocol's numbers, as the specification (doc/proto.md of the NBD project) names them, and their
// names for messages. Thread-safe: constants and pure functions.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace outport::nbd {

inline constexpr std::uint64_t kInitMagic = 0x4e42444d41474943;   // "NBDMAGIC"
inline constexpr std::uint64_t kOptionMagic = 0x49484156454f5054; // "IHAVEOPT"
inline constexpr std::uint64_t kOptionReplyMagic = 0x0003e889045565a9;
inline constexpr std::uint32_t kRequestMagic = 0x25609513;
inline constexpr std::uint32_t kSimpleReplyMagic = 0x67446698;
inline constexpr std::uint32_t kStructuredReplyMagic = 0x668e33ef;

// Limits. The first three are the reference server's; the protocol bounds strings at 4096.
inline constexpr std::uint32_t kMaxPayload = 32u << 20; // of one request
inline constexpr std::uint32_t kMaxOption = 32u << 20;
inline constexpr std::uint32_t kMaxString = 4096;

inline constexpr std::size_t kRequestSize = 28;
inline constexpr std::size_t kSimpleReplySize = 16;
inline constexpr std::size_t kChunkSize = 20; // header of a structured reply chunk
inline constexpr std::size_t kOptionHeaderSize = 16;

// Handshake flags; the client's are the same two.
inline constexpr std::uint16_t kFixedNewstyle = 1u << 0;
inline constexpr std::uint16_t kNoZeroes = 1u << 1;

// Transmission flags.
inline constexpr std::uint16_t kHasFlags = 1u << 0;
inline constexpr std::uint16_t kReadOnly = 1u << 1;
inline constexpr std::uint16_t kSendFlush = 1u << 2;
inline constexpr std::uint16_t kSendFua = 1u << 3;
inline constexpr std::uint16_t kSendTrim = 1u << 5;
inline constexpr std::uint16_t kSendWriteZeroes = 1u << 6;
inline constexpr std::uint16_t kSendDf = 1u << 7;
inline constexpr std::uint16_t kCanMultiConn = 1u << 8;
inline constexpr std::uint16_t kSendCache = 1u << 10;
inline constexpr std::uint16_t kSendFastZero = 1u << 11;

// NAME(number, text in messages)
#define OUTPORT_NBD_OPTIONS(X)                                                                               \
    X(ExportName, 1, "export name")                                                                          \
    X(Abort, 2, "abort")                                                                                     \
    X(List, 3, "list")                                                                                       \
    X(StartTls, 5, "starttls")                                                                               \
    X(Info, 6, "info")                                                                                       \
    X(Go, 7, "go")                                                                                           \
    X(StructuredReply, 8, "structured reply")                                                                \
    X(ListMetaContext, 9, "list meta context")                                                               \
    X(SetMetaContext, 10, "set meta context")

#define OUTPORT_NBD_COMMANDS(X)                                                                              \
    X(Read, 0, "read")                                                                                       \
    X(Write, 1, "write")                                                                                     \
    X(Disconnect, 2, "disconnect")                                                                           \
    X(Flush, 3, "flush")                                                                                     \
    X(Trim, 4, "trim")                                                                                       \
    X(Cache, 5, "cache")                                                                                     \
    X(WriteZeroes, 6, "write zeroes")                                                                        \
    X(BlockStatus, 7, "block status")

#define OUTPORT_NBD_ENUMERATOR(name, number, text) name = number,
#define OUTPORT_NBD_CASE(name, number, text)                                                                 \
    case number:                                                                                             \
        return text;

enum class Option : std::uint32_t { OUTPORT_NBD_OPTIONS(OUTPORT_NBD_ENUMERATOR) };
enum class Command : std::uint16_t { OUTPORT_NBD_COMMANDS(OUTPORT_NBD_ENUMERATOR) };

inline std::string_view option_name(std::uint32_t option) {
    switch (option) { OUTPORT_NBD_OPTIONS(OUTPORT_NBD_CASE) }
    return "<unknown>";
}
inline std::string_view command_name(std::uint16_t command) {
    switch (command) { OUTPORT_NBD_COMMANDS(OUTPORT_NBD_CASE) }
    return "<unknown>";
}

#undef OUTPORT_NBD_ENUMERATOR
#undef OUTPORT_NBD_CASE

// Replies to options.
inline constexpr std::uint32_t kRepAck = 1;
inline constexpr std::uint32_t kRepServer = 2;
inline constexpr std::uint32_t kRepInfo = 3;
inline constexpr std::uint32_t kRepMetaContext = 4;
inline constexpr std::uint32_t kRepErrUnsup = 0x80000001;
inline constexpr std::uint32_t kRepErrPolicy = 0x80000002;
inline constexpr std::uint32_t kRepErrInvalid = 0x80000003;
inline constexpr std::uint32_t kRepErrUnknown = 0x80000006;
inline constexpr std::uint32_t kRepErrBlockSizeReqd = 0x80000008;

inline constexpr std::uint16_t kInfoExport = 0;
inline constexpr std::uint16_t kInfoName = 1;
inline constexpr std::uint16_t kInfoDescription = 2;
inline constexpr std::uint16_t kInfoBlockSize = 3;

// Command flags.
inline constexpr std::uint16_t kFlagFua = 1u << 0;
inline constexpr std::uint16_t kFlagNoHole = 1u << 1;
inline constexpr std::uint16_t kFlagDf = 1u << 2;
inline constexpr std::uint16_t kFlagReqOne = 1u << 3;
inline constexpr std::uint16_t kFlagFastZero = 1u << 4;

// Chunks of structured replies.
inline constexpr std::uint16_t kChunkDone = 1u << 0;
inline constexpr std::uint16_t kChunkNone = 0;
inline constexpr std::uint16_t kChunkOffsetData = 1;
inline constexpr std::uint16_t kChunkBlockStatus = 5;
inline constexpr std::uint16_t kChunkError = 0x8001;

inline constexpr std::string_view kBaseAllocation = "base:allocation";
inline constexpr std::uint32_t kBaseAllocationId = 0;
inline constexpr std::uint32_t kStateHole = 1u << 0;
inline constexpr std::uint32_t kStateZero = 1u << 1;

// Errors on the wire.
inline constexpr std::uint32_t kEPERM = 1;
inline constexpr std::uint32_t kEIO = 5;
inline constexpr std::uint32_t kENOMEM = 12;
inline constexpr std::uint32_t kEINVAL = 22;
inline constexpr std::uint32_t kENOSPC = 28;
inline constexpr std::uint32_t kEOVERFLOW = 75;
inline constexpr std::uint32_t kENOTSUP = 95;
inline constexpr std::uint32_t kESHUTDOWN = 108;

// Network byte order.
template <class T> T load_be(const void* from) noexcept {
    T value;
    std::memcpy(&value, from, sizeof value);
    if constexpr (std::endian::native == std::endian::little)
        value = std::byteswap(value);
    return value;
}
template <class T> std::byte* store_be(std::byte* to, T value) noexcept {
    if constexpr (std::endian::native == std::endian::little)
        value = std::byteswap(value);
    std::memcpy(to, &value, sizeof value);
    return to + sizeof value;
}

} // namespace outport::nbd
