// SPDX-License-Identifier: Apache-2.0
//
// message, rule by rule: P1 to P7 of docs/sip.md, each with the tests named after it: how header
// fields are written.
#include "rule_reader.hpp"

#include <algorithm>
#include <vector>

namespace viaduct::test {
namespace {

TEST(MessageRules, P1SpaceAndTabBeforeTheColonAreLegal) {
    const std::string wide(70, ' ');
    for (const std::string& colon :
         std::vector<std::string>{":", " :", "\t:", " \t \t:", wide + ":", wide + "\t: \t"}) {
        const auto message = invite()
                                 .replace("Via", "Via" + colon + "SIP/2.0/UDP a;branch=z9hG4bKp1")
                                 .replace("From", "From" + colon + "<sip:a@example.org>;tag=f")
                                 .replace("To", "To" + colon + "<sip:b@example.org>;tag=t")
                                 .replace("Call-ID", "Call-ID" + colon + "p1@x")
                                 .replace("CSeq", "CSeq" + colon + "7 INVITE");
        read_everywhere(message.text(), [](const SipDigest& digest) {
            EXPECT_EQ(digest.top_via_branch, "z9hG4bKp1");
            EXPECT_EQ(digest.from_tag, "f");
            EXPECT_EQ(digest.to_tag, "t");
            EXPECT_EQ(digest.call_id, "p1@x");
            EXPECT_EQ(digest.cseq, (CSeq{7, Method::Invite}));
        });
        expect_call_id(with_line("i" + colon + "p1@x"), "p1@x");
    }
}

TEST(MessageRules, P1NothingElseMayStandBeforeTheColon) {
    for (const std::string between :
         {"\v", "\f", "\xa0", "\r", "\r\n ", ";", "x ", "  x", "\"", ""}) {
        expect_call_id(with_line("Call-ID" + between + (between.empty() ? "" : ":") + "no@x"), "");
        expect_call_id(with_line("i" + between + (between.empty() ? " " : ":") + "no@x"), "");
    }
}

TEST(MessageRules, P2TheValueMayBeginOnTheNextLine) {
    for (const std::string fold : {"\r\n ", "\r\n\t", " \t\r\n \t", "\n ", "\r\n \r\n\t\r\n "}) {
        expect_call_id(with_line("Call-ID:" + fold + "p2@x"), "p2@x");
        expect_call_id(with_line("i :" + fold + "p2@x" + fold), "p2@x");
        expect_branch(fold + "SIP/2.0/UDP a;branch=z9hG4bKp2", "z9hG4bKp2");
    }
}

TEST(MessageRules, P2AFoldIsWhiteSpace) {
    for (const std::string fold : {"\r\n ", "\r\n\t", " \r\n  ", "\n ", "\r\n \r\n "}) {
        expect_branch("SIP/2.0/UDP" + fold + "a" + fold + ";" + fold + "branch" + fold + "=" +
                          fold + "z9hG4bKp2" + fold + ";x",
                      "z9hG4bKp2");
        auto message = invite().cseq("8" + fold + "INVITE");
        message.from(fold + "<sip:a@example.org>;x" + fold + ";tag" + fold + "=" + fold + "f" +
                     fold);
        message.to("<sip:b@example.org>" + fold + ";" + fold + "tag=t");
        read_everywhere(message.text(), [](const SipDigest& digest) {
            EXPECT_EQ(digest.cseq, (CSeq{8, Method::Invite}));
            EXPECT_EQ(digest.from_tag, "f");
            EXPECT_EQ(digest.to_tag, "t");
        });
    }
}

TEST(MessageRules, P2AContinuationLineIsNoFieldOfItsOwn) {
    for (const std::string line : {"Subject: x\r\n Call-ID: no@x",
                                   "Subject: x\r\n\ti: no@x",
                                   "Subject: x\n i: no@x",
                                   "Subject: x\r\n \r\n i: no@x",
                                   "X\r\n :\r\n i: no@x"})
        expect_call_id(invite().call_id("p2@x").line_before(line), "p2@x");
    // One of blanks alone ends no header section either.
    expect_call_id(with_line("Subject: x\r\n \r\nCall-ID: p2@x"), "p2@x");
}

TEST(MessageRules, P3CompactNamesAreTheLongOnes) {
    for (unsigned mix = 0; mix < 256; ++mix) { // long or compact, as written or in the other case
        const auto name = [&](unsigned bit, const char* full, char compact) {
            const bool upper = (mix >> (bit + 4) & 1) != 0;
            if ((mix >> bit & 1) == 0) return std::string(full);
            return std::string(1, static_cast<char>(upper ? compact - 0x20 : compact));
        };
        const auto message =
            invite()
                .replace("Via", name(0, "Via", 'v') + ": SIP/2.0/UDP a;branch=z9hG4bKp3")
                .replace("To", name(1, "To", 't') + ": <sip:b@example.org>;tag=t")
                .replace("Call-ID", name(2, "Call-ID", 'i') + ": p3@x")
                .replace("From", name(3, "From", 'f') + ": <sip:a@example.org>;tag=f");
        read_everywhere(message.text(), [](const SipDigest& digest) {
            EXPECT_EQ(digest.top_via_branch, "z9hG4bKp3");
            EXPECT_EQ(digest.from_tag, "f");
            EXPECT_EQ(digest.to_tag, "t");
            EXPECT_EQ(digest.call_id, "p3@x");
        });
    }
}

TEST(MessageRules, P3TheOtherCompactNamesAreOtherFields) {
    auto message = invite().call_id("p3@x");
    for (char c = 1; c != 0; ++c) // every byte; after 127 come the negative ones
        if (std::string_view("fitvFITV \t\r\n").find(c) == std::string_view::npos)
            message.line_before(std::string(1, c) + ": 9 BYE;tag=no;branch=no");
    read_everywhere(message.text(), [](const SipDigest& digest) {
        EXPECT_EQ(digest.defect, Defect::None);
        EXPECT_EQ(digest.call_id, "p3@x");
        EXPECT_EQ(digest.from_tag, "1928301774");
        EXPECT_FALSE(digest.has_to_tag);
        EXPECT_EQ(digest.cseq, (CSeq{314159, Method::Invite}));
        EXPECT_EQ(digest.top_via_branch, "z9hG4bK776asdhds");
    });
}

TEST(MessageRules, P4NamesAreReadInAnyLetterCase) {
    for (unsigned mix = 0; mix < 64; ++mix) {
        std::string name = "call-id";
        unsigned bit = 0;
        for (char& c : name)
            if (c != '-' && (mix >> bit++ & 1) != 0) c = static_cast<char>(c - 0x20);
        expect_call_id(with_line(name + ": p4@x"), "p4@x");
    }
    // '-' and 'M' differ in the bit that tells small letters from capital ones, and so on.
    for (const std::string name : {"Call\rID",
                                   "Call\x0dID",
                                   "CallMID",
                                   "\x03"
                                   "all-id"})
        expect_call_id(with_line(name + ": no@x"), "");
    expect_call_id(with_line("\x09: no@x"), "");
}

TEST(MessageRules, P4MethodsAreReadByTheirLetterCase) {
    for (const std::string name : {"invite", "Invite", "INVITe"})
        read_everywhere(request(name).text(), [](const SipDigest& digest) {
            EXPECT_EQ(digest.kind, PayloadKind::Request);
            EXPECT_EQ(digest.method, Method::Other);
            EXPECT_EQ(digest.cseq, (CSeq{314159, Method::Other}));
        });
}

TEST(MessageRules, P4TheCallIdIsTakenByteForByte) {
    for (const std::string& value : {std::string("AbC@dEf"),
                                     std::string("abc@def"),
                                     std::string("a \t b"),
                                     std::string("<\"(odd)\">:;,[]{}?/\\%00"),
                                     std::string("caf\xc3\xa9\xff"),
                                     std::string("nul\0inside", 10),
                                     std::string(300, 'x')}) {
        expect_call_id(invite().call_id(value), value);
        expect_call_id(invite().call_id(" \t" + value + "\t "), value);
    }
}

TEST(MessageRules, P5RowsAndCommaListsAreEquivalent) {
    const std::string a = "SIP/2.0/UDP a;branch=z9hG4bKa";
    const std::string b = "SIP/2.0/UDP b;branch=z9hG4bKb";
    for (const std::string comma : {",", " ,", ", ", "\t,\r\n "})
        expect_branch(a + comma + b, "z9hG4bKa");
    read_everywhere(invite().via(b).line_before("v: " + a).text(),
                    [](const SipDigest& digest) { EXPECT_EQ(digest.top_via_branch, "z9hG4bKa"); });
    // The first value is the top one, also when it is the one without a branch.
    expect_branch("SIP/2.0/UDP a," + b, "");
}

TEST(MessageRules, P5CommasInQuotesAndAngleBracketsPartNothing) {
    expect_branch(R"(SIP/2.0/UDP a;x="1, 2;branch=no";branch=z9hG4bKq)", "z9hG4bKq");
    expect_branch(R"(SIP/2.0/UDP a;x="\",\\";branch=z9hG4bKq)", "z9hG4bKq");
    for (const std::string to : {R"("B, C;tag=no" <sip:b@example.org>;tag=t)",
                                 R"("\", <;tag=no" <sip:b@example.org>;tag=t)",
                                 R"(<sip:b@example.org;x=1,2;tag=no>;tag=t)",
                                 R"(B <sip:b@example.org?a=1,2>;y="1,2;3";tag=t)"})
        expect_tag(to, "t");
    for (const std::string to : {R"("B;tag=no" <sip:b@example.org>)",
                                 R"(<sip:b@example.org;tag=no>)",
                                 R"(<sip:b@example.org>;x=";tag=no")",
                                 R"(<sip:b@example.org>, <sip:c@example.org>;tag=no)"})
        expect_tag(to, "");
}

TEST(MessageRules, P6NamesMatchAsAWhole) {
    for (const std::string name : {"Call-ID-X",
                                   "Call-IDs",
                                   "X-Call-ID",
                                   "Callid",
                                   "Call-I",
                                   "Call_ID",
                                   "Call ID",
                                   "Call",
                                   "C",
                                   "ii",
                                   "id",
                                   "xi",
                                   "i-",
                                   "-i",
                                   "i.",
                                   "\"Call-ID\"",
                                   "Call-ID;x",
                                   "Call-ID=",
                                   ""}) {
        expect_call_id(with_line(name + ": no@x"), "");
        // It neither hides the real one nor makes it ambiguous.
        expect_call_id(invite().call_id("p6@x").line_before(name + ": no@x"), "p6@x");
    }
    for (const std::string name : {"Tok",
                                   "T-",
                                   "too",
                                   "To-X",
                                   "XTo",
                                   "CSeqs",
                                   "CSe",
                                   "Vi",
                                   "Vias",
                                   "Fro",
                                   "Froms",
                                   "From-X",
                                   "XFrom",
                                   "Fram",
                                   "F-",
                                   "ff",
                                   "fr"}) {
        auto message = invite().line_before(name + ": 9 BYE;tag=no;branch=no");
        read_everywhere(message.text(), [](const SipDigest& digest) {
            EXPECT_EQ(digest.from_tag, "1928301774");
            EXPECT_FALSE(digest.has_to_tag);
            EXPECT_EQ(digest.cseq, (CSeq{314159, Method::Invite}));
            EXPECT_EQ(digest.top_via_branch, "z9hG4bK776asdhds");
        });
    }
    expect_call_id(invite().first_line("INVITE sip:i:no@x;Call-ID:no SIP/2.0").call_id("p6@x"),
                   "p6@x");
}

TEST(MessageRules, P7TheBodyIsNeverSearched) {
    const std::string part =
        "BYE sip:a@example.org SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=no\r\n"
        "To: <x>;tag=no\r\nf: <x>;tag=no\r\nCall-ID: body@no\r\ni: two@no\r\nCSeq: 1 BYE\r\n\r\n";
    for (const std::string& body :
         std::vector<std::string>{part,
                                  "Call-ID: body@no\r\n" + part,
                                  "\r\nCall-ID: body@no\r\n",
                                  "--x\r\nContent-Type: message/sip\r\n\r\n" + part + "--x--\r\n",
                                  "v=0\r\ni: session\r\nt: 0 0\r\n" + part})
        for (const std::string end : {"\r\n", "\n"}) {
            expect_call_id(invite().call_id("p7@x").body(body).line_end(end), "p7@x");
            const auto bare =
                request("NOTIFY").without("Call-ID").without("Via").without("CSeq").without("From");
            read_everywhere(MessageBuilder(bare).body(body).line_end(end).text(),
                            [](const SipDigest& digest) {
                                EXPECT_EQ(digest.call_id, "");
                                EXPECT_EQ(digest.defect, Defect::None);
                                EXPECT_EQ(digest.from_tag, "");
                                EXPECT_FALSE(digest.has_to_tag);
                                EXPECT_EQ(digest.cseq, std::nullopt);
                                EXPECT_EQ(digest.top_via_branch, "");
                            });
        }
}

TEST(MessageRules, TagsAreTakenByteForByte) {
    // On both sides of 64 and 128 bytes, where another way through the code is taken.
    for (std::size_t host = 1; host < 140; ++host)
        for (const std::size_t size : {std::size_t{1}, 15 + host % 3, std::size_t{40}}) {
            const std::string tag = std::string(size - 1, 'T') + "~";
            const std::string uri = "<sip:b@" + std::string(host, 'h') + ">";
            expect_tag(uri + ";tag=" + tag, tag);
            expect_tag("\"B\" " + uri + ";tag=" + tag + ";x=y", tag);
            expect_tag(uri, "");
        }
    for (const std::string tag : {"a.b-c!%2B*_+`'~", "a=b", "\xc3\xa9", "<a>", "a\"b", "-"})
        for (const std::string end : {"", " ", "\t;x", ";x", " \r\n ;x=y", "\r\n ", ",<sip:c@d>"})
            for (const std::string start :
                 {"<sip:b@x>;tag=", "sip:b@x;tag=", "<sip:b@x>;x;Tag\t= "})
                expect_tag(start + tag + end, tag);
}

TEST(MessageRules, TheFirstTagAmongTheParametersCounts) {
    for (const std::string to : {"<sip:b@x>;tag=t",
                                 "<sip:b@x>;TAG=t;tag=no",
                                 "<sip:b@x>;tAg=t,<sip:c@x>;tag=no",
                                 "<sip:b@x>;a=tag;tagged=no;xtag=no;tag=t",
                                 "<sip:b@x>;tag;tag=t", // a flag of that name is no tag
                                 "<sip:b@x;tag=no>;tag=t",
                                 "<sip:b@x?h=;tag=no>;x=y;tag=t",
                                 "sip:b@x;tag=t",
                                 "sip:b@x;x=y;tag=t",
                                 "\"B;tag=no\" <sip:b@x>;tag=t",
                                 "\"\\\";tag=no\" <sip:b@x>;x=\";tag=no\";tag=t",
                                 "B <sip:b@x>;tag=t"})
        expect_tag(to, "t");
    for (const std::string to : {"",
                                 "<sip:b@x>",
                                 "<sip:b@x>;tag",
                                 "<sip:b@x>;tag=", // no value, and what follows is another's
                                 "<sip:b@x>;tag= ;x",
                                 "<sip:b@x>;tag=;tag=no",
                                 "<sip:b@x>;tag=,<sip:c@x>;tag=no",
                                 "<sip:b@x>;tag=\r\n ",
                                 "<sip:b@x>,<sip:c@x>;tag=no",
                                 "<sip:b@x;tag=no",
                                 "\"B;tag=no",
                                 "sip:b@x",
                                 "tag=no"})
        expect_tag(to, "");
}

TEST(MessageRules, AQuotedTagIsReadUpToWhereATokenEnds) {
    expect_tag("<sip:b@x>;tag=\"\"", "\"\"");
    expect_tag("<sip:b@x>;tag=\"t u\";tag=no", "\"t");
    expect_tag("<sip:b@x>;tag=\"t;u\"", "\"t");
}

TEST(MessageRules, TheFirstOfSeveralFromsCounts) {
    const auto message = invite().from("<sip:a@x>;tag=f");
    const auto expect = [](const MessageBuilder& built, std::string_view tag) {
        read_everywhere(built.text(),
                        [&](const SipDigest& digest) { EXPECT_EQ(digest.from_tag, tag); });
    };
    for (const std::string second : {"From: <sip:a@x>;tag=g", "f: <sip:a@x>;tag=g"}) {
        expect(MessageBuilder(message).line(second), "f");
        expect(MessageBuilder(message).line_before(second), "g");
    }
    expect(MessageBuilder(message).line_before("F: <sip:a@x>"), ""); // the first has none
    expect(invite().without("From"), "");
}

TEST(MessageRules, FieldsFarApartAreFoundInAnyOrder) {
    // A lenient reader looks at 256 bytes at a time.
    const std::string between = "X: " + std::string(300, 'x') + "\r\n";
    std::vector<std::string> lines{"From: <sip:a@x>;tag=f",
                                   "To: <sip:b@x>;tag=t",
                                   "Call-ID: far@x",
                                   "CSeq: 3 BYE",
                                   "Via: SIP/2.0/UDP a;branch=z9hG4bKfar"};
    std::sort(lines.begin(), lines.end());
    do {
        std::string text = "BYE sip:b@x SIP/2.0\r\n";
        for (const std::string& line : lines)
            text += line + "\r\n" + between;
        for (const bool lenient : {false, true})
            read_everywhere(text + "\r\n",
                            [](const SipDigest& digest) {
                                EXPECT_EQ(digest.defect, Defect::None);
                                EXPECT_EQ(digest.from_tag, "f");
                                EXPECT_EQ(digest.to_tag, "t");
                                EXPECT_EQ(digest.call_id, "far@x");
                                EXPECT_EQ(digest.cseq, (CSeq{3, Method::Bye}));
                                EXPECT_EQ(digest.top_via_branch, "z9hG4bKfar");
                            },
                            {Want::Everything, lenient});
    } while (std::next_permutation(lines.begin(), lines.end()));
}

} // namespace
} // namespace viaduct::test
