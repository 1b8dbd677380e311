// SPDX-License-Identifier: Apache-2.0
// null-co and null-aio: a node with nothing behind it. Here the two are one; reads give zeroes.
#include "host/base/text.hpp"
#include "host/block/drivers.hpp"
#include "host/block/iovecs.hpp"
#include "host/block/node.hpp"
#include "host/block/stage.hpp"
#include "host/loop/loop.hpp"

#include <cerrno>

namespace outport::block {

namespace {

constexpr std::uint64_t kMostBytes = INT64_MAX - (std::uint64_t{1} << 30) + 1; // as in QEMU

struct NullOp {
    loop::Timer timer;
    Io* io = nullptr;
    class NullContext* context = nullptr;
};

class NullContext final : public NodeContext {
  public:
    explicit NullContext(const Services& services) : NodeContext(services, 1) {}

    void complete_after(Io& io, std::uint64_t latency_ns) {
        NullOp* op = ops_.take();
        op->io = &io;
        op->context = this;
        op->timer.fn = [](loop::Timer* timer) {
            NullOp* o = loop::owner_of(timer, &NullOp::timer);
            Io& done = *o->io;
            done.cancel = nullptr;
            o->context->ops_.give_back(o);
            done.done(done, 0);
        };
        io.work = op;
        io.cancel = [](Io& i) {
            auto* o = static_cast<NullOp*>(i.work);
            o->context->loop().disarm(o->timer);
            o->context->ops_.give_back(o);
            o->context->complete_soon(i, -ECANCELED);
        };
        loop().arm_after(op->timer, latency_ns);
    }

  private:
    Slab<NullOp> ops_;
};

class Null final : public Driver {
  public:
    Null(const NullOptions& options, bool async) : options_(options), async_(async) {}

    const char* name() const noexcept override { return async_ ? "null-aio" : "null-co"; }
    bool takes_any_data() const noexcept override { return true; }
    std::uint64_t size(const Node&) const override { return (options_.size + 511) / 512 * 512; }
    void open(Node&, Done done) override {
        if (options_.size > kMostBytes)
            return done(fail_errno(EFBIG, "Could not refresh total sector count"));
        done({});
    }
    Limits limits(const Node&) const override {
        Limits limits;
        limits.can_fast_zero = true;
        return limits;
    }
    std::string filename(const Node&) const override;
    bool has_dirty_flag() const override { return false; }
    void allocated_size(Node&, Sized done) override { done(0); }

    std::unique_ptr<NodeContext> make_context(Node& node, loop::Loop& loop) override {
        return std::make_unique<NullContext>(NodeContext::Services{loop, node.pool(), node.owner()});
    }

    void start(const Stage& stage, Io& io) override {
        auto& context = static_cast<NullContext&>(*stage.context);
        if (io.op == Op::Read) {
            io.moved = io.part_done = io.part = 0;
            zero_rest(io);
        } else if (io.op == Op::Status) {
            io.extents[0] = {io.length, options_.read_zeroes ? OUTPORT_EXTENT_ZERO : 0u};
            io.extent_count = 1;
        } else if (io.op == Op::AllocatedSize) {
            io.extents[0] = {0, 0};
            io.extent_count = 1;
        }
        bool waits = options_.latency_ns && io.is(bit(Op::Read) | bit(Op::Write) | bit(Op::Flush));
        if (waits)
            context.complete_after(io, options_.latency_ns);
        else
            context.complete_soon(io, 0);
    }

  private:
    NullOptions options_;
    bool async_;
};

// As qemu-storage-daemon writes a node that no file name can describe.
std::string Null::filename(const Node&) const {
    NullOptions plain;
    std::string more;
    if (options_.size != plain.size)
        more += cat(", \"size\": ", options_.size);
    if (options_.latency_ns)
        more += cat(", \"latency-ns\": ", options_.latency_ns);
    if (options_.read_zeroes)
        more += ", \"read-zeroes\": true";
    if (more.empty())
        return cat(name(), "://");
    return cat("json:{\"driver\": \"", name(), "\"", more, "}");
}

} // namespace

std::unique_ptr<Driver> make_null(const NullOptions& options, bool async) {
    return std::make_unique<Null>(options, async);
}

} // namespace outport::block
