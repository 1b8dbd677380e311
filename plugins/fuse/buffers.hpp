// SPDX-License-Identifier: Apache-2.0
// One mapping cut into equal buffers that begin on pages: what a transport reads into and answers from.
// Thread-safe: no; a transport has its own. Pages that nobody touched cost nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace outport::fuse {

class Buffers {
  public:
    Buffers() = default;
    Buffers(const Buffers&) = delete;
    Buffers& operator=(const Buffers&) = delete;
    ~Buffers();

    // False when there is no memory. `size` is rounded up to pages.
    bool allocate(std::uint32_t count, std::size_t size) noexcept;
    std::span<std::byte> operator[](std::uint32_t i) const noexcept { return {base_ + i * size_, size_}; }
    // Gives the memory back to the kernel; contents are lost.
    void release() noexcept;

  private:
    std::byte* base_ = nullptr;
    std::size_t size_ = 0, count_ = 0;
};

} // namespace outport::fuse
