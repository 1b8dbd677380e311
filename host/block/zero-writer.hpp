// SPDX-License-Identifier: Apache-2.0
// One WRITE_ZEROES: by the driver where it can, else by writing zeroes from one fixed buffer, piece after
// piece. Ends that the driver can't do for their alignment are written. Belongs to a loop.
#pragma once

#include "host/block/io.hpp"

#include <cstdint>

namespace outport::block {

struct Stage;

class ZeroWriter {
  public:
    void run(const Stage& stage, Io& parent);

  private:
    void next();
    void on_done(std::int32_t result);
    void finish(std::int32_t result);
    std::uint64_t end() const noexcept { return parent_->offset + parent_->length; }

    const Stage* stage_ = nullptr;
    Io* parent_ = nullptr;
    Io sub_;
    std::uint64_t position_ = 0;
    std::uint64_t driver_start_ = 0, driver_end_ = 0; // what the driver is asked to do
    iovec tail_{};
    std::uint64_t piece_ = 0; // length of what is on its way
    bool by_driver_ = false;  // it is
    bool flushing_ = false;
};

} // namespace outport::block
