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
#include <cstring>
#include <memory>
#include <random>
#include <vector>

using namespace outport;

// libFuzzer's own mutation of bytes; only there in a fuzzer.
extern "C" __attribute__((weak)) std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size,
                                                              std::size_t max);

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

void collect(boost::json::value& from, std::vector<boost::json::value*>& nodes) {
    nodes.push_back(&from);
    if (from.is_array())
        for (boost::json::value& element : from.get_array())
            collect(element, nodes);
    else if (from.is_object())
        for (auto& member : from.get_object())
            collect(member.value(), nodes);
}

boost::json::value scalar(std::minstd_rand& random) {
    switch (random() % 8) {
    case 0:
        return nullptr;
    case 1:
        return random() % 2 == 0;
    case 2:
        return std::int64_t(random() % 3) - 1;
    case 3:
        return UINT64_MAX;
    case 4:
        return "";
    case 5:
        return boost::json::array();
    case 6:
        return boost::json::object();
    default:
        return "CONFIG_NBD_EXPORT";
    }
}

// Changes one node of a document: bytes changed at random are hardly ever a document again.
void change(boost::json::value& document, std::minstd_rand& random) {
    std::vector<boost::json::value*> nodes;
    collect(document, nodes);
    boost::json::value& at = *nodes[random() % nodes.size()];
    boost::json::value other = *nodes[random() % nodes.size()];
    const auto kind = random() % 4;
    if (kind == 0 || (!at.is_array() && !at.is_object())) {
        at = random() % 2 ? std::move(other) : scalar(random);
    } else if (auto* list = at.if_array()) {
        if (kind == 1 && !list->empty())
            list->erase(list->begin() + random() % list->size());
        else
            list->push_back(kind == 2 && !list->empty() ? list->front() : std::move(other));
    } else if (auto& table = at.get_object(); !table.empty()) {
        const auto member = table.begin() + random() % table.size();
        const std::string key = member->key();
        if (kind == 1)
            table.erase(member);
        else if (kind == 2)
            table.insert_or_assign(key, std::move(other));
        else if (other.is_string())
            table.emplace(other.get_string(), boost::json::value(member->value()));
    }
}

} // namespace

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max,
                                               unsigned seed) {
    std::minstd_rand random(seed);
    auto document = json::parse(std::string_view(reinterpret_cast<const char*>(data), size));
    if (!document || random() % 8 == 0)
        return LLVMFuzzerMutate(data, size, max);
    change(*document, random);
    const std::string text = json::to_string(*document);
    if (text.size() > max)
        return LLVMFuzzerMutate(data, size, max);
    std::memcpy(data, text.data(), text.size());
    return text.size();
}

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
