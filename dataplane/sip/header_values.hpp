// SPDX-License-Identifier: Apache-2.0
//
// header_values: reads the value of a header field that was found: the value itself, its tag or
// branch, its CSeq.
//
// In:    the text of a message and where a value starts in it, after the colon. Hostile.
// Cost:  usually one or two reads of 64 bytes; linear in the length of the value, and limited where
//        there are many quotes, brackets and parameters.
// Spec:  RFC 3261 §7.3.1 (folding), §19.3 (tags), §20.16 (CSeq), §20.42 (Via), §25.1.
//
// Only one translation unit includes it, so that the usual cases are inlined.
#pragma once

#include "sip/scan.hpp"
#include "sip/text.hpp"
#include "sip/words.hpp"

#include "viaduct/sip/digest.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <optional>
#include <string_view>

namespace viaduct::header_values {

using namespace sip_text;
using namespace sip_words;

/// The most quotes, brackets and parameters of one value that are read: real ones have a few. A
/// parameter after this many counts as absent.
inline constexpr unsigned kMaxMarks = 24;

inline constexpr FoldedName kTag("tag");
inline constexpr FoldedName kBranch("branch");

/// Reads RFC 3261 §20.16: 1*DIGIT LWS Method. `value` starts with its first character.
inline std::optional<CSeq> read_cseq(std::string_view value) noexcept {
    constexpr std::size_t kDigitsLookedAt = 64; // a number has ten; zeros may precede it
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

/// Reads nearly every CSeq: up to seven digits, a blank, a method of up to eight letters, CR LF and
/// no fold. Empty: use read_cseq().
inline std::optional<CSeq> read_usual_cseq(std::string_view text, std::size_t at) noexcept {
    const std::uint64_t start = word_at(text, at);
    // The upper half of a digit is 3, and adding 6 does not change that.
    const std::uint64_t no_digit =
        ((start & 0xf0 * kEvery) | ((start + 0x06 * kEvery) & 0xf0 * kEvery) >> 4U) ^ 0x33 * kEvery;
    if (no_digit == 0) return std::nullopt;
    const auto digits = static_cast<unsigned>(std::countr_zero(no_digit)) / 8;
    if (digits == 0 || (start >> (8 * digits) & 0xff) != ' ') return std::nullopt;
    // Combines two digits at a time, then four, then eight.
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

/// Mask of the bytes outside quoted strings and <URIs>, 64 at a time.
class Outside {
public:
    /// The mask of the next 64 bytes, as far as they belong to the value: bit i is byte i. Reads at
    /// most `marks_left` quotes and brackets, and updates it. Adds those to `read`.
    std::uint64_t next(const ValueMarks& marks,
                       std::uint64_t before_end,
                       unsigned& marks_left,
                       std::uint64_t& read) noexcept {
        std::uint64_t outside = before_end;
        std::uint64_t rest =
            (marks.quote | marks.less | marks.greater | marks.backslash) & before_end;
        if (skip_first_) rest &= ~std::uint64_t{1};
        skip_first_ = false;
        std::uint64_t start = 1; // of the string or URI that is open, if any
        for (; rest != 0 && marks_left > 0; rest &= rest - 1, --marks_left) {
            const std::uint64_t mark = rest & (0 - rest);
            read |= mark;
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
    bool skip_first_ = false; ///< the byte before the next 64 is a backslash
};

/// A view of one message.
class HeaderValues {
public:
    HeaderValues(const ScanOps& ops, std::string_view text) noexcept : ops_(ops), text_(text) {}

    /// The value that starts after the colon at `at`, without surrounding white space.
    [[nodiscard]] std::string_view value(std::size_t at) const noexcept {
        std::size_t end = find_line_feed(at);
        // A line that starts with a blank continues the one before (RFC 3261 §7.3.1).
        if (end + 1 < text_.size() && is_blank(text_[end + 1])) end = end_of_folded(text_, end);
        // Nearly always one blank before it and CR after it.
        const std::size_t first = at < end && is_blank(text_[at]) ? at + 1 : at;
        const std::size_t last = at < end && text_[end - 1] == '\r' ? end - 1 : end;
        if (first < last && !is_space(text_[first]) && !is_space(text_[last - 1])) [[likely]]
            return slice(text_, first, last);
        return trim(text_, at, end);
    }

    /// The tag of a From or To; empty when absent.
    [[nodiscard]] std::string_view tag(std::size_t at) const noexcept {
        const std::size_t usual = usual_tag(at);
        if (usual == kUnusualTag) [[unlikely]]
            return find_parameter(at, kTag);
        if (usual == kNoTag) return {};
        return slice(text_, usual, ValueEnds::find(text_, usual));
    }
    [[nodiscard]] bool has_tag(std::size_t at) const noexcept;
    /// The branch of the first value of a Via; empty when absent.
    [[nodiscard]] std::string_view branch(std::size_t at) const noexcept;
    [[nodiscard]] std::optional<CSeq> cseq(std::size_t at) const noexcept;

    /// The position of the first line feed from `at` on; the size if none. It is unpredictable in
    /// which sixteen bytes it is, so 64 are read without a branch.
    [[nodiscard]] std::size_t find_line_feed(std::size_t at) const noexcept {
        for (; text_.size() - at >= 64; at += 64)
            if (const std::uint64_t found = ops_.line_feeds(text_.data() + at); found != 0)
                [[likely]]
                return at + static_cast<std::size_t>(std::countr_zero(found));
        return LineFeeds::find(text_, at);
    }

private:
    [[nodiscard]] static std::size_t end_of_folded(std::string_view text, std::size_t at) noexcept;
    [[nodiscard]] std::size_t usual_tag(std::size_t at) const noexcept {
        return ops_.usual_tag(text_.data(), text_.size(), at);
    }
    [[nodiscard]] std::string_view find_parameter(std::size_t at,
                                                  const FoldedName& name) const noexcept;
    [[nodiscard]] std::size_t skip_space(std::size_t at) const noexcept;
    [[nodiscard]] std::optional<std::string_view>
    parameter_at(std::size_t at, const FoldedName& name) const noexcept;
    [[nodiscard]] std::uint64_t blanks_from(std::size_t at) const noexcept;
    [[nodiscard]] ValueMarks marks_at(std::size_t at) const noexcept;

    const ScanOps& ops_;
    std::string_view text_;
};

/// The position of the first line feed from `at` on that no blank follows; the size if none.
inline std::size_t HeaderValues::end_of_folded(std::string_view text, std::size_t at) noexcept {
    // A sender may send many short lines: sixteen bytes at a time.
    for (; text.size() - at > Blanks::kStep; at += Blanks::kStep) {
        const std::uint32_t ends =
            LineFeeds::mask(text.data() + at) & ~Blanks::mask(text.data() + at + 1);
        if (ends != 0) return at + static_cast<std::size_t>(std::countr_zero(ends));
    }
    for (; at < text.size(); ++at)
        if (text[at] == '\n' && (at + 1 == text.size() || !is_blank(text[at + 1]))) return at;
    return at;
}

/// Bit i: byte `at` + i is a blank. `at` is 1 to the size.
inline std::uint64_t HeaderValues::blanks_from(std::size_t at) const noexcept {
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

inline ValueMarks HeaderValues::marks_at(std::size_t at) const noexcept {
    if (text_.size() - at >= 64) [[likely]]
        return ops_.marks(text_.data() + at);
    std::array<char, 64> copy{};
    std::memcpy(copy.data(), text_.data() + at, text_.size() - at);
    copy[text_.size() - at] = '\n'; // the text ends the value
    return ops_.marks(copy.data());
}

/// The value of a header parameter such as ";tag=" in the first value of the field after the colon
/// at `at`. Quoted strings and <URIs> are skipped; the search ends at a comma outside of them (RFC
/// 3261 §7.3.1).
inline std::string_view HeaderValues::find_parameter(std::size_t at,
                                                     const FoldedName& name) const noexcept {
    Outside places;
    unsigned left = kMaxMarks;
    for (; at < text_.size(); at += 64) {
        const ValueMarks marks = marks_at(at);
        std::uint64_t ends = marks.line_feed;
        if (ends != 0) ends &= ~blanks_from(at + 1); // a line feed before a blank is a fold
        const std::uint64_t before_end = (ends & (0 - ends)) - 1; // all ones if there is no end
        const unsigned left_here = left;
        std::uint64_t read = 0;
        std::uint64_t outside = places.next(marks, before_end, left, read);
        const std::uint64_t comma = marks.comma & outside;
        outside &= (comma & (0 - comma)) - 1;
        unsigned parameters = 0;
        for (std::uint64_t starts = marks.semicolon & outside; starts != 0; starts &= starts - 1) {
            const std::uint64_t before = (starts & (0 - starts)) - 1;
            if (static_cast<unsigned>(std::popcount(read & before)) + parameters++ >= left_here)
                return {};
            const auto start = at + static_cast<std::size_t>(std::countr_zero(starts));
            if (const auto found = parameter_at(start + 1, name)) return *found;
        }
        left -= std::min(left, parameters);
        if ((ends | comma) != 0 || left == 0) return {};
    }
    return {};
}

/// The next position after white space; the text's size if the line ends before.
inline std::size_t HeaderValues::skip_space(std::size_t at) const noexcept {
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

/// Whether the To that starts after the colon at `at` has a tag.
inline bool HeaderValues::has_tag(std::size_t at) const noexcept {
    const std::size_t usual = usual_tag(at);
    return usual == kUnusualTag ? !find_parameter(at, kTag).empty() : usual != kNoTag;
}

/// The parameter that starts at `at`; empty: it has another name or no value.
inline std::optional<std::string_view>
HeaderValues::parameter_at(std::size_t at, const FoldedName& name) const noexcept {
    at = skip_space(at);
    if (!name.begins(word_at(text_, at))) return std::nullopt;
    at = skip_space(at + name.length);
    if (at >= text_.size() || text_[at] != '=') return std::nullopt;
    at = skip_space(at + 1);
    return slice(text_, at, ValueEnds::find(text_, at));
}

inline std::string_view HeaderValues::branch(std::size_t at) const noexcept {
    return find_parameter(at, kBranch);
}

inline std::optional<CSeq> HeaderValues::cseq(std::size_t at) const noexcept {
    const bool blank = at < text_.size() && is_blank(text_[at]);
    const std::optional<CSeq> usual = read_usual_cseq(text_, at + (blank ? 1 : 0));
    return usual ? usual : read_cseq(value(at));
}

} // namespace viaduct::header_values
