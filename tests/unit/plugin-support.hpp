// SPDX-License-Identifier: Apache-2.0
// For the tests of the loader: folders of their own, and the plugins that were built to be refused.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <stdlib.h>
#include <sys/stat.h>

namespace outport::plugin::test {

namespace fs = std::filesystem;

inline fs::path built_plugins() {
    return TEST_PLUGINS;
}
inline fs::path fake(const std::string& name) {
    return built_plugins() / "fakes" / (name + ".so");
}
inline fs::path version_file(int version) {
    return built_plugins() / ("version-" + std::to_string(version)) / "fake-version.so";
}

// A folder that is removed again. Nobody but us may write to it.
class TempFolder {
  public:
    TempFolder() {
        char name[] = "/tmp/outport-plugin-XXXXXX";
        path_ = ::mkdtemp(name);
    }
    ~TempFolder() {
        std::error_code ec;
        fs::remove_all(path_, ec);
    }
    const fs::path& path() const { return path_; }
    fs::path add_folder(const std::string& name) const {
        fs::create_directories(path_ / name);
        return path_ / name;
    }
    // A copy that is a new file, under `name`.
    fs::path copy(const fs::path& from, const std::string& name) const {
        auto to = path_ / name;
        fs::copy_file(from, to, fs::copy_options::overwrite_existing);
        ::chmod(to.c_str(), 0755);
        return to;
    }
    fs::path copy(const fs::path& from) const { return copy(from, from.filename().string()); }
    fs::path write(const std::string& name, const std::string& bytes) const {
        auto to = path_ / name;
        std::ofstream(to, std::ios::binary) << bytes;
        return to;
    }

  private:
    fs::path path_;
};

inline std::string read_all(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

} // namespace outport::plugin::test
