// SPDX-License-Identifier: Apache-2.0
#include "viaduct/message.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace viaduct {

namespace {

/// Gives the positions of line feeds one after the other, 64 bytes at a time.
class LineFeeds {
public:
    explicit LineFeeds(std::string_view text) noexcept : text_(text) { load(); }

    /// The first line feed not given yet, or the text's size when there is none left.
    [[nodiscard]] std::size_t next() noexcept {
        while (mask_ == 0) {
            base_ += kBlock;
            if (base_ >= text_.size()) return text_.size();
            load();
        }
        const auto bit = static_cast<std::size_t>(std::countr_zero(mask_));
        mask_ &= mask_ - 1;
        return base_ + bit;
    }

private:
    static constexpr std::size_t kBlock = 64;

    void load() noexcept {
        const std::size_t left = text_.size() - base_;
        if (left >= kBlock) {
            mask_ = scan(text_.data() + base_);
        } else { // the last bytes: nothing behind the text may be read
            std::array<char, kBlock> block{};
            if (left > 0) std::memcpy(block.data(), text_.data() + base_, left);
            mask_ = scan(block.data());
        }
    }

    static std::uint64_t scan(const char* block) noexcept {
        std::uint64_t mask = 0;
#if defined(__SSE2__)
        const __m128i line_feed = _mm_set1_epi8('\n');
        for (std::size_t part = 0; part < 4; ++part) {
            const __m128i bytes =
                _mm_loadu_si128(reinterpret_cast<const __m128i*>(block + 16 * part));
            const auto bits =
                static_cast<std::uint32_t>(_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, line_feed)));
            mask |= std::uint64_t{bits} << (16 * part);
        }
#else
        for (std::size_t i = 0; i < kBlock; ++i)
            mask |= std::uint64_t{block[i] == '\n'} << i;
#endif
        return mask;
    }

    std::string_view text_;
    std::size_t base_ = 0;
    std::uint64_t mask_ = 0;
};

constexpr bool is_blank(char c) noexcept {
    return c == ' ' || c == '\t';
}
constexpr bool is_space(char c) noexcept {
    return is_blank(c) || c == '\r' || c == '\n';
}
constexpr bool is_digit(char c) noexcept {
    return c >= '0' && c <= '9';
}
constexpr char lower(char c) noexcept {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
}

/// token of RFC 3261 §25.1: what methods, parameter names and tags are made of.
constexpr auto kTokenChars = [] {
    std::array<bool, 256> table{};
    for (char c = '0'; c <= '9'; ++c)
        table[static_cast<std::uint8_t>(c)] = true;
    for (char c = 'a'; c <= 'z'; ++c)
        table[static_cast<std::uint8_t>(c)] = true;
    for (char c = 'A'; c <= 'Z'; ++c)
        table[static_cast<std::uint8_t>(c)] = true;
    for (const char c : std::string_view("-.!%*_+`'~"))
        table[static_cast<std::uint8_t>(c)] = true;
    return table;
}();
constexpr bool is_token(char c) noexcept {
    return kTokenChars[static_cast<std::uint8_t>(c)];
}

constexpr auto make_set(std::string_view chars) noexcept {
    std::array<bool, 256> table{};
    for (const char c : chars)
        table[static_cast<std::uint8_t>(c)] = true;
    return table;
}
constexpr auto kParameterMarks = make_set("\"<,;");         ///< what find_parameter() stops at
constexpr auto kParameterValueEnds = make_set(" \t\r\n;,"); ///< what ends a parameter's value

/// Where the first character of the set stands from `at` on; the size when there is none.
constexpr std::size_t
find_any(std::string_view text, std::size_t at, const std::array<bool, 256>& set) noexcept {
    while (at < text.size() && !set[static_cast<std::uint8_t>(text[at])])
        ++at;
    return at;
}

/// Without `remove_prefix` and `substr`: the latter may throw, and the core has no exceptions.
constexpr std::string_view slice(std::string_view text, std::size_t from, std::size_t to) noexcept {
    return {text.data() + from, to - from};
}

