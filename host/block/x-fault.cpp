// SPDX-License-Identifier: Apache-2.0
// x-fault: passes operations on, but for what its rules say. It has no FUA: what must be stable is followed
// by a flush, which is counted and subject to the rules like any other.
#include "host/base/text.hpp"
#include "host/block/node.hpp"
#include "host/block/stage.hpp"
#include "host/block/test-drivers.hpp"
#include "host/loop/iothread.hpp"
#include "host/loop/loop.hpp"

#include <boost/json/object.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cerrno>
#include <mutex>

namespace outport::block {

using loop::owner_of;

namespace {

class Fault;
class FaultContext;

// What goes with an operation that is not just passed on.
struct FaultOp {
    Io sub;
    Io* parent = nullptr;
    FaultContext* context = nullptr;
    loop::Timer timer;
    std::int32_t error = 0;   // of a short one
    std::vector<iovec> parts; // likewise
};

class FaultContext final : public NodeContext {
  public:
    FaultContext(const Services& services, Fault& fault, std::size_t alignment);
    ~FaultContext() override;

    void hold(Io& io);
    void release();
    void pass_on_later(Io& io, std::uint64_t delay_ns);
    void begin_stable(Io& io);
    void begin_short(Io& io, std::int32_t error);
    Io* swap(Io* io) noexcept { return std::exchange(swapped_, io); }
    Io* swapped() const noexcept { return swapped_; }

    Slab<FaultOp> ops;
    std::atomic<std::uint64_t> held{0};

  private:
    FaultOp& take(Io& io);
    Fault& fault_;
    ListHook held_;
    Io* swapped_ = nullptr; // waits for the one that is to overtake it; also in held_
};

class Fault final : public Driver {
  public:
    Fault(std::uint32_t align, std::uint64_t max_transfer) : align_(align), max_transfer_(max_transfer) {}

    const char* name() const noexcept override { return "x-fault"; }
    bool takes_any_data() const noexcept override { return align_ == 1 && max_transfer_ == UINT64_MAX; }
    bool wants_zero_writer() const noexcept override { return true; }
    std::uint64_t size(const Node& node) const override { return node.child()->size(); }
    Limits limits(const Node& node) const override {
        Limits limits = node.child()->limits();
        limits.request_alignment = std::max(limits.request_alignment, align_);
        limits.zero_alignment = std::max(limits.zero_alignment, align_);
        limits.max_transfer = std::min(limits.max_transfer, max_transfer_);
        return limits;
    }
    std::string filename(const Node& node) const override {
        return node.child()->driver().filename(*node.child());
    }
    std::unique_ptr<NodeContext> make_context(Node& node, loop::Loop& loop) override {
        return std::make_unique<FaultContext>(NodeContext::Services{loop, node.pool(), node.owner()}, *this,
                                              node.limits().memory_alignment);
    }
    void resize(Node& node, std::uint64_t size, Done done) override {
        resize_node(*node.child(), size, std::move(done));
    }
    void allocated_size(Node& node, Sized done) override {
        node.child()->driver().allocated_size(*node.child(), std::move(done));
    }

    void start(const Stage& stage, Io& io) override;
    bool take_rule(const Io& io, FaultRule& taken);
    void set(std::vector<FaultRule> rules);
    void release();
    FaultCounts counts();
    void add(FaultContext& context);
    void drop(FaultContext& context);

