// SPDX-License-Identifier: Apache-2.0
// The negotiation's states and options as data. Thread-safe: constants. For negotiation*.cpp only.
#pragma once

#include "negotiation.hpp"

namespace outport::nbd {

enum class Negotiation::Step : std::uint8_t {
    ClientFlags,
    OptionHeader,
    ExportName, // the whole payload of EXPORT_NAME
    NameLength, // INFO, GO and the two of the meta contexts begin with an export's name
    Name,
    InfoCount,
    Info,
    QueryCount,
    QueryLength,
    Query,
};

// How many bytes a step reads (0: as its predecessor said) and what reads them.
struct Negotiation::StepRow {
    Step step;
    std::uint32_t size;
    Reader read;
};

enum class Negotiation::Payload : std::uint8_t {
    None,  // must be empty
    Any,   // passed over
    Parsed // read by the steps that `begin` starts
};

struct Negotiation::OptionRow {
    Option option;
    Payload payload;
    Handler begin;
};

inline const Negotiation::StepRow& Negotiation::row(Step step) noexcept {
    static constexpr StepRow kRows[] = {
        {Step::ClientFlags, 4, &Negotiation::read_client_flags},
        {Step::OptionHeader, kOptionHeaderSize, &Negotiation::read_option_header},
        {Step::ExportName, 0, &Negotiation::read_export_name},
        {Step::NameLength, 4, &Negotiation::read_name_length},
        {Step::Name, 0, &Negotiation::read_name},
        {Step::InfoCount, 2, &Negotiation::read_info_count},
        {Step::Info, 2, &Negotiation::read_info},
        {Step::QueryCount, 4, &Negotiation::read_query_count},
        {Step::QueryLength, 4, &Negotiation::read_query_length},
        {Step::Query, 0, &Negotiation::read_query},
    };
    return kRows[std::size_t(step)];
}

inline const Negotiation::OptionRow* Negotiation::find_option(std::uint32_t option) noexcept {
    static constexpr OptionRow kRows[] = {
        {Option::ExportName, Payload::Parsed, &Negotiation::begin_export_name},
        {Option::Abort, Payload::Any, &Negotiation::abort},
        {Option::List, Payload::None, &Negotiation::list},
        {Option::StartTls, Payload::None, &Negotiation::start_tls},
        {Option::Info, Payload::Parsed, &Negotiation::begin_named},
        {Option::Go, Payload::Parsed, &Negotiation::begin_named},
        {Option::StructuredReply, Payload::None, &Negotiation::structured_reply},
        {Option::ListMetaContext, Payload::Parsed, &Negotiation::begin_named},
        {Option::SetMetaContext, Payload::Parsed, &Negotiation::begin_set_meta},
    };
    for (const OptionRow& candidate : kRows)
        if (std::uint32_t(candidate.option) == option)
            return &candidate;
    return nullptr;
}

} // namespace outport::nbd
