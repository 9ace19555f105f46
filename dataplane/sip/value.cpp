// SPDX-License-Identifier: Apache-2.0
#include "viaduct/sip/value.hpp"

#include "sip/scan.hpp"
#include "sip/text.hpp"

#include <algorithm>

namespace viaduct {

using namespace sip_text;

namespace {

constexpr Part part(std::size_t begin, std::size_t end) noexcept {
    return {static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end)};
}

/// trim(), as a Part.
inline Part trimmed(std::string_view text, std::size_t begin, std::size_t end) noexcept {
    if (end > begin && text[end - 1] == ' ') --end; // as before "<"
    const std::string_view inside = trim(text, begin, end);
    const auto from = static_cast<std::size_t>(inside.data() - text.data());
    return part(from, from + inside.size());
}

/// Reads the host at `at`, and moves `at` after it.
inline Part take_host(std::string_view text, Marks& marks, std::size_t& at) noexcept {
    const std::size_t first = at;
    if (first < text.size() && text[first] == '[') [[unlikely]] { // IPv6reference
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

Marks::Block Marks::look_at(std::string_view text, std::size_t at) noexcept {
    const PartMarks marks = best_scan_ops.parts(text.data() + at, text.size() - at);
    return {marks.all, marks.outer};
}

inline std::size_t Marks::skip_quoted(std::size_t at) noexcept {
    while ((at = next_of<'"', '\\'>(at)) < text_.size()) {
        if (text_[at] == '"') return at + 1;
        at += 2; // quoted-pair (RFC 3261 §25.1)
    }
    return text_.size();
}

inline std::size_t Marks::skip_bracketed(std::size_t at) noexcept {
    return std::min(next_of<'>'>(at) + 1, text_.size());
}

namespace {

/// Reads nearly every number: up to nine digits and nothing else; else Unreadable.
inline Number read_usual_number(std::string_view text) noexcept {
    if (text.size() - 1 >= 9) return {Reading::Unreadable, 0};
    std::uint32_t value = 0;
    for (const char c : text) {
        const auto digit = static_cast<unsigned>(static_cast<unsigned char>(c)) - '0';
        if (digit > 9) return {Reading::Unreadable, 0};
        value = value * 10 + digit;
    }
    return {Reading::Value, value};
}

} // namespace

Number read_number(std::string_view text) noexcept {
    const Number usual = read_usual_number(text);
    if (usual.has_value()) [[likely]]
        return usual;
    constexpr std::uint64_t kMost = 0xffff'ffffU;
    std::size_t at = skip_space(text, 0);
    const std::size_t first = at;
    std::uint64_t value = 0;
    for (; at < text.size() && is_digit(text[at]); ++at)
        value = std::min(value * 10 + static_cast<unsigned>(text[at] - '0'), kMost);
    if (at == first || skip_space(text, at) != text.size()) return {Reading::Unreadable, 0};
    return {Reading::Value, static_cast<std::uint32_t>(value)};
}

Number read_port(std::string_view text) noexcept {
    const Number port = read_number(text);
    return port.value > 65'535 ? Number{Reading::Unreadable, 0} : port;
}

namespace {

/// Reads the header parameter after the ";" at `at`; returns where the next may start.
inline std::size_t read_parameter(Marks& marks, std::size_t at, Parameter& parameter) noexcept {
    const std::string_view text = marks.text();
    const std::size_t first = skip_space(text, at + 1);
    at = marks.next(first);
    parameter = {slice(text, first, at), false, {}};
    if (at == first) [[unlikely]] // empty: directly following empty ones count as the same
        while (at + 1 < text.size() && text[at] == ';' && text[at + 1] == ';')
            ++at;
    const std::size_t equal = skip_space(text, at);
    if (equal >= text.size() || text[equal] != '=') return at;
    const std::size_t begin = skip_space(text, equal + 1);
    parameter.has_value = true;
    std::size_t end = marks.next(begin);
    if (end < text.size() && text[end] != ';') [[unlikely]] {
        at = text[begin] == '"' ? marks.skip_quoted(begin + 1)
                                : marks.next_of<';', ' ', '\t', '\r', '\n', ',', '"', '<'>(begin);
        end = at;
        if (end < text.size() && text[end] != ';') // quotes hide the text in them, but end no value
            end = marks.next_of<' ', '\t', '\r', '\n', ';', ','>(end);
        parameter.value = slice(text, begin, end);
        return at;
    }
    parameter.value = slice(text, begin, end);
    return end;
}

/// The position of the next parameter's ";" from `at` on; the size when there is none.
inline std::size_t find_parameter(Marks& marks, std::size_t at) noexcept {
    const std::string_view text = marks.text();
    while (at < text.size() && text[at] != ';') {
        at = marks.next_outer(at);
        if (at >= text.size() || text[at] == ';') break;
        const char mark = text[at++];
        if (mark == '"') at = marks.skip_quoted(at);
        if (mark == '<') at = marks.skip_bracketed(at);
        if (mark == ',') return text.size(); // the next value of the list starts
    }
    return at;
}

} // namespace

inline bool Parameters::take_in_uri(Parameter& parameter) noexcept {
    const std::string_view text = slice(marks_.text(), 0, end_);
    if (text[at_] != ';') [[unlikely]]
        at_ = marks_.next_of<';'>(at_);
    if (at_ >= end_) return false;
    const std::size_t first = at_ + 1;
    at_ = std::min(marks_.next_of<'=', ';'>(first), end_);
    parameter = {slice(text, first, at_), false, {}};
    if (at_ == first) [[unlikely]]
        while (at_ + 1 < end_ && text[at_] == ';' && text[at_ + 1] == ';')
            ++at_;
    if (at_ == end_ || text[at_] == ';') return true;
    const std::size_t begin = at_ + 1;
    at_ = std::min(marks_.next_of<';'>(begin), end_);
    parameter.has_value = true;
    parameter.value = slice(text, begin, at_);
    return true;
}

bool Parameters::take_next(Parameter& parameter) noexcept {
    if (place_ == ParameterPlace::Uri) return take_in_uri(parameter);
    at_ = find_parameter(marks_, at_);
    if (at_ >= end_) return false;
    at_ = read_parameter(marks_, at_, parameter);
    return true;
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
    const std::size_t colon = Run<':'>::find(inside, 0);
    const bool is_ipv6 = colon < inside.size() && // at least two
                         Run<':'>::find(inside, colon + 1) < inside.size() &&
                         skip(inside, 0, kIpv6) == inside.size();
    if (bracketed || is_ipv6) return is_ipv6 ? Host{inside, true} : Host{};
    Marks marks(whole);
    const bool odd = whole.empty() || whole[0] == '[' || marks.next(0) != whole.size();
    return odd ? Host{} : Host{whole, false};
}

namespace {

/// `text[colon]` is the first mark; the text before it is the scheme if that is a colon.
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

/// Reads the text after "sip:". userinfo is all before an "@", which no other part may contain; it
/// may contain ";" and "?" (RFC 3261 §25.1, user-unreserved).
inline void Uri::read_sip(Marks& marks, std::size_t at) noexcept {
    const std::string_view text = marks.text();
    std::size_t mark = marks.next(at);
    if (mark < text.size() && text[mark] == '@') { // a user without a password, as usual
        user_ = part(at, mark);
        at = mark + 1;
    } else {
        std::size_t colon = text.size(); // the first before the "@"
        while (mark < text.size() && text[mark] != '@') {
            if (text[mark] == ':') colon = std::min(colon, mark);
            mark = marks.next(mark + 1);
        }
        if (mark < text.size()) {
            user_ = part(at, std::min(colon, mark));
            if (colon < mark) password_ = part(colon + 1, mark);
            at = mark + 1;
        }
    }
    host_ = take_host(text, marks, at);
    if (at < text.size() && text[at] == ':') {
        const std::size_t end = marks.next(at + 1);
        port_ = part(at + 1, end);
        at = end;
    }
    readable_ = !is_empty(host_);
    std::size_t end = at;
    if (at < text.size()) {
        readable_ = readable_ && (text[at] == ';' || text[at] == '?');
        end = marks.next_of<'?'>(at);
    }
    parameters_ = part(at, end);
}

/// Any scheme but sip.
[[gnu::noinline]] void Uri::read_other(std::string_view text) noexcept {
    Marks marks(text);
    const std::size_t colon = marks.next(0);
    scheme_ = scheme_of(text, colon);
    if (scheme_ != UriScheme::Unreadable) colon_ = static_cast<std::uint32_t>(colon);
    if (scheme_ == UriScheme::Sip || scheme_ == UriScheme::Sips) {
        read_sip(marks, colon + 1);
    } else if (scheme_ != UriScheme::Unreadable) {
        std::size_t end = text.size();
        if (scheme_ == UriScheme::Tel) {
            end = marks.next_of<';'>(colon + 1);
            user_ = part(colon + 1, end);
        }
        readable_ = end > colon + 1;
        parameters_ = part(end, text.size());
    }
    marks_ = marks;
}

inline void Uri::read(std::string_view text) noexcept {
    if (text.size() <= 4 || text[3] != ':' || !is_word(slice(text, 0, 3), "sip")) [[unlikely]]
        return read_other(text);
    Marks marks(text);
    scheme_ = UriScheme::Sip;
    colon_ = 3;
    read_sip(marks, 4);
    marks_ = marks;
}

Uri read_uri(std::string_view text) noexcept {
    Uri uri;
    if (!text.empty()) uri.read(trim(text, 0, text.size()));
    return uri;
}

NameAddr read_name_addr(std::string_view value) noexcept {
    NameAddr result;
    if (value.empty()) return result;
    Marks marks(value);
    std::size_t at = marks.next_outer(0);
    // The first of "<" and ";" outside of quotes determines the form.
    while (at < value.size() && value[at] != '<' && value[at] != ';' && value[at] != ',')
        at = marks.next_outer(value[at] == '"' ? marks.skip_quoted(at + 1) : at + 1);
    if (at < value.size() && value[at] == '<') [[likely]] {
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

constexpr std::size_t kUnreadable = ~std::size_t{0};

/// Reads sent-protocol (RFC 3261 §25.1): white space may surround every part. Returns its end, or
/// kUnreadable.
[[gnu::noinline]] std::size_t Via::read_protocol(std::string_view value) noexcept {
    std::size_t at = 0;
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
    if (is_empty(protocol_) || !take_slash()) return kUnreadable;
    version_ = take_token();
    return !is_empty(version_) && take_slash() ? at : kUnreadable;
}

/// Reads sent-protocol LWS sent-by. Returns where the parameters start, or kUnreadable.
inline std::size_t Via::read_sent(Marks& marks) noexcept {
    constexpr std::string_view kUsual = "SIP/2.0/";
    const std::string_view value = marks.text();
    std::size_t at = kUsual.size();
    if (value.size() > kUsual.size() &&
        std::memcmp(value.data(), kUsual.data(), kUsual.size()) == 0) [[likely]] {
        protocol_ = {0, 3};
        version_ = {4, 7};
    } else if ((at = read_protocol(value)) == kUnreadable) {
        return kUnreadable;
    }
    const std::size_t first = skip_space(value, at);
    const std::size_t gap = marks.next(first);
    transport_ = part(first, gap);
    at = gap;
    if (at < value.size() && is_space(value[at])) at = skip_space(value, at + 1);
    if (first == gap || at == gap) return kUnreadable;
    host_ = take_host(value, marks, at);
    const bool has_host = !is_empty(host_);
    at = skip_space(value, at);
    if (at < value.size() && value[at] == ':') {
        const std::size_t end = marks.next_of<';', ',', '<', '"'>(at + 1);
        port_ = part(at + 1, end);
        at = end;
    }
    if (has_host && (at == value.size() || value[at] == ';' || value[at] == ',')) return at;
    return kUnreadable;
}

/// With several of one name the first counts; for branch, the first that has a value.
inline void Via::take(std::string_view value, const Parameter& parameter) noexcept {
    const std::string_view name = parameter.name;
    const auto keep = [&](Part& where, std::string_view text) {
        const auto begin = static_cast<std::size_t>(text.data() - value.data());
        if (parameter.has_value && !where.present()) where = part(begin, begin + text.size());
    };
    switch (name.size()) {
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

inline void Via::read(std::string_view value) noexcept {
    Marks marks(value);
    std::size_t at = read_sent(marks);
    readable_ = at != kUnreadable;
    if (!readable_) at = 0;
    parameters_at_ = static_cast<std::uint32_t>(at);
    marks_ = marks;
    while ((at = find_parameter(marks, at)) < value.size()) {
        Parameter parameter;
        at = read_parameter(marks, at, parameter);
        take(value, parameter);
    }
}

Via read_via(std::string_view value) noexcept {
    Via via;
    if (!value.empty()) via.read(value);
    return via;
}

DialogReference read_dialog_reference(std::string_view value) noexcept {
    DialogReference reference;
    const std::size_t end = Run<';', ','>::find(value, 0); // a Call-ID may have quotes and brackets
    reference.call_id = trim(value, 0, end);
    const Parameters parameters(Marks(value, end), end, value.size(), ParameterPlace::HeaderField);
    for (const Parameter& parameter : parameters) {
        if (parameter.name.size() < 6) continue;
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

bool may_be_list(std::string_view value) noexcept {
    return best_scan_ops.has_comma(value.data(), value.size());
}

std::string_view take_list_value(Marks& list, std::size_t& at) noexcept {
    const std::string_view text = list.text();
    const std::size_t first = at;
    std::size_t end = at;
    while ((end = list.next_of<',', '<', '"'>(end)) < text.size() && text[end] != ',')
        end = text[end] == '"' ? list.skip_quoted(end + 1) : list.skip_bracketed(end + 1);
    const std::size_t begin = first < end && text[first] == ' ' ? first + 1 : first;
    const std::string_view value = trim(text, begin, end);
    if (value.empty()) [[unlikely]] // directly following empty ones count as the same
        for (std::size_t i = end; i < text.size() && (text[i] == ',' || is_space(text[i])); ++i)
            if (text[i] == ',') end = i;
    const bool only_blanks_left = value.empty() && skip_space(text, end + 1) >= text.size();
    at = only_blanks_left ? text.size() + 1 : end + 1;
    return value;
}

std::string_view take_list_value(std::string_view list, std::size_t& at) noexcept {
    Marks marks(list, at);
    return take_list_value(marks, at);
}

} // namespace viaduct
