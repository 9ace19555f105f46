// SPDX-License-Identifier: Apache-2.0
#include "viaduct/sip_value.hpp"

#include "sip_text.hpp"

#include <algorithm>

namespace viaduct {

using namespace sip_text;

namespace {

constexpr Part part(std::size_t begin, std::size_t end) noexcept {
    return {static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end)};
}

/// trim(), as a part.
Part trimmed(std::string_view text, std::size_t begin, std::size_t end) noexcept {
    const std::string_view inside = trim(text, begin, end);
    const auto from = static_cast<std::size_t>(inside.data() - text.data());
    return part(from, from + inside.size());
}

/// The host that stands at `at`, which moves behind it.
Part take_host(std::string_view text, Marks& marks, std::size_t& at) noexcept {
    const std::size_t first = at;
    if (first < text.size() && text[first] == '[') { // IPv6reference
        const std::size_t end = skip(text, first + 1, kIpv6);
        if (end == text.size() || text[end] != ']') return {};
        at = end + 1;
        return part(first + 1, end);
    }
    at = marks.next(first);
    return part(first, at);
}

constexpr bool is_empty(Part range) noexcept {
    return range.begin == range.end;
}

} // namespace

void Marks::load(std::size_t at) noexcept {
    base_ = at;
    const std::size_t size = text_.size();
    const std::size_t left = size - at;
    if (left >= kBlock) {
        mask_ = marks_of(text_.data() + at, kBlock);
        return;
    }
    mask_ = 0;
    if (left > 0)
        mask_ = size >= kBlock ? marks_of(text_.data() + size - kBlock, kBlock) >> (kBlock - left)
                               : marks_of(text_.data(), size) >> at;
    mask_ |= std::uint64_t{1} << left;
}

std::size_t Marks::next_in_other_block(std::size_t at) noexcept {
    if (at - base_ < kBlock) at = base_ + kBlock; // there is none in this one
    for (; at < text_.size(); at += kBlock) {
        load(at);
        if (mask_ != 0) return at + static_cast<std::size_t>(std::countr_zero(mask_));
    }
    return text_.size();
}

std::size_t Marks::skip_quoted(std::size_t at) noexcept {
    while ((at = next_of<'"', '\\'>(at)) < text_.size()) {
        if (text_[at] == '"') return at + 1;
        at += 2; // quoted-pair (RFC 3261 §25.1)
    }
    return text_.size();
}

std::size_t Marks::skip_bracketed(std::size_t at) noexcept {
    return std::min(next_of<'>'>(at) + 1, text_.size());
}

Number read_number(std::string_view text) noexcept {
    constexpr std::uint64_t kMost = 0xffff'ffffU;
    std::size_t at = skip_space(text, 0);
    const std::size_t first = at;
    std::uint64_t value = 0;
    for (; at < text.size(); ++at) {
        const auto digit = static_cast<unsigned>(text[at]) - '0';
        if (digit > 9) break;
        value = std::min(value * 10 + digit, kMost);
    }
    if (at == first || skip_space(text, at) != text.size()) return {Reading::Unreadable, 0};
    return {Reading::Value, static_cast<std::uint32_t>(value)};
}

Number read_port(std::string_view text) noexcept {
    const Number port = read_number(text);
    return port.value > 65'535 ? Number{Reading::Unreadable, 0} : port;
}

/// `at_` stands behind the ";" of a parameter in a header field.
inline void Parameters::read_value(Parameter& parameter) noexcept {
    const std::string_view text = marks_.text();
    const std::size_t first = skip_space(text, at_);
    at_ = marks_.next(first);
    parameter = {slice(text, first, at_), false, {}};
    const std::size_t equal = skip_space(text, at_);
    if (equal >= text.size() || text[equal] != '=') return;
    const std::size_t begin = skip_space(text, equal + 1);
    if (begin < text.size() && text[begin] == '"')
        at_ = marks_.skip_quoted(begin + 1);
    else
        at_ = marks_.next_of<';', ' ', '\t', '\r', '\n', ',', '"', '<'>(begin);
    std::size_t end = at_;
    if (end < text.size() &&
        text[end] != ';') // quotes and brackets hide what follows, but end no value
        end = marks_.next_of<' ', '\t', '\r', '\n', ';', ','>(end);
    parameter.has_value = true;
    parameter.value = slice(text, begin, end);
}

