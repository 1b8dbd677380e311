// SPDX-License-Identifier: Apache-2.0
// x-cache: a disk with a volatile cache. What is written stays in memory until a flush; at a power loss it is
// gone. For tests: a mutex around everything, memory without a bound.
#include "host/block/iovecs.hpp"
#include "host/block/node.hpp"
#include "host/block/stage.hpp"
#include "host/block/test-drivers.hpp"
#include "host/block/x-cache-map.hpp"
#include "host/loop/iothread.hpp"
#include "host/loop/loop.hpp"

#include <cerrno>
#include <deque>
#include <functional>
#include <mutex>

namespace outport::block {

using loop::owner_of;

namespace {

class WriteBack;

struct CacheOp {
    Io sub;
    Io* parent = nullptr;
    class CacheContext* context = nullptr;
    WriteBack* driver = nullptr;
    DirtyMap::List dirty; // what a read has to show; what a flush has to write
    std::size_t next = 0;
    std::uint64_t generation = 0;
    iovec part{};
};

class CacheContext final : public NodeContext {
  public:
    using NodeContext::NodeContext;
    Slab<CacheOp> ops;
};

class WriteBack final : public Driver {
  public:
    const char* name() const noexcept override { return "x-cache"; }
    bool takes_any_data() const noexcept override { return true; }
    std::uint64_t size(const Node& node) const override { return node.child()->size(); }
    Limits limits(const Node& node) const override { return node.child()->limits(); }
    std::string filename(const Node& node) const override {
        return node.child()->driver().filename(*node.child());
    }
    std::unique_ptr<NodeContext> make_context(Node& node, loop::Loop& loop) override {
        return std::make_unique<CacheContext>(NodeContext::Services{loop, node.pool(), node.owner()}, 1);
    }
    void resize(Node& node, std::uint64_t size, Done done) override {
        {
            std::lock_guard guard(mutex_);
            map_.cut(size, UINT64_MAX - size);
        }
        resize_node(*node.child(), size, std::move(done));
    }
    void allocated_size(Node& node, Sized done) override {
        node.child()->driver().allocated_size(*node.child(), std::move(done));
    }

    void start(const Stage& stage, Io& io) override;
    CacheCounts lose();
    CacheCounts counts();

  private:
    CacheOp& take(Io& io);
    static void end(CacheOp& op, std::int32_t result);
    void read(Io& io);
    void write(Io& io);
    void flush(Io& io);
    void begin_flush(Io& io);
    void next_dirty(CacheOp& op);
    void end_flush(CacheOp& op, std::int32_t result);
    void next_flush();

