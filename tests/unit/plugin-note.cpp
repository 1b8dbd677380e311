// SPDX-License-Identifier: Apache-2.0
// The reader of ELF notes: what it takes, and that no file makes it do anything but say no.
#include "host/plugin/note.hpp"
#include "tests/unit/plugin-support.hpp"

#include <elf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <random>

namespace outport::plugin {
namespace {

using test::fake;

Result<std::optional<Note>> read_file(const test::fs::path& path) {
    int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    EXPECT_GE(fd, 0) << path;
    auto note = read_note(fd, path.string());
    ::close(fd);
    return note;
}

// From memory: these are many.
Result<std::optional<Note>> read_bytes(const std::string& bytes) {
    int fd = ::memfd_create("note", MFD_CLOEXEC);
    EXPECT_EQ(::write(fd, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
    auto note = read_note(fd, "x.so");
    ::close(fd);
    return note;
}

std::string good_bytes() {
    return test::read_all(fake("fake-good"));
}

Elf64_Ehdr header_of(const std::string& bytes) {
    Elf64_Ehdr head;
    std::memcpy(&head, bytes.data(), sizeof head);
    return head;
}

template <class T> void put(std::string& bytes, std::size_t at, const T& value) {
    std::memcpy(bytes.data() + at, &value, sizeof value);
}

// Position of the program header of the segment with our note.
std::size_t note_segment(const std::string& bytes) {
    auto head = header_of(bytes);
    auto name_at = bytes.find(std::string("Outport", 8));
    for (int i = 0; i < head.e_phnum; ++i) {
        Elf64_Phdr p;
        auto at = head.e_phoff + i * sizeof p;
        std::memcpy(&p, bytes.data() + at, sizeof p);
        if (p.p_type == PT_NOTE && name_at >= p.p_offset && name_at < p.p_offset + p.p_filesz)
            return at;
    }
    ADD_FAILURE() << "no note segment";
    return 0;
}

TEST(PluginNote, ReadsWhatThePluginSaysOfItself) {
    auto note = read_file(fake("fake-good"));
    ASSERT_TRUE(note && *note);
    EXPECT_EQ((*note)->id, "fake-good");
    EXPECT_EQ((*note)->version, "1.0");
    EXPECT_EQ((*note)->license, "Apache-2.0");
    EXPECT_EQ((*note)->abi_major, 0u);
    EXPECT_EQ((*note)->abi_minor, 1u);
}

TEST(PluginNote, OtherFilesAreNotOurs) {
    for (std::string bytes : {std::string(),
                              std::string("\x7f"
                                          "ELF"),
                              std::string("text\n"), std::string(4096, '\0')}) {
        auto note = read_bytes(bytes);
        ASSERT_TRUE(note) << note.error().message;
        EXPECT_FALSE(*note);
    }
    auto plain = read_file(fake("fake-no-note"));
    ASSERT_TRUE(plain);
    EXPECT_FALSE(*plain);
    auto program = read_file("/proc/self/exe");
    ASSERT_TRUE(program);
    EXPECT_FALSE(*program);
}

TEST(PluginNote, OtherClassesAndByteOrdersAreNotOurs) {
    auto bytes = good_bytes();
    bytes[EI_CLASS] = ELFCLASS32;
    EXPECT_FALSE(*read_bytes(bytes));
    bytes = good_bytes();
    bytes[EI_DATA] = bytes[EI_DATA] == ELFDATA2LSB ? ELFDATA2MSB : ELFDATA2LSB;
    EXPECT_FALSE(*read_bytes(bytes));
}

TEST(PluginNote, AnotherMachineIsNamed) {
    auto bytes = good_bytes();
    put(bytes, offsetof(Elf64_Ehdr, e_machine), std::uint16_t{EM_SPARCV9});
    auto note = read_bytes(bytes);
    ASSERT_FALSE(note);
    EXPECT_NE(note.error().message.find("is for another machine"), std::string::npos) << note.error().message;
}

TEST(PluginNote, OffsetsAndSizesBeyondTheFileAreRefused) {
    auto at = note_segment(good_bytes());
    for (std::uint64_t offset : {std::uint64_t{1} << 40, UINT64_MAX, UINT64_MAX - 8}) {
        auto bytes = good_bytes();
        put(bytes, at + offsetof(Elf64_Phdr, p_offset), offset);
        EXPECT_FALSE(read_bytes(bytes)) << offset;
    }
    for (std::uint64_t size : {std::uint64_t{1} << 40, UINT64_MAX, std::uint64_t{65537}}) {
        auto bytes = good_bytes();
        put(bytes, at + offsetof(Elf64_Phdr, p_filesz), size);
        EXPECT_FALSE(read_bytes(bytes)) << size;
    }
    for (std::uint64_t table : {std::uint64_t{1} << 40, UINT64_MAX - 56}) {
        auto bytes = good_bytes();
        put(bytes, offsetof(Elf64_Ehdr, e_phoff), table);
        EXPECT_FALSE(read_bytes(bytes)) << table;
    }
}

TEST(PluginNote, SizesInsideTheNoteAreChecked) {
    auto name_at = good_bytes().find(std::string("Outport", 8));
    for (std::uint32_t size : {0u, 8u, 159u, 0x7fffffffu, 0xffffffffu}) {
        auto bytes = good_bytes();
        put(bytes, name_at - 8, size); // n_descsz
        auto note = read_bytes(bytes);
        EXPECT_FALSE(note && *note) << size;
    }
    auto bytes = good_bytes();
    put(bytes, name_at - 12, std::uint32_t{0xfffffffc}); // n_namesz
    auto note = read_bytes(bytes);
    EXPECT_FALSE(note && *note);
}

TEST(PluginNote, TextsMustEndAndBePrintable) {
    auto desc_at = good_bytes().find(std::string("Outport", 8)) + 8;
    auto bytes = good_bytes();
    for (std::size_t i = 0; i < 48; ++i) // version, without a zero
        bytes[desc_at + 16 + 64 + i] = '9';
    EXPECT_FALSE(read_bytes(bytes));
    bytes = good_bytes();
    bytes[desc_at + 16 + 64] = '\n';
    EXPECT_FALSE(read_bytes(bytes));
    EXPECT_FALSE(read_file(fake("fake-bad-note")));
}

TEST(PluginNote, OneNoteIsEnough) {
    auto note = read_file(fake("fake-two-notes"));
    ASSERT_FALSE(note);
    EXPECT_NE(note.error().message.find("more than one Outport note"), std::string::npos);
}

TEST(PluginNote, NoCutAndNoFlippedByteDoesHarm) {
    auto good = good_bytes().substr(0, 4096);
    for (std::size_t length = 0; length <= good.size(); length += 17)
        (void)read_bytes(good.substr(0, length));
    std::mt19937 random(1);
    auto whole = good_bytes();
    for (int i = 0; i < 500; ++i) {
        auto bytes = whole;
        for (int n = 0; n < 4; ++n)
            bytes[random() % 1024] = static_cast<char>(random());
        (void)read_bytes(bytes);
    }
}

TEST(PluginNote, AbiRefusalNamesFileAndBothVersions) {
    Note note;
    note.id = "x";
    note.abi_minor = 1;
    EXPECT_TRUE(check_abi(note, "/p/x.so"));
    for (auto [major, minor] : {std::pair{0u, 2u}, {0u, 0u}, {1u, 1u}}) {
        note.abi_major = major;
        note.abi_minor = minor;
        auto refused = check_abi(note, "/p/x.so");
        ASSERT_FALSE(refused);
        const auto& text = refused.error().message;
        EXPECT_NE(text.find("'/p/x.so'"), std::string::npos) << text;
        EXPECT_NE(text.find(std::to_string(major) + "." + std::to_string(minor)), std::string::npos) << text;
        EXPECT_NE(text.find("this host has 0.1"), std::string::npos) << text;
        EXPECT_NE(text.find("install"), std::string::npos) << text;
    }
}

} // namespace
} // namespace outport::plugin
