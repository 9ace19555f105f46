// SPDX-License-Identifier: Apache-2.0
#include "viaduct/message.hpp"

#include "scan.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace viaduct {

namespace {

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

constexpr auto make_set(std::string_view chars) noexcept {
    std::array<bool, 256> table{};
    for (const char c : chars)
        table[static_cast<std::uint8_t>(c)] = true;
    return table;
}
/// token of RFC 3261 §25.1: what methods, parameter names and tags are made of.
constexpr auto kTokenChars = make_set("0123456789abcdefghijklmnopqrstuvwxyz"
                                      "ABCDEFGHIJKLMNOPQRSTUVWXYZ-.!%*_+`'~");
constexpr bool is_token(char c) noexcept {
    return kTokenChars[static_cast<std::uint8_t>(c)];
}

/// Without `remove_prefix` and `substr`: the latter may throw, and the core has no exceptions.
constexpr std::string_view slice(std::string_view text, std::size_t from, std::size_t to) noexcept {
    return {text.data() + from, to - from};
}

/// `name` is lower case already.
constexpr bool equals_ignoring_case(std::string_view text, std::string_view name) noexcept {
    if (text.size() != name.size()) return false;
    for (std::size_t i = 0; i < text.size(); ++i)
        if (lower(text[i]) != name[i]) return false;
    return true;
}

/// A few characters as a set that is tested sixteen bytes at a time: a sender chooses how long a
/// run of blanks is, and a byte of it may not cost more than a byte of text.
template <char... kChars> struct Run {
    static constexpr std::size_t kStep = 16;

    static constexpr bool has(char c) noexcept { return ((c == kChars) || ...); }

#if defined(__SSE2__)
    /// Bit i: whether byte i is of the set.
    static std::uint32_t mask(const char* bytes) noexcept {
        const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes));
        __m128i found = _mm_setzero_si128();
        ((found = _mm_or_si128(found, _mm_cmpeq_epi8(block, _mm_set1_epi8(kChars)))), ...);
        return static_cast<std::uint32_t>(_mm_movemask_epi8(found));
    }
#else
    static std::uint32_t mask(const char* bytes) noexcept {
        std::uint32_t found = 0;
        for (std::size_t i = 0; i < kStep; ++i)
            found |= std::uint32_t{has(bytes[i])} << i;
        return found;
    }
#endif

    /// Where the first character from `at` on stands that is not of the set; the size if none.
    static std::size_t skip(std::string_view text, std::size_t at) noexcept {
        if (at >= text.size() || !has(text[at])) return at;
        for (; text.size() - at >= kStep; at += kStep)
            if (const std::uint32_t other = mask(text.data() + at) ^ 0xffffU; other != 0)
                return at + static_cast<std::size_t>(std::countr_zero(other));
        while (at < text.size() && has(text[at]))
            ++at;
        return at;
    }

    /// Where the first character of the set from `at` on stands; the size if none.
    static std::size_t find(std::string_view text, std::size_t at) noexcept {
        for (; text.size() - at >= kStep; at += kStep)
            if (const std::uint32_t found = mask(text.data() + at); found != 0)
                return at + static_cast<std::size_t>(std::countr_zero(found));
        while (at < text.size() && !has(text[at]))
            ++at;
        return at;
    }

    /// The size without the characters of the set at the end.
    static std::size_t trimmed_size(std::string_view text) noexcept {
        std::size_t size = text.size();
        for (; size >= kStep; size -= kStep)
            if (const std::uint32_t other = mask(text.data() + size - kStep) ^ 0xffffU; other != 0)
                return size - kStep + static_cast<std::size_t>(std::bit_width(other));
        while (size > 0 && has(text[size - 1]))
            --size;
        return size;
    }

    /// Where the last character of the set stands, plus one; 0 if none.
    static std::size_t after_last(std::string_view text) noexcept {
        std::size_t size = text.size();
        for (; size >= kStep; size -= kStep)
            if (const std::uint32_t found = mask(text.data() + size - kStep); found != 0)
                return size - kStep + static_cast<std::size_t>(std::bit_width(found));
        while (size > 0 && !has(text[size - 1]))
            --size;
        return size;
    }
};
using Blanks = Run<' ', '\t'>;
using Spaces = Run<' ', '\t', '\r', '\n'>;
using LineEnds = Run<'\r', '\n'>;
using LineFeeds = Run<'\n'>;
using Zeros = Run<'\0'>;
using ValueEnds = Run<' ', '\t', '\r', '\n', ';', ','>; ///< what ends a parameter's value

