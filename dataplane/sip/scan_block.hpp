// SPDX-License-Identifier: Apache-2.0
//
// scan_block: shared by all levels of scan: classes of characters, and what happens to the masks
// that a level makes of a block of 64 bytes.
//
// Everything is internal to the files of one level and inlined into their code: code that is
// compiled for one level must not be called by another.
#pragma once

#include "sip/scan.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

namespace viaduct {

namespace {

using Nibbles = std::array<std::uint8_t, 16>;

/// A character is in the classes that both of its halves have: two table lookups for 16, 32 or 64
/// characters at a time. Not for characters above 127, which are in no class.
struct ClassTable {
    Nibbles low{};  ///< by the lower four bits
    Nibbles high{}; ///< by the upper four bits

    constexpr void add(char c, std::uint8_t line_class) {
        const auto byte = static_cast<std::uint8_t>(c);
        low[byte & 0x0fU] = static_cast<std::uint8_t>(low[byte & 0x0fU] | line_class);
        high[byte >> 4U] = static_cast<std::uint8_t>(high[byte >> 4U] | line_class);
    }
    [[nodiscard]] constexpr std::uint8_t of(char c) const {
        const auto byte = static_cast<std::uint8_t>(c);
        return byte > 127 ? std::uint8_t{0}
                          : static_cast<std::uint8_t>(low[byte & 0x0fU] & high[byte >> 4U]);
    }
};

/// The classes that the first character of a line allows.
constexpr ClassTable kFirst = [] {
    using namespace line_class;
    ClassTable table;
    for (const char c : {'c', 'C'})
        table.add(c, kCallId | kCSeq);
    for (const char c : {'i', 'I'})
        table.add(c, kCompactCallId);
    for (const char c : {'t', 'T'})
        table.add(c, kTo);
    for (const char c : {'v', 'V'})
        table.add(c, kVia);
    for (const char c : {'f', 'F'})
        table.add(c, kFrom);
    table.add('\n', kEmptyLf);
    table.add('\r', kEmptyCrLf);
    return table;
}();

/// The classes that the lower four bits of the second character allow.
constexpr Nibbles kSecond = [] {
    using namespace line_class;
    Nibbles table{};
    const auto add = [&](char c, std::uint8_t line_class) {
        const auto at = static_cast<std::uint8_t>(c) & 0x0fU;
        table[at] = static_cast<std::uint8_t>(table[at] | line_class);
    };
    add('a', kCallId); // either letter case has the same lower bits
    add('s', kCSeq);
    add('o', kTo);
    add('i', kVia);
    add('r', kFrom);
    for (const char c : {':', ' ', '\t'})
        add(c, kCompactCallId | kTo | kVia | kFrom);
    add('\n', kEmptyCrLf);
    for (std::uint8_t& entry : table)
        entry = static_cast<std::uint8_t>(entry | kEmptyLf);
    return table;
}();

/// The characters of ValueMarks, one bit for each.
namespace mark {
constexpr std::uint8_t kLineFeed = 0x01;
constexpr std::uint8_t kSemicolon = 0x02;
constexpr std::uint8_t kLess = 0x04;
constexpr std::uint8_t kGreater = 0x08;
constexpr std::uint8_t kQuote = 0x10;
constexpr std::uint8_t kComma = 0x20;
constexpr std::uint8_t kBackslash = 0x40;
} // namespace mark

constexpr ClassTable kMarks = [] {
    ClassTable table;
    table.add('\n', mark::kLineFeed);
    table.add(';', mark::kSemicolon);
    table.add('<', mark::kLess);
    table.add('>', mark::kGreater);
    table.add('"', mark::kQuote);
    table.add(',', mark::kComma);
    table.add('\\', mark::kBackslash);
    return table;
}();

/// The characters of PartMarks, one bit for each; the bits of outer ones are above the others.
constexpr std::uint8_t kLastInner = 0x04;
constexpr ClassTable kParts = [] {
    ClassTable table;
    for (char c = 0; c < ' '; ++c)
        table.add(c, 0x01);
    for (const char c : {' ', '@'})
        table.add(c, 0x02);
    for (const char c : {':', '=', '?'})
        table.add(c, kLastInner);
    for (const char c : {';', '<', '>'})
        table.add(c, 0x08);
    for (const char c : {'"', ','})
        table.add(c, 0x10);
    table.add('\\', 0x20);
    return table;
}();
static_assert([] { // the tables use halves of a character
    constexpr std::string_view kInner = " :=?@";
    constexpr std::string_view kOuter = "\",;<>\\";
    for (int i = 0; i < 256; ++i) {
        const auto c = static_cast<char>(i);
        const bool outer = kOuter.find(c) != std::string_view::npos;
        const bool all = outer || i < ' ' || kInner.find(c) != std::string_view::npos;
        if ((kParts.of(c) != 0) != all || (kParts.of(c) > kLastInner) != outer) return false;
    }
    return true;
}());

/// One scan: reads a text in blocks of 64 places for line feeds, each with the two bytes that
/// follow, and collects the results. The last block overlaps the one before; `unseen` masks out
/// what was read before. Everything is inlined into code for one level, and no address is taken, so
/// that the state stays in registers.
class Scan {
public:
    static constexpr std::size_t kBlock = 64;
    static constexpr std::size_t kReach = kBlock + 2;

