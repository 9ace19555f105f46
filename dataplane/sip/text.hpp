// SPDX-License-Identifier: Apache-2.0
//
// text: character classes and searches for the readers of messages.
//
// Searches read 16 bytes at a time, and no byte outside the text.
// Spec:  RFC 3261 §25.1.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <type_traits>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace viaduct::sip_text {

constexpr bool is_blank(char c) noexcept {
    return c == ' ' || c == '\t';
}
constexpr bool is_space(char c) noexcept {
    return static_cast<unsigned char>(c) <= ' ' && (is_blank(c) || c == '\r' || c == '\n');
}
constexpr bool is_digit(char c) noexcept {
    return c >= '0' && c <= '9';
}
constexpr char lower(char c) noexcept {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
}

using CharSet = std::array<bool, 256>;

constexpr CharSet make_set(std::string_view chars, bool alphanumeric = false) noexcept {
    CharSet set{};
    for (const char c : chars)
        set[static_cast<std::uint8_t>(c)] = true;
    if (alphanumeric)
        for (const char c :
             std::string_view("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"))
            set[static_cast<std::uint8_t>(c)] = true;
    return set;
}
inline constexpr CharSet kToken = make_set("-.!%*_+`'~", true);
inline constexpr CharSet kIpv6 = make_set("0123456789abcdefABCDEF:.");

constexpr bool is_in(const CharSet& set, char c) noexcept {
    return set[static_cast<std::uint8_t>(c)];
}

/// Does not use substr(), which may throw; the core has no exceptions.
constexpr std::string_view slice(std::string_view text, std::size_t from, std::size_t to) noexcept {
    return {text.data() + from, to - from};
}

/// The end of the run of characters of the set that starts at `at`.
constexpr std::size_t skip(std::string_view text, std::size_t at, const CharSet& set) noexcept {
    while (at < text.size() && is_in(set, text[at]))
        ++at;
    return at;
}

constexpr bool equals_ignoring_case(std::string_view a, std::string_view b) noexcept {
    if (a.size() != b.size()) return false;
    for (std::size_t i = 0; i < a.size(); ++i)
        if (lower(a[i]) != lower(b[i])) return false;
    return true;
}

/// A few characters as a set that is tested sixteen bytes at a time. A sender chooses the length of
/// a run of blanks, so a byte of it must not cost more than a byte of text.
template <char... kChars> struct Run {
    static constexpr std::size_t kStep = 16;

    static constexpr bool has(char c) noexcept { return ((c == kChars) || ...); }

#if defined(__SSE2__)
    /// Bit i: byte i is in the set.
    static std::uint32_t mask(const char* bytes) noexcept {
        const __m128i block = _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes));
        __m128i found = _mm_setzero_si128();
        ((found = _mm_or_si128(found, _mm_cmpeq_epi8(block, _mm_set1_epi8(kChars)))), ...);
        return static_cast<std::uint32_t>(_mm_movemask_epi8(found));
    }
#else
    static std::uint32_t mask(const char* bytes) noexcept {
        std::uint32_t found = 0;
        for (std::size_t i = 0; i < kStep; ++i)
            found |= std::uint32_t{has(bytes[i])} << i;
        return found;
    }
#endif

    /// The position of the first character from `at` on that is not in the set; the size if none.
    static std::size_t skip(std::string_view text, std::size_t at) noexcept {
        if (at >= text.size() || text[at] > ' ' || !has(text[at])) return at; // nearly always
        for (; text.size() - at >= kStep; at += kStep)
            if (const std::uint32_t other = mask(text.data() + at) ^ 0xffffU; other != 0)
                return at + static_cast<std::size_t>(std::countr_zero(other));
        while (at < text.size() && has(text[at]))
            ++at;
        return at;
    }

    /// The position of the first character of the set from `at` on; the size if none.
    static std::size_t find(std::string_view text, std::size_t at) noexcept {
        for (; text.size() - at >= kStep; at += kStep)
            if (const std::uint32_t found = mask(text.data() + at); found != 0)
                return at + static_cast<std::size_t>(std::countr_zero(found));
        while (at < text.size() && !has(text[at]))
            ++at;
        return at;
    }

    /// The size without trailing characters of the set.
    static std::size_t trimmed_size(std::string_view text) noexcept {
        std::size_t size = text.size();
        for (; size >= kStep; size -= kStep)
            if (const std::uint32_t other = mask(text.data() + size - kStep) ^ 0xffffU; other != 0)
                return size - kStep + static_cast<std::size_t>(std::bit_width(other));
        while (size > 0 && has(text[size - 1]))
            --size;
        return size;
    }

    /// The position after the last character of the set; 0 if none.
    static std::size_t after_last(std::string_view text) noexcept {
        std::size_t size = text.size();
        for (; size >= kStep; size -= kStep)
            if (const std::uint32_t found = mask(text.data() + size - kStep); found != 0)
                return size - kStep + static_cast<std::size_t>(std::bit_width(found));
        while (size > 0 && !has(text[size - 1]))
            --size;
        return size;
    }
};
using Blanks = Run<' ', '\t'>;
using Spaces = Run<' ', '\t', '\r', '\n'>;
using LineBreaks = Run<'\r', '\n'>;
using LineFeeds = Run<'\n'>;
using Zeros = Run<'\0'>;
using ValueEnds = Run<' ', '\t', '\r', '\n', ';', ','>; ///< characters that end a parameter's value