  private:
    const std::uint32_t align_;
    const std::uint64_t max_transfer_;
    std::array<std::atomic<std::uint64_t>, kOps> seen_{}, bytes_{};
    std::atomic<std::uint64_t> fua_{0};
    std::atomic<bool> has_rules_{false};
    std::mutex mutex_;
    std::vector<FaultRule> rules_;
    std::vector<FaultContext*> contexts_;
};

void pass_on(Io& io) {
    io.cancel = nullptr;
    begin(*io.stage->child, io);
}

FaultContext::FaultContext(const Services& services, Fault& fault, std::size_t alignment)
    : NodeContext(services, alignment), fault_(fault) {
    fault_.add(*this);
}

FaultContext::~FaultContext() {
    fault_.drop(*this);
}

FaultOp& FaultContext::take(Io& io) {
    FaultOp& op = *ops.take();
    op.parent = &io;
    op.context = this;
    op.sub.cancelled = false;
    io.work = &op;
    return op;
}

void FaultContext::hold(Io& io) {
    io.hook.insert_before(held_);
    held.fetch_add(1, std::memory_order_relaxed);
    io.work = this;
    io.cancel = [](Io& i) {
        auto& self = *static_cast<FaultContext*>(i.work);
        if (self.swapped_ == &i)
            self.swapped_ = nullptr;
        i.hook.unlink();
        self.held.fetch_sub(1, std::memory_order_relaxed);
        self.complete_soon(i, -ECANCELED);
    };
}

void FaultContext::release() {
    swapped_ = nullptr;
    while (held_.linked()) {
        Io& io = *owner_of(held_.next, &Io::hook);
        io.hook.unlink();
        held.fetch_sub(1, std::memory_order_relaxed);
        pass_on(io);
    }
}

void FaultContext::pass_on_later(Io& io, std::uint64_t delay_ns) {
    FaultOp& op = take(io);
    op.timer.fn = [](loop::Timer* timer) {
        FaultOp& o = *owner_of(timer, &FaultOp::timer);
        Io& late = *o.parent;
        o.context->ops.give_back(&o);
        pass_on(late);
    };
    io.cancel = [](Io& i) {
        FaultOp& o = *static_cast<FaultOp*>(i.work);
        o.context->loop().disarm(o.timer);
        o.context->ops.give_back(&o);
        o.context->complete_soon(i, -ECANCELED);
    };
    loop().arm_after(op.timer, delay_ns);
}

void cancel_sub(Io& io) {
    static_cast<FaultOp*>(io.work)->sub.ask_cancel();
}

// Without FUA, then a flush.
void FaultContext::begin_stable(Io& io) {
    FaultOp& op = take(io);
    io.cancel = cancel_sub;
    op.sub.op = io.op;
    op.sub.flags = io.flags & ~kFua;
    op.sub.offset = io.offset;
    op.sub.length = io.length;
    op.sub.iov = io.iov;
    op.sub.iov_count = io.iov_count;
    op.sub.done = [](Io& sub, std::int32_t result) {
        FaultOp& o = *owner_of(&sub, &FaultOp::sub);
        if (result == 0 && sub.op != Op::Flush) {
            sub.op = Op::Flush;
            sub.flags = 0;
            if (sub.cancelled)
                return o.context->complete_soon(sub, -ECANCELED);
            return o.parent->stage->driver->start(*o.parent->stage, sub);
        }
        Io& parent = *o.parent;
        o.context->ops.give_back(&o);
        parent.done(parent, result);
    };
    io.stage->driver->start(*io.stage, op.sub);
}

// The lower half of it, then the error.
void FaultContext::begin_short(Io& io, std::int32_t error) {
    FaultOp& op = take(io);
    op.error = error;
    op.sub.op = io.op;
    op.sub.flags = io.flags;
    op.sub.offset = io.offset;
    op.sub.length = io.length / 2 / 512 * 512;
    if (op.sub.length == 0 ||
        !io.is(bit(Op::Read) | bit(Op::Write) | bit(Op::WriteZeroes) | bit(Op::Discard))) {
        ops.give_back(&op);
        return complete_soon(io, error);
    }
    io.cancel = cancel_sub;
    op.parts.clear();
    std::uint64_t left = io.is(bit(Op::Read) | bit(Op::Write)) ? op.sub.length : 0;
    for (const iovec* v = io.iov; left; ++v) {
        op.parts.push_back({v->iov_base, std::min<std::uint64_t>(v->iov_len, left)});
        left -= op.parts.back().iov_len;
    }
    op.sub.iov = op.parts.data();
    op.sub.iov_count = static_cast<std::uint32_t>(op.parts.size());
    op.sub.done = [](Io& sub, std::int32_t) {
        FaultOp& o = *owner_of(&sub, &FaultOp::sub);
        Io& parent = *o.parent;
        std::int32_t result = o.error;
        o.context->ops.give_back(&o);
        parent.done(parent, result);
    };
    begin(*io.stage->child, op.sub);
}

void Fault::start(const Stage& stage, Io& io) {
    auto& context = static_cast<FaultContext&>(*stage.context);
    io.stage = &stage;
    io.cancel = nullptr;
    if (io.flags & kFua) {
        fua_.fetch_add(1, std::memory_order_relaxed);
        return context.begin_stable(io); // which comes here again, without
    }
    seen_[static_cast<unsigned>(io.op)].fetch_add(1, std::memory_order_relaxed);
    if (io.is(kRangedOps))
        bytes_[static_cast<unsigned>(io.op)].fetch_add(io.length, std::memory_order_relaxed);
    FaultRule rule;
    if (!has_rules_.load(std::memory_order_relaxed) || !take_rule(io, rule))
        return pass_on(io);
    switch (rule.action) {
    case FaultAction::Error:
        return context.complete_soon(io, rule.error);
    case FaultAction::Delay:
        return context.pass_on_later(io, rule.delay_ns);
    case FaultAction::Hold:
        return context.hold(io);
    case FaultAction::Short:
        return context.begin_short(io, rule.error);
    case FaultAction::Reorder:
        if (Io* first = context.swap(nullptr)) {
            first->hook.unlink();
            context.held.fetch_sub(1, std::memory_order_relaxed);
            pass_on(io);
            return pass_on(*first);
        }
        context.hold(io);
        context.swap(&io);
    }
}

bool Fault::take_rule(const Io& io, FaultRule& taken) {
    std::lock_guard guard(mutex_);
    for (FaultRule& rule : rules_) {
        bool touches = !io.is(kRangedOps) ||
                       (io.offset < rule.offset + std::min(rule.length, UINT64_MAX - rule.offset) &&
                        rule.offset < io.offset + io.length);
        if (!io.is(rule.ops) || !touches || rule.used_up)
            continue;
        if (rule.skip) {
            --rule.skip;
            continue;
        }
        rule.used_up = rule.count && --rule.count == 0;
        taken = rule;
        return true;
    }
    return false;
}

void Fault::set(std::vector<FaultRule> rules) {
    std::lock_guard guard(mutex_);
    rules_ = std::move(rules);
    has_rules_.store(!rules_.empty(), std::memory_order_relaxed);
}

void Fault::release() {
    std::lock_guard guard(mutex_);
    for (FaultContext* context : contexts_)
        if (context->held.load(std::memory_order_relaxed))
            if (auto alive = context->weak_from_this().lock())
                loop::run_on(context->loop(), [alive, context] { context->release(); });
}

FaultCounts Fault::counts() {
    FaultCounts counts;
    for (unsigned op = 0; op < kOps; ++op) {
        counts.ops[op] = seen_[op].load(std::memory_order_relaxed);
        counts.bytes[op] = bytes_[op].load(std::memory_order_relaxed);
    }
    counts.fua = fua_.load(std::memory_order_relaxed);
    std::lock_guard guard(mutex_);
    for (FaultContext* context : contexts_)
        counts.held += context->held.load(std::memory_order_relaxed);
    return counts;
}

void Fault::add(FaultContext& context) {
    std::lock_guard guard(mutex_);
    contexts_.push_back(&context);
}

void Fault::drop(FaultContext& context) {
    std::lock_guard guard(mutex_);
    std::erase(contexts_, &context);
}

Result<Fault*> to_fault(Driver& driver) {
    auto* fault = dynamic_cast<Fault*>(&driver);
    if (!fault)
        return fail("The node is no x-fault node");
    return fault;
}

} // namespace

Result<std::unique_ptr<Driver>> make_fault(const boost::json::object& options) {
    std::uint32_t align = 1;
    if (const auto* value = options.if_contains("align"))
        align = value->to_number<std::uint32_t>();
    if (!std::has_single_bit(align))
        return fail(cat("x-fault: align ", align, " is no power of two"));
    std::uint64_t max_transfer = UINT64_MAX;
    if (const auto* value = options.if_contains("max-transfer"))
        max_transfer = value->to_number<std::uint64_t>();
    if (max_transfer < align || (max_transfer != UINT64_MAX && max_transfer % align))
        return fail(cat("x-fault: max-transfer ", max_transfer, " is no multiple of align ", align));
    return std::make_unique<Fault>(align, max_transfer);
}

Result<> fault_set(Driver& driver, std::vector<FaultRule> rules) {
    auto fault = to_fault(driver);
    if (!fault)
        return fail(std::move(fault.error()));
    (*fault)->set(std::move(rules));
    return {};
}

Result<> fault_release(Driver& driver) {
    auto fault = to_fault(driver);
    if (!fault)
        return fail(std::move(fault.error()));
    (*fault)->release();
    return {};
}

Result<FaultCounts> fault_counts(Driver& driver) {
    auto fault = to_fault(driver);
    if (!fault)
        return fail(std::move(fault.error()));
    return (*fault)->counts();
}

} // namespace outport::block
