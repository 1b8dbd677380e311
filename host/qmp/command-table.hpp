// SPDX-License-Identifier: Apache-2.0
// Which code runs for which command. The schema says which commands exist; a command of the schema without a
// handler is not offered. Not thread-safe: main loop only.
#pragma once

#include "host/qmp/call.hpp"

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

namespace outport::qmp {

class CommandTable {
  public:
    // `owner`: the plugin that handles it, empty for the host. A second handler for the same name is refused.
    Result<> add(std::string name, Handler handler, std::string owner = {});
    // A handler that answers before it returns.
    Result<> add_sync(std::string name,
                      std::move_only_function<Result<boost::json::value>(const boost::json::object&)> handler,
                      std::string owner = {});
    void remove(std::string_view name);
    void remove_owner(std::string_view owner);

    bool has(std::string_view name) const noexcept;
    // Calls of the owner's commands that have no answer yet; a plugin is let go only at 0.
    std::size_t pending(std::string_view owner) const noexcept;

    // Runs the handler. `call` is answered with CommandNotFound where there is none.
    void run(const CallPtr& call);

  private:
    friend class Dispatcher;
    struct Entry;
    const std::string* owner(std::string_view name) const; // null: no such handler
    std::shared_ptr<void> count(const std::string& owner);

    std::unordered_map<std::string, std::shared_ptr<Entry>> entries_;
    std::unordered_map<std::string, std::shared_ptr<std::size_t>> pending_; // by owner
};

} // namespace outport::qmp
