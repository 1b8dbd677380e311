// SPDX-License-Identifier: Apache-2.0
// PR_SET_IO_FLUSHER: a thread that the kernel waits for when it cleans memory (FUSE, VDUSE) must not itself
// wait for that. Thread-safe: acts on the calling thread.
#pragma once

namespace outport::loop {

class Loop;

// True if it is set. Without CAP_SYS_RESOURCE it is not; that is logged once for the process, and all goes
// on.
bool set_io_flusher() noexcept;
// The same on the thread of `loop`, soon; from any thread.
void set_io_flusher_on(Loop& loop);

} // namespace outport::loop
