// SPDX-License-Identifier: Apache-2.0
#include "viaduct/sip/digest.hpp"

#include "sip/field_names.hpp"
#include "sip/first_line.hpp"
#include "sip/header_reader.hpp"
#include "sip/header_values.hpp"
#include "sip/lone_call_id.hpp"
#include "sip/scan.hpp"
#include "sip/text.hpp"
#include "sip/words.hpp"

#include <array>
#include <bit>
#include <optional>

namespace viaduct {

using namespace sip_text;
using namespace sip_words;
using namespace field_names;
using namespace header_reader;
using header_values::HeaderValues;

namespace {

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

/// Prepares the scan of the lines after the first one. False: a line break precedes the first line,
/// another line feed follows it, or the text ends with it.
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

/// Reads a message of which more is wanted than the Call-ID, or at a level without a scan for that.
/// False: it is not ordinary.
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
