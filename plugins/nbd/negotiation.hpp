// SPDX-License-Identifier: Apache-2.0
// The server's side of fixed newstyle negotiation, without any I/O: bytes in, bytes out, and a verdict.
// Not thread-safe: belongs to one connection.
//
// It never needs more than kMaxNeed bytes at once, however long an option is: options are read step by step.
// After each option the output has to be sent before more is fed, so that a client that asks without reading
// makes it hold one answer, not thousands.
#pragma once

#include "directory.hpp"
#include "session.hpp"
#include "wire.hpp"

#include <cstddef>
#include <span>
#include <string>

namespace outport::nbd {

class Negotiation {
  public:
    static constexpr std::size_t kMaxNeed = kMaxString;

    enum class State : std::uint8_t {
        Running,
        Chosen, // an export was chosen: send the output, then transmission begins
        Ended,  // send the output, then close
        Dropped // close at once; reason() says why
    };

    // Begins with the greeting in the output.
    explicit Negotiation(ExportDirectory& exports);

    // Consumes what can be used of `input` and returns how much that was. Stops early when there is output or
    // the state is no longer Running.
    std::size_t feed(std::span<const std::byte> input);

    State state() const noexcept { return state_; }
    std::string& output() noexcept { return output_; }
    const std::string& reason() const noexcept { return reason_; }

    // With Chosen.
    const Session& session() const noexcept { return session_; }
    std::uint64_t chosen_serial() const noexcept { return chosen_; }

  private:
    enum class Step : std::uint8_t;
    enum class Payload : std::uint8_t;
    struct StepRow;
    struct OptionRow;
    using Handler = void (Negotiation::*)();
    using Reader = void (Negotiation::*)(std::span<const std::byte>);

    static const StepRow& row(Step step) noexcept;
    static const OptionRow* find_option(std::uint32_t option) noexcept;

    // Steps.
    void read_client_flags(std::span<const std::byte> bytes);
    void read_option_header(std::span<const std::byte> bytes);
    void read_export_name(std::span<const std::byte> bytes);
    void read_name_length(std::span<const std::byte> bytes);
    void read_name(std::span<const std::byte> bytes);
    void read_info_count(std::span<const std::byte> bytes);
    void read_info(std::span<const std::byte> bytes);
    void read_query_count(std::span<const std::byte> bytes);
    void read_query_length(std::span<const std::byte> bytes);
    void read_query(std::span<const std::byte> bytes);

    // Options.
    void begin_export_name();
    void begin_named();
    void abort();
    void list();
    void start_tls();
    void structured_reply();
    void begin_set_meta();
    void answer_info();
    void answer_infos(const ExportView& view);
    void next_info();
    void next_query();
    void answer_meta();
    bool is(Option option) const noexcept { return option_ == std::uint32_t(option); }
    void choose(const ExportView& view);

    // Flow.
    void want(Step step, std::uint32_t bytes); // from the option's payload
    void next_option() noexcept;
    void drop(std::string reason);
    void invalid(std::string_view text) { refuse(kRepErrInvalid, text); }
    void refuse(std::uint32_t type, std::string_view text);
    void finish_option(); // the payload must be used up; else it is invalid
    void reply(std::uint32_t type, std::string_view payload = {});
    void info(std::uint16_t type, std::string_view payload);
    std::string_view option_text() const { return option_name(option_); }

    ExportDirectory& exports_;
    State state_ = State::Running;
    Step step_;
    std::uint32_t need_;
    std::uint32_t left_ = 0; // payload of the option not read yet
    std::uint32_t skip_ = 0; // of which this much is passed over first
    std::uint32_t option_ = 0;
    bool fixed_ = false, no_zeroes_ = false;

    // Of the option at hand.
    std::string name_;
    std::uint32_t count_ = 0;
    bool want_name_ = false, want_block_size_ = false;
    bool match_base_ = false;
    std::uint64_t meta_export_ = 0;

    // Settled so far.
    bool structured_ = false;
    bool base_allocation_ = false;
    std::uint64_t context_export_ = 0; // the export that the contexts were chosen for

    Session session_;
    std::uint64_t chosen_ = 0;
    std::string output_, reason_;
};

} // namespace outport::nbd