    [[gnu::always_inline]] Scan(const char* text, std::size_t size, LineList& list) noexcept
        : list_(list), text_(text), size_(size), end_(list.next),
          limit_(std::min(size < kReach ? 0 : size - kReach + 1, list.pause)),
          lines_left_(list.lines_left), count_(list.count) {}

    /// Moves to the next block. False: the scan may pause, or fewer than 64 places are left, or the
    /// text is too short for blocks.
    [[gnu::always_inline]] bool next() noexcept {
        if (end_ < limit_) [[likely]] {
            base_ = end_;
            end_ += kBlock;
            return true;
        }
        if (end_ + 2 >= size_ || size_ < kReach || end_ >= list_.pause) return false;
        base_ = size_ - kReach;
        unseen_ = ~std::uint64_t{0} << (end_ - base_);
        end_ = size_ - 2;
        return true;
    }
    [[gnu::always_inline]] [[nodiscard]] std::size_t base() const noexcept { return base_; }
    [[gnu::always_inline]] [[nodiscard]] std::uint64_t unseen() const noexcept { return unseen_; }

    /// For text that is read byte by byte.
    void set_block(std::size_t base, std::size_t places) noexcept {
        base_ = base;
        end_ = base + places;
    }

    /// Adds the new line feeds of the block: `candidates` are before a wanted or empty line,
    /// `empty` before one that may be empty by its first two characters. False: the scan ends.
    [[gnu::always_inline]] bool take(std::uint64_t candidates, std::uint64_t empty) noexcept {
        if (empty != 0) empty = really_empty(text_ + base_, empty);
        return keep(candidates, empty);
    }

    /// The same, and counts lines; `line_feeds`: all new line feeds of the block.
    [[gnu::always_inline]] bool take_and_count(std::uint64_t line_feeds,
                                               std::uint64_t candidates,
                                               std::uint64_t empty) noexcept {
        if (empty != 0) empty = really_empty(text_ + base_, empty);
        const std::uint64_t lines =
            empty == 0 ? line_feeds : line_feeds & ((empty & (0 - empty)) - 1);
        const auto begun = static_cast<std::size_t>(std::popcount(lines));
        if (begun <= lines_left_) [[likely]] {
            lines_left_ -= begun;
            return keep(candidates, empty);
        }
        const std::uint64_t extra = past_limit(lines);
        lines_left_ = 0;
        // A line feed that is the last byte of the text starts no line.
        const bool last_byte =
            base_ + static_cast<std::size_t>(std::countr_zero(extra)) + 1 == size_;
        if (last_byte) return keep(candidates, empty);
        list_.too_many_lines = done_ = true;
        keep(candidates & lines & ~extra, 0);
        return false;
    }

    /// Stores the results in the list. Returns whether the scan continues byte by byte.
    [[gnu::always_inline]] bool finish() noexcept {
        list_.next = end_;
        list_.lines_left = lines_left_;
        list_.count = count_;
        list_.done = done_;
        return !done_ && found_ < LineList::kEnough && end_ < list_.pause;
    }

private:
    [[gnu::always_inline]] bool keep(std::uint64_t candidates, std::uint64_t empty) noexcept {
        if (empty != 0) { // no header line follows
            candidates &= (empty & (0 - empty)) - 1;
            done_ = true;
        }
        // Blocks with candidates are unpredictable, so there is no branch.
        list_.line_feeds[count_] = candidates;
        list_.bases[count_] = base_;
        count_ += candidates != 0 ? 1 : 0;
        found_ += static_cast<std::size_t>(std::popcount(candidates));
        return empty == 0 && found_ < LineList::kEnough;
    }

