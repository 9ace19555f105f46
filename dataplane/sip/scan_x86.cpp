// SPDX-License-Identifier: Apache-2.0
//
// scan_x86: the levels of scan for x86: SSE4.2, AVX2 and AVX-512. Each function is compiled for its
// own level; scan_ops() returns those the machine can run.
#include "sip/scan_block.hpp"
#include "sip/scan_call_id.hpp"
#include "sip/scan_tag.hpp"

#if defined(__x86_64__)

#include <cstring>
#include <immintrin.h>

namespace viaduct {

namespace {

/// Where a scan can be restarted.
struct Start {
    std::size_t next;
    std::size_t count;
};

/// Limits a scan that counts lines in columns of eight bits, at most `to_a_column` per column and
/// block, so that no column overflows. Returns where to restart it.
Start begin_uncounted(LineList& list, std::size_t to_a_column) noexcept {
    list.pause = std::min(list.pause, list.next + 255 / to_a_column * Scan::kBlock);
    return {list.next, list.count};
}

/// Subtracts `lines` from the limit; they may include lines of the body in the last block. False:
/// this may exceed the limit; the list is as before, and an exact scan has to decide.
bool count_lines(const Start& before, std::size_t lines, LineList& list) noexcept {
    if (lines <= list.lines_left) [[likely]] {
        list.lines_left -= lines;
        return true;
    }
    list.next = before.next;
    list.count = before.count;
    list.done = false;
    return false;
}

[[gnu::target("sse4.2,popcnt")]] inline __m128i load128(const void* bytes) noexcept {
    return _mm_loadu_si128(static_cast<const __m128i*>(bytes));
}

[[gnu::target("sse4.2,popcnt")]] inline __m128i
classes128(__m128i bytes, __m128i low, __m128i high) noexcept {
    const __m128i upper = _mm_and_si128(_mm_srli_epi16(bytes, 4), _mm_set1_epi8(0x0f));
    return _mm_and_si128(_mm_shuffle_epi8(low, bytes), _mm_shuffle_epi8(high, upper));
}

[[gnu::target("sse4.2,popcnt")]] inline std::uint64_t bits128(__m128i mask) noexcept {
    return static_cast<std::uint32_t>(_mm_movemask_epi8(mask));
}

/// Mask of the 16 characters that come one or two after the next but one in the alphabet.
[[gnu::target("sse4.2,popcnt")]] inline std::uint64_t ahead128(__m128i first,
                                                               __m128i third) noexcept {
    const __m128i case_bit = _mm_set1_epi8(0x20);
    const __m128i one = _mm_set1_epi8(1);
    const __m128i ahead = _mm_sub_epi8(
        _mm_sub_epi8(_mm_or_si128(first, case_bit), _mm_or_si128(third, case_bit)), one);
    return bits128(_mm_cmpeq_epi8(_mm_min_epu8(ahead, one), ahead)); // 0 or 1
}

template <bool kReferences>
[[gnu::target("sse4.2,popcnt")]] void
lines_sse42(const char* text, std::size_t size, LineList& list) noexcept {
    std::uint64_t references = 0;
    // The last place of the block before, as the first one of this.
    std::uint64_t feed_before = list.next > 0 && text[list.next - 1] == '\n' ? 1 : 0;
    const __m128i low = load128(kFirst.low.data());
    const __m128i high = load128(kFirst.high.data());
    const __m128i wanted = _mm_set1_epi8(static_cast<char>(list.wanted | line_class::kEmpty));
    const __m128i second = _mm_and_si128(load128(kSecond.data()), wanted);
    const __m128i nibble = _mm_set1_epi8(0x0f);
    const __m128i line_feed = _mm_set1_epi8('\n');
    Scan scan(text, size, list);
    while (scan.next()) {
        std::uint64_t line_feeds = 0;
        std::uint64_t other = 0;
        std::uint64_t empty = 0;
        std::uint64_t ahead = 0;
        for (unsigned part = 0; part < 64; part += 16) {
            const char* at = text + scan.base() + part;
            if constexpr (kReferences) ahead |= ahead128(load128(at), load128(at + 2)) << part;
            const __m128i feeds = _mm_cmpeq_epi8(load128(at), line_feed);
            const __m128i after = _mm_shuffle_epi8(second, _mm_and_si128(load128(at + 2), nibble));
            const __m128i line =
                _mm_and_si128(feeds, _mm_and_si128(classes128(load128(at + 1), low, high), after));
            line_feeds |= bits128(feeds) << part;
            other |= bits128(_mm_cmpeq_epi8(line, _mm_setzero_si128())) << part;
            empty |= bits128(_mm_or_si128(line, _mm_add_epi8(line, line))) << part;
        }
        if constexpr (kReferences) {
            references |= ahead & (line_feeds << 1U | feed_before);
            feed_before = line_feeds >> 63U;
        }
        line_feeds &= scan.unseen();
        if (!scan.take_and_count(line_feeds, line_feeds & ~other, empty & line_feeds)) break;
    }
    const bool more = scan.finish();
    list.may_reference_call = list.may_reference_call || references != 0;
    if (more) lines_scalar(text, size, list);
}

[[gnu::target("sse4.2,popcnt")]] std::uint64_t line_feeds_sse42(const char* bytes) noexcept {
    std::uint64_t line_feeds = 0;
    for (unsigned part = 0; part < 64; part += 16)
        line_feeds |= bits128(_mm_cmpeq_epi8(load128(bytes + part), _mm_set1_epi8('\n'))) << part;
    return line_feeds;
}

[[gnu::target("sse4.2,popcnt")]] ValueMarks marks_sse42(const char* bytes) noexcept {
    const __m128i low = load128(kMarks.low.data());
    const __m128i high = load128(kMarks.high.data());
    ValueMarks marks{};
    for (unsigned part = 0; part < 64; part += 16) {
        // Shifts move one class after the other to the bit that movemask reads.
        const __m128i classes = classes128(load128(bytes + part), low, high);
        marks.backslash |= bits128(_mm_slli_epi16(classes, 1)) << part;
        marks.comma |= bits128(_mm_slli_epi16(classes, 2)) << part;
        marks.quote |= bits128(_mm_slli_epi16(classes, 3)) << part;
        marks.greater |= bits128(_mm_slli_epi16(classes, 4)) << part;
        marks.less |= bits128(_mm_slli_epi16(classes, 5)) << part;
        marks.semicolon |= bits128(_mm_slli_epi16(classes, 6)) << part;
        marks.line_feed |= bits128(_mm_slli_epi16(classes, 7)) << part;
    }
    return marks;
}

[[gnu::target("sse4.2,popcnt")]] std::size_t
usual_tag_sse42(const char* text, std::size_t size, std::size_t at) noexcept {
    UsualTag tag(text, size, at);
    const char* block = tag.block();
    if (block == nullptr || !tag.go_to_uri(marks_sse42(block))) return kUnusualTag;
    block = tag.block();
    return block == nullptr ? kUnusualTag : tag.after_uri(marks_sse42(block));
}

/// Loads fewer than 16 bytes, followed by zeros: two loads that overlap.
[[gnu::target("sse4.2,popcnt")]] inline __m128i load_short128(const char* bytes,
                                                              std::size_t size) noexcept {
    std::uint64_t first = 0;
    std::uint64_t last = 0;
    if (size >= 8) {
        std::memcpy(&first, bytes, 8);
        std::memcpy(&last, bytes + size - 8, 8);
        last = size == 8 ? 0 : last >> (128 - 8 * size);
    } else if (size >= 4) {
        std::memcpy(&first, bytes, 4);
        std::memcpy(&last, bytes + size - 4, 4);
        first |= last << (8 * size - 32);
        last = 0;
    } else {
        for (std::size_t i = 0; i < size; ++i)
            first |= std::uint64_t{static_cast<std::uint8_t>(bytes[i])} << (8 * i);
    }
    return _mm_set_epi64x(static_cast<long long>(last), static_cast<long long>(first));
}

[[gnu::target("sse4.2,popcnt")]] inline PartMarks parts128(__m128i bytes) noexcept {
    const __m128i classes =
        classes128(bytes, load128(kParts.low.data()), load128(kParts.high.data()));
    return {bits128(_mm_cmpgt_epi8(classes, _mm_setzero_si128())),
            bits128(_mm_cmpgt_epi8(classes, _mm_set1_epi8(static_cast<char>(kLastInner))))};
}

[[gnu::target("sse4.2,popcnt")]] PartMarks parts_sse42(const char* bytes,
                                                       std::size_t left) noexcept {
    if (left < 16) {
        const PartMarks marks = parts128(load_short128(bytes, left));
        const std::uint64_t seen = (std::uint64_t{1} << left) - 1;
        return with_end({marks.all & seen, marks.outer & seen}, left);
    }
    const std::size_t size = std::min<std::size_t>(left, 64);
    const std::size_t last = size - 16; // the last sixteen bytes may overlap others
    PartMarks marks = parts128(load128(bytes));
    for (std::size_t at = 16; at < size; at += 16) {
        const std::size_t from = std::min(at, last);
        const PartMarks more = parts128(load128(bytes + from));
        marks.all |= more.all << from;
        marks.outer |= more.outer << from;
    }
    return with_end(marks, left);
}

/// The line feeds of the last bytes of a text, fewer than 64.
[[gnu::target("sse4.2,popcnt")]] std::uint64_t last_line_feeds_sse42(const char* bytes,
                                                                     std::size_t size) noexcept {
    std::uint64_t line_feeds = 0;
    std::size_t at = 0;
    for (; at + 16 <= size; at += 16)
        line_feeds |= bits128(_mm_cmpeq_epi8(load128(bytes + at), _mm_set1_epi8('\n'))) << at;
    if (at < size)
        line_feeds |=
            bits128(_mm_cmpeq_epi8(load_short128(bytes + at, size - at), _mm_set1_epi8('\n')))
            << at;
    return line_feeds;
}

[[gnu::target("sse4.2,popcnt")]] void
line_ends_sse42(const char* text, std::size_t size, LineEnds& ends) noexcept {
    EndWriter writer(size, ends);
    while (writer.more()) {
        const char* at = text + writer.next();
        writer.take(writer.left() >= 64 ? line_feeds_sse42(at)
                                        : last_line_feeds_sse42(at, writer.left()));
    }
    writer.finish();
}

[[gnu::target("sse4.2,popcnt")]] bool has_comma_sse42(const char* bytes,
                                                      std::size_t size) noexcept {
    const __m128i comma = _mm_set1_epi8(',');
    if (size < 16) return bits128(_mm_cmpeq_epi8(load_short128(bytes, size), comma)) != 0;
    const std::size_t last = size - 16;
    for (std::size_t at = 0; at < last; at += 16)
        if (bits128(_mm_cmpeq_epi8(load128(bytes + at), comma)) != 0) return true;
    return bits128(_mm_cmpeq_epi8(load128(bytes + last), comma)) != 0;
}

/// The masks at indexes `from` to `to`. Inlined: loops of constant length are unrolled.
[[gnu::target("sse4.2,popcnt"), gnu::always_inline]] inline void
find_names_sse42(const char* bytes, std::size_t from, std::size_t to, NameMasks& names) noexcept {
    for (unsigned part = 0; part < 64; part += 16) {
        const __m128i exact = load128(bytes + part);
        const __m128i folded = _mm_or_si128(exact, _mm_set1_epi8(0x20));
        for (std::size_t i = from; i < to; ++i) {
            const __m128i block = i >= NameMasks::kFirstLetter ? folded : exact;
            const __m128i wanted = _mm_set1_epi8(NameMasks::kCharacters[i]);
            names.masks[i] |= bits128(_mm_cmpeq_epi8(block, wanted)) << part;
        }
    }
}

[[gnu::target("sse4.2,popcnt")]] void
names_sse42(const char* bytes, bool with_from, NameMasks& names) noexcept {
    names.masks.fill(0);
    find_names_sse42(bytes, 0, NameMasks::kFirstOfFrom, names);
    if (with_from) find_names_sse42(bytes, NameMasks::kFirstOfFrom, names.masks.size(), names);
}

[[gnu::target("avx2,bmi,bmi2,popcnt")]] inline __m256i load256(const void* bytes) noexcept {
    return _mm256_loadu_si256(static_cast<const __m256i*>(bytes));
}

[[gnu::target("avx2,bmi,bmi2,popcnt")]] inline __m256i twice256(const Nibbles& table) noexcept {
    return _mm256_broadcastsi128_si256(load128(table.data()));
}

[[gnu::target("avx2,bmi,bmi2,popcnt")]] inline __m256i
classes256(__m256i bytes, __m256i low, __m256i high) noexcept {
    const __m256i upper = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), _mm256_set1_epi8(0x0f));
    return _mm256_and_si256(_mm256_shuffle_epi8(low, bytes), _mm256_shuffle_epi8(high, upper));
}

