// SPDX-License-Identifier: Apache-2.0
// Where exports find the loops of `iothread` objects: implemented by host/object. Not thread-safe: main loop
// only.
#pragma once

#include <string_view>

namespace outport::loop {
class Loop;
}

namespace outport::exports {

class Iothreads {
  public:
    virtual ~Iothreads() = default;
    // The loop of the iothread object called `id`, or null. Takes one use of it: the object can't be deleted
    // while there is one. Each successful call is paired with one release().
    virtual loop::Loop* acquire(std::string_view id) = 0;
    virtual void release(std::string_view id) noexcept = 0;
};

} // namespace outport::exports
