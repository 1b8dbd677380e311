// SPDX-License-Identifier: Apache-2.0
// One export: what it was made of, its state, and the plugin's side of it. Not thread-safe: main loop only,
// but for no_space(). Whatever a plugin answers is noted first and acted upon later in the loop's turn, so a
// plugin may answer from inside the call that asks.
#pragma once

#include "host/base/sdk-handles.hpp"
#include "host/export/exports.hpp"
#include "host/loop/completion.hpp"
#include "host/plugin/plugin-host.hpp"

#include <outport/export-type.h>

#include <boost/json/value.hpp>

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace outport::block {
class Node;
}

namespace outport::exports {

// A word of BlockExportRemoveMode as a mode of stop; 0: no such word.
std::uint32_t stop_mode(std::string_view word) noexcept;

// The loops of an export, each held until release().
class LoopSet {
  public:
    explicit LoopSet(Iothreads& iothreads) : iothreads_(&iothreads) {}
    LoopSet(LoopSet&& other) noexcept;
    LoopSet& operator=(LoopSet&&) = delete;
    ~LoopSet() { release(); }

    // `options`: a validated BlockExportOptions; without `iothread` it is the main loop.
    static Result<LoopSet> acquire(const boost::json::object& options, Iothreads& iothreads,
                                   loop::Loop& main);
    const std::vector<loop::Loop*>& loops() const noexcept { return loops_; }
    void release() noexcept;

  private:
    Result<> add(std::string_view name);

    Iothreads* iothreads_;
    std::vector<std::string> held_;
    std::vector<loop::Loop*> loops_;
};

class Export : public outport_export {
  public:
    enum class State : std::uint8_t {
        Attaching, // created: waits for the node's permissions
        Starting,
        Running,
        Draining, // hidden, soft or hard: the plugin has been told to stop, and will
        Detaching // the plugin is done with it
    };

    Export(Exports& owner, boost::json::object options, plugin::ExportType type, LoopSet loops);
    ~Export();

    const std::string& id() const noexcept { return id_; }
    const std::string& type_name() const noexcept { return type_name_; }
    const std::string& node_name() const noexcept { return node_name_; }
    bool shutting_down() const noexcept { return state_ >= State::Draining; }
    // The client of block-export-add has had its answer.
    bool visible() const noexcept { return state_ >= State::Running && started_; }
    std::string describe() const; // "ID (TYPE)"

    // Attaches to the node, creates, starts. `done` is called once, when it runs or when nothing of it is
    // left.
    void begin(block::Node& node, Exports::Done done);
    // Asks it to go, as block-export-del does.
    void remove(std::uint32_t mode, std::string_view word, Exports::Done done);
    // Whatever its state, it is to go, hard.
    void force();

    // outport.export/1
    void no_space(); // [any]
    void ended(std::string_view reason);

  private:
    // A question to the plugin. What it says is kept until the task takes it.
    struct Question : outport_done {
        Export* exported = nullptr;
        outport_error failure;
        bool asked = false, answered = false;
        std::int32_t status = OUTPORT_OK;

        void ask(Export& from);
        bool take(); // true once, when it was answered
    };

    void attached(Result<block::Root*> root);
    Result<> create();
    void start();
    void ask_stop(Question& question, std::uint32_t mode);
    void hard_stop();
    void advance();
    void on_started();
    void on_safe_answer();
    void on_stop_answers();
    void destroy();
    void detach();
    void finish();

    Exports& owner_;
    boost::json::value options_;
    std::string id_, type_name_, node_name_;
    plugin::ExportType type_;
    LoopSet loops_;
    std::vector<outport_loop*> handles_;
    outport_export_args args_{};
    void* plugin_state_ = nullptr;
    bool started_ = false, departing_ = false;
    State state_ = State::Attaching;
    bool force_ = false;           // a hard stop is due as soon as the plugin may be asked
    std::optional<Error> failure_; // why it doesn't come to run
    Exports::Done adding_;
    std::vector<Exports::Done> removing_;  // wait for the answer to `safe`
    Question start_, safe_, drain_, hard_; // drain_: hide or soft
    loop::Task task_;
    std::atomic<std::uint64_t> last_no_space_ns_{0};
};

} // namespace outport::exports
