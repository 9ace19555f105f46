// SPDX-License-Identifier: Apache-2.0
//
// sip_text: characters and searches that the full reading is made of.
//
// Searches look at 16 bytes at a time and never at one outside the text.
// Spec:  RFC 3261 §25.1.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

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

/// What Marks finds.
inline constexpr CharSet kMarks = [] {
    CharSet set = make_set("\",:;<=>?@\\");
    for (std::size_t c = 0; c <= ' '; ++c)
        set[c] = true;
    return set;
}();

/// Without `remove_prefix` and `substr`: the latter may throw, and the core has no exceptions.
constexpr std::string_view slice(std::string_view text, std::size_t from, std::size_t to) noexcept {
    return {text.data() + from, to - from};
}

constexpr std::size_t skip_space(std::string_view text, std::size_t at) noexcept {
    while (at < text.size() && is_space(text[at]))
        ++at;
    return at;
}

/// The end of what at `at` consists of characters of the set.
constexpr std::size_t skip(std::string_view text, std::size_t at, const CharSet& set) noexcept {
    while (at < text.size() && is_in(set, text[at]))
        ++at;
    return at;
}

constexpr std::string_view trim(std::string_view text, std::size_t from, std::size_t to) noexcept {
    while (from < to && is_space(text[from]))
        ++from;
    while (to > from && is_space(text[to - 1]))
        --to;
    return slice(text, from, to);
}

constexpr bool equals_ignoring_case(std::string_view a, std::string_view b) noexcept {
    if (a.size() != b.size()) return false;
    for (std::size_t i = 0; i < a.size(); ++i)
        if (lower(a[i]) != lower(b[i])) return false;
    return true;
}

/// Whether the text is this word of up to 8 letters in lower case, letter case apart. For letters
/// only: setting bit 5 makes other characters alike that differ.
template <std::size_t kSize>
bool is_word(std::string_view text, const char (&word)[kSize]) noexcept {
    constexpr std::size_t kLetters = kSize - 1;
    static_assert(kLetters <= sizeof(std::uint64_t));
    if (text.size() != kLetters) return false;
    std::uint64_t found = 0;
    std::uint64_t wanted = 0;
    std::uint64_t bits = 0;
    std::memcpy(&found, text.data(), kLetters);
    std::memcpy(&wanted, word, kLetters);
    std::memset(&bits, 0x20, kLetters);
    return (found | bits) == wanted;
}

/// Copies fewer than 16 bytes without a call: with loads that overlap.
inline void copy_short(char* to, const char* from, std::size_t size) noexcept {
    const auto both_ends = [&](auto word) {
        std::memcpy(&word, from, sizeof word);
        std::memcpy(to, &word, sizeof word);
        std::memcpy(&word, from + size - sizeof word, sizeof word);
        std::memcpy(to + size - sizeof word, &word, sizeof word);
    };
    if (size >= 8)
        both_ends(std::uint64_t{});
    else if (size >= 4)
        both_ends(std::uint32_t{});
    else if (size >= 2)
        both_ends(std::uint16_t{});
    else if (size == 1)
        *to = *from;
}

/// 16 bytes; answers are masks with a bit for each.
class Chunk {
public:
    static constexpr std::size_t kSize = 16;

#if defined(__SSE2__)
    explicit Chunk(const char* bytes) noexcept
        : bytes_(_mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes))) {}

    [[nodiscard]] std::uint32_t equal(char c) const noexcept {
        return mask(_mm_cmpeq_epi8(bytes_, _mm_set1_epi8(c)));
    }
    template <char... kChars> [[nodiscard]] std::uint32_t any() const noexcept {
        __m128i found = _mm_setzero_si128();
        ((found = _mm_or_si128(found, _mm_cmpeq_epi8(bytes_, _mm_set1_epi8(kChars)))), ...);
        return mask(found);
    }
    /// The characters that part values, as class Marks lists them.
    [[nodiscard]] std::uint32_t marks() const noexcept {
        const __m128i from_colon = _mm_sub_epi8(bytes_, _mm_set1_epi8(':')); // : ; < = > ? @
        const __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(bytes_, _mm_set1_epi8(' ')), bytes_);
        const __m128i row =
            _mm_cmpeq_epi8(_mm_min_epu8(from_colon, _mm_set1_epi8('@' - ':')), from_colon);
        return mask(_mm_or_si128(low, row)) | any<'"', ',', '\\'>();
    }
    /// Where it equals, letter case apart, 16 bytes that are in lower case.
    [[nodiscard]] std::uint32_t equal_ignoring_case(const char* lower_case) const noexcept {
        const __m128i upper = _mm_and_si128(_mm_cmpgt_epi8(bytes_, _mm_set1_epi8('A' - 1)),
                                            _mm_cmpgt_epi8(_mm_set1_epi8('Z' + 1), bytes_));
        const __m128i lowered = _mm_or_si128(bytes_, _mm_and_si128(upper, _mm_set1_epi8(0x20)));
        const __m128i wanted = _mm_loadu_si128(reinterpret_cast<const __m128i*>(lower_case));
        return mask(_mm_cmpeq_epi8(lowered, wanted));
    }

