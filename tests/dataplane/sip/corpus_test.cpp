// SPDX-License-Identifier: Apache-2.0
//
// corpus: every message of tests/corpus reads as its .expect says, at every scan level, flush
// against unreadable pages, and cut at every length.
#include "corpus.hpp"
#include "digests.hpp"
#include "guarded.hpp"

#include <gtest/gtest.h>

namespace viaduct::test {
namespace {

TEST(Corpus, EveryMessageHasItsExpectationAndTheOtherWayRound) {
    EXPECT_EQ(corpus_stems(".sip"), corpus_stems(".expect"));
    EXPECT_GE(corpus_stems(".sip").size(), 55U) << "looked in " << VIADUCT_CORPUS;
}

TEST(Corpus, EveryMessageReadsAsExpectedAtEveryLevel) {
    for (const CorpusMessage& message : corpus()) {
        EXPECT_FALSE(message.expected.empty()) << "nothing is expected of " << message.stem;
        for (const ScanLevel level : levels()) {
            SCOPED_TRACE(message.stem + " at level " + std::string(name_of(level)));
            const auto at_end = guarded(message.text);
            const SipDigest digest = read_digest_at(level, at_end, message.rules);
            const auto at_start = guarded_start(message.text);
            EXPECT_TRUE(
                same(digest, at_end, read_digest_at(level, at_start, message.rules), at_start));
            EXPECT_EQ(digest.has_to_tag, !digest.to_tag.empty());
            EXPECT_TRUE(same(digest, at_end, read_late(at_end, message.rules), at_end));
            const auto found = described(digest);
            for (const auto& [key, value] : message.expected) {
                ASSERT_TRUE(found.contains(key)) << "unknown key: " << key;
                EXPECT_EQ(key + "=" + found.at(key), key + "=" + value);
            }
        }
    }
}

/// How much of the message must be there for its Call-ID to be certain: up to the first byte of the
/// line behind it, which tells that the value does not go on. More than all when nothing follows.
std::size_t certain_from(std::string_view text, std::string_view call_id) {
    std::size_t at = static_cast<std::size_t>(call_id.data() - text.data()) + call_id.size();
    while (at < text.size() &&
           (text[at] == ' ' || text[at] == '\t' || text[at] == '\r' || text[at] == '\n')) {
        if (text[at - 1] == '\n' && text[at] != ' ' && text[at] != '\t') break;
        ++at;
    }
    return at + 1;
}

// A datagram is whole or does not arrive, so a message may well end within its Call-ID: what is
// there counts. Hence the law of a cut: its Call-ID is the first bytes of the whole one; and it is
// the whole one, with or without a defect, once the next line has begun. Kind, method and status
// are those of the whole message once the first line is there.
TEST(Corpus, EveryCutOfAMessageHasItsCallIdOrTheFirstBytesOfIt) {
    for (const CorpusMessage& message : corpus()) {
        for (const ScanLevel level : levels()) {
            SCOPED_TRACE(message.stem + " at level " + std::string(name_of(level)));
            const SipDigest whole = read_digest_at(
                level, std::as_bytes(std::span<const char>(message.text)), message.rules);
            const std::size_t certain =
                whole.call_id.empty() ? 0 : certain_from(message.text, whole.call_id);
            const std::size_t first = message.text.find_first_not_of("\r\n");
            const std::size_t first_line =
                first == std::string::npos ? first : message.text.find('\n', first);
            // Of a very long one the vector levels get fewer cuts, at every place within a vector.
            const std::size_t step =
                message.text.size() > 8192 && level != ScanLevel::Scalar ? 61 : 1;
            for (std::size_t length = 0; length <= message.text.size(); length += step) {
                const auto at_end = guarded(std::string_view(message.text).substr(0, length));
                const SipDigest cut = read_digest_at(level, at_end, message.rules);
                const auto at_start = guarded_start(at_end);
                ASSERT_TRUE(
                    same(cut, at_end, read_digest_at(level, at_start, message.rules), at_start))
                    << length;
                ASSERT_TRUE(whole.call_id.starts_with(cut.call_id))
                    << length << ": " << escaped(cut.call_id);
                if (!whole.call_id.empty() && length >= certain) {
                    ASSERT_EQ(cut.call_id, whole.call_id) << length;
                }
                if (length > first_line && whole.kind <= PayloadKind::Response) {
                    ASSERT_EQ(cut.kind, whole.kind) << length;
                    ASSERT_EQ(cut.method, whole.method) << length;
                    ASSERT_EQ(cut.status, whole.status) << length;
                }
            }
        }
    }
}

} // namespace
} // namespace viaduct::test
