// SPDX-License-Identifier: Apache-2.0
//
// message: each promise of the full reading, on messages that end at an unreadable page.
#include "guarded.hpp"
#include "message_builder.hpp"

#include "viaduct/sip/message.hpp"

#include <gtest/gtest.h>
#include <string>
#include <string_view>
#include <vector>

namespace viaduct::test {
namespace {

using Texts = std::vector<std::string>;

Texts values(const SipMessage& message, HeaderId id) {
    Texts result;
    for (const std::string_view value : message.values(id))
        result.emplace_back(value);
    return result;
}

const Number kAbsent{};
const Number kUnreadable{Reading::Unreadable, 0};
Number number(std::uint32_t value) {
    return {Reading::Value, value};
}

TEST(SipMessage, GivesTheRequestLine) {
    const SipMessage message(guarded("INVITE  sip:bob@example.org;x  SIP/2.0\r\n\r\n"));
    EXPECT_EQ(message.kind(), PayloadKind::Request);
    EXPECT_EQ(message.method_text(), "INVITE");
    EXPECT_EQ(message.method(), Method::Invite);
    EXPECT_EQ(message.request_uri(), "sip:bob@example.org;x");
    EXPECT_EQ(message.status(), 0);
    EXPECT_EQ(message.reason(), "");
    EXPECT_TRUE(message.has_empty_line());
}

TEST(SipMessage, GivesTheStatusLine) {
    const SipMessage message(guarded("SIP/2.0 486 Busy Here \r\n\r\n"));
    EXPECT_EQ(message.kind(), PayloadKind::Response);
    EXPECT_EQ(message.status(), 486);
    EXPECT_EQ(message.reason(), "Busy Here");
    EXPECT_EQ(message.method_text(), "");
    EXPECT_EQ(message.method(), Method::Other);
    EXPECT_EQ(message.request_uri(), "");
}

TEST(SipMessage, TellsEveryMethodByItsExactName) {
    const Texts names{"INVITE",
                      "ACK",
                      "BYE",
                      "CANCEL",
                      "REGISTER",
                      "OPTIONS",
                      "PRACK",
                      "SUBSCRIBE",
                      "NOTIFY",
                      "PUBLISH",
                      "INFO",
                      "REFER",
                      "MESSAGE",
                      "UPDATE"};
    for (std::size_t i = 0; i < names.size(); ++i) {
        EXPECT_EQ(method_named(names[i]), static_cast<Method>(i + 1)) << names[i];
        EXPECT_EQ(method_named(names[i] + "X"), Method::Other);
        std::string other_case = names[i];
        other_case[0] = static_cast<char>(other_case[0] | 0x20);
        EXPECT_EQ(method_named(other_case), Method::Other);
    }
    EXPECT_EQ(method_named(""), Method::Other);
    EXPECT_EQ(method_named("NEWMETHOD"), Method::Other);
}

TEST(SipMessage, SaysWhatIsNotSip) {
    EXPECT_EQ(SipMessage(guarded("")).kind(), PayloadKind::KeepAlive);
    EXPECT_EQ(SipMessage(guarded("\r\n\r\n")).kind(), PayloadKind::KeepAlive);
    EXPECT_EQ(SipMessage(guarded("GET / HTTP/1.1\r\n\r\n")).kind(), PayloadKind::NotSip);
    const SipMessage odd(guarded("what is this\r\ni: a@b\r\n\r\n"));
    EXPECT_EQ(odd.kind(), PayloadKind::NotSip);
    EXPECT_EQ(odd.call_id(), "a@b");
}

TEST(SipMessage, GivesAllFieldsInOrderAsWritten) {
    const std::string text = "BYE sip:a SIP/2.0\r\n"
                             "vIa \t: x\r\n"
                             "X-Odd:\r\n"
                             "no colon here\r\n"
                             " of nobody\r\n"
                             "Subject: one\r\n\ttwo\r\n"
                             "l:0\r\n\r\nt: body\r\n";
    const SipMessage message(guarded(text));
    Texts seen;
    Texts lines;
    for (const HeaderField& field : message.fields()) {
        seen.push_back(std::string(field.name) + "|" + std::string(field.value));
        lines.emplace_back(field.lines);
    }
    EXPECT_EQ(seen, (Texts{"vIa|x", "X-Odd|", "Subject|one\r\n\ttwo", "l|0"}));
    EXPECT_EQ(lines,
              (Texts{"vIa \t: x\r\n", "X-Odd:\r\n", "Subject: one\r\n\ttwo\r\n", "l:0\r\n"}));
}

TEST(SipMessage, FoldsCompactNamesIntoTheLongOnes) {
    const std::vector<std::pair<std::string, std::string>> pairs{{"i", "Call-ID"},
                                                                 {"v", "Via"},
                                                                 {"f", "From"},
                                                                 {"t", "To"},
                                                                 {"m", "Contact"},
                                                                 {"l", "Content-Length"},
                                                                 {"c", "Content-Type"},
                                                                 {"e", "Content-Encoding"},
                                                                 {"s", "Subject"},
                                                                 {"k", "Supported"},
                                                                 {"r", "Refer-To"},
                                                                 {"b", "Referred-By"},
                                                                 {"x", "Session-Expires"},
                                                                 {"o", "Event"},
                                                                 {"u", "Allow-Events"},
                                                                 {"a", "Accept-Contact"},
                                                                 {"j", "Reject-Contact"},
                                                                 {"d", "Request-Disposition"},
                                                                 {"y", "Identity"}};
    for (const auto& [compact, full] : pairs) {
        const HeaderId id = header_named(full);
        EXPECT_NE(id, HeaderId::Other) << full;
        EXPECT_EQ(header_named(compact), id) << full;
        for (const std::string& name : {compact, full}) {
            std::string odd_case = name;
            for (std::size_t i = 0; i < odd_case.size(); i += 2)
                odd_case[i] = static_cast<char>(odd_case[i] ^ (odd_case[i] == '-' ? 0 : 0x20));
            const std::string text = "ACK sip:a SIP/2.0\r\n" + odd_case + " : 1\r\n\r\n";
            const SipMessage message(guarded(text));
            EXPECT_EQ(message.first(id)->value, "1") << odd_case;
            EXPECT_EQ(message.first(compact)->value, "1") << odd_case;
            EXPECT_EQ(message.first(full)->name, odd_case);
        }
    }
}

TEST(SipMessage, GivesEveryKnownFieldItsNumberWhereverItStands) {
    for (const std::string name : {"Accept-Contact",
                                   "a",
                                   "Allow-Events",
                                   "u",
                                   "CSeq",
                                   "Call-ID",
                                   "i",
                                   "Contact",
                                   "m",
                                   "Content-Encoding",
                                   "e",
                                   "Content-Length",
                                   "l",
                                   "Content-Type",
                                   "c",
                                   "Event",
                                   "o",
                                   "Expires",
                                   "From",
                                   "f",
                                   "Identity",
                                   "y",
                                   "Join",
                                   "Max-Forwards",
                                   "Proxy-Require",
                                   "Record-Route",
                                   "Refer-To",
                                   "r",
                                   "Referred-By",
                                   "b",
                                   "Reject-Contact",
                                   "j",
                                   "Replaces",
                                   "Request-Disposition",
                                   "d",
                                   "Require",
                                   "Route",
                                   "Session-Expires",
                                   "x",
                                   "Subject",
                                   "s",
                                   "Supported",
                                   "k",
                                   "Target-Dialog",
                                   "To",
                                   "t",
                                   "User-Agent",
                                   "Via",
                                   "v"}) {
        const HeaderId id = header_named(name);
        EXPECT_NE(id, HeaderId::Other) << name;
        for (const std::size_t behind : {0U, 1U, 15U, 16U, 31U, 32U, 100U}) {
            const std::string text = "X sip:b SIP/2.0\r\n" + name + ":" + std::string(behind, 'v');
            const SipMessage message(guarded(text));
            ASSERT_TRUE(message.first(id)) << text;
            EXPECT_EQ(message.first(id)->name, name);
            EXPECT_EQ((*message.fields().begin()).id, id) << text;
        }
    }
}

TEST(SipMessage, TakesNamesOnlyWhole) {
    for (const std::string name : {"Call-ID-X",
                                   "Call-I",
                                   "XCall-ID",
                                   "Call_ID",
                                   "Call\rID",
                                   "ii",
                                   "",
                                   "Call ID",
                                   "Call-ID\v",
                                   "Content-Lengthy",
                                   "Request-Dispositio",
                                   "Request-Dispositiom"}) {
        const std::string text = "ACK sip:a SIP/2.0\r\n" + name + ": 1\r\n\r\n";
        const SipMessage message(guarded(text));
        EXPECT_EQ(message.call_id(), "") << name;
        EXPECT_FALSE(message.first(HeaderId::RequestDisposition)) << name;
        EXPECT_FALSE(message.first("content-length")) << name;
        ASSERT_TRUE(message.first(name)) << name;
        EXPECT_EQ(message.first(name)->id, HeaderId::Other) << name;
    }
}

TEST(SipMessage, FindsUnknownFieldsByTheirNameInAnyCase) {
    const SipMessage message(
        guarded(invite().line("X-Tenant: blue").line("x-tenant: red, green").text()));
    EXPECT_EQ(message.first("X-TENANT")->value, "blue");
    EXPECT_FALSE(message.first("X-Tenan"));
    Texts all;
    for (const std::string_view value : message.values("x-Tenant"))
        all.emplace_back(value);
    EXPECT_EQ(all, (Texts{"blue", "red", "green"}));
}

TEST(SipMessage, TakesRowsAndListsAsOneSequence) {
    const SipMessage message(guarded("INVITE sip:a SIP/2.0\r\n"
                                     "Route: <sip:1,x;lr>,\"a,b\" <sip:2>\r\n"
                                     "Via: SIP/2.0/UDP a, SIP/2.0/UDP b\r\n"
                                     "ROUTE :\r\n <sip:3>\r\n , <sip:4>\r\n"
                                     "v: SIP/2.0/UDP c\r\n"
                                     "Record-Route: <sip:5>\r\n\r\n"));
    EXPECT_EQ(values(message, HeaderId::Route),
              (Texts{"<sip:1,x;lr>", "\"a,b\" <sip:2>", "<sip:3>", "<sip:4>"}));
    EXPECT_EQ(values(message, HeaderId::Via),
              (Texts{"SIP/2.0/UDP a", "SIP/2.0/UDP b", "SIP/2.0/UDP c"}));
    EXPECT_EQ(values(message, HeaderId::RecordRoute), Texts{"<sip:5>"});
    EXPECT_EQ(values(message, HeaderId::Contact), Texts{});
}

TEST(SipMessage, ShowsEmptyElementsOfAList) {
    const SipMessage message(guarded("INVITE sip:a SIP/2.0\r\nRequire: a,,b,\r\nRequire:\r\n\r\n"));
    EXPECT_EQ(values(message, HeaderId::Require), (Texts{"a", "", "b", "", ""}));
}

TEST(SipMessage, TellsNumbersAbsentUnreadableAndGiven) {
    const SipMessage bare(guarded("ACK sip:a SIP/2.0\r\n\r\n"));
    EXPECT_EQ(bare.max_forwards(), kAbsent);
    EXPECT_EQ(bare.content_length(), kAbsent);
    EXPECT_EQ(bare.expires(), kAbsent);
    const SipMessage odd(
        guarded("ACK sip:a SIP/2.0\r\nMax-Forwards: x\r\nl:\r\nExpires: -1\r\nExpires: 5\r\n\r\n"));
    EXPECT_EQ(odd.max_forwards(), kUnreadable);
    EXPECT_EQ(odd.content_length(), kUnreadable);
    EXPECT_EQ(odd.expires(), kUnreadable) << "the first counts";
    const SipMessage good(guarded(
        "ACK sip:a SIP/2.0\r\nMax-Forwards : 0\r\nl:\r\n 12\r\nExpires: 4294967296\r\n\r\n"));
    EXPECT_EQ(good.max_forwards(), number(0));
    EXPECT_EQ(good.content_length(), number(12));
    EXPECT_EQ(good.expires(), number(0xffff'ffffU));
}

TEST(SipMessage, ReadsTheFieldsOfEveryRequest) {
    const SipMessage message(guarded(invite()
                                         .to_tag("a6c85cf")
                                         .line("User-Agent: Phone/1 (\"x\")")
                                         .line("Replaces: r@b;to-tag=1;from-tag=2")
                                         .line("Join: j@b;to-tag=3;from-tag=4")
                                         .line("Target-Dialog: t@b;local-tag=5;remote-tag=6")
                                         .text()));
    EXPECT_EQ(message.call_id(), "a84b4c76e66710@192.0.2.1");
    EXPECT_EQ(message.cseq(), (CSeq{314'159, Method::Invite}));
    EXPECT_EQ(message.from()->display_name(), "Alice");
    EXPECT_EQ(message.from()->tag(), "1928301774");
    EXPECT_EQ(read_uri(message.from()->uri()).user(), "alice");
    EXPECT_EQ(message.to()->tag(), "a6c85cf");
    EXPECT_EQ(message.top_via()->branch(), "z9hG4bK776asdhds");
    EXPECT_EQ(message.max_forwards(), number(70));
    EXPECT_EQ(message.first(HeaderId::UserAgent)->value, "Phone/1 (\"x\")");
    EXPECT_EQ(message.replaces()->call_id, "r@b");
    EXPECT_EQ(message.join()->local_tag, "3");
    EXPECT_EQ(message.target_dialog()->remote_tag, "6");
}

TEST(SipMessage, SaysWhatIsAbsent) {
    const SipMessage message(guarded("ACK sip:a SIP/2.0\r\n\r\n"));
    EXPECT_EQ(message.call_id(), "");
    EXPECT_FALSE(message.cseq());
    EXPECT_FALSE(message.from());
    EXPECT_FALSE(message.to());
    EXPECT_FALSE(message.top_via());
    EXPECT_FALSE(message.replaces());
    EXPECT_FALSE(message.join());
    EXPECT_FALSE(message.target_dialog());
    EXPECT_FALSE(message.first(HeaderId::UserAgent));
    EXPECT_FALSE(message.first("X"));
    EXPECT_FALSE(message.fields().begin() != message.fields().end());
}

TEST(SipMessage, TellsAnUnreadableCSeqFromAnAbsentOne) {
    for (const std::string bad : {"", "1", "INVITE", "INVITE 1", "1INVITE", "-1 INVITE"}) {
        const SipMessage message(guarded(invite().cseq(bad).text()));
        EXPECT_FALSE(message.cseq()) << bad;
        EXPECT_TRUE(message.first(HeaderId::CSeq)) << bad;
    }
}

TEST(SipMessage, ComparesContentLengthWithWhatThereIs) {
    const auto body_of = [](const std::string& length, const std::string& rest) {
        static std::string text;
        text = "MESSAGE sip:a SIP/2.0\r\n" + length + "\r\n" + rest;
        const SipMessage message(guarded(text));
        return std::pair(std::string(message.body().bytes), message.body().length);
    };
    EXPECT_EQ(body_of("", "hello"), std::pair(std::string("hello"), BodyLength::Absent));
    EXPECT_EQ(body_of("l: 5\r\n", "hello"), std::pair(std::string("hello"), BodyLength::Exact));
    EXPECT_EQ(body_of("l: 0\r\n", ""), std::pair(std::string(), BodyLength::Exact));
    EXPECT_EQ(body_of("l: 2\r\n", "hello"), std::pair(std::string("he"), BodyLength::Cut));
    EXPECT_EQ(body_of("l: 6\r\n", "hello"), std::pair(std::string("hello"), BodyLength::Missing));
    EXPECT_EQ(body_of("l: 18446744073709551621\r\n", "hello"),
              std::pair(std::string("hello"), BodyLength::Missing));
    EXPECT_EQ(body_of("l: -5\r\n", "hello"),
              std::pair(std::string("hello"), BodyLength::Unreadable));
}

TEST(SipMessage, EndsTheHeaderAtTheFirstEmptyLineOnly) {
    for (const std::string end : {"\r\n", "\n"}) {
        const std::string text =
            "\r\n\nACK sip:a SIP/2.0" + end + "s: a\rt: not me" + end + end + "t: body" + end + end;
        const SipMessage message(guarded(text));
        EXPECT_FALSE(message.to());
        EXPECT_EQ(message.first(HeaderId::Subject)->value, "a\rt: not me");
        EXPECT_EQ(message.body().bytes, "t: body" + end + end);
    }
    const SipMessage cut(guarded("ACK sip:a SIP/2.0\r\ni: a@b"));
    EXPECT_FALSE(cut.has_empty_line());
    EXPECT_EQ(cut.call_id(), "a@b");
    EXPECT_EQ(cut.body().bytes, "");
}

TEST(SipMessage, CapsHeaderLinesAndSaysSo) {
    for (const bool folded : {false, true}) {
        std::string text = "ACK sip:a SIP/2.0\r\nX: 1\r\n";
        for (int i = 0; i < kMaxHeaderLines - 2; ++i)
            text += folded ? " 1\r\n" : "X: 1\r\n";
        text += "i: last@b\r\n";
        const std::string full = text + "\r\nbody";
        const SipMessage fits(guarded(full));
        EXPECT_FALSE(fits.has_too_many_lines());
        EXPECT_EQ(fits.call_id(), "last@b");
        EXPECT_EQ(fits.body().bytes, "body");
        const std::string more = text + "t: <sip:a>\r\n\r\nbody";
        const SipMessage over(guarded(more));
        EXPECT_TRUE(over.has_too_many_lines());
        EXPECT_EQ(over.call_id(), "last@b");
        EXPECT_FALSE(over.to());
        EXPECT_EQ(over.body().bytes, "");
    }
}

} // namespace
} // namespace viaduct::test
