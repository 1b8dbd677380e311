// SPDX-License-Identifier: Apache-2.0
// Documents into one Schema; inner part of registry.hpp. Not thread-safe.
#pragma once

#include "host/schema/document.hpp"
#include "host/schema/model.hpp"
#include "host/schema/registry.hpp"

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace outport::schema {

using FragmentPtr = std::shared_ptr<const Fragment>;

class Merger {
  public:
    Merger(const std::vector<FragmentPtr>& fragments, const Symbols& build_symbols,
           const NameList& allowed_names, std::shared_ptr<const Hints> hints);

    // `fragments` in merge order, the base first.
    Result<std::shared_ptr<const Schema>> merge();

  private:
    // A type as all documents together say it, conditions not yet evaluated.
    struct Raw {
        TypeDef def; // with what extends it
        const Fragment* owner = nullptr;
    };
    using MemberList = std::vector<const MemberDef*>;
    using Lookup = const TypeDef* (Merger::*)(std::string_view name) const;

    // Checks (merger-check.cpp). Each leaves `error_` set when it finds something.
    void collect();
    void check_names(const Fragment& f);
    void check_name(const Fragment& f, std::string_view what, std::string_view name);
    void extend(const Fragment& f);
    void extend_enum(const Fragment& f, const ExtendDef& e, Raw& target);
    void extend_union(const Fragment& f, const ExtendDef& e, Raw& target);
    void check_references(const Fragment& f);
    void check_reference(const Fragment& f, std::string_view user, std::string_view type);
    void check_object(const Raw& raw);
    void check_union(const Raw& raw, const MemberList& common);
    void check_branches(const Raw& raw, const TypeDef& def, MemberList& names, int depth);
    void check_alternate(const Raw& raw);
    void check_default(const Raw& raw, const MemberDef& m);
    void check_arguments();
    void check_uses(const Fragment& f);
    void compare_used(const Fragment& f, const TypeDef& used, const Raw& host);
    void compare_members(const Fragment& f, const TypeDef& used, const Raw& host);
    template <class List, class Same>
    void compare_words(const Fragment& f, const TypeDef& used, const List& theirs, const List& ours,
                       const char* what, Same same);
    bool object_like(std::string_view type) const;
    // Members of the base first; false: a base is missing, no object, or its own base.
    bool flatten(const TypeDef& def, Lookup lookup, MemberList& out);
    const TypeDef* find_merged(std::string_view name) const;
    const TypeDef* find_used(std::string_view name) const;

    // Building (merger.cpp).
    void build();
    void declare_types();
    void fill(Type& type, const Raw& raw);
    void fill_members(Type& type, const MemberList& members);
    void fill_branches(Type& type, const Raw& raw);
    void inherit_unknown(const Type& type, const Raw& raw);
    const Type* resolve(std::string_view name);
    Type& declare(std::string_view name, Kind kind);
    void build_commands(const Fragment& f);
    std::vector<std::string> features(const std::vector<FeatureDef>& defs) const;

    void fail(std::string text) {
        if (!error_)
            error_ = Error(std::move(text));
    }
    void fail_in(const Fragment& f, std::string_view text);

    const std::vector<FragmentPtr>& fragments_;
    const NameList& allowed_names_;
    Symbols symbols_;
    std::optional<Error> error_;
    std::map<std::string, Raw, std::less<>> raw_; // the order does not matter, addresses do
    std::vector<Raw*> order_;
    std::size_t branches_left_ = 100000; // to check; what needs more is no honest schema
    const Fragment* using_ = nullptr;    // whose `uses` find_used looks into
    std::shared_ptr<Schema> schema_;
};

} // namespace outport::schema
