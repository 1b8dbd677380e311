// SPDX-License-Identifier: Apache-2.0
// The machine: which step reads how much, which option may carry what, and how an option ends.
// What each option does stands in negotiation-options.cpp.
#include "negotiation-tables.hpp"

#include <outport/cpp/text.hpp>

#include <algorithm>

namespace outport::nbd {

using sdk::cat;

namespace {
template <class T> void append_be(std::string& out, T value) {
    std::byte bytes[sizeof value];
    store_be(bytes, value);
    out.append(reinterpret_cast<const char*>(bytes), sizeof bytes);
}
} // namespace

Negotiation::Negotiation(ExportDirectory& exports)
    : exports_(exports), step_(Step::ClientFlags), need_(row(Step::ClientFlags).size) {
    append_be(output_, kInitMagic);
    append_be(output_, kOptionMagic);
    append_be(output_, std::uint16_t(kFixedNewstyle | kNoZeroes));
}

std::size_t Negotiation::feed(std::span<const std::byte> input) {
    const std::size_t total = input.size();
    while (state_ == State::Running && output_.empty()) {
        if (skip_ > 0) {
            const auto passed = std::uint32_t(std::min<std::size_t>(skip_, input.size()));
            input = input.subspan(passed);
            skip_ -= passed;
            left_ -= passed;
            if (skip_ > 0)
                break;
        }
        if (input.size() < need_)
            break;
        const auto bytes = input.first(need_);
        input = input.subspan(need_);
        (this->*row(step_).read)(bytes);
    }
    return total - input.size();
}

void Negotiation::read_client_flags(std::span<const std::byte> bytes) {
    const auto flags = load_be<std::uint32_t>(bytes.data());
    if (flags & ~std::uint32_t(kFixedNewstyle | kNoZeroes)) {
        char digits[16];
        auto end = std::to_chars(digits, digits + sizeof digits, flags, 16).ptr;
        return drop(cat("Unknown client flags 0x", std::string_view(digits, end), " received"));
    }
    fixed_ = flags & kFixedNewstyle;
    no_zeroes_ = flags & kNoZeroes;
    next_option();
}

void Negotiation::read_option_header(std::span<const std::byte> bytes) {
    if (load_be<std::uint64_t>(bytes.data()) != kOptionMagic)
        return drop("Bad magic received");
    option_ = load_be<std::uint32_t>(bytes.data() + 8);
    left_ = load_be<std::uint32_t>(bytes.data() + 12);
    if (left_ > kMaxOption)
        return drop(cat("len (", left_, ") is larger than max len (", kMaxOption, ")"));
    if (!fixed_ && !is(Option::ExportName))
        return drop(cat("Unsupported option ", option_, " (", option_text(), ")"));
    const OptionRow* option = find_option(option_);
    if (!option)
        return refuse(kRepErrUnsup, cat("Unsupported option ", option_, " (", option_text(), ")"));
    if (option->payload == Payload::None && left_ != 0)
        return invalid(cat("option '", option_text(), "' has unexpected length"));
    (this->*option->begin)();
}

// The next step reads `bytes` of the payload, if there are so many.
void Negotiation::want(Step step, std::uint32_t bytes) {
    if (bytes > left_ - skip_)
        return invalid(cat("Inconsistent lengths in option ", option_text()));
    left_ -= bytes;
    step_ = step;
    need_ = bytes;
}

void Negotiation::next_option() noexcept {
    skip_ = left_;
    step_ = Step::OptionHeader;
    need_ = row(step_).size;
}

void Negotiation::drop(std::string reason) {
    reason_ = std::move(reason);
    state_ = State::Dropped;
}

void Negotiation::refuse(std::uint32_t type, std::string_view text) {
    reply(type, text.substr(0, kMaxString));
    next_option();
}

void Negotiation::finish_option() {
    reply(kRepAck);
    next_option();
}

void Negotiation::reply(std::uint32_t type, std::string_view payload) {
    append_be(output_, kOptionReplyMagic);
    append_be(output_, option_);
    append_be(output_, type);
    append_be(output_, std::uint32_t(payload.size()));
    output_.append(payload);
}

void Negotiation::info(std::uint16_t type, std::string_view payload) {
    std::string body;
    append_be(body, type);
    body.append(payload);
    reply(kRepInfo, body);
}

} // namespace outport::nbd
