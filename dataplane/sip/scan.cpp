// SPDX-License-Identifier: Apache-2.0
#include "sip/scan.hpp"

#include "sip/scan_block.hpp"
#include "sip/scan_tag.hpp"

#include <cstring>

namespace viaduct {

namespace {

/// Finds line feeds among eight bytes: bit 7 of that byte, and possibly bits above the first one.
std::uint64_t line_feeds_in(const char* bytes) noexcept {
    constexpr std::uint64_t kEvery = 0x0101'0101'0101'0101U;
    std::uint64_t word = 0;
    std::memcpy(&word, bytes, sizeof(word));
    if constexpr (std::endian::native == std::endian::big) word = __builtin_bswap64(word);
    word ^= kEvery * '\n';
    return (word - kEvery) & ~word & (kEvery * 0x80);
}

/// The classes of a line that starts with these two characters.
std::uint8_t line_class_of(char first, char second) noexcept {
    return static_cast<std::uint8_t>(kFirst.of(first) &
                                     kSecond[static_cast<std::uint8_t>(second) & 0x0fU]);
}

std::uint64_t line_feeds_scalar(const char* bytes) noexcept {
    for (unsigned i = 0; i < 64; i += 8)
        if (const std::uint64_t feeds = line_feeds_in(bytes + i); feeds != 0) {
            const unsigned first = i + static_cast<unsigned>(std::countr_zero(feeds)) / 8;
            std::uint64_t all = 0;
            for (unsigned at = first; at < 64; ++at)
                all |= std::uint64_t{bytes[at] == '\n'} << at;
            return all;
        }
    return 0;
}

ValueMarks marks_scalar(const char* bytes) noexcept {
    ValueMarks marks{};
    for (std::size_t i = 0; i < 64; ++i) {
        const std::uint8_t classes = kMarks.of(bytes[i]);
        if (classes == 0) continue;
        const auto bit = [&](std::uint8_t one) { return std::uint64_t{(classes & one) != 0} << i; };
        marks.line_feed |= bit(mark::kLineFeed);
        marks.semicolon |= bit(mark::kSemicolon);
        marks.less |= bit(mark::kLess);
        marks.greater |= bit(mark::kGreater);
        marks.quote |= bit(mark::kQuote);
        marks.comma |= bit(mark::kComma);
        marks.backslash |= bit(mark::kBackslash);
    }
    return marks;
}

void line_ends_scalar(const char* text, std::size_t size, LineEnds& ends) noexcept {
    EndWriter writer(size, ends);
    while (writer.more()) {
        const char* at = text + writer.next();
        std::uint64_t line_feeds = 0;
        if (writer.left() >= 64)
            line_feeds = line_feeds_scalar(at);
        else
            for (std::size_t i = 0; i < writer.left(); ++i)
                line_feeds |= std::uint64_t{at[i] == '\n'} << i;
        writer.take(line_feeds);
    }
    writer.finish();
}

bool has_comma_scalar(const char* bytes, std::size_t size) noexcept {
    return std::memchr(bytes, ',', size) != nullptr;
}

/// Whether the line that starts there may be a Replaces, Join or Target-Dialog.
bool may_be_reference(const char* text, std::size_t size, std::size_t line) noexcept {
    if (line + 2 >= size) return false;
    const int ahead = (text[line] | 0x20) - (text[line + 2] | 0x20);
    return ahead == 1 || ahead == 2;
}

PartMarks parts_scalar(const char* bytes, std::size_t left) noexcept {
    PartMarks marks{};
    for (std::size_t i = 0; i < std::min<std::size_t>(left, 64); ++i) {
        const std::uint8_t classes = kParts.of(bytes[i]);
        marks.all |= std::uint64_t{classes != 0} << i;
        marks.outer |= std::uint64_t{classes > kLastInner} << i;
    }
    return with_end(marks, left);
}

/// By character: its index in NameMasks, or one past the last.
constexpr auto kNamePlaces = [] {
    std::array<std::uint8_t, 256> places{};
    places.fill(static_cast<std::uint8_t>(NameMasks::kCharacters.size()));
    for (std::size_t i = 0; i < NameMasks::kCharacters.size(); ++i) {
        const auto c = static_cast<std::uint8_t>(NameMasks::kCharacters[i]);
        places[c] = static_cast<std::uint8_t>(i);
        if (i >= NameMasks::kFirstLetter) places[c - 0x20U] = static_cast<std::uint8_t>(i);
    }
    return places;
}();

void names_scalar(const char* bytes, bool /*with_from*/, NameMasks& names) noexcept {
    std::array<std::uint64_t, NameMasks::kCharacters.size() + 1> masks{};
    for (unsigned at = 0; at < 64; ++at)
        masks[kNamePlaces[static_cast<std::uint8_t>(bytes[at])]] |= std::uint64_t{1} << at;
    std::copy_n(masks.begin(), names.masks.size(), names.masks.begin());
}

std::uint64_t reversed(std::uint64_t bits) noexcept {
    bits = __builtin_bswap64(bits);
    bits = (bits >> 4U & 0x0f0f'0f0f'0f0f'0f0fU) | (bits & 0x0f0f'0f0f'0f0f'0f0fU) << 4U;
    bits = (bits >> 2U & 0x3333'3333'3333'3333U) | (bits & 0x3333'3333'3333'3333U) << 2U;
    return (bits >> 1U & 0x5555'5555'5555'5555U) | (bits & 0x5555'5555'5555'5555U) << 1U;
}

/// Colons, and blanks that lead to a colon or out of the block (HCOLON, RFC 3261 §25.1).
std::uint64_t colons_behind_blanks(const NameMasks& block) noexcept {
    const std::uint64_t colons = block.of<':'>();
    // In reverse: adding the first bit of a run to the run clears it to its end.
    const std::uint64_t blanks = reversed(block.of<' '>() | block.of<'\t'>());
    const std::uint64_t first = blanks & (reversed(colons) << 1U | 1U);
    return colons | reversed(blanks & ~(blanks + first));
}

/// Bit i: this name starts at byte i + 1, and its colon follows.
template <char... kName>
std::uint64_t named(const NameMasks& block, std::uint64_t colons) noexcept {
    unsigned place = 0;
    std::uint64_t all = colons >> (sizeof...(kName) + 1);
    ((all &= block.of<kName>() >> ++place), ...);
    return all;
}

/// The same for all wanted names.
std::uint64_t names_in(const NameMasks& block, std::uint8_t wanted) noexcept {
    using namespace line_class;
    const std::uint64_t colons = colons_behind_blanks(block);
    std::uint64_t all = 0;
    if ((wanted & (kCallId | kCompactCallId)) != 0)
        all |= named<'c', 'a', 'l', 'l', '-', 'i', 'd'>(block, colons) | named<'i'>(block, colons);
    if ((wanted & kCSeq) != 0) all |= named<'c', 's', 'e', 'q'>(block, colons);
    if ((wanted & kTo) != 0) all |= named<'t', 'o'>(block, colons) | named<'t'>(block, colons);
    if ((wanted & kFrom) != 0)
        all |= named<'f', 'r', 'o', 'm'>(block, colons) | named<'f'>(block, colons);
    if ((wanted & kVia) != 0)
        all |= named<'v', 'i', 'a'>(block, colons) | named<'v'>(block, colons);
    return all;
}

std::size_t usual_tag_scalar(const char* text, std::size_t size, std::size_t at) noexcept {
    UsualTag tag(text, size, at);
    const char* block = tag.block();
    if (block == nullptr || !tag.go_to_uri(marks_scalar(block))) return kUnusualTag;
    block = tag.block();
    return block == nullptr ? kUnusualTag : tag.after_uri(marks_scalar(block));
}

} // namespace

void lines_scalar(const char* text, std::size_t size, LineList& list) noexcept {
    Scan scan(text, size, list);
    // The line feed before it may have been the last place of the block before.
    if (list.wants_references && list.next > 0 && text[list.next - 1] == '\n')
        list.may_reference_call =
            list.may_reference_call || may_be_reference(text, size, list.next);
    for (std::size_t base = list.next; base < size && base < list.pause; base += Scan::kBlock) {
        std::uint64_t line_feeds = 0;
        std::uint64_t candidates = 0;
        std::uint64_t empty = 0;
        const std::size_t places = std::min(Scan::kBlock, size - base);
        for (std::size_t i = 0; i < places; ++i) {
            if (i % 8 == 0 && i + 8 <= places) { // to the next line feed, by eight bytes
                const std::uint64_t feeds = line_feeds_in(text + base + i);
                i += feeds == 0 ? 7 : static_cast<std::size_t>(std::countr_zero(feeds)) / 8;
            }
            const std::size_t at = base + i;
            if (text[at] != '\n') continue;
            line_feeds |= std::uint64_t{1} << i;
            if (at + 1 == size) continue;
            const std::uint8_t line =
                line_class_of(text[at + 1], at + 2 < size ? text[at + 2] : '\0');
            if ((line & list.wanted) != 0) candidates |= std::uint64_t{1} << i;
            if ((line & line_class::kEmpty) != 0) empty |= std::uint64_t{1} << i;
            if (list.wants_references && may_be_reference(text, size, at + 1))
                list.may_reference_call = true;
        }
        scan.set_block(base, Scan::kBlock);
        if (!scan.take_and_count(line_feeds, candidates, empty)) break;
    }
    scan.finish();
    if (list.next >= size) list.done = true;
}

constinit const ScanOps scalar_ops{nullptr,
                                   lines_scalar,
                                   lines_scalar,
                                   line_feeds_scalar,
                                   marks_scalar,
                                   usual_tag_scalar,
                                   names_scalar,
                                   parts_scalar,
                                   line_ends_scalar,
                                   has_comma_scalar};

void scan_strictly(const ScanOps& ops,
                   const char* text,
                   std::size_t size,
                   LineList& list) noexcept {
    // A block reads 8 bytes ahead: enough for the longest name, its colon and the line feed before
    // it.
    constexpr std::size_t kPlaces = Scan::kBlock - 8;
    list.may_reference_call = true; // such odd messages are always checked further
    const bool with_from = (list.wanted & line_class::kFrom) != 0;
    Scan scan(text, size, list);
    NameMasks block;
    for (std::size_t base = list.next; base < size && base < list.pause; base += kPlaces) {
        if (size - base >= Scan::kBlock) {
            ops.names(text + base, with_from, block);
        } else { // bytes after the text must not be read
            std::array<char, Scan::kBlock> copy{};
            std::memcpy(copy.data(), text + base, size - base);
            ops.names(copy.data(), with_from, block);
        }
        const std::uint64_t feeds = block.of<'\n'>() & ((std::uint64_t{1} << kPlaces) - 1);
        const std::uint64_t empty =
            feeds & (block.of<'\n'>() >> 1U | (block.of<'\r'>() >> 1U & block.of<'\n'>() >> 2U));
        scan.set_block(base, kPlaces);
        if (!scan.take_and_count(feeds, feeds & names_in(block, list.wanted), empty)) break;
    }
    scan.finish();
    if (list.next >= size) list.done = true;
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
    case ScanLevel::Avx2: // uses the level below, as the next one does
        return has_scan_level(ScanLevel::Sse42) && __builtin_cpu_supports("avx2") &&
               __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
    case ScanLevel::Avx512: // machines without VBMI2 lower their clock for 64-byte vectors
        return has_scan_level(ScanLevel::Avx2) && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vbmi") &&
               __builtin_cpu_supports("avx512vbmi2");
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
        return avx512_ops;
    case ScanLevel::Avx2:
        return avx2_ops;
    case ScanLevel::Sse42:
        return sse42_ops;
    case ScanLevel::Scalar:
        break;
    }
#endif
    return scalar_ops;
}

} // namespace viaduct
