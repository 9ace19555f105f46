// SPDX-License-Identifier: Apache-2.0
#include "scan.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

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

/// The characters of ValueMarks, a bit for each.
namespace mark {
constexpr std::uint8_t kLineFeed = 0x01;
constexpr std::uint8_t kSemicolon = 0x02;
constexpr std::uint8_t kLess = 0x04;
constexpr std::uint8_t kGreater = 0x08;
constexpr std::uint8_t kQuote = 0x10;
constexpr std::uint8_t kComma = 0x20;
constexpr std::uint8_t kBackslash = 0x40;
} // namespace mark

constexpr ClassTable kMarks = [] {
    ClassTable table;
    table.add('\n', mark::kLineFeed);
    table.add(';', mark::kSemicolon);
    table.add('<', mark::kLess);
    table.add('>', mark::kGreater);
    table.add('"', mark::kQuote);
    table.add(',', mark::kComma);
    table.add('\\', mark::kBackslash);
    return table;
}();

/// The characters of PartMarks, one bit for each; those of the outer ones are above the others'.
constexpr std::uint8_t kLastInner = 0x04;
constexpr ClassTable kParts = [] {
    ClassTable table;
    for (char c = 0; c < ' '; ++c)
        table.add(c, 0x01);
    for (const char c : {' ', '@'})
        table.add(c, 0x02);
    for (const char c : {':', '=', '?'})
        table.add(c, kLastInner);
    for (const char c : {';', '<', '>'})
        table.add(c, 0x08);
    for (const char c : {'"', ','})
        table.add(c, 0x10);
    table.add('\\', 0x20);
    return table;
}();
static_assert([] { // the tables go by halves of a character
    constexpr std::string_view kInner = " :=?@";
    constexpr std::string_view kOuter = "\",;<>\\";
    for (int i = 0; i < 256; ++i) {
        const auto c = static_cast<char>(i);
        const bool outer = kOuter.find(c) != std::string_view::npos;
        const bool all = outer || i < ' ' || kInner.find(c) != std::string_view::npos;
        if ((kParts.of(c) != 0) != all || (kParts.of(c) > kLastInner) != outer) return false;
    }
    return true;
}());

/// One scan: goes over a text in blocks of 64 places for line feeds, each with the two bytes that
/// follow, and keeps what they brought. The last block overlaps the one before; `unseen` masks out
/// what that one saw. Everything here is inlined into code for one level; nothing gets its address,
/// so that it stays in registers.
class Scan {
public:
    static constexpr std::size_t kBlock = 64;
    static constexpr std::size_t kReach = kBlock + 2;

    [[gnu::always_inline]] Scan(const char* text, std::size_t size, LineList& list) noexcept
        : list_(list), text_(text), size_(size), end_(list.next),
          limit_(std::min(size < kReach ? 0 : size - kReach + 1, list.pause)),
          lines_left_(list.lines_left), count_(list.count) {}

    /// The next block. False: the scan may pause, or fewer than 64 places are left, or the text is
    /// too short for blocks.
    [[gnu::always_inline]] bool next() noexcept {
        if (end_ < limit_) [[likely]] {
            base_ = end_;
            end_ += kBlock;
            return true;
        }
        if (end_ + 2 >= size_ || size_ < kReach || end_ >= list_.pause) return false;
        base_ = size_ - kReach;
        unseen_ = ~std::uint64_t{0} << (end_ - base_);
        end_ = size_ - 2;
        return true;
    }
    [[gnu::always_inline]] [[nodiscard]] std::size_t base() const noexcept { return base_; }
    [[gnu::always_inline]] [[nodiscard]] std::uint64_t unseen() const noexcept { return unseen_; }

    /// For text that is looked at byte by byte.
    void set_block(std::size_t base, std::size_t places) noexcept {
        base_ = base;
        end_ = base + places;
    }

    /// Takes the block in: new line feeds before a line that is wanted or empty, and those before
    /// one that may be empty by its first two characters. False: the scan ends.
    [[gnu::always_inline]] bool take(std::uint64_t candidates, std::uint64_t empty) noexcept {
        if (empty != 0) empty = really_empty(text_ + base_, empty);
        if (empty != 0) { // nothing after it is a header line
            candidates &= (empty & (0 - empty)) - 1;
            done_ = true;
        }
        // Which blocks have candidates nobody can foretell: no branch.
        list_.line_feeds[count_] = candidates;
        list_.bases[count_] = base_;
        count_ += candidates != 0 ? 1 : 0;
        found_ += static_cast<std::size_t>(std::popcount(candidates));
        return empty == 0 && found_ < LineList::kEnough;
    }

