// SPDX-License-Identifier: Apache-2.0
// outportd: reads its command line twice, once for what must be known before anything else, and, when the
// plugins are loaded, once for what is to be done, strictly in order.
#include "host/base/log.hpp"
#include "host/base/text.hpp"
#include "host/cli/config.hpp"
#include "host/cli/daemon.hpp"
#include "host/cli/daemonize.hpp"
#include "host/cli/help.hpp"
#include "host/cli/options.hpp"
#include "host/cli/settings.hpp"
#include "host/loop/signals.hpp"
#include "host/schema/model.hpp"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace outport::cli {

namespace {

void print(const std::string& text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
}

// "PROGRAM: WHERE: MESSAGE", and what would help below.
int report(const Error& error, std::string_view where = {}) {
    std::string text = cat(log::program(), ": ", where, where.empty() ? "" : ": ", error.message, '\n');
    if (!error.hint.empty())
        text += cat(error.hint, '\n');
    log::say(std::move(text));
    return EXIT_FAILURE;
}

// What getopt prints, by the name that the program was started by in full.
int report_usage(const std::string& argv0, const std::string& error, const std::string& hint) {
    log::say(cat(argv0, ": ", error, '\n', hint, hint.empty() ? "" : "\n"));
    return EXIT_FAILURE;
}

class Program {
  public:
    Program(std::string argv0, std::vector<std::string> arguments)
        : argv0_(std::move(argv0)), arguments_(std::move(arguments)) {}

    int run() {
        options_ = host_options();
        Scanned first = scan(arguments_, options_, Mode::Lenient);
        auto settings = read_settings(first.words);
        if (!settings)
            return report(settings.error().error, settings.error().where);
        settings_ = std::move(*settings);
        if (settings_.version) {
            print(version_text(log::program(), kVersion));
            return EXIT_SUCCESS;
        }
        if (!first.error.empty())
            return report_usage(argv0_, first.error, {});
        if (settings_.daemonize && !settings_.help) {
            auto background = Background::enter();
            if (!background)
                return report(background.error());
            background_ = std::move(*background);
        }
        return begin();
    }

  private:
    // Everything before the main loop's work, in the background process if there is one.
    int begin() {
        loop::block_signals();
        log::write_behind();
        for (const Word& trace : settings_.traces)
            if (trace.argument != "help" && trace.argument != "?")
                if (auto applied = apply_trace(trace.argument); !applied)
                    return report(applied.error(), trace.where);
        auto daemon = Daemon::create(settings_);
        if (!daemon)
            return report(daemon.error());
        daemon_ = std::move(*daemon);
        if (auto loaded = daemon_->load_plugins(); !loaded)
            return finish(report(loaded.error()));
        return finish(second_scan());
    }

    int second_scan() {
        auto schema = daemon_->schema();
        for (const schema::Option& option : schema->options())
            if (!is_own(option.name))
                options_.push_back({option.name, Id::OfPlugin, Origin::Plugin, true});
        Scanned second = scan(arguments_, options_, Mode::Strict);
        if (settings_.help) {
            print(help_text(*schema, log::program()));
            return EXIT_SUCCESS;
        }
        if (!second.error.empty())
            return report_usage(argv0_, second.error, schema->hints().option(second.unknown));
        for (const Word& word : second.words) {
            Daemon::Outcome outcome = daemon_->apply(word);
            for (const std::string& warning : outcome.warnings)
                log::say(cat(log::program(), ": ", word.where, ": warning: ", warning, '\n'));
            if (!outcome.result)
                return report(outcome.result.error(), word.where);
            if (!outcome.output.empty()) {
                print(outcome.output);
                return EXIT_SUCCESS;
            }
            if (daemon_->ending())
                return EXIT_SUCCESS;
        }
        return serve();
    }

    int serve() {
        if (settings_.has_pidfile) {
            auto file = PidFile::create(settings_.pidfile);
            if (!file)
                return report(file.error());
            pid_file_ = std::move(*file);
        }
        if (settings_.daemonize)
            log::flush(); // warnings, while standard error is still the starter's
        if (auto released = background_.release(); !released)
            return report(released.error());
        daemon_->run();
        return EXIT_SUCCESS;
    }

    int finish(int status) {
        std::vector<std::string> left = daemon_->shutdown();
        if (left.empty()) {
            daemon_.reset();
            return status;
        }
        for (const std::string& line : left)
            log::source("").error(cat("at the end of the process this did not come back: ", line));
        // Threads may still use what destructors would free.
        pid_file_ = PidFile();
        log::flush();
        _exit(EXIT_FAILURE);
    }

    bool is_own(std::string_view name) const {
        for (const Option& option : options_)
            if (option.name == name)
                return true;
        return false;
    }

    std::string argv0_;
    std::vector<std::string> arguments_;
    std::vector<Option> options_;
    Settings settings_;
    Background background_;
    PidFile pid_file_;
    std::unique_ptr<Daemon> daemon_;
};

} // namespace

} // namespace outport::cli

int main(int argc, char** argv) {
    using namespace outport;
    std::string argv0 = argc > 0 ? argv[0] : "outportd";
    log::set_program(argv0.substr(argv0.rfind('/') + 1)); // npos + 1 is 0
    for (const char* component : {"", "block", "export", "loop", "net", "object", "plugin", "qmp", "schema"})
        log::source(component); // so that --trace knows them
    cli::Program program(argv0, {argv + (argc > 0 ? 1 : 0), argv + argc});
    int status = program.run();
    log::flush(); // before the starter of a failed background process hears of its end, and may look for why
    return status;
}
