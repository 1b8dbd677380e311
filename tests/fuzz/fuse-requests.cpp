// SPDX-License-Identifier: Apache-2.0
// What the kernel sends to a FUSE mount, cut as both transports cut it: no view may reach beyond what has
// arrived, and an accepted argument must be whole.
#include "request.hpp"
#include "session.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>

using namespace outport::fuse;

namespace {

void check(const Request& request, std::span<const std::byte> args, std::span<const std::byte> data) {
    if (request.args.data() != args.data() || request.args.size() != args.size() ||
        request.data.size() != data.size() || request.args.size() < argument_size(request.op()))
        std::abort();
    volatile unsigned sum = 0; // for the address sanitizer to see each byte of the argument
    for (std::size_t i = 0; i < argument_size(request.op()); ++i)
        sum = sum + unsigned(args[i]);
    if (request.op() == FUSE_WRITE) {
        const auto& in = request.arg<fuse_write_in>();
        if (in.size != data.size() || in.offset > std::uint64_t(INT64_MAX) - in.size)
            std::abort();
    } else if (request.op() == FUSE_READ) {
        const auto& in = request.arg<fuse_read_in>();
        if (in.offset > std::uint64_t(INT64_MAX) - in.size)
            std::abort();
    } else if (request.op() == FUSE_INIT) {
        Session session;
        session.max_transfer = 1 << 20;
        fuse_init_out out;
        const Fault fault = negotiate(request, sum & 1, session, out);
        if (fault.empty() && (out.major != FUSE_KERNEL_VERSION || out.max_write != session.max_transfer))
            std::abort();
    }
}

} // namespace

// The first byte: of what has arrived, so much is taken for data where a WRITE's head does not decide.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* input, std::size_t size) {
    if (size < 1 + sizeof(fuse_in_header))
        return 0;
    fuse_in_header header;
    std::memcpy(&header, input + 1, sizeof header);
    const std::size_t rest = size - 1 - sizeof header;
    const std::size_t before = header.opcode == FUSE_WRITE ? std::min(rest, sizeof(fuse_write_in))
                               : input[0]                  ? std::min<std::size_t>(rest, input[0])
                                                           : rest;
    // Of exactly that size, and aligned as the transports have it.
    const std::unique_ptr<std::byte[]> args(new std::byte[before]), data(new std::byte[rest - before]);
    std::memcpy(args.get(), input + 1 + sizeof header, before);
    std::memcpy(data.get(), input + 1 + sizeof header + before, rest - before);
    Request request;
    if (parse(header, {args.get(), before}, {data.get(), rest - before}, request).empty())
        check(request, {args.get(), before}, {data.get(), rest - before});
    return 0;
}
