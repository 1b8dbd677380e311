// SPDX-License-Identifier: Apache-2.0
// A resize that a queue asks for: run by the main loop, answered on the queue's loop.
#pragma once

#include "host/loop/completion.hpp"

#include <cstdint>

namespace outport::block {

class Seat;

// [loop] Not on the request path: allocates. The seat stays, since its queue has a request in flight.
class QueueResize {
  public:
    using Answer = void (*)(void* data, std::int32_t result);
    static void start(Seat& seat, std::uint64_t size, bool at_least, Answer answer, void* data);

  private:
    QueueResize(Seat& seat, std::uint64_t size, bool at_least, Answer answer, void* data);
    void on_main();
    void on_loop();

    Seat& seat_;
    std::uint64_t size_;
    bool at_least_;
    Answer answer_;
    void* data_;
    std::int32_t result_ = 0;
    loop::Posted to_main_, to_loop_;
};

} // namespace outport::block
