// SPDX-License-Identifier: Apache-2.0
//
// scan_tag: shared by the levels of ScanOps::usual_tag, which finds the tag of nearly every From
// and To: one <URI> on one line, perhaps with a display name before it, then the tag or nothing.
//
// It reads two blocks of 64 bytes, one from the start of the value and one from its `<`. So no
// branch depends on where the line ends; a longer display name or URI is unusual.
//
// Everything is internal to the files of one level and inlined into their code, as in scan_block.
#pragma once

#include "sip/scan_block.hpp"
#include "sip/text.hpp"
#include "sip/words.hpp"

#include <bit>
#include <cstddef>
#include <cstdint>

namespace viaduct {

namespace {

/// Characters that are rare before a URI or in one, one bit for each.
constexpr ClassTable kAroundUri = [] {
    ClassTable table;
    table.add('\n', 0x01);
    table.add('"', 0x02);
    table.add('\\', 0x04);
    table.add(',', 0x08);
    table.add(';', 0x10);
    table.add('<', 0x20);
    table.add('>', 0x40);
    return table;
}();
constexpr char kBeforeUri = 0x5f; ///< the bits of those that are rare before a URI
constexpr char kInUri = 0x27;     ///< the bits of those that are rare in a URI

class UsualTag {
public:
    static constexpr std::size_t kBlock = 64;

    [[gnu::always_inline]] UsualTag(const char* text, std::size_t size, std::size_t at) noexcept
        : text_(text), size_(size), at_(at) {}

    /// The bytes of the block. Null: fewer than 64 are left.
    [[gnu::always_inline]] [[nodiscard]] const char* block() const noexcept {
        return size_ - at_ >= kBlock ? text_ + at_ : nullptr;
    }

    [[gnu::always_inline]] bool go_to_uri(const ValueMarks& marks) noexcept {
        return go_to_uri(marks.less,
                         marks.quote,
                         marks.quote | marks.line_feed | marks.comma | marks.semicolon |
                             marks.backslash | marks.greater);
    }
    [[gnu::always_inline]] [[nodiscard]] std::size_t
    after_uri(const ValueMarks& marks) const noexcept {
        return after_uri(marks.greater,
                         marks.quote | marks.line_feed | marks.less | marks.backslash);
    }

    /// Moves the block to the `<`. `special`: the characters of kBeforeUri. False: the value does
    /// not start as usual.
    [[gnu::always_inline]] bool
    go_to_uri(std::uint64_t less, std::uint64_t quotes, std::uint64_t special) noexcept {
        const std::uint64_t before = special & ((less & (0 - less)) - 1);
        const std::uint64_t but_one = before & (before - 1);
        // Nothing special, or exactly two quotes.
        const bool is_usual = (before & ~quotes) == 0 && (but_one & (but_one - 1)) == 0 &&
                              (before == 0 || but_one != 0) && less != 0;
        if (!is_usual) [[unlikely]]
            return false;
        at_ += static_cast<std::size_t>(std::countr_zero(less));
        return true;
    }

    /// What ScanOps::usual_tag returns. The masks are of the block that starts at the `<`. `odd`:
    /// line feeds, and what counts as a mark inside a URI, where it is rare.
    [[gnu::always_inline]] [[nodiscard]] std::size_t after_uri(std::uint64_t greater,
                                                               std::uint64_t odd) const noexcept {
        constexpr sip_words::FoldedName kTag("tag");
        const std::uint64_t end = greater & (0 - greater);
        if (end == 0 || (odd & (end - 1)) != 1) [[unlikely]] // the `<` itself
            return kUnusualTag;
        const std::size_t after = at_ + static_cast<std::size_t>(std::countr_zero(end)) + 1;
        if (size_ - after < sizeof(std::uint64_t)) [[unlikely]]
            return kUnusualTag;
        const std::uint64_t word = sip_words::word_at({text_, size_}, after);
        const auto byte = [&](unsigned i) { return static_cast<char>(word >> 8 * i & 0xff); };
        if (byte(0) == ';') {
            const char first = byte(5);
            const bool has_value = byte(4) == '=' && first > ' ' && first != ';' && first != ',';
            return kTag.begins(word >> 8U) && has_value ? after + 5 : kUnusualTag;
        }
        const bool ends = byte(0) == '\r' && byte(1) == '\n' && !sip_text::is_blank(byte(2));
        return ends ? kNoTag : kUnusualTag;
    }

private:
    const char* text_;
    std::size_t size_;
    std::size_t at_;
};

} // namespace

} // namespace viaduct
