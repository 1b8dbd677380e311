// SPDX-License-Identifier: Apache-2.0
// --chardev has a syntax older than keyval: a bare word is a flag (`server`, `nowait`), and what a back end
// does not know of the options that others have is passed over.
#include "host/qmp/chardev.hpp"

#include "host/base/text.hpp"
#include "host/schema/validator.hpp"

#include <algorithm>
#include <optional>
#include <utility>

namespace outport::qmp {
namespace {

enum class Type : std::uint8_t { Text, Bool };

struct KnownOption {
    const char* name;
    Type type;
};

constexpr KnownOption kOptions[] = {{"backend", Type::Text}, {"path", Type::Text},    {"host", Type::Text},
                                    {"port", Type::Text},    {"fd", Type::Text},      {"ipv4", Type::Bool},
                                    {"ipv6", Type::Bool},    {"server", Type::Bool},  {"wait", Type::Bool},
                                    {"delay", Type::Bool},   {"nodelay", Type::Bool}, {"signal", Type::Bool},
                                    {"tight", Type::Bool},   {"abstract", Type::Bool}};

bool alpha(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool well_formed_id(std::string_view id) {
    return !id.empty() && alpha(id[0]) && std::all_of(id.begin(), id.end(), [](char c) {
        return alpha(c) || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
    });
}

using Pairs = std::vector<std::pair<std::string, std::string>>;

std::string take_value(std::string_view& rest) {
    std::string value;
    while (!rest.empty()) {
        if (rest[0] == ',') {
            rest.remove_prefix(1);
            if (!rest.starts_with(','))
                break;
        }
        value.push_back(rest[0]);
        rest.remove_prefix(1);
    }
    return value;
}

// `help`: a bare help or ? was there.
Pairs split(std::string_view text, std::vector<std::string>& warnings, bool& help) {
    Pairs pairs;
    for (bool first = true; !text.empty(); first = false) {
        const std::size_t end = std::min(text.find_first_of("=,"), text.size());
        std::string name(text.substr(0, end));
        if (end < text.size() && text[end] == '=') {
            text.remove_prefix(end + 1);
            pairs.emplace_back(std::move(name), take_value(text));
            continue;
        }
        help = help || name == "help" || name == "?";
        if (first) {
            pairs.emplace_back("backend", take_value(text));
            continue;
        }
        text.remove_prefix(std::min(end + 1, text.size()));
        const bool negated = name.starts_with("no");
        std::string value = negated ? "off" : "on", meant = negated ? name.substr(2) : name;
        if (!help)
            warnings.push_back(cat("short-form boolean option '", name, "' deprecated\nPlease use ", meant,
                                   "=", value, " instead"));
        pairs.emplace_back(std::move(meant), std::move(value));
    }
    return pairs;
}

// The last of a name counts, but the first id.
class Options {
  public:
    Result<> read(const Pairs& pairs);

    const std::string* text(std::string_view name) const {
        const std::string* found = nullptr;
        for (const auto& [key, value] : pairs_)
            if (key == name)
                found = &value;
        return found;
    }
    std::optional<bool> flag(std::string_view name) const {
        bool value = false;
        const std::string* s = text(name);
        if (!s || !schema::parse_bool(*s, value))
            return {};
        return value;
    }
    std::string id;

  private:
    Pairs pairs_;
};

Result<> Options::read(const Pairs& pairs) {
    for (const auto& [name, value] : pairs)
        if (name == "id" && id.empty()) {
            if (!well_formed_id(value))
                return fail("Parameter 'id' expects an identifier",
                            "Identifiers consist of letters, digits, '-', '.', '_', starting with a letter.");
            id = value;
        }
    for (const auto& [name, value] : pairs) {
        if (name == "id")
            continue;
        auto known = std::find_if(std::begin(kOptions), std::end(kOptions),
                                  [&](const KnownOption& o) { return name == o.name; });
        if (known == std::end(kOptions))
            return fail(cat("Invalid parameter '", name, "'"));
        bool ignored = false;
        if (known->type == Type::Bool && !schema::parse_bool(value, ignored))
            return fail(cat("Parameter '", name, "' expects 'on' or 'off'"));
    }
    pairs_ = pairs;
    return {};
}

Result<> read_socket(const Options& from, ChardevOptions& to) {
    const std::string *path = from.text("path"), *host = from.text("host"), *port = from.text("port"),
                      *fd = from.text("fd");
    if (!!path + !!host + !!fd > 1)
        return fail("None or one of 'path', 'fd' or 'host' option required.");
    if (host && !port)
        return fail("chardev: socket: no port given");
    if (!path && !fd && !port)
        return fail("chardev: socket: no path, port or fd given");
    to.server = from.flag("server").value_or(false);
    if (!to.server && from.flag("wait"))
        return fail("'wait' option is incompatible with socket in client connect mode");
    to.wait = from.flag("wait").value_or(true);
    to.nodelay = from.flag("nodelay").value_or(false) || !from.flag("delay").value_or(true);
    to.abstract = from.flag("abstract").value_or(false);
    to.tight = from.flag("tight").value_or(true);
    if (path)
        to.path = *path;
    if (host)
        to.host = *host;
    if (port)
        to.port = *port;
    if (fd)
        to.fd = *fd;
    to.ipv4 = from.flag("ipv4");
    to.ipv6 = from.flag("ipv6");
    return {};
}

} // namespace

Result<ChardevOptions> parse_chardev(std::string_view text, std::vector<std::string>& warnings, bool& help) {
    ChardevOptions out;
    help = false;
    Pairs pairs = split(text, warnings, help);
    if (help)
        return out;
    Options options;
    if (auto read = options.read(pairs); !read)
        return fail(std::move(read.error()));
    if (options.id.empty())
        return fail("chardev: no id specified");
    out.id = options.id;
    const std::string* backend = options.text("backend");
    if (!backend)
        return fail(cat("chardev: \"", out.id, "\" missing backend"));
    if (*backend == "socket") {
        out.backend = ChardevOptions::Backend::Socket;
        if (auto read = read_socket(options, out); !read)
            return fail(std::move(read.error()));
    } else if (*backend == "stdio") {
        out.backend = ChardevOptions::Backend::Stdio;
        out.signal = options.flag("signal").value_or(true);
    } else if (*backend == "null") {
        out.backend = ChardevOptions::Backend::Null;
    } else {
        return fail(cat("'", *backend, "' is not a valid char driver name"));
    }
    return out;
}

std::string ChardevOptions::label() const {
    std::string address = !path.empty() ? cat("unix:", path)
                          : !fd.empty() ? cat("fd:", fd)
                                        : cat("tcp:", host, ":", port);
    return cat(address, server ? ",server=on" : "");
}

std::string chardev_help() {
    return "Available chardev backend types: \n  stdio\n  socket\n  null\n";
}

} // namespace outport::qmp
