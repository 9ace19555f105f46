// SPDX-License-Identifier: Apache-2.0
//
// header_reader: reads the wanted fields of any message, however odd; digest.cpp does the ordinary
// ones in fewer steps.
//
// In:    the lines that ScanOps::lines has found. Hostile.
// Out:   the fields of a SipDigest that come from header lines.
// Cost:  a check for each candidate line; bounded where many lines only start like a wanted one.
// Spec:  RFC 3261 §7.3.1 (names, folding), §25.1 (HCOLON).
//
// Only one translation unit includes it, so that it is inlined.
#pragma once

#include "sip/field_names.hpp"
#include "sip/header_values.hpp"
#include "sip/scan.hpp"
#include "sip/text.hpp"
#include "sip/words.hpp"

#include "viaduct/sip/digest.hpp"

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

namespace viaduct::header_reader {

using namespace sip_text;
using namespace sip_words;
using namespace field_names;
using header_values::HeaderValues;

inline constexpr std::uint8_t kAnyCallId = line_class::kCallId | line_class::kCompactCallId;

/// line_class bits by Want.
inline constexpr auto kWantedClasses = [] {
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

inline void start_list(std::size_t text_size,
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

} // namespace viaduct::header_reader
