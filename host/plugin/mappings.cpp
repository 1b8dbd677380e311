// SPDX-License-Identifier: Apache-2.0
#include "host/plugin/mappings.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <cinttypes>
#include <cstdint>
#include <cstdio>

namespace outport::plugin {
namespace {

struct FileId {
    unsigned major = 0, minor = 0;
    std::uint64_t inode = 0;
    bool operator==(const FileId&) const = default;
};

// What /proc/self/maps says about the mapping at `address`; inode 0: none, or not of a file.
FileId id_at(const void* address) noexcept {
    FileId id;
    auto wanted = reinterpret_cast<std::uintptr_t>(address);
    std::FILE* maps = std::fopen("/proc/self/maps", "re");
    if (!maps)
        return id;
    char line[512];
    bool at_start = true;
    while (std::fgets(line, sizeof line, maps)) {
        std::uint64_t from = 0, to = 0;
        FileId here;
        bool fits = at_start && std::sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %*s %x:%x %" SCNu64, &from,
                                            &to, &here.major, &here.minor, &here.inode) == 5;
        // A long path takes several reads; only the first has the numbers.
        at_start = false;
        for (const char* c = line; *c; ++c)
            at_start = *c == '\n';
        if (fits && wanted >= from && wanted < to) {
            id = here;
            break;
        }
    }
    std::fclose(maps);
    return id;
}

} // namespace

bool maps_same_file(const void* address, int fd) noexcept {
    auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    void* ours = ::mmap(nullptr, page, PROT_READ, MAP_PRIVATE, fd, 0);
    if (ours == MAP_FAILED)
        return false;
    auto expected = id_at(ours), found = id_at(address);
    ::munmap(ours, page);
    return expected.inode != 0 && expected == found;
}

} // namespace outport::plugin
