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
#include <cstddef>
#include <cstdint>
#include <string_view>

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

/// What a scan finds, and where the next one goes on. The reader scans until `done`.
struct LineList {
    /// A scan ends after the block that brings as many lines.
    static constexpr std::size_t kEnough = 16;

    std::size_t next = 0;        ///< first byte not scanned yet; at first the end of the first line
    std::size_t pause = 0;       ///< a scan may end once `next` has come this far
    std::size_t lines_left = 0;  ///< header lines that may still begin
    std::uint8_t wanted = 0xff;  ///< line_class bits
    bool done = false;           ///< no header line is left
    bool too_many_lines = false; ///< scanning ended because no line was left to begin
    std::size_t count = 0;
    // Blocks of 64 bytes with such lines; not initialised, the first `count` are valid.
    std::array<std::uint64_t, kEnough + 4> line_feeds; ///< before them: bit i is byte base + i
    std::array<std::size_t, kEnough + 4> bases;
};

/// A stretch of a value: where the characters are that structure it. Bit i stands for byte i.
template <typename Mask> struct BasicValueMarks {
    Mask line_feed;
    Mask semicolon;
    Mask less;
    Mask greater;
    Mask quote;
    Mask comma;
    Mask backslash;
};
using ValueMarks = BasicValueMarks<std::uint64_t>; ///< of 64 bytes

/// 64 bytes of a message: where each of the characters is that make up the wanted names.
struct NameMasks {
    /// Those before the letters stand for themselves, letters for both letter cases.
    static constexpr std::string_view kCharacters = "\n\r :\t-acdeiloqstv";
    static constexpr std::size_t kFirstLetter = 6;

    std::array<std::uint64_t, kCharacters.size()> masks; ///< bit i stands for byte i

    template <char kCharacter> [[nodiscard]] std::uint64_t of() const noexcept {
        constexpr std::size_t kPlace = kCharacters.find(kCharacter);
        return masks[kPlace];
    }
};

struct ScanOps {
    /// Scans on from `list.next`.
    void (*lines)(const char* text, std::size_t size, LineList& list) noexcept;
    /// These look at 64 bytes, which must all be readable.
    std::uint64_t (*line_feeds)(const char* bytes) noexcept;
    ValueMarks (*marks)(const char* bytes) noexcept;
    void (*names)(const char* bytes, NameMasks& names) noexcept;
};

/// Does what `ScanOps::lines` does, and looks at whole names and their colons: what it finds is a
/// wanted field, or has more blanks before its colon than a block holds. For messages that are full
/// of lines that begin like a wanted one: a look at each of those would cost more than its bytes.
void scan_strictly(const ScanOps& ops, const char* text, std::size_t size, LineList& list) noexcept;

/// The functions of a level this machine has.
[[nodiscard]] const ScanOps& scan_ops(ScanLevel level) noexcept;

} // namespace viaduct
