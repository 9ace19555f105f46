// SPDX-License-Identifier: Apache-2.0
#include "scan.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace viaduct {

namespace {

using Nibbles = std::array<std::uint8_t, 16>;

/// A character is of the classes that both of its halves are of: two table look-ups for 16, 32 or
/// 64 characters at a time. Not for characters above 127: those are of no class.
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

/// What the first character of a line says.
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
    table.add('\n', kEmptyLf);
    table.add('\r', kEmptyCrLf);
    return table;
}();

/// What the lower four bits of the second character allow.
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
    for (const char c : {':', ' ', '\t'})
        add(c, kCompactCallId | kTo | kVia);
    add('\n', kEmptyCrLf);
    for (std::uint8_t& entry : table)
        entry = static_cast<std::uint8_t>(entry | kEmptyLf);
    return table;
}();

/// The marks inside a value.
constexpr ClassTable kMarks = [] {
    ClassTable table;
    for (const char c : {'"', ','})
        table.add(c, 0x01);
    for (const char c : {';', '<', '>'})
        table.add(c, 0x02);
    table.add('\\', 0x04);
    return table;
}();

/// Goes over a text in blocks of 64 line feeds' places, each with the two bytes that follow. The
/// last block overlaps the one before; what it saw already is masked out.
class Blocks {
public:
    static constexpr std::size_t kReach = LineList::kBlock + 2;

    [[gnu::always_inline]] Blocks(std::size_t size, LineList& list) noexcept
        : size_(size), list_(list), end_(list.next) {}

    /// False: fewer than 64 places are left, or the text is too short for blocks.
    [[gnu::always_inline]] bool next() noexcept {
        if (end_ + kReach <= size_) [[likely]] {
            base_ = end_;
            end_ += LineList::kBlock;
            return true;
        }
        if (end_ + 2 >= size_ || size_ < kReach) return false;
        base_ = size_ - kReach;
        unseen_ = ~std::uint64_t{0} << (end_ - base_);
        end_ = size_ - 2;
        return true;
    }
    [[gnu::always_inline]] [[nodiscard]] std::size_t base() const noexcept { return base_; }

    /// False: the scan ends here.
    [[gnu::always_inline]] bool
    take(std::uint64_t line_feeds, std::uint64_t candidates, std::uint64_t empty) noexcept {
        const bool more =
            list_.take(base_, line_feeds & unseen_, candidates & unseen_, empty & unseen_, size_);
        list_.next = end_;
        return more && end_ < list_.pause;
    }

private:
    std::size_t size_;
    LineList& list_;
    std::size_t base_ = 0;
    std::size_t end_;
    std::uint64_t unseen_ = ~std::uint64_t{0};
};

/// One place after the other, to the end of the text.
void lines_scalar(const char* text, std::size_t size, LineList& list) noexcept {
    for (std::size_t base = list.next; base < size; base += LineList::kBlock) {
        std::uint64_t line_feeds = 0;
        std::uint64_t candidates = 0;
        std::uint64_t empty = 0;
        for (std::size_t i = 0; i < LineList::kBlock && base + i < size; ++i) {
            const std::size_t at = base + i;
            if (text[at] != '\n') continue;
            line_feeds |= std::uint64_t{1} << i;
            if (at + 1 == size) continue;
            const std::uint8_t line =
                line_class_of(text[at + 1], at + 2 < size ? text[at + 2] : '\0');
            if ((line & list.wanted) != 0) candidates |= std::uint64_t{1} << i;
            if ((line & line_class::kEmpty) != 0) empty |= std::uint64_t{1} << i;
        }
        const bool more = list.take(base, line_feeds, candidates, empty, size);
        list.next = base + LineList::kBlock;
        if (!more || list.next >= list.pause) break;
    }
    if (list.next >= size) list.done = true;
}

std::uint64_t marks_scalar(const char* bytes) noexcept {
    std::uint64_t marks = 0;
    for (std::size_t i = 0; i < 64; ++i)
        marks |= std::uint64_t{kMarks.of(bytes[i]) != 0} << i;
    return marks;
}

constexpr ScanOps kScalarOps{lines_scalar, marks_scalar};

#if defined(__x86_64__)

[[gnu::target("sse4.2,popcnt")]] inline __m128i load128(const void* bytes) noexcept {
    return _mm_loadu_si128(static_cast<const __m128i*>(bytes));
}

[[gnu::target("sse4.2,popcnt")]] inline __m128i
classes128(__m128i bytes, __m128i low, __m128i high) noexcept {
    const __m128i upper = _mm_and_si128(_mm_srli_epi16(bytes, 4), _mm_set1_epi8(0x0f));
    return _mm_and_si128(_mm_shuffle_epi8(low, bytes), _mm_shuffle_epi8(high, upper));
}

