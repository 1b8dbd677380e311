// SPDX-License-Identifier: Apache-2.0
// file and host_device: an image that the kernel reads and writes. Control on the main loop; start() on every
// loop at once, which is safe because the descriptor never changes and the few shared facts are atomic.
#pragma once

#include "host/block/drivers.hpp"
#include "host/block/file-open.hpp"
#include "host/block/image-locks.hpp"
#include "host/block/node-context.hpp"
#include "host/block/options.hpp"
#include "host/loop/blocking-pool.hpp"

#include <atomic>
#include <cstdint>
#include <string>

namespace outport::block {

class File;

// A request's job on the blocking pool.
struct FileJob {
    loop::BlockingJob job;
    Io* io = nullptr;
    File* file = nullptr;
    class FileContext* context = nullptr;
    std::int32_t result = 0;
    std::uint64_t generation = 0;               // of the file's holes, before the look-up
    std::uint64_t data_start = 0, data_end = 0; // a run of data that was seen
};

class FileContext final : public NodeContext {
  public:
    FileContext(const Services& services, std::size_t alignment) : NodeContext(services, alignment) {}

    Slab<FileJob> jobs;
    // The last run of data that was seen. Holes are not remembered: a write may fill them.
    std::uint64_t data_start = 0, data_end = 0, data_generation = 0;
};

class File final : public Driver {
  public:
    File(const FileOptions& options, const NodeOptions& common, bool device);

    // ---- [main] file.cpp
    const char* name() const noexcept override { return device_ ? "host_device" : "file"; }
    bool wants_zero_writer() const noexcept override { return true; }
    std::uint64_t size(const Node&) const override { return (file_.size + 511) / 512 * 512; }
    Limits limits(const Node&) const override;
    std::string filename(const Node&) const override { return options_.filename; }
    void format_specific(boost::json::object& out) const override;
    std::unique_ptr<NodeContext> make_context(Node& node, loop::Loop& loop) override;
    void open(Node& node, Done done) override;
    void close(Node& node, Done done) override;
    void set_permissions(Node& node, Perm perm, Perm shared, Done done) override;
    void resize(Node& node, std::uint64_t size, Done done) override;
    void allocated_size(Node& node, Sized done) override;

    // ---- [loop] file-io.cpp
    void start(const Stage& stage, Io& io) override;

  private:
    static File& of(Io& io) noexcept;
    // Whether the kernel is to be asked again. What was cancelled is not: `result` says so then.
    static bool interrupted(const Io& io, std::int32_t& result) noexcept;

    void start_data(Io& io);
    void submit_data(Io& io);
    void on_data(Io& io, std::int32_t result);
    void start_flush(Io& io);
    void submit_flush(Io& io);
    void on_flushed(Io& io, std::int32_t result);
    void start_cache(Io& io);
    // file-zero.cpp
    void start_zeroes(Io& io);
    void try_zeroes(Io& io);
    void on_zeroes(Io& io, std::int32_t result);
    void start_allocate(Io& io);
    void start_discard(Io& io);
    void try_discard(Io& io);
    void on_discarded(Io& io, std::int32_t result);
    // file-jobs.cpp
    void start_job(Io& io, void (*run)(loop::BlockingJob*), const char* what);
    void job_done(FileJob& job);
    void start_status(Io& io);

    // [pool]
    Result<> set_permissions_blocking(Perm perm, Perm shared);
    Result<> reopen_writable();
    Result<> resize_blocking(std::uint64_t size, std::uint64_t& new_size);

    FileOptions options_;
    NodeOptions common_;
    bool device_;
    bool writable_ = false; // how it is open; touched by one job at a time
    bool locking_ = false;
    OpenedFile file_; // the descriptor's number is the same from open to close
    ImageLocks locks_;

    std::atomic<bool> can_zero_range_{true}, can_punch_{true};
    std::atomic<bool> wrote_{false};
    std::atomic<std::int32_t> flush_error_{
        0}; // what was written before it may be lost: no later flush may say 0
    std::atomic<std::uint64_t> generation_{0}; // of the holes: changes when one is made
};

} // namespace outport::block
