// SPDX-License-Identifier: Apache-2.0
#include "host/block/queue-resize.hpp"

#include "host/block/graph.hpp"
#include "host/block/seat.hpp"
#include "host/loop/loop.hpp"

#include <cerrno>
#include <memory>

namespace outport::block {

using loop::task_fn;

QueueResize::QueueResize(Seat& seat, std::uint64_t size, bool at_least, Answer answer, void* data)
    : seat_(seat), size_(size), at_least_(at_least), answer_(answer), data_(data),
      to_main_(task_fn<&QueueResize::to_main_, &QueueResize::on_main>),
      to_loop_(task_fn<&QueueResize::to_loop_, &QueueResize::on_loop>) {}

void QueueResize::start(Seat& seat, std::uint64_t size, bool at_least, Answer answer, void* data) {
    auto* self = new QueueResize(seat, size, at_least, answer, data);
    seat.root().graph().main().post(self->to_main_);
}

void QueueResize::on_main() {
    Root& root = seat_.root();
    root.graph().resize(root.node().name(), size_, at_least_ ? ResizeTo::AtLeast : ResizeTo::Exactly, &root,
                        [this](Result<> result) {
                            if (!result)
                                result_ = result.error().errno_value ? -result.error().errno_value : -EIO;
                            seat_.loop().post(to_loop_);
                        });
}

void QueueResize::on_loop() {
    std::unique_ptr<QueueResize> self(this);
    answer_(data_, result_);
}

} // namespace outport::block
