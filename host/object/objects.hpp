// SPDX-License-Identifier: Apache-2.0
// The user-creatable objects: object-add, object-del and what others need of them. So far there is one type,
// iothread. Not thread-safe: main loop only.
#pragma once

#include "host/base/error.hpp"
#include "host/export/iothreads.hpp"
#include "host/loop/iothread.hpp"

#include <boost/json/fwd.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace outport::schema {
class Schema;
}
namespace outport::qmp {
class Dispatcher;
}

namespace outport::object {

class Objects final : public exports::Iothreads {
  public:
    using Done = std::move_only_function<void(Result<>)>;

    explicit Objects(loop::Loop& main_loop) : main_loop_(main_loop) {}
    ~Objects() override; // stops what is left, and waits for it
    Objects(const Objects&) = delete;
    Objects& operator=(const Objects&) = delete;

    // object-add. `options`: a validated ObjectOptions.
    Result<> add(const boost::json::object& options);
    // object-del. The name is free at once; `done` is called later, when the object has ended.
    void remove(std::string_view id, Done done);
    // Ends every object, used or not: the users are gone or will be ended with the process.
    void shutdown(Done done);

    // A thread that runs a loop, by name; null: no such iothread. Each success is one use, to be given back.
    loop::Loop* acquire(std::string_view id) override;
    void release(std::string_view id) noexcept override;

    bool empty() const noexcept { return entries_.empty() && ending_ == 0; }

  private:
    struct Entry {
        std::string id;
        std::unique_ptr<loop::IoThread> thread;
        std::size_t uses = 0;
    };
    struct Ending;

    Entry* find(std::string_view id) noexcept;
    void end(std::unique_ptr<loop::IoThread> thread, Done done);

    loop::Loop& main_loop_;
    std::vector<std::unique_ptr<Entry>> entries_;
    std::size_t ending_ = 0;
};

// object-add and object-del.
Result<> add_object_commands(Objects& objects, qmp::Dispatcher& dispatcher);

// What `--object help` and `--object TYPE,help` print.
std::string list_types(const schema::Schema& schema);
Result<std::string> list_properties(const schema::Schema& schema, std::string_view type);

// A letter, then letters, digits, `-`, `.`, `_`.
bool valid_id(std::string_view id) noexcept;

} // namespace outport::object
