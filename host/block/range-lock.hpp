// SPDX-License-Identifier: Apache-2.0
// Keeps a read-modify-write of a node apart from every other write that overlaps it, on any loop.
// Thread-safe; only nodes whose request alignment is more than one byte have one.
//
// Conflicting ranges get their turn in the order of arrival, so none starves and none waits in a circle. An
// aligned write looks only at the exclusive ranges, of which there are hardly ever any.
//
// This is the one mutex on the request path, and only such nodes have it (direct I/O, and test nodes): a
// read-modify-write on one loop must not undo what another loop wrote into the same block, so the two have to
// meet. It is held for a walk over a list: the misaligned writes in flight to the node for an aligned one,
// all of its writes for a misaligned one; not for I/O, and no other lock is taken inside. Reads take no
// range.
#pragma once

#include "host/base/intrusive-list.hpp"
#include "host/loop/completion.hpp"

#include <cstdint>
#include <mutex>

namespace outport::loop {
class Loop;
}

namespace outport::block {

class RangeLock {
  public:
    struct Range {
        std::uint64_t start = 0, end = 0;
        bool exclusive = false;            // reads what it writes back
        void (*granted)(Range&) = nullptr; // on the loop that asked, later
        // ---- the lock's
        ListHook hook;
        loop::Posted posted;
        loop::Loop* loop = nullptr;
        std::uint64_t order = 0;
        std::uint32_t blockers = 0; // earlier ranges that it waits for
    };

    // True: the range is held now. False: `granted` is called when it is.
    bool acquire(Range& range, loop::Loop& loop);
    void release(Range& range); // on any loop

  private:
    static bool conflict(const Range& a, const Range& b) noexcept;
    void unblock(ListHook& list, const Range& gone);

    std::mutex mutex_;
    ListHook shared_, exclusive_; // held or waiting
    std::uint64_t next_order_ = 0;
};

} // namespace outport::block
