// SPDX-License-Identifier: Apache-2.0
#include "host/base/text.hpp"
#include "host/export/export.hpp"
#include "host/export/iothreads.hpp"

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include <utility>

namespace outport::exports {

LoopSet::LoopSet(LoopSet&& other) noexcept
    : iothreads_(other.iothreads_), held_(std::exchange(other.held_, {})),
      loops_(std::exchange(other.loops_, {})) {}

void LoopSet::release() noexcept {
    for (const auto& name : held_)
        iothreads_->release(name);
    held_.clear();
    loops_.clear();
}

Result<> LoopSet::add(std::string_view name) {
    auto* loop = iothreads_->acquire(name);
    if (!loop)
        return fail(cat("iothread \"", name, "\" not found"));
    held_.emplace_back(name);
    loops_.push_back(loop);
    return {};
}

Result<LoopSet> LoopSet::acquire(const boost::json::object& options, Iothreads& iothreads, loop::Loop& main) {
    LoopSet set(iothreads);
    const auto* iothread = options.if_contains("iothread");
    if (!iothread) {
        set.loops_.push_back(&main);
        return set;
    }
    if (iothread->is_string()) {
        if (auto ok = set.add(iothread->get_string()); !ok)
            return fail(ok.error());
        return set;
    }
    const auto* fixed = options.if_contains("fixed-iothread");
    if (fixed && fixed->is_bool() && fixed->get_bool())
        return fail("Cannot use fixed-iothread for a multi-threaded export");
    if (iothread->get_array().empty())
        return fail("The set of I/O threads must not be empty");
    for (const auto& name : iothread->get_array())
        if (auto ok = set.add(name.get_string()); !ok)
            return fail(ok.error());
    return set;
}

} // namespace outport::exports