inline bool Parameters::take_in_uri(Parameter& parameter) noexcept {
    const std::string_view text = slice(marks_.text(), 0, end_);
    at_ = marks_.next_of<';'>(at_);
    if (at_ >= end_) return false;
    const std::size_t first = at_ + 1;
    at_ = std::min(marks_.next_of<'=', ';'>(first), end_);
    parameter = {slice(text, first, at_), false, {}};
    if (at_ == end_ || text[at_] == ';') return true;
    const std::size_t begin = at_ + 1;
    at_ = std::min(marks_.next_of<';'>(begin), end_);
    parameter.has_value = true;
    parameter.value = slice(text, begin, at_);
    return true;
}

bool Parameters::take_next(Parameter& parameter) noexcept {
    if (place_ == ParameterPlace::Uri) return take_in_uri(parameter);
    const std::string_view text = marks_.text();
    while ((at_ = marks_.next(at_)) < text.size()) {
        switch (text[at_++]) {
        case ';':
            read_value(parameter);
            return true;
        case '"':
            at_ = marks_.skip_quoted(at_);
            break;
        case '<':
            at_ = marks_.skip_bracketed(at_);
            break;
        case ',': // the next value of the list begins
            at_ = end_;
            return false;
        default:
            break;
        }
    }
    return false;
}

std::optional<Parameter> Parameters::find(std::string_view name) const noexcept {
    for (const Parameter& parameter : *this)
        if (equals_ignoring_case(parameter.name, name)) return parameter;
    return std::nullopt;
}

std::string_view Parameters::find_token(std::string_view name) const noexcept {
    for (const Parameter& parameter : *this)
        if (parameter.has_value && equals_ignoring_case(parameter.name, name))
            return token_of(parameter.value);
    return {};
}

Host read_host(std::string_view text) noexcept {
    const std::string_view whole = trim(text, 0, text.size());
    const bool bracketed = whole.size() > 2 && whole.front() == '[' && whole.back() == ']';
    const std::string_view inside = bracketed ? slice(whole, 1, whole.size() - 1) : whole;
    const std::size_t colon = find_any<':'>(inside, 0);
    const bool is_ipv6 = find_any<':'>(inside, colon + 1) < inside.size() && // two, at least
                         skip(inside, 0, kIpv6) == inside.size();
    if (bracketed || is_ipv6) return is_ipv6 ? Host{inside, true} : Host{};
    Marks marks(whole);
    const bool odd = whole.empty() || whole[0] == '[' || marks.next(0) != whole.size();
    return odd ? Host{} : Host{whole, false};
}

namespace {

/// `text[colon]` is the first mark; what stands before it is the scheme if that is a colon.
UriScheme scheme_of(std::string_view text, std::size_t colon) noexcept {
    static constexpr CharSet kScheme = make_set("+-.", true);
    if (colon == 0 || colon == text.size() || text[colon] != ':') return UriScheme::Unreadable;
    const std::string_view name = slice(text, 0, colon);
    if (is_word(name, "sip")) return UriScheme::Sip;
    if (is_word(name, "sips")) return UriScheme::Sips;
    if (is_word(name, "tel")) return UriScheme::Tel;
    const bool legal = skip(name, 0, kScheme) == name.size() && !is_digit(name[0]);
    return legal ? UriScheme::Other : UriScheme::Unreadable;
}

} // namespace

