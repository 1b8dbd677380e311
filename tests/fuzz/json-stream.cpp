// SPDX-License-Identifier: Apache-2.0
// The parser of QMP input: whole and in pieces it must say the same, and what it writes it must read back.
#include "host/schema/json.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

using namespace outport;

namespace {

std::vector<std::string> messages(std::string_view input, std::size_t piece) {
    json::StreamParser parser;
    std::vector<std::string> out;
    auto keep = [&](const json::Message& m) {
        out.push_back(m ? json::to_string(*m) : "E" + m.error().message);
    };
    while (!input.empty()) {
        std::string_view now = input.substr(0, piece);
        input.remove_prefix(now.size());
        while (auto m = parser.next(now))
            keep(*m);
    }
    if (auto m = parser.finish())
        keep(*m);
    return out;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (!size)
        return 0;
    std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
    auto whole = messages(input, SIZE_MAX);
    if (messages(input, 1 + data[0] % 16) != whole)
        std::abort();
    for (const std::string& text : whole) {
        if (text.starts_with('E') || text.find("inf") != text.npos)
            continue;
        auto again = json::parse(text);
        if (!again)
            std::abort();
        const std::string second = json::to_string(*again); // differs where -0.0 was: it reads back as 0
        auto third = json::parse(second);
        if (!third || json::to_string(*third) != second)
            std::abort();
    }
    return 0;
}
