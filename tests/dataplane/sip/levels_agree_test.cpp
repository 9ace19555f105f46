// SPDX-License-Identifier: Apache-2.0
//
// levels_agree: every scan level gives the scalar digest, whatever the input, the rules, and where
// in memory the message begins and ends.
#include "corpus.hpp"
#include "digests.hpp"
#include "guarded.hpp"
#include "sip/scan.hpp"

#include "viaduct/steering/keys.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <random>

namespace viaduct::test {
namespace {

/// Everything but the tags' values: To's is looked for in another way.
constexpr Want kNoTags = Want::ToTag | Want::CSeq | Want::TopVia;

/// Every way of reading that takes another way through the code.
std::vector<ReadRules> all_rules() {
    std::vector<ReadRules> all;
    for (const bool lenient : {false, true})
        for (const Want want :
             {Want::Nothing, Want::CallReference, kNoTags, Want::Everything, kWantForCalls})
            for (const std::uint16_t lines : {std::uint16_t{16}, kMaxHeaderLines})
                all.push_back({want, lenient, lines});
    return all;
}

std::string rules_text(const ReadRules& rules) {
    return std::string(rules.lenient ? "lenient" : "strict") +
           (rules.want == Want::Nothing         ? ", wants nothing"
            : rules.want == Want::CallReference ? ", wants the Call-ID alone"
            : rules.want == kNoTags             ? ", wants no tags"
            : rules.want == kWantForCalls       ? ", wants most later"
                                                : ", wants everything") +
           ", at most " + std::to_string(rules.max_header_lines) + " lines";
}

/// Fails with the input as a string literal. The scalar level reads it at the end of a page, the
/// others there and at the start of one in turn.
void expect_agreement(std::string_view text) {
    static const std::vector<ReadRules> kRules = all_rules();
    static const std::vector<ScanLevel> kLevels = levels();
    static bool start = false;
    start = !start;
    const std::span<const std::byte> at_end = guarded(text);
    const std::span<const std::byte> payload = start ? guarded_start(text) : at_end;
    const bool names_a_call = may_reference_call(at_end) && !referenced_call(at_end).empty();
    for (const ReadRules& rules : kRules) {
        if (rules.want == Want::Everything &&
            !same(read_digest(at_end, rules), at_end, read_late(at_end, rules), at_end))
            FAIL() << "later it is read otherwise, " << rules_text(rules) << "\n  input:  \""
                   << escaped(text) << '"';
        const SipDigest scalar = read_digest_at(ScanLevel::Scalar, at_end, rules);
        for (const ScanLevel level : kLevels) {
            if (level == ScanLevel::Scalar && !start) continue;
            const SipDigest other = read_digest_at(level, payload, rules);
            // The levels find such lines in different ways; none may miss one.
            if (wants(rules.want, Want::CallReference) && !other.may_reference_call &&
                other.defect == Defect::None && names_a_call)
                FAIL() << name_of(level) << " misses a reference, " << rules_text(rules)
                       << "\n  input:  \"" << escaped(text) << '"';
            if (same(scalar, at_end, other, payload)) continue;
            FAIL() << name_of(level) << ", at the " << (start ? "start" : "end") << " of a page, "
                   << rules_text(rules) << "\n  scalar: " << text_of(scalar)
                   << "\n  other:  " << text_of(other) << "\n  input:  \"" << escaped(text) << '"';
        }
    }
}

TEST(LevelsAgree, TheScalarLevelIsEverywhereAndTheBestIsHere) {
    EXPECT_TRUE(has_scan_level(ScanLevel::Scalar));
    EXPECT_TRUE(has_scan_level(best_scan_level()));
    for (const ScanLevel level : levels())
        RecordProperty("level", std::string(name_of(level)));
}

TEST(LevelsAgree, OnEveryMessageOfTheCorpusAndEveryPrefixOfIt) {
    for (const CorpusMessage& message : corpus()) {
        SCOPED_TRACE(message.stem);
        const std::size_t size = message.text.size();
        // A very long one is cut less often between its ends; the step has no factor in common with
        // any vector's width, so that cuts fall on every place within a vector.
        const bool is_long = size > 8192;
        for (std::size_t length = 0; length <= size;
             length += is_long && length > 1024 && length + 1024 < size ? 61 : 1) {
            expect_agreement(std::string_view(message.text).substr(0, length));
            if (HasFatalFailure()) return;
        }
    }
}

/// One change a sender could make to mislead a reader.
void mutate(std::string& text, std::mt19937& random, const std::vector<CorpusMessage>& messages) {
    static constexpr std::string_view kInserts[] = {"\r\n",
                                                    "\n",
                                                    "\r",
                                                    " ",
                                                    "\t",
                                                    ":",
                                                    "i:",
                                                    "Call-ID:",
                                                    "\r\ni:",
                                                    "\r\nCall-ID: x\r\n",
                                                    "\r\n\r\n",
                                                    "\r\n ",
                                                    "t:",
                                                    "v:",
                                                    "CSeq:",
                                                    "f:",
                                                    "From:",
                                                    ";tag=",
                                                    "\nreplaces: a;to-tag=1;from-tag=2\n",
                                                    "\r\nJoin: a;to-tag=1;from-tag=2\r\n",
                                                    "\nTarget-Dialog: a\n",
                                                    "\r\r\n",
                                                    ",",
                                                    "\"",
                                                    R"("""""""""""""""""""""""""""""")",
                                                    "To: <sip:a@b>;tag=a\"\"\"",
                                                    "<",
                                                    std::string_view("\0", 1)};
    const auto below = [&](std::size_t count) {
        return std::uniform_int_distribution<std::size_t>(0, count - 1)(random);
    };
    const std::size_t at = below(text.size() + 1);
    switch (below(5)) {
    case 0: // a byte of any value, or one bit of it
        if (at == text.size()) break;
        text[at] = below(2) == 0 ? static_cast<char>(below(256))
                                 : static_cast<char>(text[at] ^ (1 << below(8)));
        break;
    case 1:
        text.insert(at, kInserts[below(std::size(kInserts))]);
        break;
    case 2: // a slice of it once more, somewhere else
        text.insert(at, text.substr(below(text.size() + 1), below(200)));
        break;
    case 3:
        text.erase(at, below(40));
        break;
    default: { // the rest of another message
        const std::string& other = messages[below(messages.size())].text;
        text.replace(at, std::string::npos, other.substr(below(other.size() + 1)));
        break;
    }
    }
}

/// All line ends of a text, as a reader asks for them.
std::vector<std::size_t> line_ends(const ScanOps& ops, std::string_view text) {
    std::vector<std::size_t> all;
    for (LineEnds ends; ends.next < text.size();) {
        ops.line_ends(text.data(), text.size(), ends);
        all.insert(all.end(), ends.ends.begin(), ends.ends.begin() + ends.count);
    }
    return all;
}

TEST(LevelsAgree, OnWhatPartsTheValuesOfTheFullReading) {
    std::mt19937 random(3'261);
    constexpr std::string_view kChars = "\",:;<=>?@\\ \t\r\n\xff\x7fxyz";
    for (std::size_t size = 0; size <= 400; ++size) {
        std::string text(size, 'x');
        for (std::size_t sparse = 1 + random() % 16; char& c : text)
            if (random() % sparse == 0) c = kChars[random() % kChars.size()];
        if (size % 3 == 0) std::replace(text.begin(), text.end(), ',', 'x');
        const auto bytes = guarded(text);
        const std::string_view view(reinterpret_cast<const char*>(bytes.data()), size);
        std::vector<std::size_t> ends;
        for (std::size_t i = 0; i < size; ++i)
            if (view[i] == '\n') ends.push_back(i);
        for (const ScanLevel level : levels()) {
            const ScanOps& ops = scan_ops(level);
            EXPECT_EQ(line_ends(ops, view), ends) << name_of(level) << escaped(text);
            EXPECT_EQ(ops.has_comma(view.data(), size), view.find(',') != view.npos)
                << name_of(level) << escaped(text);
            const PartMarks marks = ops.parts(view.data(), size);
            const PartMarks scalar = scan_ops(ScanLevel::Scalar).parts(view.data(), size);
            EXPECT_EQ(marks.all, scalar.all) << name_of(level) << escaped(text);
            EXPECT_EQ(marks.outer, scalar.outer) << name_of(level) << escaped(text);
        }
    }
}

TEST(LevelsAgree, OnRandomMutations) {
    constexpr unsigned kSeed = 20'261'120;
    constexpr int kRounds = 200'000;
    std::vector<CorpusMessage> messages = corpus();
    std::erase_if(messages, [](const CorpusMessage& one) { return one.text.size() > 8192; });
    ASSERT_FALSE(messages.empty());
    std::mt19937 random(kSeed);
    for (int round = 0; round < kRounds; ++round) {
        std::string text = messages[random() % messages.size()].text;
        for (auto change = 1 + random() % 6; change > 0; --change)
            mutate(text, random, messages);
        expect_agreement(text);
        if (HasFatalFailure()) {
            FAIL() << "seed " << kSeed << ", round " << round;
        }
    }
}

} // namespace
} // namespace viaduct::test
