// SPDX-License-Identifier: Apache-2.0
// Counts what the whole test program allocates.
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

#include "host/loop/poison.hpp" // says whether address sanitizer is there, which counts for itself

namespace outport::block::test {
std::atomic<std::uint64_t> allocations{0};
}

#ifndef OUTPORT_ASAN

namespace {

void* counted(std::size_t size, std::size_t alignment) {
    ++outport::block::test::allocations;
    void* memory = std::aligned_alloc(alignment, (size + alignment - 1) / alignment * alignment);
    if (!memory)
        throw std::bad_alloc();
    return memory;
}

} // namespace

void* operator new(std::size_t size) {
    return counted(size ? size : 1, alignof(std::max_align_t));
}
void* operator new(std::size_t size, std::align_val_t alignment) {
    return counted(size ? size : 1, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
    std::free(memory);
}

#endif