    /// The same, and counts lines: all new line feeds of the block are given, too.
    [[gnu::always_inline]] bool take_and_count(std::uint64_t line_feeds,
                                               std::uint64_t candidates,
                                               std::uint64_t empty) noexcept {
        if (empty != 0) empty = really_empty(text_ + base_, empty);
        const std::uint64_t lines =
            empty == 0 ? line_feeds : line_feeds & ((empty & (0 - empty)) - 1);
        const auto begun = static_cast<std::size_t>(std::popcount(lines));
        if (begun <= lines_left_) [[likely]] {
            lines_left_ -= begun;
            return take(candidates, empty);
        }
        const std::uint64_t extra = past_limit(lines);
        lines_left_ = 0;
        // A line feed that is the text's last byte begins no line.
        const bool last_byte =
            base_ + static_cast<std::size_t>(std::countr_zero(extra)) + 1 == size_;
        if (last_byte) return take(candidates, empty);
        list_.too_many_lines = done_ = true;
        take(candidates & lines & ~extra, 0);
        return false;
    }

    /// Leaves what was found in the list. Returns whether the scan goes on byte by byte.
    [[gnu::always_inline]] bool finish() noexcept {
        list_.next = end_;
        list_.lines_left = lines_left_;
        list_.count = count_;
        list_.done = done_;
        return !done_ && found_ < LineList::kEnough && end_ < list_.pause;
    }

private:
    /// Those before LF or CR LF: the tables know only four bits of the second character.
    [[gnu::noinline]] static std::uint64_t really_empty(const char* bytes,
                                                        std::uint64_t line_feeds) noexcept {
        std::uint64_t empty = line_feeds;
        for (; line_feeds != 0; line_feeds &= line_feeds - 1) {
            const auto at = static_cast<unsigned>(std::countr_zero(line_feeds));
            if (bytes[at + 1] != '\n' && bytes[at + 2] != '\n')
                empty &= ~(line_feeds & (0 - line_feeds));
        }
        return empty;
    }

    /// Line feeds that begin one line more than may begin.
    [[nodiscard]] std::uint64_t past_limit(std::uint64_t line_feeds) const noexcept {
        for (std::size_t i = 0; i < lines_left_; ++i)
            line_feeds &= line_feeds - 1;
        return line_feeds;
    }

    LineList& list_;
    const char* text_;
    std::size_t size_;
    std::size_t base_ = 0;
    std::size_t end_;
    std::size_t limit_; ///< blocks that begin before it are whole, and no pause is due
    std::size_t lines_left_;
    std::size_t count_;
    std::size_t found_ = 0;
    std::uint64_t unseen_ = ~std::uint64_t{0};
    bool done_ = false;
};

/// Where a byte of eight is a line feed: bit 7 of that byte, and perhaps bits above the first one.
std::uint64_t line_feeds_in(const char* bytes) noexcept {
    constexpr std::uint64_t kEvery = 0x0101'0101'0101'0101U;
    std::uint64_t word = 0;
    std::memcpy(&word, bytes, sizeof(word));
    if constexpr (std::endian::native == std::endian::big) word = __builtin_bswap64(word);
    word ^= kEvery * '\n';
    return (word - kEvery) & ~word & (kEvery * 0x80);
}

/// The classes of a line that begins with these two characters.
std::uint8_t line_class_of(char first, char second) noexcept {
    return static_cast<std::uint8_t>(kFirst.of(first) &
                                     kSecond[static_cast<std::uint8_t>(second) & 0x0fU]);
}

