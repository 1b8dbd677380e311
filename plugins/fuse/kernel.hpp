// SPDX-License-Identifier: Apache-2.0
// The kernel's side of FUSE: its header, and what newer kernels add to it, named and laid out as there
// (include/uapi/linux/fuse.h of 6.14). Thread-safe: constants and plain structs.
#pragma once

#include <linux/fuse.h>

#include <cstddef>
#include <cstdint>

#ifndef FUSE_DIRECT_IO_ALLOW_MMAP
#define FUSE_DIRECT_IO_ALLOW_MMAP (1ULL << 36)
#endif

#ifndef FUSE_OVER_IO_URING
#define FUSE_OVER_IO_URING (1ULL << 41)

#define FUSE_URING_IN_OUT_HEADER_SZ 128
#define FUSE_URING_OP_IN_OUT_SZ 128

struct fuse_uring_ent_in_out {
    std::uint64_t flags;
    std::uint64_t commit_id;  // names the request in the commit
    std::uint32_t payload_sz; // bytes in the payload buffer, in either direction
    std::uint32_t padding;
    std::uint64_t reserved;
};

struct fuse_uring_req_header {
    char in_out[FUSE_URING_IN_OUT_HEADER_SZ]; // fuse_in_header, then fuse_out_header
    char op_in[FUSE_URING_OP_IN_OUT_SZ];      // the first argument
    fuse_uring_ent_in_out ring_ent_in_out;
};

enum fuse_uring_cmd {
    FUSE_IO_URING_CMD_INVALID = 0,
    FUSE_IO_URING_CMD_REGISTER = 1,
    FUSE_IO_URING_CMD_COMMIT_AND_FETCH = 2,
};

struct fuse_uring_cmd_req { // in the 80 bytes of a 128-byte submission entry
    std::uint64_t flags;
    std::uint64_t commit_id;
    std::uint16_t qid;
    std::uint8_t padding[6];
};
#endif

static_assert(sizeof(fuse_uring_ent_in_out) == 32);
static_assert(sizeof(fuse_uring_req_header) == 288);
static_assert(sizeof(fuse_uring_cmd_req) == 24);

namespace outport::fuse {

inline constexpr std::uint32_t kPageSize = 4096;
// A WRITE's header and argument: what stands in front of its data.
inline constexpr std::size_t kWriteHead = sizeof(fuse_in_header) + sizeof(fuse_write_in);
static_assert(kWriteHead == 80);

} // namespace outport::fuse