/// userinfo is all before an "@", which nothing else may contain; it may well hold ";" and "?"
/// (RFC 3261 §25.1, user-unreserved).
void Uri::read_sip() noexcept {
    Marks& marks = marks_;
    const std::string_view text = marks.text();
    std::size_t at = colon_ + std::size_t{1};
    std::size_t colon = text.size(); // the first in front of the "@"
    std::size_t mark = at;
    while ((mark = marks.next(mark)) < text.size() && text[mark] != '@') {
        if (text[mark] == ':') colon = std::min(colon, mark);
        ++mark;
    }
    if (mark < text.size()) {
        user_ = part(at, std::min(colon, mark));
        if (colon < mark) password_ = part(colon + 1, mark);
        at = mark + 1;
    }
    host_ = take_host(text, marks, at);
    if (at < text.size() && text[at] == ':') {
        const std::size_t end = marks.next(at + 1);
        port_ = part(at + 1, end);
        at = end;
    }
    readable_ = !is_empty(host_) && (at == text.size() || text[at] == ';' || text[at] == '?');
    parameters_ = part(at, at == text.size() ? at : marks.next_of<'?'>(at));
}

Uri read_uri(std::string_view text) noexcept {
    Uri uri;
    const std::string_view whole = trim(text, 0, text.size());
    Marks& marks = uri.marks_;
    marks = Marks(whole);
    const std::size_t colon = marks.next(0);
    uri.scheme_ = scheme_of(whole, colon);
    if (uri.scheme_ == UriScheme::Unreadable) return uri;
    uri.colon_ = static_cast<std::uint32_t>(colon);
    if (uri.scheme_ == UriScheme::Sip || uri.scheme_ == UriScheme::Sips) {
        uri.read_sip();
    } else {
        std::size_t end = whole.size();
        if (uri.scheme_ == UriScheme::Tel) {
            end = marks.next_of<';'>(colon + 1);
            uri.user_ = part(colon + 1, end);
        }
        uri.readable_ = end > colon + 1;
        uri.parameters_ = part(end, whole.size());
    }
    return uri;
}

NameAddr read_name_addr(std::string_view value) noexcept {
    NameAddr result;
    Marks marks(value);
    std::size_t at = 0;
    // Whichever comes first outside of quotes, "<" or ";", says which form it is.
    while ((at = marks.next_of<'<', '"', ';', ','>(at)) < value.size() && value[at] == '"')
        at = marks.skip_quoted(at + 1);
    if (at < value.size() && value[at] == '<') {
        Part name = trimmed(value, 0, at);
        if (name.end - name.begin >= 2 && value[name.begin] == '"' && value[name.end - 1] == '"')
            name = {name.begin + 1, name.end - 1};
        result.name_ = name;
        result.is_bracketed_ = true;
        const std::size_t close = marks.next_of<'>'>(at + 1);
        if (close < value.size()) result.uri_ = trimmed(value, at + 1, close);
        at = std::min(close + 1, value.size());
    } else {
        result.uri_ = trimmed(value, 0, at);
    }
    result.parameters_at_ = static_cast<std::uint32_t>(at);
    result.marks_ = marks;
    return result;
}

/// sent-protocol (RFC 3261 §25.1): white space may stand around every part. False when unreadable.
bool Via::read_protocol(std::size_t& at) noexcept {
    constexpr std::string_view kUsual = "SIP/2.0/";
    const std::string_view value = this->value();
    if (value.size() > kUsual.size() &&
        std::memcmp(value.data(), kUsual.data(), kUsual.size()) == 0) {
        protocol_ = {0, 3};
        version_ = {4, 7};
        at = kUsual.size();
        return true;
    }
    const auto take_token = [&] {
        const std::size_t first = skip_space(value, at);
        at = skip(value, first, kToken);
        return part(first, at);
    };
    const auto take_slash = [&] {
        at = skip_space(value, at);
        return at < value.size() && value[at++] == '/';
    };
    protocol_ = take_token();
    if (is_empty(protocol_) || !take_slash()) return false;
    version_ = take_token();
    return !is_empty(version_) && take_slash();
}