    std::mutex mutex_;
    DirtyMap map_;
    std::uint64_t losses_ = 0, flushes_ = 0;
    bool flushing_ = false; // one at a time, or an older value could arrive below after a newer one
    std::deque<Io*> waiting_;
};

CacheOp& WriteBack::take(Io& io) {
    auto& context = static_cast<CacheContext&>(*io.stage->context);
    CacheOp& op = *context.ops.take();
    op.parent = &io;
    op.context = &context;
    op.driver = this;
    return op;
}

void WriteBack::end(CacheOp& op, std::int32_t result) {
    Io& parent = *op.parent;
    op.dirty.clear();
    op.context->ops.give_back(&op);
    parent.done(parent, result);
}

void WriteBack::start(const Stage& stage, Io& io) {
    io.stage = &stage;
    io.cancel = nullptr;
    switch (io.op) {
    case Op::Read:
        return read(io);
    case Op::Write:
    case Op::WriteZeroes:
        return write(io);
    case Op::Flush:
        return flush(io);
    case Op::Status:
        io.extents[0] = {io.length, OUTPORT_EXTENT_DATA};
        io.extent_count = 1;
        return stage.context->complete_soon(io, 0);
    case Op::Discard:
        return stage.context->complete_soon(io, 0);
    default:
        return begin(*stage.child, io);
    }
}

void WriteBack::read(Io& io) {
    CacheOp& op = take(io);
    op.sub.op = Op::Read;
    op.sub.flags = 0;
    op.sub.offset = io.offset;
    op.sub.length = io.length;
    op.sub.iov = io.iov;
    op.sub.iov_count = io.iov_count;
    {
        // Now: a flush may move it below before the read of what is below comes back with what was there.
        std::lock_guard guard(mutex_);
        op.dirty = map_.touching(io.offset, io.length);
    }
    op.sub.done = [](Io& sub, std::int32_t result) {
        CacheOp& o = *owner_of(&sub, &CacheOp::sub);
        if (result == 0)
            DirtyMap::overlay(*o.parent, o.dirty);
        end(o, result);
    };
    begin(*io.stage->child, op.sub);
}

void WriteBack::write(Io& io) {
    std::shared_ptr<std::vector<std::byte>> data;
    if (io.op == Op::Write) {
        data = std::make_shared<std::vector<std::byte>>(io.length);
        io.part = 0;
        io.part_done = 0;
        io.moved = 0;
        copy_from_buffers(io, data->data(), io.length);
    }
    {
        std::lock_guard guard(mutex_);
        map_.put(io.offset, io.length, std::move(data));
        io.moved = losses_;
    }
    if (io.flags & kFua)
        flush(io);
    else
        io.stage->context->complete_soon(io, 0);
}

// Io::moved: the power losses before what this flush has to cover was written.
void WriteBack::flush(Io& io) {
    {
        std::lock_guard guard(mutex_);
        if (io.op == Op::Flush)
            io.moved = losses_;
        if (flushing_)
            return waiting_.push_back(&io);
        flushing_ = true;
    }
    begin_flush(io);
}

void WriteBack::begin_flush(Io& io) {
    CacheOp& op = take(io);
    op.next = 0;
    bool lost;
    {
        std::lock_guard guard(mutex_);
        lost = io.moved != losses_;
        op.dirty.assign(map_.extents().begin(), map_.extents().end());
        op.generation = map_.generation();
        ++flushes_;
    }
    op.sub.done = [](Io& sub, std::int32_t result) {
        CacheOp& o = *owner_of(&sub, &CacheOp::sub);
        if (result < 0 || o.next > o.dirty.size())
            o.driver->end_flush(o, result);
        else
            o.driver->next_dirty(o);
    };
    if (lost) {
        op.next = op.dirty.size() + 1;
        return op.context->complete_soon(op.sub, -EIO);
    }
    next_dirty(op);
}

// Writes the next dirty range below; after the last one, flushes there.
void WriteBack::next_dirty(CacheOp& op) {
    Io& sub = op.sub;
    const Stage& child = *op.parent->stage->child;
    sub.flags = 0;
    if (op.next == op.dirty.size()) {
        ++op.next;
        sub.op = Op::Flush;
        return begin(child, sub);
    }
    auto& [offset, extent] = op.dirty[op.next++];
    sub.op = extent.data ? Op::Write : Op::WriteZeroes;
    sub.offset = offset;
    sub.length = extent.length;
    if (extent.data)
        op.part = {const_cast<std::byte*>(extent.data->data()) + extent.skip, extent.length};
    sub.iov = &op.part;
    sub.iov_count = 1;
    begin(child, sub);
}

void WriteBack::end_flush(CacheOp& op, std::int32_t result) {
    if (result == 0) {
        std::lock_guard guard(mutex_);
        map_.forget_until(op.generation);
    }
    next_flush();
    end(op, result);
}

void WriteBack::next_flush() {
    std::lock_guard guard(mutex_);
    if (waiting_.empty()) {
        flushing_ = false;
        return;
    }
    Io* io = waiting_.front();
    waiting_.pop_front();
    loop::run_on(io->stage->context->loop(), [this, io] { begin_flush(*io); });
}

CacheCounts WriteBack::counts() {
    std::lock_guard guard(mutex_);
    return {map_.bytes(), map_.extents().size(), flushes_};
}

CacheCounts WriteBack::lose() {
    CacheCounts lost = counts();
    std::lock_guard guard(mutex_);
    ++losses_;
    map_.clear();
    return lost;
}

Result<WriteBack*> to_cache(Driver& driver) {
    auto* cache = dynamic_cast<WriteBack*>(&driver);
    if (!cache)
        return fail("The node is no x-cache node");
    return cache;
}

} // namespace

std::unique_ptr<Driver> make_write_back() {
    return std::make_unique<WriteBack>();
}

Result<CacheCounts> cache_power_loss(Driver& driver) {
    auto cache = to_cache(driver);
    if (!cache)
        return fail(std::move(cache.error()));
    return (*cache)->lose();
}

Result<CacheCounts> cache_counts(Driver& driver) {
    auto cache = to_cache(driver);
    if (!cache)
        return fail(std::move(cache.error()));
    return (*cache)->counts();
}

} // namespace outport::block
