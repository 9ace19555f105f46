// SPDX-License-Identifier: Apache-2.0
#include "viaduct/sip/digest.hpp"

#include "sip/field_names.hpp"
#include "sip/first_line.hpp"
#include "sip/header_values.hpp"
#include "sip/lone_call_id.hpp"
#include "sip/scan.hpp"
#include "sip/text.hpp"
#include "sip/words.hpp"

#include <array>
#include <bit>
#include <utility>

namespace viaduct {

using namespace sip_text;
using namespace sip_words;
using namespace field_names;
using header_values::HeaderValues;

namespace {

constexpr std::uint8_t kAnyCallId = line_class::kCallId | line_class::kCompactCallId;

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

constexpr std::uint8_t classes_for(Want want) noexcept {
    return kWantedClasses[static_cast<std::size_t>(want) % kWantedClasses.size()];
}

void start_list(std::size_t text_size,
                std::size_t first_line_end,
                const ReadRules& rules,
                LineList& list) noexcept {
    list.next = first_line_end;
    list.pause = text_size;
    list.lines_left = rules.max_header_lines;
    list.wanted = classes_for(rules.want);
    list.done = first_line_end >= text_size;
    list.wants_references = wants(rules.want, Want::CallReference);
}

/// Where the values of the wanted fields start, after the colon; 0: not found.
using ValuePlaces = std::array<std::size_t, kFields>;

/// Reads the values into the digest, but the Call-ID. `text_at`: position of the text in the
/// payload.
inline void take_values(const HeaderValues& read,
                        const ValuePlaces& values,
                        std::size_t text_at,
                        Want want,
                        SipDigest& digest) noexcept {
    const bool wants_tags = wants(want, Want::Tags);
    if (const std::size_t at = values[kTo]; at != 0) {
        if (wants_tags) digest.to_tag = read.tag(at);
        digest.has_to_tag = wants_tags ? !digest.to_tag.empty() : read.has_tag(at);
    }
    if (wants(want, Want::Later)) {
        const auto place = [&](std::uint8_t field) {
            const std::size_t at = values[field];
            return at == 0 ? std::uint16_t{0} : static_cast<std::uint16_t>(text_at + at);
        };
        digest.later = {place(kFrom), place(kCSeq), place(kVia)};
        return;
    }
    if (const std::size_t at = values[kFrom]; at != 0) digest.from_tag = read.tag(at);
    if (const std::size_t at = values[kCSeq]; at != 0) digest.cseq = read.cseq(at);
    if (const std::size_t at = values[kVia]; at != 0) digest.top_via_branch = read.branch(at);
}

/// Reads header lines, from the end of the first line to the empty line.
class HeaderReader {
public:
    HeaderReader(const ScanOps& ops,
                 std::string_view text,
                 std::size_t text_at,
                 std::size_t first_line_end,
                 const ReadRules& rules,
                 SipDigest& digest) noexcept
        : ops_(ops), text_(text), text_at_(text_at), first_line_end_(first_line_end),
          read_(ops, text), rules_(rules), digest_(digest), wanted_(classes_for(rules.want)) {}

