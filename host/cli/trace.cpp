// SPDX-License-Identifier: Apache-2.0
// --trace. Where qemu-storage-daemon has trace events, we have components with levels.
#include "host/base/log.hpp"
#include "host/base/text.hpp"
#include "host/cli/settings.hpp"
#include "host/schema/keyval.hpp"

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>

#include <cerrno>
#include <fstream>

namespace outport::cli {

namespace {

struct Trace {
    std::vector<std::string> patterns;
    std::string file;
};

Result<> read_patterns(const std::string& path, std::vector<std::string>& patterns) {
    std::ifstream in(path);
    if (!in)
        return fail_errno(errno ? errno : EIO, cat("Could not open '", path, "'"));
    for (std::string line; std::getline(in, line);)
        if (!line.empty() && line.front() != '#')
            patterns.push_back(line);
    return {};
}

Result<Trace> parse(const std::string& text) {
    auto options = schema::parse_keyval(text, "enable");
    if (!options)
        return fail(std::move(options.error()));
    Trace trace;
    for (const auto& [key, value] : *options) {
        if (!value.is_string() || (key != "enable" && key != "events" && key != "file"))
            return fail(cat("Invalid parameter '", std::string_view(key), "'"));
        std::string word(value.get_string());
        if (key == "enable") {
            trace.patterns.push_back(word);
        } else if (key == "file") {
            trace.file = word;
        } else if (auto read = read_patterns(word, trace.patterns); !read) {
            return fail(std::move(read.error()));
        }
    }
    return trace;
}

} // namespace

Result<> apply_trace(const std::string& text) {
    auto trace = parse(text);
    if (!trace)
        return fail(std::move(trace.error()));
    for (const std::string& pattern : trace->patterns)
        if (auto set = log::set_pattern(pattern); !set)
            return set;
    return trace->file.empty() ? Result<>() : log::set_file(trace->file);
}

std::vector<std::string> trace_warnings(const std::string& text) {
    std::vector<std::string> warnings;
    if (auto trace = parse(text))
        for (const std::string& pattern : trace->patterns)
            if (!log::pattern_matches_any(pattern))
                warnings.push_back(cat("trace event '", pattern, "' does not exist"));
    return warnings;
}

std::string trace_help() {
    std::string text;
    for (const std::string& name : log::components())
        text += cat(name, '\n');
    return text;
}

} // namespace outport::cli
