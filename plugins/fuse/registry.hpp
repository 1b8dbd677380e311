// SPDX-License-Identifier: Apache-2.0
// The paths that exports of this process are mounted on, as they were given. Not thread-safe: main loop only.
#pragma once

#include <outport/cpp/error.hpp>
#include <outport/cpp/text.hpp>

#include <set>
#include <string>
#include <utility>

namespace outport::fuse {

class Registry {
  public:
    // Holds a path until it ends.
    class Entry {
      public:
        Entry(Registry& registry, std::string path) : registry_(registry), path_(std::move(path)) {
            if (!registry_.paths_.insert(path_).second)
                throw sdk::Failure{OUTPORT_FAILED,
                                   sdk::cat("There already is a FUSE export on '", path_, "'")};
        }
        Entry(const Entry&) = delete;
        Entry& operator=(const Entry&) = delete;
        ~Entry() { registry_.paths_.erase(path_); }

      private:
        Registry& registry_;
        std::string path_;
    };

    // Where records of mounts are kept; empty when there is no such folder.
    std::string record_folder;

  private:
    std::set<std::string> paths_;
};

} // namespace outport::fuse
