// SPDX-License-Identifier: Apache-2.0
#include "mount.hpp"

#include "mountinfo.hpp"
#include "records.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <linux/fs.h>
#include <poll.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace outport::fuse {

using sdk::cat;

namespace {

struct Descriptor {
    int fd;
    explicit Descriptor(int descriptor) : fd(descriptor) {}
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    ~Descriptor() {
        if (fd >= 0)
            ::close(fd);
    }
    int release() { return std::exchange(fd, -1); }
};

std::string proc_path(int fd) {
    return cat("/proc/self/fd/", fd);
}

std::string canonical(int fd) {
    char buffer[4097];
    const ssize_t length = ::readlink(proc_path(fd).c_str(), buffer, sizeof buffer - 1);
    return std::string(buffer, length > 0 ? std::size_t(length) : 0);
}

} // namespace

Mountpoint::Mountpoint(Mountpoint&& other) noexcept
    : fd(std::exchange(other.fd, -1)), path(std::move(other.path)) {}

Mountpoint& Mountpoint::operator=(Mountpoint&& other) noexcept {
    std::swap(fd, other.fd);
    std::swap(path, other.path);
    return *this;
}

Mountpoint::~Mountpoint() {
    if (fd >= 0)
        ::close(fd);
}

Mountpoint find_mountpoint(const std::string& path) {
    Mountpoint point;
    point.fd = ::open(path.c_str(), O_PATH | O_CLOEXEC);
    if (point.fd < 0)
        throw sdk::Failure{OUTPORT_FAILED, cat("Failed to stat '", path, "': ", std::strerror(errno))};
    point.path = canonical(point.fd);
    // Before fstat, which would ask whoever serves it.
    if (find_mount(read_mounts(), point.path))
        throw sdk::Failure{OUTPORT_FAILED, cat("'", path, "' is a mount point already"),
                           "Unmount it first, or choose another file"};
    struct stat info{};
    if (::fstat(point.fd, &info) < 0)
        throw sdk::Failure{OUTPORT_FAILED, cat("Failed to stat '", path, "': ", std::strerror(errno))};
    if (!S_ISREG(info.st_mode))
        throw sdk::Failure{OUTPORT_FAILED, cat("'", path, "' is not a regular file"),
                           "Create an empty file to mount over"};
    return point;
}

