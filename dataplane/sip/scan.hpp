// SPDX-License-Identifier: Apache-2.0
//
// scan: the bytes of a message -> masks and lists of where things stand in them, 64 bytes at a
// time.
//
// In:    a message or a value of it. Hostile. No byte outside it is read.
// Out:   for the digest, LineList: where lines begin whose first two characters fit a wanted field,
//        in order, up to the empty line; two characters fit more than the wanted names, and the
//        reader looks closer. For the full reading, LineEnds. For both, the marks of values.
// Cost:  about 12 vector instructions for 64 bytes, whatever they hold.
// Spec:  RFC 3261 §7.3.1 (names, both letter cases), §7.3.3 (compact names), §7.5 (empty line).
#pragma once

#include "viaduct/sip/digest.hpp"

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
inline constexpr std::uint8_t kFrom = 0x20;
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
    bool wants_references = false;
    /// With `wants_references`: a line behind a line feed that was scanned may be a Replaces, Join
    /// or Target-Dialog, or one behind the header does. Of those names the first letter comes one
    /// or two behind the third in the alphabet, and of hardly another that is in many messages.
    bool may_reference_call = false;
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
    static constexpr std::string_view kCharacters = "\n\r :\t-acdeiloqstvfmr";
    static constexpr std::size_t kFirstLetter = 6;
    static constexpr std::size_t kFirstOfFrom = 17; ///< these and those behind it are of From only

    std::array<std::uint64_t, kCharacters.size()> masks; ///< bit i stands for byte i

    template <char kCharacter> [[nodiscard]] std::uint64_t of() const noexcept {
        constexpr std::size_t kPlace = kCharacters.find(kCharacter);
        return masks[kPlace];
    }
};

/// What parts the values of the full reading, in up to 64 bytes. Bit i stands for byte i.
struct PartMarks {
    std::uint64_t all;   ///< `"` `,` `:` `;` `<` `=` `>` `?` `@` `\`, space, control characters
    std::uint64_t outer; ///< `"` `,` `;` `<` `>` `\` of them: what parts a header field's value
};

/// Where lines end, as far as they were looked for.
struct LineEnds {
    static constexpr std::size_t kEnough = 128;

    std::size_t next = 0;     ///< first byte not looked at yet
    std::uint64_t before = 0; ///< the line feeds of the 64 bytes before it
    std::size_t count = 0;
    std::size_t taken = 0; ///< the reader's: how many of them it has seen
    // Not initialised: the first `count` are valid. A block of 64 bytes may write behind those.
    std::array<std::uint16_t, kEnough + 64> ends;
};

struct ScanOps {
    /// Scans on from `list.next`.
    void (*lines)(const char* text, std::size_t size, LineList& list) noexcept;
    /// The same, and says `may_reference_call`.
    void (*lines_and_call_references)(const char* text, std::size_t size, LineList& list) noexcept;
    /// These look at 64 bytes, which must all be readable.
    std::uint64_t (*line_feeds)(const char* bytes) noexcept;
    ValueMarks (*marks)(const char* bytes) noexcept;
    /// `with_from`: those of From only are wanted, too, and not left as they were.
    void (*names)(const char* bytes, bool with_from, NameMasks& names) noexcept;
    /// Looks at the first 64 of `left` bytes, and at none behind those. The end of fewer counts as
    /// a mark of both kinds.
    PartMarks (*parts)(const char* bytes, std::size_t left) noexcept;
    /// Where the line feeds are in a text of up to 65,535 bytes, from `ends.next` on: up to a block
    /// in which the header may end, or that brings enough of them, or the text's end.
    void (*line_ends)(const char* text, std::size_t size, LineEnds& ends) noexcept;
    bool (*has_comma)(const char* bytes, std::size_t size) noexcept;
};

/// Does what `ScanOps::lines` does, and looks at whole names and their colons: what it finds is a
/// wanted field, or has more blanks before its colon than a block holds. For messages that are full
/// of lines that begin like a wanted one: a look at each of those would cost more than its bytes.
void scan_strictly(const ScanOps& ops, const char* text, std::size_t size, LineList& list) noexcept;

/// The functions of a level this machine has.
[[nodiscard]] const ScanOps& scan_ops(ScanLevel level) noexcept;

/// Those of best_scan_level().
extern const ScanOps& best_scan_ops;

} // namespace viaduct
