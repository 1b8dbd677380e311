// SPDX-License-Identifier: Apache-2.0
#include "host/schema/registry.hpp"

#include "host/base/text.hpp"
#include "host/schema/document.hpp"
#include "host/schema/merger.hpp"

#include <boost/json/value.hpp>

#include <algorithm>
#include <tuple>

namespace outport::schema {

namespace bj = boost::json;

namespace {

// Base, then ranked ones by rank, then the others; by name where that leaves a choice.
bool merges_before(const std::shared_ptr<const Fragment>& a, const std::shared_ptr<const Fragment>& b) {
    auto key = [](const Fragment& f) {
        return std::tuple(!f.is_base(), !f.rank.has_value(), f.rank.value_or(0), std::string_view(f.name));
    };
    return key(*a) < key(*b);
}

std::string_view view(const bj::string& s) {
    return {s.data(), s.size()};
}

} // namespace

Registry::Registry(std::vector<std::string> build_symbols, NameList allowed_names, Hints hints)
    : build_symbols_(std::move(build_symbols)), allowed_names_(std::move(allowed_names)),
      hints_(std::make_shared<const Hints>(std::move(hints))) {
    auto empty = replace({});
    (void)empty; // nothing can be wrong with nothing
}

Registry::~Registry() = default;

Result<> Registry::replace(std::vector<std::shared_ptr<const Fragment>> fragments) {
    std::sort(fragments.begin(), fragments.end(), merges_before);
    Symbols symbols(build_symbols_.begin(), build_symbols_.end());
    auto merged = Merger(fragments, symbols, allowed_names_, hints_).merge();
    if (!merged)
        return fail(std::move(merged.error()));
    fragments_ = std::move(fragments);
    schema_ = std::move(*merged);
    introspection_.reset();
    generation_++;
    return {};
}

Result<> Registry::load_base(const bj::value& document) {
    auto fragment = read_document(document);
    if (!fragment)
        return fail(std::move(fragment.error()));
    if (!(*fragment)->is_base())
        return fail(cat("the host's own schema document is named '", (*fragment)->name, "', not 'base'"));
    if (has_fragment("base"))
        return fail("the base document is loaded already");
    return replace({std::move(*fragment)});
}

Result<> Registry::add_fragment(const bj::value& document) {
    auto fragment = read_document(document);
    if (!fragment)
        return fail(std::move(fragment.error()));
    const std::string& name = (*fragment)->name;
    if ((*fragment)->is_base())
        return fail("a plugin's schema document can't be named 'base'");
    if (has_fragment(name))
        return fail(cat("a schema document named '", name, "' is loaded already"));
    auto fragments = fragments_;
    fragments.push_back(std::move(*fragment));
    return replace(std::move(fragments));
}

Result<std::string> Registry::check_fragment(const bj::value& document) const {
    Registry copy(build_symbols_, allowed_names_, *hints_);
    copy.fragments_ = fragments_;
    std::vector<std::string> before = copy.fragment_names();
    if (auto added = copy.add_fragment(document); !added)
        return fail(std::move(added.error()));
    for (const std::string& name : copy.fragment_names())
        if (std::find(before.begin(), before.end(), name) == before.end())
            return name;
    return fail("no fragment");
}

Result<> Registry::remove_fragment(std::string_view name) {
    auto fragments = fragments_;
    if (name == "base" || !std::erase_if(fragments, [&](const auto& f) { return f->name == name; }))
        return fail(cat("no schema document named '", name, "' is loaded"));
    return replace(std::move(fragments));
}

bool Registry::has_fragment(std::string_view name) const noexcept {
    return std::any_of(fragments_.begin(), fragments_.end(), [&](const auto& f) { return f->name == name; });
}

std::vector<std::string> Registry::fragment_names() const {
    std::vector<std::string> names;
    for (const auto& f : fragments_)
        if (!f->is_base())
            names.push_back(f->name);
    return names;
}

std::shared_ptr<const bj::value> Registry::introspection() const {
    if (!introspection_)
        introspection_ = std::make_shared<const bj::value>(introspect(*schema_));
    return introspection_;
}

Result<NameList> parse_names(const bj::value& document) {
    NameList names;
    if (!document.is_object())
        return fail("names: expected an object");
    for (const auto& list : document.get_object()) {
        if (!list.value().is_array())
            return fail(
                cat("names: '", std::string_view(list.key().data(), list.key().size()), "' is no array"));
        for (const bj::value& name : list.value().get_array()) {
            if (!name.is_string())
                return fail("names: a name is no string");
            names.emplace(view(name.get_string()));
        }
    }
    return names;
}

Result<Hints> parse_hints(const bj::value& document) {
    using Table = std::unordered_map<std::string, std::string>;
    Hints hints;
    auto fill = [](Table& table, const bj::value& from) -> Result<> {
        if (!from.is_object())
            return fail("hints: expected an object");
        for (const auto& m : from.get_object()) {
            if (!m.value().is_string())
                return fail("hints: a hint is no string");
            table.emplace(std::string(m.key().data(), m.key().size()), view(m.value().get_string()));
        }
        return {};
    };
    if (!document.is_object())
        return fail("hints: expected an object");
    for (const auto& part : document.get_object()) {
        std::string_view key(part.key().data(), part.key().size());
        Result<> filled;
        if (key == "commands") {
            filled = fill(hints.commands, part.value());
        } else if (key == "options") {
            filled = fill(hints.options, part.value());
        } else if (key == "enums" && part.value().is_object()) {
            for (const auto& e : part.value().get_object())
                if (filled)
                    filled = fill(hints.enums[std::string(e.key().data(), e.key().size())], e.value());
        } else {
            filled = fail(cat("hints: unknown or malformed '", key, "'"));
        }
        if (!filled)
            return fail(std::move(filled.error()));
    }
    return hints;
}

} // namespace outport::schema
