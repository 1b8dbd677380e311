// SPDX-License-Identifier: Apache-2.0
#include "host/object/objects.hpp"

#include "host/base/log.hpp"
#include "host/base/text.hpp"
#include "host/loop/loop.hpp"

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include <algorithm>
#include <limits>

namespace outport::object {

namespace {

constexpr std::int64_t kLargest = std::numeric_limits<std::int64_t>::max();

Result<std::uint64_t> not_negative(const boost::json::object& options, std::string_view name) {
    const auto* value = options.if_contains(name);
    if (!value)
        return 0;
    std::int64_t number = value->is_int64() ? value->get_int64() : -1;
    if (number < 0)
        return fail(cat(name, " value must be in range [0, ", kLargest, "]"));
    return static_cast<std::uint64_t>(number);
}

Result<loop::LoopOptions> loop_options(const boost::json::object& options) {
    loop::LoopOptions result;
    for (auto [name, field] : {std::pair{"poll-max-ns", &loop::PollLimits::max_ns},
                               std::pair{"poll-grow", &loop::PollLimits::grow},
                               std::pair{"poll-shrink", &loop::PollLimits::shrink}}) {
        auto number = not_negative(options, name);
        if (!number)
            return fail(std::move(number.error()));
        result.poll.*field = *number;
    }
    return result;
}

std::string string_of(const boost::json::object& options, std::string_view name) {
    const auto* value = options.if_contains(name);
    return value && value->is_string() ? std::string(value->get_string()) : std::string();
}

} // namespace

bool valid_id(std::string_view id) noexcept {
    auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
    auto other = [&](char c) {
        return letter(c) || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
    };
    return !id.empty() && letter(id.front()) && std::all_of(id.begin(), id.end(), other);
}

// An iothread that was asked to stop. Its thread posts here when its loop has ended.
struct Objects::Ending {
    Ending(Objects& o, std::unique_ptr<loop::IoThread> t, Done d)
        : objects(o), thread(std::move(t)), done(std::move(d)) {
        stopped.fn = [](loop::Posted* p) { loop::owner_of(p, &Ending::stopped)->finish(); };
        ++objects.ending_;
        thread->request_stop(objects.main_loop_, stopped);
    }

    void finish() {
        auto call = std::move(done);
        Objects& from = objects;
        thread->join(); // the thread has nothing left to do but to return
        delete this;
        --from.ending_;
        call({});
    }

    Objects& objects;
    std::unique_ptr<loop::IoThread> thread;
    Done done;
    loop::Posted stopped;
};

Objects::~Objects() = default;

Objects::Entry* Objects::find(std::string_view id) noexcept {
    for (auto& entry : entries_)
        if (entry->id == id)
            return entry.get();
    return nullptr;
}

Result<> Objects::add(const boost::json::object& options) {
    std::string id = string_of(options, "id");
    if (!valid_id(id))
        return fail("Parameter 'id' expects an identifier",
                    "Identifiers consist of letters, digits, '-', '.', '_', starting with a letter.");
    auto wanted = loop_options(options);
    if (!wanted)
        return fail(std::move(wanted.error()));
    if (find(id))
        return fail(cat("attempt to add duplicate property '", id, "' to object (type 'container')"));
    auto thread = loop::IoThread::start(id, *wanted);
    if (!thread)
        return fail(std::move(thread.error()));
    entries_.push_back(std::make_unique<Entry>(id, std::move(*thread)));
    return {};
}

void Objects::remove(std::string_view id, Done done) {
    Entry* entry = find(id);
    if (!entry)
        return done(fail(cat("object '", id, "' not found")));
    if (entry->uses > 0)
        return done(
            fail(cat("object '", id, "' is in use, can not be deleted"),
                 entry->uses == 1 ? "One export runs on it" : cat(entry->uses, " exports run on it")));
    auto thread = std::move(entry->thread);
    std::erase_if(entries_, [&](const auto& e) { return e.get() == entry; });
    new Ending(*this, std::move(thread), std::move(done));
}

void Objects::shutdown(Done done) {
    // Counts the threads that are still to end; the last one calls.
    struct Last {
        Done done;
        ~Last() { done({}); }
    };
    auto last = std::make_shared<Last>(std::move(done));
    auto entries = std::move(entries_);
    entries_.clear();
    for (auto& entry : entries)
        new Ending(*this, std::move(entry->thread), [last](Result<>) {});
}

loop::Loop* Objects::acquire(std::string_view id) {
    Entry* entry = find(id);
    if (!entry)
        return nullptr;
    ++entry->uses;
    return &entry->thread->loop();
}

void Objects::release(std::string_view id) noexcept {
    if (Entry* entry = find(id); entry && entry->uses > 0)
        --entry->uses;
}

} // namespace outport::object