[[gnu::target("sse4.2,popcnt")]] void
lines_sse42(const char* text, std::size_t size, LineList& list) noexcept {
    const __m128i low = load128(kFirst.low.data());
    const __m128i high = load128(kFirst.high.data());
    const __m128i wanted = _mm_set1_epi8(static_cast<char>(list.wanted | line_class::kEmpty));
    const __m128i second = _mm_and_si128(load128(kSecond.data()), wanted);
    const __m128i nibble = _mm_set1_epi8(0x0f);
    const __m128i line_feed = _mm_set1_epi8('\n');
    Blocks blocks(size, list);
    while (blocks.next()) {
        std::uint64_t line_feeds = 0;
        std::uint64_t other = 0;
        std::uint64_t empty = 0;
        for (unsigned part = 0; part < 64; part += 16) {
            const char* at = text + blocks.base() + part;
            const __m128i feeds = _mm_cmpeq_epi8(load128(at), line_feed);
            const __m128i after = _mm_shuffle_epi8(second, _mm_and_si128(load128(at + 2), nibble));
            const __m128i line =
                _mm_and_si128(feeds, _mm_and_si128(classes128(load128(at + 1), low, high), after));
            const auto bits = [part](__m128i mask) {
                return std::uint64_t{static_cast<std::uint32_t>(_mm_movemask_epi8(mask))} << part;
            };
            line_feeds |= bits(feeds);
            other |= bits(_mm_cmpeq_epi8(line, _mm_setzero_si128()));
            empty |= bits(_mm_or_si128(line, _mm_add_epi8(line, line)));
        }
        if (!blocks.take(line_feeds, ~other, empty)) return;
    }
    lines_scalar(text, size, list);
}

[[gnu::target("sse4.2,popcnt")]] std::uint64_t marks_sse42(const char* bytes) noexcept {
    const __m128i low = load128(kMarks.low.data());
    const __m128i high = load128(kMarks.high.data());
    std::uint64_t other = 0;
    for (unsigned part = 0; part < 64; part += 16) {
        const __m128i marks = classes128(load128(bytes + part), low, high);
        const auto bits = static_cast<std::uint32_t>(
            _mm_movemask_epi8(_mm_cmpeq_epi8(marks, _mm_setzero_si128())));
        other |= std::uint64_t{bits} << part;
    }
    return ~other;
}

constexpr ScanOps kSse42Ops{lines_sse42, marks_sse42};

[[gnu::target("avx2,bmi,bmi2,lzcnt,popcnt")]] inline __m256i load256(const void* bytes) noexcept {
    return _mm256_loadu_si256(static_cast<const __m256i*>(bytes));
}

[[gnu::target("avx2,bmi,bmi2,lzcnt,popcnt")]] inline __m256i
twice256(const Nibbles& table) noexcept {
    return _mm256_broadcastsi128_si256(load128(table.data()));
}

[[gnu::target("avx2,bmi,bmi2,lzcnt,popcnt")]] inline __m256i
classes256(__m256i bytes, __m256i low, __m256i high) noexcept {
    const __m256i upper = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), _mm256_set1_epi8(0x0f));
    return _mm256_and_si256(_mm256_shuffle_epi8(low, bytes), _mm256_shuffle_epi8(high, upper));
}

[[gnu::target("avx2,bmi,bmi2,lzcnt,popcnt")]] inline std::uint64_t bits256(__m256i mask) noexcept {
    return static_cast<std::uint32_t>(_mm256_movemask_epi8(mask));
}

[[gnu::target("avx2,bmi,bmi2,lzcnt,popcnt")]] void
lines_avx2(const char* text, std::size_t size, LineList& list) noexcept {
    const __m256i low = twice256(kFirst.low);
    const __m256i high = twice256(kFirst.high);
    const __m256i wanted = _mm256_set1_epi8(static_cast<char>(list.wanted | line_class::kEmpty));
    const __m256i second = _mm256_and_si256(twice256(kSecond), wanted);
    const __m256i nibble = _mm256_set1_epi8(0x0f);
    const __m256i line_feed = _mm256_set1_epi8('\n');
    Blocks blocks(size, list);
    while (blocks.next()) {
        std::uint64_t line_feeds = 0;
        std::uint64_t other = 0;
        std::uint64_t empty = 0;
        for (unsigned part = 0; part < 64; part += 32) {
            const char* at = text + blocks.base() + part;
            const __m256i feeds = _mm256_cmpeq_epi8(load256(at), line_feed);
            const __m256i after =
                _mm256_shuffle_epi8(second, _mm256_and_si256(load256(at + 2), nibble));
            const __m256i line = _mm256_and_si256(
                feeds, _mm256_and_si256(classes256(load256(at + 1), low, high), after));
            line_feeds |= bits256(feeds) << part;
            other |= bits256(_mm256_cmpeq_epi8(line, _mm256_setzero_si256())) << part;
            empty |= bits256(_mm256_or_si256(line, _mm256_add_epi8(line, line))) << part;
        }
        if (!blocks.take(line_feeds, ~other, empty)) return;
    }
    lines_scalar(text, size, list);
}

