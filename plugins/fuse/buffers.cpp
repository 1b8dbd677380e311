// SPDX-License-Identifier: Apache-2.0
#include "buffers.hpp"

#include "kernel.hpp"

#include <sys/mman.h>

namespace outport::fuse {

bool Buffers::allocate(std::uint32_t count, std::size_t size) noexcept {
    const std::size_t rounded = (size + kPageSize - 1) / kPageSize * kPageSize;
    void* memory = ::mmap(nullptr, count * rounded, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED)
        return false;
    base_ = static_cast<std::byte*>(memory);
    size_ = rounded;
    count_ = count;
    return true;
}

void Buffers::release() noexcept {
    ::madvise(base_, size_ * count_, MADV_DONTNEED);
}

Buffers::~Buffers() {
    if (base_)
        ::munmap(base_, size_ * count_);
}

} // namespace outport::fuse
