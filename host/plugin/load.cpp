// SPDX-License-Identifier: Apache-2.0
// plugin-load. All that touches the disk is done on the blocking pool: looking for the file, the walk to it,
// reading it, and mapping it with the libraries that it wants. The schema, init and the answer follow on the
// main loop.
#include "host/base/text.hpp"
#include "host/plugin/folders.hpp"
#include "host/plugin/plugin-host.hpp"
#include "host/plugin/plugin.hpp"
#include "host/qmp/dispatcher.hpp"

#include <boost/json/object.hpp>

#include <cerrno>
#include <filesystem>

namespace outport::plugin {

namespace {

Error not_found(std::string_view name, const std::vector<std::string>& folders) {
    std::string looked;
    for (const auto& folder : folders)
        looked += cat(looked.empty() ? "looked in " : ", ", folder);
    return {cat("Plugin '", name, "' is not found"), looked};
}

} // namespace

// Owns itself while the pool has it: it may hang there for ever.
struct PluginHost::LoadJob {
    LoadJob(PluginHost& h, std::string n, std::string p, Done d)
        : host(h), folders(h.config_.folders), name(std::move(n)), path(std::move(p)),
          what(cat("loading plugin '", name, '\'')), done(std::move(d)) {
        job.what = what.c_str();
        job.run = [](loop::BlockingJob* j) { loop::owner_of(j, &LoadJob::job)->run(); };
        job.done = [](loop::BlockingJob* j) {
            std::unique_ptr<LoadJob> own(loop::owner_of(j, &LoadJob::job));
            own->host.loaded(*own);
        };
    }

    void run() {
        if (path.empty())
            path = find_candidate(folders, name);
        if (path.empty())
            image = fail(not_found(name, folders));
        else
            image = load_image(path);
        found = !path.empty();
    }

    PluginHost& host;
    const std::vector<std::string> folders;
    std::string name, path; // path: empty as long as it is to be looked for
    const std::string what;
    Done done;
    bool found = false; // there is a file, so `image` is about it
    Result<std::optional<Image>> image;
    loop::BlockingJob job;
};

void PluginHost::load(std::string_view word, Done done) {
    const bool path = word.find('/') != word.npos;
    if (path && !config_.allow_path)
        return done(fail(cat("Plugin '", word, "' is a path, not a name"),
                         "start the host with --allow-plugin-path to load plugins by their paths"));
    auto name = path ? std::filesystem::path(word).stem().string() : std::string(word);
    if (auto ok = may_load(name, path ? word : std::string_view{}); !ok)
        return done(std::move(ok));
    auto job =
        std::make_unique<LoadJob>(*this, name, path ? std::string(word) : std::string{}, std::move(done));
    if (auto taken = services_.blocking.submit(blocking_, loop::JobClass::Control, job->job); !taken)
        return job->done(std::move(taken));
    (void)job.release(); // the pool has it now
    loading_.insert(std::move(name));
}

void PluginHost::loaded(LoadJob& job) {
    loading_.erase(job.name);
    if (job.job.status == -EBUSY) // it waited for a thread, and the pool gave up
        return job.done(fail(cat(job.what, ": too many operations hang, and none would begin this one")));
    if (job.job.status != 0)
        return job.done(fail_errno(-job.job.status, job.what));
    if (!job.found)
        return job.done(fail(job.image.error()));
    if (ending_)
        return job.done(fail(cat("Plugin '", job.name, "' came too late: the process ends")));
    auto plugin = take_image(job.name, job.path, std::move(job.image), false);
    if (!plugin)
        return job.done(fail(plugin.error()));
    boost::json::object data;
    data["name"] = job.name;
    job.done(services_.dispatcher.event("PLUGIN_LOADED", std::move(data)));
}

} // namespace outport::plugin