constexpr std::string_view trim(std::string_view text) noexcept {
    std::size_t first = 0;
    std::size_t last = text.size();
    while (first < last && is_space(text[first]))
        ++first;
    while (last > first && is_space(text[last - 1]))
        --last;
    return slice(text, first, last);
}

/// `name` is lower case already.
constexpr bool equals_ignoring_case(std::string_view text, std::string_view name) noexcept {
    if (text.size() != name.size()) return false;
    for (std::size_t i = 0; i < text.size(); ++i)
        if (lower(text[i]) != name[i]) return false;
    return true;
}

/// Case matters in methods (RFC 3261 §7.1).
Method read_method(std::string_view name) noexcept {
    struct Row {
        std::string_view name;
        Method method;
    };
    static constexpr std::array<Row, 14> kMethods{{
        {"INVITE", Method::Invite},
        {"ACK", Method::Ack},
        {"BYE", Method::Bye},
        {"CANCEL", Method::Cancel},
        {"REGISTER", Method::Register},
        {"OPTIONS", Method::Options},
        {"PRACK", Method::Prack},
        {"SUBSCRIBE", Method::Subscribe},
        {"NOTIFY", Method::Notify},
        {"PUBLISH", Method::Publish},
        {"INFO", Method::Info},
        {"REFER", Method::Refer},
        {"MESSAGE", Method::Message},
        {"UPDATE", Method::Update},
    }};
    for (const Row& row : kMethods)
        if (row.name == name) return row.method;
    return Method::Other;
}

/// "SIP/2.0", any letter case and version: which versions to refuse is the backend's business.
bool is_sip_version(std::string_view text) noexcept {
    return text.size() > 4 && equals_ignoring_case(slice(text, 0, 4), "sip/") && is_digit(text[4]);
}

/// RFC 3261 §7.2: SIP-Version SP Status-Code SP Reason-Phrase.
bool read_status_line(std::string_view line, SipDigest& digest) noexcept {
    if (line.empty() || lower(line[0]) != 's') return false;
    std::size_t at = 0;
    while (at < line.size() && !is_blank(line[at]))
        ++at;
    if (!is_sip_version(slice(line, 0, at))) return false;
    while (at < line.size() && is_blank(line[at]))
        ++at;
    std::size_t end = at;
    unsigned status = 0;
    while (end < line.size() && is_digit(line[end]) && end - at < 4)
        status = status * 10 + static_cast<unsigned>(line[end++] - '0');
    if (end == at) return false;
    digest.kind = PayloadKind::Response;
    digest.status = end - at == 3 && status >= 100 && status <= 699
                        ? static_cast<std::uint16_t>(status)
                        : std::uint16_t{0}; // unreadable; still a response
    return true;
}

/// RFC 3261 §7.1: Method SP Request-URI SP SIP-Version. What the URI holds is not looked at.
bool read_request_line(std::string_view line, SipDigest& digest) noexcept {
    std::size_t method_end = 0;
    while (method_end < line.size() && is_token(line[method_end]))
        ++method_end;
    if (method_end == 0 || method_end == line.size() || !is_blank(line[method_end])) return false;
    std::size_t version = line.size();
    while (version > 0 && !is_blank(line[version - 1]))
        --version;
    if (!is_sip_version(slice(line, version, line.size()))) return false;
    if (trim(slice(line, method_end, version)).empty()) return false;
    digest.kind = PayloadKind::Request;
    digest.method = read_method(slice(line, 0, method_end));
    return true;
}

