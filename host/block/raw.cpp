// SPDX-License-Identifier: Apache-2.0
// raw: its child as it is, or a window of it.
#include "host/base/text.hpp"
#include "host/block/drivers.hpp"
#include "host/block/node.hpp"
#include "host/block/stage.hpp"

#include <algorithm>

namespace outport::block {

namespace {

constexpr std::uint64_t kSector = 512;

class Raw final : public Driver {
  public:
    explicit Raw(const RawOptions& options) : options_(options) {}

    const char* name() const noexcept override { return "raw"; }
    bool takes_any_data() const noexcept override { return true; }
    Limits limits(const Node& node) const override { return node.child()->limits(); }
    std::string filename(const Node& node) const override {
        return node.child()->driver().filename(*node.child());
    }

    std::uint64_t size(const Node& node) const override {
        std::uint64_t child = node.child()->size();
        std::uint64_t rest = child > options_.offset ? child - options_.offset : 0;
        std::uint64_t size = options_.size ? std::min(*options_.size, rest) : rest;
        return (size + kSector - 1) / kSector * kSector;
    }

    void open(Node& node, Done done) override { done(check(node.child()->size())); }

    std::uint64_t child_offset() const noexcept override { return options_.offset; }

    void start(const Stage& stage, Io& io) override {
        io.offset += options_.offset;
        begin(*stage.child, io);
    }

    // The window must not slide off the child.
    void child_permissions(Perm perm, Perm shared, Perm& child_perm, Perm& child_shared) const override {
        child_perm = perm;
        child_shared = options_.windowed ? shared & ~kPermResize : shared;
    }

    void resize(Node& node, std::uint64_t size, Done done) override {
        if (options_.size)
            return done(fail("Cannot resize fixed-size raw disks"));
        if (size > INT64_MAX - options_.offset)
            return done(fail("Disk size too large for the chosen offset"));
        resize_node(*node.child(), size + options_.offset, std::move(done));
    }

    void allocated_size(Node& node, Sized done) override {
        node.child()->driver().allocated_size(*node.child(), std::move(done));
    }

  private:
    Result<> check(std::uint64_t real) const {
        if (options_.offset > real)
            return fail(cat("Offset (", options_.offset,
                            ") cannot be greater than size of the containing file (", real, ")"));
        if (options_.size && real - options_.offset < *options_.size)
            return fail(cat("The sum of offset (", options_.offset, ") and size (", *options_.size,
                            ") has to be smaller or equal to the  actual size of the containing file (", real,
                            ")"));
        if (options_.size && *options_.size % kSector)
            return fail("Specified size is not multiple of 512");
        return {};
    }

    RawOptions options_;
};

} // namespace

std::unique_ptr<Driver> make_raw(const RawOptions& options) {
    return std::make_unique<Raw>(options);
}

} // namespace outport::block
