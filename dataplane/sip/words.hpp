// SPDX-License-Identifier: Apache-2.0
//
// words: names of up to eight characters, read and compared as one word.
//
// Cost:  a few instructions each, no loop of unpredictable length.
// Spec:  RFC 3261 §7.1 (methods), §7.3.1 (names in any letter case).
#pragma once

#include "sip/names.hpp"

#include "viaduct/sip/digest.hpp"

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace viaduct::sip_words {

/// Eight characters as a number, the first one in the lowest byte; zeros after the end of the text.
inline std::uint64_t word_at(std::string_view text, std::size_t at) noexcept {
    std::uint64_t word = 0;
    if (at + sizeof(word) <= text.size()) [[likely]] {
        std::memcpy(&word, text.data() + at, sizeof(word));
        if constexpr (std::endian::native == std::endian::big) word = __builtin_bswap64(word);
        return word;
    }
    for (std::size_t i = 0; at + i < text.size(); ++i)
        word |= std::uint64_t{static_cast<std::uint8_t>(text[at + i])} << (8 * i);
    return word;
}

constexpr std::uint64_t word_of(std::string_view chars) noexcept {
    std::uint64_t word = 0;
    for (std::size_t i = 0; i < chars.size(); ++i)
        word |= std::uint64_t{static_cast<std::uint8_t>(chars[i])} << (8 * i);
    return word;
}
inline constexpr std::uint64_t kEvery = 0x0101'0101'0101'0101U;

/// The methods of up to eight letters, in a hash table without collisions.
class ShortMethods {
public:
    struct Entry {
        std::uint64_t name = 0;
        Method method = Method::Other;
    };

    consteval ShortMethods() {
        for (const sip_names::MethodRow& row : sip_names::kMethods) {
            if (row.name.empty() || row.name.size() > 8) continue;
            const std::uint64_t name = word_of(row.name);
            without_collisions = without_collisions && entries_[place(name)].name == 0;
            entries_[place(name)] = {name, row.method};
        }
    }
    /// Other: not in the table.
    [[nodiscard]] constexpr Method find(std::uint64_t name) const noexcept {
        const Entry& entry = entries_[place(name)];
        return entry.name == name ? entry.method : Method::Other;
    }
    bool without_collisions = true;

private:
    static constexpr std::size_t place(std::uint64_t name) noexcept {
        return static_cast<std::size_t>(name * kFactor >> 59U);
    }
    static constexpr std::uint64_t kFactor = 0xf813'0c42'3773'0edfU; // found by trial
    std::array<Entry, 32> entries_{};
};
inline constexpr ShortMethods kShortMethods;
static_assert(kShortMethods.without_collisions, "another factor is needed");

/// The capital letters at `at`, up to eight.
struct Letters {
    Letters(std::string_view text, std::size_t at) noexcept {
        const std::uint64_t all = word_at(text, at);
        const std::uint64_t others = ~all & 0x40 * kEvery;
        if (others != 0) [[likely]] {
            const auto bits = static_cast<unsigned>(std::countr_zero(others)) - 6;
            count = bits / 8;
            word = all & ((std::uint64_t{1} << bits) - 1);
            after = static_cast<char>(all >> bits & 0xff);
        } else {
            word = all;
            after = at + count < text.size() ? text[at + count] : '\0';
        }
    }
    std::size_t count = 8;
    std::uint64_t word = 0;
    char after = '\0'; ///< the character after them
};

/// A name of up to eight characters that is compared in any letter case, as a word.
struct FoldedName {
    constexpr FoldedName() = default;
    constexpr explicit FoldedName(std::string_view name) // in lower case
        : letters(word_of(name)), mask(~std::uint64_t{0} >> (64 - 8 * name.size())),
          length(static_cast<std::uint8_t>(name.size())) {
        for (std::size_t i = 0; i < name.size(); ++i)
            if (name[i] >= 'a') fold |= std::uint64_t{0x20} << (8 * i);
    }
    /// Whether `word` starts with it.
    [[nodiscard]] constexpr bool begins(std::uint64_t word) const noexcept {
        return ((word | fold) & mask) == letters;
    }

    std::uint64_t letters = 0;
    std::uint64_t fold = 0; ///< 0x20 for each letter
    std::uint64_t mask = ~std::uint64_t{0};
    std::uint8_t length = 0;
};

/// Whether a line that starts with these eight bytes may be a Replaces, Join or Target-Dialog.
[[nodiscard]] constexpr bool may_be_reference(std::uint64_t word) noexcept {
    constexpr FoldedName kReplaces("replaces");
    constexpr FoldedName kJoin("join");
    constexpr FoldedName kTargetDialog("target-d");
    return kReplaces.begins(word) || kJoin.begins(word) || kTargetDialog.begins(word);
}

} // namespace viaduct::sip_words
