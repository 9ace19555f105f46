// SPDX-License-Identifier: Apache-2.0
#include "viaduct/sip_value.hpp"

#include "sip_text.hpp"

#include <algorithm>

namespace viaduct {

using namespace sip_text;

namespace {

/// `at` stands behind the opening quote; the answer is behind the closing one, or the end.
std::size_t skip_quoted(std::string_view text, std::size_t at) noexcept {
    while ((at = find_any<'"', '\\'>(text, at)) < text.size()) {
        if (text[at] == '"') return at + 1;
        at += 2; // quoted-pair (RFC 3261 §25.1)
    }
    return text.size();
}

/// `at` stands behind "<"; the answer is behind ">", or the end.
std::size_t skip_bracketed(std::string_view text, std::size_t at) noexcept {
    return std::min(find_any<'>'>(text, at) + 1, text.size());
}

/// Up to where a token would end, whatever it is made of: read_digest() reads tags so.
std::string_view token_of(std::string_view value) noexcept {
    return slice(value, 0, find_any<' ', '\t', '\r', '\n', ';', ','>(value, 0));
}

Number read_port(std::string_view text) noexcept {
    Number port = read_number(text);
    if (port.value > 65'535) port = {Reading::Unreadable, 0};
    return port;
}

/// The host that stands at `at`; `at` moves behind it.
Host take_host(std::string_view text, std::size_t& at) noexcept {
    if (at < text.size() && text[at] == '[') { // IPv6reference
        const std::size_t end = skip(text, at + 1, kIpv6);
        if (end == text.size() || text[end] != ']' || end == at + 1) return {};
        const std::string_view inside = slice(text, at + 1, end);
        at = end + 1;
        return {HostKind::Ipv6, inside, {}};
    }
    const std::size_t end = skip(text, at, kHostName);
    const std::string_view name = slice(text, at, end);
    at = end;
    if (name.empty()) return {};
    if (is_digit(name[0]))
        if (const auto address = parse_ipv4(name)) return {HostKind::Ipv4, name, *address};
    return {HostKind::Name, name, {}};
}

} // namespace

Number read_number(std::string_view text) noexcept {
    constexpr std::uint64_t kMost = 0xffff'ffffU;
    std::size_t at = skip_space(text, 0);
    const std::size_t first = at;
    std::uint64_t value = 0;
    for (; at < text.size() && is_digit(text[at]); ++at)
        value = std::min(value * 10 + static_cast<unsigned>(text[at] - '0'), kMost);
    if (at == first || skip_space(text, at) != text.size()) return {Reading::Unreadable, 0};
    return {Reading::Value, static_cast<std::uint32_t>(value)};
}

void Parameters::Iterator::advance() noexcept {
    found_ = false;
    if (place_ == ParameterPlace::Uri) return advance_in_uri();
    while ((at_ = find_any<'"', '<', ',', ';'>(text_, at_)) < text_.size()) {
        switch (text_[at_++]) {
        case '"':
            at_ = skip_quoted(text_, at_);
            break;
        case '<':
            at_ = skip_bracketed(text_, at_);
            break;
        case ',': // the next value of the list begins
            at_ = text_.size();
            return;
        default:
            found_ = true;
            return read_value();
        }
    }
}

/// `at_` stands behind the ";".
void Parameters::Iterator::read_value() noexcept {
    const std::size_t first = skip_space(text_, at_);
    at_ = skip(text_, first, kToken);
    parameter_ = {slice(text_, first, at_), false, {}};
    const std::size_t equal = skip_space(text_, at_);
    if (equal >= text_.size() || text_[equal] != '=') return;
    const std::size_t begin = skip_space(text_, equal + 1);
    std::size_t end = begin;
    if (begin < text_.size() && text_[begin] == '"') {
        at_ = end = skip_quoted(text_, begin + 1);
    } else {
        at_ = end = find_any<' ', '\t', '\r', '\n', ';', ',', '"', '<'>(text_, begin);
        if (end < text_.size() && (text_[end] == '"' || text_[end] == '<'))
            end = find_any<' ', '\t', '\r', '\n', ';', ','>(text_, end); // they hide what follows
    }
    parameter_.has_value = true;
    parameter_.value = slice(text_, begin, end);
}

void Parameters::Iterator::advance_in_uri() noexcept {
    at_ = find_any<';'>(text_, at_);
    if (at_ >= text_.size()) return;
    const std::size_t first = at_ + 1;
    const std::size_t name_end = find_any<'=', ';'>(text_, first);
    found_ = true;
    at_ = name_end;
    parameter_ = {slice(text_, first, name_end), false, {}};
    if (name_end == text_.size() || text_[name_end] == ';') return;
    at_ = find_any<';'>(text_, name_end + 1);
    parameter_.has_value = true;
    parameter_.value = slice(text_, name_end + 1, at_);
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
    std::size_t at = 0;
    const Host host = take_host(whole, at);
    if (at == whole.size()) return host;
    if (skip(whole, 0, kIpv6) == whole.size()) return {HostKind::Ipv6, whole, {}};
    return {};
}

namespace {

UriScheme scheme_named(std::string_view name) noexcept {
    if (equals_ignoring_case(name, "sip")) return UriScheme::Sip;
    if (equals_ignoring_case(name, "sips")) return UriScheme::Sips;
    if (equals_ignoring_case(name, "tel")) return UriScheme::Tel;
    return UriScheme::Other;
}

/// userinfo is all before an "@", which nothing else may contain; it may well hold ";" and "?"
/// (RFC 3261 §25.1, user-unreserved).
void read_sip_rest(std::string_view rest, Uri& uri) noexcept {
    std::size_t at = 0;
    if (const std::size_t mark = find_any<'@'>(rest, 0); mark < rest.size()) {
        const std::size_t colon = std::min(find_any<':'>(slice(rest, 0, mark), 0), mark);
        uri.user = slice(rest, 0, colon);
        if (colon < mark) uri.password = slice(rest, colon + 1, mark);
        at = mark + 1;
    }
    uri.host = take_host(rest, at);
    const std::size_t tail = find_any<';', '?'>(rest, at);
    if (at < tail) { // behind the host only a port may stand
        if (rest[at] == ':')
            uri.port = read_port(slice(rest, at + 1, tail));
        else
            uri.host = {};
    }
    const std::size_t question = find_any<'?'>(rest, tail);
    uri.parameters = {slice(rest, 0, question), tail, ParameterPlace::Uri};
    if (question < rest.size()) uri.headers = slice(rest, question + 1, rest.size());
}

} // namespace

Uri read_uri(std::string_view text) noexcept {
    const std::string_view whole = trim(text, 0, text.size());
    static constexpr CharSet kScheme = make_set("+-.", true);
    const std::size_t colon = skip(whole, 0, kScheme);
    Uri uri;
    if (colon == 0 || colon == whole.size() || whole[colon] != ':' || is_digit(whole[0]))
        return uri;
    uri.scheme_text = slice(whole, 0, colon);
    uri.scheme = scheme_named(uri.scheme_text);
    uri.rest = slice(whole, colon + 1, whole.size());
    switch (uri.scheme) {
    case UriScheme::Sip:
    case UriScheme::Sips:
        read_sip_rest(uri.rest, uri);
        break;
    case UriScheme::Tel: {
        const std::size_t end = find_any<';'>(uri.rest, 0);
        uri.user = slice(uri.rest, 0, end);
        uri.parameters = {uri.rest, end, ParameterPlace::Uri};
        break;
    }
    case UriScheme::Unreadable:
    case UriScheme::Other:
        break;
    }
    return uri;
}

NameAddr read_name_addr(std::string_view value) noexcept {
    NameAddr result;
    std::size_t at = 0;
    // Whichever comes first outside of quotes, "<" or ";", says which form it is.
    while ((at = find_any<'"', '<', ',', ';'>(value, at)) < value.size() && value[at] == '"')
        at = skip_quoted(value, at + 1);
    if (at < value.size() && value[at] == '<') {
        std::string_view name = trim(value, 0, at);
        if (name.size() >= 2 && name.front() == '"' && name.back() == '"')
            name = slice(name, 1, name.size() - 1);
        result.display_name = name;
        result.is_bracketed = true;
        const std::size_t close = find_any<'>'>(value, at + 1);
        if (close < value.size()) result.uri = trim(value, at + 1, close);
        at = std::min(close + 1, value.size());
    } else {
        result.uri = trim(value, 0, at);
        result.is_star = result.uri == "*";
    }
    result.parameters = {value, at, ParameterPlace::HeaderField};
    return result;
}

namespace {

/// sent-protocol LWS sent-by (RFC 3261 §20.42, §25.1): white space may stand around every part.
/// False when unreadable; else `at` is where the parameters begin.
bool read_sent(std::string_view value, std::size_t& at, Via& via) noexcept {
    const auto take_token = [&] {
        const std::size_t first = skip_space(value, at);
        at = skip(value, first, kToken);
        return slice(value, first, at);
    };
    const auto take_slash = [&] {
        at = skip_space(value, at);
        return at < value.size() && value[at++] == '/';
    };
    via.protocol = take_token();
    if (!take_slash()) return false;
    via.version = take_token();
    if (!take_slash()) return false;
    via.transport = take_token();
    const std::size_t gap = at;
    at = skip_space(value, at);
    if (via.protocol.empty() || via.version.empty() || via.transport.empty() || at == gap)
        return false;
    via.host = take_host(value, at);
    at = skip_space(value, at);
    if (at < value.size() && value[at] == ':') {
        const std::size_t end = find_any<';', ','>(value, at + 1);
        via.port = read_port(slice(value, at + 1, end));
        at = end;
    }
    return via.host.kind != HostKind::Unreadable && via.port.reading != Reading::Unreadable &&
           (at == value.size() || value[at] == ';' || value[at] == ',');
}

void take_via_parameter(const Parameter& parameter, Via& via) noexcept {
    const auto is = [&](std::string_view name) {
        return equals_ignoring_case(parameter.name, name);
    };
    switch (parameter.name.size()) {
    case 3:
        if (is("ttl") && via.ttl.reading == Reading::Absent) via.ttl = read_number(parameter.value);
        break;
    case 5:
        if (is("maddr")) {
            if (via.maddr.empty()) via.maddr = parameter.value;
        } else if (is("rport") && !via.has_rport) {
            via.has_rport = true;
            if (parameter.has_value) via.rport = read_port(parameter.value);
        }
        break;
    case 6: // no value and an empty one are told apart by where the view points
        if (parameter.has_value && via.branch.data() == nullptr && is("branch"))
            via.branch = token_of(parameter.value);
        break;
    case 8:
        if (via.received.empty() && is("received")) via.received = parameter.value;
        break;
    default:
        break;
    }
}

} // namespace

Via read_via(std::string_view value) noexcept {
    Via via;
    std::size_t at = 0;
    via.readable = read_sent(value, at, via);
    via.parameters = {value, via.readable ? at : 0, ParameterPlace::HeaderField};
    for (const Parameter& parameter : via.parameters)
        take_via_parameter(parameter, via);
    return via;
}

DialogReference read_dialog_reference(std::string_view value) noexcept {
    DialogReference reference;
    const std::size_t end = find_any<';', ','>(value, 0); // a Call-ID may hold quotes and brackets
    reference.call_id = trim(value, 0, end);
    for (const Parameter& parameter : Parameters(value, end, ParameterPlace::HeaderField)) {
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
    std::size_t end = at;
    while ((end = find_any<'"', '<', ','>(list, end)) < list.size() && list[end] != ',')
        end = list[end] == '"' ? skip_quoted(list, end + 1) : skip_bracketed(list, end + 1);
    at = end + 1;
    return trim(list, first, end);
}

} // namespace viaduct
