// SPDX-License-Identifier: Apache-2.0
#include "host/plugin/note.hpp"

#include "host/base/text.hpp"
#include "host/plugin/folders.hpp"

#include <outport/plugin.h>

#include <elf.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <string_view>
#include <vector>

namespace outport::plugin {
namespace {

constexpr std::size_t kMaxProgramHeaders = 512;
constexpr std::size_t kMaxNotes = 64 * 1024; // bytes of one note segment that are looked at

constexpr std::uint16_t kMachine =
#if defined(__x86_64__)
    EM_X86_64;
#elif defined(__aarch64__)
    EM_AARCH64;
#elif defined(__riscv)
    EM_RISCV;
#elif defined(__powerpc64__)
    EM_PPC64;
#elif defined(__s390x__)
    EM_S390;
#else
#error "name the ELF machine of this architecture"
#endif
constexpr unsigned char kByteOrder = std::endian::native == std::endian::little ? ELFDATA2LSB : ELFDATA2MSB;

struct File {
    int fd;
    std::uint64_t size;

    // Exactly `length` bytes at `offset`; false when the file doesn't have them.
    bool read(void* to, std::uint64_t offset, std::uint64_t length) const {
        if (offset > size || length > size - offset)
            return false;
        auto* at = static_cast<char*>(to);
        while (length > 0) {
            auto n = ::pread(fd, at, length, static_cast<off_t>(offset));
            if (n <= 0)
                return false;
            at += n;
            offset += static_cast<std::uint64_t>(n);
            length -= static_cast<std::uint64_t>(n);
        }
        return true;
    }
};

Result<std::optional<Note>> damaged(const std::string& path, std::string_view why) {
    return fail(cat("plugin file '", path, "' is damaged: ", why));
}

std::uint64_t align_up(std::uint64_t n, std::uint64_t to) {
    return (n + to - 1) / to * to;
}

// A zero-terminated text of printable characters, which stands in messages.
bool take_text(std::string& out, const char* field, std::size_t capacity) {
    auto length = ::strnlen(field, capacity);
    out.assign(field, length);
    auto printable = [](char c) { return c >= 0x20 && c < 0x7f; };
    return length > 0 && length < capacity && std::all_of(out.begin(), out.end(), printable);
}

// Our note's descriptor, as it stands in a file.
bool take_note(Note& note, const unsigned char* desc) {
    outport_note raw{};
    constexpr std::size_t head = offsetof(outport_note, abi_major);
    std::memcpy(reinterpret_cast<char*>(&raw) + head, desc, sizeof raw - head);
    note.abi_major = raw.abi_major;
    note.abi_minor = raw.abi_minor;
    note.min_host_minor = raw.min_host_minor;
#ifdef OUTPORT_PLANTED_BUG // for tests/fuzz to find
    if (raw.id[2] == 'x' && raw.id[3] == 0)
        __builtin_trap();
#endif
    return take_text(note.id, raw.id, sizeof raw.id) &&
           take_text(note.version, raw.version, sizeof raw.version) &&
           take_text(note.license, raw.license, sizeof raw.license) && valid_plugin_name(note.id);
}

// Looks through one segment's notes. False: the segment is damaged. `found` grows by each note of ours.
bool scan_notes(const std::vector<unsigned char>& bytes, std::uint64_t align, std::vector<Note>& found,
                bool& bad) {
    constexpr std::string_view name{OUTPORT_NOTE_NAME, sizeof OUTPORT_NOTE_NAME};
    constexpr std::size_t desc_size = sizeof(outport_note) - offsetof(outport_note, abi_major);
    std::uint64_t at = 0;
    while (at + sizeof(Elf64_Nhdr) <= bytes.size()) {
        Elf64_Nhdr head;
        std::memcpy(&head, bytes.data() + at, sizeof head);
        std::uint64_t name_at = at + sizeof head;
        std::uint64_t desc_at = align_up(name_at + head.n_namesz, align);
        std::uint64_t end = desc_at + head.n_descsz;
        if (end > bytes.size())
            return false;
        std::string_view its_name(reinterpret_cast<const char*>(bytes.data()) + name_at, head.n_namesz);
        if (its_name == name && head.n_type == OUTPORT_NOTE_TYPE) {
            Note note;
            bad = bad || head.n_descsz < desc_size || !take_note(note, bytes.data() + desc_at);
            found.push_back(std::move(note));
        }
        at = align_up(end, align);
    }
    return true;
}

Result<std::optional<Note>> from_segments(const File& file, const Elf64_Ehdr& head, const std::string& path) {
    if (head.e_phnum > kMaxProgramHeaders || head.e_phentsize != sizeof(Elf64_Phdr))
        return damaged(path, "its program headers make no sense");
    std::vector<Elf64_Phdr> segments(head.e_phnum);
    if (!file.read(segments.data(), head.e_phoff, segments.size() * sizeof(Elf64_Phdr)))
        return damaged(path, "its program headers are not in it");
    std::vector<Note> found;
    bool bad = false;
    for (const auto& segment : segments) {
        if (segment.p_type != PT_NOTE)
            continue;
        if (segment.p_filesz > kMaxNotes)
            return damaged(path, "its notes are too long");
        std::vector<unsigned char> bytes(segment.p_filesz);
        if (!file.read(bytes.data(), segment.p_offset, bytes.size()))
            return damaged(path, "its notes are not in it");
        if (!scan_notes(bytes, segment.p_align == 8 ? 8 : 4, found, bad))
            return damaged(path, "its notes are cut off");
    }
    if (found.empty())
        return std::nullopt;
    // What is mapped beyond the end of a file that was cut off is SIGBUS in the middle of dlopen.
    for (const auto& segment : segments)
        if (segment.p_type == PT_LOAD &&
            (segment.p_offset > file.size || segment.p_filesz > file.size - segment.p_offset))
            return damaged(path, "it is cut off");
    if (bad || found.size() > 1)
        return damaged(path, bad ? "its Outport note is malformed" : "it has more than one Outport note");
    return std::move(found.front());
}

} // namespace

Result<std::optional<Note>> read_note(int fd, const std::string& path) {
    struct stat st{};
    if (::fstat(fd, &st) < 0)
        return fail_errno(errno, cat("cannot read plugin file '", path, "'"));
    File file{fd, static_cast<std::uint64_t>(st.st_size)};
    Elf64_Ehdr head{};
    if (!file.read(&head, 0, sizeof head) || std::memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 ||
        head.e_ident[EI_CLASS] != ELFCLASS64 || head.e_ident[EI_DATA] != kByteOrder)
        return std::nullopt;
    auto note = from_segments(file, head, path);
    if (!note || !*note)
        return note;
    if (head.e_machine != kMachine)
        return fail(cat("plugin file '", path, "' is for another machine (ELF machine ", head.e_machine,
                        ", here it is ", kMachine, ")"));
    if (head.e_type != ET_DYN)
        return damaged(path, "it is no shared object");
    return note;
}

Result<> check_abi(const Note& note, const std::string& path) {
    bool fits = note.abi_major == OUTPORT_ABI_MAJOR &&
                (OUTPORT_ABI_MAJOR == 0 ? note.abi_minor == OUTPORT_ABI_MINOR
                                        : OUTPORT_ABI_MINOR >= note.min_host_minor);
    if (fits)
        return {};
    auto wanted = cat(note.abi_major, '.', OUTPORT_ABI_MAJOR == 0 ? note.abi_minor : note.min_host_minor);
    auto here = cat(OUTPORT_ABI_MAJOR, '.', OUTPORT_ABI_MINOR);
    return fail(cat("plugin file '", path, "' needs plugin ABI ", wanted, ", but this host has ", here,
                    ": install a build of plugin '", note.id, "' for ABI ", here, ", or an outport with ABI ",
                    wanted));
}

} // namespace outport::plugin
