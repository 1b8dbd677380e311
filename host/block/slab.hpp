// SPDX-License-Identifier: Apache-2.0
// Objects of one kind for one loop: made in slabs, kept when given back, so that the steady state allocates
// nothing. How many are out is bounded by the requests in flight. Not thread-safe.
#pragma once

#include <cassert>
#include <memory>
#include <vector>

namespace outport::block {

template <class T> class Slab {
  public:
    explicit Slab(std::size_t first = 16) : next_size_(first) {}
    Slab(const Slab&) = delete;
    Slab& operator=(const Slab&) = delete;
    ~Slab() { assert(free_.size() == total_); }

    // An object as its last user left it.
    T* take() {
        if (free_.empty())
            grow();
        T* object = free_.back();
        free_.pop_back();
        return object;
    }
    void give_back(T* object) noexcept { free_.push_back(object); } // there is room: see grow

  private:
    void grow() {
        slabs_.push_back(std::make_unique<T[]>(next_size_));
        total_ += next_size_;
        free_.reserve(total_);
        for (std::size_t i = 0; i < next_size_; ++i)
            free_.push_back(&slabs_.back()[i]);
        next_size_ = total_; // twice as many each time
    }

    std::vector<std::unique_ptr<T[]>> slabs_;
    std::vector<T*> free_;
    std::size_t total_ = 0;
    std::size_t next_size_;
};

} // namespace outport::block
