// SPDX-License-Identifier: Apache-2.0
// What nbdstress knows of each slot (a range that is always written whole): what was acknowledged, what a
// flush made durable, and what was submitted since. Only for one thread.
#pragma once

#include "stamp.hpp"

#include <cstdio>
#include <optional>
#include <string>
#include <vector>

namespace stress {

struct Slot {
    std::uint64_t address = 0;
    std::uint32_t length = 0;
    bool busy = false;
    std::uint64_t acknowledged = 0;
    std::vector<std::uint64_t> maybe; // submitted after that: in flight, or failed
    std::vector<std::uint64_t> since; // the last durable one and all submitted after it

    void submit(std::uint64_t sequence) {
        maybe.push_back(sequence);
        if (since.empty())
            since.push_back(0);
        since.push_back(sequence);
    }
    void acknowledge(std::uint64_t sequence) {
        acknowledged = sequence;
        maybe.clear();
    }
    // It was refused, so it must not be there.
    void refused(std::uint64_t sequence) {
        std::erase(maybe, sequence);
        std::erase(since, sequence);
    }
    // What it held was cut off, and it holds zeroes; nothing of it may come back.
    void cut_off() {
        acknowledged = 0;
        maybe.clear();
        since.clear();
    }
    // All up to `sequence` is on stable storage; numbers of one slot only grow.
    void make_durable(std::uint64_t sequence) {
        auto at = std::find(since.begin(), since.end(), sequence);
        if (at != since.end())
            since.erase(since.begin(), at);
    }
};

// Region `number` of the image cut into slots: aligned ones, and ones of odd sizes that share blocks with
// neighbours.
inline void cut_region(std::vector<Slot>& out, std::uint64_t begin, std::uint64_t size, unsigned number) {
    static constexpr std::uint32_t kSizes[] = {4096,  512,  5003, 65536, 1000, 4096,
                                               16384, 3001, 512,  12288, 777,  4096};
    std::uint64_t at = begin;
    for (unsigned i = number;; ++i) {
        auto length = kSizes[i % std::size(kSizes)];
        if (length % 512 == 0)
            at = (at + 511) / 512 * 512;
        if (at + length > begin + size)
            return;
        Slot slot;
        slot.address = at;
        slot.length = length;
        out.push_back(slot);
        at += length;
    }
}

// Checks data read from a slot against the values it may hold. Each piece between two sector boundaries may
// come from another of them, since a write that was cut off by a power loss is only whole by sectors. Says
// what is wrong.
inline std::optional<std::string> check(const Slot& slot, std::span<const unsigned char> data,
                                        const std::vector<std::uint64_t>& allowed) {
    std::vector<std::vector<unsigned char>> values;
    for (auto sequence : allowed)
        stamp::make(slot.address, sequence, values.emplace_back(data.size()));
    for (std::size_t at = 0; at < data.size();) {
        auto boundary = (slot.address + at) / 512 * 512 + 512 - slot.address;
        auto end = std::min<std::size_t>(boundary, data.size());
        bool good = std::any_of(values.begin(), values.end(), [&](auto& value) {
            return std::memcmp(value.data() + at, data.data() + at, end - at) == 0;
        });
        if (!good) {
            std::uint64_t found = 0;
            if (data.size() >= sizeof(stamp::Header))
                std::memcpy(&found, data.data() + 16, 8);
            char text[256];
            std::snprintf(text, sizeof text,
                          "slot %#llx+%u: bytes from %zu are none of the %zu values it may hold (first %llu, "
                          "last %llu); "
                          "a stamp there would say %llu",
                          static_cast<unsigned long long>(slot.address), slot.length, at, allowed.size(),
                          static_cast<unsigned long long>(allowed.front()),
                          static_cast<unsigned long long>(allowed.back()),
                          static_cast<unsigned long long>(found));
            return text;
        }
        at = end;
    }
    return std::nullopt;
}

inline std::vector<std::uint64_t> allowed_after_kill(const Slot& slot) {
    std::vector<std::uint64_t> allowed{slot.acknowledged};
    allowed.insert(allowed.end(), slot.maybe.begin(), slot.maybe.end());
    return allowed;
}

inline std::vector<std::uint64_t> allowed_after_power_loss(const Slot& slot) {
    return slot.since.empty() ? std::vector<std::uint64_t>{0} : slot.since;
}

inline bool save(const std::vector<Slot>& slots, const std::string& path) {
    FILE* out = std::fopen(path.c_str(), "w");
    if (!out)
        return false;
    auto list = [&](const std::vector<std::uint64_t>& numbers) {
        std::fprintf(out, " %zu", numbers.size());
        for (auto n : numbers)
            std::fprintf(out, " %llu", static_cast<unsigned long long>(n));
    };
    for (auto& slot : slots) {
        std::fprintf(out, "%llu %u", static_cast<unsigned long long>(slot.address), slot.length);
        list(allowed_after_kill(slot));
        list(allowed_after_power_loss(slot));
        std::fputc('\n', out);
    }
    return std::fclose(out) == 0;
}

struct Saved {
    Slot slot;
    std::vector<std::uint64_t> acknowledged, durable;
};

inline std::vector<Saved> load(const std::string& path) {
    std::vector<Saved> all;
    FILE* in = std::fopen(path.c_str(), "r");
    unsigned long long number;
    auto list = [&](std::vector<std::uint64_t>& out) {
        std::size_t n = 0;
        bool good = std::fscanf(in, "%zu", &n) == 1;
        for (std::size_t i = 0; good && i < n; ++i) {
            good = std::fscanf(in, "%llu", &number) == 1;
            out.push_back(number);
        }
        return good;
    };
    while (in) {
        Saved s;
        if (std::fscanf(in, "%llu %u", &number, &s.slot.length) != 2)
            break;
        s.slot.address = number;
        if (!list(s.acknowledged) || !list(s.durable))
            break;
        all.push_back(std::move(s));
    }
    if (in)
        std::fclose(in);
    return all;
}

} // namespace stress
