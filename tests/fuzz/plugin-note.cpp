// SPDX-License-Identifier: Apache-2.0
// The reader of a plugin's ELF note, on files that nobody has looked at yet.
#include "host/plugin/note.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <sys/mman.h>
#include <unistd.h>

using namespace outport;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static const int fd = ::memfd_create("note", MFD_CLOEXEC);
    if (::ftruncate(fd, 0) != 0 || ::pwrite(fd, data, size, 0) != static_cast<ssize_t>(size))
        std::abort();
    auto note = plugin::read_note(fd, "x.so");
    if (!note && note.error().message.empty())
        std::abort();
    if (note && *note) {
        if ((*note)->id.empty() || (*note)->version.empty() || (*note)->license.empty())
            std::abort();
        (void)plugin::check_abi(**note, "x.so");
    }
    return 0;
}