[[gnu::noinline]] inline std::size_t skip_spaces(std::string_view text, std::size_t at) noexcept {
    return Spaces::skip(text, at);
}
inline std::size_t skip_space(std::string_view text, std::size_t at) noexcept {
    if (at >= text.size() || !is_space(text[at])) [[likely]]
        return at;
    return skip_spaces(text, at);
}

[[gnu::noinline]] inline std::string_view
trim_spaces(std::string_view text, std::size_t from, std::size_t to) noexcept {
    const std::string_view up_to = slice(text, 0, to);
    const std::size_t first = Spaces::skip(up_to, from);
    return first == to ? slice(text, to, to) : slice(text, first, Spaces::trimmed_size(up_to));
}
inline std::string_view trim(std::string_view text, std::size_t from, std::size_t to) noexcept {
    if (from < to && !is_space(text[from]) && !is_space(text[to - 1])) [[likely]]
        return slice(text, from, to);
    return trim_spaces(text, from, to);
}

/// "SIP/2.0", in any letter case and version: the backend refuses versions it does not support.
inline bool is_sip_version(std::string_view text) noexcept {
    return text.size() > 4 && equals_ignoring_case(slice(text, 0, 4), "sip/") && is_digit(text[4]);
}

template <typename Word> Word load_word(const char* bytes) noexcept {
    Word word;
    std::memcpy(&word, bytes, sizeof word);
    return word;
}

/// Whether the text is this word of 2 to 8 lower-case letters, in any letter case. Only for
/// letters: setting bit 5 makes other, different characters equal.
template <std::size_t kSize>
bool is_word(std::string_view text, const char (&word)[kSize]) noexcept {
    constexpr std::size_t kLetters = kSize - 1;
    static_assert(kLetters >= 2 && kLetters <= 8);
    using Word = std::conditional_t<(kLetters < 4), std::uint16_t, std::uint32_t>;
    constexpr auto kFold = static_cast<Word>(0x2020'2020U);
    constexpr std::size_t kLast = kLetters - sizeof(Word); // two loads, which may overlap
    return text.size() == kLetters &&
           (load_word<Word>(text.data()) | kFold) == load_word<Word>(word) &&
           (load_word<Word>(text.data() + kLast) | kFold) == load_word<Word>(word + kLast);
}

/// 16 bytes; results are masks with a bit for each.
class Chunk {
public:
    static constexpr std::size_t kSize = 16;

#if defined(__SSE2__)
    explicit Chunk(const char* bytes) noexcept
        : bytes_(_mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes))) {}

    [[nodiscard]] std::uint32_t equal(char c) const noexcept {
        return mask(_mm_cmpeq_epi8(bytes_, _mm_set1_epi8(c)));
    }
    /// Mask of the bytes that are equal after the bits of `fold` are set.
    [[nodiscard]] std::uint32_t equal_folded(const char* wanted, const char* fold) const noexcept {
        const __m128i folded = _mm_or_si128(bytes_, load(fold));
        return mask(_mm_cmpeq_epi8(folded, load(wanted)));
    }

private:
    static __m128i load(const char* bytes) noexcept {
        return _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes));
    }
    static std::uint32_t mask(__m128i found) noexcept {
        return static_cast<std::uint32_t>(_mm_movemask_epi8(found));
    }
    __m128i bytes_;
#else
    explicit Chunk(const char* bytes) noexcept {
        std::memcpy(bytes_.data(), bytes, kSize);
    }

    [[nodiscard]] std::uint32_t equal(char c) const noexcept {
        return where([c](char byte, std::size_t) { return byte == c; });
    }
    [[nodiscard]] std::uint32_t equal_folded(const char* wanted, const char* fold) const noexcept {
        return where([=](char byte, std::size_t i) { return (byte | fold[i]) == wanted[i]; });
    }

private:
    template <typename Test> [[nodiscard]] std::uint32_t where(Test test) const noexcept {
        std::uint32_t mask = 0;
        for (std::size_t i = 0; i < kSize; ++i)
            mask |= std::uint32_t{test(bytes_[i], i)} << i;
        return mask;
    }
    std::array<char, kSize> bytes_;
#endif
};

/// The text up to where a token would end, whatever its characters: read_digest() reads tags in
/// this way.
inline std::string_view token_of(std::string_view value) noexcept {
    if (value.empty() || value[0] != '"') return value; // it ended there already
    return slice(value, 0, ValueEnds::find(value, 0));
}

} // namespace viaduct::sip_text
