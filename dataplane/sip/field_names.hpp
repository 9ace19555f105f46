// SPDX-License-Identifier: Apache-2.0
//
// field_names: the header fields that a digest may want, by the start of a line.
//
// Cost:  one row of a table is read for any line.
// Spec:  RFC 3261 §7.3.3 (compact names).
#pragma once

#include "sip/words.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

namespace viaduct::field_names {

using namespace sip_words;

inline constexpr std::uint8_t kCallId = 0;
inline constexpr std::uint8_t kTo = 1;
inline constexpr std::uint8_t kCSeq = 2;
inline constexpr std::uint8_t kVia = 3;
inline constexpr std::uint8_t kFrom = 4;
inline constexpr std::size_t kFields = 5;

/// The names of the wanted fields, in a hash table over their first two characters in any letter
/// case, without collisions. Rows without a name match no line.
class FieldNames {
public:
    struct Row {
        FoldedName name;
        std::uint8_t field = 0;
    };

    /// `colon`: the names end with one.
    consteval explicit FieldNames(bool colon) {
        for (Row& row : rows_)
            row.name = kNoName;
        add("call-id", kCallId, colon);
        add("i", kCallId, colon);
        add("cseq", kCSeq, colon);
        add("to", kTo, colon);
        add("t", kTo, colon);
        add("via", kVia, colon);
        add("v", kVia, colon);
        add("from", kFrom, colon);
        add("f", kFrom, colon);
    }
    /// The only name that a line may have that starts with these characters.
    [[nodiscard]] constexpr const Row& find(std::uint64_t word) const noexcept {
        return rows_[place(word)];
    }
    bool without_collisions = true;

private:
    consteval void add(std::string_view name, std::uint8_t field, bool colon) {
        std::array<char, 8> text{};
        std::copy(name.begin(), name.end(), text.begin());
        if (colon) text[name.size()] = ':';
        const FoldedName wanted({text.data(), name.size() + (colon ? 1 : 0)});
        for (const char after : {':', ' ', '\t'})
            put(word_of(name) | word_of({&after, 1}) << 8 * name.size(), {wanted, field});
    }
    consteval void put(std::uint64_t word, const Row& row) {
        Row& there = rows_[place(word)];
        without_collisions = without_collisions &&
                             (there.name.letters == 0 || there.name.letters == row.name.letters);
        there = row;
    }
    static constexpr std::size_t place(std::uint64_t word) noexcept {
        return (static_cast<std::uint32_t>(word) & 0xdfdfU) * kFactor >> 28U;
    }
    /// Matches no line. Assigned, because GCC 12 drops the default values of elements that no
    /// constructor has written (findings/gcc-array-defaults.sh), and a mask of zero matches all.
    static constexpr FoldedName kNoName{};
    static constexpr std::uint32_t kFactor = 0x21ff'abcdU; // found by trial
    std::array<Row, 16> rows_{};
};
inline constexpr FieldNames kFieldNames(false);
inline constexpr FieldNames kFieldNamesWithColon(true);
static_assert(kFieldNames.without_collisions && kFieldNamesWithColon.without_collisions,
              "another factor is needed");

} // namespace viaduct::field_names
