// SPDX-License-Identifier: Apache-2.0
// The table outport.values/1: reading validated values (any thread: they don't change) and writing an answer
// or an event's data (main loop only).
#pragma once

#include "host/base/error.hpp"

#include <outport/values.h>

#include <boost/json/value.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

// One value that is being written. Mistakes of the plugin's are kept until it is taken: writing never fails.
struct outport_writer {
  public:
    void put(boost::json::value value);
    void name(std::string_view text);
    void begin(boost::json::value empty); // an empty object or array
    void end();

    // What was written; nothing: no value was. An error says what the plugin did wrong.
    outport::Result<std::optional<boost::json::value>> take();

  private:
    struct Open {
        boost::json::value value;
        std::string name; // of the member that comes next
        bool named = false;
    };
    void mistake(const char* what);

    std::vector<Open> open_;
    std::optional<boost::json::value> result_;
    const char* mistake_ = nullptr;
};

namespace outport::plugin {

const outport_values_api* values_api() noexcept;

// How plugins see a value that lives on our side.
inline const outport_value* to_handle(const boost::json::value* value) noexcept {
    return reinterpret_cast<const outport_value*>(value);
}

} // namespace outport::plugin
