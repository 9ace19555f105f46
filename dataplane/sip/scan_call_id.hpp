// SPDX-License-Identifier: Apache-2.0
//
// scan_call_id: shared by the levels of ScanOps::call_id_lines, the scan for pools that need only
// the Call-ID of a message.
//
// Everything is internal to the files of one level and inlined into their code, as in scan_block.
#pragma once

#include "sip/scan_block.hpp"

#include <bit>
#include <cstddef>
#include <cstdint>

namespace viaduct {

namespace {

/// For pools that need only the Call-ID: classes by the first and third characters of a line, which
/// tell more names apart than the first two.
namespace call_id_class {
constexpr std::uint8_t kLong = 0x01;
constexpr std::uint8_t kCompact = 0x02;
constexpr std::uint8_t kReplaces = 0x04;
constexpr std::uint8_t kJoin = 0x08;
constexpr std::uint8_t kTargetDialog = 0x10;
constexpr std::uint8_t kEmpty = 0x80; ///< starts with CR or LF
} // namespace call_id_class

constexpr ClassTable kCallIdFirst = [] {
    using namespace call_id_class;
    ClassTable table;
    const auto add = [&](char c, std::uint8_t classes) {
        table.add(c, classes);
        table.add(static_cast<char>(c - 0x20), classes);
    };
    add('c', kLong);
    add('i', kCompact);
    add('r', kReplaces);
    add('j', kJoin);
    add('t', kTargetDialog);
    table.add('\n', kEmpty);
    table.add('\r', kEmpty);
    return table;
}();

/// The classes that the lower four bits of the third character allow.
constexpr Nibbles kCallIdThird = [] {
    using namespace call_id_class;
    Nibbles table{};
    for (std::uint8_t& entry : table)
        entry = kCompact | kEmpty;
    const auto add = [&](char c, std::uint8_t line_class) {
        const auto at = static_cast<std::uint8_t>(c) & 0x0fU;
        table[at] = static_cast<std::uint8_t>(table[at] | line_class);
    };
    add('l', kLong);
    add('p', kReplaces);
    add('i', kJoin);
    add('r', kTargetDialog);
    return table;
}();

/// One scan for the Call-ID. As Scan, but with fewer branches and less state: it does not pause,
/// and counts the lines of its last block after the empty line, too.
class CallIdScan {
public:
    static constexpr std::size_t kBlock = 64;
    static constexpr std::size_t kReach = kBlock + 3;
    /// A message with more candidates is not ordinary.
    static constexpr std::size_t kFewLines = 8;
    /// Columns of eight bits can count the lines of so many bytes, two in a block.
    static constexpr std::size_t kMost = 127 * kBlock;

    [[gnu::always_inline]] CallIdScan(const char* text, std::size_t size, LineList& list) noexcept
        : list_(list), text_(text), last_(size - kReach), base_(list.next - kBlock) {}

    [[gnu::always_inline]] static bool fits(std::size_t size, const LineList& list) noexcept {
        return size >= kReach + list.next && size <= kMost + list.next;
    }
    /// Moves to the next block; the last one overlaps the one before. False: the text has ended.
    [[gnu::always_inline]] bool next() noexcept {
        base_ += kBlock;
        if (base_ <= last_) [[likely]]
            return true;
        if (base_ >= last_ + kBlock) { // the last three bytes are in no block
            is_whole_ = ends_with_empty_line();
            has_tail_ = !is_whole_;
            base_ = last_;
            return false;
        }
        unseen_ = ~std::uint64_t{0} << (base_ - last_);
        base_ = last_;
        return true;
    }
    [[gnu::always_inline]] [[nodiscard]] std::size_t base() const noexcept { return base_; }
    [[gnu::always_inline]] [[nodiscard]] std::uint64_t unseen() const noexcept { return unseen_; }

    /// The candidates of a block without those after the empty line. `ends`: the line feeds before
    /// CR or LF. `line_feeds`: all of the block.
    [[gnu::always_inline]] std::uint64_t
    end_at(std::uint64_t candidates, std::uint64_t ends, std::uint64_t line_feeds) noexcept {
        constexpr std::uint64_t kLastTwo = std::uint64_t{3} << 62U; // LF may be in the next block
        std::uint64_t empty = ends & (line_feeds >> 1U | line_feeds >> 2U | kLastTwo);
        candidates &= ~ends;
        if (empty == 0) return candidates; // lines that start with a bare CR
        const char* const after = text_ + base_ + kBlock;
        const std::uint64_t next = line_feeds >> 1U | std::uint64_t{after[0] == '\n'} << 63U;
        const std::uint64_t next_but_one = next >> 1U | std::uint64_t{after[1] == '\n'} << 63U;
        empty = ends & (next | next_but_one);
        is_whole_ = empty != 0;
        return candidates & ((empty & (0 - empty)) - 1);
    }

    [[gnu::always_inline]] [[nodiscard]] bool has_tail() const noexcept { return has_tail_; }

    /// Adds the line feeds before candidates. False: the scan ends.
    [[gnu::always_inline]] bool take(std::uint64_t candidates) noexcept {
        // Blocks with candidates are unpredictable, so there is no branch.
        list_.line_feeds[count_] = candidates;
        list_.bases[count_] = base_;
        count_ += candidates != 0 ? 1 : 0;
        found_ += static_cast<std::size_t>(std::popcount(candidates));
        return !is_whole_ && found_ < kFewLines;
    }

    /// Stores the results. `lines`: how many were counted. False: they may exceed the limit, and
    /// the list is as before.
    [[gnu::always_inline]] bool finish(std::size_t lines) noexcept {
        if (lines > list_.lines_left) return false;
        list_.lines_left -= lines;
        list_.count = count_;
        list_.next = base_ + kBlock;
        list_.done = is_whole_;
        return true;
    }

private:
    /// Whether the last three bytes, which are in no block, end the header of a message without a
    /// body.
    [[gnu::always_inline]] [[nodiscard]] bool ends_with_empty_line() const noexcept {
        const char* const last = text_ + last_ + kReach - 3;
        return last[2] == '\n' && (last[1] == '\n' || (last[1] == '\r' && last[0] == '\n'));
    }

    LineList& list_;
    const char* text_;
    std::size_t last_; ///< the last place at which a block may start
    std::size_t base_;
    std::size_t count_ = 0;
    std::size_t found_ = 0;
    std::uint64_t unseen_ = ~std::uint64_t{0};
    bool is_whole_ = false; ///< the empty line was found
    bool has_tail_ = false; ///< the text has ended, except for three bytes
};

} // namespace

} // namespace viaduct
