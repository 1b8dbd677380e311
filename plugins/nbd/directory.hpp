// SPDX-License-Identifier: Apache-2.0
// What negotiation asks about the exports that there are. Not thread-safe: the main loop's.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

namespace outport::nbd {

// One export as a client may see it, now. The texts live as long as the export.
struct ExportView {
    std::uint64_t serial = 0; // never used again for another export
    std::string_view name;
    std::string_view description;
    std::uint64_t size = 0;
    std::uint16_t flags = 0;     // transmission flags, without those that depend on the connection
    std::uint32_t min_block = 1; // the node's alignment
    std::uint32_t max_block = 0;
};

class ExportDirectory {
  public:
    virtual std::optional<ExportView> find(std::string_view name) = 0;
    virtual void
    for_each(const std::function<void(const ExportView&)>& visit) = 0; // in the order of creation

  protected:
    ~ExportDirectory() = default;
};

} // namespace outport::nbd
