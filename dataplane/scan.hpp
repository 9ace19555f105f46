// SPDX-License-Identifier: Apache-2.0
//
// scan: the bytes of a message -> the few lines that may hold a field the reader wants.
//
// In:    a message, from the end of its first line on. Hostile. No byte outside it is read.
// Out:   LineList: where lines begin whose first two characters fit a wanted field, in order, up to
//        the empty line. Two characters fit more than the wanted names: the reader looks closer.
// Cost:  about 12 vector instructions for 64 bytes, whatever they hold.
// Spec:  RFC 3261 §7.3.1 (names, both letter cases), §7.3.3 (compact names), §7.5 (empty line).
#pragma once

#include "viaduct/message.hpp"

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace viaduct {

/// Fields as bits: what a line may be by its first two characters.
namespace line_class {
inline constexpr std::uint8_t kCallId = 0x01; ///< "ca" and the like
inline constexpr std::uint8_t kCSeq = 0x02;
inline constexpr std::uint8_t kCompactCallId = 0x04;
inline constexpr std::uint8_t kTo = 0x08;
inline constexpr std::uint8_t kVia = 0x10;
inline constexpr std::uint8_t kEmptyLf = 0x40;   ///< a line feed at once
inline constexpr std::uint8_t kEmptyCrLf = 0x80; ///< CR LF at once
inline constexpr std::uint8_t kEmpty = kEmptyLf | kEmptyCrLf;
} // namespace line_class

/// The classes of a line that begins with these two characters.
[[nodiscard]] std::uint8_t line_class_of(char first, char second) noexcept;

/// What a scan finds, and where the next one goes on. The reader scans until `done`.
struct LineList {
    /// A scan ends after the block that brings as many; one block adds at most half its bytes.
    static constexpr std::size_t kEnough = 16;
    static constexpr std::size_t kBlock = 64;

    std::size_t next = 0;        ///< first byte not scanned yet; at first the end of the first line
    std::size_t pause = 0;       ///< a scan may end once `next` has come this far
    std::size_t lines_left = 0;  ///< header lines that may still begin
    std::uint8_t wanted = 0xff;  ///< line_class bits
    bool done = false;           ///< no header line is left
    bool too_many_lines = false; ///< scanning ended because no line was left to begin
    std::size_t count = 0;
    std::array<std::uint32_t, kEnough + kBlock> starts; // not initialised: `count` are valid

    /// Takes the line feeds of a block at `base` in: all of them, those that begin a line of a
    /// wanted class, those that begin the empty line. False: the scan ends.
    [[gnu::always_inline]] bool take(std::size_t base,
                                     std::uint64_t line_feeds,
                                     std::uint64_t candidates,
                                     std::uint64_t empty,
                                     std::size_t size) noexcept {
        if (empty != 0) { // nothing after it is a header line
            const std::uint64_t up_to_it = empty ^ (empty - 1);
            line_feeds &= up_to_it;
            candidates &= up_to_it;
            candidates &= ~empty; // it is no field

            done = true;
        }
        const auto begun = static_cast<std::size_t>(std::popcount(line_feeds)) -
                           static_cast<std::size_t>(empty != 0);
        if (begun > lines_left) [[unlikely]]
            candidates = keep_lines(base, line_feeds, candidates, size);
        else
            lines_left -= begun;
        // Nearly every block holds two at most, and where they stand nobody can foretell: no
        // branch.
        const auto found = static_cast<std::size_t>(std::popcount(candidates));
        std::uint32_t* out = starts.data() + count;
        count += found;
        const auto first = static_cast<std::uint32_t>(base) + 1;
        out[0] = first + static_cast<std::uint32_t>(std::countr_zero(candidates));
        candidates &= candidates - 1;
        out[1] = first + static_cast<std::uint32_t>(std::countr_zero(candidates));
        candidates &= candidates - 1;
        for (std::size_t i = 2; candidates != 0; ++i, candidates &= candidates - 1)
            out[i] = first + static_cast<std::uint32_t>(std::countr_zero(candidates));
        return !done && count < kEnough;
    }

private:
    /// More lines begin than may: those that may, and the end of the scan.
    std::uint64_t keep_lines(std::size_t base,
                             std::uint64_t line_feeds,
                             std::uint64_t candidates,
                             std::size_t size) noexcept {
        std::uint64_t rest = line_feeds;
        for (; lines_left > 0; --lines_left)
            rest &= rest - 1;
        // The line feed that is the text's last byte begins none.
        const auto last = static_cast<std::size_t>(std::countr_zero(rest));
        const bool only_one = (rest & (rest - 1)) == 0;
        too_many_lines = !only_one || base + last + 1 < size;
        if (too_many_lines) {
            candidates &= ~rest;
            done = true;
        }
        return candidates;
    }
};

/// 64 bytes: where line feeds are, and where the marks that matter inside a value: `"` `\` `<` `>`
/// `,` `;`. Bit i stands for byte i.
struct ScanOps {
    /// Scans on from `list.next`.
    void (*lines)(const char* text, std::size_t size, LineList& list) noexcept;
    /// Marks of the 64 bytes at `bytes`, which must all be readable.
    std::uint64_t (*marks)(const char* bytes) noexcept;
};

/// The functions of a level this machine has.
[[nodiscard]] const ScanOps& scan_ops(ScanLevel level) noexcept;

} // namespace viaduct