    /// `list`: from start_list(). `is_scanned`: it has candidates already.
    void read(LineList& list, bool is_scanned) noexcept {
        const auto lines = list.wants_references ? ops_.lines_and_call_references : ops_.lines;
        while (!list.done || is_scanned) {
            constexpr std::size_t kLenientStep = 256;
            list.pause = rules_.lenient ? list.next + kLenientStep : text_.size();
            std::size_t next = first_line_end_;
            std::size_t lines_left = rules_.max_header_lines;
            if (!std::exchange(is_scanned, false)) {
                list.count = 0;
                next = list.next;
                lines_left = list.lines_left;
                if (!strictly_) [[likely]]
                    lines(text_.data(), text_.size(), list);
                else
                    scan_strictly(ops_, text_.data(), text_.size(), list);
            }
            if (!look_at(list)) {
                if (digest_.defect != Defect::None) break;
                list.wanted = open_classes();
                if (list.wanted == 0) break;
                list.next = next; // again, but with fewer candidate lines
                list.lines_left = lines_left;
                list.done = list.too_many_lines = false;
                continue;
            }
            if (list.done && !list.too_many_lines) break;
            list.wanted = open_classes();
            if (list.wanted == 0) break; // all wanted fields are known
            if (list.too_many_lines) digest_.defect = Defect::TooManyHeaderLines;
        }
        const bool read_all = list.done && !list.too_many_lines;
        digest_.may_reference_call = !list.wants_references || !read_all || list.may_reference_call;
        take_fields();
    }

private:
    /// Lines that only start like a wanted field ("Call-Info") cost a check each. Real messages
    /// have a few. With more than kOddLines, or more than one per kBytesAnOddLine bytes, the scan
    /// switches to whole names.
    static constexpr std::size_t kOddLines = 4;
    static constexpr std::size_t kBytesAnOddLine = 16;
    static constexpr unsigned kMaxCallIds = 4;

    /// Checks the candidate lines that were not checked yet. False: there is a defect, or there
    /// were too many odd lines.
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

    /// line_class bits of the fields that are still missing.
    [[nodiscard]] std::uint8_t open_classes() const noexcept {
        unsigned open = wanted_;
        if (values_[kCallId] != 0 && rules_.lenient) open &= ~unsigned{kAnyCallId};
        if (values_[kTo] != 0) open &= ~unsigned{line_class::kTo};
        if (values_[kCSeq] != 0) open &= ~unsigned{line_class::kCSeq};
        if (values_[kVia] != 0) open &= ~unsigned{line_class::kVia};
        if (values_[kFrom] != 0) open &= ~unsigned{line_class::kFrom};
        return static_cast<std::uint8_t>(open);
    }

    /// False: switch to searching for whole names.
    bool odd_line(std::size_t start, unsigned cost) noexcept {
        odd_lines_ += cost;
        if (strictly_ || odd_lines_ <= kOddLines + start / kBytesAnOddLine) return true;
        strictly_ = true;
        return false;
    }

    /// Compares a further Call-ID with the first.
    bool compare_call_id(std::size_t at) noexcept {
        if (more_call_ids_ == 0) digest_.call_id = read_.value(values_[kCallId]);
        if (++more_call_ids_ >= kMaxCallIds || read_.value(at) != digest_.call_id)
            digest_.defect = Defect::AmbiguousCallId;
        return digest_.defect == Defect::None;
    }

    void take_fields() noexcept {
        if (const std::size_t at = values_[kCallId]; at != 0 && more_call_ids_ == 0)
            digest_.call_id = read_.value(at);
        take_values(read_, values_, text_at_, rules_.want, digest_);
    }