[[gnu::target("avx2,bmi,bmi2,popcnt")]] inline std::uint64_t bits256(__m256i mask) noexcept {
    return static_cast<std::uint32_t>(_mm256_movemask_epi8(mask));
}

[[gnu::target("avx2,bmi,bmi2,popcnt")]] inline std::size_t sum256(__m256i bytes) noexcept {
    const __m256i sums = _mm256_sad_epu8(bytes, _mm256_setzero_si256());
    const __m128i two =
        _mm_add_epi64(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
    return static_cast<std::size_t>(_mm_cvtsi128_si64(two) + _mm_extract_epi64(two, 1));
}

[[gnu::target("avx2,bmi,bmi2,popcnt")]] std::uint64_t line_feeds_avx2(const char* bytes) noexcept {
    const __m256i line_feed = _mm256_set1_epi8('\n');
    return bits256(_mm256_cmpeq_epi8(load256(bytes), line_feed)) |
           bits256(_mm256_cmpeq_epi8(load256(bytes + 32), line_feed)) << 32U;
}

[[gnu::target("avx2,bmi,bmi2,popcnt")]] inline std::uint64_t ahead256(__m256i first,
                                                                      __m256i third) noexcept {
    const __m256i case_bit = _mm256_set1_epi8(0x20);
    const __m256i one = _mm256_set1_epi8(1);
    const __m256i ahead = _mm256_sub_epi8(
        _mm256_sub_epi8(_mm256_or_si256(first, case_bit), _mm256_or_si256(third, case_bit)), one);
    return bits256(_mm256_cmpeq_epi8(_mm256_min_epu8(ahead, one), ahead));
}

template <bool kReferences>
[[gnu::target("avx2,bmi,bmi2,popcnt")]] void
lines_avx2(const char* text, std::size_t size, LineList& list) noexcept {
    std::uint64_t references = 0;
    std::uint64_t feed_before = list.next > 0 && text[list.next - 1] == '\n' ? 1 : 0;
    const Start before = begin_uncounted(list, 2); // a block has two halves
    const __m256i low = twice256(kFirst.low);
    const __m256i high = twice256(kFirst.high);
    const __m256i wanted = _mm256_set1_epi8(static_cast<char>(list.wanted | line_class::kEmpty));
    const __m256i second = _mm256_and_si256(twice256(kSecond), wanted);
    const __m256i nibble = _mm256_set1_epi8(0x0f);
    const __m256i line_feed = _mm256_set1_epi8('\n');
    __m256i lines = _mm256_setzero_si256(); // number of line feeds in each column
    std::size_t seen_twice = 0;
    Scan scan(text, size, list);
    while (scan.next()) {
        std::uint64_t other = 0;
        std::uint64_t empty = 0;
        std::uint64_t ahead = 0;
        std::uint64_t all_feeds = 0;
        for (unsigned part = 0; part < 64; part += 32) {
            const char* at = text + scan.base() + part;
            const __m256i feeds = _mm256_cmpeq_epi8(load256(at), line_feed);
            if constexpr (kReferences) {
                ahead |= ahead256(load256(at), load256(at + 2)) << part;
                all_feeds |= bits256(feeds) << part;
            }
            const __m256i after =
                _mm256_shuffle_epi8(second, _mm256_and_si256(load256(at + 2), nibble));
            const __m256i line = _mm256_and_si256(
                feeds, _mm256_and_si256(classes256(load256(at + 1), low, high), after));
            lines = _mm256_sub_epi8(lines, feeds);
            other |= bits256(_mm256_cmpeq_epi8(line, _mm256_setzero_si256())) << part;
            empty |= bits256(_mm256_or_si256(line, _mm256_add_epi8(line, line))) << part;
        }
        if constexpr (kReferences) {
            references |= ahead & (all_feeds << 1U | feed_before);
            feed_before = all_feeds >> 63U;
        }
        if (scan.unseen() != ~std::uint64_t{0}) [[unlikely]]
            seen_twice = static_cast<std::size_t>(
                std::popcount(line_feeds_avx2(text + scan.base()) & ~scan.unseen()));
        if (!scan.take(scan.unseen() & ~other, empty & scan.unseen())) break;
    }
    const bool more = scan.finish();
    list.may_reference_call = list.may_reference_call || references != 0;
    if (!count_lines(before, sum256(lines) - seen_twice, list))
        return lines_sse42<kReferences>(text, size, list);
    if (more) lines_scalar(text, size, list);
}

struct CallIdTables256 {
    __m256i low;
    __m256i high;
    __m256i third;
};

/// The call_id_class bits of the lines that start after these 32 places; counts the lines by
/// column.
[[gnu::target("avx2,bmi,bmi2,popcnt"), gnu::always_inline]] inline __m256i
call_id_lines256(const char* bytes, const CallIdTables256& tables, __m256i& lines) noexcept {
    const __m256i feeds = _mm256_cmpeq_epi8(load256(bytes), _mm256_set1_epi8('\n'));
    lines = _mm256_sub_epi8(lines, feeds);
    const __m256i by_third = _mm256_shuffle_epi8(
        tables.third, _mm256_and_si256(load256(bytes + 3), _mm256_set1_epi8(0x0f)));
    const __m256i by_first = classes256(load256(bytes + 1), tables.low, tables.high);
    return _mm256_and_si256(_mm256_and_si256(by_first, feeds), by_third);
}

[[gnu::target("avx2,bmi,bmi2,popcnt")]] bool
call_id_lines_avx2(const char* text, std::size_t size, LineList& list) noexcept {
    if (!CallIdScan::fits(size, list)) return false;
    const CallIdTables256 tables{
        twice256(kCallIdFirst.low), twice256(kCallIdFirst.high), twice256(kCallIdThird)};
    const __m256i zero = _mm256_setzero_si256();
    __m256i lines = zero; // number of line feeds in each column
    std::size_t seen_twice = 0;
    CallIdScan scan(text, size, list);
    while (scan.next()) {
        const char* const at = text + scan.base();
        const __m256i first = call_id_lines256(at, tables, lines);
        const __m256i second = call_id_lines256(at + 32, tables, lines);
        const std::uint64_t other = bits256(_mm256_cmpeq_epi8(first, zero)) |
                                    bits256(_mm256_cmpeq_epi8(second, zero)) << 32U;
        std::uint64_t candidates = scan.unseen() & ~other;
        if (scan.unseen() != ~std::uint64_t{0}) [[unlikely]]
            seen_twice =
                static_cast<std::size_t>(std::popcount(line_feeds_avx2(at) & ~scan.unseen()));
        // The class of empty lines is the sign bit.
        if (bits256(_mm256_or_si256(first, second)) != 0) [[unlikely]]
            candidates = scan.end_at(candidates,
                                     (bits256(first) | bits256(second) << 32U) & scan.unseen(),
                                     line_feeds_avx2(at));
        if (!scan.take(candidates)) break;
    }
    if (!scan.finish(sum256(lines) - seen_twice))
        lines_sse42<true>(text, size, list);
    else if (scan.has_tail())
        lines_scalar(text, size, list);
    return true;
}

[[gnu::target("avx2,bmi,bmi2,popcnt")]] inline std::uint64_t
bits_of_class(__m256i first, __m256i last, std::uint8_t one) noexcept {
    // The shift moves the class to the bit that movemask reads.
    const int shift = std::countl_zero(one);
    return bits256(_mm256_slli_epi16(first, shift)) | bits256(_mm256_slli_epi16(last, shift))
                                                          << 32U;
}

[[gnu::target("avx2,bmi,bmi2,popcnt")]] ValueMarks marks_avx2(const char* bytes) noexcept {
    const __m256i low = twice256(kMarks.low);
    const __m256i high = twice256(kMarks.high);
    const __m256i first = classes256(load256(bytes), low, high);
    const __m256i last = classes256(load256(bytes + 32), low, high);
    return {.line_feed = bits_of_class(first, last, mark::kLineFeed),
            .semicolon = bits_of_class(first, last, mark::kSemicolon),
            .less = bits_of_class(first, last, mark::kLess),
            .greater = bits_of_class(first, last, mark::kGreater),
            .quote = bits_of_class(first, last, mark::kQuote),
            .comma = bits_of_class(first, last, mark::kComma),
            .backslash = bits_of_class(first, last, mark::kBackslash)};
}

[[gnu::target("avx2,bmi,bmi2,popcnt")]] inline std::uint64_t
equal256(__m256i first, __m256i last, char c) noexcept {
    return bits256(_mm256_cmpeq_epi8(first, _mm256_set1_epi8(c))) |
           bits256(_mm256_cmpeq_epi8(last, _mm256_set1_epi8(c))) << 32U;
}

/// The places of characters of these classes of kAroundUri.
[[gnu::target("avx2,bmi,bmi2,popcnt")]] inline std::uint64_t
around_uri256(__m256i first, __m256i last, char classes) noexcept {
    const __m256i low = twice256(kAroundUri.low);
    const __m256i high = _mm256_and_si256(twice256(kAroundUri.high), _mm256_set1_epi8(classes));
    const __m256i none = _mm256_setzero_si256();
    return bits256(_mm256_cmpgt_epi8(classes256(first, low, high), none)) |
           bits256(_mm256_cmpgt_epi8(classes256(last, low, high), none)) << 32U;
}

[[gnu::target("avx2,bmi,bmi2,popcnt")]] std::size_t
usual_tag_avx2(const char* text, std::size_t size, std::size_t at) noexcept {
    UsualTag tag(text, size, at);
    const char* block = tag.block();
    if (block == nullptr) [[unlikely]]
        return kUnusualTag;
    __m256i first = load256(block);
    __m256i last = load256(block + 32);
    if (!tag.go_to_uri(equal256(first, last, '<'),
                       equal256(first, last, '"'),
                       around_uri256(first, last, kBeforeUri))) [[unlikely]]
        return kUnusualTag;
    block = tag.block();
    if (block == nullptr) [[unlikely]]
        return kUnusualTag;
    first = load256(block);
    last = load256(block + 32);
    return tag.after_uri(equal256(first, last, '>'), around_uri256(first, last, kInUri));
}

[[gnu::target("avx2,bmi,bmi2,popcnt")]] inline PartMarks parts256(__m256i bytes) noexcept {
    const __m256i classes = classes256(bytes, twice256(kParts.low), twice256(kParts.high));
    return {bits256(_mm256_cmpgt_epi8(classes, _mm256_setzero_si256())),
            bits256(_mm256_cmpgt_epi8(classes, _mm256_set1_epi8(static_cast<char>(kLastInner))))};
}

[[gnu::target("avx2,bmi,bmi2,popcnt")]] PartMarks parts_avx2(const char* bytes,
                                                             std::size_t left) noexcept {
    if (left < 32) return parts_sse42(bytes, left);
    const std::size_t last = std::min<std::size_t>(left, 64) - 32;
    const PartMarks first = parts256(load256(bytes));
    const PartMarks more = parts256(load256(bytes + last));
    return with_end({first.all | more.all << last, first.outer | more.outer << last}, left);
}

[[gnu::target("avx2,bmi,bmi2,popcnt")]] void
line_ends_avx2(const char* text, std::size_t size, LineEnds& ends) noexcept {
    EndWriter writer(size, ends);
    while (writer.more()) {
        const char* at = text + writer.next();
        writer.take(writer.left() >= 64 ? line_feeds_avx2(at)
                                        : last_line_feeds_sse42(at, writer.left()));
    }
    writer.finish();
}

[[gnu::target("avx2,bmi,bmi2,popcnt")]] bool has_comma_avx2(const char* bytes,
                                                            std::size_t size) noexcept {
    if (size < 32) return has_comma_sse42(bytes, size);
    const __m256i comma = _mm256_set1_epi8(',');
    const std::size_t last = size - 32;
    for (std::size_t at = 0; at < last; at += 32)
        if (bits256(_mm256_cmpeq_epi8(load256(bytes + at), comma)) != 0) return true;
    return bits256(_mm256_cmpeq_epi8(load256(bytes + last), comma)) != 0;
}

[[gnu::target("avx2,bmi,bmi2,popcnt"), gnu::always_inline]] inline void
find_names_avx2(const char* bytes, std::size_t from, std::size_t to, NameMasks& names) noexcept {
    const __m256i case_bit = _mm256_set1_epi8(0x20);
    const __m256i first = load256(bytes);
    const __m256i last = load256(bytes + 32);
    const __m256i first_folded = _mm256_or_si256(first, case_bit);
    const __m256i last_folded = _mm256_or_si256(last, case_bit);
    for (std::size_t i = from; i < to; ++i) {
        const bool letter = i >= NameMasks::kFirstLetter;
        const __m256i wanted = _mm256_set1_epi8(NameMasks::kCharacters[i]);
        names.masks[i] = bits256(_mm256_cmpeq_epi8(letter ? first_folded : first, wanted)) |
                         bits256(_mm256_cmpeq_epi8(letter ? last_folded : last, wanted)) << 32U;
    }
}

[[gnu::target("avx2,bmi,bmi2,popcnt")]] void
names_avx2(const char* bytes, bool with_from, NameMasks& names) noexcept {
    find_names_avx2(bytes, 0, NameMasks::kFirstOfFrom, names);
    if (with_from) find_names_avx2(bytes, NameMasks::kFirstOfFrom, names.masks.size(), names);
}

[[gnu::target("avx512f,avx512bw,avx512vl,avx512vbmi,bmi,bmi2,popcnt")]] inline __m512i
load512(const void* bytes) noexcept {
    return _mm512_loadu_si512(bytes);
}

/// The classes of 64 characters: one lookup by seven bits. Characters above 127 count as the last
/// one, which is in no class.
using Classes128 = std::array<std::uint8_t, 128>;

consteval Classes128 by_character(const ClassTable& table) {
    Classes128 all{};
    for (std::size_t i = 0; i < all.size(); ++i)
        all[i] = table.of(static_cast<char>(i));
    return all;
}
// The maskz forms below keep every lane: GCC 12 warns that the plain ones read an uninitialised
// value, which is its own placeholder.
alignas(64) constexpr Classes128 kFirst128 = by_character(kFirst);
alignas(64) constexpr Classes128 kCallIdFirst128 = by_character(kCallIdFirst);
alignas(64) constexpr Classes128 kMarks128 = by_character(kMarks);
alignas(64) constexpr Classes128 kParts128 = by_character(kParts);
alignas(64) constexpr Classes128 kAroundUri128 = by_character(kAroundUri);
static_assert(kFirst128[127] == 0 && kCallIdFirst128[127] == 0 && kMarks128[127] == 0 &&
              kParts128[127] == 0 && kAroundUri128[127] == 0);
/// A table four times: a lookup by six bits then needs no masking.
consteval std::array<std::uint8_t, 64> four_times(const Nibbles& table) {
    std::array<std::uint8_t, 64> all{};
    for (std::size_t i = 0; i < all.size(); ++i)
        all[i] = table[i & 0x0fU];
    return all;
}
alignas(64) constexpr auto kSecond64 = four_times(kSecond);
alignas(64) constexpr auto kCallIdThird64 = four_times(kCallIdThird);

[[gnu::target("avx512f,avx512bw,avx512vl,avx512vbmi,bmi,bmi2,popcnt")]] inline __m512i
classes512(__m512i bytes, const Classes128& classes) noexcept {
    return _mm512_permutex2var_epi8(load512(classes.data()),
                                    _mm512_min_epu8(bytes, _mm512_set1_epi8(0x7f)),
                                    load512(classes.data() + 64));
}

[[gnu::target("avx512f,avx512bw,avx512vl,avx512vbmi,bmi,bmi2,popcnt")]] inline std::size_t
sum512(__m512i bytes) noexcept {
    std::array<std::uint8_t, 64> columns;
    _mm512_storeu_si512(columns.data(), bytes);
    return sum256(load256(columns.data())) + sum256(load256(columns.data() + 32));
}

template <bool kReferences>
[[gnu::target("avx512f,avx512bw,avx512vl,avx512vbmi,bmi,bmi2,popcnt")]] void
lines_avx512(const char* text, std::size_t size, LineList& list) noexcept {
    std::uint64_t references = 0;
    std::uint64_t feed_before = list.next > 0 && text[list.next - 1] == '\n' ? 1 : 0;
    const __m512i case_bit = _mm512_set1_epi8(0x20);
    const Start before = begin_uncounted(list, 1);
    const __m512i empties = _mm512_set1_epi8(static_cast<char>(line_class::kEmpty));
    const __m512i wanted = _mm512_set1_epi8(static_cast<char>(list.wanted | line_class::kEmpty));
    const __m512i second = _mm512_and_si512(load512(kSecond64.data()), wanted);
    const __m512i line_feed = _mm512_set1_epi8('\n');
    const __m512i one = _mm512_set1_epi8(1);
    __m512i lines = _mm512_setzero_si512(); // number of line feeds in each column
    Scan scan(text, size, list);
    while (scan.next()) {
        const char* at = text + scan.base();
        const __mmask64 all_feeds = _mm512_cmpeq_epi8_mask(load512(at), line_feed);
        const __mmask64 feeds = all_feeds & scan.unseen();
        if constexpr (kReferences) {
            const __m512i ahead =
                _mm512_sub_epi8(_mm512_sub_epi8(_mm512_or_si512(load512(at), case_bit),
                                                _mm512_or_si512(load512(at + 2), case_bit)),
                                one); // 0 or 1
            references |= _mm512_mask_cmple_epu8_mask(all_feeds << 1U | feed_before, ahead, one);
            feed_before = all_feeds >> 63U;
        }
        const __m512i line =
            _mm512_and_si512(classes512(load512(at + 1), kFirst128),
                             _mm512_maskz_permutexvar_epi8(~__mmask64{0}, load512(at + 2), second));
        lines = _mm512_mask_add_epi8(lines, feeds, lines, one);
        const __mmask64 candidates = _mm512_mask_test_epi8_mask(feeds, line, line);
        const __mmask64 empty = _mm512_mask_test_epi8_mask(feeds, line, empties);
        if (!scan.take(candidates, empty)) break;
    }
    const bool more = scan.finish();
    list.may_reference_call = list.may_reference_call || references != 0;
    if (!count_lines(before, sum512(lines), list))
        return lines_sse42<kReferences>(text, size, list);
    if (more) lines_scalar(text, size, list);
}

[[gnu::target("avx512f,avx512bw,avx512vl,avx512vbmi,bmi,bmi2,popcnt")]] bool
call_id_lines_avx512(const char* text, std::size_t size, LineList& list) noexcept {
    if (!CallIdScan::fits(size, list)) return false;
    const __m512i third = load512(kCallIdThird64.data());
    const __m512i line_feed = _mm512_set1_epi8('\n');
    const __m512i empties = _mm512_set1_epi8(static_cast<char>(call_id_class::kEmpty));
    std::size_t lines = 0;
    CallIdScan scan(text, size, list);
    while (scan.next()) {
        const char* const at = text + scan.base();
        const __mmask64 all_feeds = _mm512_cmpeq_epi8_mask(load512(at), line_feed);
        const __mmask64 feeds = all_feeds & scan.unseen();
        lines += static_cast<std::size_t>(std::popcount(feeds));
        const __m512i line =
            _mm512_and_si512(classes512(load512(at + 1), kCallIdFirst128),
                             _mm512_maskz_permutexvar_epi8(~__mmask64{0}, load512(at + 3), third));
        std::uint64_t candidates = _mm512_mask_test_epi8_mask(feeds, line, line);
        const std::uint64_t ends = _mm512_mask_test_epi8_mask(feeds, line, empties);
        if (ends != 0) [[unlikely]]
            candidates = scan.end_at(candidates, ends, all_feeds);
        if (!scan.take(candidates)) break;
    }
    if (!scan.finish(lines))
        lines_sse42<true>(text, size, list);
    else if (scan.has_tail())
        lines_scalar(text, size, list);
    return true;
}

[[gnu::target("avx512f,avx512bw,avx512vl,avx512vbmi,bmi,bmi2,popcnt")]] std::uint64_t
line_feeds_avx512(const char* bytes) noexcept {
    return _mm512_cmpeq_epi8_mask(load512(bytes), _mm512_set1_epi8('\n'));
}

[[gnu::target("avx512f,avx512bw,avx512vl,avx512vbmi,bmi,bmi2,popcnt")]] inline std::uint64_t
bits_of_class(__m512i classes, std::uint8_t one) noexcept {
    return _mm512_test_epi8_mask(classes, _mm512_set1_epi8(static_cast<char>(one)));
}

[[gnu::target("avx512f,avx512bw,avx512vl,avx512vbmi,bmi,bmi2,popcnt")]] ValueMarks
marks_avx512(const char* bytes) noexcept {
    const __m512i classes = classes512(load512(bytes), kMarks128);
    return {.line_feed = bits_of_class(classes, mark::kLineFeed),
            .semicolon = bits_of_class(classes, mark::kSemicolon),
            .less = bits_of_class(classes, mark::kLess),
            .greater = bits_of_class(classes, mark::kGreater),
            .quote = bits_of_class(classes, mark::kQuote),
            .comma = bits_of_class(classes, mark::kComma),
            .backslash = bits_of_class(classes, mark::kBackslash)};
}

[[gnu::target("avx512f,avx512bw,avx512vl,avx512vbmi,bmi,bmi2,popcnt")]] inline std::uint64_t
equal512(__m512i block, char c) noexcept {
    return _mm512_cmpeq_epi8_mask(block, _mm512_set1_epi8(c));
}

[[gnu::target("avx512f,avx512bw,avx512vl,avx512vbmi,bmi,bmi2,popcnt")]] inline std::uint64_t
around_uri512(__m512i block, char classes) noexcept {
    return _mm512_test_epi8_mask(classes512(block, kAroundUri128), _mm512_set1_epi8(classes));
}

[[gnu::target("avx512f,avx512bw,avx512vl,avx512vbmi,bmi,bmi2,popcnt")]] std::size_t
usual_tag_avx512(const char* text, std::size_t size, std::size_t at) noexcept {
    UsualTag tag(text, size, at);
    const char* const start = tag.block();
    if (start == nullptr) [[unlikely]]
        return kUnusualTag;
    const __m512i value = load512(start);
    if (!tag.go_to_uri(
            equal512(value, '<'), equal512(value, '"'), around_uri512(value, kBeforeUri)))
        [[unlikely]]
        return kUnusualTag;
    const char* const at_uri = tag.block();
    if (at_uri == nullptr) [[unlikely]]
        return kUnusualTag;
    const __m512i uri = load512(at_uri);
    return tag.after_uri(equal512(uri, '>'), around_uri512(uri, kInUri));
}

[[gnu::target("avx512f,avx512bw,avx512vl,avx512vbmi,bmi,bmi2,popcnt")]] PartMarks
parts_avx512(const char* bytes, std::size_t left) noexcept {
    const __mmask64 seen =
        _bzhi_u64(~std::uint64_t{0}, static_cast<unsigned>(std::min<std::size_t>(left, 64)));
    const std::uint64_t end = ~seen & (seen + 1); // none after a whole block
    const __m512i classes = classes512(_mm512_maskz_loadu_epi8(seen, bytes), kParts128);
    return {_mm512_mask_test_epi8_mask(seen, classes, classes) | end,
            _mm512_mask_cmpgt_epu8_mask(
                seen, classes, _mm512_set1_epi8(static_cast<char>(kLastInner))) |
                end};
}

alignas(64) constexpr auto kCount64 = [] {
    std::array<std::uint8_t, 64> all{};
    for (std::size_t i = 0; i < all.size(); ++i)
        all[i] = static_cast<std::uint8_t>(i);
    return all;
}();

[[gnu::target("avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,bmi,bmi2,popcnt")]] inline void
write_ends512(std::uint16_t* to, __m256i places, __m512i base) noexcept {
    _mm512_storeu_si512(to, _mm512_add_epi16(_mm512_cvtepu8_epi16(places), base));
}

[[gnu::target("avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,bmi,bmi2,popcnt")]] void
line_ends_avx512(const char* text, std::size_t size, LineEnds& ends) noexcept {
    const __m512i line_feed = _mm512_set1_epi8('\n');
    const __m512i places = load512(kCount64.data());
    EndWriter writer(size, ends);
    while (writer.more()) {
        const __mmask64 seen = _bzhi_u64(
            ~std::uint64_t{0}, static_cast<unsigned>(std::min<std::size_t>(writer.left(), 64)));
        const __m512i block = _mm512_maskz_loadu_epi8(seen, text + writer.next());
        const __mmask64 feeds = _mm512_cmpeq_epi8_mask(block, line_feed);
        const __m512i found = _mm512_maskz_compress_epi8(feeds, places);
        const __m512i base = _mm512_set1_epi16(static_cast<short>(writer.next()));
        write_ends512(writer.end(), _mm512_maskz_extracti64x4_epi64(0x0f, found, 0), base);
        if (std::popcount(feeds) > 32) [[unlikely]]
            write_ends512(writer.end() + 32, _mm512_maskz_extracti64x4_epi64(0x0f, found, 1), base);
        writer.skip(feeds);
    }
    writer.finish();
}

[[gnu::target("avx512f,avx512bw,avx512vl,avx512vbmi,bmi,bmi2,popcnt")]] bool
has_comma_avx512(const char* bytes, std::size_t size) noexcept {
    const __m512i comma = _mm512_set1_epi8(',');
    for (;; bytes += 128, size -= 128) { // 128 at a time, without a branch
        const std::size_t first = std::min<std::size_t>(size, 64);
        const std::size_t second = std::min<std::size_t>(size - first, 64);
        const __mmask64 in_first = _bzhi_u64(~std::uint64_t{0}, static_cast<unsigned>(first));
        const __mmask64 in_second = _bzhi_u64(~std::uint64_t{0}, static_cast<unsigned>(second));
        const __mmask64 found =
            _mm512_cmpeq_epi8_mask(_mm512_maskz_loadu_epi8(in_first, bytes), comma) |
            _mm512_cmpeq_epi8_mask(_mm512_maskz_loadu_epi8(in_second, bytes + first), comma);
        if (found != 0) return true;
        if (size <= 128) [[likely]]
            return false;
    }
}

[[gnu::target("avx512f,avx512bw,avx512vl,avx512vbmi,bmi,bmi2,popcnt"),
  gnu::always_inline]] inline void
find_names_avx512(const char* bytes, std::size_t from, std::size_t to, NameMasks& names) noexcept {
    const __m512i exact = load512(bytes);
    const __m512i folded = _mm512_or_si512(exact, _mm512_set1_epi8(0x20));
    for (std::size_t i = from; i < to; ++i) {
        const __m512i block = i >= NameMasks::kFirstLetter ? folded : exact;
        names.masks[i] = _mm512_cmpeq_epi8_mask(block, _mm512_set1_epi8(NameMasks::kCharacters[i]));
    }
}

[[gnu::target("avx512f,avx512bw,avx512vl,avx512vbmi,bmi,bmi2,popcnt")]] void
names_avx512(const char* bytes, bool with_from, NameMasks& names) noexcept {
    find_names_avx512(bytes, 0, NameMasks::kFirstOfFrom, names);
    if (with_from) find_names_avx512(bytes, NameMasks::kFirstOfFrom, names.masks.size(), names);
}

} // namespace

constinit const ScanOps sse42_ops{nullptr,
                                  lines_sse42<false>,
                                  lines_sse42<true>,
                                  line_feeds_sse42,
                                  marks_sse42,
                                  usual_tag_sse42,
                                  names_sse42,
                                  parts_sse42,
                                  line_ends_sse42,
                                  has_comma_sse42};
constinit const ScanOps avx2_ops{call_id_lines_avx2,
                                 lines_avx2<false>,
                                 lines_avx2<true>,
                                 line_feeds_avx2,
                                 marks_avx2,
                                 usual_tag_avx2,
                                 names_avx2,
                                 parts_avx2,
                                 line_ends_avx2,
                                 has_comma_avx2};
constinit const ScanOps avx512_ops{call_id_lines_avx512,
                                   lines_avx512<false>,
                                   lines_avx512<true>,
                                   line_feeds_avx512,
                                   marks_avx512,
                                   usual_tag_avx512,
                                   names_avx512,
                                   parts_avx512,
                                   line_ends_avx512,
                                   has_comma_avx512};

} // namespace viaduct

#endif
