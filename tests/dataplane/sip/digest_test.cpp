// SPDX-License-Identifier: Apache-2.0
#include "guarded.hpp"
#include "message_builder.hpp"

#include "viaduct/sip/digest.hpp"

#include <gtest/gtest.h>
#include <string>
#include <vector>

namespace viaduct::test {
namespace {

/// The digest of a message that ends at an unreadable page. Its views last until the next call.
SipDigest read(std::string_view text) {
    return read_digest(guarded(text));
}
SipDigest read(const MessageBuilder& message) {
    return read(message.text());
}
SipDigest read_to(std::string_view value) {
    return read(invite().to(value));
}
SipDigest read_via(std::string_view value) {
    return read(invite().via(value));
}

TEST(Message, ReadsEveryFieldOfARequest) {
    const SipDigest digest = read(invite().call_id("f81d4fae@192.0.2.7"));
    EXPECT_EQ(digest.kind, PayloadKind::Request);
    EXPECT_EQ(digest.method, Method::Invite);
    EXPECT_EQ(digest.status, 0);
    EXPECT_EQ(digest.call_id, "f81d4fae@192.0.2.7");
    EXPECT_FALSE(digest.has_to_tag);
    EXPECT_EQ(digest.cseq, (CSeq{314159, Method::Invite}));
    EXPECT_EQ(digest.top_via_branch, "z9hG4bK776asdhds");
    EXPECT_EQ(digest.from_tag, "1928301774");
    EXPECT_EQ(digest.to_tag, "");
}

TEST(Message, ReadsEveryFieldOfAResponse) {
    const SipDigest digest = read(response(486, "Busy Here").call_id("x@y"));
    EXPECT_EQ(digest.kind, PayloadKind::Response);
    EXPECT_EQ(digest.status, 486);
    EXPECT_EQ(digest.call_id, "x@y");
    EXPECT_TRUE(digest.has_to_tag);
    EXPECT_EQ(digest.cseq, (CSeq{314159, Method::Invite}));
    EXPECT_EQ(digest.top_via_branch, "z9hG4bK776asdhds");
    EXPECT_EQ(digest.from_tag, "1928301774");
    EXPECT_EQ(digest.to_tag, "a6c85cf");
}

TEST(Message, KnowsTheMethodsByTheirExactNames) {
    const std::vector<std::pair<std::string, Method>> methods{
        {"INVITE", Method::Invite},
        {"ACK", Method::Ack},
        {"BYE", Method::Bye},
        {"CANCEL", Method::Cancel},
        {"REGISTER", Method::Register},
        {"OPTIONS", Method::Options},
        {"PRACK", Method::Prack},
        {"SUBSCRIBE", Method::Subscribe},
        {"NOTIFY", Method::Notify},
        {"PUBLISH", Method::Publish},
        {"INFO", Method::Info},
        {"REFER", Method::Refer},
        {"MESSAGE", Method::Message},
        {"UPDATE", Method::Update},
        {"invite", Method::Other},
        {"Bye", Method::Other},
        {"INVITED", Method::Other},
        {"INVIT", Method::Other},
        {"!-.*_+`'~%1aZ", Method::Other},
    };
    for (const auto& [name, method] : methods) {
        const SipDigest digest = read(request(name));
        EXPECT_EQ(digest.kind, PayloadKind::Request) << name;
        EXPECT_EQ(digest.method, method) << name;
        EXPECT_EQ(digest.cseq, (CSeq{314159, method})) << name;
    }
}

TEST(Message, TakesAnyRequestUriAsItStands) {
    for (const std::string uri : {"sip:bob@198.51.100.10;lr?subject=x",
                                  "tel:+15551234",
                                  "urn:service:sos",
                                  "sips:%00@example.org",
                                  "x:y"}) {
        const SipDigest digest = read(invite().first_line("INVITE " + uri + " SIP/2.0"));
        EXPECT_EQ(digest.kind, PayloadKind::Request) << uri;
        EXPECT_EQ(digest.call_id, "a84b4c76e66710@192.0.2.1") << uri;
    }
}

TEST(Message, ReadsTheSipVersionInAnyLetterCase) { // RFC 3261 §7.1
    EXPECT_EQ(read(invite().first_line("INVITE sip:b@example.org sip/2.0")).kind,
              PayloadKind::Request);
    EXPECT_EQ(read(response(200, "OK").first_line("Sip/2.0 200 OK")).kind, PayloadKind::Response);
}

TEST(Message, ReadsEveryStatusFrom100To699AndNoOther) {
    for (const int status : {100, 180, 200, 302, 404, 503, 699}) {
        const SipDigest digest = read(response(status, "Any reason at all"));
        EXPECT_EQ(digest.kind, PayloadKind::Response) << status;
        EXPECT_EQ(digest.status, status);
    }
    for (const std::string status : {"099", "700", "999", "20", "2000", "2x0", "-20", ""}) {
        const auto message = response(200, "OK").first_line("SIP/2.0 " + status + " OK");
        EXPECT_EQ(read(message).status, 0) << status;
    }
    EXPECT_EQ(read(response(200, "OK").first_line("SIP/2.0 200 ")).status, 200); // empty reason
}

// Neither makes the message another call's: the backend judges, and must get it.
TEST(Message, ReadsTheCallIdWhateverTheVersionAndStatus) {
    for (const std::string version : {"SIP/1.0", "SIP/2.00", "SIP/7.0", "SIP/2.0 ", "SIP/2.0\t "}) {
        const SipDigest digest =
            read(invite().first_line("INVITE sip:b@example.org " + version).call_id("a@b"));
        EXPECT_EQ(digest.kind, PayloadKind::Request) << version;
        EXPECT_EQ(digest.call_id, "a@b") << version;
    }
    const auto message =
        response(200, "OK").first_line("SIP/2.0 4294967301 better not").call_id("a@b");
    EXPECT_EQ(read(message).kind, PayloadKind::Response);
    EXPECT_EQ(read(message).call_id, "a@b");
}

TEST(Message, CallsWhatHasNoSipFirstLineNotSip) {
    for (const std::string first : {"GET / HTTP/1.1",
                                    "INVITE sip:b@example.org",
                                    "INVITE  SIP/2.0",
                                    "SIP/2.0",
                                    "INVITE sip:b@example.org SIPS/2.0",
                                    "INVITE sip:b@example.org SIP/",
                                    "\x16\x03\x01",
                                    "hello",
                                    "INVITE",
                                    ":",
                                    "a b"}) {
        const SipDigest digest = read(invite().first_line(first));
        EXPECT_EQ(digest.kind, PayloadKind::NotSip) << first;
    }
    EXPECT_EQ(read(std::string(1000, 'A')).kind, PayloadKind::NotSip);
    EXPECT_EQ(read(std::string_view("\0\0\0\x01", 4)).kind, PayloadKind::NotSip);
}

TEST(Message, KnowsKeepAlives) { // RFC 5626 §3.5.1, §4.4.1
    for (const std::string_view text : {std::string_view(""),
                                        std::string_view("\r\n"),
                                        std::string_view("\r\n\r\n"),
                                        std::string_view("\0", 1),
                                        std::string_view("\0\0\0\0", 4)}) {
        const SipDigest digest = read(text);
        EXPECT_EQ(digest.kind, PayloadKind::KeepAlive) << text.size();
        EXPECT_TRUE(digest.call_id.empty());
    }
}

TEST(Message, KnowsStunByItsCookie) { // RFC 5389 §6
    std::string stun("\x00\x01\x00\x00\x21\x12\xa4\x42", 8);
    stun += "transaction!";
    EXPECT_EQ(read(stun).kind, PayloadKind::Stun);
    std::string other = stun;
    other[7] = '\x43';
    EXPECT_EQ(read(other).kind, PayloadKind::NotSip);
    other = stun;
    other[0] = '\x40'; // the two top bits are not zero
    EXPECT_EQ(read(other).kind, PayloadKind::NotSip);
}

TEST(Message, IgnoresEmptyLinesBeforeTheFirstLine) { // RFC 3261 §7.5
    for (const std::string before : {"\r\n", "\r\n\r\n"}) {
        const SipDigest digest = read(before + invite().text());
        EXPECT_EQ(digest.kind, PayloadKind::Request);
        EXPECT_EQ(digest.call_id, "a84b4c76e66710@192.0.2.1");
    }
}

TEST(Message, FindsTheCallIdHoweverItsNameIsWritten) { // RFC 3261 §7.3.1, §7.3.3
    for (const std::string line : {"Call-ID: a@b",
                                   "CALL-ID: a@b",
                                   "call-id: a@b",
                                   "cAlL-iD: a@b",
                                   "i: a@b",
                                   "I: a@b",
                                   "Call-ID:a@b",
                                   "Call-ID : a@b",
                                   "Call-ID\t: a@b",
                                   "Call-ID \t \t:\t \ta@b",
                                   "i\t :a@b",
                                   "Call-ID: a@b   ",
                                   "Call-ID: a@b\t",
                                   "Call-ID:\r\n a@b",
                                   "Call-ID:\r\n\ta@b",
                                   "Call-ID: \r\n  a@b",
                                   "Call-ID :\r\n \t a@b \t",
                                   "i:\r\n a@b",
                                   "Call-ID: a@b\r\n "}) {
        const SipDigest digest = read(invite().replace("Call-ID", line));
        EXPECT_EQ(digest.kind, PayloadKind::Request) << line;
        EXPECT_EQ(digest.call_id, "a@b") << line;
        EXPECT_EQ(digest.cseq, (CSeq{314159, Method::Invite})) << line;
    }
}

TEST(Message, FindsEveryFieldByItsCompactName) {
    for (const std::string suffix : {": ", " : ", "\t:\r\n "}) {
        auto message = invite();
        message.replace("Via", "v" + suffix + "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKc")
            .replace("To", "t" + suffix + "<sip:b@example.org>;tag=9")
            .replace("Call-ID", "i" + suffix + "c@d");
        const SipDigest digest = read(message);
        EXPECT_EQ(digest.top_via_branch, "z9hG4bKc");
        EXPECT_TRUE(digest.has_to_tag);
        EXPECT_EQ(digest.call_id, "c@d");
    }
    auto upper = invite();
    upper.replace("Via", "V: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKc")
        .replace("To", "T: <sip:b@example.org>;tag=9");
    EXPECT_EQ(read(upper).top_via_branch, "z9hG4bKc");
    EXPECT_TRUE(read(upper).has_to_tag);
}

TEST(Message, TakesTheCallIdByteForByte) { // RFC 3261 §8.1.1.4
    for (const std::string& value : {std::string("AbC@dEf"),
                                     std::string("a b"),
                                     std::string("<\"weird\">:;,[]{}?/\\"),
                                     std::string("caf\xc3\xa9@\xff\xfe"),
                                     std::string("nul\0inside", 10),
                                     std::string("@"),
                                     std::string("a\rb"),
                                     std::string(8000, 'x')})
        EXPECT_EQ(read(invite().call_id(value)).call_id, value);
}

TEST(Message, MatchesAHeaderNameOnlyAsAWhole) {
    for (const std::string line : {"Call-ID-X: a@b",
                                   "X-Call-ID: a@b",
                                   "Call-I: a@b",
                                   "CallID: a@b",
                                   "Call ID: a@b",
                                   "ii: a@b",
                                   "Call-ID a@b",
                                   "Call-ID",
                                   "Call-ID;: a@b",
                                   "\"Call-ID\": a@b",
                                   "Subject: Call-ID: a@b",
                                   "Subject: x\r\n Call-ID: a@b",
                                   "Subject: x\r\n\ti: a@b"}) {
        const SipDigest digest = read(invite().replace("Call-ID", line));
        EXPECT_EQ(digest.kind, PayloadKind::Request) << line;
        EXPECT_EQ(digest.call_id, "") << line;
        EXPECT_EQ(digest.cseq, (CSeq{314159, Method::Invite})) << line; // and the next is read
    }
}

TEST(Message, StopsAtTheEmptyLine) {
    const SipDigest digest =
        read(invite().without("Call-ID").body("Call-ID: body@b\r\ni: body@b\r\n"));
    EXPECT_EQ(digest.kind, PayloadKind::Request);
    EXPECT_EQ(digest.call_id, "");
    EXPECT_EQ(read(request("MESSAGE").body("\r\nCall-ID: body@b\r\n")).call_id,
              "a84b4c76e66710@192.0.2.1");
}

TEST(Message, ReadsAMessageThatHasNoEmptyLine) {
    EXPECT_EQ(read(invite().call_id("a@b").no_empty_line()).call_id, "a@b");
    const std::string first = "OPTIONS sip:b@example.org SIP/2.0\r\n";
    EXPECT_EQ(read(first + "Call-ID: last@line").call_id, "last@line"); // nor a last line end
    EXPECT_EQ(read(first + "Call-ID: last@line\r").call_id, "last@line");
    EXPECT_EQ(read(first + "Call-ID:").call_id, "");
    EXPECT_EQ(read(first + "Call-ID").call_id, "");
    EXPECT_EQ(read(first + "i").call_id, "");
    EXPECT_EQ(read(first).kind, PayloadKind::Request);
}

TEST(Message, CountsTheFirstOfSeveralEqualFields) {
    EXPECT_EQ(read(invite().call_id("first@a").line("Call-ID: second@b")).call_id, "first@a");
    EXPECT_EQ(read(invite().call_id("first@a").line("i: second@b")).call_id, "first@a");
    EXPECT_EQ(read(invite().call_id("second@b").line_before("i: first@a")).call_id, "first@a");
    EXPECT_FALSE(read(invite().line("To: <sip:b@example.org>;tag=late")).has_to_tag);
    EXPECT_EQ(read(invite().line("CSeq: 7 BYE")).cseq, (CSeq{314159, Method::Invite}));
    EXPECT_EQ(read(invite().line("v: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKlate")).top_via_branch,
              "z9hG4bK776asdhds");
}

TEST(Message, EndsLinesAtCrLfOrLfButNotAtCr) {
    EXPECT_EQ(read(invite().call_id("a@b").line_end("\n")).call_id, "a@b");
    EXPECT_EQ(read(invite().without("Call-ID").line_end("\n").body("Call-ID: x@y\n")).call_id, "");
    EXPECT_EQ(read(invite().without("Call-ID").line("Subject: x\rCall-ID: a@b")).call_id, "");
    EXPECT_NE(read(invite().line_end("\r")).call_id, "a84b4c76e66710@192.0.2.1");
}

TEST(Message, SeesATagOnlyAmongTheParametersOfTo) {
    for (const std::string value : {"<sip:b@example.org>;tag=x",
                                    "<sip:b@example.org> ; tag = x",
                                    "sip:b@example.org;tag=x",
                                    "\"B\" <sip:b@example.org>;a=b;TAG=x",
                                    "<sip:b@example.org>\r\n ;tag=x",
                                    "<sip:b@example.org>;\r\n\ttag=x",
                                    "\"a;b\\\" <c>\" <sip:b@example.org;user=phone>;tag=x",
                                    "<sip:b@example.org>;p=\"q;r>\";tag=x",
                                    "B C <sip:b@example.org>;tag=x;z"})
        EXPECT_TRUE(read_to(value).has_to_tag) << value;
    for (const std::string value : {"<sip:b@example.org>",
                                    "<sip:b@example.org;tag=x>",
                                    "\"B;tag=x\" <sip:b@example.org>",
                                    "\"B\\\";tag=x\" <sip:b@example.org>",
                                    "\">;tag=x\" <sip:b@example.org>",
                                    "<sip:b@example.org>;tagx=1",
                                    "<sip:b@example.org>;xtag=1",
                                    "<sip:b@example.org>;a=tag",
                                    "<sip:b@example.org>;p=\";tag=x\"",
                                    "sip:b@example.org",
                                    "<sip:b@example.org?h=;tag=x>",
                                    "",
                                    ";",
                                    "<",
                                    "\""})
        EXPECT_FALSE(read_to(value).has_to_tag) << value;
}

TEST(Message, ReadsCSeqOrSaysThatItCannot) {
    const auto cseq = [](std::string_view value) { return read(invite().cseq(value)).cseq; };
    EXPECT_EQ(cseq("0 INVITE"), (CSeq{0, Method::Invite}));
    EXPECT_EQ(cseq("2147483647 BYE"), (CSeq{2147483647, Method::Bye}));
    EXPECT_EQ(cseq("0000000000000000001 ACK"), (CSeq{1, Method::Ack}));
    EXPECT_EQ(cseq("1 \t  INVITE \t"), (CSeq{1, Method::Invite}));
    EXPECT_EQ(cseq("1\r\n INVITE"), (CSeq{1, Method::Invite}));
    EXPECT_EQ(cseq("1 NOSUCHMETHOD"), (CSeq{1, Method::Other}));
    EXPECT_EQ(cseq("1 invite"), (CSeq{1, Method::Other}));
    EXPECT_EQ(cseq("INVITE"), std::nullopt);
    EXPECT_EQ(cseq("-1 INVITE"), std::nullopt);
    EXPECT_EQ(cseq("x1 INVITE"), std::nullopt);
    EXPECT_EQ(cseq(""), std::nullopt);
    EXPECT_EQ(read(invite().without("CSeq")).cseq, std::nullopt);
}

TEST(Message, SaturatesACSeqThatIsTooLarge) {
    for (const std::string digits : {"2147483648",
                                     "4294967295",
                                     "4294967296",
                                     "4294967297",
                                     "18446744073709551616",
                                     "99999999999999999999999999"}) {
        const auto cseq = read(invite().cseq(digits + " INVITE")).cseq;
        ASSERT_TRUE(cseq) << digits;
        EXPECT_GE(cseq->number, 2147483647U) << digits; // never wrapped to a small number
        EXPECT_EQ(cseq->method, Method::Invite) << digits;
    }
}

TEST(Message, ReadsTheBranchOfTheFirstViaValueOnly) {
    const std::vector<std::pair<std::string, std::string>> values{
        {"SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKa", "z9hG4bKa"},
        {"SIP / 2.0 / UDP  192.0.2.1 : 5060 ; branch = z9hG4bKa", "z9hG4bKa"},
        {"SIP/2.0/UDP 192.0.2.1;rport;BRANCH=z9hG4bKa;received=192.0.2.9", "z9hG4bKa"},
        {"SIP/2.0/UDP 192.0.2.1\r\n ;branch=z9hG4bKa", "z9hG4bKa"},
        {"SIP/2.0/UDP 192.0.2.1;branch=\r\n z9hG4bKa", "z9hG4bKa"},
        {"SIP/2.0/UDP [2001:db8::1]:5060;branch=z9hG4bKa", "z9hG4bKa"},
        {"SIP/2.0/UDP a;branch=z9hG4bKa,SIP/2.0/UDP b;branch=z9hG4bKb", "z9hG4bKa"},
        {"SIP/2.0/UDP a;branch=z9hG4bKa , SIP/2.0/UDP b", "z9hG4bKa"},
        {"SIP/2.0/UDP a,SIP/2.0/UDP b;branch=z9hG4bKb", ""},
        {"SIP/2.0/UDP a;x=\"1,2;branch=no\";branch=z9hG4bKa", "z9hG4bKa"},
        {"SIP/2.0/UDP a;x=\"\\\",;branch=no\";branch=z9hG4bKa", "z9hG4bKa"},
        {"SIP/2.0/UDP a;branchy=no;abranch=no;x=branch", ""},
        {"SIP/2.0/UDP 192.0.2.1", ""},
        {"", ""},
    };
    for (const auto& [value, branch] : values)
        EXPECT_EQ(read_via(value).top_via_branch, branch) << value;
    auto two = invite().via("SIP/2.0/UDP a");
    EXPECT_EQ(read(two.line("Via: SIP/2.0/UDP b;branch=z9hG4bKb")).top_via_branch, "");
}

TEST(Message, PassesByHeadersItDoesNotKnow) { // RFC 3261 §16.3 item 1
    auto message = invite().call_id("a@b");
    message.line_before("no colon at all")
        .line_before(": no name")
        .line_before("Content-Length: -999999999999")
        .line_before(std::string("\xff\x01\x80: \x7f"))
        .line_before("X-Long: " + std::string(5000, ','));
    EXPECT_EQ(read(message).call_id, "a@b");
}

} // namespace
} // namespace viaduct::test
