// SPDX-License-Identifier: Apache-2.0
// What an x-cache node keeps in memory: ranges that were written and not flushed yet. Not thread-safe.
#pragma once

#include "host/block/io.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <utility>
#include <vector>

namespace outport::block {

class DirtyMap {
  public:
    struct Extent {
        std::uint64_t length = 0;
        std::shared_ptr<const std::vector<std::byte>> data; // null: zeroes
        std::size_t skip = 0;                               // bytes of `data` before it
        std::uint64_t generation = 0;
    };
    using Extents = std::map<std::uint64_t, Extent>; // by offset; they don't overlap

    // The range is `data` now (null: zeroes).
    void put(std::uint64_t offset, std::uint64_t length, std::shared_ptr<const std::vector<std::byte>> data);
    void cut(std::uint64_t offset, std::uint64_t length); // forgets a range
    void forget_until(std::uint64_t generation);          // what was put up to then
    using List = std::vector<std::pair<std::uint64_t, Extent>>;
    List touching(std::uint64_t offset, std::uint64_t length) const;
    static void overlay(Io& read, const List& extents); // over what a read got from below
    void clear() { extents_.clear(); }

    const Extents& extents() const noexcept { return extents_; }
    std::uint64_t generation() const noexcept { return generation_; } // of the last put
    std::uint64_t bytes() const noexcept;

  private:
    Extents extents_;
    std::uint64_t generation_ = 0;
};

} // namespace outport::block
