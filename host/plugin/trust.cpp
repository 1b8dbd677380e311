// SPDX-License-Identifier: Apache-2.0
#include "host/plugin/trust.hpp"

#include "host/base/text.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <climits>
#include <filesystem>
#include <utility>
#include <vector>

namespace outport::plugin {
namespace {

constexpr int kMaxLinks = 40; // as the kernel's own limit

class Fd {
  public:
    explicit Fd(int fd = -1) : fd_(fd) {}
    Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    Fd& operator=(Fd&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~Fd() {
        if (fd_ >= 0)
            ::close(fd_);
    }
    int get() const noexcept { return fd_; }
    int release() noexcept { return std::exchange(fd_, -1); }

  private:
    int fd_;
};

std::string octal(mode_t mode) {
    std::string text = "0000";
    for (int i = 3; i >= 0; --i, mode >>= 3)
        text[static_cast<std::size_t>(i)] = static_cast<char>('0' + (mode & 7));
    return text;
}

// `what` is a name for the message: "plugin file '/x'".
Result<> check_owner(const struct stat& st, const std::string& what) {
    if (st.st_uid == 0 || st.st_uid == ::geteuid())
        return {};
    return fail(cat(what, " belongs to user ", st.st_uid,
                    ", neither to root nor to the user that runs this (", ::geteuid(), ")"),
                "whoever may write to a plugin may run code here: install it as root, or as that user");
}

// In a folder with the sticky bit (/tmp), others can't replace what isn't theirs; the owner of what is in it
// is checked with the next step.
Result<> check_mode(const struct stat& st, const std::string& what, const std::string& path) {
    bool shared = (st.st_mode & (S_IWGRP | S_IWOTH)) != 0;
    if (!shared || (S_ISDIR(st.st_mode) && (st.st_mode & S_ISVTX)))
        return {};
    return fail(
        cat(what, " may be written to by others than its owner (mode ", octal(st.st_mode & 07777), ")"),
        cat("chmod go-w '", path, "'"));
}

// Walks down a path, one open folder at a time, so that what was checked is what is used.
class Walk {
  public:
    explicit Walk(const std::string& target) : target_(target) {}

    Result<int> run() {
        push_parts(target_.starts_with('/') ? target_
                                            : cat(std::filesystem::current_path().string(), '/', target_));
        if (auto ok = restart(); !ok)
            return fail(ok.error());
        while (!parts_.empty()) {
            auto part = std::move(parts_.back());
            parts_.pop_back();
            bool last = parts_.empty();
            if (auto ok = step(part, last); !ok)
                return fail(ok.error());
            if (last && file_.get() >= 0)
                return file_.release();
        }
        return fail(cat("plugin file '", target_, "' is no regular file"));
    }

  private:
    void push_parts(std::string_view path) {
        while (!path.empty()) {
            auto slash = path.rfind('/');
            auto part = slash == path.npos ? path : path.substr(slash + 1);
            if (!part.empty() && part != ".")
                parts_.emplace_back(part);
            path = slash == path.npos ? std::string_view{} : path.substr(0, slash);
        }
    }

    Result<> restart() {
        here_ = "/";
        return enter(Fd(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC)), here_);
    }

    Result<> cannot(int error) const {
        return fail_errno(error, cat("cannot open plugin file '", target_, "'"));
    }

    Result<> step(const std::string& part, bool last) {
        auto path = here_ == "/" ? cat('/', part) : cat(here_, '/', part);
        Fd next(::openat(folder_.get(), part.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
        struct stat st{};
        if (next.get() < 0 || ::fstat(next.get(), &st) < 0)
            return cannot(errno);
        if (S_ISLNK(st.st_mode))
            return follow(next.get(), st, path);
        if (S_ISDIR(st.st_mode))
            return enter(std::move(next), path);
        if (!last)
            return cannot(ENOTDIR);
        return open_file(part, st, path);
    }

    Result<> follow(int link, const struct stat& st, const std::string& path) {
        if (++links_ > kMaxLinks)
            return cannot(ELOOP);
        if (auto ok =
                check_owner(st, cat("symbolic link '", path, "' on the way to plugin file '", target_, "'"));
            !ok)
            return ok;
        char text[PATH_MAX];
        auto length = ::readlinkat(link, "", text, sizeof text);
        if (length < 0)
            return cannot(errno);
        std::string_view to(text, static_cast<std::size_t>(length));
        push_parts(to);
        return to.starts_with('/') ? restart() : Result<>{};
    }

    Result<> enter(Fd next, const std::string& path) {
        struct stat st{};
        if (next.get() < 0 || ::fstat(next.get(), &st) < 0)
            return cannot(errno);
        auto what = cat("folder '", path, "' on the way to plugin file '", target_, "'");
        if (auto ok = check_owner(st, what); !ok)
            return ok;
        if (auto ok = check_mode(st, what, path); !ok)
            return ok;
        folder_ = std::move(next);
        here_ = path;
        return {};
    }

    Result<> open_file(const std::string& part, const struct stat& seen, const std::string& path) {
        if (!S_ISREG(seen.st_mode))
            return fail(cat("plugin file '", target_, "' is no regular file"));
        Fd file(::openat(folder_.get(), part.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
        struct stat st{};
        if (file.get() < 0 || ::fstat(file.get(), &st) < 0)
            return cannot(errno);
        auto what = cat("plugin file '", path, "'");
        if (auto ok = check_owner(st, what); !ok)
            return ok;
        if (auto ok = check_mode(st, what, path); !ok)
            return ok;
        file_ = std::move(file);
        return {};
    }

    std::string target_, here_;
    std::vector<std::string> parts_; // what is left to walk, the next one last
    Fd folder_, file_;
    int links_ = 0;
};

} // namespace

Result<int> open_trusted(const std::string& path) {
    return Walk(path).run();
}

} // namespace outport::plugin
