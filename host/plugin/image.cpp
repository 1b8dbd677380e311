// SPDX-License-Identifier: Apache-2.0
#include "host/plugin/image.hpp"

#include "host/base/text.hpp"
#include "host/plugin/mappings.hpp"
#include "host/plugin/trust.hpp"

#include <dlfcn.h>
#include <link.h>
#include <sys/stat.h>
#include <unistd.h>

#define BOOST_DLL_USE_STD_FS
#include <boost/dll/shared_library.hpp>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <vector>

namespace outport::plugin {
namespace {

constexpr int kMaxAliases = 256; // how often one path may be replaced while the process lives
constexpr std::size_t kPiece = 256 * 1024;
constexpr const char* kSymbol = "outport_plugin";

struct FdCloser {
    int fd;
    ~FdCloser() { ::close(fd); }
};

// An object that is mapped. The mapping keeps its inode, so device and inode name it as long as the process
// lives.
struct Mapped {
    dev_t device;
    ino_t inode;
    std::int64_t size, changed_ns;
    boost::dll::shared_library library;
};

// One object is mapped at a time.
std::mutex& mapping() {
    static auto* the = new std::mutex;
    return *the;
}

// Under mapping(). Never destroyed: Boost.DLL closes in the destructor, and closing is where code that is
// still in use goes away.
std::vector<Mapped>& mapped_objects() {
    static auto* all = new std::vector<Mapped>;
    return *all;
}

std::int64_t changed_ns(const struct stat& st) {
    return std::int64_t{st.st_mtim.tv_sec} * 1'000'000'000 + st.st_mtim.tv_nsec;
}

// Whether glibc has a loaded object by that very name. It would give that one, whatever the file is now.
bool name_is_taken(const std::string& name) {
    struct Search {
        const char* name;
        bool found = false;
    } search{name.c_str()};
    auto look = [](dl_phdr_info* info, std::size_t, void* data) {
        auto& s = *static_cast<Search*>(data);
        s.found = s.found || (info->dlpi_name && std::strcmp(info->dlpi_name, s.name) == 0);
        return s.found ? 1 : 0;
    };
    ::dl_iterate_phdr(look, &search);
    return search.found;
}

// `dir/x.so`, `dir/./x.so`, `dir/././x.so`, …: the first that glibc hasn't seen. The folder stays what it is,
// so that libraries beside the plugin ($ORIGIN) are found.
std::string unseen_alias(const std::string& path) {
    auto slash = path.rfind('/');
    std::string folder = slash == path.npos ? std::string("./") : path.substr(0, slash + 1);
    auto file = slash == path.npos ? path : path.substr(slash + 1);
    for (int i = 0; i < kMaxAliases; ++i, folder += "./")
        if (auto name = folder + file; !name_is_taken(name))
            return name;
    return {};
}

link_map* link_map_of(const boost::dll::shared_library& library) {
    link_map* map = nullptr;
    if (::dlinfo(library.native(), RTLD_DI_LINKMAP, static_cast<void*>(&map)) != 0)
        return nullptr;
    return map;
}

Result<> refuse_changed(const Mapped& known, const struct stat& st, const std::string& path) {
    if (known.size == st.st_size && known.changed_ns == changed_ns(st))
        return {};
    return fail(cat("plugin file '", path, "' was changed in place while it was mapped"),
                "put a new version beside it and rename it over the old one, then restart the host");
}

// What of a file can't be read would be waited for, or be SIGBUS, while its code runs. And who hangs in this
// does so without a lock, ours or the loader's.
Result<> read_whole(int fd, const std::string& path) {
    std::vector<char> piece(kPiece);
    for (off_t at = 0;;) {
        auto n = ::pread(fd, piece.data(), piece.size(), at);
        if (n == 0)
            return {};
        if (n < 0 && errno != EINTR)
            return fail_errno(errno, cat("cannot read plugin file '", path, "'"));
        at += n > 0 ? n : 0;
    }
}

// The object of the file behind `fd`, mapped now if it isn't. Under mapping().
Result<Mapped*> map_object(int fd, const std::string& path) {
    struct stat st{};
    if (::fstat(fd, &st) < 0)
        return fail_errno(errno, cat("cannot open plugin file '", path, "'"));
    auto& all = mapped_objects();
    auto same = [&](const Mapped& m) { return m.device == st.st_dev && m.inode == st.st_ino; };
    if (auto it = std::find_if(all.begin(), all.end(), same); it != all.end()) {
        if (auto ok = refuse_changed(*it, st, path); !ok)
            return fail(ok.error());
        return &*it;
    }
    auto alias = unseen_alias(path);
    if (alias.empty())
        return fail(cat("plugin file '", path, "' was replaced too often in this process"),
                    "restart the host");
    boost::dll::shared_library library;
    std::error_code ec;
    library.load(alias, ec, boost::dll::load_mode::rtld_now | boost::dll::load_mode::rtld_local);
    if (!library.is_loaded()) {
        const char* why = ::dlerror();
        return fail(cat("cannot load plugin file '", path, "': ", why ? why : ec.message().c_str()));
    }
    auto* map = link_map_of(library);
    bool ours = map && maps_same_file(map->l_ld, fd);
    all.push_back({st.st_dev, st.st_ino, st.st_size, changed_ns(st), std::move(library)});
    if (!ours) {
        all.back().inode = 0; // kept mapped, never found again
        return fail(cat("plugin file '", path, "' was replaced while it was being loaded"), "try again");
    }
    return &all.back();
}

bool same_text(const char* in_symbol, const std::string& in_note) {
    return in_symbol && in_note == in_symbol;
}

Result<> check_entry(const Image& image) {
    const auto& entry = image.entry;
    const auto& note = image.note;
    if (entry.abi_major != note.abi_major || entry.abi_minor != note.abi_minor ||
        entry.min_host_minor != note.min_host_minor || !same_text(entry.id, note.id) ||
        !same_text(entry.version, note.version) || !same_text(entry.license, note.license))
        return fail(cat("plugin file '", image.path, "' contradicts itself: its ELF note and its symbol ",
                        kSymbol, " differ in id, version, license or ABI"));
    const char* missing = !entry.init ? "init" : !entry.fini ? "fini" : nullptr;
    if (missing)
        return fail(cat("plugin file '", image.path, "' lacks the required function '", missing, "'"));
    if ((entry.schema == nullptr) != (entry.schema_length == 0))
        return fail(
            cat("plugin file '", image.path, "' gives a schema without a length, or a length without one"));
    return {};
}

// The symbol must be the object's own, not one of a library that it was linked with, and as long as it says.
Result<const struct outport_plugin*> find_entry(const boost::dll::shared_library& library,
                                                const std::string& path) {
    auto* map = link_map_of(library);
    Dl_info info{};
    ElfW(Sym)* symbol = nullptr;
    void* address = library.has(kSymbol) ? ::dlsym(library.native(), kSymbol) : nullptr;
    if (!address || !map ||
        ::dladdr1(address, &info, reinterpret_cast<void**>(&symbol), RTLD_DL_SYMENT) == 0 ||
        info.dli_fbase != reinterpret_cast<void*>(map->l_addr) || !symbol)
        return fail(cat("plugin file '", path, "' does not export the symbol ", kSymbol));
    auto* entry = static_cast<const struct outport_plugin*>(address);
    if (symbol->st_size < sizeof entry->struct_size || entry->struct_size > symbol->st_size)
        return fail(cat("plugin file '", path, "' has a symbol ", kSymbol, " that is shorter than it says"));
    return entry;
}

} // namespace

bool copy_table(void* to, const void* from, std::uint32_t size, std::uint32_t required) noexcept {
    std::uint32_t theirs = 0;
    std::memset(to, 0, size);
    std::memcpy(&theirs, from, sizeof theirs);
    if (theirs < required)
        return false;
    std::memcpy(to, from, std::min(theirs, size));
    return true;
}

Result<std::optional<Image>> load_image(const std::string& path) {
    auto fd = open_trusted(path);
    if (!fd)
        return fail(fd.error());
    FdCloser closer{*fd};
    auto note = read_note(*fd, path);
    if (!note)
        return fail(note.error());
    if (!*note)
        return std::nullopt;
    if (auto ok = check_abi(**note, path); !ok)
        return fail(ok.error());
    auto stem = std::filesystem::path(path).stem().string();
    if (stem != (*note)->id)
        return fail(cat("plugin file '", path, "' calls itself '", (*note)->id, "': it must be named '",
                        (*note)->id, ".so'"));
    if (auto ok = read_whole(*fd, path); !ok)
        return fail(ok.error());
    std::lock_guard lock(mapping());
    auto mapped = map_object(*fd, path);
    if (!mapped)
        return fail(mapped.error());
    auto entry = find_entry((*mapped)->library, path);
    if (!entry)
        return fail(entry.error());
    Image image{path, std::move(**note), {}};
    if (!copy_table(&image.entry, *entry, sizeof image.entry, offsetof(struct outport_plugin, get_extension)))
        return fail(cat("plugin file '", path, "' has a symbol ", kSymbol, " that is too short for ABI ",
                        OUTPORT_ABI_MAJOR, '.', OUTPORT_ABI_MINOR));
    if (auto ok = check_entry(image); !ok)
        return fail(ok.error());
    return image;
}

} // namespace outport::plugin
