// SPDX-License-Identifier: Apache-2.0
#include "host/export/export.hpp"

#include "host/base/log.hpp"
#include "host/base/text.hpp"
#include "host/block/graph.hpp"
#include "host/loop/blocking-pool.hpp"
#include "host/loop/io-flusher.hpp"
#include "host/loop/loop.hpp"
#include "host/plugin/plugin.hpp"

#include <boost/json/object.hpp>

#include <utility>

namespace outport::exports {

namespace {

log::Source& logger() {
    static log::Source& the = log::source("export");
    return the;
}

std::string text_of(const boost::json::object& options, std::string_view name) {
    const auto& text = options.at(name).get_string();
    return {text.data(), text.size()};
}

bool flag(const boost::json::object& options, std::string_view name) {
    const auto* value = options.if_contains(name);
    return value && value->is_bool() && value->get_bool();
}

} // namespace

Export::Export(Exports& owner, boost::json::object options, plugin::ExportType type, LoopSet loops)
    : owner_(owner), id_(text_of(options, "id")), type_name_(text_of(options, "type")),
      node_name_(text_of(options, "node-name")), type_(type), loops_(std::move(loops)),
      task_(loop::task_fn<&Export::task_, &Export::advance>) {
    options_ = std::move(options);
    for (auto* loop : loops_.loops())
        handles_.push_back(type_.plugin->context.handle_of(loop));
    owner_.services_.plugins.add_export(*type_.plugin, id_);
}

Export::~Export() = default;

std::string Export::describe() const {
    return cat(id_, " (", type_name_, ")");
}

// ---- questions

void Export::Question::ask(Export& from) {
    exported = &from;
    failure = {};
    asked = true;
    answered = false;
    status = OUTPORT_OK;
    struct_size = sizeof(outport_done);
    reserved = 0;
    error = &failure;
    complete = [](outport_done* done, std::int32_t code) noexcept {
        auto& question = *static_cast<Question*>(done);
        auto& main = question.exported->owner_.services_.main_loop;
        if (!main.on_thread() || question.answered || !question.asked)
            return logger().error(cat("export '", question.exported->id_,
                                      "': its plugin answered twice, or not on the main loop; ignored"));
        question.answered = true;
        question.status = code;
        main.make_ready(question.exported->task_);
    };
}

bool Export::Question::take() {
    if (!asked || !answered)
        return false;
    asked = false;
    return true;
}

// ---- from created to running

void Export::begin(block::Node& node, Exports::Done done) {
    adding_ = std::move(done);
    const auto& options = options_.get_object();
    block::RootOptions root;
    root.user = cat("export '", id_, "'");
    root.writable = flag(options, "writable");
    root.writethrough = flag(options, "writethrough");
    root.resizable = root.writable && (type_.table->flags & OUTPORT_EXPORT_RESIZES);
    root.keeps = type_.table->flags & OUTPORT_EXPORT_KEEPS;
    root.loops = loops_.loops();
    owner_.services_.graph.attach(node, std::move(root),
                                  [this](Result<block::Root*> result) { attached(std::move(result)); });
}

void Export::attached(Result<block::Root*> result) {
    if (!result) {
        failure_ = result.error();
        return finish();
    }
    root = *result;
    if (force_)
        failure_ = Error{cat("Export '", id_, "' was removed before it was started")};
    else if (auto ok = create(); !ok)
        failure_ = ok.error();
    if (failure_)
        return detach();
    start();
}

Result<> Export::create() {
    const auto& options = options_.get_object();
    args_.struct_size = sizeof args_;
    args_.flags = (flag(options, "writable") ? OUTPORT_EXPORT_WRITABLE : 0u) |
                  (flag(options, "writethrough") ? OUTPORT_EXPORT_WRITETHROUGH : 0u);
    args_.handle = this;
    args_.id = id_.c_str();
    args_.id_length = id_.size();
    args_.node_name = node_name_.c_str();
    args_.node_name_length = node_name_.size();
    args_.options = reinterpret_cast<const outport_value*>(&options_);
    args_.loops = handles_.data();
    args_.loop_count = handles_.size();
    outport_error error;
    auto code = type_.table->create(&args_, &plugin_state_, &error);
    if (code != OUTPORT_OK)
        return fail(sdk::to_error(code, error, cat("Export '", id_, "' could not be created")));
    return {};
}

void Export::start() {
    state_ = State::Starting;
    if (type_.table->flags & OUTPORT_EXPORT_SERVES_KERNEL) {
        for (auto* loop : loops_.loops())
            loop::set_io_flusher_on(*loop);
        owner_.services_.plugins.services().blocking.set_io_flusher();
    }
    start_.ask(*this);
    type_.table->start(plugin_state_, &start_);
}

void Export::on_started() {
    if (start_.status != OUTPORT_OK) {
        failure_ = force_ ? Error{cat("Export '", id_, "' was removed while it was being started")}
                          : sdk::to_error(start_.status, start_.failure,
                                          cat("Export '", id_, "' could not be started"));
        // A stop that cancelled the start answers after it.
        if (!hard_.asked)
            destroy();
        else
            state_ = State::Draining;
        return;
    }
    started_ = true;
    state_ = hard_.asked ? State::Draining : State::Running;
    if (force_ && !hard_.asked)
        hard_stop();
    std::exchange(adding_, nullptr)(Result<>{});
}

// ---- what the plugin has answered

void Export::advance() {
    if (start_.take()) {
        on_started();
        if (state_ == State::Detaching)
            return;
    }
    if (safe_.take())
        on_safe_answer();
    if (state_ == State::Draining)
        on_stop_answers();
}

} // namespace outport::exports
