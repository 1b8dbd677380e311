// SPDX-License-Identifier: Apache-2.0
#include "records.hpp"

#include "mountinfo.hpp"

#include <outport/cpp/error.hpp>
#include <outport/cpp/text.hpp>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace outport::fuse {

using sdk::cat;

namespace {

// One line: the id, a space, the path.
std::string to_text(const MountRecord& record) {
    return cat(record.id, ' ', record.path, '\n');
}

MountRecord from_text(std::string_view text) {
    MountRecord record;
    const char* const end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, record.id);
    if (error == std::errc() && rest != end && *rest == ' ' && text.back() == '\n')
        record.path = std::string(rest + 1, end - 1);
    return record;
}

std::string read_all(int fd) {
    std::string text(8192, '\0'); // a path has 4096 bytes at most
    const ssize_t got = ::pread(fd, text.data(), text.size(), 0);
    text.resize(got > 0 ? std::size_t(got) : 0);
    return text;
}

[[noreturn]] void fail(std::string message) {
    throw sdk::Failure{OUTPORT_FAILED, std::move(message)};
}

void make_private(const std::string& folder) {
    if (::mkdir(folder.c_str(), 0700) < 0 && errno != EEXIST)
        fail(cat("Failed to make the folder '", folder, "': ", std::strerror(errno)));
    struct stat info{};
    if (::lstat(folder.c_str(), &info) < 0 || !S_ISDIR(info.st_mode) || info.st_uid != ::geteuid() ||
        (info.st_mode & 0022))
        fail(cat("The folder '", folder, "' is not a private one of this user"));
}

} // namespace

std::string record_folder() {
    std::string base = "/run/outport";
    if (::geteuid() != 0) {
        const char* runtime = ::secure_getenv("XDG_RUNTIME_DIR");
        base = runtime && *runtime == '/' ? cat(runtime, "/outport") : cat("/tmp/outport-", ::geteuid());
    }
    make_private(base);
    const std::string folder = base + "/fuse";
    make_private(folder);
    return folder;
}

Record::Record(Record&& other) noexcept : file_(std::move(other.file_)), fd_(std::exchange(other.fd_, -1)) {}

Record& Record::operator=(Record&& other) noexcept {
    std::swap(file_, other.file_);
    std::swap(fd_, other.fd_);
    return *this;
}

Record Record::create(const std::string& folder, const MountRecord& record) {
    Record made;
    std::string name = folder + "/XXXXXX";
    made.fd_ = ::mkostemp(name.data(), O_CLOEXEC);
    if (made.fd_ < 0)
        fail(cat("Failed to make a record of the mount in '", folder, "': ", std::strerror(errno)));
    made.file_ = name;
    // Another process may look at it between the two calls, find it free and take it for stale: then it has
    // gone, and one more is made.
    struct stat info{};
    if (::flock(made.fd_, LOCK_EX | LOCK_NB) < 0 || ::fstat(made.fd_, &info) < 0 || info.st_nlink == 0)
        return create(folder, record);
    made.set(record);
    return made;
}

void Record::set(const MountRecord& record) {
    const std::string text = to_text(record);
    if (::pwrite(fd_, text.data(), text.size(), 0) != ssize_t(text.size()) ||
        ::ftruncate(fd_, off_t(text.size())) < 0)
        fail(cat("Failed to write the record '", file_, "': ", std::strerror(errno)));
}

void Record::remove() noexcept {
    if (fd_ < 0)
        return;
    ::unlink(file_.c_str());
    leave();
}

void Record::leave() noexcept {
    if (fd_ >= 0)
        ::close(std::exchange(fd_, -1));
}

namespace {

struct Found {
    std::string file;
    int fd; // locked by us, when nobody else holds it
    bool stale;
    MountRecord record;
};

std::vector<Found> read_records(const std::string& folder) {
    std::vector<Found> found;
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator(folder, ignored)) {
        const std::string file = entry.path();
        const int fd = ::open(file.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (fd >= 0)
            found.push_back({file, fd, ::flock(fd, LOCK_EX | LOCK_NB) == 0, from_text(read_all(fd))});
    }
    return found;
}

// The mount that a stale record is about; null when it has gone. One whose id was not written down yet is
// known by its path, as long as it is no living process's.
const MountEntry* mount_of(const MountRecord& record, const std::vector<MountEntry>& mounts,
                           const std::vector<Found>& records) {
    for (const MountEntry& mount : mounts) {
        if (mount.path != record.path || mount.type != "fuse" || mount.source != kSource)
            continue;
        const bool living = std::ranges::any_of(
            records, [&](const Found& other) { return !other.stale && other.record.id == mount.id; });
        if (!living && (record.id == 0 || record.id == mount.id))
            return &mount;
    }
    return nullptr;
}

} // namespace

void take_down_stale(const std::string& folder, const std::function<void(const MountRecord&)>& unmount) {
    const std::vector<Found> records = read_records(folder);
    for (const Found& found : records) {
        if (found.stale) {
            const std::vector<MountEntry> mounts = read_mounts();
            const MountEntry* mount = mount_of(found.record, mounts, records);
            const bool covered = mount && mount != find_mount(mounts, mount->path);
            if (mount && !covered)
                unmount({mount->path, mount->id});
            if (!covered) // else a later start will do it
                ::unlink(found.file.c_str());
        }
    }
    for (const Found& found : records)
        ::close(found.fd);
}

} // namespace outport::fuse