private:
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
    template <char... kChars> [[nodiscard]] std::uint32_t any() const noexcept {
        return where([](char byte, std::size_t) { return ((byte == kChars) || ...); });
    }
    [[nodiscard]] std::uint32_t marks() const noexcept {
        return where([](char byte, std::size_t) { return is_in(kMarks, byte); });
    }
    [[nodiscard]] std::uint32_t equal_ignoring_case(const char* lower_case) const noexcept {
        return where(
            [lower_case](char byte, std::size_t i) { return lower(byte) == lower_case[i]; });
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

/// Where the first of the characters stands from `at` on; the text's size when there is none.
template <char... kChars> std::size_t find_any(std::string_view text, std::size_t at) noexcept {
    const std::size_t size = text.size();
    for (; at + Chunk::kSize <= size; at += Chunk::kSize)
        if (const auto mask = Chunk(text.data() + at).any<kChars...>(); mask != 0)
            return at + static_cast<std::size_t>(std::countr_zero(mask));
    if (at >= size) return size;
    if (size >= Chunk::kSize) { // the last 16 bytes, those before `at` again
        const std::size_t from = size - Chunk::kSize;
        const auto mask = Chunk(text.data() + from).any<kChars...>() >> (at - from);
        return mask != 0 ? at + static_cast<std::size_t>(std::countr_zero(mask)) : size;
    }
    while (at < size && ((text[at] != kChars) && ...))
        ++at;
    return at;
}

/// The marks of up to 64 bytes, none of them outside: short texts are covered by loads that
/// overlap.
inline std::uint64_t marks_of(const char* text, std::size_t size) noexcept {
    constexpr std::size_t kChunk = Chunk::kSize;
    if (size < kChunk) {
        std::array<char, kChunk> padded{};
        copy_short(padded.data(), text, size);
        return Chunk(padded.data()).marks() & ((1U << size) - 1);
    }
    const std::size_t last = size - kChunk;
    std::uint64_t mask =
        Chunk(text).marks() | std::uint64_t{Chunk(text + std::min(kChunk, last)).marks()}
                                  << std::min(kChunk, last);
    if (size <= 2 * kChunk) return mask;
    for (std::size_t part = 2; part < 4; ++part) {
        const std::size_t from = std::min(part * kChunk, last);
        mask |= std::uint64_t{Chunk(text + from).marks()} << from;
    }
    return mask;
}

/// Gives the positions of line feeds one after the other, 64 bytes at a time.
class LineFeeds {
public:
    explicit LineFeeds(std::string_view text) noexcept : text_(text) { load(); }

    /// The first line feed not given yet, or the text's size when there is none left.
    [[nodiscard]] std::size_t next() noexcept {
        while (mask_ == 0) {
            base_ += kBlock;
            if (base_ >= text_.size()) return text_.size();
            load();
        }
        const auto bit = static_cast<std::size_t>(std::countr_zero(mask_));
        mask_ &= mask_ - 1;
        return base_ + bit;
    }

private:
    static constexpr std::size_t kBlock = 4 * Chunk::kSize;

    void load() noexcept {
        const std::size_t left = text_.size() - base_;
        if (left >= kBlock) {
            mask_ = scan(text_.data() + base_);
        } else { // the last bytes: nothing behind the text may be read
            std::array<char, kBlock> block{};
            if (left > 0) std::memcpy(block.data(), text_.data() + base_, left);
            mask_ = scan(block.data());
        }
    }
    static std::uint64_t scan(const char* block) noexcept {
        std::uint64_t mask = 0;
        for (std::size_t part = 0; part < kBlock; part += Chunk::kSize)
            mask |= std::uint64_t{Chunk(block + part).equal('\n')} << part;
        return mask;
    }

    std::string_view text_;
    std::size_t base_ = 0;
    std::uint64_t mask_ = 0;
};

/// Up to where a token would end, whatever it is made of: read_digest() reads tags so.
inline std::string_view token_of(std::string_view value) noexcept {
    if (value.empty() || value[0] != '"') return value; // it ended there already
    return slice(value, 0, find_any<' ', '\t', '\r', '\n', ';', ','>(value, 0));
}

} // namespace viaduct::sip_text
