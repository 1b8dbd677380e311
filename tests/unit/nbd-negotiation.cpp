// SPDX-License-Identifier: Apache-2.0
// Negotiation over byte buffers: what a client sends, and what comes back.
#include "negotiation.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace outport::nbd {
namespace {

template <class T> std::string be(T value) {
    std::byte bytes[sizeof value];
    store_be(bytes, value);
    return {reinterpret_cast<const char*>(bytes), sizeof bytes};
}

struct Exports final : ExportDirectory {
    std::vector<ExportView> all;
    std::optional<ExportView> find(std::string_view name) override {
        for (auto& view : all)
            if (view.name == name)
                return view;
        return std::nullopt;
    }
    void for_each(const std::function<void(const ExportView&)>& visit) override {
        for (auto& view : all)
            visit(view);
    }
};

struct Reply {
    std::uint32_t option, type;
    std::string payload;
    bool operator==(const Reply&) const = default;
};

std::string option(Option number, std::string_view payload = {}) {
    return be(kOptionMagic) + be(std::uint32_t(number)) + be(std::uint32_t(payload.size())) +
           std::string(payload);
}
std::string text(std::string_view name) {
    return be(std::uint32_t(name.size())) + std::string(name);
}
std::string info_request(std::string_view name, std::initializer_list<std::uint16_t> wanted = {}) {
    std::string out = text(name) + be(std::uint16_t(wanted.size()));
    for (auto w : wanted)
        out += be(w);
    return out;
}
std::string meta_request(std::string_view name, std::initializer_list<std::string_view> queries = {}) {
    std::string out = text(name) + be(std::uint32_t(queries.size()));
    for (auto q : queries)
        out += text(q);
    return out;
}

class NbdNegotiation : public testing::Test {
  protected:
    NbdNegotiation() {
        exports.all = {{.serial = 7,
                        .name = "a",
                        .description = "the first",
                        .size = 1 << 20,
                        .flags = 0x50f,
                        .min_block = 1,
                        .max_block = kMaxPayload},
                       {.serial = 8,
                        .name = "",
                        .description = "",
                        .size = 4096,
                        .flags = 0xd6d,
                        .min_block = 512,
                        .max_block = 1 << 20}};
    }

    // Sends in pieces of `step` bytes, collecting what is answered.
    std::string send(std::string_view bytes, std::size_t step = std::string::npos) {
        std::string out;
        std::string pending;
        for (std::size_t at = 0; at < bytes.size(); at += std::min(step, bytes.size() - at)) {
            pending += bytes.substr(at, step);
            for (;;) {
                out += std::exchange(machine.output(), {});
                auto used = machine.feed(std::as_bytes(std::span(pending)));
                pending.erase(0, used);
                if (used == 0 && machine.output().empty())
                    break;
            }
            EXPECT_LT(pending.size(), Negotiation::kMaxNeed + 1);
        }
        left = pending;
        return out;
    }
    void greet(std::uint32_t flags = 3) { EXPECT_EQ(send(be(flags)).size(), 18u); }
    std::vector<Reply> ask(std::string_view bytes, std::size_t step = std::string::npos) {
        std::string out = send(bytes, step);
        std::vector<Reply> replies;
        while (out.size() >= 20) {
            EXPECT_EQ(load_be<std::uint64_t>(out.data()), kOptionReplyMagic);
            auto length = load_be<std::uint32_t>(out.data() + 16);
            replies.push_back({load_be<std::uint32_t>(out.data() + 8),
                               load_be<std::uint32_t>(out.data() + 12), out.substr(20, length)});
            out.erase(0, 20 + length);
        }
        EXPECT_EQ(out, "");
        return replies;
    }
    void expect_error(const std::vector<Reply>& replies, std::uint32_t type, std::string_view message) {
        ASSERT_EQ(replies.size(), 1u);
        EXPECT_EQ(replies[0].type, type);
        EXPECT_EQ(replies[0].payload, message);
        EXPECT_EQ(machine.state(), Negotiation::State::Running);
        EXPECT_EQ(ask(option(Option::StructuredReply)).size(), 1u); // still in step
    }

