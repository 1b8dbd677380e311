// SPDX-License-Identifier: Apache-2.0
// The second half of an export's life: how it is asked to stop, and what it tells of itself.
#include "host/base/log.hpp"
#include "host/base/text.hpp"
#include "host/block/graph.hpp"
#include "host/export/export.hpp"
#include "host/loop/iothread.hpp"
#include "host/loop/loop.hpp"
#include "host/qmp/dispatcher.hpp"

#include <boost/json/object.hpp>

#include <utility>

namespace outport::exports {

namespace {

constexpr std::uint64_t kNoSpaceEvery_ns = 1'000'000'000;

log::Source& logger() {
    static log::Source& the = log::source("export");
    return the;
}

std::uint32_t known_bit(std::uint32_t mode) {
    switch (mode) {
    case OUTPORT_STOP_SAFE:
        return OUTPORT_KNOWS_SAFE;
    case OUTPORT_STOP_HIDE:
        return OUTPORT_KNOWS_HIDE;
    case OUTPORT_STOP_SOFT:
        return OUTPORT_KNOWS_SOFT;
    default:
        return OUTPORT_KNOWS_HARD;
    }
}

} // namespace

std::uint32_t stop_mode(std::string_view word) noexcept {
    return word == "safe"   ? OUTPORT_STOP_SAFE
           : word == "hide" ? OUTPORT_STOP_HIDE
           : word == "soft" ? OUTPORT_STOP_SOFT
           : word == "hard" ? OUTPORT_STOP_HARD
                            : 0;
}

void Export::remove(std::uint32_t mode, std::string_view word, Exports::Done done) {
    bool hard = mode == OUTPORT_STOP_HARD;
    bool draining_softly = state_ == State::Draining && !hard_.asked;
    if ((shutting_down() && !(draining_softly && hard)) || (force_ && !draining_softly))
        return done(fail(cat("Export '", id_, "' is already shutting down")));
    if (!(type_.table->modes & known_bit(mode)))
        return done(fail(cat("Export type '", type_name_, "' does not support mode '", word, "'")));
    if (state_ < State::Running || hard) { // what doesn't run yet has no client
        force();
        return done(Result<>{});
    }
    if (safe_.asked && mode != OUTPORT_STOP_SAFE)
        return done(fail(cat("Export '", id_, "' is already shutting down")));
    if (mode == OUTPORT_STOP_SAFE) {
        removing_.push_back(std::move(done));
        if (!safe_.asked)
            ask_stop(safe_, mode);
        return;
    }
    state_ = State::Draining;
    ask_stop(drain_, mode);
    done(Result<>{});
}

void Export::ask_stop(Question& question, std::uint32_t mode) {
    question.ask(*this);
    type_.table->stop(plugin_state_, mode, &question);
}

void Export::force() {
    if (force_)
        return;
    force_ = true;
    // Before create there is nothing to stop. A `safe` must have been answered first; and what has been
    // answered already, but not been taken yet, decides what there is still to stop.
    bool answer_waits = (start_.asked && start_.answered) || (drain_.asked && drain_.answered);
    if (state_ != State::Attaching && state_ != State::Detaching && !safe_.asked && !answer_waits)
        hard_stop();
}

void Export::hard_stop() {
    if (state_ == State::Running)
        state_ = State::Draining;
    ask_stop(hard_, OUTPORT_STOP_HARD);
}

void Export::on_safe_answer() {
    bool gone = safe_.status == OUTPORT_OK;
    if (gone)
        state_ = State::Draining;
    auto waiting = std::exchange(removing_, {});
    auto id = id_;
    auto code = safe_.status;
    auto failure = safe_.failure;
    if (gone)
        destroy();
    else if (force_)
        hard_stop();
    for (auto& done : waiting) {
        if (gone)
            done(Result<>{});
        else if (code == OUTPORT_BUSY)
            done(fail(cat("export '", id, "' still in use")));
        else
            done(fail(sdk::to_error(code, failure, cat("export '", id, "' could not be stopped"))));
    }
}

// Both questions, where two were asked, have to be answered.
void Export::on_stop_answers() {
    bool answered = drain_.take();
    answered = hard_.take() || answered;
    if (!answered || drain_.asked || hard_.asked)
        return;
    const auto& last = hard_.exported ? hard_ : drain_;
    if (last.status != OUTPORT_OK)
        logger().error(
            cat("export '", id_, "': its plugin says that it could not be stopped: ", last.failure.message));
    destroy();
}

void Export::destroy() {
    state_ = State::Detaching;
    owner_.services_.plugins.begin_departure(*type_.plugin);
    departing_ = true;
    type_.table->destroy(plugin_state_);
    detach();
}

void Export::detach() {
    state_ = State::Detaching;
    auto* held = std::exchange(root, nullptr);
    owner_.services_.graph.detach(*held, [this](Result<> result) {
        if (!result)
            logger().warning(cat("export '", id_, "': ", result.error().message));
        finish();
    });
}

void Export::finish() {
    loops_.release();
    auto& plugins = owner_.services_.plugins;
    plugins.remove_export(*type_.plugin, id_);
    if (departing_)
        plugins.end_departure(*type_.plugin); // answers later in this turn, so after the event
    owner_.gone(*this, started_, std::move(adding_), std::move(failure_)); // `this` has ended
}

// ---- outport.export/1

void Export::no_space() {
    auto now = loop::now_ns();
    auto last = last_no_space_ns_.load(std::memory_order_relaxed);
    if ((last != 0 && now - last < kNoSpaceEvery_ns) ||
        !last_no_space_ns_.compare_exchange_strong(last, now, std::memory_order_relaxed))
        return;
    auto send = [&dispatcher = owner_.services_.dispatcher, id = id_, node = node_name_] {
        boost::json::object data;
        data["id"] = id;
        data["node-name"] = node;
        if (auto ok = dispatcher.event("BLOCK_EXPORT_NO_SPACE", std::move(data)); !ok)
            logger().error(ok.error().message);
    };
    loop::run_on(owner_.services_.main_loop, std::move(send));
}

void Export::ended(std::string_view reason) {
    logger().info(cat("export '", id_, "' has ended: ", reason));
    force();
}

} // namespace outport::exports
