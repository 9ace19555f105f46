// SPDX-License-Identifier: Apache-2.0
#include "viaduct/message.hpp"

#include "scan.hpp"
#include "sip_names.hpp"
#include "sip_text.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>

namespace viaduct {

using namespace sip_text;

namespace {

/// Where the first line feed from `at` on stands; the size if none. Nobody can foretell in which
/// sixteen bytes it is, so it looks at 64 without a branch.
std::size_t find_line_feed(const ScanOps& ops, std::string_view text, std::size_t at) noexcept {
    for (; text.size() - at >= 64; at += 64)
        if (const std::uint64_t found = ops.line_feeds(text.data() + at); found != 0) [[likely]]
            return at + static_cast<std::size_t>(std::countr_zero(found));
    return LineFeeds::find(text, at);
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

/// The methods of up to eight letters, by a hash of them without collisions.
class ShortMethods {
public:
    struct Entry {
        std::uint64_t name = 0;
        Method method = Method::Other;
    };

    consteval ShortMethods() {
        for (const sip_names::MethodRow& row : sip_names::kMethods) {
            if (row.name.empty() || row.name.size() > 8) continue;
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

/// The capital letters at `at`, up to eight.
struct Letters {
    Letters(std::string_view text, std::size_t at) noexcept {
        const std::uint64_t all = word_at(text, at);
        const std::uint64_t others = ~all & 0x40 * kEvery;
        if (others != 0) [[likely]] {
            const auto bits = static_cast<unsigned>(std::countr_zero(others)) - 6;
            count = bits / 8;
            word = all & ((std::uint64_t{1} << bits) - 1);
            after = static_cast<char>(all >> bits & 0xff);
        } else {
            word = all;
            after = at + count < text.size() ? text[at + count] : '\0';
        }
    }
    std::size_t count = 8;
    std::uint64_t word = 0;
    char after = '\0'; ///< what follows them
};

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

/// A method is a token; of a very long one only so many characters are looked at.
constexpr std::size_t kMethodLookedAt = 64;

/// RFC 3261 §7.1: Method SP Request-URI SP SIP-Version. What the URI holds is not looked at.
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

/// The first line of nearly every message there is: known method or three digits, single blanks,
/// SIP/2.0 and CR LF in capitals. False: look closer.
bool read_usual_first_line(std::string_view text,
                           std::size_t line_feed,
                           SipDigest& digest) noexcept {
    constexpr std::size_t kShortest = 13; // "SIP/2.0 200" and what follows it
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
    // A URI of one character at least, one blank before it.
    if (name.count + 2 >= version || is_space(text[name.count + 1]) || text[version - 1] != ' ')
        return false;
    digest.kind = PayloadKind::Request;
    digest.method = method;
    return true;
}

/// RFC 3261 §20.16: 1*DIGIT LWS Method. `value` begins with its first character.
std::optional<CSeq> read_cseq(std::string_view value) noexcept {
    constexpr std::size_t kDigitsLookedAt = 64; // a number has ten; zeros may stand before it
    constexpr std::uint64_t kLargest = std::numeric_limits<std::uint32_t>::max();
    std::size_t at = 0;
    std::uint64_t number = 0;
    for (; at < value.size() && is_digit(value[at]) && at < kDigitsLookedAt; ++at)
        if (number <= kLargest) number = number * 10 + static_cast<unsigned>(value[at] - '0');
    number = std::min(number, kLargest);
    if (at == 0 || at == value.size() || !is_space(value[at])) return std::nullopt;
    const std::string_view method = trim(value, at, value.size());
    if (method.empty()) return std::nullopt;
    return CSeq{static_cast<std::uint32_t>(number), method_named(method)};
}

/// Up to seven digits, a blank, a method of up to eight letters, CR LF and no fold: nearly every
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
    const Letters name(text, name_at);
    const Method method = kShortMethods.find(name.word);
    const std::size_t end = name_at + name.count;
    if (method == Method::Other || name.after != '\r' || end + 2 >= text.size())
        return std::nullopt;
    if (text[end + 1] != '\n' || is_blank(text[end + 2])) return std::nullopt;
    return CSeq{static_cast<std::uint32_t>(number), method};
}

/// A name of up to seven characters that is compared without regard to letter case, as a word.
struct FoldedName {
    constexpr FoldedName() = default;
    constexpr explicit FoldedName(std::string_view name) // in lower case
        : letters(word_of(name)), mask((std::uint64_t{1} << (8 * name.size())) - 1),
          length(static_cast<std::uint8_t>(name.size())) {
        for (std::size_t i = 0; i < name.size(); ++i)
            if (name[i] >= 'a') fold |= std::uint64_t{0x20} << (8 * i);
    }
    /// Whether `word` begins with it.
    [[nodiscard]] constexpr bool begins(std::uint64_t word) const noexcept {
        return ((word | fold) & mask) == letters;
    }

    std::uint64_t letters = 0;
    std::uint64_t fold = 0; ///< 0x20 where a letter stands
    std::uint64_t mask = ~std::uint64_t{0};
    std::uint8_t length = 0;
};
constexpr FoldedName kTag("tag");
constexpr FoldedName kBranch("branch");

constexpr std::uint8_t kCallId = 0;
constexpr std::uint8_t kTo = 1;
constexpr std::uint8_t kCSeq = 2;
constexpr std::uint8_t kVia = 3;
constexpr std::uint8_t kFrom = 4;

constexpr std::uint8_t kAnyCallId = line_class::kCallId | line_class::kCompactCallId;

/// The names of the wanted fields, by a hash of their first two characters, letter case apart,
/// without collisions. Rows of no name match no line.
class FieldNames {
public:
    struct Row {
        FoldedName name;
        std::uint8_t field = 0;
    };

    consteval FieldNames() {
        add("call-id", kCallId);
        add("i", kCallId);
        add("cseq", kCSeq);
        add("to", kTo);
        add("t", kTo);
        add("via", kVia);
        add("v", kVia);
        add("from", kFrom);
        add("f", kFrom);
    }
    /// The only name that a line that begins with these characters may have.
    [[nodiscard]] constexpr const Row& find(std::uint64_t word) const noexcept {
        return rows_[place(word)];
    }
    bool without_collisions = true;

private:
    consteval void add(std::string_view name, std::uint8_t field) {
        if (name.size() > 1)
            put(word_of(name), {FoldedName(name), field});
        else
            for (const char after : {':', ' ', '\t'})
                put(word_of(name) | word_of({&after, 1}) << 8U, {FoldedName(name), field});
    }
    consteval void put(std::uint64_t word, const Row& row) {
        Row& there = rows_[place(word)];
        without_collisions = without_collisions &&
                             (there.name.letters == 0 || there.name.letters == row.name.letters);
        there = row;
    }
    static constexpr std::size_t place(std::uint64_t word) noexcept {
        return (static_cast<std::uint32_t>(word) & 0xdfdfU) * kFactor >> 28U;
    }
    static constexpr std::uint32_t kFactor = 0x21ff'abcdU; // found by trial
    std::array<Row, 16> rows_{};
};
constexpr FieldNames kFieldNames;
static_assert(kFieldNames.without_collisions, "another factor is needed");

/// 128 bytes of a value.
__extension__ using Mask128 = unsigned __int128;

std::size_t lowest_place(std::uint64_t bits) noexcept {
    return static_cast<std::size_t>(std::countr_zero(bits));
}
std::size_t lowest_place(Mask128 bits) noexcept {
    const auto low = static_cast<std::uint64_t>(bits);
    return low != 0 ? lowest_place(low)
                    : 64 + lowest_place(static_cast<std::uint64_t>(bits >> 64U));
}

/// line_class bits by Want.
constexpr auto kWantedClasses = [] {
    std::array<std::uint8_t, 16> classes{};
    for (std::size_t i = 0; i < classes.size(); ++i) {
        const auto want = static_cast<Want>(i);
        unsigned all = kAnyCallId;
        if (wants(want, Want::ToTag)) all |= line_class::kTo;
        if (wants(want, Want::CSeq)) all |= line_class::kCSeq;
        if (wants(want, Want::TopVia)) all |= line_class::kVia;
        if (wants(want, Want::Tags)) all |= line_class::kFrom | line_class::kTo;
        classes[i] = static_cast<std::uint8_t>(all);
    }
    return classes;
}();

/// Where the line feed stands, from `at` on, that no blank follows; the size if none.
std::size_t end_of_folded(std::string_view text, std::size_t at) noexcept {
    // A sender may make many short lines: sixteen bytes at a time.
    for (; text.size() - at > Blanks::kStep; at += Blanks::kStep) {
        const std::uint32_t ends =
            LineFeeds::mask(text.data() + at) & ~Blanks::mask(text.data() + at + 1);
        if (ends != 0) return at + static_cast<std::size_t>(std::countr_zero(ends));
    }
    for (; at < text.size(); ++at)
        if (text[at] == '\n' && (at + 1 == text.size() || !is_blank(text[at + 1]))) return at;
    return at;
}

/// Reads header lines, from the end of the first line to the empty line.
class HeaderReader {
public:
    HeaderReader(const ScanOps& ops,
                 std::string_view text,
                 const ReadRules& rules,
                 SipDigest& digest) noexcept
        : ops_(ops), text_(text), rules_(rules), digest_(digest),
          wanted_(kWantedClasses[static_cast<std::size_t>(rules.want) % kWantedClasses.size()]) {}

    void read(std::size_t first_line_end) noexcept {
        LineList list;
        list.next = first_line_end;
        list.lines_left = rules_.max_header_lines;
        list.wanted = wanted_;
        list.done = first_line_end >= text_.size();
        list.wants_references = wants(rules_.want, Want::References);
        const auto lines = list.wants_references ? ops_.lines_and_references : ops_.lines;
        while (!list.done) {
            constexpr std::size_t kLenientStep = 256;
            list.pause = rules_.lenient ? list.next + kLenientStep : text_.size();
            list.count = 0;
            const std::size_t next = list.next;
            const std::size_t lines_left = list.lines_left;
            if (!strictly_) [[likely]]
                lines(text_.data(), text_.size(), list);
            else
                scan_strictly(ops_, text_.data(), text_.size(), list);
            if (!look_at(list)) {
                if (digest_.defect != Defect::None) break;
                list.wanted = open_classes();
                if (list.wanted == 0) break;
                list.next = next; // once more, and look at fewer lines
                list.lines_left = lines_left;
                list.done = list.too_many_lines = false;
                continue;
            }
            if (list.done && !list.too_many_lines) break;
            list.wanted = open_classes();
            if (list.wanted == 0) break; // all is known that is wanted
            if (list.too_many_lines) digest_.defect = Defect::TooManyHeaderLines;
        }
        const bool read_all = list.done && !list.too_many_lines;
        digest_.may_refer = !list.wants_references || !read_all || list.may_refer;
        take_fields();
    }

private:
    /// Lines that begin like a wanted field and are none ("Call-Info") cost a look each. Honest
    /// messages have a few; more than these, or than one for so many bytes, and whole names are
    /// looked for.
    static constexpr std::size_t kOddLines = 4;
    static constexpr std::size_t kBytesAnOddLine = 16;
    static constexpr unsigned kMaxCallIds = 4;
    /// Quotes, brackets and parameters of one value that are looked at: honest ones have a few. A
    /// parameter behind as many is absent.
    static constexpr unsigned kMaxMarks = 24;
    static constexpr std::size_t kNoTag = 0; ///< no tag begins there
    static constexpr std::size_t kLookCloser = ~std::size_t{0};

    /// Lines that may be wanted fields, those that were not looked at yet. False: there is a
    /// defect, or there were too many odd lines.
    bool look_at(const LineList& list) noexcept {
        for (std::size_t i = 0; i < list.count; ++i) {
            for (std::uint64_t bits = list.line_feeds[i]; bits != 0; bits &= bits - 1) {
                const std::size_t start =
                    list.bases[i] + 1 + static_cast<std::size_t>(std::countr_zero(bits));
                if (start <= looked_at_) continue;
                looked_at_ = start;
                if (!look_at(start)) return false;
            }
        }
        return true;
    }

    bool look_at(std::size_t start) noexcept {
        const std::uint64_t word = word_at(text_, start);
        const FieldNames::Row& name = kFieldNames.find(word);
        const bool named = name.name.begins(word);
        std::size_t at = start + name.name.length;
        if (!named || at >= text_.size()) return odd_line(start, 1);
        if (text_[at] != ':') [[unlikely]] { // HCOLON (RFC 3261 §25.1)
            if (!is_blank(text_[at])) return odd_line(start, 1);
            at = Blanks::skip(text_, at);
            if (at == text_.size() || text_[at] != ':') return odd_line(start, 2);
        }
        std::size_t& value_at = values_[name.field];
        if (value_at != 0) // the first one counts
            return name.field != kCallId || rules_.lenient || compare_call_id(at + 1);
        value_at = at + 1;
        return true;
    }

    /// line_class bits of the fields still looked for.
    [[nodiscard]] std::uint8_t open_classes() const noexcept {
        unsigned open = wanted_;
        if (values_[kCallId] != 0 && rules_.lenient) open &= ~unsigned{kAnyCallId};
        if (values_[kTo] != 0) open &= ~unsigned{line_class::kTo};
        if (values_[kCSeq] != 0) open &= ~unsigned{line_class::kCSeq};
        if (values_[kVia] != 0) open &= ~unsigned{line_class::kVia};
        if (values_[kFrom] != 0) open &= ~unsigned{line_class::kFrom};
        return static_cast<std::uint8_t>(open);
    }

    /// False: from now on whole names are looked for.
    bool odd_line(std::size_t start, unsigned cost) noexcept {
        odd_lines_ += cost;
        if (strictly_ || odd_lines_ <= kOddLines + start / kBytesAnOddLine) return true;
        strictly_ = true;
        return false;
    }

    /// Another Call-ID.
    bool compare_call_id(std::size_t at) noexcept {
        if (more_call_ids_ == 0) digest_.call_id = value(values_[kCallId]);
        if (++more_call_ids_ >= kMaxCallIds || value(at) != digest_.call_id)
            digest_.defect = Defect::AmbiguousCallId;
        return digest_.defect == Defect::None;
    }

    void take_fields() noexcept {
        if (const std::size_t at = values_[kCallId]; at != 0 && more_call_ids_ == 0)
            digest_.call_id = value(at);
        if ((wanted_ & line_class::kFrom) != 0)
            take_tags();
        else if (const std::size_t at = values_[kTo]; at != 0)
            digest_.has_to_tag = has_tag(at);
        if (const std::size_t at = values_[kCSeq]; at != 0) {
            const bool blank = at < text_.size() && is_blank(text_[at]);
            digest_.cseq = read_usual_cseq(text_, at + (blank ? 1 : 0));
            if (!digest_.cseq) digest_.cseq = read_cseq(value(at));
        }
        if (const std::size_t at = values_[kVia]; at != 0)
            digest_.top_via_branch = find_parameter(at, kBranch);
    }

    /// The value that begins behind the colon at `at`, white space around it dropped.
    [[nodiscard]] std::string_view value(std::size_t at) const noexcept {
        std::size_t end = find_line_feed(ops_, text_, at);
        // A line that begins with a blank belongs to the one before (RFC 3261 §7.3.1).
        if (end + 1 < text_.size() && is_blank(text_[end + 1])) end = end_of_folded(text_, end);
        // Nearly always one blank before it and CR behind it.
        const std::size_t first = at < end && is_blank(text_[at]) ? at + 1 : at;
        const std::size_t last = at < end && text_[end - 1] == '\r' ? end - 1 : end;
        if (first < last && !is_space(text_[first]) && !is_space(text_[last - 1])) [[likely]]
            return slice(text_, first, last);
        return trim(text_, at, end);
    }

    void take_tags() noexcept;
    [[nodiscard, gnu::noinline]] std::string_view tag(std::size_t at) const noexcept;
    [[nodiscard]] bool has_tag(std::size_t at) const noexcept;
    [[nodiscard, gnu::always_inline]] inline std::size_t usual_tag(std::size_t at) const noexcept;
    template <typename Mask>
    [[nodiscard, gnu::always_inline]] inline std::size_t
    usual_tag_by(const BasicValueMarks<Mask>& marks, std::size_t at) const noexcept;
    [[nodiscard]] std::string_view find_parameter(std::size_t at,
                                                  const FoldedName& name) const noexcept;
    [[nodiscard]] std::size_t skip_space(std::size_t at) const noexcept;
    [[nodiscard]] std::optional<std::string_view>
    parameter_at(std::size_t at, const FoldedName& name) const noexcept;

    /// Bit i: byte `at` + i is a blank. `at` is 1 to the size.
    [[nodiscard]] std::uint64_t blanks_from(std::size_t at) const noexcept {
        std::array<char, 64> copy{};
        const char* bytes = text_.data() + at;
        if (text_.size() - at < copy.size()) {
            std::memcpy(copy.data(), bytes, text_.size() - at);
            bytes = copy.data();
        }
        std::uint64_t blanks = 0;
        for (std::size_t part = 0; part < 64; part += Blanks::kStep)
            blanks |= std::uint64_t{Blanks::mask(bytes + part)} << part;
        return blanks;
    }

    [[nodiscard]] ValueMarks marks_at(std::size_t at) const noexcept {
        if (text_.size() - at >= 64) [[likely]]
            return ops_.marks(text_.data() + at);
        std::array<char, 64> copy{};
        std::memcpy(copy.data(), text_.data() + at, text_.size() - at);
        copy[text_.size() - at] = '\n'; // the text ends the value
        return ops_.marks(copy.data());
    }

    const ScanOps& ops_;
    std::string_view text_;
    const ReadRules& rules_;
    SipDigest& digest_;
    std::uint8_t wanted_;                 ///< line_class bits
    std::array<std::size_t, 5> values_{}; ///< by field: behind the colon; 0: not found
    unsigned more_call_ids_ = 0;
    std::size_t odd_lines_ = 0;
    bool strictly_ = false;
    std::size_t looked_at_ = 0; ///< the last line that was
};

/// What of a value, 64 bytes after 64, is outside of quoted strings and <URIs>.
class Outside {
public:
    /// For the next 64 bytes, as far as they are of the value: bit i stands for byte i. Looks at
    /// `marks_left` quotes and brackets at most, and says how many are left.
    std::uint64_t
    next(const ValueMarks& marks, std::uint64_t before_end, unsigned& marks_left) noexcept {
        std::uint64_t outside = before_end;
        std::uint64_t rest =
            (marks.quote | marks.less | marks.greater | marks.backslash) & before_end;
        if (skip_first_) rest &= ~std::uint64_t{1};
        skip_first_ = false;
        std::uint64_t start = 1; // of what we are in, if in something
        for (; rest != 0 && marks_left > 0; rest &= rest - 1, --marks_left) {
            const std::uint64_t mark = rest & (0 - rest);
            if (within_ == Within::Nothing) {
                if ((mark & marks.less) != 0) within_ = Within::Uri;
                if ((mark & marks.quote) != 0) within_ = Within::Quotes;
                start = mark;
            } else if (within_ == Within::Quotes && (mark & marks.backslash) != 0) {
                rest &= ~(mark << 1U); // the next character is plain
                skip_first_ = mark >> 63U != 0;
            } else if ((mark & (within_ == Within::Uri ? marks.greater : marks.quote)) != 0) {
                outside &= ~(mark - start);
                within_ = Within::Nothing;
            }
        }
        return within_ == Within::Nothing ? outside : outside & (start - 1);
    }

private:
    enum class Within : std::uint8_t { Nothing, Uri, Quotes };
    Within within_ = Within::Nothing;
    bool skip_first_ = false; ///< a backslash stands before the next 64 bytes
};

/// The value of a header parameter such as ";tag=" in the first value of the field behind the colon
/// at `at`. Quoted strings and <URIs> are passed over; the search ends at a comma outside of them
/// (RFC 3261 §7.3.1).
std::string_view HeaderReader::find_parameter(std::size_t at,
                                              const FoldedName& name) const noexcept {
    Outside places;
    unsigned left = kMaxMarks;
    for (; at < text_.size(); at += 64) {
        const ValueMarks marks = marks_at(at);
        std::uint64_t ends = marks.line_feed;
        if (ends != 0) ends &= ~blanks_from(at + 1); // a line feed before a blank is a fold
        const std::uint64_t before_end = (ends & (0 - ends)) - 1; // all ones if there is no end
        std::uint64_t outside = places.next(marks, before_end, left);
        const std::uint64_t comma = marks.comma & outside;
        outside &= (comma & (0 - comma)) - 1;
        for (std::uint64_t starts = marks.semicolon & outside; starts != 0; starts &= starts - 1) {
            if (left-- == 0) return {};
            const auto start = at + static_cast<std::size_t>(std::countr_zero(starts));
            if (const auto found = parameter_at(start + 1, name)) return *found;
        }
        if ((ends | comma) != 0 || left == 0) return {};
    }
    return {};
}

/// Where the value goes on behind white space; the text's size if its line ends before.
std::size_t HeaderReader::skip_space(std::size_t at) const noexcept {
    if (at < text_.size() && is_blank(text_[at])) ++at; // nearly always one at most
    if (at < text_.size() && text_[at] > ' ') [[likely]]
        return at;
    const std::size_t next = Spaces::skip(text_, at);
    const std::string_view up_to_it = slice(text_, 0, next);
    const std::size_t line_feed = at == next ? next : LineFeeds::find(up_to_it, at);
    if (line_feed == next) [[likely]]
        return next;
    return end_of_folded(up_to_it, line_feed) == next ? next : text_.size();
}

/// Whether the To that begins behind the colon at `at` has a tag.
bool HeaderReader::has_tag(std::size_t at) const noexcept {
    const std::size_t usual = usual_tag(at);
    return usual == kLookCloser ? !find_parameter(at, kTag).empty() : usual != kNoTag;
}

/// The tag of the From or To that begins behind the colon at `at`; empty when absent.
std::string_view HeaderReader::tag(std::size_t at) const noexcept {
    const std::size_t usual = usual_tag(at);
    if (usual == kLookCloser) [[unlikely]]
        return find_parameter(at, kTag);
    if (usual == kNoTag) return {};
    return slice(text_, usual, ValueEnds::find(text_, usual));
}

void HeaderReader::take_tags() noexcept {
    if (const std::size_t at = values_[kFrom]; at != 0) digest_.from_tag = tag(at);
    if (const std::size_t at = values_[kTo]; at != 0) digest_.to_tag = tag(at);
    digest_.has_to_tag = !digest_.to_tag.empty();
}

/// Where the value of the tag begins, or kNoTag, in nearly every From and To: on one line, one
/// <URI>, perhaps a quoted name before it, and the tag comes first behind it. Inlined twice: for
/// those who want to know only whether there is one it costs as much as ever.
std::size_t HeaderReader::usual_tag(std::size_t at) const noexcept {
    const ValueMarks first = marks_at(at);
    if (first.line_feed != 0) return usual_tag_by(first, at);
    if (text_.size() - at >= 64) { // names and hosts are long
        const ValueMarks second = marks_at(at + 64);
        const auto join = [](std::uint64_t low, std::uint64_t high) {
            return static_cast<Mask128>(high) << 64U | low;
        };
        return usual_tag_by(BasicValueMarks<Mask128>{join(first.line_feed, second.line_feed),
                                                     join(first.semicolon, second.semicolon),
                                                     join(first.less, second.less),
                                                     join(first.greater, second.greater),
                                                     join(first.quote, second.quote),
                                                     join(first.comma, second.comma),
                                                     join(first.backslash, second.backslash)},
                            at);
    }
    return kLookCloser;
}

template <typename Mask>
std::size_t HeaderReader::usual_tag_by(const BasicValueMarks<Mask>& marks,
                                       std::size_t at) const noexcept {
    const auto lowest = [](Mask bits) { return bits & (0 - bits); };
    const Mask end = lowest(marks.line_feed);
    const Mask less = lowest(marks.less);
    const Mask greater = lowest(marks.greater & ~(less - 1));
    const Mask before_uri = less - 1;
    const Mask behind_uri = (end - 1) & ~((greater << 1U) - 1);
    const Mask quotes = marks.quote & before_uri;
    const Mask closing = quotes & (quotes - 1);
    const Mask quoted = closing - lowest(quotes); // from the first quote to the second
    const Mask odd =
        ((marks.comma | marks.semicolon) & before_uri & ~quoted) | (marks.backslash & before_uri) |
        ((marks.quote | marks.comma | marks.less) & behind_uri) | (closing & (closing - 1));
    if (odd != 0 || less == 0 || greater == 0 || greater >= end || (closing == 0 && quotes != 0))
        return kLookCloser;
    const std::size_t next = at + lowest_place(end) + 1;
    if (next < text_.size() && is_blank(text_[next])) return kLookCloser;

    const Mask parameters = marks.semicolon & behind_uri;
    if (parameters == 0) return kNoTag;
    const std::size_t name = at + lowest_place(parameters) + 1;
    const std::uint64_t word = word_at(text_, name);
    const auto equals = static_cast<char>(word >> 24U & 0xff);
    const auto first = static_cast<char>(word >> 32U & 0xff);
    if (kTag.begins(word) && equals == '=' && first > ' ' && first != ';' && first != ',')
        return name + kTag.length + 1;
    return kLookCloser;
}

/// The parameter that begins at `at`; empty: it has another name or no value.
std::optional<std::string_view> HeaderReader::parameter_at(std::size_t at,
                                                           const FoldedName& name) const noexcept {
    at = skip_space(at);
    if (!name.begins(word_at(text_, at))) return std::nullopt;
    at = skip_space(at + name.length);
    if (at >= text_.size() || text_[at] != '=') return std::nullopt;
    at = skip_space(at + 1);
    return slice(text_, at, ValueEnds::find(text_, at));
}

/// What stands on a SIP port without being SIP (RFC 5626 §3.5.1, §4.4.1; RFC 5389 §6).
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

const ScanLevel best_level = [] {
#if defined(__x86_64__)
    __builtin_cpu_init(); // this may run before the compiler's own start-up code
#endif
    ScanLevel best = ScanLevel::Scalar;
    for (const ScanLevel level : kScanLevels)
        if (has_scan_level(level)) best = level;
    return best;
}();
/// False: nothing else needs to be read.
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

void read(const ScanOps& ops,
          std::span<const std::byte> payload,
          const ReadRules& rules,
          SipDigest& digest) noexcept {
    const std::string_view whole(reinterpret_cast<const char*>(payload.data()), payload.size());
    // Empty lines before the first line are skipped (RFC 3261 §7.5).
    const std::size_t start = LineBreaks::skip(whole, 0);
    const std::string_view text = slice(whole, start, whole.size());

    const std::size_t first_end = find_line_feed(ops, text, 0);
    // What begins with a letter is neither STUN nor a keep-alive: if it has a Call-ID, nobody who
    // did not want the first line needs to know more.
    const bool may_wait = !wants(rules.want, Want::FirstLine) && !whole.empty() &&
                          is_in(kToken, whole[0]) && (whole[0] & 0x40) != 0;
    if (!may_wait && !read_first_line(whole, text, first_end, digest)) return;
    // More line feeds behind the first line than one end no header section that has not begun.
    HeaderReader(ops, text, rules, digest).read(LineFeeds::skip(text, first_end + 1) - 1);
    if (!may_wait) return;
    digest.kind = PayloadKind::Unread;
    if (digest.call_id.empty()) static_cast<void>(read_first_line(whole, text, first_end, digest));
}

} // namespace

const ScanOps& best_scan_ops =
    scan_ops(best_level); // behind best_level: they are set in this order

ScanLevel best_scan_level() noexcept {
    return best_level;
}

SipDigest read_digest_at(ScanLevel level,
                         std::span<const std::byte> payload,
                         const ReadRules& rules) noexcept {
    SipDigest digest;
    read(scan_ops(level), payload, rules, digest);
    return digest;
}

SipDigest read_digest(std::span<const std::byte> payload, const ReadRules& rules) noexcept {
    SipDigest digest;
    read(best_scan_ops, payload, rules, digest);
    return digest;
}

void read_digest(std::span<const std::byte> payload,
                 const ReadRules& rules,
                 SipDigest& digest) noexcept {
    read(best_scan_ops, payload, rules, digest);
}

} // namespace viaduct
