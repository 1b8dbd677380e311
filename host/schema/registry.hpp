// SPDX-License-Identifier: Apache-2.0
// The registry of schema documents: the host's base document and one fragment for each plugin that is
// present. It checks each document as hostile input, merges them in an order that does not depend on the
// order of loading, and evaluates conditions. Not thread-safe: main loop only; the Schema it hands out may go
// anywhere.
#pragma once

#include "host/base/error.hpp"
#include "host/schema/model.hpp"

#include <boost/json/fwd.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace outport::schema {

struct Fragment; // a checked document, document.hpp

// The unprefixed names that plugins may define, from names.json:
//   {"names": ["nbd-server-start", "NbdServerOptions", "CONFIG_NBD_EXPORT", …]}  (or one list for each kind
//   of thing,
// under any keys; the lists are joined)
using NameList = std::unordered_set<std::string>;
Result<NameList> parse_names(const boost::json::value& document);
Result<Hints> parse_hints(const boost::json::value& document);

class Registry {
  public:
    // `build_symbols`: condition symbols that the build made true.
    explicit Registry(std::vector<std::string> build_symbols = {}, NameList allowed_names = {},
                      Hints hints = {});
    ~Registry();
    Registry(const Registry&) = delete;
    Registry& operator=(const Registry&) = delete;

    // The host's own document; once, before any plugin's.
    Result<> load_base(const boost::json::value& document);
    // A plugin's document. Refused as a whole, leaving the registry as it was, when it is malformed or
    // clashes.
    Result<> add_fragment(const boost::json::value& document);
    Result<> remove_fragment(std::string_view name);
    // What add_fragment would say, and the fragment's name; changes nothing.
    Result<std::string> check_fragment(const boost::json::value& document) const;

    bool has_fragment(std::string_view name) const noexcept;
    std::vector<std::string> fragment_names() const; // in merge order, without the base

    // What holds now. Never null; empty before load_base.
    std::shared_ptr<const Schema> schema() const noexcept { return schema_; }
    // Grows with each change.
    std::uint64_t generation() const noexcept { return generation_; }
    // query-qmp-schema's answer; made on demand, kept until the next change. With `unmask` types keep their
    // names.
    std::shared_ptr<const boost::json::value> introspection() const;

  private:
    Result<> replace(std::vector<std::shared_ptr<const Fragment>> fragments);

    std::vector<std::string> build_symbols_;
    NameList allowed_names_;
    std::shared_ptr<const Hints> hints_;
    std::vector<std::shared_ptr<const Fragment>> fragments_; // merge order, base first
    std::shared_ptr<const Schema> schema_;
    std::uint64_t generation_ = 0;
    mutable std::shared_ptr<const boost::json::value> introspection_;
};

// The array of SchemaInfo for a schema. `unmask`: types keep their names (for tests and the manual).
boost::json::value introspect(const Schema& schema, bool unmask = false);

} // namespace outport::schema
