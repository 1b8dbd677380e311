// SPDX-License-Identifier: Apache-2.0
// fusermount3(1) as a helper: it opens /dev/fuse, mounts, and hands the descriptor over a socket whose number
// stands in the environment variable _FUSE_COMMFD. What it complains of comes to us, not to the user.
#include "mount.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>

namespace outport::fuse {

using sdk::cat;

namespace {

constexpr int kCommFd = 3; // in the helper
constexpr const char* kHelper = "fusermount3";

class Pair {
  public:
    Pair() = default;
    Pair(const Pair&) = delete;
    Pair& operator=(const Pair&) = delete;
    ~Pair() {
        drop(0);
        drop(1);
    }
    void drop(int end) {
        if (fds[end] >= 0)
            ::close(std::exchange(fds[end], -1));
    }
    std::array<int, 2> fds{-1, -1};
};

// Starts the helper with its standard error in `complaints`; 0 or an errno.
int spawn(pid_t& pid, char* const* arguments, int socket, int complaints) {
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, complaints, 2);
    if (socket >= 0)
        posix_spawn_file_actions_adddup2(&actions, socket, kCommFd);
    // A short environment: the helper is set-user-ID and needs nothing of ours.
    std::string comm = cat("_FUSE_COMMFD=", kCommFd), path = "PATH=/usr/bin:/bin:/usr/sbin:/sbin",
                c = "LC_ALL=C";
    char* environment[] = {path.data(), c.data(), socket >= 0 ? comm.data() : nullptr, nullptr};
    const int error = ::posix_spawnp(&pid, kHelper, &actions, nullptr, arguments, environment);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

std::string read_to_end(int fd) {
    std::string text;
    char buffer[1024];
    for (ssize_t got; (got = ::read(fd, buffer, sizeof buffer)) > 0 || (got < 0 && errno == EINTR);)
        if (got > 0 && text.size() < 4096)
            text.append(buffer, std::size_t(got));
    while (!text.empty() && text.back() == '\n')
        text.pop_back();
    return text;
}

int receive_descriptor(int socket) {
    char byte = 0;
    iovec iov{&byte, 1};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    msghdr message{};
    message.msg_iov = &iov;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    ssize_t got;
    while ((got = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR) {
    }
    const cmsghdr* header = got > 0 ? CMSG_FIRSTHDR(&message) : nullptr;
    if (!header || header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS ||
        header->cmsg_len < CMSG_LEN(sizeof(int)))
        return -1;
    int fd;
    std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
    return fd;
}

HelperResult run_helper(char* const* arguments, bool mounts) {
    HelperResult result;
    Pair socket, complaints;
    if ((mounts && ::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, socket.fds.data()) < 0) ||
        ::pipe2(complaints.fds.data(), O_CLOEXEC) < 0) {
        result.reason = std::strerror(errno);
        return result;
    }
    pid_t pid = -1;
    if (const int error = spawn(pid, arguments, socket.fds[1], complaints.fds[1])) {
        result.reason = cat("Failed to run ", kHelper, ": ", std::strerror(error));
        return result;
    }
    socket.drop(1);
    complaints.drop(1);
    if (mounts)
        result.device = receive_descriptor(socket.fds[0]);
    result.reason = read_to_end(complaints.fds[0]);
    int status = 0;
    while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    const bool succeeded = mounts ? result.device >= 0 : WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (succeeded)
        result.reason.clear(); // a warning at most
    else if (result.reason.empty())
        result.reason = cat(kHelper, " failed without a word");
    if (result.device >= 0)
        ::fcntl(result.device, F_SETFL, ::fcntl(result.device, F_GETFL) | O_NONBLOCK);
    return result;
}

} // namespace

HelperResult fusermount(const std::string& path, const std::string& options) {
    std::string helper = kHelper, o = "-o", given = options, end = "--", place = path;
    char* arguments[] = {helper.data(), o.data(), given.data(), end.data(), place.data(), nullptr};
    return run_helper(arguments, true);
}

HelperResult fusermount_unmount(const std::string& path) {
    std::string helper = kHelper, u = "-u", z = "-z", end = "--", place = path;
    char* arguments[] = {helper.data(), u.data(), z.data(), end.data(), place.data(), nullptr};
    return run_helper(arguments, false);
}

} // namespace outport::fuse
