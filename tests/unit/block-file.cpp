// SPDX-License-Identifier: Apache-2.0
// The drivers file and raw: data, holes, ends of files, options.
#include "block-support.hpp"

#include "host/base/text.hpp"

#include <algorithm>
#include <cerrno>
#include <numeric>

namespace outport::block::test {

namespace {

std::string pattern(std::size_t length, unsigned seed = 1) {
    std::string data(length, '\0');
    for (std::size_t i = 0; i < length; ++i)
        data[i] = static_cast<char>((i * 31 + i / 251 + seed * 7) | 1);
    return data;
}

class FileNode : public BlockTest {
  protected:
    std::string add_file(const TempFile& file, std::string_view more = "", std::string_view name = "f") {
        return add(cat(R"({"driver":"file","node-name":")", name, R"(","filename":")", file.path(), "\"",
                       more.empty() ? "" : ",", more, "}"));
    }
};

TEST_F(FileNode, WritesAndReadsAnyRange) {
    TempFile file(1 << 20);
    ASSERT_EQ(add_file(file), "");
    auto* queue = serve("f");
    std::string data = pattern(100000);
    EXPECT_EQ(write(queue, 777, data), 0);
    EXPECT_EQ(read(queue, 777, data.size()), data);
    EXPECT_EQ(file.read(777, data.size()), data);
    EXPECT_EQ(run(queue, OUTPORT_BLOCK_FLUSH), 0);
}

TEST_F(FileNode, MoreBuffersThanTheKernelTakesAtOnce) {
    TempFile file(1 << 20);
    ASSERT_EQ(add_file(file), "");
    auto* queue = serve("f");
    std::string data = pattern(3 * 1024 * 7), back(data.size(), '?');
    std::vector<outport_iovec> from, to;
    for (std::size_t i = 0; i < data.size(); i += 7) {
        from.push_back({reinterpret_cast<std::uint64_t>(data.data() + i), 7});
        to.push_back({reinterpret_cast<std::uint64_t>(back.data() + i), 7});
        from.push_back({0, 0}); // empty ones count for nothing
    }
    Request request;
    request.set(OUTPORT_BLOCK_WRITE, 5, data.size(), data.data());
    request.abi()->iov = from.data();
    request.abi()->iov_count = from.size();
    EXPECT_EQ(run(queue, request), 0);
    request.set(OUTPORT_BLOCK_READ, 5, back.size(), back.data());
    request.abi()->iov = to.data();
    request.abi()->iov_count = to.size();
    EXPECT_EQ(run(queue, request), 0);
    EXPECT_EQ(back, data);
}

TEST_F(FileNode, LengthIsRoundedUpAndTheTailIsZero) {
    TempFile file(1000);
    file.write(0, pattern(1000));
    ASSERT_EQ(add_file(file), "");
    auto* queue = serve("f");
    EXPECT_EQ(graph_->find("f")->size(), 1024u);
    EXPECT_EQ(read(queue, 0, 1024), pattern(1000) + std::string(24, '\0'));
    EXPECT_EQ(read(queue, 1010, 14), std::string(14, '\0'));
    EXPECT_EQ(file.size(), 1000u);
    EXPECT_EQ(write(queue, 1020, "tail"), 0);
    EXPECT_EQ(file.size(), 1024u);
    EXPECT_EQ(read(queue, 990, 34), pattern(1000).substr(990) + std::string(20, '\0') + "tail");
}

TEST_F(FileNode, StatusOfASparseFile) {
    TempFile file(1 << 20);
    file.write(128 << 10, pattern(64 << 10));
    file.write(512 << 10, pattern(4096));
    ASSERT_EQ(add_file(file), "");
    auto* queue = serve("f");
    Request request;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> seen;
    std::uint64_t at = 0;
    while (at < 1 << 20) {
        ASSERT_EQ(run(queue, request.set(OUTPORT_BLOCK_STATUS, at, (1 << 20) - at)), 0);
        std::uint64_t before = at;
        for (std::uint32_t i = 0; i < request.abi()->extent_count; ++i) {
            const outport_extent& extent = request.abi()->extents[i];
            seen.emplace_back(extent.length, extent.flags);
            at += extent.length;
        }
        ASSERT_GT(at, before) << "no progress";
    }
    std::vector<std::pair<std::uint64_t, std::uint64_t>> want{{128 << 10, OUTPORT_EXTENT_ZERO},
                                                              {64 << 10, OUTPORT_EXTENT_DATA},
                                                              {320 << 10, OUTPORT_EXTENT_ZERO},
                                                              {4096, OUTPORT_EXTENT_DATA},
                                                              {(508 << 10), OUTPORT_EXTENT_ZERO}};
    EXPECT_EQ(seen, want);
    // One extent, and no more than was asked for.
    request.set(OUTPORT_BLOCK_STATUS, (128 << 10) + 5, 100).abi()->extent_count = 1;
    ASSERT_EQ(run(queue, request), 0);
    ASSERT_EQ(request.extents().size(), 1u);
    EXPECT_EQ(request.extents()[0].length, 100u);
    EXPECT_EQ(request.extents()[0].flags, OUTPORT_EXTENT_DATA);
}

TEST_F(FileNode, AHoleThatIsMadeIsSeen) {
    TempFile file(1 << 20);
    file.write(0, pattern(1 << 20));
    ASSERT_EQ(add_file(file, R"("discard":"unmap")"), "");
    auto* queue = serve("f");
    Request request;
    ASSERT_EQ(run(queue, request.set(OUTPORT_BLOCK_STATUS, 0, 1 << 20)), 0);
    EXPECT_EQ(request.extents()[0].flags, OUTPORT_EXTENT_DATA);
    ASSERT_EQ(run(queue, OUTPORT_BLOCK_DISCARD, 0, 64 << 10), 0);
    ASSERT_EQ(run(queue, request.set(OUTPORT_BLOCK_STATUS, 0, 1 << 20)), 0);
    EXPECT_EQ(request.extents()[0].flags, OUTPORT_EXTENT_ZERO);
    EXPECT_EQ(request.extents()[0].length, 64u << 10);
}

TEST_F(FileNode, DiscardNeedsUnmap) {
    TempFile file(1 << 20);
    file.write(0, pattern(1 << 20));
    std::uint64_t before = file.allocated();
    ASSERT_EQ(add_file(file), "");
    auto* queue = serve("f");
    EXPECT_EQ(run(queue, OUTPORT_BLOCK_DISCARD, 0, 512 << 10), 0);
    EXPECT_EQ(file.allocated(), before);
    EXPECT_EQ(run(queue, OUTPORT_BLOCK_WRITE_ZEROES, 0, 256 << 10, nullptr, OUTPORT_BLOCK_MAY_UNMAP), 0);
    EXPECT_EQ(file.read(0, 256 << 10), std::string(256 << 10, '\0'));
    EXPECT_EQ(file.allocated(), before) << "zeroed, not freed";
}

TEST_F(FileNode, ZeroesMayUnmap) {
    TempFile file(1 << 20);
    file.write(0, pattern(1 << 20));
    std::uint64_t before = file.allocated();
    ASSERT_EQ(add_file(file, R"("discard":"unmap")"), "");
    auto* queue = serve("f");
    EXPECT_EQ(run(queue, OUTPORT_BLOCK_WRITE_ZEROES, 100, 300 << 10, nullptr, OUTPORT_BLOCK_MAY_UNMAP), 0);
    EXPECT_EQ(file.read(0, 1 << 20), pattern(1 << 20).substr(0, 100) + std::string(300 << 10, '\0') +
                                         pattern(1 << 20).substr(100 + (300 << 10)));
    EXPECT_LT(file.allocated(), before);
    EXPECT_EQ(run(queue, OUTPORT_BLOCK_WRITE_ZEROES, 900 << 10, 100, nullptr, OUTPORT_BLOCK_NO_FALLBACK), 0);
    EXPECT_EQ(run(queue, OUTPORT_BLOCK_WRITE_ZEROES, 800 << 10, 100, nullptr, OUTPORT_BLOCK_FUA), 0);
    EXPECT_EQ(file.read(800 << 10, 100), std::string(100, '\0'));
}

TEST_F(FileNode, AllocatedSize) {
    TempFile file(1 << 20);
    file.write(0, pattern(128 << 10));
    ASSERT_EQ(add_file(file), "");
    auto* queue = serve("f");
    Request request;
    ASSERT_EQ(run(queue, request.set(OUTPORT_BLOCK_ALLOCATED_SIZE)), 0);
    EXPECT_EQ(request.extents()[0].length, file.allocated());
}

TEST_F(FileNode, CacheIsAHint) {
    TempFile file(1 << 20);
    ASSERT_EQ(add_file(file), "");
    auto* queue = serve("f");
    EXPECT_EQ(run(queue, OUTPORT_BLOCK_CACHE, 0, 1 << 20), 0);
}

TEST_F(FileNode, DetectsZeroes) {
    TempFile file(1 << 20);
    file.write(0, pattern(1 << 20));
    std::uint64_t before = file.allocated();
    ASSERT_EQ(add_file(file, R"("discard":"unmap","detect-zeroes":"unmap")"), "");
    auto* queue = serve("f");
    EXPECT_EQ(write(queue, 0, std::string(64 << 10, '\0')), 0);
    EXPECT_EQ(file.read(0, 64 << 10), std::string(64 << 10, '\0'));
    EXPECT_LT(file.allocated(), before);
    std::string nearly(64 << 10, '\0');
    nearly.back() = 'x';
    before = file.allocated();
    EXPECT_EQ(write(queue, 128 << 10, nearly), 0);
    EXPECT_EQ(file.allocated(), before);
    EXPECT_EQ(file.read(128 << 10, nearly.size()), nearly);
}

TEST_F(FileNode, DirectAnyAlignment) {
    TempFile file(1 << 20, "."); // the build folder: /tmp may have no direct I/O
    std::string all = pattern(1 << 20);
    file.write(0, all);
    std::string failure = add_file(file, R"("cache":{"direct":true})");
    if (failure.find("O_DIRECT") != std::string::npos)
        GTEST_SKIP() << failure;
    ASSERT_EQ(failure, "");
    EXPECT_GT(graph_->find("f")->limits().request_alignment, 1u);
    auto* queue = serve("f");
    for (auto [offset, length] : std::vector<std::pair<std::size_t, std::size_t>>{
             {0, 4096}, {1, 1}, {511, 2}, {4095, 4098}, {513, 300000}, {(1 << 20) - 3, 3}, {0, 1 << 20}}) {
        EXPECT_EQ(read(queue, offset, length), all.substr(offset, length)) << offset << " " << length;
        std::string data = pattern(length, offset + length);
        EXPECT_EQ(write(queue, offset, data, OUTPORT_BLOCK_FUA), 0);
        all.replace(offset, length, data);
        EXPECT_EQ(file.read(0, all.size()) == all, true) << offset << " " << length;
    }
}

TEST_F(FileNode, RawWindow) {
    TempFile file(1 << 20);
    file.write(0, pattern(1 << 20));
    ASSERT_EQ(add_file(file), "");
    ASSERT_EQ(add(R"({"driver":"raw","node-name":"w","file":"f","offset":512,"size":1024})"), "");
    auto* queue = serve("w");
    EXPECT_EQ(graph_->find("w")->size(), 1024u);
    EXPECT_EQ(read(queue, 0, 1024), pattern(1 << 20).substr(512, 1024));
    EXPECT_EQ(run(queue, OUTPORT_BLOCK_READ, 1, 1024, std::string(1024, 0).data()), -EINVAL);
    EXPECT_EQ(write(queue, 1000, "abc"), 0);
    EXPECT_EQ(file.read(1512, 3), "abc");
    Request request;
    EXPECT_EQ(run(queue, request.set(OUTPORT_BLOCK_STATUS, 0, 1024)), 0);
    EXPECT_EQ(request.extents()[0].length, 1024u);
}

TEST_F(FileNode, RawWindowErrors) {
    TempFile file(1 << 20);
    ASSERT_EQ(add_file(file), "");
    EXPECT_EQ(add(R"({"driver":"raw","node-name":"w","file":"f","offset":2097152})"),
              "Offset (2097152) cannot be greater than size of the containing file (1048576)");
    EXPECT_EQ(
        add(R"({"driver":"raw","node-name":"w","file":"f","offset":512,"size":1048576})"),
        "The sum of offset (512) and size (1048576) has to be smaller or equal to the  actual size of the "
        "containing file (1048576)");
    EXPECT_EQ(add(R"({"driver":"raw","node-name":"w","file":"f","size":1000})"),
              "Specified size is not multiple of 512");
}

TEST_F(FileNode, OpenErrors) {
    TempFile file(1 << 20);
    EXPECT_EQ(add(R"({"driver":"file","node-name":"f","filename":"/nowhere/x"})"),
              "Could not open '/nowhere/x': No such file or directory");
    EXPECT_EQ(add(R"({"driver":"file","node-name":"f","filename":"/"})"),
              "Could not open '/': Is a directory");
    EXPECT_EQ(add(R"({"driver":"file","node-name":"f","filename":"/","read-only":true})"),
              "'file' driver requires '/' to be a regular file");
    EXPECT_EQ(add(R"({"driver":"file","node-name":"f","filename":""})"),
              "The 'file' block driver requires a file name");
    EXPECT_EQ(
        add(cat(R"({"driver":"host_device","node-name":"f","filename":")", file.path(), "\"}")),
        cat("'host_device' driver requires '", file.path(), "' to be either a character or block device"));
    EXPECT_EQ(add_file(file, R"("aio":"native")"),
              "aio=native was specified, but it requires cache.direct=on, which was not specified.");
    EXPECT_EQ(add_file(file, R"("force-share":true)"),
              "force-share=on can only be used with read-only images");
    EXPECT_EQ(add_file(file, R"("detect-zeroes":"unmap")"),
              "setting detect-zeroes to unmap is not allowed without setting discard operation to unmap");
    EXPECT_EQ(add_file(file), "") << "the name is free again";
}

