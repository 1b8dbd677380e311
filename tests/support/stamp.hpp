// SPDX-License-Identifier: Apache-2.0
// Stamped blocks as stamps.py defines them: address, sequence number and checksum in every block.
// Thread-safe.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <span>

namespace stamp {

constexpr std::uint64_t kMix = 0x9E3779B97F4A7C15;

struct Header {
    char magic[8];
    std::uint64_t address, sequence;
    std::uint32_t length, checksum;
};
static_assert(sizeof(Header) == 32);

inline std::uint32_t crc32(std::span<const unsigned char> data) {
    static const auto table = [] {
        std::array<std::uint32_t, 256> t{};
        for (std::uint32_t i = 0; i < 256; ++i) {
            t[i] = i;
            for (int k = 0; k < 8; ++k)
                t[i] = t[i] & 1 ? t[i] >> 1 ^ 0xEDB88320u : t[i] >> 1;
        }
        return t;
    }();
    std::uint32_t crc = ~0u;
    for (auto byte : data)
        crc = table[(crc ^ byte) & 255] ^ crc >> 8;
    return ~crc;
}

// The block that sequence number `sequence` writes at `address`. Number 0 is a block never written, and odd
// numbers are write-zeroes: both are zero bytes.
inline void make(std::uint64_t address, std::uint64_t sequence, std::span<unsigned char> out) {
    if (sequence == 0 || (sequence & 1)) {
        std::fill(out.begin(), out.end(), 0);
        return;
    }
    auto word = address * kMix ^ (sequence * kMix) >> 7 ^ sequence;
    for (std::size_t at = sizeof(Header); at < out.size(); at += 8)
        std::memcpy(out.data() + at, &word, std::min<std::size_t>(8, out.size() - at));
    Header header{{'O', 'U', 'T', 'P', 'S', 'T', 'M', 'P'}, address, sequence, std::uint32_t(out.size()), 0};
    std::memcpy(out.data(), &header, sizeof header);
    header.checksum = crc32(out);
    std::memcpy(out.data(), &header, sizeof header);
}

} // namespace stamp
