// SPDX-License-Identifier: Apache-2.0
// How the process runs, and how it ends: what depends on others first.
#include "host/base/log.hpp"
#include "host/base/text.hpp"
#include "host/cli/parts.hpp"

namespace outport::cli {

namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr std::uint64_t kFlushNs = kSecond;      // for monitors whose peer does not read
constexpr std::uint64_t kStuckGraceNs = kSecond; // for the rest, once a blocking job hangs

// Makes a sleeping loop look again.
struct Alarm {
    explicit Alarm(loop::Loop& l, std::uint64_t deadline_ns) : loop(l) {
        if (deadline_ns != UINT64_MAX)
            loop.arm(timer, deadline_ns);
    }
    ~Alarm() { loop.disarm(timer); }
    void ring() { rang = true; }

    loop::Loop& loop;
    bool rang = false;
    loop::Timer timer{loop::task_fn<&Alarm::timer, &Alarm::ring>};
};

} // namespace

bool Daemon::wait(const bool& done, std::uint64_t deadline_ns, bool until_ending) {
    Alarm alarm(*parts_->loop, deadline_ns);
    parts_->loop->run_until([&] { return done || alarm.rang || (until_ending && parts_->ending); });
    return done;
}

void Daemon::run() {
    parts_->net->end_startup();
    parts_->server->start();
    const bool never = false;
    wait(never, UINT64_MAX, true);
}

// Waits for one step, but not much longer than a second for one that hangs on a blocking job.
bool Daemon::wait_step(const bool& done, std::uint64_t deadline_ns) {
    for (std::uint64_t now = loop::now_ns(); !done && now < deadline_ns; now = loop::now_ns()) {
        bool hung_before = !parts_->pool->stuck().empty();
        wait(done, std::min(deadline_ns, now + kStuckGraceNs), false);
        if (!done && hung_before)
            break;
    }
    return done;
}

std::vector<std::string> Daemon::shutdown() {
    Parts& p = *parts_;
    const std::uint64_t deadline = loop::now_ns() + p.settings.shutdown_timeout_s * kSecond;
    std::vector<std::string> left;
    end_exports(deadline, left);
    end_nodes(deadline, left);
    end_channels(deadline);
    end_objects(deadline, left);
    for (std::string& plugin : p.plugins->shutdown())
        left.push_back(std::move(plugin));
    end_loop(deadline, left);
    return left;
}

void Daemon::end_exports(std::uint64_t deadline, std::vector<std::string>& left) {
    struct Answer {
        bool done = false;
        std::vector<std::string> left;
    };
    auto answer = std::make_shared<Answer>();
    const std::uint64_t now = loop::now_ns();
    parts_->exports->shutdown(deadline > now ? deadline - now : 0, [answer](std::vector<std::string> names) {
        answer->left = std::move(names);
        answer->done = true;
    });
    wait(answer->done, UINT64_MAX, false);
    for (const std::string& name : answer->left)
        left.push_back(cat("export ", name));
}

void Daemon::end_nodes(std::uint64_t deadline, std::vector<std::string>& left) {
    auto quiet = std::make_shared<bool>(false);
    parts_->plugins->quit([quiet] { *quiet = true; });
    wait_step(*quiet, deadline);
    if (!left.empty())
        return; // an export still uses its node
    auto closed = std::make_shared<bool>(false);
    parts_->graph->close_all([closed](Result<>) { *closed = true; });
    if (!wait_step(*closed, deadline))
        left.emplace_back("block nodes");
}

void Daemon::end_channels(std::uint64_t deadline) {
    Alarm alarm(*parts_->loop, std::min(deadline, loop::now_ns() + kFlushNs));
    while (parts_->server->flushing() && !alarm.rang)
        parts_->loop->run_once(true);
    parts_->server->close();
}

void Daemon::end_objects(std::uint64_t deadline, std::vector<std::string>& left) {
    auto ended = std::make_shared<bool>(false);
    parts_->objects->shutdown([ended](Result<>) { *ended = true; });
    if (!wait_step(*ended, deadline))
        left.emplace_back("iothreads");
}

void Daemon::end_loop(std::uint64_t deadline, std::vector<std::string>& left) {
    parts_->signals->close();
    parts_->loop->stop();
    parts_->loop_ended = true;
    const std::uint64_t now = loop::now_ns();
    // All that matters has ended by now. A blocking job that hangs holds the loop, and is not waited for.
    if (std::size_t count = parts_->loop->run(deadline > now ? std::min(deadline - now, kSecond / 2) : 0))
        left.push_back(cat(count, " operations of the main loop"));
    for (const std::string& job : parts_->pool->shutdown(kSecond / 10))
        left.push_back(cat("job: ", job));
}

} // namespace outport::cli