/// The value of a header parameter such as ";tag=" in the first value of a header field. Quoted
/// strings and <URIs> are passed over; the search ends at a comma outside of them (RFC 3261
/// §7.3.1).
std::string_view find_parameter(std::string_view value, std::string_view name) noexcept {
    std::size_t at = 0;
    const auto skip_space = [&] {
        while (at < value.size() && is_space(value[at]))
            ++at;
    };
    while ((at = find_any(value, at, kParameterMarks)) < value.size()) {
        const char mark = value[at++];
        if (mark == ',') break;
        if (mark == '"') {
            while (at < value.size() && value[at] != '"')
                at += value[at] == '\\' ? 2 : 1;
            ++at;
        } else if (mark == '<') {
            while (at < value.size() && value[at] != '>')
                ++at;
        } else {
            skip_space();
            const std::size_t first = at;
            while (at < value.size() && is_token(value[at]))
                ++at;
            const bool wanted = equals_ignoring_case(slice(value, first, at), name);
            skip_space();
            if (!wanted || at == value.size() || value[at] != '=') continue;
            ++at;
            skip_space();
            return slice(value, at, find_any(value, at, kParameterValueEnds));
        }
    }
    return {};
}

/// RFC 3261 §20.16: 1*DIGIT LWS Method.
std::optional<CSeq> read_cseq(std::string_view value) noexcept {
    std::size_t at = 0;
    std::uint64_t number = 0;
    while (at < value.size() && is_digit(value[at])) {
        number = std::min<std::uint64_t>(number * 10 + static_cast<unsigned>(value[at] - '0'),
                                         0xffff'ffffU);
        ++at;
    }
    if (at == 0 || at == value.size() || !is_space(value[at])) return std::nullopt;
    const std::string_view method = trim(slice(value, at, value.size()));
    if (method.empty()) return std::nullopt;
    return CSeq{static_cast<std::uint32_t>(number), read_method(method)};
}

enum class Field : std::uint8_t { None, CallId, To, CSeq, Via };

/// Which wanted header field a line begins; the length of its name goes to `name_length`. The first
/// letter sorts out nearly every other line.
Field field_of(std::string_view line, std::size_t& name_length) noexcept {
    const auto is = [&](std::string_view name) {
        if (line.size() <= name.size()) return false;
        const char after = line[name.size()];
        if (after != ':' && !is_blank(after)) return false;
        name_length = name.size();
        return equals_ignoring_case(slice(line, 0, name.size()), name);
    };
    if (line.empty()) return Field::None;
    switch (lower(line[0])) {
    case 'c':
        return is("call-id") ? Field::CallId : is("cseq") ? Field::CSeq : Field::None;
    case 'i':
        return is("i") ? Field::CallId : Field::None;
    case 't':
        return is("to") || is("t") ? Field::To : Field::None;
    case 'v':
        return is("via") || is("v") ? Field::Via : Field::None;
    default:
        return Field::None;
    }
}

/// Reads header lines from `at`, which follows the first line, until the empty line.
class HeaderReader {
public:
    HeaderReader(std::string_view text,
                 LineFeeds line_feeds,
                 const ReadRules& rules,
                 SipDigest& digest) noexcept
        : text_(text), line_feeds_(line_feeds), rules_(rules), digest_(digest) {
        missing_ |= bit(Field::CallId);
        if (wants(rules.want, Want::ToTag)) missing_ |= bit(Field::To);
        if (wants(rules.want, Want::CSeq)) missing_ |= bit(Field::CSeq);
        if (wants(rules.want, Want::TopVia)) missing_ |= bit(Field::Via);
    }

    void read(std::size_t at) noexcept {
        std::size_t lines = 0;
        while (at < text_.size() && missing_ != 0) {
            std::size_t line_end = line_feeds_.next();
            const std::string_view line = slice(text_, at, line_end);
            if (line.empty() || line == "\r") return; // the body begins (RFC 3261 §7.5)
            if (++lines > rules_.max_header_lines) {
                digest_.defect = Defect::TooManyHeaderLines;
                return;
            }
            std::size_t name_length = 0;
            const Field field = field_of(line, name_length);
            if (field != Field::None && (missing_ & bit(field)) != 0) {
                while (continues(line_end)) {
                    line_end = line_feeds_.next();
                    ++lines;
                }
                take(field, slice(text_, at + name_length, line_end));
                if (digest_.defect != Defect::None) return;
            }
            at = line_end + 1;
        }
    }

private:
    static constexpr unsigned bit(Field field) noexcept {
        return 1U << static_cast<unsigned>(field);
    }

    /// A line that begins with a blank belongs to the one before (RFC 3261 §7.3.1).
    [[nodiscard]] bool continues(std::size_t line_end) const noexcept {
        return line_end + 1 < text_.size() && is_blank(text_[line_end + 1]);
    }

    /// `rest` is all between the name and the end of the (unfolded) line: HCOLON and the value.
    void take(Field field, std::string_view rest) noexcept {
        std::size_t colon = 0;
        while (colon < rest.size() && is_blank(rest[colon]))
            ++colon;
        if (colon == rest.size() || rest[colon] != ':') return;
        const std::string_view value = trim(slice(rest, colon + 1, rest.size()));
        if (field != Field::CallId || rules_.lenient) missing_ &= ~bit(field);
        switch (field) {
        case Field::CallId:
            if (++call_ids_ == 1)
                digest_.call_id = value;
            else if (call_ids_ > kMaxCallIds || value != digest_.call_id)
                digest_.defect = Defect::AmbiguousCallId;
            break;
        case Field::To:
            digest_.has_to_tag = !find_parameter(value, "tag").empty();
            break;
        case Field::CSeq:
            digest_.cseq = read_cseq(value);
            break;
        case Field::Via:
            digest_.top_via_branch = find_parameter(value, "branch");
            break;
        case Field::None:
            break;
        }
    }

    std::string_view text_;
    static constexpr unsigned kMaxCallIds = 8;

    LineFeeds line_feeds_;
    const ReadRules& rules_;
    SipDigest& digest_;
    unsigned missing_ = 0;
    unsigned call_ids_ = 0;
};

/// What stands on a SIP port without being SIP (RFC 5626 §3.5.1, §4.4.1; RFC 5389 §6).
PayloadKind kind_of_other(std::string_view payload) noexcept {
    const auto all = [&](auto predicate) {
        return std::all_of(payload.begin(), payload.end(), predicate);
    };
    if (all([](char c) { return c == '\r' || c == '\n'; }) || all([](char c) { return c == '\0'; }))
        return PayloadKind::KeepAlive;
    constexpr std::size_t kStunHeader = 20;
    constexpr std::string_view kMagicCookie("\x21\x12\xa4\x42", 4);
    if (payload.size() >= kStunHeader && (payload[0] & 0xc0) == 0 &&
        slice(payload, 4, 8) == kMagicCookie)
        return PayloadKind::Stun;
    return PayloadKind::NotSip;
}

} // namespace

