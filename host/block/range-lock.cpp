// SPDX-License-Identifier: Apache-2.0
#include "host/block/range-lock.hpp"

#include "host/loop/loop.hpp"

namespace outport::block {

using loop::owner_of;

bool RangeLock::conflict(const Range& a, const Range& b) noexcept {
    return a.start < b.end && b.start < a.end && (a.exclusive || b.exclusive);
}

bool RangeLock::acquire(Range& range, loop::Loop& loop) {
    range.loop = &loop;
    range.blockers = 0;
    range.posted.fn = [](loop::Posted* p) {
        Range* r = owner_of(p, &Range::posted);
        r->granted(*r);
    };
    std::lock_guard guard(mutex_);
    range.order = next_order_++;
    for (ListHook* h = exclusive_.next; h != &exclusive_; h = h->next)
        range.blockers += conflict(*owner_of(h, &Range::hook), range);
    if (range.exclusive)
        for (ListHook* h = shared_.next; h != &shared_; h = h->next)
            range.blockers += conflict(*owner_of(h, &Range::hook), range);
    range.hook.insert_before(range.exclusive ? exclusive_ : shared_);
    return range.blockers == 0;
}

void RangeLock::unblock(ListHook& list, const Range& gone) {
    for (ListHook* h = list.next; h != &list;) {
        Range& range = *owner_of(h, &Range::hook);
        h = h->next;
        if (range.order > gone.order && range.blockers && conflict(range, gone) && --range.blockers == 0)
            range.loop->post(range.posted); // it stays in the list: it is held now
    }
}

void RangeLock::release(Range& range) {
    std::lock_guard guard(mutex_);
    range.hook.unlink();
    unblock(exclusive_, range);
    if (range.exclusive)
        unblock(shared_, range);
}

} // namespace outport::block