/// The end of a text, and the whole of it on machines without vectors.
void lines_scalar(const char* text, std::size_t size, LineList& list) noexcept {
    Scan scan(text, size, list);
    for (std::size_t base = list.next; base < size && base < list.pause; base += Scan::kBlock) {
        std::uint64_t line_feeds = 0;
        std::uint64_t candidates = 0;
        std::uint64_t empty = 0;
        const std::size_t places = std::min(Scan::kBlock, size - base);
        for (std::size_t i = 0; i < places; ++i) {
            if (i % 8 == 0 && i + 8 <= places) { // eight at a time to the next line feed
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
        }
        scan.set_block(base, Scan::kBlock);
        if (!scan.take_and_count(line_feeds, candidates, empty)) break;
    }
    scan.finish();
    if (list.next >= size) list.done = true;
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

/// Line feeds of a block, as masks, to positions. Where they are nobody can foretell: no branches.
class EndWriter {
public:
    [[gnu::always_inline]] EndWriter(std::size_t size, LineEnds& ends) noexcept
        : ends_(ends), size_(size), next_(ends.next), before_(ends.before) {
        ends_.count = 0;
    }
    /// Whether a block is left.
    [[gnu::always_inline]] [[nodiscard]] bool more() const noexcept {
        return next_ < size_ && !may_be_last_ && count_ < LineEnds::kEnough;
    }
    [[gnu::always_inline]] [[nodiscard]] std::size_t next() const noexcept { return next_; }
    [[gnu::always_inline]] [[nodiscard]] std::size_t left() const noexcept { return size_ - next_; }
    [[gnu::always_inline]] [[nodiscard]] std::uint16_t* end() noexcept {
        return ends_.ends.data() + count_;
    }

    /// Writes them, four at a time.
    [[gnu::always_inline]] void take(std::uint64_t line_feeds) noexcept {
        std::uint16_t* to = end();
        std::uint64_t rest = line_feeds;
        do {
            for (int i = 0; i < 4; ++i) { // behind the last one comes what nobody reads
                *to++ = static_cast<std::uint16_t>(
                    next_ + static_cast<std::size_t>(std::countr_zero(rest)));
                rest &= rest - 1;
            }
        } while (rest != 0);
        skip(line_feeds);
    }
    /// They have been written.
    [[gnu::always_inline]] void skip(std::uint64_t line_feeds) noexcept {
        count_ += static_cast<std::size_t>(std::popcount(line_feeds));
        const std::uint64_t behind_another =
            line_feeds << 1U | line_feeds << 2U | before_ >> 63U | before_ >> 62U;
        may_be_last_ = (line_feeds & behind_another) != 0;
        before_ = line_feeds;
        next_ += 64;
    }
    [[gnu::always_inline]] void finish() noexcept {
        ends_.next = std::min(next_, size_);
        ends_.before = before_;
        ends_.count = count_;
    }

private:
    LineEnds& ends_;
    std::size_t size_;
    std::size_t next_;
    std::uint64_t before_;
    std::size_t count_ = 0;
    bool may_be_last_ = false;
};

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

/// The marks of fewer than 64 bytes end with one for the text's end.
constexpr PartMarks with_end(const PartMarks& marks, std::size_t left) noexcept {
    const std::uint64_t end = left < 64 ? std::uint64_t{1} << left : 0;
    return {marks.all | end, marks.outer | end};
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

/// By character: its place in NameMasks, or one behind the last.
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

void names_scalar(const char* bytes, NameMasks& names) noexcept {
    std::array<std::uint64_t, NameMasks::kCharacters.size() + 1> masks{};
    for (unsigned at = 0; at < 64; ++at)
        masks[kNamePlaces[static_cast<std::uint8_t>(bytes[at])]] |= std::uint64_t{1} << at;
    std::copy_n(masks.begin(), names.masks.size(), names.masks.begin());
}

constexpr ScanOps kScalarOps{lines_scalar,
                             line_feeds_scalar,
                             marks_scalar,
                             names_scalar,
                             parts_scalar,
                             line_ends_scalar,
                             has_comma_scalar};

#if defined(__x86_64__)

/// What a scan has to go back to.
struct Start {
    std::size_t next;
    std::size_t count;
};

/// A scan that counts lines in columns of eight bits, so many to a column from each block, ends
/// before one can overflow.
Start begin_uncounted(LineList& list, std::size_t to_a_column) noexcept {
    list.pause = std::min(list.pause, list.next + 255 / to_a_column * Scan::kBlock);
    return {list.next, list.count};
}

/// `lines` began since, or fewer: those of the body in the last block are among them. False: that
/// may be more than may begin; the list is as before, and a scan that counts exactly has to decide.
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

[[gnu::target("sse4.2,popcnt")]] void
lines_sse42(const char* text, std::size_t size, LineList& list) noexcept {
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
        for (unsigned part = 0; part < 64; part += 16) {
            const char* at = text + scan.base() + part;
            const __m128i feeds = _mm_cmpeq_epi8(load128(at), line_feed);
            const __m128i after = _mm_shuffle_epi8(second, _mm_and_si128(load128(at + 2), nibble));
            const __m128i line =
                _mm_and_si128(feeds, _mm_and_si128(classes128(load128(at + 1), low, high), after));
            line_feeds |= bits128(feeds) << part;
            other |= bits128(_mm_cmpeq_epi8(line, _mm_setzero_si128())) << part;
            empty |= bits128(_mm_or_si128(line, _mm_add_epi8(line, line))) << part;
        }
        line_feeds &= scan.unseen();
        if (!scan.take_and_count(line_feeds, line_feeds & ~other, empty & line_feeds)) break;
    }
    if (scan.finish()) lines_scalar(text, size, list);
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
        // Shifts bring one class after the other to the bit that movemask takes.
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

/// Fewer than 16 bytes, with zeros behind them: two loads that overlap.
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

/// The last bytes of a text, fewer than 64.
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

[[gnu::target("sse4.2,popcnt")]] void names_sse42(const char* bytes, NameMasks& names) noexcept {
    names.masks.fill(0);
    for (unsigned part = 0; part < 64; part += 16) {
        const __m128i exact = load128(bytes + part);
        const __m128i folded = _mm_or_si128(exact, _mm_set1_epi8(0x20));
        for (std::size_t i = 0; i < names.masks.size(); ++i) {
            const __m128i block = i >= NameMasks::kFirstLetter ? folded : exact;
            const __m128i wanted = _mm_set1_epi8(NameMasks::kCharacters[i]);
            names.masks[i] |= bits128(_mm_cmpeq_epi8(block, wanted)) << part;
        }
    }
}

constexpr ScanOps kSse42Ops{lines_sse42,
                            line_feeds_sse42,
                            marks_sse42,
                            names_sse42,
                            parts_sse42,
                            line_ends_sse42,
                            has_comma_sse42};

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

[[gnu::target("avx2,bmi,bmi2,popcnt")]] void
lines_avx2(const char* text, std::size_t size, LineList& list) noexcept {
    const Start before = begin_uncounted(list, 2); // a block is two halves
    const __m256i low = twice256(kFirst.low);
    const __m256i high = twice256(kFirst.high);
    const __m256i wanted = _mm256_set1_epi8(static_cast<char>(list.wanted | line_class::kEmpty));
    const __m256i second = _mm256_and_si256(twice256(kSecond), wanted);
    const __m256i nibble = _mm256_set1_epi8(0x0f);
    const __m256i line_feed = _mm256_set1_epi8('\n');
    __m256i lines = _mm256_setzero_si256(); // how many line feeds in each column
    std::size_t seen_twice = 0;
    Scan scan(text, size, list);
    while (scan.next()) {
        std::uint64_t other = 0;
        std::uint64_t empty = 0;
        for (unsigned part = 0; part < 64; part += 32) {
            const char* at = text + scan.base() + part;
            const __m256i feeds = _mm256_cmpeq_epi8(load256(at), line_feed);
            const __m256i after =
                _mm256_shuffle_epi8(second, _mm256_and_si256(load256(at + 2), nibble));
            const __m256i line = _mm256_and_si256(
                feeds, _mm256_and_si256(classes256(load256(at + 1), low, high), after));
            lines = _mm256_sub_epi8(lines, feeds);
            other |= bits256(_mm256_cmpeq_epi8(line, _mm256_setzero_si256())) << part;
            empty |= bits256(_mm256_or_si256(line, _mm256_add_epi8(line, line))) << part;
        }
        if (scan.unseen() != ~std::uint64_t{0}) [[unlikely]]
            seen_twice = static_cast<std::size_t>(
                std::popcount(line_feeds_avx2(text + scan.base()) & ~scan.unseen()));
        if (!scan.take(scan.unseen() & ~other, empty & scan.unseen())) break;
    }
    const bool more = scan.finish();
    if (!count_lines(before, sum256(lines) - seen_twice, list))
        return lines_sse42(text, size, list);
    if (more) lines_scalar(text, size, list);
}

[[gnu::target("avx2,bmi,bmi2,popcnt")]] inline std::uint64_t
bits_of_class(__m256i first, __m256i last, std::uint8_t one) noexcept {
    // The shift brings the class to the bit that movemask takes.
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

[[gnu::target("avx2,bmi,bmi2,popcnt")]] void names_avx2(const char* bytes,
                                                        NameMasks& names) noexcept {
    const __m256i case_bit = _mm256_set1_epi8(0x20);
    const __m256i first = load256(bytes);
    const __m256i last = load256(bytes + 32);
    const __m256i first_folded = _mm256_or_si256(first, case_bit);
    const __m256i last_folded = _mm256_or_si256(last, case_bit);
    for (std::size_t i = 0; i < names.masks.size(); ++i) {
        const bool letter = i >= NameMasks::kFirstLetter;
        const __m256i wanted = _mm256_set1_epi8(NameMasks::kCharacters[i]);
        names.masks[i] = bits256(_mm256_cmpeq_epi8(letter ? first_folded : first, wanted)) |
                         bits256(_mm256_cmpeq_epi8(letter ? last_folded : last, wanted)) << 32U;
    }
}

constexpr ScanOps kAvx2Ops{lines_avx2,
                           line_feeds_avx2,
                           marks_avx2,
                           names_avx2,
                           parts_avx2,
                           line_ends_avx2,
                           has_comma_avx2};

[[gnu::target("avx512f,avx512bw,avx512vl,avx512vbmi,bmi,bmi2,popcnt")]] inline __m512i
load512(const void* bytes) noexcept {
    return _mm512_loadu_si512(bytes);
}

/// The classes of 64 characters: one look-up by all seven bits. Those above 127 are taken for the
/// last one, which is of no class.
using Classes128 = std::array<std::uint8_t, 128>;

consteval Classes128 by_character(const ClassTable& table) {
    Classes128 all{};
    for (std::size_t i = 0; i < all.size(); ++i)
        all[i] = table.of(static_cast<char>(i));
    return all;
}
// The maskz forms below keep every lane: of the plain ones GCC 12 says that they read something
// uninitialised, its own placeholder.
alignas(64) constexpr Classes128 kFirst128 = by_character(kFirst);
alignas(64) constexpr Classes128 kMarks128 = by_character(kMarks);
alignas(64) constexpr Classes128 kParts128 = by_character(kParts);
static_assert(kFirst128[127] == 0 && kMarks128[127] == 0 && kParts128[127] == 0);
/// kSecond four times: a look-up by six bits then needs no masking.
alignas(64) constexpr auto kSecond64 = [] {
    std::array<std::uint8_t, 64> all{};
    for (std::size_t i = 0; i < all.size(); ++i)
        all[i] = kSecond[i & 0x0fU];
    return all;
}();

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

[[gnu::target("avx512f,avx512bw,avx512vl,avx512vbmi,bmi,bmi2,popcnt")]] void
lines_avx512(const char* text, std::size_t size, LineList& list) noexcept {
    const Start before = begin_uncounted(list, 1);
    const __m512i empties = _mm512_set1_epi8(static_cast<char>(line_class::kEmpty));
    const __m512i wanted = _mm512_set1_epi8(static_cast<char>(list.wanted | line_class::kEmpty));
    const __m512i second = _mm512_and_si512(load512(kSecond64.data()), wanted);
    const __m512i line_feed = _mm512_set1_epi8('\n');
    const __m512i one = _mm512_set1_epi8(1);
    __m512i lines = _mm512_setzero_si512(); // how many line feeds in each column
    Scan scan(text, size, list);
    while (scan.next()) {
        const char* at = text + scan.base();
        const __mmask64 feeds = _mm512_mask_cmpeq_epi8_mask(scan.unseen(), load512(at), line_feed);
        const __m512i line =
            _mm512_and_si512(classes512(load512(at + 1), kFirst128),
                             _mm512_maskz_permutexvar_epi8(~__mmask64{0}, load512(at + 2), second));
        lines = _mm512_mask_add_epi8(lines, feeds, lines, one);
        const __mmask64 candidates = _mm512_mask_test_epi8_mask(feeds, line, line);
        const __mmask64 empty = _mm512_mask_test_epi8_mask(feeds, line, empties);
        if (!scan.take(candidates, empty)) break;
    }
    const bool more = scan.finish();
    if (!count_lines(before, sum512(lines), list)) return lines_sse42(text, size, list);
    if (more) lines_scalar(text, size, list);
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

[[gnu::target("avx512f,avx512bw,avx512vl,avx512vbmi,bmi,bmi2,popcnt")]] PartMarks
parts_avx512(const char* bytes, std::size_t left) noexcept {
    const __mmask64 seen =
        _bzhi_u64(~std::uint64_t{0}, static_cast<unsigned>(std::min<std::size_t>(left, 64)));
    const std::uint64_t end = ~seen & (seen + 1); // none behind a whole block
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

[[gnu::target("avx512f,avx512bw,avx512vl,avx512vbmi,bmi,bmi2,popcnt")]] void
names_avx512(const char* bytes, NameMasks& names) noexcept {
    const __m512i exact = load512(bytes);
    const __m512i folded = _mm512_or_si512(exact, _mm512_set1_epi8(0x20));
    for (std::size_t i = 0; i < names.masks.size(); ++i) {
        const __m512i block = i >= NameMasks::kFirstLetter ? folded : exact;
        names.masks[i] = _mm512_cmpeq_epi8_mask(block, _mm512_set1_epi8(NameMasks::kCharacters[i]));
    }
}

constexpr ScanOps kAvx512Ops{lines_avx512,
                             line_feeds_avx512,
                             marks_avx512,
                             names_avx512,
                             parts_avx512,
                             line_ends_avx512,
                             has_comma_avx512};

#endif

std::uint64_t reversed(std::uint64_t bits) noexcept {
    bits = __builtin_bswap64(bits);
    bits = (bits >> 4U & 0x0f0f'0f0f'0f0f'0f0fU) | (bits & 0x0f0f'0f0f'0f0f'0f0fU) << 4U;
    bits = (bits >> 2U & 0x3333'3333'3333'3333U) | (bits & 0x3333'3333'3333'3333U) << 2U;
    return (bits >> 1U & 0x5555'5555'5555'5555U) | (bits & 0x5555'5555'5555'5555U) << 1U;
}

/// Colons, and blanks that lead to one or out of the block (HCOLON, RFC 3261 §25.1).
std::uint64_t colons_behind_blanks(const NameMasks& block) noexcept {
    const std::uint64_t colons = block.of<':'>();
    // Backwards: adding a run's first bit to the run clears it to its end.
    const std::uint64_t blanks = reversed(block.of<' '>() | block.of<'\t'>());
    const std::uint64_t first = blanks & (reversed(colons) << 1U | 1U);
    return colons | reversed(blanks & ~(blanks + first));
}

/// Bit i: this name begins at byte i + 1, and its colon follows.
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
    if ((wanted & kVia) != 0)
        all |= named<'v', 'i', 'a'>(block, colons) | named<'v'>(block, colons);
    return all;
}

} // namespace

void scan_strictly(const ScanOps& ops,
                   const char* text,
                   std::size_t size,
                   LineList& list) noexcept {
    // The longest name, its colon and the line feed before it fit in what a block looks ahead.
    constexpr std::size_t kPlaces = Scan::kBlock - 8;
    Scan scan(text, size, list);
    NameMasks block;
    for (std::size_t base = list.next; base < size && base < list.pause; base += kPlaces) {
        if (size - base >= Scan::kBlock) {
            ops.names(text + base, block);
        } else { // nothing behind the text may be read
            std::array<char, Scan::kBlock> copy{};
            std::memcpy(copy.data(), text + base, size - base);
            ops.names(copy.data(), block);
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
    case ScanLevel::Avx2:
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
               __builtin_cpu_supports("bmi2");
    case ScanLevel::Avx512:
        // Machines without VBMI2, which is not used, lower their clock for 64-byte vectors.
        return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vbmi2") &&
               __builtin_cpu_supports("bmi2");
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
