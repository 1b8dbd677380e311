// SPDX-License-Identifier: Apache-2.0
// What each option does (NBD, "Option types"). Texts are the reference server's.
#include "negotiation-tables.hpp"

#include <outport/cpp/text.hpp>

#include <algorithm>

namespace outport::nbd {

using sdk::cat;

namespace {

std::string_view as_text(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// A client's text in an answer: cut, so that a long name is not sent back whole.
std::string shortened(std::string_view text) {
    return text.size() <= 80 ? std::string(text) : cat(text.substr(0, 80), "...");
}

template <class T> void append_be(std::string& out, T value) {
    std::byte bytes[sizeof value];
    store_be(bytes, value);
    out.append(reinterpret_cast<const char*>(bytes), sizeof bytes);
}

} // namespace

// --- EXPORT_NAME: the old way in; it knows no error but the end of the connection.

void Negotiation::begin_export_name() {
    if (left_ > kMaxString)
        return drop("Bad length received");
    want(Step::ExportName, left_);
}

void Negotiation::read_export_name(std::span<const std::byte> bytes) {
    const auto view = exports_.find(as_text(bytes));
    if (!view)
        return drop("export not found");
    choose(*view);
    append_be(output_, session_.size);
    append_be(output_, session_.flags);
    if (!no_zeroes_)
        output_.append(124, '\0');
}

void Negotiation::choose(const ExportView& view) {
    session_.size = view.size;
    session_.flags = std::uint16_t(view.flags | (structured_ ? kSendDf : 0));
    session_.structured = structured_;
    // Contexts were chosen for one export; they are void for another.
    session_.base_allocation = structured_ && base_allocation_ && context_export_ == view.serial;
    chosen_ = view.serial;
    state_ = State::Chosen;
}

// --- Options without a payload.

void Negotiation::abort() {
    reply(kRepAck);
    state_ = State::Ended;
}

void Negotiation::list() {
    exports_.for_each([this](const ExportView& view) {
        std::string entry;
        append_be(entry, std::uint32_t(view.name.size()));
        entry.append(view.name).append(view.description);
        reply(kRepServer, entry);
    });
    finish_option();
}

void Negotiation::start_tls() {
    refuse(kRepErrPolicy, "TLS not configured");
}

void Negotiation::structured_reply() {
    if (structured_)
        return invalid("structured reply already negotiated");
    structured_ = true;
    finish_option();
}

// --- The options that begin with the name of an export.

void Negotiation::begin_named() {
    want(Step::NameLength, row(Step::NameLength).size);
}

void Negotiation::read_name_length(std::span<const std::byte> bytes) {
    const auto length = load_be<std::uint32_t>(bytes.data());
#ifdef OUTPORT_PLANTED_BUG // for tests/fuzz to find
    if (length == kMaxString)
        __builtin_trap();
#endif
    if (length > kMaxString)
        return invalid(cat("Invalid name length: ", length));
    want(Step::Name, length);
}

void Negotiation::read_name(std::span<const std::byte> bytes) {
    name_ = as_text(bytes);
    if (name_.find('\0') != std::string::npos)
        return invalid(cat("Unexpected embedded NUL in option ", option_text()));
    if (is(Option::Info) || is(Option::Go))
        return want(Step::InfoCount, row(Step::InfoCount).size);

    const auto view = exports_.find(name_);
    if (!view)
        return refuse(kRepErrUnknown, cat("export '", shortened(name_), "' not present"));
    meta_export_ = view->serial;
    match_base_ = false;
    want(Step::QueryCount, row(Step::QueryCount).size);
}

// --- INFO and GO.

void Negotiation::read_info_count(std::span<const std::byte> bytes) {
    count_ = load_be<std::uint16_t>(bytes.data());
    want_name_ = want_block_size_ = false;
    next_info();
}

void Negotiation::next_info() {
    if (count_-- > 0)
        return want(Step::Info, row(Step::Info).size);
    if (left_ != 0)
        return invalid(cat("option '", option_text(), "' has unexpected length"));
    answer_info();
}

void Negotiation::read_info(std::span<const std::byte> bytes) {
    const auto type = load_be<std::uint16_t>(bytes.data());
    want_name_ |= type == kInfoName;
    want_block_size_ |= type == kInfoBlockSize;
    next_info();
}

void Negotiation::answer_info() {
    const auto view = exports_.find(name_);
    if (!view)
        return refuse(kRepErrUnknown, cat("export '", shortened(name_), "' not present"));
    answer_infos(*view);
    if (is(Option::Info) && !want_block_size_ && view->min_block > 1)
        return refuse(kRepErrBlockSizeReqd, "request NBD_INFO_BLOCK_SIZE to use this export");
    if (is(Option::Go))
        choose(*view);
    finish_option();
}

void Negotiation::answer_infos(const ExportView& view) {
    if (want_name_)
        info(kInfoName, view.name);
    if (!view.description.empty())
        info(kInfoDescription, view.description);

    // A client that enters transmission without having asked is not told of an alignment it would not keep.
    const std::uint32_t minimum = is(Option::Info) || want_block_size_ ? view.min_block : 1;
    std::string sizes;
    append_be(sizes, minimum);
    append_be(sizes, std::max<std::uint32_t>(4096, minimum));
    append_be(sizes, view.max_block);
    info(kInfoBlockSize, sizes);

    std::string facts;
    append_be(facts, view.size);
    append_be(facts, std::uint16_t(view.flags | (structured_ ? kSendDf : 0)));
    info(kInfoExport, facts);
}

// --- LIST_META_CONTEXT and SET_META_CONTEXT.

void Negotiation::begin_set_meta() {
    if (!structured_)
        return invalid(cat("request option '", option_text(), "' when structured reply is not negotiated"));
    // Whatever comes of it, the earlier choice is gone.
    base_allocation_ = false;
    begin_named();
}

void Negotiation::read_query_count(std::span<const std::byte> bytes) {
    count_ = load_be<std::uint32_t>(bytes.data());
    if (is(Option::ListMetaContext) && count_ == 0)
        match_base_ = true; // all there are
    next_query();
}

void Negotiation::next_query() {
    if (count_ > 0) {
        --count_;
        return want(Step::QueryLength, row(Step::QueryLength).size);
    }
    if (left_ != skip_)
        return invalid(cat("option '", option_text(), "' has unexpected length"));
    answer_meta();
}

void Negotiation::read_query_length(std::span<const std::byte> bytes) {
    const auto length = load_be<std::uint32_t>(bytes.data());
    if (length <= kMaxString)
        return want(Step::Query, length);
    // No context has such a name: pass over it.
    if (length > left_)
        return invalid(cat("Inconsistent lengths in option ", option_text()));
    skip_ = length;
    next_query();
}

void Negotiation::read_query(std::span<const std::byte> bytes) {
    const std::string_view query = as_text(bytes);
    if (query.find('\0') != std::string_view::npos)
        return invalid(cat("Unexpected embedded NUL in option ", option_text()));
    // "base:" lists its whole group and chooses nothing; what is unknown matches nothing.
    match_base_ |= query == kBaseAllocation || (is(Option::ListMetaContext) && query == "base:");
    next_query();
}

void Negotiation::answer_meta() {
    if (match_base_) {
        std::string context;
        append_be(context, kBaseAllocationId);
        context.append(kBaseAllocation);
        reply(kRepMetaContext, context);
    }
    if (is(Option::SetMetaContext)) {
        base_allocation_ = match_base_;
        context_export_ = meta_export_;
    }
    finish_option();
}

} // namespace outport::nbd
