// SPDX-License-Identifier: Apache-2.0
#include "sip/first_line.hpp"

#include "sip/text.hpp"
#include "sip/words.hpp"

#include <algorithm>

namespace viaduct {

using namespace sip_text;
using namespace sip_words;

namespace {

/// RFC 3261 §7.2: SIP-Version SP Status-Code SP Reason-Phrase.
bool read_status_line(std::string_view line, SipDigest& digest) noexcept {
    if (line.empty() || lower(line[0]) != 's') return false;
    std::size_t at = Blanks::find(line, 0);
    if (!is_sip_version(slice(line, 0, at))) return false;
    at = Blanks::skip(line, at);
    std::size_t end = at;
    unsigned status = 0;
    while (end < line.size() && is_digit(line[end]) && end - at < 4)
        status = status * 10 + static_cast<unsigned>(line[end++] - '0');
    if (end == at) return false;
    digest.kind = PayloadKind::Response;
    const bool whole = end - at == 3 && (end == line.size() || is_blank(line[end]));
    digest.status = whole && status >= 100 && status <= 699
                        ? static_cast<std::uint16_t>(status)
                        : std::uint16_t{0}; // unreadable; still a response
    return true;
}

/// The number of characters of a method that are checked; it must be a token.
constexpr std::size_t kMethodLookedAt = 64;

/// RFC 3261 §7.1: Method SP Request-URI SP SIP-Version. The content of the URI is not checked.
bool read_request_line(std::string_view line, SipDigest& digest) noexcept {
    const std::size_t method_end = Blanks::find(line, 0);
    if (method_end == 0 || method_end == line.size()) return false;
    for (std::size_t i = 0; i < std::min(method_end, kMethodLookedAt); ++i)
        if (!is_in(kToken, line[i])) return false;
    const std::size_t version = Blanks::after_last(line);
    if (!is_sip_version(slice(line, version, line.size()))) return false;
    if (trim(line, method_end, version).empty()) return false;
    digest.kind = PayloadKind::Request;
    digest.method = method_named(slice(line, 0, method_end));
    return true;
}

/// Reads the first line of nearly every message: known method or three digits, single blanks,
/// SIP/2.0 and CR LF in capitals. False: use the full readers.
bool read_usual_first_line(std::string_view text,
                           std::size_t line_feed,
                           SipDigest& digest) noexcept {
    constexpr std::size_t kShortest = 13; // "SIP/2.0 200" and the line end
    if (line_feed < kShortest) return false;
    const std::uint64_t start = word_at(text, 0);
    if (start == word_of("SIP/2.0 ")) {
        const auto digit = [&](std::size_t at) {
            return static_cast<unsigned>(static_cast<std::uint8_t>(text[at])) - '0';
        };
        const unsigned hundreds = digit(8);
        if (hundreds - 1 > 5 || digit(9) > 9 || digit(10) > 9 || !is_blank(text[11])) return false;
        digest.kind = PayloadKind::Response;
        digest.status = static_cast<std::uint16_t>(hundreds * 100 + digit(9) * 10 + digit(10));
        return true;
    }
    const Letters name(text, 0);
    const Method method = kShortMethods.find(name.word);
    const std::size_t version = line_feed - 8;
    if (method == Method::Other || name.after != ' ' ||
        word_at(text, version) != word_of("SIP/2.0\r"))
        return false;
    // A URI of at least one character, with one blank before it.
    if (name.count + 2 >= version || is_space(text[name.count + 1]) || text[version - 1] != ' ')
        return false;
    digest.kind = PayloadKind::Request;
    digest.method = method;
    return true;
}

/// The kind of a payload that is not SIP (RFC 5626 §3.5.1, §4.4.1; RFC 5389 §6).
PayloadKind kind_of_other(std::string_view payload) noexcept {
    if (LineBreaks::skip(payload, 0) == payload.size() || Zeros::skip(payload, 0) == payload.size())
        return PayloadKind::KeepAlive;
    constexpr std::size_t kStunHeader = 20;
    constexpr std::string_view kMagicCookie("\x21\x12\xa4\x42", 4);
    if (payload.size() >= kStunHeader && (payload[0] & 0xc0) == 0 &&
        slice(payload, 4, 8) == kMagicCookie)
        return PayloadKind::Stun;
    return PayloadKind::NotSip;
}

} // namespace

bool read_first_line(std::string_view whole,
                     std::string_view text,
                     std::size_t line_feed,
                     SipDigest& digest) noexcept {
    if (read_usual_first_line(text, line_feed, digest)) return true;
    const std::string_view first_line = trim(text, 0, line_feed);
    if (read_status_line(first_line, digest) || read_request_line(first_line, digest)) return true;
    digest.kind = kind_of_other(whole);
    return digest.kind == PayloadKind::NotSip;
}

} // namespace viaduct