// Puts itself between the kernel and the driver: what a request gets for an answer is so often EINTR.
struct Interrupter {
    explicit Interrupter(int times) { left = times; }
    static void put_before(Request& request) {
        loop::Completion& completion = QueueRequest::of(request.abi())->io.completion;
        driver = completion.fn;
        completion.fn = [](loop::Completion* c, std::int32_t result, std::uint32_t flags) {
            driver(c, left-- > 0 ? -EINTR : result, flags);
        };
    }
    static inline int left;
    static inline loop::Completion::Fn driver;
};

constexpr std::uint32_t kInterruptible[] = {OUTPORT_BLOCK_READ, OUTPORT_BLOCK_WRITE, OUTPORT_BLOCK_FLUSH,
                                            OUTPORT_BLOCK_DISCARD};

TEST_F(FileNode, WhatIsInterruptedIsAskedAgain) {
    TempFile file(1 << 20);
    ASSERT_EQ(add_file(file, R"("discard":"unmap")"), "");
    auto* queue = serve("f");
    std::string data = pattern(4096);
    for (std::uint32_t op : kInterruptible) {
        Interrupter interrupter(op == OUTPORT_BLOCK_DISCARD ? 1 : 3);
        Request request;
        request.set(op, 4096, 4096, data.data()).submit(queue);
        interrupter.put_before(request);
        run_until([&] { return request.done.load(); });
        EXPECT_EQ(request.result, 0) << op;
        EXPECT_LE(interrupter.left, 0) << op;
    }
}