    Exports exports;
    Negotiation machine{exports};
    std::string left;
};

TEST_F(NbdNegotiation, GreetsAsFixedNewstyle) {
    EXPECT_EQ(send(be(std::uint32_t(3))), "NBDMAGICIHAVEOPT" + be(std::uint16_t(3)));
}

TEST_F(NbdNegotiation, DropsUnknownClientFlags) {
    send(be(std::uint32_t(4)));
    EXPECT_EQ(machine.state(), Negotiation::State::Dropped);
    EXPECT_EQ(machine.reason(), "Unknown client flags 0x4 received");
}

TEST_F(NbdNegotiation, DropsBadMagicAndLongOptions) {
    greet();
    send(be(std::uint64_t(1)) + be(std::uint64_t(0)));
    EXPECT_EQ(machine.state(), Negotiation::State::Dropped);
    Negotiation other(exports);
    other.output().clear();
    std::string bytes = be(std::uint32_t(3)) + be(kOptionMagic) + be(std::uint32_t(3)) + be(kMaxOption + 1);
    other.feed(std::as_bytes(std::span(bytes)));
    EXPECT_EQ(other.state(), Negotiation::State::Dropped);
}

TEST_F(NbdNegotiation, WithoutFixedOnlyExportName) {
    greet(0);
    send(option(Option::List));
    EXPECT_EQ(machine.state(), Negotiation::State::Dropped);
}

TEST_F(NbdNegotiation, ExportNameWithAndWithoutZeroes) {
    greet(1);
    EXPECT_EQ(send(option(Option::ExportName, "a")),
              be(std::uint64_t(1 << 20)) + be(std::uint16_t(0x50f)) + std::string(124, '\0'));
    EXPECT_EQ(machine.state(), Negotiation::State::Chosen);
    EXPECT_EQ(machine.chosen_serial(), 7u);
    Negotiation other(exports);
    other.output().clear();
    std::string bytes = be(std::uint32_t(3)) + option(Option::ExportName, "a");
    other.feed(std::as_bytes(std::span(bytes)));
    EXPECT_EQ(other.output().size(), 10u);
}

TEST_F(NbdNegotiation, ExportNameUnknownDrops) {
    greet();
    EXPECT_EQ(send(option(Option::ExportName, "x")), "");
    EXPECT_EQ(machine.state(), Negotiation::State::Dropped);
}

TEST_F(NbdNegotiation, ListsInOrder) {
    greet();
    auto replies = ask(option(Option::List));
    ASSERT_EQ(replies.size(), 3u);
    EXPECT_EQ(replies[0], (Reply{3, kRepServer, text("a") + "the first"}));
    EXPECT_EQ(replies[1], (Reply{3, kRepServer, text("")}));
    EXPECT_EQ(replies[2], (Reply{3, kRepAck, ""}));
    expect_error(ask(option(Option::List, "x")), kRepErrInvalid, "option 'list' has unexpected length");
}

TEST_F(NbdNegotiation, AbortEndsAfterAck) {
    greet();
    auto replies = ask(option(Option::Abort, "why not"));
    ASSERT_EQ(replies.size(), 1u);
    EXPECT_EQ(replies[0].type, kRepAck);
    EXPECT_EQ(machine.state(), Negotiation::State::Ended);
}

TEST_F(NbdNegotiation, GoAnswersInTheReferenceOrder) {
    greet();
    auto replies = ask(option(Option::Go, info_request("a", {kInfoName, kInfoBlockSize, 99})) + "early");
    ASSERT_EQ(replies.size(), 5u);
    EXPECT_EQ(replies[0].payload, be(kInfoName) + "a");
    EXPECT_EQ(replies[1].payload, be(kInfoDescription) + "the first");
    EXPECT_EQ(replies[2].payload, be(kInfoBlockSize) + be(1u) + be(4096u) + be(kMaxPayload));
    EXPECT_EQ(replies[3].payload, be(kInfoExport) + be(std::uint64_t(1 << 20)) + be(std::uint16_t(0x50f)));
    EXPECT_EQ(replies[4].type, kRepAck);
    EXPECT_EQ(machine.state(), Negotiation::State::Chosen);
    EXPECT_EQ(left, "early");
}

TEST_F(NbdNegotiation, GoByteByByte) {
    EXPECT_EQ(send(be(3u), 1).size(), 18u);
    EXPECT_EQ(ask(option(Option::Go, info_request("a", {kInfoName})), 1).size(), 5u);
}

TEST_F(NbdNegotiation, BlockSizeIsRequired) {
    greet();
    auto replies = ask(option(Option::Info, info_request("")));
    ASSERT_EQ(replies.size(), 3u);
    EXPECT_EQ(replies[0].payload, be(kInfoBlockSize) + be(512u) + be(4096u) + be(1u << 20));
    EXPECT_EQ(replies[2], (Reply{6, kRepErrBlockSizeReqd, "request NBD_INFO_BLOCK_SIZE to use this export"}));
    replies = ask(option(Option::Go, info_request("")));
    ASSERT_EQ(replies.size(), 3u);
    EXPECT_EQ(replies[0].payload, be(kInfoBlockSize) + be(1u) + be(4096u) + be(1u << 20));
    EXPECT_EQ(replies[2].type, kRepAck);
}

TEST_F(NbdNegotiation, MalformedInfo) {
    greet();
    expect_error(ask(option(Option::Info, be(std::uint32_t(5)) + "ab")), kRepErrInvalid,
                 "Inconsistent lengths in option info");
}
TEST_F(NbdNegotiation, LongName) {
    greet();
    expect_error(ask(option(Option::Go, be(std::uint32_t(4097)) + std::string(5000, 'x'))), kRepErrInvalid,
                 "Invalid name length: 4097");
}
TEST_F(NbdNegotiation, NulInName) {
    greet();
    expect_error(ask(option(Option::Info, info_request(std::string_view("a\0b", 3)))), kRepErrInvalid,
                 "Unexpected embedded NUL in option info");
}
TEST_F(NbdNegotiation, TrailingBytes) {
    greet();
    expect_error(ask(option(Option::Go, info_request("a") + "x")), kRepErrInvalid,
                 "option 'go' has unexpected length");
}
TEST_F(NbdNegotiation, UnknownExportIsCutInTheAnswer) {
    greet();
    auto replies = ask(option(Option::Go, info_request(std::string(100, 'n'))));
    EXPECT_EQ(replies[0], (Reply{7, kRepErrUnknown, "export '" + std::string(80, 'n') + "...' not present"}));
}

TEST_F(NbdNegotiation, UnknownOptionsAndTls) {
    greet();
    expect_error(ask(option(Option(99), std::string(10000, 'x'))), kRepErrUnsup,
                 "Unsupported option 99 (<unknown>)");
    EXPECT_EQ(ask(option(Option::StartTls))[0], (Reply{5, kRepErrPolicy, "TLS not configured"}));
    EXPECT_EQ(ask(option(Option(11)))[0].type, kRepErrUnsup);
}

TEST_F(NbdNegotiation, StructuredReplyOnce) {
    greet();
    EXPECT_EQ(ask(option(Option::StructuredReply))[0].type, kRepAck);
    EXPECT_EQ(ask(option(Option::StructuredReply))[0],
              (Reply{8, kRepErrInvalid, "structured reply already negotiated"}));
    auto replies = ask(option(Option::Go, info_request("a")));
    EXPECT_EQ(replies[2].payload.substr(10), be(std::uint16_t(0x50f | kSendDf)));
    EXPECT_TRUE(machine.session().structured);
    EXPECT_FALSE(machine.session().base_allocation);
}

TEST_F(NbdNegotiation, SetMetaNeedsStructured) {
    greet();
    expect_error(ask(option(Option::SetMetaContext, meta_request("a", {"base:allocation"}))), kRepErrInvalid,
                 "request option 'set meta context' when structured reply is not negotiated");
}

TEST_F(NbdNegotiation, ListMetaContexts) {
    greet();
    const Reply context{9, kRepMetaContext, be(0u) + "base:allocation"};
    for (auto& request :
         {meta_request("a"), meta_request("a", {"base:"}), meta_request("a", {"x", "base:allocation", ""})}) {
        auto replies = ask(option(Option::ListMetaContext, request));
        ASSERT_EQ(replies.size(), 2u);
        EXPECT_EQ(replies[0], context);
    }
    EXPECT_EQ(
        ask(option(Option::ListMetaContext, meta_request("a", {"qemu:", std::string(5000, 'q')}))).size(),
        1u);
    EXPECT_EQ(ask(option(Option::ListMetaContext, meta_request("zz")))[0].type, kRepErrUnknown);
    EXPECT_EQ(ask(option(Option::ListMetaContext, meta_request("a", {"x"}) + "tail"))[0].type,
              kRepErrInvalid);
    EXPECT_EQ(ask(option(Option::ListMetaContext, text("a") + be(9u)))[0].type, kRepErrInvalid);
}

TEST_F(NbdNegotiation, ContextsAreForOneExport) {
    greet();
    ask(option(Option::StructuredReply));
    auto replies = ask(option(Option::SetMetaContext, meta_request("a", {"base:allocation"})));
    ASSERT_EQ(replies.size(), 2u);
    ask(option(Option::Go, info_request("")));
    EXPECT_FALSE(machine.session().base_allocation);
}

TEST_F(NbdNegotiation, ContextsHoldForTheirExport) {
    greet();
    ask(option(Option::StructuredReply));
    EXPECT_EQ(ask(option(Option::SetMetaContext, meta_request("a", {"base:"}))).size(),
              1u); // chooses nothing
    ask(option(Option::SetMetaContext, meta_request("a", {"base:allocation"})));
    ask(option(Option::Go, info_request("a")));
    EXPECT_TRUE(machine.session().base_allocation);
}

TEST_F(NbdNegotiation, FailedSetVoidsTheEarlierOne) {
    greet();
    ask(option(Option::StructuredReply));
    ask(option(Option::SetMetaContext, meta_request("a", {"base:allocation"})));
    EXPECT_EQ(ask(option(Option::SetMetaContext, "x"))[0].type, kRepErrInvalid);
    ask(option(Option::Go, info_request("a")));
    EXPECT_FALSE(machine.session().base_allocation);
}

// A client that asks much without reading gets one answer at a time.
TEST_F(NbdNegotiation, StopsAtEachAnswer) {
    greet();
    std::string many;
    for (int i = 0; i < 100; ++i)
        many += option(Option::List);
    EXPECT_EQ(machine.feed(std::as_bytes(std::span(many))), kOptionHeaderSize);
    EXPECT_EQ(machine.feed(std::as_bytes(std::span(many))), 0u);
}

} // namespace
} // namespace outport::nbd