std::string_view trim(std::string_view text) noexcept {
    const std::size_t size = Spaces::trimmed_size(text);
    return slice(text, std::min(Spaces::skip(text, 0), size), size);
}

/// Eight characters as a number, the first one lowest; behind the text's end are zeros.
std::uint64_t word_at(std::string_view text, std::size_t at) noexcept {
    std::uint64_t word = 0;
    if (at + sizeof(word) <= text.size()) [[likely]] {
        std::memcpy(&word, text.data() + at, sizeof(word));
        if constexpr (std::endian::native == std::endian::big) word = __builtin_bswap64(word);
        return word;
    }
    for (std::size_t i = 0; at + i < text.size(); ++i)
        word |= std::uint64_t{static_cast<std::uint8_t>(text[at + i])} << (8 * i);
    return word;
}

constexpr std::uint64_t word_of(std::string_view chars) noexcept {
    std::uint64_t word = 0;
    for (std::size_t i = 0; i < chars.size(); ++i)
        word |= std::uint64_t{static_cast<std::uint8_t>(chars[i])} << (8 * i);
    return word;
}
constexpr std::uint64_t kEvery = 0x0101'0101'0101'0101U;

struct MethodName {
    std::string_view name;
    Method method;
};
constexpr std::array<MethodName, 14> kMethods{{
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

/// Case matters in methods (RFC 3261 §7.1).
Method read_method(std::string_view name) noexcept {
    for (const MethodName& row : kMethods)
        if (row.name == name) return row.method;
    return Method::Other;
}

/// The methods of up to seven letters, by a hash of them without collisions.
class ShortMethods {
public:
    struct Entry {
        std::uint64_t name = 0;
        Method method = Method::Other;
    };

    consteval ShortMethods() {
        for (const MethodName& row : kMethods) {
            if (row.name.size() > 7) continue;
            const std::uint64_t name = word_of(row.name);
            without_collisions = without_collisions && entries_[place(name)].name == 0;
            entries_[place(name)] = {name, row.method};
        }
    }
    /// Other: not one of them.
    [[nodiscard]] constexpr Method find(std::uint64_t name) const noexcept {
        const Entry& entry = entries_[place(name)];
        return entry.name == name ? entry.method : Method::Other;
    }
    bool without_collisions = true;

private:
    static constexpr std::size_t place(std::uint64_t name) noexcept {
        return static_cast<std::size_t>(name * kFactor >> 59U);
    }
    static constexpr std::uint64_t kFactor = 0xf813'0c42'3773'0edfU; // found by trial
    std::array<Entry, 32> entries_{};
};
constexpr ShortMethods kShortMethods;
static_assert(kShortMethods.without_collisions, "another factor is needed");

/// The capital letters that `word` begins with.
struct Letters {
    explicit Letters(std::uint64_t all) noexcept {
        const std::uint64_t others = ~all & 0x40 * kEvery;
        if (others == 0) return; // eight of them
        const auto bits = static_cast<unsigned>(std::countr_zero(others)) - 6;
        count = bits / 8;
        word = all & ((std::uint64_t{1} << bits) - 1);
        after = static_cast<char>(all >> bits & 0xff);
    }
    std::size_t count = 8;
    std::uint64_t word = 0;
    char after = 'A'; ///< what follows them
};

/// "SIP/2.0", any letter case and version: which versions to refuse is the backend's business.
bool is_sip_version(std::string_view text) noexcept {
    return text.size() > 4 && equals_ignoring_case(slice(text, 0, 4), "sip/") && is_digit(text[4]);
}

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
    digest.status = end - at == 3 && status >= 100 && status <= 699
                        ? static_cast<std::uint16_t>(status)
                        : std::uint16_t{0}; // unreadable; still a response
    return true;
}

/// A method is a token; of a very long one only so many characters are looked at.
constexpr std::size_t kMethodLookedAt = 64;

/// RFC 3261 §7.1: Method SP Request-URI SP SIP-Version. What the URI holds is not looked at.
bool read_request_line(std::string_view line, SipDigest& digest) noexcept {
    const std::size_t method_end = Blanks::find(line, 0);
    if (method_end == 0 || method_end == line.size()) return false;
    for (std::size_t i = 0; i < std::min(method_end, kMethodLookedAt); ++i)
        if (!is_token(line[i])) return false;
    const std::size_t version = Blanks::after_last(line);
    if (!is_sip_version(slice(line, version, line.size()))) return false;
    if (trim(slice(line, method_end, version)).empty()) return false;
    digest.kind = PayloadKind::Request;
    digest.method = read_method(slice(line, 0, method_end));
    return true;
}

/// The first line of nearly every message there is: known method or three digits, single blanks,
/// SIP/2.0 and CR LF in capitals. False: look closer.
bool read_usual_first_line(std::string_view text,
                           std::size_t line_feed,
                           SipDigest& digest) noexcept {
    constexpr std::size_t kShortest = 16;
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
    const Letters name(start);
    const Method method = kShortMethods.find(name.word);
    const std::size_t version = line_feed - 8;
    if (method == Method::Other || name.after != ' ' ||
        word_at(text, version) != word_of("SIP/2.0\r"))
        return false;
    // A URI of one character at least, and no second blank on either side of it.
    if (name.count + 2 >= version || is_blank(text[name.count + 1]) || text[version - 1] != ' ')
        return false;
    digest.kind = PayloadKind::Request;
    digest.method = method;
    return true;
}

/// RFC 3261 §20.16: 1*DIGIT LWS Method. `value` begins with its first character.
std::optional<CSeq> read_cseq(std::string_view value) noexcept {
    constexpr std::size_t kDigitsLookedAt = 64; // a number has ten; zeros may stand before it
    std::size_t at = 0;
    std::uint64_t number = 0;
    while (at < value.size() && is_digit(value[at]) && at <= kDigitsLookedAt) {
        number = std::min<std::uint64_t>(number * 10 + static_cast<unsigned>(value[at] - '0'),
                                         std::numeric_limits<std::uint32_t>::max());
        ++at;
    }
    if (at == 0 || at == value.size() || !is_space(value[at])) return std::nullopt;
    const std::string_view method = trim(slice(value, at, value.size()));
    if (method.empty()) return std::nullopt;
    return CSeq{static_cast<std::uint32_t>(number), read_method(method)};
}

/// Up to seven digits, a blank, a method of up to seven letters, CR LF and no fold: nearly every
/// CSeq. Empty: look closer.
std::optional<CSeq> read_usual_cseq(std::string_view text, std::size_t at) noexcept {
    const std::uint64_t start = word_at(text, at);
    // A digit has the upper half 3, and adding 6 to it does not change that.
    const std::uint64_t no_digit =
        ((start & 0xf0 * kEvery) | ((start + 0x06 * kEvery) & 0xf0 * kEvery) >> 4U) ^ 0x33 * kEvery;
    if (no_digit == 0) return std::nullopt;
    const auto digits = static_cast<unsigned>(std::countr_zero(no_digit)) / 8;
    if (digits == 0 || (start >> (8 * digits) & 0xff) != ' ') return std::nullopt;
    // Two digits at a time, then four, then eight.
    std::uint64_t number = (start << (64 - 8 * digits)) & 0x0f * kEvery;
    number = (number * 10 + (number >> 8U)) & 0x00ff'00ff'00ff'00ffU;
    number = (number * 100 + (number >> 16U)) & 0x0000'ffff'0000'ffffU;
    number = (number * 10'000 + (number >> 32U)) & 0xffff'ffffU;

    const std::size_t name_at = at + digits + 1;
    const Letters name(word_at(text, name_at));
    const Method method = kShortMethods.find(name.word);
    const std::size_t end = name_at + name.count;
    if (method == Method::Other || name.after != '\r' || end + 2 >= text.size())
        return std::nullopt;
    if (text[end + 1] != '\n' || is_blank(text[end + 2])) return std::nullopt;
    return CSeq{static_cast<std::uint32_t>(number), method};
}

/// The names of the wanted fields, one row for each way to write them, found by the bits in which
/// their first two letters differ.
struct FieldName {
    std::uint64_t letters = 0; ///< in lower case
    std::uint64_t fold = 0;    ///< 0x20 where a letter stands
    std::uint64_t mask = ~std::uint64_t{0};
    std::uint8_t length = 0;
    std::uint8_t line_class = 0; ///< never 0 in a row of a name
};

constexpr std::size_t field_row(std::uint64_t word) noexcept {
    return static_cast<std::size_t>((word >> 1U & 7U) << 2U | (word >> 13U & 2U) |
                                    (word >> 9U & 1U));
}

/// Both ways to write a field's name are of one class here.
constexpr std::uint8_t kAnyCallId = line_class::kCallId | line_class::kCompactCallId;

constexpr auto kFieldNames = [] {
    std::array<FieldName, 32> rows{};
    const auto add = [&](std::string_view name, std::uint8_t line_class) {
        FieldName row;
        row.letters = word_of(name);
        row.length = static_cast<std::uint8_t>(name.size());
        row.mask = (std::uint64_t{1} << (8 * name.size())) - 1;
        for (std::size_t i = 0; i < name.size(); ++i)
            if (name[i] >= 'a') row.fold |= std::uint64_t{0x20} << (8 * i);
        row.line_class = line_class;
        if (name.size() > 1)
            rows[field_row(row.letters)] = row;
        else
            for (const char after : {':', ' ', '\t'})
                rows[field_row(word_of(name) | std::uint64_t{static_cast<std::uint8_t>(after)}
                                                   << 8U)] = row;
    };
    add("call-id", kAnyCallId);
    add("i", kAnyCallId);
    add("cseq", line_class::kCSeq);
    add("to", line_class::kTo);
    add("t", line_class::kTo);
    add("via", line_class::kVia);
    add("v", line_class::kVia);
    return rows;
}();

/// Reads header lines, from the end of the first line to the empty line.
class HeaderReader {
public:
    HeaderReader(const ScanOps& ops,
                 std::string_view text,
                 const ReadRules& rules,
                 SipDigest& digest) noexcept
        : ops_(ops), text_(text), rules_(rules), digest_(digest), open_(kAnyCallId) {
        if (wants(rules.want, Want::ToTag)) open_ |= line_class::kTo;
        if (wants(rules.want, Want::CSeq)) open_ |= line_class::kCSeq;
        if (wants(rules.want, Want::TopVia)) open_ |= line_class::kVia;
    }

    void read(std::size_t first_line_end) noexcept {
        LineList list;
        list.next = first_line_end;
        list.lines_left = rules_.max_header_lines;
        while (!list.done && open_ != 0) {
            constexpr std::size_t kLenientStep = 4 * LineList::kBlock;
            list.pause = rules_.lenient ? list.next + kLenientStep : text_.size();
            list.count = 0;
            list.wanted = static_cast<std::uint8_t>(open_);
            ops_.lines(text_.data(), text_.size(), list);
            for (std::size_t i = 0; i < list.count; ++i)
                if (!look_at(list.starts[i])) return;
        }
        if (list.too_many_lines && open_ != 0) digest_.defect = Defect::TooManyHeaderLines;
    }

private:
    /// How many lines may look like a wanted field and not be it. Honest messages have a few
    /// ("Call-Info"); a hostile one has hundreds of two letters, and each costs more than its
    /// bytes.
    static constexpr int kOddLines = 32;
    static constexpr int kOddLinesNoColon = 4; ///< what a name without its colon counts for
    static constexpr unsigned kMaxCallIds = 8;
    /// Marks of one value that are looked at: a value has five; past the limit it has no parameter.
    static constexpr unsigned kMaxMarks = 32;

    /// A line that may be a wanted field. False: reading ends.
    bool look_at(std::size_t start) noexcept {
        const std::uint64_t word = word_at(text_, start);
        const FieldName& name = kFieldNames[field_row(word)];
        const bool named = ((word | name.fold) & name.mask) == name.letters;
        if (named && (name.line_class & open_) == 0) return true; // the first one counts
        std::size_t at = start + name.length;
        if (!named || at >= text_.size()) return odd_line(start, 1);
        if (text_[at] != ':') { // HCOLON (RFC 3261 §25.1)
            if (!is_blank(text_[at])) return odd_line(start, 1);
            at = Blanks::skip(text_, at);
            if (at == text_.size() || text_[at] != ':') return odd_line(start, kOddLinesNoColon);
        }
        take(name.line_class, at + 1);
        return digest_.defect == Defect::None;
    }

    bool odd_line(std::size_t start, int weight) noexcept {
        const char second = start + 1 < text_.size() ? text_[start + 1] : '\0';
        if ((line_class_of(text_[start], second) & open_) == 0) return true;
        odd_lines_left_ -= weight;
        if (odd_lines_left_ < 0) digest_.defect = Defect::TooManyHeaderLines;
        return odd_lines_left_ >= 0;
    }

    void take(std::uint8_t line_class, std::size_t at) noexcept {
        if (line_class != kAnyCallId || rules_.lenient) open_ &= ~static_cast<unsigned>(line_class);
        switch (line_class) {
        case kAnyCallId:
            take_call_id(value(at));
            break;
        case line_class::kTo:
            digest_.has_to_tag = !find_parameter(value(at), "tag").empty();
            break;
        case line_class::kCSeq:
            digest_.cseq =
                read_usual_cseq(text_, at + (at < text_.size() && is_blank(text_[at]) ? 1U : 0U));
            if (!digest_.cseq) digest_.cseq = read_cseq(value(at));
            break;
        case line_class::kVia:
            digest_.top_via_branch = find_parameter(value(at), "branch");
            break;
        default:
            break;
        }
    }

    void take_call_id(std::string_view call_id) noexcept {
        if (++call_ids_ == 1)
            digest_.call_id = call_id;
        else if (call_ids_ > kMaxCallIds || call_id != digest_.call_id)
            digest_.defect = Defect::AmbiguousCallId;
    }

    /// The value that begins behind the colon at `at`, white space around it dropped.
    [[nodiscard]] std::string_view value(std::size_t at) const noexcept {
        std::size_t end = LineFeeds::find(text_, at);
        if (end + 1 < text_.size() && is_blank(text_[end + 1])) end = end_of_folded(end);
        return trim(slice(text_, at, end));
    }

    /// A line that begins with a blank belongs to the one before (RFC 3261 §7.3.1).
    [[nodiscard]] std::size_t end_of_folded(std::size_t line_feed) const noexcept;

    [[nodiscard]] std::string_view find_parameter(std::string_view value,
                                                  std::string_view name) const noexcept;

    /// Marks of the 64 bytes from `at` on, as far as they are of the value.
    [[nodiscard]] std::uint64_t marks_of(std::string_view value, std::size_t at) const noexcept {
        const char* bytes = value.data() + at;
        const std::size_t left = value.size() - at;
        const auto readable = static_cast<std::size_t>(text_.data() + text_.size() - bytes);
        std::uint64_t marks = 0;
        if (readable >= 64) [[likely]] {
            marks = ops_.marks(bytes);
        } else {
            std::array<char, 64> copy{};
            std::memcpy(copy.data(), bytes, readable);
            marks = ops_.marks(copy.data());
        }
        return left < 64 ? marks & ((std::uint64_t{1} << left) - 1) : marks;
    }

    const ScanOps& ops_;
    std::string_view text_;
    const ReadRules& rules_;
    SipDigest& digest_;
    unsigned open_; ///< line_class bits of the fields still looked for
    unsigned call_ids_ = 0;
    int odd_lines_left_ = kOddLines;
};

std::size_t HeaderReader::end_of_folded(std::size_t line_feed) const noexcept {
    // Many short lines: those that end the value, sixteen bytes at a time.
    std::size_t at = line_feed;
    for (; text_.size() - at > Blanks::kStep; at += Blanks::kStep) {
        const std::uint32_t ends =
            LineFeeds::mask(text_.data() + at) & ~Blanks::mask(text_.data() + at + 1);
        if (ends != 0) return at + static_cast<std::size_t>(std::countr_zero(ends));
    }
    for (; at < text_.size(); ++at)
        if (text_[at] == '\n' && (at + 1 == text_.size() || !is_blank(text_[at + 1]))) return at;
    return at;
}

/// The value of a header parameter such as ";tag=" in the first value of a header field. Quoted
/// strings and <URIs> are passed over; the search ends at a comma outside of them (RFC 3261
/// §7.3.1).
std::string_view HeaderReader::find_parameter(std::string_view value,
                                              std::string_view name) const noexcept {
    char closing = 0;       // what ends the quoted string or URI we are in; 0: in neither
    std::size_t resume = 0; // marks before it were escaped
    unsigned marks_left = kMaxMarks;
    for (std::size_t base = 0; base < value.size(); base += 64) {
        for (std::uint64_t marks = marks_of(value, base); marks != 0; marks &= marks - 1) {
            const std::size_t at = base + static_cast<std::size_t>(std::countr_zero(marks));
            if (marks_left-- == 0) return {};
            const char mark = value[at];
            if (at < resume) continue;
            if (closing != 0) {
                if (mark == '\\' && closing == '"') resume = at + 2;
                if (mark == closing) closing = 0;
            } else if (mark == '<') {
                closing = '>';
            } else if (mark == '"') {
                closing = '"';
            } else if (mark == ',') {
                return {};
            } else if (mark == ';') {
                std::size_t next = Spaces::skip(value, at + 1);
                if (value.size() - next < name.size() ||
                    !equals_ignoring_case(slice(value, next, next + name.size()), name))
                    continue;
                next = Spaces::skip(value, next + name.size());
                if (next == value.size() || value[next] != '=') continue;
                next = Spaces::skip(value, next + 1);
                return slice(value, next, ValueEnds::find(value, next));
            }
        }
    }
    return {};
}

/// What stands on a SIP port without being SIP (RFC 5626 §3.5.1, §4.4.1; RFC 5389 §6).
PayloadKind kind_of_other(std::string_view payload) noexcept {
    if (LineEnds::skip(payload, 0) == payload.size() || Zeros::skip(payload, 0) == payload.size())
        return PayloadKind::KeepAlive;
    constexpr std::size_t kStunHeader = 20;
    constexpr std::string_view kMagicCookie("\x21\x12\xa4\x42", 4);
    if (payload.size() >= kStunHeader && (payload[0] & 0xc0) == 0 &&
        slice(payload, 4, 8) == kMagicCookie)
        return PayloadKind::Stun;
    return PayloadKind::NotSip;
}

const ScanLevel kBestLevel = [] {
#if defined(__x86_64__)
    __builtin_cpu_init(); // this may run before the compiler's own start-up code
#endif
    ScanLevel best = ScanLevel::Scalar;
    for (const ScanLevel level : kScanLevels)
        if (has_scan_level(level)) best = level;
    return best;
}();
const ScanOps& kBestOps = scan_ops(kBestLevel);

SipDigest
read(const ScanOps& ops, std::span<const std::byte> payload, const ReadRules& rules) noexcept {
    const std::string_view whole(reinterpret_cast<const char*>(payload.data()), payload.size());
    // Empty lines before the first line are skipped (RFC 3261 §7.5).
    const std::size_t start = LineEnds::skip(whole, 0);
    const std::string_view text = slice(whole, start, whole.size());

    SipDigest digest;
    const std::size_t first_end = LineFeeds::find(text, 0);
    if (!read_usual_first_line(text, first_end, digest)) {
        const std::string_view first_line = trim(slice(text, 0, first_end));
        if (!read_status_line(first_line, digest) && !read_request_line(first_line, digest)) {
            digest.kind = kind_of_other(whole);
            if (digest.kind != PayloadKind::NotSip) return digest;
        }
    }
    HeaderReader(ops, text, rules, digest).read(first_end);
    return digest;
}

} // namespace

ScanLevel best_scan_level() noexcept {
    return kBestLevel;
}

SipDigest read_digest_at(ScanLevel level,
                         std::span<const std::byte> payload,
                         const ReadRules& rules) noexcept {
    return read(scan_ops(level), payload, rules);
}

SipDigest read_digest(std::span<const std::byte> payload, const ReadRules& rules) noexcept {
    return read(kBestOps, payload, rules);
}

} // namespace viaduct
