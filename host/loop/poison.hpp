// SPDX-License-Identifier: Apache-2.0
// Address sanitizer sees nothing of what the kernel does to memory by io_uring. So in its builds the target
// of a read is poisoned from submission to completion: whoever touches or frees it too early is reported.
// Nothing otherwise. Thread-safe.
#pragma once

#include <cstddef>
#include <span>
#include <sys/uio.h>

#if defined(__SANITIZE_ADDRESS__)
#define OUTPORT_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define OUTPORT_ASAN 1
#endif
#endif

#ifdef OUTPORT_ASAN
#include <sanitizer/asan_interface.h>
#endif

namespace outport::loop {

// The kernel will write here.
inline void poison_read_target([[maybe_unused]] void* data, [[maybe_unused]] std::size_t length) noexcept {
#ifdef OUTPORT_ASAN
    __asan_poison_memory_region(data, length);
#endif
}

// It has: call this before the completion's owner sees the data.
inline void unpoison_read_target([[maybe_unused]] void* data, [[maybe_unused]] std::size_t length) noexcept {
#ifdef OUTPORT_ASAN
    __asan_unpoison_memory_region(data, length);
#endif
}

inline void poison_read_target([[maybe_unused]] std::span<const iovec> buffers) noexcept {
#ifdef OUTPORT_ASAN
    for (const iovec& b : buffers)
        poison_read_target(b.iov_base, b.iov_len);
#endif
}

inline void unpoison_read_target([[maybe_unused]] std::span<const iovec> buffers) noexcept {
#ifdef OUTPORT_ASAN
    for (const iovec& b : buffers)
        unpoison_read_target(b.iov_base, b.iov_len);
#endif
}

} // namespace outport::loop
