// SPDX-License-Identifier: Apache-2.0
// Parks the requests of some roots on all their loops, so that the graph below them can be changed, and lets
// them go on. Main loop only; the loops' side is Seat.
#pragma once

#include "host/base/error.hpp"
#include "host/loop/timer-queue.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace outport::block {

class Graph;
class Root;
class Seat;

class Quiesce {
  public:
    using Done = std::move_only_function<void(Result<>)>;

    // `cause`: "resize of node 'x'", for the log.
    Quiesce(Graph& graph, std::vector<Root*> roots, std::string cause);
    Quiesce(const Quiesce&) = delete;
    Quiesce& operator=(const Quiesce&) = delete;
    ~Quiesce();

    // `done` comes when nothing is in flight below those roots. If the deadline passes before that, all goes
    // on as it was, and then `done` gets an error; resume() must not be called.
    void park(Done done);
    // With new views if the graph is not what it was.
    void resume(bool rebuild, std::move_only_function<void()> done);

    // ---- [Seat]
    void seat_drained(Seat& seat);
    void seat_resumed(Seat& seat);

  private:
    void complain();
    void give_up();
    std::string who_holds() const;

    Graph& graph_;
    std::vector<Root*> roots_;
    std::vector<Seat*> seats_;
    std::string cause_;
    std::size_t missing_ = 0; // answers
    bool gave_up_ = false;
    Done parked_;
    std::move_only_function<void()> resumed_;
    loop::Timer complain_timer_, deadline_timer_;
};

} // namespace outport::block
