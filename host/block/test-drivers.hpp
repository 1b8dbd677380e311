// SPDX-License-Identifier: Apache-2.0
// Nodes for tests, in builds with -Dtest-drivers=true only. The functions may be called from any thread.
#pragma once

#include "host/base/error.hpp"
#include "host/block/driver.hpp"
#include "host/block/io.hpp"

#include <boost/json/fwd.hpp>

#include <cstdint>
#include <memory>
#include <vector>

namespace outport::block {

// ---- x-fault: passes everything on, but for what its rules say.
enum class FaultAction : std::uint8_t {
    Error,   // fails with FaultRule::error; nothing goes on
    Delay,   // goes on after FaultRule::delay_ns
    Hold,    // goes on when released
    Reorder, // held in pairs: goes on after the next one that the rule takes
    Short,   // the lower half is done, then it fails with FaultRule::error
};

struct FaultRule {
    std::uint32_t ops = 0; // bits of Op
    FaultAction action = FaultAction::Error;
    std::uint64_t offset = 0;
    std::uint64_t length = UINT64_MAX; // operations that touch the range; those without a range always do
    std::int32_t error = 0;            // negative errno
    std::uint64_t delay_ns = 0;
    std::uint64_t skip = 0;  // lets so many pass first
    std::uint64_t count = 0; // then takes so many; 0: all
    bool used_up = false;    // the node's own
};

struct FaultCounts {
    std::uint64_t ops[kOps]{};
    std::uint64_t bytes[kOps]{};
    std::uint64_t fua = 0;  // of those that came with it
    std::uint64_t held = 0; // now
};

Result<std::unique_ptr<Driver>> make_fault(const boost::json::object& options);
// `driver` is a node's; an error says that it is no x-fault.
Result<> fault_set(Driver& driver,
                   std::vector<FaultRule> rules); // instead of those before; what is held stays so
Result<> fault_release(Driver& driver);
Result<FaultCounts> fault_counts(Driver& driver);

// ---- x-cache: keeps what is written until it is flushed.
struct CacheCounts {
    std::uint64_t dirty_bytes = 0, dirty_extents = 0, flushes = 0;
};

std::unique_ptr<Driver> make_write_back();
Result<CacheCounts> cache_power_loss(Driver& driver); // drops what is dirty; says how much that was
Result<CacheCounts> cache_counts(Driver& driver);

} // namespace outport::block
