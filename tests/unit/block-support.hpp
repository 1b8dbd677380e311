// SPDX-License-Identifier: Apache-2.0
// What the tests of the block layer share: a graph on a main loop, files that go away, requests as a plugin
// makes them. Not thread-safe.
#pragma once

#include "host/block/graph.hpp"
#include "host/block/queue.hpp"
#include "host/block/root.hpp"
#include "host/block/sdk-block.hpp"
#include "host/block/test-drivers.hpp"
#include "host/loop/blocking-pool.hpp"
#include "host/loop/iothread.hpp"
#include "host/loop/loop.hpp"

#include <boost/json.hpp>
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <optional>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace outport::block::test {

// A file in a folder of its own, of `size` bytes.
class TempFile {
  public:
    explicit TempFile(std::uint64_t size, const char* folder = nullptr) {
        std::string base = folder ? folder : std::string(::testing::TempDir());
        std::string pattern = base + "/outport-block-XXXXXX";
        int fd = mkstemp(pattern.data());
        EXPECT_GE(fd, 0);
        EXPECT_EQ(ftruncate(fd, static_cast<off_t>(size)), 0);
        ::close(fd);
        path_ = pattern;
    }
    TempFile(const TempFile&) = delete;
    TempFile& operator=(const TempFile&) = delete;
    ~TempFile() { unlink(path_.c_str()); }

    const std::string& path() const { return path_; }
    std::uint64_t size() const { return status().st_size; }
    std::uint64_t allocated() const { return status().st_blocks * 512; }
    std::string read(std::uint64_t offset, std::size_t length) const {
        std::string data(length, '?');
        int fd = ::open(path_.c_str(), O_RDONLY);
        data.resize(std::max<ssize_t>(0, pread(fd, data.data(), length, offset)));
        ::close(fd);
        return data;
    }
    void write(std::uint64_t offset, std::string_view data) {
        int fd = ::open(path_.c_str(), O_WRONLY);
        EXPECT_EQ(pwrite(fd, data.data(), data.size(), offset), static_cast<ssize_t>(data.size()));
        ::close(fd);
    }

  private:
    struct stat status() const {
        struct stat s{};
        ::stat(path_.c_str(), &s);
        return s;
    }
    std::string path_;
};

// One request, with the host's state behind it, as a plugin keeps them.
class Request {
  public:
    // The address of this object stands in front of the request, so that a completion finds it.
    Request() : memory_(new(std::align_val_t(16)) std::byte[kFront + kRequestSize]{}) {
        *reinterpret_cast<Request**>(memory_) = this;
    }
    Request(const Request&) = delete;
    Request& operator=(const Request&) = delete;
    ~Request() { ::operator delete[](memory_, std::align_val_t(16)); }

    outport_block_request* abi() { return reinterpret_cast<outport_block_request*>(memory_ + kFront); }

    // Fills in everything; `data` is the buffer of reads and writes.
    Request& set(std::uint32_t op, std::uint64_t offset = 0, std::uint64_t length = 0, void* data = nullptr,
                 std::uint32_t flags = 0) {
        outport_block_request& r = *abi();
        r = {};
        r.op = op;
        r.flags = flags;
        r.offset = offset;
        r.length = length;
        iov_ = {reinterpret_cast<std::uint64_t>(data), length};
        if (data) {
            r.iov = &iov_;
            r.iov_count = 1;
        }
        r.extents = extents_.data();
        r.extent_count = extents_.size();
        r.complete = [](outport_block_request* abi, std::int32_t result) noexcept {
            of(abi).completed(result);
        };
        done = false;
        return *this;
    }

    void submit(outport_block_queue* queue) {
        outport_block_request* one = abi();
        block_api().submit(queue, &one, 1);
    }

    std::vector<outport_extent> extents() const {
        const auto& r = *reinterpret_cast<outport_block_request*>(memory_ + kFront);
        return {extents_.begin(), extents_.begin() + r.extent_count};
    }

    std::atomic<bool> done{false};
    std::int32_t result = 1;
    int calls = 0;
    std::function<void(Request&)> then; // on the loop, at completion

  private:
    static constexpr std::size_t kFront = 16;
    static Request& of(outport_block_request* abi) {
        return **reinterpret_cast<Request**>(reinterpret_cast<std::byte*>(abi) - kFront);
    }
    void completed(std::int32_t r) {
        result = r;
        ++calls;
        done = true;
        if (then)
            then(*this);
    }

    std::byte* memory_;
    outport_iovec iov_{};
    std::array<outport_extent, 64> extents_{};
};

class BlockTest : public ::testing::Test {
  protected:
    explicit BlockTest(const GraphOptions& options = {}) {
        auto made = loop::Loop::create();
        if (!made)
            throw std::runtime_error(made.error().message);
        loop_ = std::move(*made);
        graph_ = std::make_unique<Graph>(*loop_, pool_, options);
    }
    ~BlockTest() override {
        for (auto& queue : queues_)
            block_api().queue_close(queue);
        while (!roots_.empty())
            detach(*roots_.front());
        bool closed = false;
        graph_->close_all([&](Result<>) { closed = true; });
        run_until([&] { return closed; });
        graph_.reset();
        loop_->stop();
        loop_->run();
        loop_.reset();
        EXPECT_TRUE(pool_.shutdown(5'000'000'000).empty());
    }

    template <class Condition> void run_until(Condition condition) {
        while (!condition())
            loop_->run_once(true);
    }

    // Waits for the answer of an asynchronous call: `await([&](auto done) { graph.del("x", done); })` gives
    // "" or the message.
    template <class Call> std::string await(Call call) {
        std::optional<std::string> answer;
        call([&](Result<> result) { answer = result ? "" : result.error().message; });
        run_until([&] { return answer.has_value(); });
        return *answer;
    }

    std::string add(std::string_view json) {
        auto options = boost::json::parse(json).as_object();
        return await([&](auto done) { graph_->add(options, done); });
    }
    std::string del(std::string name) {
        return await([&](auto done) { graph_->del(name, done); });
    }
    std::string resize(std::string name, std::uint64_t size) {
        return await([&](auto done) { graph_->resize(name, size, ResizeTo::Exactly, nullptr, done); });
    }

    // An export's hold on a node; null with `error` set.
    Root* attach(std::string_view node, RootOptions options = {.writable = true}) {
        if (options.loops.empty())
            options.loops = {loop_.get()};
        auto found = graph_->find_for_export(node, options.writable);
        if (!found) {
            error = found.error().message;
            return nullptr;
        }
        std::optional<Root*> answer;
        graph_->attach(**found, options, [&](Result<Root*> result) {
            error = result ? "" : result.error().message;
            answer = result ? *result : nullptr;
        });
        run_until([&] { return answer.has_value(); });
        if (*answer)
            roots_.push_back(*answer);
        return *answer;
    }
    void detach(Root& root) {
        std::erase(roots_, &root);
        await([&](auto done) { graph_->detach(root, done); });
    }

    // A queue on the main loop, closed at the end of the test.
    outport_block_queue* open(Root& root, const outport_block_notices* notices = nullptr,
                              void* data = nullptr) {
        outport_export handle;
        handle.root = &root;
        outport_block_queue* queue = nullptr;
        outport_error failure;
        EXPECT_EQ(
            block_api().queue_open(&handle, sdk::to_handle(loop_.get()), notices, data, &queue, &failure),
            OUTPORT_OK);
        queues_.push_back(queue);
        return queue;
    }
    void close(outport_block_queue* queue) {
        std::erase(queues_, queue);
        block_api().queue_close(queue);
    }
    outport_block_queue* serve(std::string_view node, RootOptions options = {.writable = true}) {
        Root* root = attach(node, options);
        EXPECT_TRUE(root) << error;
        return root ? open(*root) : nullptr;
    }

    std::int32_t run(outport_block_queue* queue, Request& request) {
        request.submit(queue);
        EXPECT_FALSE(request.done) << "completed inside submit";
        run_until([&] { return request.done.load(); });
        return request.result;
    }
    std::int32_t run(outport_block_queue* queue, std::uint32_t op, std::uint64_t offset = 0,
                     std::uint64_t length = 0, void* data = nullptr, std::uint32_t flags = 0) {
        Request request;
        return run(queue, request.set(op, offset, length, data, flags));
    }
    std::string read(outport_block_queue* queue, std::uint64_t offset, std::size_t length) {
        std::string data(length, '?');
        EXPECT_EQ(run(queue, OUTPORT_BLOCK_READ, offset, length, data.data()), 0);
        return data;
    }
    std::int32_t write(outport_block_queue* queue, std::uint64_t offset, std::string data,
                       std::uint32_t flags = 0) {
        return run(queue, OUTPORT_BLOCK_WRITE, offset, data.size(), data.data(), flags);
    }

    FaultCounts counts(std::string_view node) { return *fault_counts(graph_->find(node)->driver()); }
    void rules(std::string_view node, std::vector<FaultRule> rules) {
        EXPECT_TRUE(fault_set(graph_->find(node)->driver(), std::move(rules)));
    }
    static std::uint64_t of(const FaultCounts& counts, Op op) {
        return counts.ops[static_cast<unsigned>(op)];
    }

    std::unique_ptr<loop::Loop> loop_;
    loop::BlockingPool pool_;
    std::unique_ptr<Graph> graph_;
    std::vector<Root*> roots_;
    std::vector<outport_block_queue*> queues_;
    std::string error;
};

} // namespace outport::block::test
