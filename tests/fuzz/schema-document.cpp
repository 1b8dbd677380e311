// SPDX-License-Identifier: Apache-2.0
// The loader of plugins' schema documents, over the host's real base document: what it accepts must merge,
// introspect, validate and leave again without a trace.
#include "host/schema/json.hpp"
#include "host/schema/registry.hpp"
#include "host/schema/validator.hpp"
#include "schema/base-document.h"

#include <boost/json/value.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>

using namespace outport;

namespace {

boost::json::value parsed(const void* text, std::size_t length) {
    auto v = json::parse(std::string_view(static_cast<const char*>(text), length));
    if (!v)
        std::abort();
    return std::move(*v);
}

schema::Registry& registry() {
    static std::unique_ptr<schema::Registry> made = [] {
        auto names = schema::parse_names(parsed(outport_names_document, outport_names_document_length));
        auto r = std::make_unique<schema::Registry>(std::vector<std::string>{}, std::move(*names));
        if (!r->load_base(parsed(outport_base_document, outport_base_document_length)))
            std::abort();
        return r;
    }();
    return *made;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    auto document = json::parse(std::string_view(reinterpret_cast<const char*>(data), size));
    if (!document)
        return 0;
    schema::Registry& r = registry();
    auto before = r.schema();
    if (!r.add_fragment(*document)) {
        if (r.schema() != before) // a refused document changes nothing
            std::abort();
        return 0;
    }
    (void)r.introspection();
    auto merged = r.schema();
    const boost::json::object arguments = {{"type", "nbd"}, {"id", "e"}, {"node-name", "n"}};
    for (const schema::Command& c : merged->commands())
        (void)schema::validate_command(*merged, c.name, arguments, schema::InputMode::Json);
    for (const std::string& name : r.fragment_names())
        if (!r.remove_fragment(name))
            std::abort();
    if (r.schema()->commands().size() != before->commands().size())
        std::abort();
    return 0;
}