std::string_view name_of(ScanLevel level) noexcept {
    constexpr std::array<std::string_view, kScanLevels.size()> kNames{
        "scalar", "sse4.2", "avx2", "avx512"};
    return kNames[static_cast<std::size_t>(level)];
}

bool has_scan_level(ScanLevel level) noexcept {
    return level == ScanLevel::Scalar;
}

ScanLevel best_scan_level() noexcept {
    return ScanLevel::Scalar;
}

SipDigest read_digest_at([[maybe_unused]] ScanLevel level,
                         std::span<const std::byte> payload,
                         const ReadRules& rules) noexcept {
    const std::string_view whole(reinterpret_cast<const char*>(payload.data()), payload.size());
    std::size_t start = 0; // empty lines before the first line are skipped (RFC 3261 §7.5)
    while (start < whole.size() && (whole[start] == '\r' || whole[start] == '\n'))
        ++start;
    const std::string_view text = slice(whole, start, whole.size());

    SipDigest digest;
    LineFeeds line_feeds(text);
    const std::size_t first_end = line_feeds.next();
    const std::string_view first_line = trim(slice(text, 0, first_end));
    if (!read_status_line(first_line, digest) && !read_request_line(first_line, digest)) {
        digest.kind = kind_of_other(whole);
        if (digest.kind != PayloadKind::NotSip) return digest;
    }
    HeaderReader(text, line_feeds, rules, digest).read(first_end + 1);
    return digest;
}

SipDigest read_digest(std::span<const std::byte> payload, const ReadRules& rules) noexcept {
    return read_digest_at(best_scan_level(), payload, rules);
}

} // namespace viaduct