/// sent-protocol LWS sent-by. False when unreadable; else `at` is where the parameters begin.
bool Via::read_sent(std::size_t& at) noexcept {
    Marks& marks = marks_;
    if (!read_protocol(at)) return false;
    const std::string_view value = this->value();
    const std::size_t first = skip_space(value, at);
    const std::size_t gap = marks.next(first);
    transport_ = part(first, gap);
    at = skip_space(value, gap);
    if (is_empty(transport_) || at == gap) return false;
    host_ = take_host(value, marks, at);
    at = skip_space(value, at);
    if (at < value.size() && value[at] == ':') {
        const std::size_t end = marks.next_of<';', ',', '<', '"'>(at + 1);
        port_ = part(at + 1, end);
        at = end;
    }
    return !is_empty(host_) && (at == value.size() || value[at] == ';' || value[at] == ',');
}

/// Of several with one name the first counts: of branch, the first that has a value.
void Via::take(const Parameter& parameter) noexcept {
    const std::string_view name = parameter.name;
    const auto keep = [&](Part& where, std::string_view value) {
        const auto begin = static_cast<std::size_t>(value.data() - this->value().data());
        if (parameter.has_value && !where.present()) where = part(begin, begin + value.size());
    };
    switch (parameter.name.size()) {
    case 3:
        if (is_word(name, "ttl")) keep(ttl_, parameter.value);
        break;
    case 5:
        if (is_word(name, "maddr")) keep(maddr_, parameter.value);
        if (is_word(name, "rport") && !has_rport_) {
            has_rport_ = true;
            keep(rport_, parameter.value);
        }
        break;
    case 6:
        if (is_word(name, "branch")) keep(branch_, token_of(parameter.value));
        break;
    case 8:
        if (is_word(name, "received")) keep(received_, parameter.value);
        break;
    default:
        break;
    }
}

Via read_via(std::string_view value) noexcept {
    Via via;
    via.marks_ = Marks(value);
    std::size_t at = 0;
    via.readable_ = via.read_sent(at);
    via.parameters_at_ = via.readable_ ? static_cast<std::uint32_t>(at) : 0;
    Parameters parameters = via.parameters();
    for (Parameter parameter; parameters.take(parameter);)
        via.take(parameter);
    return via;
}

DialogReference read_dialog_reference(std::string_view value) noexcept {
    DialogReference reference;
    const std::size_t end = find_any<';', ','>(value, 0); // a Call-ID may hold quotes and brackets
    reference.call_id = trim(value, 0, end);
    const Parameters parameters(Marks(value, end), end, value.size(), ParameterPlace::HeaderField);
    for (const Parameter& parameter : parameters) {
        const auto is = [&](std::string_view name) {
            return equals_ignoring_case(parameter.name, name);
        };
        if (is("to-tag") || is("local-tag")) {
            if (reference.local_tag.empty()) reference.local_tag = token_of(parameter.value);
        } else if (is("from-tag") || is("remote-tag")) {
            if (reference.remote_tag.empty()) reference.remote_tag = token_of(parameter.value);
        } else if (is("early-only")) {
            reference.early_only = true;
        }
    }
    return reference;
}

std::string_view take_list_value(std::string_view list, std::size_t& at) noexcept {
    const std::size_t first = at;
    if (first == 0 && find_any<','>(list, 0) == list.size()) { // as most are
        at = list.size() + 1;
        return trim(list, 0, list.size());
    }
    Marks marks(list, at);
    std::size_t end = at;
    while ((end = marks.next_of<',', '<', '"'>(end)) < list.size() && list[end] != ',')
        end = list[end] == '"' ? marks.skip_quoted(end + 1) : marks.skip_bracketed(end + 1);
    at = end + 1;
    return trim(list, first, end);
}

} // namespace viaduct
