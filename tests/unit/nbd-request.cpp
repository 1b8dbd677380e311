// SPDX-License-Identifier: Apache-2.0
// The checks before a request is carried out, and the table of errors.
#include "errors.hpp"
#include "request.hpp"

#include <gtest/gtest.h>

#include <cerrno>

namespace outport::nbd {
namespace {

WireRequest make(Command command, std::uint64_t offset, std::uint32_t length, std::uint16_t flags = 0) {
    return {kRequestMagic, flags, std::uint16_t(command), 1, offset, length};
}
constexpr Session kWritable{.size = 1 << 20, .flags = 0xded, .structured = true, .base_allocation = true};
constexpr Session kSimple{.size = 1 << 20, .flags = 0xd6d, .structured = false, .base_allocation = false};
constexpr Session kFixed{.size = 1 << 20, .flags = 0x58f, .structured = true, .base_allocation = true};
constexpr Session kHuge{.size = UINT64_MAX, .flags = 0xd6d, .structured = false, .base_allocation = false};

void expect_fault(const WireRequest& request, const Session& session, Fault fault, std::uint32_t error,
                  bool fatal = false) {
    const Verdict verdict = validate(request, session);
    EXPECT_EQ(int(verdict.fault), int(fault));
    EXPECT_EQ(verdict.error, error);
    EXPECT_EQ(verdict.fatal, fatal);
}

TEST(NbdRequest, DecodesTheHeader) {
    const unsigned char bytes[28] = {0x25, 0x60, 0x95, 0x13, 0, 1, 0, 4, 1,    2, 3, 4, 5, 6,
                                     7,    8,    0,    0,    0, 0, 0, 0, 0x10, 0, 0, 0, 2, 0};
    auto request = decode_request(reinterpret_cast<const std::byte*>(bytes));
    EXPECT_EQ(request.magic, kRequestMagic);
    EXPECT_EQ(request.flags, kFlagFua);
    EXPECT_EQ(request.command(), Command::Trim);
    EXPECT_EQ(std::memcmp(&request.cookie, bytes + 8, 8), 0);
    EXPECT_EQ(request.offset, 0x1000u);
    EXPECT_EQ(request.length, 0x200u);
}

TEST(NbdRequest, FineOnes) {
    for (auto command : {Command::Read, Command::Write, Command::Flush, Command::Trim, Command::Cache,
                         Command::WriteZeroes, Command::BlockStatus}) {
        EXPECT_TRUE(validate(make(command, 0, 512, kFlagFua), kWritable));
        EXPECT_TRUE(validate(make(command, (1 << 20) - 512, 512), kWritable));
    }
    EXPECT_TRUE(validate(make(Command::Read, 1 << 20, 0), kWritable));
    EXPECT_TRUE(validate(make(Command::Read, 0, 1, kFlagDf), kWritable));
    EXPECT_TRUE(validate(make(Command::WriteZeroes, 0, 1, kFlagNoHole | kFlagFastZero), kWritable));
    EXPECT_TRUE(validate(make(Command::BlockStatus, 0, 1, kFlagReqOne), kWritable));
    EXPECT_TRUE(validate(make(Command::Disconnect, 77, 77, 0xffff), kFixed));
    EXPECT_TRUE(validate(make(Command::WriteZeroes, 0, UINT32_MAX), kHuge)); // no payload, no bound
    EXPECT_TRUE(validate(make(Command::Read, 0, kMaxPayload), kHuge));
}

TEST(NbdRequest, MagicIsFatal) {
    auto request = make(Command::Read, 0, 1);
    request.magic ^= 1;
    expect_fault(request, kWritable, Fault::Magic, kEINVAL, true);
    EXPECT_EQ(describe(Fault::Magic, request, kWritable),
              "invalid magic (got 0x25609512, expected 0x25609513)");
}

TEST(NbdRequest, UnknownCommand) {
    expect_fault(make(Command(8), 0, 1), kWritable, Fault::Type, kEINVAL);
    expect_fault(make(Command(50), 0, 1), kWritable, Fault::Type, kEINVAL);
    EXPECT_EQ(describe(Fault::Type, make(Command(50), 0, 1), kWritable),
              "invalid request type (50) received");
}

TEST(NbdRequest, ReadOnly) {
    for (auto command : {Command::Write, Command::Trim, Command::WriteZeroes})
        expect_fault(make(command, 0, 1), kFixed, Fault::ReadOnly, kEPERM);
    EXPECT_TRUE(validate(make(Command::Flush, 0, 0), kFixed));
}

TEST(NbdRequest, PastTheEnd) {
    expect_fault(make(Command::Read, 1 << 20, 1), kWritable, Fault::PastEnd, kEINVAL);
    expect_fault(make(Command::Write, (1 << 20) - 1, 2), kWritable, Fault::PastEnd, kENOSPC);
    expect_fault(make(Command::WriteZeroes, (1 << 20) - 1, 2), kWritable, Fault::PastEnd, kENOSPC);
    expect_fault(make(Command::Trim, (1 << 20) - 1, 2), kWritable, Fault::PastEnd, kEINVAL);
    expect_fault(make(Command::BlockStatus, (1 << 20) - 1, 2), kWritable, Fault::PastEnd, kEINVAL);
    expect_fault(make(Command::Read, UINT64_MAX, 2), kWritable, Fault::PastEnd, kEINVAL);  // wraps
    expect_fault(make(Command::Write, UINT64_MAX - 1, 3), kHuge, Fault::PastEnd, kENOSPC); // wraps
    EXPECT_EQ(describe(Fault::PastEnd, make(Command::Read, 5, 6), kWritable),
              "operation past EOF; From: 5, Len: 6, Size: 1048576");
}

TEST(NbdRequest, TooLong) {
    expect_fault(make(Command::Write, 0, kMaxPayload + 1), kHuge, Fault::TooLong, kEINVAL, true);
    expect_fault(make(Command::Read, 0, kMaxPayload + 1), kHuge, Fault::TooLong, kEINVAL);
    Session structured = kHuge;
    structured.structured = true;
    expect_fault(make(Command::Read, 0, kMaxPayload + 1), structured, Fault::TooLong, kEOVERFLOW);
    expect_fault(make(Command::Cache, 0, kMaxPayload + 1), kHuge, Fault::TooLong, kEOVERFLOW);
    EXPECT_EQ(describe(Fault::TooLong, make(Command::Read, 0, 34603008), kHuge),
              "len (34603008) is larger than max len (33554432)");
}

TEST(NbdRequest, Flags) {
    expect_fault(make(Command::Read, 0, 1, kFlagDf), kSimple, Fault::Flags, kEINVAL);
    expect_fault(make(Command::Flush, 0, 0, 2), kWritable, Fault::Flags, kEINVAL);
    expect_fault(make(Command::Write, 0, 1, kFlagNoHole), kWritable, Fault::Flags, kEINVAL);
    expect_fault(make(Command::Read, 0, 1, 0x8000), kWritable, Fault::Flags, kEINVAL);
    EXPECT_EQ(describe(Fault::Flags, make(Command::Flush, 0, 0, 2), kWritable),
              "unsupported flags for command flush (got 0x2)");
}

TEST(NbdRequest, Status) {
    expect_fault(make(Command::BlockStatus, 0, 1), kSimple, Fault::NoContext, kEINVAL);
    expect_fault(make(Command::BlockStatus, 0, 0), kWritable, Fault::EmptyStatus, kEINVAL);
    expect_fault(make(Command::BlockStatus, 0, 1, 2), kSimple, Fault::Flags, kEINVAL); // looked at first
}

TEST(NbdErrors, Table) {
    EXPECT_EQ(wire_error(EROFS), kEPERM);
    EXPECT_EQ(wire_error(EPERM), kEPERM);
    EXPECT_EQ(wire_error(ENOMEM), kENOMEM);
    EXPECT_EQ(wire_error(EDQUOT), kENOSPC);
    EXPECT_EQ(wire_error(EFBIG), kENOSPC);
    EXPECT_EQ(wire_error(ENOSPC), kENOSPC);
    EXPECT_EQ(wire_error(EINVAL), kEINVAL);
    EXPECT_EQ(wire_error(EOVERFLOW), kEOVERFLOW);
    EXPECT_EQ(wire_error(ENOTSUP), kENOTSUP);
    EXPECT_EQ(wire_error(ESHUTDOWN), kESHUTDOWN);
    EXPECT_EQ(wire_error(EIO), kEIO);
    EXPECT_EQ(wire_error(ECANCELED), kEIO); // what is unknown is EIO
    EXPECT_EQ(wire_error(99999), kEIO);
}

} // namespace
} // namespace outport::nbd
