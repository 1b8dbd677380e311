// SPDX-License-Identifier: Apache-2.0
// All concerns of the process put together: made in order, ended in order. Not thread-safe: the thread that
// makes it is the main loop's.
#pragma once

#include "host/base/error.hpp"
#include "host/cli/settings.hpp"

#include <boost/json/fwd.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace outport::schema {
class Registry;
class Schema;
} // namespace outport::schema

namespace outport::cli {

class Daemon {
  public:
    // Everything but plugins and what the options ask for.
    static Result<std::unique_ptr<Daemon>> create(const Settings& settings);
    Daemon(const Daemon&) = delete;
    Daemon& operator=(const Daemon&) = delete;
    ~Daemon(); // shutdown() comes before, if create() succeeded

    Result<> load_plugins();
    std::shared_ptr<const schema::Schema> schema() const;

    // One option of the second scan, carried out to its end by running the main loop. Nothing is done any
    // more once a signal asked for the process's end.
    struct Outcome {
        Result<> result;
        std::string output; // help, for standard output; then the process ends with 0
        std::vector<std::string> warnings;
    };
    Outcome apply(const Word& word);
    bool ending() const noexcept;

    // Start-up is over: clients are let in. Returns when the process is to end.
    void run();
    // Ends everything in order. What did not end in time is returned, each as a line; then only _exit is
    // left.
    std::vector<std::string> shutdown();

  private:
    struct Parts;

    explicit Daemon(const Settings& settings);
    Result<> add_commands();
    void offer_tables();
    // Runs the loop until `done`, the deadline, or a request to end, where that counts; returns `done`.
    bool wait(const bool& done, std::uint64_t deadline_ns, bool until_ending);
    bool wait_step(const bool& done, std::uint64_t deadline_ns);

    // `option`: whose implied key the text may leave out.
    Result<> run_command(std::string_view command, std::string_view option, const std::string& text);
    Result<> run_plugin_option(const Word& word);
    Result<> add_monitor(const std::string& text);
    Outcome add_chardev(const std::string& text);
    Outcome add_object(const std::string& text);

    void end_exports(std::uint64_t deadline, std::vector<std::string>& left);
    void end_nodes(std::uint64_t deadline, std::vector<std::string>& left);
    void end_channels(std::uint64_t deadline);
    void end_objects(std::uint64_t deadline, std::vector<std::string>& left);
    void end_loop(std::uint64_t deadline, std::vector<std::string>& left);

    std::unique_ptr<Parts> parts_;
};

} // namespace outport::cli
