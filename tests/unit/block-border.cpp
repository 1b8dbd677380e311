// SPDX-License-Identifier: Apache-2.0
// What is let in at the border of the plugin ABI, and how null nodes answer.
#include "block-support.hpp"

#include <cerrno>

namespace outport::block::test {

namespace {

class Border : public BlockTest {
  protected:
    Border() {
        EXPECT_EQ(add(R"({"driver":"null-co","node-name":"n","size":1048576})"), "");
        queue_ = serve("n");
    }
    std::int32_t result_of(Request& request) { return run(queue_, request); }

    outport_block_queue* queue_;
    char buffer_[4096] = {};
};

TEST_F(Border, ReadGivesZeroes) {
    EXPECT_EQ(read(queue_, 1000, 3000), std::string(3000, '\0'));
}

TEST_F(Border, InfoTellsSizeAndRequestSize) {
    outport_export handle;
    handle.root = roots_.front();
    outport_block_info info{};
    info.struct_size = sizeof info;
    block_api().get_info(&handle, &info);
    EXPECT_EQ(info.size, 1048576u);
    EXPECT_EQ(info.request_size, kRequestSize);
    EXPECT_EQ(info.flags & OUTPORT_BLOCK_IS_WRITABLE, OUTPORT_BLOCK_IS_WRITABLE);
    EXPECT_EQ(info.request_alignment, 1u);
    EXPECT_EQ(info.max_transfer, UINT64_MAX);
}

TEST_F(Border, InfoWritesNoMoreThanThePluginKnows) {
    outport_export handle;
    handle.root = roots_.front();
    outport_block_info info{};
    info.struct_size = 16; // up to and with `size`
    info.request_size = 77;
    block_api().get_info(&handle, &info);
    EXPECT_EQ(info.size, 1048576u);
    EXPECT_EQ(info.request_size, 77u);
    EXPECT_EQ(info.struct_size, 16u);
}

TEST_F(Border, ANoticeThatTheHostHasNotIsRefused) {
    struct Newer {
        outport_block_notices known{};
        void (*of_a_later_minor)(void*) = nullptr;
    } notices;
    notices.known.struct_size = sizeof notices;
    open(*roots_.front(), &notices.known); // null: not asked for
    notices.of_a_later_minor = [](void*) {};
    outport_export handle;
    handle.root = roots_.front();
    outport_block_queue* queue = nullptr;
    outport_error why;
    EXPECT_EQ(
        block_api().queue_open(&handle, sdk::to_handle(loop_.get()), &notices.known, nullptr, &queue, &why),
        OUTPORT_UNSUPPORTED);
    EXPECT_EQ(queue, nullptr);
    EXPECT_NE(why.message, "");
}

TEST_F(Border, LengthZeroSucceeds) {
    for (std::uint32_t op : {OUTPORT_BLOCK_READ, OUTPORT_BLOCK_WRITE, OUTPORT_BLOCK_DISCARD,
                             OUTPORT_BLOCK_WRITE_ZEROES, OUTPORT_BLOCK_CACHE, OUTPORT_BLOCK_STATUS})
        EXPECT_EQ(run(queue_, op, 1048576, 0), 0) << op;
}

TEST_F(Border, AllocatingSucceedsWhereTheNodeKnowsNoSuchThing) {
    EXPECT_EQ(run(queue_, OUTPORT_BLOCK_ALLOCATE, 1000, 3000), 0);
    EXPECT_EQ(run(queue_, OUTPORT_BLOCK_ALLOCATE, 1048576, 0), 0);
    EXPECT_EQ(run(queue_, OUTPORT_BLOCK_ALLOCATE, 1048576 - 4095, 4096), -EINVAL);
    EXPECT_EQ(run(queue_, OUTPORT_BLOCK_ALLOCATE, 0, 4096, nullptr, OUTPORT_BLOCK_FUA), -EINVAL);
}

TEST_F(Border, RangePastTheEndIsRefused) {
    for (std::uint32_t op : {OUTPORT_BLOCK_READ, OUTPORT_BLOCK_WRITE, OUTPORT_BLOCK_DISCARD,
                             OUTPORT_BLOCK_WRITE_ZEROES, OUTPORT_BLOCK_CACHE, OUTPORT_BLOCK_STATUS}) {
        EXPECT_EQ(run(queue_, op, 1048576 - 4095, 4096, buffer_), -EINVAL) << op;
        EXPECT_EQ(run(queue_, op, 1048577, 0), -EINVAL) << op;
        EXPECT_EQ(run(queue_, op, UINT64_MAX - 100, 4096, buffer_), -EINVAL) << op << ": it wraps";
    }
}

TEST_F(Border, UnknownOperationsAndFlagsAreRefused) {
    for (std::uint32_t op : {0u, 1u, 999u, 1001u, 10001u, 11000u, UINT32_MAX})
        EXPECT_EQ(run(queue_, op, 0, 512, buffer_), -EINVAL) << op;
    EXPECT_EQ(run(queue_, OUTPORT_BLOCK_READ, 0, 512, buffer_, OUTPORT_BLOCK_FUA), -EINVAL);
    EXPECT_EQ(run(queue_, OUTPORT_BLOCK_WRITE, 0, 512, buffer_, OUTPORT_BLOCK_MAY_UNMAP), -EINVAL);
    EXPECT_EQ(run(queue_, OUTPORT_BLOCK_WRITE, 0, 512, buffer_, 1u << 31), -EINVAL);
    EXPECT_EQ(run(queue_, OUTPORT_BLOCK_WRITE, 0, 512, buffer_, OUTPORT_BLOCK_FUA), 0);
    EXPECT_EQ(run(queue_, OUTPORT_BLOCK_DISCARD, 0, 512, nullptr, OUTPORT_BLOCK_FUA), 0);
    EXPECT_EQ(run(queue_, OUTPORT_BLOCK_FLUSH, 0, 0, nullptr, OUTPORT_BLOCK_FUA), -EINVAL);
}

TEST_F(Border, BuffersMustAddUp) {
    Request request;
    outport_iovec two[2] = {{reinterpret_cast<std::uint64_t>(buffer_), 512},
                            {reinterpret_cast<std::uint64_t>(buffer_) + 512, 511}};
    request.set(OUTPORT_BLOCK_READ, 0, 1024, buffer_);
    request.abi()->iov = two;
    request.abi()->iov_count = 2;
    EXPECT_EQ(result_of(request), -EINVAL);
    two[1].length = 512;
    request.done = false;
    EXPECT_EQ(result_of(request), 0);
    two[0].length = UINT64_MAX; // wraps to 1024 - 1 + ...
    two[1].length = 1025;
    request.done = false;
    EXPECT_EQ(result_of(request), -EINVAL);
    request.abi()->iov = nullptr;
    request.done = false;
    EXPECT_EQ(result_of(request), -EINVAL);
}

TEST_F(Border, ReservedBytesMustBeZero) {
    for (int i : {0, 7, 15}) {
        Request request;
        request.set(OUTPORT_BLOCK_READ, 0, 512, buffer_).abi()->reserved[i] = 1;
        EXPECT_EQ(result_of(request), -EINVAL) << i;
    }
}

TEST_F(Border, StatusNeedsAnArray) {
    Request request;
    request.set(OUTPORT_BLOCK_STATUS, 0, 512).abi()->extent_count = 0;
    EXPECT_EQ(result_of(request), -EINVAL);
    request.set(OUTPORT_BLOCK_STATUS, 0, 512).abi()->extents = nullptr;
    EXPECT_EQ(result_of(request), -EINVAL);
}

TEST_F(Border, ReadOnlyExportsRefuseChanges) {
    auto* queue = serve("n", {.writable = false});
    for (std::uint32_t op :
         {OUTPORT_BLOCK_WRITE, OUTPORT_BLOCK_DISCARD, OUTPORT_BLOCK_WRITE_ZEROES, OUTPORT_BLOCK_RESIZE})
        EXPECT_EQ(run(queue, op, 0, 512, op == OUTPORT_BLOCK_WRITE ? buffer_ : nullptr), -EROFS) << op;
    EXPECT_EQ(run(queue, OUTPORT_BLOCK_READ, 0, 512, buffer_), 0);
    EXPECT_EQ(run(queue, OUTPORT_BLOCK_FLUSH), 0);
}

TEST_F(Border, StatusOfNull) {
    EXPECT_EQ(add(R"({"driver":"null-co","node-name":"z","read-zeroes":true})"), "");
    auto* zero = serve("z");
    Request request;
    EXPECT_EQ(run(queue_, request.set(OUTPORT_BLOCK_STATUS, 512, 1024)), 0);
    ASSERT_EQ(request.extents().size(), 1u);
    EXPECT_EQ(request.extents()[0].length, 1024u);
    EXPECT_EQ(request.extents()[0].flags, 0u);
    EXPECT_EQ(run(zero, request.set(OUTPORT_BLOCK_STATUS, 0, 1024)), 0);
    EXPECT_EQ(request.extents()[0].flags, OUTPORT_EXTENT_ZERO);
}

TEST_F(Border, ALatencyCanBeCancelled) {
    EXPECT_EQ(add(R"({"driver":"null-aio","node-name":"slow","latency-ns":3600000000000})"), "");
    auto* queue = serve("slow");
    Request request;
    request.set(OUTPORT_BLOCK_READ, 0, 512, buffer_).submit(queue);
    loop_->run_once(false);
    EXPECT_FALSE(request.done);
    block_api().cancel(queue, request.abi());
    EXPECT_FALSE(request.done);
    run_until([&] { return request.done.load(); });
    EXPECT_EQ(request.result, -ECANCELED);
    EXPECT_EQ(request.calls, 1);
}

TEST_F(Border, OrderOfABatchIsKeptByNull) {
    std::vector<int> order;
    std::vector<std::unique_ptr<Request>> requests;
    std::vector<outport_block_request*> abis;
    for (int i = 0; i < 40; ++i) {
        requests.push_back(std::make_unique<Request>());
        requests.back()->set(OUTPORT_BLOCK_READ, 0, 512, buffer_);
        requests.back()->then = [&order, i](Request&) { order.push_back(i); };
        abis.push_back(requests.back()->abi());
    }
    block_api().submit(queue_, abis.data(), abis.size());
    EXPECT_TRUE(order.empty());
    run_until([&] { return order.size() == 40; });
    EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
}

} // namespace

} // namespace outport::block::test
