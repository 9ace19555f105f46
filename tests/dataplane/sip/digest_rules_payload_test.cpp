// SPDX-License-Identifier: Apache-2.0
//
// message, rule by rule: P8 to P14 of docs/sip.md, each with the tests named after it, and the cap
// on header lines: what a payload as a whole can be.
#include "rule_reader.hpp"

namespace viaduct::test {
namespace {

constexpr std::size_t kLargestPayload = 65'507; // of a UDP datagram over IPv4

TEST(MessageRules, P8CallIdsThatDifferAreAmbiguous) {
    for (const std::string second : {"Call-ID: p8@y",
                                     "i: p8@y",
                                     "I\t:\r\n p8@y",
                                     "i: P8@x",   // letter case counts
                                     "i: p8@x.",  // one byte more
                                     "i: p8@",    // one less
                                     "i: p8@x x", // white space within
                                     "i:",        // nothing at all
                                     "i:\r\n ",
                                     "i: p8@x, p8@x"}) {
        expect_ambiguous(invite().call_id("p8@x").line(second), "p8@x");
        expect_ambiguous(with_line("i : p8@x").line("Subject: x").line("i:p8@x").line(second),
                         "p8@x");
    }
    expect_ambiguous(with_line("i:").line("Call-ID: p8@x"), ""); // the first counts, as it stands
}

TEST(MessageRules, P8EqualCallIdsAreOne) {
    for (const std::string second :
         {"Call-ID: p8@x", "i:p8@x", "CALL-ID \t:\t p8@x \t", "i:\r\n p8@x", "i: p8@x\r\n \r\n\t"})
        expect_call_id(invite().call_id("p8@x").line(second), "p8@x");
    // What is no Call-ID field makes nothing ambiguous.
    for (const std::string other : {"Call-ID", "Call-ID p8@y", "Call-ID\r\n : p8@y", " i: p8@y"})
        expect_call_id(invite().call_id("p8@x").line("Subject: x").line(other), "p8@x");
}

TEST(MessageRules, P8MoreThanFourCallIdsAreAmbiguousThoughEqual) {
    auto message = invite().call_id("p8@x");
    for (int count = 2; count <= 4; ++count)
        expect_call_id(message.line(count % 2 == 0 ? "i: p8@x" : "Call-ID: p8@x"), "p8@x");
    expect_ambiguous(message.line("i: p8@x"), "p8@x");
}

TEST(MessageRules, P9ContentLengthIsNotBelieved) {
    for (const std::string length :
         {"0", "4", "99999", "4294967301", "18446744073709551617", "-1", "-999", "x", "", "\r\n 1"})
        for (const std::string name : {"Content-Length", "l"})
            for (const std::string body :
                 {"", "body", "BYE sip:x SIP/2.0\r\nCall-ID: no@x\r\n\r\n"})
                expect_call_id(with_line(name + ": " + length).line("i: p9@x").body(body), "p9@x");
    const std::string start = "INVITE sip:b@example.org SIP/2.0\r\ni: p9@x\r\n\r\n"; // has none
    for (const std::string body : {"", "i: no@x\r\n"})
        read_everywhere(start + body,
                        [](const SipDigest& digest) { EXPECT_EQ(digest.call_id, "p9@x"); });
}

TEST(MessageRules, P10TheLargestDatagramIsRead) {
    for (const std::size_t size : {kLargestPayload, std::size_t{65'535}}) {
        auto field = invite().call_id("p10@x").line_before(
            "Subject: " + std::string(size - invite().call_id("p10@x").text().size() - 11, 's'));
        ASSERT_EQ(field.text().size(), size); // one long line, the Call-ID near the end
        expect_call_id(field, "p10@x");
        auto body = invite().call_id("p10@x");
        body.body(std::string(size - body.text().size() - 4, '\n')); // four more digits of length
        ASSERT_EQ(body.text().size(), size);                         // the rest body
        expect_call_id(body, "p10@x");
        const std::string start = "INVITE sip:b@example.org SIP/2.0\r\ni: ";
        read_everywhere(
            start + std::string(size - start.size(), 'c'), [&](const SipDigest& digest) {
                EXPECT_EQ(digest.call_id.size(), size - start.size()); // nothing but Call-ID
            });
    }
}

TEST(MessageRules, P11UnknownMethodsAndHeadersPass) {
    for (const std::string name : {"FROB", "INVITED", "!-.*_+`'~%1aZ", "X"})
        read_everywhere(request(name).call_id("p11@x").text(), [](const SipDigest& digest) {
            EXPECT_EQ(digest.kind, PayloadKind::Request);
            EXPECT_EQ(digest.method, Method::Other);
            EXPECT_EQ(digest.defect, Defect::None);
            EXPECT_EQ(digest.call_id, "p11@x");
        });
    for (const std::string& line : {std::string("X-Unknown: y"),
                                    std::string("no colon at all"),
                                    std::string(": no name"),
                                    std::string("Contact: <<<>>\"\\"),
                                    std::string("From: \"never closed"),
                                    std::string("Max-Forwards: -1"),
                                    std::string("\xff\x01\x80\0: \x7f", 7),
                                    "X: " + std::string(5000, '"')})
        expect_call_id(invite().call_id("p11@x").line_before(line).line(line), "p11@x");
    // Nor does a broken To, CSeq or Via make the Call-ID any less readable.
    auto broken = invite().call_id("p11@x").to("\"<").cseq("x").via(";;=\",<");
    expect_call_id(broken, "p11@x");
}

TEST(MessageRules, P12WhiteSpaceInsideViaIsLegal) {
    expect_branch("SIP / 2.0 / UDP first.example.com : 4000 ; ttl = 16 ; branch = z9hG4bKp12 ; x",
                  "z9hG4bKp12");
    expect_branch("SIP\t/\t2.0\t/\tUDP a\t:\t5060\t;\tbranch\t=\tz9hG4bKp12\t, SIP/2.0/UDP b",
                  "z9hG4bKp12");
    expect_branch("SIP/2.0/UDP a;received=192.0.2.1;BRANCH=z9hG4bKp12;rport", "z9hG4bKp12");
}

TEST(MessageRules, P12Ipv6ReferencesAreRead) {
    expect_branch("SIP/2.0/UDP [2001:db8::9:1];branch=z9hG4bKp12", "z9hG4bKp12");
    expect_branch("SIP/2.0/UDP [2001:db8::9:1]:5060;received=[2001:db8::9:255];branch=z9hG4bKp12",
                  "z9hG4bKp12");
    expect_branch("SIP/2.0/UDP a;received=2001:db8::9:255;branch=z9hG4bKp12", "z9hG4bKp12");
    const auto message = invite()
                             .first_line("INVITE sip:b@[2001:db8::10]:5060;x SIP/2.0")
                             .to("<sip:b@[2001:db8::10]>;tag=t")
                             .call_id("p12@[2001:db8::9:1]");
    expect_call_id(message, "p12@[2001:db8::9:1]");
    read_everywhere(message.text(),
                    [](const SipDigest& digest) { EXPECT_TRUE(digest.has_to_tag); });
}

TEST(MessageRules, P13CrLfAndBareLfEndALine) {
    for (const std::string end : {"\r\n", "\n"}) {
        const auto message = invite().call_id("p13@x").line_end(end).body("i: no@x");
        expect_call_id(message, "p13@x");
        read_everywhere(message.text(), [](const SipDigest& digest) {
            EXPECT_EQ(digest.cseq, (CSeq{314159, Method::Invite}));
            EXPECT_EQ(digest.top_via_branch, "z9hG4bK776asdhds");
        });
    }
    // Mixed: an empty line is one whatever the others end with.
    expect_call_id(with_line("A: x\ni: p13@x\nB: x"), "p13@x");
    expect_call_id(with_line("i: p13@x\n\ni: no@x"), "p13@x");
    expect_call_id(invite().call_id("p13@x").line_end("\n").line("\r\ni: no@x"), "p13@x");
}

TEST(MessageRules, P13ABareCrEndsNoLine) {
    expect_call_id(with_line("Subject: x\rCall-ID: no@x"), "");
    expect_call_id(with_line("Subject: x\r\rCall-ID: no@x"), "");
    expect_call_id(invite().call_id("p13@x\ri: y"), "p13@x\ri: y");
    expect_call_id(with_line("A: x\r\n\r\r\ni: p13@x"), "p13@x"); // no empty line either
    expect_kind(invite().line_end("\r").text(), PayloadKind::NotSip);
}

TEST(MessageRules, P13EmptyLinesBeforeTheFirstLineAreSkipped) {
    for (const std::string before : {"\r\n", "\r\n\r\n", "\n", "\r", "\r\r\n\n"})
        read_everywhere(before + invite().call_id("p13@x").text(), [](const SipDigest& digest) {
            EXPECT_EQ(digest.kind, PayloadKind::Request);
            EXPECT_EQ(digest.method, Method::Invite);
            EXPECT_EQ(digest.call_id, "p13@x");
        });
    expect_kind(" \r\nx", PayloadKind::NotSip); // a blank is no empty line
}

TEST(MessageRules, P14KeepAlivesAreKnown) {
    for (const std::string_view text : {std::string_view(),
                                        std::string_view("\r\n"),
                                        std::string_view("\r\n\r\n"),
                                        std::string_view("\n"),
                                        std::string_view("\0", 1),
                                        std::string_view("\0\0\0\0", 4)})
        expect_kind(text, PayloadKind::KeepAlive);
    expect_kind(std::string(1000, '\0'), PayloadKind::KeepAlive);
    expect_kind(std::string_view("\0\0\0\1", 4), PayloadKind::NotSip);
    expect_kind(std::string_view("\r\n\0", 3), PayloadKind::NotSip);
}

TEST(MessageRules, P14StunIsKnownByItsTwoZeroBitsAndItsCookie) {
    std::string stun("\x00\x01\x00\x00\x21\x12\xa4\x42", 8);
    stun += "transaction!";
    expect_kind(stun, PayloadKind::Stun);
    expect_kind(stun + "\r\ni: no@x\r\n", PayloadKind::Stun);
    expect_kind(std::string_view(stun).substr(0, 19), PayloadKind::NotSip);
    stun[0] = '\x40';
    expect_kind(stun, PayloadKind::NotSip);
    stun[0] = '\0';
    stun[7] = '\x43';
    expect_kind(stun, PayloadKind::NotSip);
}

TEST(MessageRules, P14StunIsKnownWhereTheFirstLineIsNotWanted) {
    // The type and the length look like an empty line and the beginning of a method.
    const std::string stun = "\r\nCa\x21\x12\xa4\x42\ni: no@x\r\nf: b;tag=x\r\n";
    const std::span<const std::byte> bytes = std::as_bytes(std::span(stun));
    for (const Want want : {Want::FirstLine, Want::Nothing, Want::Tags, Want::Everything}) {
        const SipDigest digest = read_digest(bytes, {.want = want});
        EXPECT_EQ(digest.kind, PayloadKind::Stun);
        EXPECT_EQ(digest.call_id, "");
        EXPECT_EQ(digest.from_tag, "");
    }
}

TEST(MessageRules, P14WhatHasNoSipFirstLineIsNotSip) {
    for (const std::string first : {"GET / HTTP/1.1", "INVITE sip:b@example.org", "SIP/2.0", "x"})
        read_everywhere(invite().first_line(first).call_id("p14@x").text(),
                        [](const SipDigest& digest) {
                            EXPECT_EQ(digest.kind, PayloadKind::NotSip);
                            EXPECT_EQ(digest.call_id, "p14@x"); // it is forwarded by it
                        });
    expect_kind(std::string(1000, 'A'), PayloadKind::NotSip);
    expect_kind("\x16\x03\x01\x02", PayloadKind::NotSip);
}

TEST(MessageRules, LookalikesOfWantedNamesPassInAnyNumber) {
    for (const std::string line : {"Call-Info: <sip:x>",
                                   "Call-ID-X: x",
                                   "Cache: x",
                                   "ii: x",
                                   "Too: x",
                                   "CSeq-X: 1 INVITE",
                                   "Viaduct: x",
                                   "From-X: x",
                                   "f",
                                   "t",
                                   "Call-ID x"}) {
        auto message = invite().without("Call-ID").without("To").without("Via").without("CSeq");
        message.without("From");
        for (int i = 0; i < 200; ++i)
            message.line(line);
        message.line("Call-ID \t: behind@x").line("t:<sip:b@example.org>;tag=b1");
        message.line("CSeq: 7 INVITE").line("V: SIP/2.0/UDP h;branch=z9hG4bKb");
        message.line(line[0] == 'C' ? "FroM\t: <sip:a@x>;tag=a1" : "f :sip:a@x;tag=a1");
        read_everywhere(message.text(), [&](const SipDigest& digest) {
            EXPECT_EQ(digest.defect, Defect::None) << line;
            EXPECT_EQ(digest.call_id, "behind@x") << line;
            EXPECT_EQ(digest.from_tag, "a1") << line;
            EXPECT_EQ(digest.to_tag, "b1") << line;
            EXPECT_EQ(digest.cseq, (CSeq{7, Method::Invite})) << line;
            EXPECT_EQ(digest.top_via_branch, "z9hG4bKb") << line;
        });
        message.line("i : other@x");
        read_everywhere(message.text(), [&](const SipDigest& digest) {
            EXPECT_EQ(digest.defect, Defect::AmbiguousCallId) << line;
        });
    }
}

/// That many header lines of a length, the first one with the Call-ID.
std::string lines_of(std::size_t length, int count, std::string_view end) {
    std::string text = "BYE sip:b@x SIP/2.0\r\ni:cap@x\r\n";
    for (int line = 1; line < count; ++line)
        text += "x" + std::string(length - 2, 'y') + "\n";
    return text.append(end);
}

TEST(MessageRules, TheCapCountsLinesOfEveryLength) {
    // Lines as long as a vector, or half of one, put all line feeds into few of its columns.
    for (const std::size_t length : {2U, 3U, 16U, 31U, 32U, 33U, 64U, 66U, 128U})
        for (const int cap : {16, 256, 512, 1'000})
            for (const int over : {0, 1, 2, 300})
                for (const std::string end : {"", "\r\n", "\n", "\r\n\n\n\nbody"}) {
                    const std::string text = lines_of(length, cap + over, end);
                    const ReadRules rules{.want = Want::Nothing,
                                          .max_header_lines = static_cast<std::uint16_t>(cap)};
                    for (const ScanLevel level : kScanLevels) {
                        if (!has_scan_level(level) || text.size() > 65'507) continue;
                        const SipDigest digest = read_digest_at(level, guarded(text), rules);
                        EXPECT_EQ(digest.defect,
                                  over > 0 ? Defect::TooManyHeaderLines : Defect::None)
                            << name_of(level) << ", " << cap + over << " lines of " << length
                            << " bytes, cap " << cap;
                        EXPECT_EQ(digest.call_id, "cap@x");
                    }
                }
}

TEST(MessageRules, P13LineFeedsRightBehindTheFirstLineAreSkipped) {
    // Header fields that have not begun do not end; a server finds this Call-ID or none.
    for (const std::size_t feeds : {1U, 2U, 300U})
        read_everywhere("INVITE sip:b@x SIP/2.0\r\n" + std::string(feeds, '\n') + "i:p13@x\r\n\r\n",
                        [](const SipDigest& digest) { EXPECT_EQ(digest.call_id, "p13@x"); });
    read_everywhere("INVITE sip:b@x SIP/2.0\r\n\r\ni:body@x\r\n\r\n",
                    [](const SipDigest& digest) { EXPECT_EQ(digest.call_id, ""); });
}

TEST(MessageRules, AStatusIsThreeDigitsAndABlank) {
    const auto expect_status = [](const std::string& line, int status) {
        read_everywhere(line + "\r\ni:status@x\r\n\r\n", [&](const SipDigest& digest) {
            EXPECT_EQ(digest.kind, PayloadKind::Response) << line;
            EXPECT_EQ(digest.status, status) << line;
        });
    };
    for (const char* line : {"SIP/2.0 200 OK", "SIP/2.0 200", "SIP/2.0  200 ", "sip/3.1 200\tOK"})
        expect_status(line, 200);
    for (const char* line : {"SIP/2.0 200x OK",
                             "SIP/2.0 2000 OK",
                             "SIP/2.0 20 OK",
                             "SIP/2.0 099 OK",
                             "SIP/2.0 700 OK"})
        expect_status(line, 0);
}

TEST(MessageRules, TheRequestUriIsNoWhiteSpace) {
    expect_kind("INVITE \r SIP/2.0\r\nX: y\r\n\r\n", PayloadKind::NotSip);
    expect_kind("INVITE \t\r SIP/2.0\r\nX: y\r\n\r\n", PayloadKind::NotSip);
}

TEST(MessageRules, ALineOfCrAndMoreIsNotEmpty) {
    for (int c = 0; c < 256; ++c) {
        if (c == '\n') continue;
        std::string line = "\r";
        line += static_cast<char>(c);
        const std::string text =
            "BYE sip:b@x SIP/2.0\r\nX: 1\r\n" + line + "\r\nCall-ID: c@x\r\n" +
            "X-Filler: so that the lines before are in a block of their own\r\n" +
            "CSeq: 2 BYE\r\n\r\n";
        read_everywhere(text, [&](const SipDigest& digest) {
            EXPECT_EQ(digest.call_id, "c@x") << c;
            EXPECT_EQ(digest.cseq, (CSeq{2, Method::Bye})) << c;
        });
    }
}

TEST(MessageRules, QuotesWithinAngleBracketsAreOfTheUri) {
    read_everywhere(invite()
                        .without("To")
                        .line("To: \"B, \\\";tag=no\" <sip:a\"b;tag=no>;x=\"<\";tag=yes")
                        .text(),
                    [](const SipDigest& digest) { EXPECT_TRUE(digest.has_to_tag); });
    read_everywhere(invite().without("To").line("To: <sip:a\"b>;x=\"\\\";tag=no\"").text(),
                    [](const SipDigest& digest) { EXPECT_FALSE(digest.has_to_tag); });
}

TEST(MessageRules, HeaderLinesBeyondTheCapAreADefect) {
    for (const std::uint16_t cap : {std::uint16_t{16}, kMaxHeaderLines, std::uint16_t{4096}}) {
        const ReadRules rules{Want::Everything, false, cap};
        const auto lines = [&](std::size_t count, const std::string& line) {
            auto message = invite().call_id("cap@x");
            for (std::size_t have = 7; have < count; ++have)
                message.line(line);
            return message;
        };
        for (const std::string line : {"X: x", "no colon", ":"}) {
            expect_call_id(lines(cap, line), "cap@x", rules);
            expect_defect(lines(cap + 1U, line), Defect::TooManyHeaderLines, "cap@x", rules);
        }
        expect_call_id(lines(cap, " continued"), "cap@x", rules);
        expect_defect(lines(cap + 1U, "\tcontinued"), Defect::TooManyHeaderLines, "cap@x", rules);
        // Where all that is wanted stands before, a lenient reader never gets there.
        expect_call_id(lines(cap + 1U, "X: x"), "cap@x", {Want::Everything, true, cap});
    }
}

TEST(MessageRules, ContinuationLinesOfAFieldThatIsReadCountAgainstTheCap) {
    for (const std::string name : {"Call-ID", "Via", "From", "To", "CSeq"}) {
        std::string folds;
        for (int line = 0; line < 300; ++line)
            folds += "\r\n ";
        const auto message = invite().without(name).line(name + ":" + folds + "x");
        read_everywhere(message.text(), [](const SipDigest& digest) {
            EXPECT_EQ(digest.defect, Defect::TooManyHeaderLines);
        });
    }
}

TEST(MessageRules, ContinuationLinesOfTheLastFieldCountAgainstTheCap) {
    for (const std::string name : {"Call-ID", "i", "Via", "From", "To", "CSeq", "Subject"})
        for (const std::size_t lines : {16U, 17U}) {
            std::string text = "INVITE sip:b@example.org SIP/2.0\r\ni: a@b\r\n" + name + ": a@b";
            for (std::size_t line = 2; line < lines; ++line)
                text += "\r\n ";
            read_everywhere(text + "\r\n\r\n",
                            [&](const SipDigest& digest) {
                                EXPECT_EQ(digest.call_id, "a@b");
                                EXPECT_EQ(name_of(digest.defect),
                                          lines > 16 ? "too_many_header_lines" : "none");
                            },
                            {Want::Everything, false, 16});
        }
}

TEST(MessageRules, GivingUpOnLookalikesLosesNothing) {
    const std::string first = "INVITE sip:b@x SIP/2.0\r\n";
    for (std::size_t odd = 0; odd < 256; ++odd) { // in the first scan or in a later one
        std::string lines;
        for (std::size_t i = 0; i < odd; ++i)
            lines += "t\n";
        if (odd < 255)
            for (std::size_t blanks = 0; blanks < 70; blanks += odd < 70 ? 1 : 23)
                read_everywhere(first + lines + "Call-ID" + std::string(blanks, ' ') + ":x\n\n",
                                [](const SipDigest& digest) {
                                    EXPECT_EQ(digest.call_id, "x");
                                    EXPECT_EQ(digest.defect, Defect::None);
                                });
        // Four equal ones before it are four still, and a line counts once.
        std::string four = "i:x\ni:x\ni:x\ni:x\n" + lines;
        read_everywhere(first + four + "\n", [&](const SipDigest& digest) {
            EXPECT_EQ(digest.call_id, "x");
            EXPECT_EQ(digest.defect, odd > 252 ? Defect::TooManyHeaderLines : Defect::None) << odd;
        });
    }
}

TEST(MessageRules, LimitsAreWhereTheDocumentationHasThem) {
    const auto read = [](const std::string& lines, auto expect) {
        read_everywhere("INVITE sip:b@x SIP/2.0\r\ni:x\r\n" + lines + "\r\n\r\n", expect);
    };
    for (const std::size_t marks : {23U, 24U}) {
        std::string semicolons;
        for (std::size_t i = 0; i < marks; ++i)
            semicolons += ";a";
        read("To: sip:b" + semicolons + ";tag=1",
             [&](const SipDigest& digest) { EXPECT_EQ(digest.to_tag, marks < 24 ? "1" : ""); });
        read("From: sip:b" + semicolons + ";tag=1",
             [&](const SipDigest& digest) { EXPECT_EQ(digest.from_tag, marks < 24 ? "1" : ""); });
    }
    for (const std::size_t quotes : {1U, 23U, 24U, 512U}) // marks after the tag do not count
        read("To: <sip:b@x>;tag=1" + std::string(quotes, '"'),
             [&](const SipDigest& digest) { EXPECT_TRUE(digest.has_to_tag) << quotes; });
    for (const std::size_t digits : {64U, 65U})
        read("CSeq: " + std::string(digits, '0') + " BYE",
             [&](const SipDigest& digest) { EXPECT_EQ(digest.cseq.has_value(), digits <= 64); });
    for (const std::size_t size : {63U, 64U})
        read_everywhere(
            std::string(size, 'A') + "\" sip:b SIP/2.0\r\n\r\n", [&](const SipDigest& digest) {
                EXPECT_EQ(digest.kind, size < 64 ? PayloadKind::NotSip : PayloadKind::Request);
            });
}

TEST(MessageRules, WhatIsNotWantedIsAbsent) {
    const std::string text = bye().call_id("w@x").text();
    for (unsigned want = 0; want < 16; ++want)
        for (const bool lenient : {false, true})
            read_everywhere(text,
                            [&](const SipDigest& digest) {
                                EXPECT_EQ(digest.call_id, "w@x");
                                EXPECT_EQ(digest.has_to_tag, (want & (1U | 8U)) != 0);
                                EXPECT_EQ(digest.from_tag, (want & 8) != 0 ? "1928301774" : "");
                                EXPECT_EQ(digest.to_tag, (want & 8) != 0 ? "a6c85cf" : "");
                                EXPECT_EQ(digest.cseq.has_value(), (want & 2) != 0);
                                EXPECT_EQ(!digest.top_via_branch.empty(), (want & 4) != 0);
                            },
                            {static_cast<Want>(want), lenient});
}

} // namespace
} // namespace viaduct::test
