// SPDX-License-Identifier: Apache-2.0
// The receive side's memory (slabs, payloads that cross their ends), the send side's list of pieces, the
// pool.
#include "output.hpp"
#include "receiver.hpp"

#include <gtest/gtest.h>

#include <random>

namespace outport::nbd {
namespace {

std::string content(const Payload& payload) {
    std::string out;
    for (std::uint32_t i = 0; i < payload.count; ++i)
        out.append(reinterpret_cast<const char*>(payload.pieces[i].base), payload.pieces[i].length);
    return out;
}
void drop(BufferPool& pool, Payload& payload) {
    for (std::uint32_t i = 0; i < payload.count; ++i)
        pool.drop(payload.buffers[i]);
    payload.count = 0;
}

std::string pattern(std::size_t length, unsigned seed) {
    std::string out(length, '\0');
    std::minstd_rand random(seed + 1);
    for (char& c : out)
        c = char(random());
    return out;
}

// A stream of heads (28 bytes, of which the first 4 say how long the payload is) and payloads, in pieces of
// random length, comes out as it went in.
void run_stream(std::uint32_t alignment, unsigned seed, std::size_t longest) {
    BufferPool pool(alignment);
    {
        Receiver receiver(pool);
        std::mt19937 random(seed);
        std::string stream;
        std::vector<std::string> expected;
        for (unsigned i = 0; i < 200; ++i) {
            std::size_t length = random() % 4 == 0 ? 0 : random() % longest;
            std::string head(kRequestSize, 'h');
            const std::uint32_t word = std::uint32_t(length) | (random() % 8 == 0 ? 1u << 31 : 0);
            std::memcpy(head.data(), &word, 4);
            expected.push_back(pattern(length, i));
            stream += head + expected.back();
            if (word >> 31)
                expected.pop_back(); // to be discarded
        }
        std::size_t at = 0, seen = 0;
        std::vector<Payload> held; // as writes in flight hold their payload
        Payload current;
        bool filling = false;
        auto check = [&] {
            ASSERT_LT(seen, expected.size());
            EXPECT_EQ(content(current), expected[seen]) << "payload " << seen;
            ++seen;
            held.push_back(current);
            if (held.size() > 3) {
                drop(pool, held.front());
                held.erase(held.begin());
            }
        };
        while (at < stream.size()) {
            auto space = receiver.space();
            ASSERT_FALSE(space.empty());
            const std::size_t step =
                std::min({space.size(), stream.size() - at, std::size_t(random() % 70000 + 1)});
            std::memcpy(space.data(), stream.data() + at, step);
            at += step;
            receiver.filled(step);
            if (filling && receiver.payload_complete()) {
                filling = false;
                check();
            }
            while (!filling && receiver.ready().size() >= kRequestSize) {
                std::uint32_t word;
                std::memcpy(&word, receiver.ready().data(), 4);
                receiver.consume(kRequestSize);
                const std::size_t length = word & 0x7fffffff;
                if (word >> 31) {
                    receiver.discard(length);
                    continue;
                }
                current.count = 0;
                if (length > 0) {
                    ASSERT_TRUE(receiver.take_payload(length, current));
                }
                if (receiver.payload_complete())
                    check();
                else
                    filling = true;
            }
        }
        EXPECT_EQ(seen, expected.size());
        for (auto& payload : held)
            drop(pool, payload);
    }
    EXPECT_EQ(pool.in_use(), 0u);
}

TEST(NbdReceiver, SmallPayloads) {
    for (unsigned seed = 0; seed < 20; ++seed)
        run_stream(1, seed, 5000);
}
TEST(NbdReceiver, LargePayloads) {
    for (unsigned seed = 0; seed < 4; ++seed)
        run_stream(1, seed, 700000);
}
TEST(NbdReceiver, AlignedPayloads) {
    for (unsigned seed = 0; seed < 20; ++seed)
        run_stream(512, seed, 100000);
}

TEST(NbdReceiver, PayloadStaysWhereItWasReceived) {
    BufferPool pool(1);
    Receiver receiver(pool);
    auto space = receiver.space();
    receiver.filled(kRequestSize + 4096);
    receiver.consume(kRequestSize);
    Payload payload;
    ASSERT_TRUE(receiver.take_payload(4096, payload));
    ASSERT_EQ(payload.count, 1u);
    EXPECT_EQ(payload.pieces[0].base, reinterpret_cast<std::uint64_t>(space.data() + kRequestSize));
    drop(pool, payload);
}

TEST(NbdReceiver, LongAlignedPayloadIsOnePage) {
    BufferPool pool(512);
    Receiver receiver(pool);
    receiver.space();
    receiver.filled(kRequestSize + 100);
    receiver.consume(kRequestSize);
    Payload payload;
    ASSERT_TRUE(receiver.take_payload(1 << 20, payload));
    ASSERT_EQ(payload.count, 1u);
    EXPECT_EQ(payload.pieces[0].base % 4096, 0u);
    EXPECT_EQ(receiver.space().size(), (1u << 20) - 100);
    EXPECT_TRUE(receiver.wants_all());
    receiver.filled((1 << 20) - 100);
    drop(pool, payload);
}

TEST(NbdBuffers, ReuseAndTrim) {
    BufferPool pool(1);
    Buffer* first = pool.take(4096);
    pool.drop(first);
    EXPECT_EQ(pool.take(1), first);
    pool.drop(first);
    EXPECT_FALSE(pool.wants_trim());
    Buffer* large = pool.take(8 << 20);
    EXPECT_EQ(large->capacity(), 8u << 20);
    pool.drop(large);
    EXPECT_TRUE(pool.wants_trim());
    pool.trim(); // it was needed since the last
    EXPECT_TRUE(pool.wants_trim());
    pool.trim();
    EXPECT_FALSE(pool.wants_trim());
    EXPECT_EQ(pool.cached(), 4096u);
    EXPECT_EQ(pool.in_use(), 0u);
}

// An idle loop must not be woken again and again for memory that cannot be given back yet.
TEST(NbdBuffers, TrimEndsWhenNothingCanBeFreed) {
    BufferPool pool(1);
    std::vector<Buffer*> held, unused;
    while (pool.in_use() < 256)
        (pool.in_use() % 4 == 0 ? held : unused).push_back(pool.take(16384));
    for (Buffer* buffer : unused)
        pool.drop(buffer);
    EXPECT_TRUE(pool.wants_trim());
    EXPECT_TRUE(pool.trim()) << "they were in use since the last";
    EXPECT_FALSE(pool.trim()) << "each mapping has one that is in use";
    for (Buffer* buffer : held)
        pool.drop(buffer);
    EXPECT_TRUE(pool.wants_trim());
    EXPECT_TRUE(pool.trim());
    EXPECT_FALSE(pool.trim());
    EXPECT_FALSE(pool.wants_trim());
}

TEST(NbdBuffers, Alignment) {
    BufferPool pool(4096);
    for (std::size_t size : {1u, 4096u, 4097u, 65536u, 32u << 20}) {
        Buffer* buffer = pool.take(size);
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(buffer->data()) % 4096, 0u);
        EXPECT_GE(buffer->capacity(), size);
        pool.drop(buffer);
    }
}

// Sends at most `most` bytes at once, of which the kernel takes `step`.
std::string drain(Output& output, std::size_t step, std::uint64_t most = UINT64_MAX) {
    std::string out;
    while (!output.empty()) {
        std::string whole;
        const auto [pieces, length] = output.next(most);
        for (auto& piece : pieces)
            whole.append(reinterpret_cast<const char*>(piece.base), piece.length);
        EXPECT_TRUE(pieces.size() == 1 || whole.size() == length);
        EXPECT_LE(length, most);
        EXPECT_LE(length, output.bytes());
        whole.resize(length);
        out += whole.substr(0, step);
        output.sent(std::min(step, whole.size()));
    }
    return out;
}

class NbdOutput : public testing::Test {
  protected:
    InFlight& read(std::uint64_t cookie, std::string_view data) {
        request.wire = {kRequestMagic, 0,   std::uint16_t(Command::Read),
                        cookie,        512, std::uint32_t(data.size())};
        request.error = 0;
        Buffer* buffer = pool.take(data.size());
        std::memcpy(buffer->data(), data.data(), data.size());
        request.payload.buffers[0] = buffer;
        request.payload.pieces[0] = {reinterpret_cast<std::uint64_t>(buffer->data()), data.size()};
        request.payload.count = 1;
        return request;
    }
    InFlight& head(Command command, std::uint32_t error, const char* what = nullptr) {
        request.wire = {kRequestMagic, 0, std::uint16_t(command), 0x0807060504030201, 0, 0};
        request.error = error;
        request.what = what;
        request.payload.count = 0;
        return request;
    }
    BufferPool pool{1};
    Output output{pool};
    InFlight request;
};

using namespace std::literals;

TEST_F(NbdOutput, SimpleReplies) {
    EXPECT_TRUE(output.add(read(0x0807060504030201, "data"), false));
    EXPECT_TRUE(output.add(head(Command::Write, 0), false));
    EXPECT_TRUE(output.add(head(Command::Write, kENOSPC, "no"), false));
    EXPECT_EQ(output.next(UINT64_MAX).pieces.size(),
              2u); // head and data are one piece, and so are heads beside each other
    EXPECT_EQ(drain(output, 7), "\x67\x44\x66\x98\0\0\0\0\1\2\3\4\5\6\7\x08"
                                "data"
                                "\x67\x44\x66\x98\0\0\0\0\1\2\3\4\5\6\7\x08"
                                "\x67\x44\x66\x98\0\0\0\x1c\1\2\3\4\5\6\7\x08"s);
    EXPECT_EQ(pool.in_use(), 0u);
}

TEST_F(NbdOutput, SendsInBoundedSteps) {
    for (std::uint64_t most : {1u, 15u, 16u, 17u, 40u, 100u, 5000u}) {
        for (int i = 0; i < 3; ++i) {
            EXPECT_TRUE(output.add(read(1, "payload"), false));
            EXPECT_TRUE(output.add(head(Command::Write, 0), false));
        }
        EXPECT_EQ(output.bytes(), 3u * (16 + 7 + 16));
        EXPECT_EQ(drain(output, 1000, most).size(), 3u * (16 + 7 + 16));
    }
}

TEST_F(NbdOutput, StructuredReplies) {
    EXPECT_TRUE(output.add(read(0x0807060504030201, "data"), true));
    EXPECT_TRUE(output.add(head(Command::Read, 0), true));
    EXPECT_TRUE(output.add(head(Command::Flush, 0), true));
    EXPECT_TRUE(output.add(head(Command::Read, kEIO, "bad"), true));
    EXPECT_EQ(drain(output, 1000), "\x66\x8e\x33\xef\0\1\0\1\1\2\3\4\5\6\7\x08\0\0\0\x0c\0\0\0\0\0\0\2\0"
                                   "data"
                                   "\x66\x8e\x33\xef\0\1\0\0\1\2\3\4\5\6\7\x08\0\0\0\0"
                                   "\x67\x44\x66\x98\0\0\0\0\1\2\3\4\5\6\7\x08"
                                   "\x66\x8e\x33\xef\0\1\x80\1\1\2\3\4\5\6\7\x08\0\0\0\x09\0\0\0\5\0\3"
                                   "bad"s);
}

TEST_F(NbdOutput, RefusesWhenFullAndGoesOnAfter) {
    unsigned heads = 0, data = 0;
    while (output.add(head(Command::Write, 0), false))
        ++heads;
    EXPECT_GE(heads, 128u);
    while (output.add(read(1, "x"), false))
        ++data;
    pool.drop(request.payload.buffers[0]); // of the one that was refused
    EXPECT_GE(data, 128u);
    EXPECT_EQ(drain(output, 1000).size(), heads * 16 + data * 17);
    EXPECT_TRUE(output.add(head(Command::Write, 0), false));
    output.clear();
}

} // namespace
} // namespace outport::nbd
