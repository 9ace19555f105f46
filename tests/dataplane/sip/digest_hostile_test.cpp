// SPDX-License-Identifier: Apache-2.0
//
// message under attack: cut, mutated, random and huge payloads, each flush against an unreadable
// page. What must hold is a law, not an example.
#include "digests.hpp"
#include "guarded.hpp"
#include "message_builder.hpp"

#include "viaduct/sip/digest.hpp"

#include <gtest/gtest.h>
#include <random>
#include <string>
#include <vector>

namespace viaduct::test {
namespace {

bool lies_in(std::string_view part, std::string_view whole) {
    return part.empty() || (part.data() >= whole.data() &&
                            part.data() + part.size() <= whole.data() + whole.size());
}

/// What must hold for every input, good or bad.
void expect_lawful(const SipDigest& digest, std::string_view payload) {
    EXPECT_TRUE(lies_in(digest.call_id, payload));
    EXPECT_TRUE(lies_in(digest.top_via_branch, payload));
    EXPECT_TRUE(lies_in(digest.from_tag, payload));
    EXPECT_TRUE(lies_in(digest.to_tag, payload));
    EXPECT_EQ(digest.has_to_tag, !digest.to_tag.empty());
    for (const std::string_view tag : {digest.from_tag, digest.to_tag})
        EXPECT_EQ(tag.find_first_of(" \t\r\n;,"), std::string_view::npos);
    if (digest.kind == PayloadKind::Response) {
        EXPECT_TRUE(digest.status == 0 || (digest.status >= 100 && digest.status <= 699));
    } else {
        EXPECT_EQ(digest.status, 0);
    }
    if (!digest.call_id.empty()) {
        constexpr std::string_view kSpace = " \t\r\n";
        EXPECT_EQ(kSpace.find(digest.call_id.front()), std::string_view::npos);
        EXPECT_EQ(kSpace.find(digest.call_id.back()), std::string_view::npos);
    }
}

/// Messages whose every cut and mutation is tried.
std::vector<std::string> sample_messages() {
    return {invite().call_id("a84b4c76e66710@192.0.2.1").body("v=0\r\no=- 1 1\r\n").text(),
            bye().replace("Call-ID", "i :\r\n folded@b").text(),
            response(200, "OK").to("\"B;tag=\\\"<\" <sip:b@example.org;x>\r\n ; tag = 1").text(),
            invite()
                .from("<sip:a,b@[2001:db8::1];tag=no>;x=\";tag=no\"\r\n ;TAG\t=\r\n 2\t;y")
                .via("SIP / 2.0 / UDP [2001:db8::1] : 5060 ; x=\"a,\\\"\" ; branch = z9hG4bKa , b")
                .cseq("99999999999 X")
                .line_end("\n")
                .text(),
            "\r\n\r\n" + request("OPTIONS").text()};
}

TEST(MessageUnderAttack, NeverReadsOutsideACutMessage) {
    for (const std::string& text : sample_messages()) {
        const std::string whole(read_digest(guarded(text)).call_id);
        ASSERT_FALSE(whole.empty());
        for (std::size_t length = 0; length <= text.size(); ++length) {
            const std::string_view cut = std::string_view(text).substr(0, length);
            const auto at_end = guarded(cut);
            const SipDigest digest = read_digest(at_end);
            expect_lawful(digest, view_of(at_end));
            EXPECT_TRUE(whole.starts_with(digest.call_id)) << digest.call_id;
            const auto at_start = guarded_start(cut);
            EXPECT_TRUE(same(read_digest(at_start), at_start, digest, at_end)) << length;
        }
    }
}

TEST(MessageUnderAttack, ReadsMutatedMessagesLawfullyAndAlwaysAlike) {
    std::mt19937 random(20'240'229);
    const std::vector<std::string> samples = sample_messages();
    constexpr std::string_view kTokens[] = {"\r\n",
                                            "\n",
                                            "\r",
                                            " ",
                                            "\t",
                                            ":",
                                            ";",
                                            ",",
                                            "\"",
                                            "<",
                                            ">",
                                            "=",
                                            "\\",
                                            "i:",
                                            "v:",
                                            "\r\n ",
                                            "SIP/2.0"};
    for (int round = 0; round < 100'000; ++round) {
        std::string text = samples[random() % samples.size()];
        for (auto change = random() % 8; change > 0 && !text.empty(); --change) {
            const std::size_t at = random() % text.size();
            switch (random() % 4) {
            case 0:
                text[at] = static_cast<char>(random() & 0xff);
                break;
            case 1:
                text.insert(at, kTokens[random() % std::size(kTokens)]);
                break;
            case 2:
                text.erase(at, random() % 16);
                break;
            default:
                text.insert(at, text.substr(random() % text.size(), random() % 64));
                break;
            }
        }
        const auto at_end = guarded(text);
        const SipDigest digest = read_digest(at_end);
        expect_lawful(digest, view_of(at_end));
        const auto at_start = guarded_start(text);
        ASSERT_TRUE(same(read_digest(at_start), at_start, digest, at_end)) << text;
    }
}

TEST(MessageUnderAttack, ReadsRandomBytesLawfully) {
    std::mt19937 random(5060);
    for (int round = 0; round < 100'000; ++round) {
        std::string text(random() % 300, '\0');
        for (char& c : text)
            c = static_cast<char>(random() & 0xff);
        if (round % 2 == 0) text.insert(0, "INVITE sip:b@example.org SIP/2.0\r\n");
        const auto at_end = guarded(text);
        expect_lawful(read_digest(at_end), view_of(at_end));
    }
}

TEST(MessageUnderAttack, ReadsTheLongestDatagramOfAnyShape) {
    const std::string first = "INVITE sip:b@example.org SIP/2.0\r\n";
    for (const std::string unit : {"\r\n ",
                                   ",",
                                   "\r\n",
                                   "Via: a\r\n",
                                   "v:a,\r\n b\r\n",
                                   "\"",
                                   "<",
                                   ";tag",
                                   "To: <\r\n",
                                   "f:;tag=\n",
                                   "From \n",
                                   "fr\n",
                                   "a:\r\n",
                                   "CSeq: 1",
                                   "i \n",
                                   "ca\n",
                                   "Call-ID \n",
                                   "Call-Info: <sip:x>;purpose=icon\n",
                                   "X: 01234567890123456789012345678\n",
                                   "\\",
                                   "\x01"}) {
        for (const std::string& start :
             {first, first + "To: ", first + "From: ", first + "Via: ", std::string()}) {
            std::string text = start;
            while (text.size() + unit.size() <= 65'507) {
                text += unit;
            }
            const auto at_end = guarded(text);
            const SipDigest scalar = read_digest_at(ScanLevel::Scalar, at_end);
            expect_lawful(scalar, view_of(at_end));
            for (const ScanLevel level : levels())
                EXPECT_TRUE(same(read_digest_at(level, at_end), at_end, scalar, at_end))
                    << name_of(level) << ": '" << unit << "' after '" << start << "'";
        }
    }
    auto deep = invite().call_id("deep@b");
    for (int i = 0; i < 200; ++i)
        deep.line_before("Via: SIP/2.0/UDP h;branch=z9hG4bK" + std::to_string(i));
    EXPECT_EQ(read_digest(guarded(deep.text())).call_id, "deep@b");
}

} // namespace
} // namespace viaduct::test
