// SPDX-License-Identifier: Apache-2.0
#include "host/export/exports.hpp"

#include "host/base/log.hpp"
#include "host/base/text.hpp"
#include "host/block/graph.hpp"
#include "host/export/export-api.hpp"
#include "host/export/export.hpp"
#include "host/export/iothreads.hpp"
#include "host/loop/loop.hpp"
#include "host/plugin/plugin-host.hpp"
#include "host/qmp/dispatcher.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include <algorithm>
#include <cassert>

namespace outport::exports {

namespace {

// As QEMU's ids: a letter, then letters, digits, '-', '.', '_'.
bool well_formed(std::string_view id) {
    auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
    auto other = [&](char c) {
        return letter(c) || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
    };
    return !id.empty() && letter(id[0]) && std::all_of(id.begin(), id.end(), other);
}

std::string_view text_of(const boost::json::object& options, std::string_view name) {
    const auto& text = options.at(name).get_string();
    return {text.data(), text.size()};
}

bool writable(const boost::json::object& options) {
    const auto* value = options.if_contains("writable");
    return value && value->is_bool() && value->get_bool();
}

} // namespace

// The end of all exports, once it has been asked for.
struct Exports::Ending {
    Ending(Exports& exports, Stopped stopped) : owner(exports), done(std::move(stopped)) {}

    void check() {
        if (owner.exports_.empty())
            owner.services_.main_loop.make_ready(task);
    }
    void finish() {
        owner.services_.main_loop.disarm(timer);
        task.dequeue();
        std::vector<std::string> left;
        for (const auto& exported : owner.exports_)
            left.push_back(exported->describe());
        if (done)
            std::exchange(done, nullptr)(std::move(left));
    }

    Exports& owner;
    Stopped done;
    loop::Task task{loop::task_fn<&Ending::task, &Ending::finish>};
    loop::Timer timer{loop::task_fn<&Ending::timer, &Ending::finish>};
};

Exports::Exports(const ExportServices& services) : services_(services) {
    services_.plugins.offer(OUTPORT_EXPORT_ID, export_api());
}

Exports::~Exports() {
    assert(exports_.empty());
}

Export* Exports::find(std::string_view id) const noexcept {
    for (const auto& exported : exports_)
        if (exported->id() == id)
            return exported.get();
    return nullptr;
}

// The checks and their order are QEMU's: management software knows the messages.
void Exports::add(boost::json::object options, Done done) {
    auto id = text_of(options, "id"), type_name = text_of(options, "type");
    if (ending_)
        return done(fail(cat("Export '", id, "' can't be added: the host is shutting down")));
    if (!well_formed(id))
        return done(fail("Invalid block export id"));
    if (find(id))
        return done(fail(cat("Block export id '", id, "' is already in use")));
    auto type = services_.plugins.export_type(type_name);
    if (!type.table)
        return done(fail("No driver found for the requested export type"));
    auto node = services_.graph.find_for_export(text_of(options, "node-name"), writable(options));
    if (!node)
        return done(fail(node.error()));
    auto loops = LoopSet::acquire(options, services_.iothreads, services_.main_loop);
    if (!loops)
        return done(fail(loops.error()));
    exports_.push_back(std::make_unique<Export>(*this, std::move(options), type, std::move(*loops)));
    exports_.back()->begin(**node, std::move(done));
}

void Exports::remove(std::string_view id, std::string_view mode, Done done) {
    auto* exported = find(id);
    if (!exported)
        return done(fail(cat("Export '", id, "' is not found")));
    auto code = stop_mode(mode);
    if (code == 0)
        return done(fail(cat("Parameter 'mode' does not accept value '", mode, "'")));
    exported->remove(code, mode, std::move(done));
}

boost::json::array Exports::query() const {
    boost::json::array all;
    for (auto it = exports_.rbegin(); it != exports_.rend(); ++it) {
        const auto& exported = **it;
        if (!exported.visible())
            continue;
        boost::json::object info;
        info["id"] = exported.id();
        info["type"] = exported.type_name();
        info["node-name"] = exported.node_name();
        info["shutting-down"] = exported.shutting_down();
        all.push_back(std::move(info));
    }
    return all;
}

void Exports::gone(Export& exported, bool announce, Done adding, std::optional<Error> failure) {
    boost::json::object data;
    data["id"] = exported.id();
    std::erase_if(exports_, [&](const auto& e) { return e.get() == &exported; });
    if (adding)
        adding(fail(failure ? std::move(*failure) : Error{"the export was removed"}));
    if (announce)
        if (auto ok = services_.dispatcher.event("BLOCK_EXPORT_DELETED", std::move(data)); !ok)
            log::error("export", ok.error().message);
    if (ending_)
        ending_->check();
}

void Exports::shutdown(std::uint64_t deadline_ns, Stopped done) {
    assert(!ending_);
    ending_ = std::make_unique<Ending>(*this, std::move(done));
    services_.main_loop.arm_after(ending_->timer, deadline_ns);
    for (auto it = exports_.rbegin(); it != exports_.rend(); ++it)
        (*it)->force();
    ending_->check();
}

} // namespace outport::exports
