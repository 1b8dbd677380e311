// SPDX-License-Identifier: Apache-2.0
#include "host/block/quiesce.hpp"

#include "host/base/log.hpp"
#include "host/base/text.hpp"
#include "host/block/graph.hpp"
#include "host/block/seat.hpp"
#include "host/loop/loop.hpp"

#include <utility>

namespace outport::block {

using loop::task_fn;

Quiesce::Quiesce(Graph& graph, std::vector<Root*> roots, std::string cause)
    : graph_(graph), roots_(std::move(roots)), cause_(std::move(cause)) {
    for (Root* root : roots_)
        for (auto& seat : root->seats_)
            seats_.push_back(seat.get());
    complain_timer_.fn = task_fn<&Quiesce::complain_timer_, &Quiesce::complain>;
    deadline_timer_.fn = task_fn<&Quiesce::deadline_timer_, &Quiesce::give_up>;
}

Quiesce::~Quiesce() {
    graph_.main().disarm(complain_timer_);
    graph_.main().disarm(deadline_timer_);
}

void Quiesce::park(Done done) {
    parked_ = std::move(done);
    missing_ = seats_.size();
    if (!missing_)
        return std::exchange(parked_, nullptr)({});
    graph_.main().arm_after(complain_timer_, graph_.options().complain_after_ns);
    graph_.main().arm_after(deadline_timer_, graph_.options().change_deadline_ns);
    for (Seat* seat : seats_) {
        seat->quiesce_ = this;
        seat->loop().post(seat->park_post_);
    }
}

void Quiesce::seat_drained(Seat&) {
    if (gave_up_ || --missing_)
        return;
    graph_.main().disarm(complain_timer_);
    graph_.main().disarm(deadline_timer_);
    std::exchange(parked_, nullptr)({});
}

void Quiesce::resume(bool rebuild, std::move_only_function<void()> done) {
    resumed_ = std::move(done);
    missing_ = seats_.size();
    if (!missing_)
        return std::exchange(resumed_, nullptr)();
    for (Root* root : roots_) {
        bool changed = rebuild && root->publish_info();
        for (auto& seat : root->seats_) {
            seat->next_view_ = rebuild ? build_view(root->node(), seat->loop()) : nullptr;
            seat->changed_ = changed;
            seat->loop().post(seat->resume_post_);
        }
    }
}

void Quiesce::seat_resumed(Seat&) {
    if (--missing_ == 0)
        std::exchange(resumed_, nullptr)();
}

std::string Quiesce::who_holds() const {
    std::string text;
    for (Seat* seat : seats_)
        if (std::uint32_t n = seat->waiting_for_.load(std::memory_order_relaxed))
            text += cat(text.empty() ? "" : ", ", n, " of ", seat->root().options().user);
    return text.empty() ? "an event loop that is busy" : cat("requests in flight: ", text);
}

void Quiesce::complain() {
    log::warning("block", cat(cause_, " holds back new requests and still waits for ", who_holds()));
}

void Quiesce::give_up() {
    log::error("block", cat(cause_, " is given up: it waited too long for ", who_holds()));
    gave_up_ = true;
    graph_.main().disarm(complain_timer_);
    resume(false, [this] {
        std::exchange(parked_, nullptr)(
            fail(cat("The ", cause_, " was given up, since requests in flight did not complete in time")));
    });
}

} // namespace outport::block
