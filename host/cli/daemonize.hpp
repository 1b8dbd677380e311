// SPDX-License-Identifier: Apache-2.0
// Going into the background, and the file that says under which number. For the start of the process, before
// its first thread, ring, lock and plugin.
#pragma once

#include "host/base/error.hpp"

#include <string>
#include <utility>

namespace outport::cli {

// --daemonize: the process that was started waits until the one in the background says that all is well.
class Background {
  public:
    // Forks. Returns in the background process only; the other one ends, with 0 after release(), and with 1
    // when the background process ended before. Until release() standard error is still the starter's.
    static Result<Background> enter();
    Background() = default;
    Background(Background&& other) noexcept : word_(std::exchange(other.word_, -1)) {}
    Background& operator=(Background&& other) noexcept {
        std::swap(word_, other.word_);
        return *this;
    }
    ~Background();

    // Start-up has succeeded: cuts what still ties it to the starter. Nothing if it never went into the
    // background.
    Result<> release();

  private:
    int word_ = -1; // the pipe to the starter
};

// --pidfile: written, locked, and removed again when the object goes.
class PidFile {
  public:
    static Result<PidFile> create(const std::string& path);
    PidFile() = default;
    PidFile(PidFile&& other) noexcept : fd_(std::exchange(other.fd_, -1)), path_(std::move(other.path_)) {}
    PidFile& operator=(PidFile&& other) noexcept {
        std::swap(fd_, other.fd_);
        std::swap(path_, other.path_);
        return *this;
    }
    ~PidFile();

  private:
    int fd_ = -1;
    std::string path_; // absolute
};

} // namespace outport::cli
