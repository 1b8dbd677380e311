// SPDX-License-Identifier: Apache-2.0
#include "host/block/stage.hpp"

#include "host/block/iovecs.hpp"
#include "host/block/node.hpp"

namespace outport::block {

namespace {

void prepare_discard(const Stage& stage, Io& io) {
    std::uint64_t mask = stage.limits.zero_alignment - 1;
    std::uint64_t start = (io.offset + mask) & ~mask;
    std::uint64_t end = (io.offset + io.length) & ~mask;
    if (!stage.unmap || !stage.limits.can_discard || start >= end)
        return stage.context->complete_soon(io, 0); // a hint that has no effect
    io.offset = start;
    io.length = end - start;
    start_locked(stage, io);
}

void prepare_zeroes(const Stage& stage, Io& io) {
    if (!stage.unmap)
        io.flags &= ~kMayUnmap;
    if (stage.driver->wants_zero_writer())
        stage.context->zero_writers.take()->run(stage, io);
    else
        start_locked(stage, io);
}

void prepare_write(const Stage& stage, Io& io) {
    if (stage.detect_zeroes == DetectZeroes::Off || !buffers_zero(io))
        return start_data(stage, io);
    io.op = Op::WriteZeroes;
    if (stage.detect_zeroes == DetectZeroes::Unmap)
        io.flags |= kMayUnmap;
    prepare_zeroes(stage, io);
}

std::uint32_t ops_to_prepare(const Limits& limits, const NodeOptions& options) {
    std::uint32_t ops = bit(Op::Discard) | bit(Op::WriteZeroes);
    if (limits.request_alignment > 1 || limits.memory_alignment > 1 || limits.max_transfer != UINT64_MAX)
        ops |= bit(Op::Read) | bit(Op::Write);
    if (options.detect_zeroes != DetectZeroes::Off)
        ops |= bit(Op::Write);
    return ops;
}

const Stage* add_stages(View& view, Node& node, loop::Loop& loop) {
    view.stages.push_back(std::make_unique<Stage>());
    Stage& stage = *view.stages.back();
    stage.driver = &node.driver();
    stage.context_owner = node.context(loop);
    stage.context = stage.context_owner.get();
    stage.limits = node.limits();
    if (node.driver().takes_any_data())
        stage.limits.request_alignment = stage.limits.memory_alignment = stage.limits.zero_alignment = 1,
        stage.limits.max_transfer = UINT64_MAX;
    stage.size = node.size();
    stage.ranges = node.range_lock();
    stage.prepared_ops = ops_to_prepare(stage.limits, node.options());
    stage.unmap = node.options().unmap;
    stage.detect_zeroes = node.options().detect_zeroes;
    if (Node* child = node.child())
        stage.child = add_stages(view, *child, loop);
    stage.keepers = stage.child ? stage.child->keepers : &node.keepers();
    return &stage;
}

} // namespace

void prepare(const Stage& stage, Io& io) {
    switch (io.op) {
    case Op::Discard:
        return prepare_discard(stage, io);
    case Op::WriteZeroes:
        return prepare_zeroes(stage, io);
    case Op::Write:
        return prepare_write(stage, io);
    default:
        return start_data(stage, io);
    }
}

std::shared_ptr<const View> build_view(Node& node, loop::Loop& loop) {
    auto view = std::make_shared<View>();
    add_stages(*view, node, loop);
    return view;
}

} // namespace outport::block
