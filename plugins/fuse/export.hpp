// SPDX-License-Identifier: Apache-2.0
// One export: its options, its mount, its shards. Not thread-safe: the main loop's, but for negotiate().
//
//   start: mount (pool) ─► INIT (loop) ─► the other loops' devices ─► one stat (pool) ─► running
//   stop:  unmount (pool) ─► cut the shards ─► closed;  hide and soft wait for the last open file instead
#pragma once

#include "mount.hpp"
#include "records.hpp"
#include "registry.hpp"
#include "shard.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace outport::fuse {

namespace schema {
struct BlockExportOptionsFuse;
}

enum class IoUring : std::uint8_t { Off, On, Auto };

class Export {
  public:
    // Throws sdk::Failure.
    Export(const Services& services, Registry& registry, const outport_export_args& args);
    Export(const Export&) = delete;
    Export& operator=(const Export&) = delete;
    ~Export();

    void start(outport_done* done);
    void stop(std::uint32_t mode, outport_done* done);

    // From the shards.
    Fault negotiate(const Request& init, fuse_init_out& out) noexcept;          // [loop] of the first one
    void interrupt_elsewhere(const Shard& from, std::uint64_t unique) noexcept; // [loop] of `from`
    void initialised();
    void ring_refused();
    void shard_ended(int error, Fault fault);
    void shard_closed();

  private:
    Export(const Services& services, Registry& registry, const outport_export_args& args,
           const schema::BlockExportOptionsFuse& options);
    struct Mounting;
    enum class State : std::uint8_t { Created, Mounting, Initialising, Running, Leaving, Cutting, Stopped };

    void job(const char* verb, std::move_only_function<void()> work,
             std::move_only_function<void(const sdk::Failure*)> done);
    void mounted(Mounting& made, const sdk::Failure* failure);
    void make_shards(Mounting& made);
    void look_once();
    void looked(const sdk::Failure* failure);
    void fail_start(const sdk::Failure& failure);
    void start_rings();
    void leave();
    void abort();
    void unmounted(bool gone, const sdk::Failure* failure);
    void drop_mount_fd();
    void cut();
    void finish();

    const Services& services_;
    Registry& registry_;
    const outport_export_args& args_;
    MountOptions mount_options_;
    IoUring io_uring_;
    Registry::Entry place_;
    File file_;
    Session session_;
    State state_ = State::Created;
    Mounted mounted_;
    Record record_;
    std::vector<std::unique_ptr<Shard>> shards_;
    std::size_t open_shards_ = 0;
    std::uint32_t queues_ = 0;                   // of FUSE over io_uring; 0 when we don't offer it
    std::uint32_t jobs_ = 0;                     // under way on the pool
    bool unmounting_ = false, aborting_ = false; // the job for that has begun
    bool hard_ = false;                          // requests need not be carried out any more
    std::unique_ptr<sdk::Failure> failure_;      // why the start fails
    outport_done* starting_ = nullptr;
    std::vector<outport_done*> stopping_;
};

} // namespace outport::fuse