namespace {

std::string last_message(int context) {
    char buffer[512];
    std::string text;
    const int error = errno;
    while (true) { // each read gives one message; "e TEXT" is an error
        const ssize_t got = ::read(context, buffer, sizeof buffer);
        if (got <= 2)
            break;
        text = std::string(buffer + 2, std::size_t(got) - 2);
    }
    return text.empty() ? std::strerror(error) : cat(std::strerror(error), " (", text, ")");
}

bool set(int context, const char* key, const std::string& value) {
    return ::fsconfig(context, FSCONFIG_SET_STRING, key, value.c_str(), 0) == 0;
}

bool configure(int context, int device, const MountOptions& options, bool allow_other) {
    return set(context, "source", kSource) && set(context, "fd", std::to_string(device)) &&
           set(context, "rootmode", "100000") && set(context, "user_id", std::to_string(::geteuid())) &&
           set(context, "group_id", std::to_string(::getegid())) &&
           set(context, "max_read", std::to_string(options.max_read)) &&
           ::fsconfig(context, FSCONFIG_SET_FLAG, "default_permissions", nullptr, 0) == 0 &&
           (!allow_other || ::fsconfig(context, FSCONFIG_SET_FLAG, "allow_other", nullptr, 0) == 0) &&
           ::fsconfig(context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) == 0;
}

// Of the mount itself; nothing of it needs an answer from us.
void look_up_numbers(int mount, Mounted& mounted) {
    struct statx info{};
    if (::statx(mount, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_MNT_ID, &info) < 0)
        return;
    mounted.id = info.stx_mnt_id;
    mounted.connection = info.stx_dev_minor; // as fusectl names it
}

// By the kernel's own calls. On failure `reason` says why.
std::optional<Mounted> mount_directly(const Mountpoint& point, const MountOptions& options, bool allow_other,
                                      std::string& reason) {
    Descriptor device(::open("/dev/fuse", O_RDWR | O_CLOEXEC | O_NONBLOCK));
    if (device.fd < 0) {
        reason = cat("Failed to open /dev/fuse: ", std::strerror(errno));
        return {};
    }
    Descriptor context(::fsopen("fuse", FSOPEN_CLOEXEC));
    if (context.fd < 0) {
        reason = std::strerror(errno);
        return {};
    }
    if (!configure(context.fd, device.fd, options, allow_other)) {
        reason = last_message(context.fd);
        return {};
    }
    Descriptor mount(::fsmount(context.fd, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV));
    if (mount.fd < 0 ||
        ::move_mount(mount.fd, "", point.fd, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0) {
        reason = std::strerror(errno);
        return {};
    }
    Mounted mounted;
    look_up_numbers(mount.fd, mounted);
    mounted.mount_fd = mount.release();
    mounted.device = device.release();
    mounted.path = point.path;
    mounted.allow_other = allow_other;
    return mounted;
}

std::optional<Mounted> mount_by_helper(const Mountpoint& point, const MountOptions& options, bool allow_other,
                                       std::string& reason) {
    HelperResult result = fusermount(
        point.path, cat("fsname=", kSource, ",nosuid,nodev,default_permissions,max_read=", options.max_read,
                        allow_other ? ",allow_other" : ""));
    if (result.device < 0) {
        reason = std::move(result.reason);
        return {};
    }
    Mounted mounted;
    mounted.device = result.device;
    mounted.path = point.path;
    mounted.allow_other = allow_other;
    const auto mounts = read_mounts();
    if (const MountEntry* mount = find_mount(mounts, point.path))
        mounted.id = mount->id;
    return mounted;
}

std::optional<Mounted> mount_either_way(const Mountpoint& point, const MountOptions& options,
                                        bool allow_other, const sdk::Log& log, std::string& reason) {
    if (auto mounted = mount_directly(point, options, allow_other, reason))
        return mounted;
    log.debug("fuse: no mount over '", options.path, "' by ourselves: ", reason);
    auto mounted = mount_by_helper(point, options, allow_other, reason);
    if (!mounted)
        log.debug("fuse: no mount over '", options.path, "' by fusermount3: ", reason);
    return mounted;
}

} // namespace

Mounted mount_over(const Mountpoint& point, const MountOptions& options, const sdk::Log& log) {
    std::string reason;
    if (options.allow_other != AllowOther::Off)
        if (auto mounted = mount_either_way(point, options, true, log, reason))
            return *mounted;
    if (options.allow_other != AllowOther::On)
        if (auto mounted = mount_either_way(point, options, false, log, reason))
            return *mounted;
    throw sdk::Failure{OUTPORT_FAILED, cat("Failed to mount FUSE session to export: ", reason)};
}

namespace {

void unmount_top(const std::string& path, const char* whose, const sdk::Log& log) {
    if (::umount2(path.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
        return;
    const HelperResult result = fusermount_unmount(path);
    if (!result.reason.empty())
        log.warning("fuse: failed to unmount '", path, "'", whose, ": ", result.reason);
}

} // namespace

// The kernel takes the size to be 0 until it has asked once: a program that maps the file without a stat
// would get SIGBUS. And io_uring asks a file whether it can be polled on the thread that submits, which may
// be the one that has to answer, when a node of ours lies on this mount; once told that it can't, the kernel
// asks no more.
void first_look(const Mounted& mounted) {
    Descriptor file(::open((mounted.mount_fd >= 0 ? proc_path(mounted.mount_fd) : mounted.path).c_str(),
                           O_RDONLY | O_CLOEXEC));
    struct statx info{};
    if (file.fd < 0 || ::statx(file.fd, "", AT_EMPTY_PATH | AT_STATX_FORCE_SYNC, STATX_SIZE, &info) < 0)
        throw sdk::Failure{OUTPORT_FAILED, cat("Failed to stat '", mounted.path,
                                               "' after it was mounted: ", std::strerror(errno))};
    pollfd asked{file.fd, POLLIN, 0};
    ::poll(&asked, 1, 0);
}

bool unmount(const Mounted& mounted, const sdk::Log& log) {
    const auto mounts = read_mounts();
    const auto own = std::ranges::find_if(mounts, [&](const MountEntry& mount) {
        return mount.id == mounted.id && mount.type == "fuse" && mount.source == kSource;
    });
    if (own == mounts.end())
        return true; // somebody else was faster
    if (find_mount(mounts, own->path) != &*own) {
        log.warning("fuse: failed to unmount '", own->path, "': something else is mounted over it");
        return false;
    }
    unmount_top(own->path, "", log);
    return true;
}

void abort_connection(std::uint32_t connection) {
    // fusectl, where connections can be ended, need not be mounted anywhere, so it is mounted for this alone.
    Descriptor context(::fsopen("fusectl", FSOPEN_CLOEXEC));
    if (context.fd < 0 || ::fsconfig(context.fd, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) < 0)
        throw sdk::Failure{OUTPORT_FAILED, cat("Failed to open fusectl: ", std::strerror(errno))};
    Descriptor control(::fsmount(context.fd, FSMOUNT_CLOEXEC, 0));
    Descriptor file(
        control.fd < 0 ? -1 : ::openat(control.fd, cat(connection, "/abort").c_str(), O_WRONLY | O_CLOEXEC));
    if (file.fd < 0 && errno == ENOENT)
        return; // it has ended
    if (file.fd < 0 || ::write(file.fd, "1", 1) < 0)
        throw sdk::Failure{OUTPORT_FAILED,
                           cat("Failed to end FUSE connection ", connection, ": ", std::strerror(errno))};
}

// "0-7" or "0,2-3"
std::uint32_t count_queues() {
    std::ifstream file("/sys/devices/system/cpu/possible");
    std::string list;
    file >> list;
    const std::size_t last = list.find_last_of(",-");
    std::uint32_t number = 0;
    const char* const begin = list.data() + (last == std::string::npos ? 0 : last + 1);
    const char* const end = list.data() + list.size();
    return std::from_chars(begin, end, number).ec == std::errc() ? number + 1 : 0;
}

void unmount_stale(const std::string& path, const sdk::Log& log) {
    unmount_top(path, ", left by a process that died", log);
}

} // namespace outport::fuse
