// SPDX-License-Identifier: Apache-2.0
// The negotiation of an NBD connection: whole and in pieces it must answer the same, and hold no more than it
// says.
#include "negotiation.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>
#include <string>
#include <utility>

using namespace outport::nbd;

namespace {

class Exports final : public ExportDirectory {
  public:
    std::optional<ExportView> find(std::string_view name) override {
        for (const ExportView& view : kAll)
            if (view.name == name)
                return view;
        return std::nullopt;
    }
    void for_each(const std::function<void(const ExportView&)>& visit) override {
        for (const ExportView& view : kAll)
            visit(view);
    }

  private:
    static constexpr ExportView kAll[] = {{.serial = 7,
                                           .name = "a",
                                           .description = "the first",
                                           .size = 1 << 20,
                                           .flags = 0x50f,
                                           .min_block = 1,
                                           .max_block = kMaxPayload},
                                          {.serial = 8,
                                           .name = "",
                                           .description = "",
                                           .size = 4096,
                                           .flags = 0xd6d,
                                           .min_block = 512,
                                           .max_block = 1 << 20}};
};

struct Outcome {
    std::string answer;
    Negotiation::State state;
    std::size_t unread;
    bool operator==(const Outcome&) const = default;
};

Outcome outcome(std::span<const std::byte> input, std::size_t piece) {
    Exports exports;
    Negotiation machine(exports);
    Outcome out{};
    std::size_t read = 0, end = 0;
    while (machine.state() == Negotiation::State::Running) {
        out.answer += std::exchange(machine.output(), {});
        const std::size_t used = machine.feed(input.subspan(read, end - read));
        read += used;
        if (used > 0 || !machine.output().empty())
            continue;
        if (end - read > Negotiation::kMaxNeed) // it was to take some of so much
            std::abort();
        if (end == input.size())
            break;
        end += std::min(piece, input.size() - end);
    }
    out.answer += machine.output() + machine.reason();
    out.state = machine.state();
    out.unread = input.size() - read;
    if (out.state == Negotiation::State::Chosen && machine.chosen_serial() != 7 &&
        machine.chosen_serial() != 8)
        std::abort();
    return out;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (!size)
        return 0;
    const auto input = std::as_bytes(std::span(data, size)).subspan(1);
    if (outcome(input, 1 + data[0] % 32) != outcome(input, SIZE_MAX))
        std::abort();
    return 0;
}