[[gnu::target("avx2,bmi,bmi2,lzcnt,popcnt")]] std::uint64_t marks_avx2(const char* bytes) noexcept {
    const __m256i low = twice256(kMarks.low);
    const __m256i high = twice256(kMarks.high);
    const __m256i zero = _mm256_setzero_si256();
    const __m256i first = classes256(load256(bytes), low, high);
    const __m256i last = classes256(load256(bytes + 32), low, high);
    return ~(bits256(_mm256_cmpeq_epi8(first, zero)) | bits256(_mm256_cmpeq_epi8(last, zero))
                                                           << 32U);
}

constexpr ScanOps kAvx2Ops{lines_avx2, marks_avx2};

[[gnu::target("avx512f,avx512bw,avx512vl,bmi,bmi2,lzcnt,popcnt")]] inline __m512i
four_times512(const Nibbles& table) noexcept {
    // Plain broadcast: GCC 12 takes its own intrinsic's placeholder for an uninitialised read.
    return _mm512_maskz_broadcast_i32x4(__mmask16{0xffff}, load128(table.data()));
}

[[gnu::target("avx512f,avx512bw,avx512vl,bmi,bmi2,lzcnt,popcnt")]] inline __m512i
upper_nibbles512(__m512i bytes) noexcept {
    return _mm512_and_si512(_mm512_srli_epi16(bytes, 4), _mm512_set1_epi8(0x0f));
}

[[gnu::target("avx512f,avx512bw,avx512vl,bmi,bmi2,lzcnt,popcnt")]] void
lines_avx512(const char* text, std::size_t size, LineList& list) noexcept {
    const __m512i low = four_times512(kFirst.low);
    const __m512i high = four_times512(kFirst.high);
    const __m512i empties = _mm512_set1_epi8(static_cast<char>(line_class::kEmpty));
    const __m512i wanted = _mm512_set1_epi8(static_cast<char>(list.wanted | line_class::kEmpty));
    const __m512i second = _mm512_and_si512(four_times512(kSecond), wanted);
    const __m512i nibble = _mm512_set1_epi8(0x0f);
    const __m512i line_feed = _mm512_set1_epi8('\n');
    Blocks blocks(size, list);
    while (blocks.next()) {
        const char* at = text + blocks.base();
        const __mmask64 feeds = _mm512_cmpeq_epi8_mask(_mm512_loadu_si512(at), line_feed);
        const __m512i bytes = _mm512_loadu_si512(at + 1);
        constexpr int kAllThree = 0x80;
        const __m512i line = _mm512_ternarylogic_epi64(
            _mm512_shuffle_epi8(low, bytes),
            _mm512_shuffle_epi8(high, upper_nibbles512(bytes)),
            _mm512_shuffle_epi8(second, _mm512_and_si512(_mm512_loadu_si512(at + 2), nibble)),
            kAllThree);
        const __mmask64 candidates = _mm512_mask_test_epi8_mask(feeds, line, line);
        const __mmask64 empty = _mm512_mask_test_epi8_mask(feeds, line, empties);
        if (!blocks.take(feeds, candidates, empty)) return;
    }
    lines_scalar(text, size, list);
}

[[gnu::target("avx512f,avx512bw,avx512vl,bmi,bmi2,lzcnt,popcnt")]] std::uint64_t
marks_avx512(const char* bytes) noexcept {
    const __m512i all = _mm512_loadu_si512(bytes);
    return _mm512_test_epi8_mask(
        _mm512_shuffle_epi8(four_times512(kMarks.low), all),
        _mm512_shuffle_epi8(four_times512(kMarks.high), upper_nibbles512(all)));
}

constexpr ScanOps kAvx512Ops{lines_avx512, marks_avx512};

#endif

} // namespace

std::uint8_t line_class_of(char first, char second) noexcept {
    return static_cast<std::uint8_t>(kFirst.of(first) &
                                     kSecond[static_cast<std::uint8_t>(second) & 0x0fU]);
}

std::string_view name_of(ScanLevel level) noexcept {
    constexpr std::array<std::string_view, kScanLevels.size()> kNames{
        "scalar", "sse4.2", "avx2", "avx512"};
    return kNames[static_cast<std::size_t>(level)];
}

bool has_scan_level(ScanLevel level) noexcept {
    switch (level) {
    case ScanLevel::Scalar:
        return true;
#if defined(__x86_64__)
    case ScanLevel::Sse42:
        return __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("popcnt");
    case ScanLevel::Avx2:
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2");
    case ScanLevel::Avx512:
        // VBMI2 is not used: machines without it lower their clock for 64-byte vectors.
        return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("avx512vbmi2");
#else
    case ScanLevel::Sse42:
    case ScanLevel::Avx2:
    case ScanLevel::Avx512:
        return false;
#endif
    }
    return false;
}

const ScanOps& scan_ops(ScanLevel level) noexcept {
#if defined(__x86_64__)
    switch (level) {
    case ScanLevel::Avx512:
        return kAvx512Ops;
    case ScanLevel::Avx2:
        return kAvx2Ops;
    case ScanLevel::Sse42:
        return kSse42Ops;
    case ScanLevel::Scalar:
        break;
    }
#endif
    return kScalarOps;
}

} // namespace viaduct
