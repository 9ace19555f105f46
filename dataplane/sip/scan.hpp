// SPDX-License-Identifier: Apache-2.0
//
// scan: finds line ends and marks in the bytes of a message, 64 bytes at a time.
//
// In:    a message or a value of it. Hostile. No byte outside it is read.
// Out:   for the digest, LineList: the starts of lines whose first two characters (for the
//        Call-ID alone: the first and the third) fit a wanted field, in order, up to the empty
//        line. They also fit other names, so the reader has to check. For the full reading,
//        LineEnds. For both, the marks of values.
// Cost:  about 12 vector instructions for 64 bytes, for any content.
// Spec:  RFC 3261 §7.3.1 (names, both letter cases), §7.3.3 (compact names), §7.5 (empty line).
#pragma once

#include "viaduct/sip/digest.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace viaduct {

/// Fields as bits: the fields that a line may be by its first two characters.
namespace line_class {
inline constexpr std::uint8_t kCallId = 0x01; ///< "ca" in any letter case
inline constexpr std::uint8_t kCSeq = 0x02;
inline constexpr std::uint8_t kCompactCallId = 0x04;
inline constexpr std::uint8_t kTo = 0x08;
inline constexpr std::uint8_t kVia = 0x10;
inline constexpr std::uint8_t kFrom = 0x20;
inline constexpr std::uint8_t kEmptyLf = 0x40;   ///< starts with a line feed
inline constexpr std::uint8_t kEmptyCrLf = 0x80; ///< starts with CR LF
inline constexpr std::uint8_t kEmpty = kEmptyLf | kEmptyCrLf;
} // namespace line_class

/// The results of a scan, and where the next one continues. The reader scans until `done`.
struct LineList {
    /// A scan ends after the block that completes this many lines.
    static constexpr std::size_t kEnough = 16;

    std::size_t next = 0;        ///< first byte not scanned; initially the first line's end
    std::size_t pause = 0;       ///< a scan may end once `next` has reached this
    std::size_t lines_left = 0;  ///< how many more header lines may start
    std::uint8_t wanted = 0xff;  ///< line_class bits
    bool done = false;           ///< no header line is left
    bool too_many_lines = false; ///< the scan ended at the limit of header lines
    bool wants_references = false;
    /// With `wants_references`: a scanned line, possibly after the header, may be a Replaces, Join
    /// or Target-Dialog. The first letter of these names comes one or two after the third in the
    /// alphabet, which is rare among other common names.
    bool may_reference_call = false;
    std::size_t count = 0;
    // Blocks of 64 bytes with such lines; not initialised, the first `count` are valid.
    std::array<std::uint64_t, kEnough + 4> line_feeds; ///< before the lines: bit i is byte base + i
    std::array<std::size_t, kEnough + 4> bases;
};

/// The characters that structure a value, in 64 bytes. Bit i is byte i.
struct ValueMarks {
    std::uint64_t line_feed;
    std::uint64_t semicolon;
    std::uint64_t less;
    std::uint64_t greater;
    std::uint64_t quote;
    std::uint64_t comma;
    std::uint64_t backslash;
};

/// The characters that occur in the wanted names, in 64 bytes of a message.
struct NameMasks {
    /// Characters before the letters match exactly, letters in both letter cases.
    static constexpr std::string_view kCharacters = "\n\r :\t-acdeiloqstvfmr";
    static constexpr std::size_t kFirstLetter = 6;
    static constexpr std::size_t kFirstOfFrom = 17; ///< from here on only From has them

    std::array<std::uint64_t, kCharacters.size()> masks; ///< bit i is byte i

    template <char kCharacter> [[nodiscard]] std::uint64_t of() const noexcept {
        constexpr std::size_t kPlace = kCharacters.find(kCharacter);
        return masks[kPlace];
    }
};

/// The characters that separate parts of a value in the full reading, in up to 64 bytes. Bit i is
/// byte i.
struct PartMarks {
    std::uint64_t all;   ///< `"` `,` `:` `;` `<` `=` `>` `?` `@` `\`, space, control characters
    std::uint64_t outer; ///< `"` `,` `;` `<` `>` `\` of them, which separate a header field's value
};

/// The line ends found so far.
struct LineEnds {
    static constexpr std::size_t kEnough = 128;

    std::size_t next = 0;     ///< first byte not read yet
    std::uint64_t before = 0; ///< the line feeds of the 64 bytes before it
    std::size_t count = 0;
    std::size_t taken = 0; ///< for the reader: how many of them it has used
    // Not initialised: the first `count` are valid. A block of 64 bytes may write beyond them.
    std::array<std::uint16_t, kEnough + 64> ends;
};

/// Results of ScanOps::usual_tag that are no positions.
inline constexpr std::size_t kNoTag = 0; ///< there is no tag
inline constexpr std::size_t kUnusualTag = ~std::size_t{0};

struct ScanOps {
    /// Starts a scan for the lines that may be a Call-ID, a Replaces, a Join or a Target-Dialog, by
    /// their first and third characters. It scans the whole header, unless that has many such lines
    /// or no empty line. False: the text is too short or too long, and the list is as before. Null:
    /// the level has none.
    bool (*call_id_lines)(const char* text, std::size_t size, LineList& list) noexcept;
    /// Continues the scan from `list.next`.
    void (*lines)(const char* text, std::size_t size, LineList& list) noexcept;
    /// The same, and sets `may_reference_call`.
    void (*lines_and_call_references)(const char* text, std::size_t size, LineList& list) noexcept;
    /// These read 64 bytes, which must all be readable.
    std::uint64_t (*line_feeds)(const char* bytes) noexcept;
    ValueMarks (*marks)(const char* bytes) noexcept;
    /// Finds the value of the tag of the From or To whose value starts at `at` (0 to the size), if
    /// it looks as nearly all do. kUnusualTag: it does not, or fewer than 64 bytes follow `at` or
    /// the `<` of its URI.
    std::size_t (*usual_tag)(const char* text, std::size_t size, std::size_t at) noexcept;
    /// `with_from`: also sets the masks that only From needs; otherwise these stay unchanged.
    void (*names)(const char* bytes, bool with_from, NameMasks& names) noexcept;
    /// Reads the first 64 of `left` bytes, and none beyond `left`. The end of fewer counts as a
    /// mark of both kinds.
    PartMarks (*parts)(const char* bytes, std::size_t left) noexcept;
    /// Finds the line feeds in a text of up to 65,535 bytes, from `ends.next` on: up to a block in
    /// which the header may end or that completes kEnough, or to the text's end.
    void (*line_ends)(const char* text, std::size_t size, LineEnds& ends) noexcept;
    bool (*has_comma)(const char* bytes, std::size_t size) noexcept;
};

/// Does what `ScanOps::lines` does, but checks whole names and their colons: what it finds is a
/// wanted field, or has more blanks before its colon than a block holds. For messages full of lines
/// that start like a wanted one: checking each of those would cost more than their bytes.
void scan_strictly(const ScanOps& ops, const char* text, std::size_t size, LineList& list) noexcept;

/// The functions of a level this machine has.
[[nodiscard]] const ScanOps& scan_ops(ScanLevel level) noexcept;

/// The functions of best_scan_level().
extern const ScanOps& best_scan_ops;

} // namespace viaduct