    /// The line feeds that are really before LF or CR LF: the tables use only four bits of the
    /// second character.
    [[gnu::noinline]] static std::uint64_t really_empty(const char* bytes,
                                                        std::uint64_t line_feeds) noexcept {
        std::uint64_t empty = line_feeds;
        for (; line_feeds != 0; line_feeds &= line_feeds - 1) {
            const auto at = static_cast<unsigned>(std::countr_zero(line_feeds));
            if (bytes[at + 1] != '\n' && bytes[at + 2] != '\n')
                empty &= ~(line_feeds & (0 - line_feeds));
        }
        return empty;
    }

    /// The line feeds that start a line beyond the limit.
    [[nodiscard]] std::uint64_t past_limit(std::uint64_t line_feeds) const noexcept {
        for (std::size_t i = 0; i < lines_left_; ++i)
            line_feeds &= line_feeds - 1;
        return line_feeds;
    }

    LineList& list_;
    const char* text_;
    std::size_t size_;
    std::size_t base_ = 0;
    std::size_t end_;
    std::size_t limit_; ///< blocks that start before it are whole, and no pause is due
    std::size_t lines_left_;
    std::size_t count_;
    std::size_t found_ = 0;
    std::uint64_t unseen_ = ~std::uint64_t{0};
    bool done_ = false;
};

/// Converts the line feeds of a block from masks to positions. They are unpredictable, so there are
/// no branches.
class EndWriter {
public:
    [[gnu::always_inline]] EndWriter(std::size_t size, LineEnds& ends) noexcept
        : ends_(ends), size_(size), next_(ends.next), before_(ends.before) {
        ends_.count = 0;
    }
    /// Whether a block is left.
    [[gnu::always_inline]] [[nodiscard]] bool more() const noexcept {
        return next_ < size_ && !may_be_last_ && count_ < LineEnds::kEnough;
    }
    [[gnu::always_inline]] [[nodiscard]] std::size_t next() const noexcept { return next_; }
    [[gnu::always_inline]] [[nodiscard]] std::size_t left() const noexcept { return size_ - next_; }
    [[gnu::always_inline]] [[nodiscard]] std::uint16_t* end() noexcept {
        return ends_.ends.data() + count_;
    }

    /// Writes the positions, four at a time.
    [[gnu::always_inline]] void take(std::uint64_t line_feeds) noexcept {
        std::uint16_t* to = end();
        std::uint64_t rest = line_feeds;
        do {
            for (int i = 0; i < 4; ++i) { // positions after the last one are not used
                *to++ = static_cast<std::uint16_t>(
                    next_ + static_cast<std::size_t>(std::countr_zero(rest)));
                rest &= rest - 1;
            }
        } while (rest != 0);
        skip(line_feeds);
    }
    /// Counts positions that have been written.
    [[gnu::always_inline]] void skip(std::uint64_t line_feeds) noexcept {
        count_ += static_cast<std::size_t>(std::popcount(line_feeds));
        const std::uint64_t behind_another =
            line_feeds << 1U | line_feeds << 2U | before_ >> 63U | before_ >> 62U;
        may_be_last_ = (line_feeds & behind_another) != 0;
        before_ = line_feeds;
        next_ += 64;
    }
    [[gnu::always_inline]] void finish() noexcept {
        ends_.next = std::min(next_, size_);
        ends_.before = before_;
        ends_.count = count_;
    }

private:
    LineEnds& ends_;
    std::size_t size_;
    std::size_t next_;
    std::uint64_t before_;
    std::size_t count_ = 0;
    bool may_be_last_ = false;
};

/// Adds a mark for the end of the text when there are fewer than 64 bytes.
constexpr PartMarks with_end(const PartMarks& marks, std::size_t left) noexcept {
    const std::uint64_t end = left < 64 ? std::uint64_t{1} << left : 0;
    return {marks.all | end, marks.outer | end};
}

} // namespace

/// The scalar level, which also scans the end of a text.
void lines_scalar(const char* text, std::size_t size, LineList& list) noexcept;

extern const ScanOps scalar_ops;
#if defined(__x86_64__)
extern const ScanOps sse42_ops;
extern const ScanOps avx2_ops;
extern const ScanOps avx512_ops;
#endif

} // namespace viaduct