TEST_F(FileNode, WhatIsInterruptedAndCancelledEnds) {
    TempFile file(1 << 20);
    ASSERT_EQ(add_file(file, R"("discard":"unmap")"), "");
    auto* queue = serve("f");
    std::string data = pattern(4096);
    for (std::uint32_t op : kInterruptible) {
        Interrupter interrupter(1000);
        Request request;
        request.set(op, 4096, 4096, data.data()).submit(queue);
        interrupter.put_before(request);
        block_api().cancel(queue, request.abi());
        run_until([&] { return request.done.load(); });
        EXPECT_EQ(request.result, -ECANCELED) << op;
        EXPECT_GT(interrupter.left, 990) << op;
    }
    EXPECT_EQ(run(queue, OUTPORT_BLOCK_FLUSH), 0) << "none of that was an error of the disk";
}

TEST_F(FileNode, AutoReadOnlyOpensForTheFirstWriter) {
    TempFile file(1 << 20);
    ASSERT_EQ(add_file(file, R"("auto-read-only":true)"), "");
    auto* reader = serve("f", {.writable = false});
    EXPECT_EQ(read(reader, 0, 4), std::string(4, '\0'));
    auto* writer = serve("f");
    EXPECT_EQ(write(writer, 0, "data"), 0);
    EXPECT_EQ(read(reader, 0, 4), "data");
    EXPECT_EQ(file.read(0, 4), "data");
}

TEST_F(FileNode, ReadOnlyNodes) {
    TempFile file(1 << 20);
    ASSERT_EQ(add_file(file, R"("read-only":true)"), "");
    EXPECT_EQ(attach("f"), nullptr);
    EXPECT_EQ(error, "Cannot export read-only node as writable");
    ASSERT_EQ(add(R"({"driver":"raw","node-name":"r","file":"f"})"), "");
    EXPECT_EQ(attach("r"), nullptr);
    EXPECT_EQ(error, "Block node is read-only");
    EXPECT_NE(attach("r", {.writable = false}), nullptr);
    EXPECT_EQ(resize("f", 4096), "Image is read-only");
}

} // namespace

} // namespace outport::block::test