    const ScanOps& ops_;
    std::string_view text_;
    std::size_t text_at_; ///< position in the payload
    std::size_t first_line_end_;
    HeaderValues read_;
    const ReadRules& rules_;
    SipDigest& digest_;
    std::uint8_t wanted_; ///< line_class bits
    ValuePlaces values_{};
    unsigned more_call_ids_ = 0;
    std::size_t odd_lines_ = 0;
    bool strictly_ = false;
    std::size_t looked_at_ = 0; ///< the last line that was checked
};

const ScanLevel best_level = [] {
#if defined(__x86_64__)
    __builtin_cpu_init(); // this may run before the compiler's own start-up code
#endif
    ScanLevel best = ScanLevel::Scalar;
    for (const ScanLevel level : kScanLevels)
        if (has_scan_level(level)) best = level;
    return best;
}();

/// A payload that starts with a letter is neither STUN nor a keep-alive. If it has a Call-ID,
/// callers that did not want the first line need no more.
bool may_wait_for_first_line(std::string_view whole, const ReadRules& rules) noexcept {
    return !wants(rules.want, Want::FirstLine) && !whole.empty() && is_in(kToken, whole[0]) &&
           (whole[0] & 0x40) != 0;
}

/// What is known of a message that turned out not to be ordinary.
struct Known {
    std::optional<std::size_t> first_line_end; ///< no line break precedes the first line
    bool is_first_line_read = false;
    bool is_scanned = false; ///< the list has candidates
    LineList lines;
};

[[gnu::noinline]] void read_usual(const ScanOps& ops,
                                  std::string_view whole,
                                  const ReadRules& rules,
                                  Known& known,
                                  SipDigest& digest) noexcept {
    const bool may_wait = may_wait_for_first_line(whole, rules);
    // Empty lines before the first line are skipped (RFC 3261 §7.5).
    const std::size_t start = known.first_line_end ? 0 : LineBreaks::skip(whole, 0);
    const std::string_view text = slice(whole, start, whole.size());
    const std::size_t first_end =
        known.first_line_end ? *known.first_line_end : HeaderValues(ops, text).find_line_feed(0);
    if (!may_wait && !known.is_first_line_read && !read_first_line(whole, text, first_end, digest))
        return;
    // Further line feeds after the first line do not end the header section, which has not started.
    const std::size_t header_at = LineFeeds::skip(text, first_end + 1) - 1;
    if (!known.is_scanned) start_list(text.size(), header_at, rules, known.lines);
    HeaderReader(ops, text, start, header_at, rules, digest).read(known.lines, known.is_scanned);
    if (!may_wait) return;
    digest.kind = PayloadKind::Unread;
    if (digest.call_id.empty()) static_cast<void>(read_first_line(whole, text, first_end, digest));
}

/// Prepares the scan of the lines after the first one. False: empty lines precede or follow the
/// first line, or the text ends with it.
inline bool find_first_line(const ScanOps& ops,
                            std::string_view whole,
                            const ReadRules& rules,
                            Known& known) noexcept {
    if (whole.empty() || whole[0] == '\r' || whole[0] == '\n') [[unlikely]]
        return false;
    const std::size_t end = HeaderValues(ops, whole).find_line_feed(0);
    known.first_line_end = end;
    if (end + 1 >= whole.size() || whole[end + 1] == '\n') [[unlikely]]
        return false;
    start_list(whole.size(), end, rules, known.lines);
    return true;
}

/// Whether a wanted name with blanks before its colon may start there.
[[gnu::noinline]] bool
may_be_before_blank(std::string_view text, std::size_t start, std::uint64_t word) noexcept {
    const FieldNames::Row& row = kFieldNames.find(word);
    const std::size_t after = start + row.name.length;
    return row.name.begins(word) && after < text.size() && is_blank(text[after]);
}

/// Finds the values of an ordinary message: all names are followed by their colon, and there is one
/// Call-ID. False: HeaderReader has to look.
inline bool find_values(std::string_view text, const LineList& list, ValuePlaces& values) noexcept {
    if (!list.done || list.too_many_lines) return false;
    for (std::size_t i = 0; i < list.count; ++i)
        for (std::uint64_t bits = list.line_feeds[i]; bits != 0; bits &= bits - 1) {
            const std::size_t start =
                list.bases[i] + 1 + static_cast<std::size_t>(std::countr_zero(bits));
            const std::uint64_t word = word_at(text, start);
            const FieldNames::Row& name = kFieldNamesWithColon.find(word);
            if (!name.name.begins(word)) [[unlikely]] {
                if (may_be_before_blank(text, start, word)) return false;
                continue;
            }
            std::size_t& value_at = values[name.field];
            if (value_at == 0) [[likely]]
                value_at = start + name.name.length;
            else if (name.field == kCallId)
                return false;
        }
    return true;
}

/// Reads a message whose Call-ID is not all that is wanted. False: it is not ordinary.
inline bool read_fields(const ScanOps& ops,
                        std::string_view whole,
                        const ReadRules& rules,
                        Known& known,
                        SipDigest& digest) noexcept {
    if (rules.lenient || !find_first_line(ops, whole, rules, known)) [[unlikely]]
        return false;
    const bool may_wait = may_wait_for_first_line(whole, rules);
    if (!may_wait) {
        if (!read_first_line(whole, whole, *known.first_line_end, digest)) [[unlikely]]
            return true; // not SIP
        known.is_first_line_read = true;
    }
    known.is_scanned = true;
    LineList& list = known.lines;
    (list.wants_references ? ops.lines_and_call_references
                           : ops.lines)(whole.data(), whole.size(), list);
    ValuePlaces values{};
    if (!find_values(whole, list, values)) [[unlikely]]
        return false;
    if (may_wait) digest.kind = PayloadKind::Unread;
    digest.may_reference_call = !list.wants_references || list.may_reference_call;
    const HeaderValues read(ops, whole);
    if (const std::size_t at = values[kCallId]; at != 0) digest.call_id = read.value(at);
    take_values(read, values, 0, rules.want, digest);
    if (may_wait && digest.call_id.empty()) [[unlikely]]
        static_cast<void>(read_first_line(whole, whole, *known.first_line_end, digest));
    return true;
}

/// Reads a message of which only the Call-ID is wanted: that of a pool that steers by hash. False:
/// it is not ordinary.
inline bool read_call_id(const ScanOps& ops,
                         std::string_view whole,
                         const ReadRules& rules,
                         Known& known,
                         SipDigest& digest) noexcept {
    if (!find_first_line(ops, whole, rules, known)) [[unlikely]]
        return false;
    known.is_scanned = ops.call_id_lines(whole.data(), whole.size(), known.lines);
    if (!known.is_scanned || !lone_call_id::take_call_id(ops, whole, known.lines, digest))
        [[unlikely]]
        return false;
    if (digest.call_id.empty()) [[unlikely]]
        static_cast<void>(read_first_line(whole, whole, *known.first_line_end, digest));
    return true;
}

void read(const ScanOps& ops,
          std::span<const std::byte> payload,
          const ReadRules& rules,
          SipDigest& digest) noexcept {
    const std::string_view whole(reinterpret_cast<const char*>(payload.data()), payload.size());
    const bool needs_call_id_only = rules.want == Want::CallReference && !rules.lenient &&
                                    ops.call_id_lines != nullptr &&
                                    may_wait_for_first_line(whole, rules);
    Known known;
    const bool is_ordinary = needs_call_id_only ? read_call_id(ops, whole, rules, known, digest)
                                                : read_fields(ops, whole, rules, known, digest);
    if (!is_ordinary) [[unlikely]]
        read_usual(ops, whole, rules, known, digest);
}

} // namespace

const ScanOps& best_scan_ops =
    scan_ops(best_level); // after best_level: they are initialised in this order

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

namespace {

HeaderValues values_of(std::span<const std::byte> payload) noexcept {
    return {best_scan_ops, {reinterpret_cast<const char*>(payload.data()), payload.size()}};
}

/// Whether there is a value to read. Without the payload nothing is read.
bool is_there(std::uint16_t place, std::span<const std::byte> payload) noexcept {
    return place != 0 && place < payload.size();
}

} // namespace

DialogTags dialog_tags(const SipDigest& digest, std::span<const std::byte> payload) noexcept {
    DialogTags tags{digest.from_tag, digest.to_tag};
    if (is_there(digest.later.from, payload)) tags.from = values_of(payload).tag(digest.later.from);
    return tags;
}

std::string_view top_via_branch(const SipDigest& digest,
                                std::span<const std::byte> payload) noexcept {
    if (!is_there(digest.later.top_via, payload)) return digest.top_via_branch;
    return values_of(payload).branch(digest.later.top_via);
}

std::optional<CSeq> cseq_of(const SipDigest& digest, std::span<const std::byte> payload) noexcept {
    if (!is_there(digest.later.cseq, payload)) return digest.cseq;
    return values_of(payload).cseq(digest.later.cseq);
}

} // namespace viaduct
