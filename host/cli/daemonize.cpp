// SPDX-License-Identifier: Apache-2.0
#include "host/cli/daemonize.hpp"

#include "host/base/text.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <memory>

namespace outport::cli {

namespace {

// In the process that was started: waits for the word of the one in the background.
[[noreturn]] void wait_for_word(int fd) {
    char word = 0;
    ssize_t got = 0;
    do
        got = read(fd, &word, 1);
    while (got < 0 && errno == EINTR);
    _exit(got == 1 && word == 'y' ? EXIT_SUCCESS : EXIT_FAILURE);
}

} // namespace

Result<Background> Background::enter() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return fail_errno(errno, "Cannot daemonize");
    pid_t child = fork();
    if (child < 0)
        return fail_errno(errno, "Cannot daemonize");
    if (child > 0) {
        close(ends[1]);
        wait_for_word(ends[0]);
    }
    close(ends[0]);
    // The second fork leaves a process that leads no session, so that no terminal it opens becomes its own.
    setsid();
    child = fork();
    if (child < 0)
        _exit(EXIT_FAILURE);
    if (child > 0)
        _exit(EXIT_SUCCESS);
    umask(027);
    Background background;
    background.word_ = ends[1];
    return background;
}

Result<> Background::release() {
    if (word_ < 0)
        return {};
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0)
        return fail_errno(errno, "Cannot open /dev/null");
    if (chdir("/") < 0)
        return fail_errno(errno, "Cannot change directory to /");
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    dup2(null, STDERR_FILENO);
    close(null);
    char word = 'y';
    // The starter may have been killed; that is no reason not to go on.
    [[maybe_unused]] ssize_t written = write(word_, &word, 1);
    close(std::exchange(word_, -1));
    return {};
}

Background::~Background() {
    if (word_ >= 0)
        close(word_);
}

Result<PidFile> PidFile::create(const std::string& path) {
    auto error = [](int number, const std::string& what) {
        return fail_errno(number, cat("cannot create PID file: ", what));
    };
    PidFile file;
    // Another daemon that ends just now removes the file; then we have locked one that nobody can find.
    for (;;) {
        int fd = open(path.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        if (fd < 0)
            return error(errno, cat("Could not create '", path, "'"));
        struct flock lock{};
        lock.l_type = F_WRLCK;
        lock.l_whence = SEEK_SET;
        struct stat opened{}, named{};
        if (fstat(fd, &opened) < 0 || fcntl(fd, F_SETLK, &lock) < 0) {
            int number = errno;
            close(fd);
            return error(number, "Cannot lock pid file");
        }
        if (!S_ISREG(opened.st_mode)) { // it would be removed at the end: /dev/null, of all things
            close(fd);
            return error(EINVAL, cat("'", path, "' is no regular file"));
        }
        if (stat(path.c_str(), &named) == 0 && named.st_dev == opened.st_dev &&
            named.st_ino == opened.st_ino) {
            file.fd_ = fd;
            break;
        }
        close(fd);
    }
    std::unique_ptr<char, decltype(&std::free)> absolute(realpath(path.c_str(), nullptr), &std::free);
    file.path_ = absolute ? absolute.get() : path;
    std::string text = cat(getpid(), '\n');
    if (ftruncate(file.fd_, 0) < 0)
        return error(errno, "Failed to truncate pid file");
    if (write(file.fd_, text.data(), text.size()) != static_cast<ssize_t>(text.size()))
        return error(errno, "Failed to write pid file");
    return file;
}

PidFile::~PidFile() {
    if (fd_ < 0)
        return;
    unlink(path_.c_str()); // before the lock goes
    close(fd_);
}

} // namespace outport::cli
