// SPDX-License-Identifier: Apache-2.0
//
// value: each promise of the readers of values, on text that ends at an unreadable page.
#include "guarded.hpp"

#include "viaduct/sip/value.hpp"

#include <gtest/gtest.h>
#include <string>
#include <string_view>
#include <vector>

namespace viaduct::test {
namespace {

/// The text flush against an unreadable page; valid until the next call.
std::string_view at_end(std::string_view text) {
    const auto bytes = guarded(text);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// "name", "name=value" for each.
std::vector<std::string> listed(const Parameters& parameters) {
    std::vector<std::string> result;
    for (const Parameter& parameter : parameters)
        result.push_back(std::string(parameter.name) +
                         (parameter.has_value ? "=" + std::string(parameter.value) : ""));
    return result;
}
using Names = std::vector<std::string>;

const Number kAbsent{};
const Number kUnreadable{Reading::Unreadable, 0};
Number number(std::uint32_t value) {
    return {Reading::Value, value};
}

TEST(SipNumber, TellsAValueFromWhatIsNone) {
    EXPECT_EQ(read_number(at_end("0")), number(0));
    EXPECT_EQ(read_number(at_end(" 3600\r\n ")), number(3600));
    EXPECT_EQ(read_number(at_end("99999999999999999999999")), number(0xffff'ffffU));
    for (const std::string_view bad : {"", " ", "-1", "+1", "1x", "1 2", "0x10", "1,2", "1.5"})
        EXPECT_EQ(read_number(at_end(bad)), kUnreadable) << bad;
}

TEST(SipUri, HasUserHostPortParametersAndHeaders) {
    const Uri uri = read_uri(at_end(
        "sip:alice:secret@example.org:5070;transport=tcp;lr;x=?subject=a%20b&priority=urgent"));
    EXPECT_TRUE(uri.readable());
    EXPECT_EQ(uri.scheme(), UriScheme::Sip);
    EXPECT_EQ(uri.scheme_text(), "sip");
    EXPECT_EQ(uri.user(), "alice");
    EXPECT_EQ(uri.password(), "secret");
    EXPECT_EQ(uri.host().text, "example.org");
    EXPECT_FALSE(uri.host().ipv4());
    EXPECT_EQ(uri.port(), number(5070));
    EXPECT_EQ(listed(uri.parameters()), (Names{"transport=tcp", "lr", "x="}));
    EXPECT_EQ(uri.headers(), "subject=a%20b&priority=urgent");
}

TEST(SipUri, SaysWhatIsAbsent) {
    const Uri uri = read_uri(at_end("sips:192.0.2.7"));
    EXPECT_TRUE(uri.readable());
    EXPECT_EQ(uri.scheme(), UriScheme::Sips);
    EXPECT_EQ(uri.user(), std::nullopt);
    EXPECT_EQ(uri.password(), std::nullopt);
    EXPECT_EQ(uri.port(), kAbsent);
    EXPECT_EQ(uri.host().ipv4(), parse_ipv4("192.0.2.7"));
    EXPECT_EQ(listed(uri.parameters()), Names{});
    EXPECT_EQ(uri.headers(), "");
    EXPECT_EQ(read_uri(at_end("sip:@192.0.2.7")).user(), "");
    EXPECT_EQ(read_uri(at_end("sip:a:@192.0.2.7")).password(), "");
}

TEST(SipUri, TellsAParameterWithoutValueFromNone) {
    const Uri uri = read_uri(at_end("sip:192.0.2.7;LR;maddr=192.0.2.8;ttl="));
    const auto lr = uri.parameters().find("lr");
    ASSERT_TRUE(lr);
    EXPECT_FALSE(lr->has_value);
    EXPECT_EQ(uri.parameters().find("maddr")->value, "192.0.2.8");
    EXPECT_TRUE(uri.parameters().find("ttl")->has_value);
    EXPECT_FALSE(uri.parameters().find("l"));
    EXPECT_FALSE(uri.parameters().find("lrx"));
}

TEST(SipUri, TakesIpv6References) {
    const Uri uri = read_uri(at_end("sip:bob@[2001:db8::9:1]:5061;transport=udp"));
    EXPECT_TRUE(uri.readable());
    EXPECT_TRUE(uri.host().is_ipv6);
    EXPECT_EQ(uri.host().text, "2001:db8::9:1");
    EXPECT_EQ(uri.port(), number(5061));
    EXPECT_TRUE(read_uri(at_end("sip:[::ffff:192.0.2.1]")).readable());
    for (const std::string_view bad : {"sip:[2001:db8::1", "sip:[]", "sip:[x]", "sip:[::1]5060"})
        EXPECT_FALSE(read_uri(at_end(bad)).readable()) << bad;
}

TEST(SipUri, LetsTheUserHoldSemicolonsQuestionMarksAndEscapes) {
    // RFC 4475 §3.1.1.13: what looks like a parameter in front of the "@" is the user's.
    const Uri uri = read_uri(at_end("sip:user;par=u%40example.net?x@example.com;lr"));
    EXPECT_EQ(uri.user(), "user;par=u%40example.net?x");
    EXPECT_EQ(uri.host().text, "example.com");
    EXPECT_EQ(listed(uri.parameters()), Names{"lr"});
}

TEST(SipUri, ReadsTelAndKeepsOtherSchemesWhole) {
    const Uri tel = read_uri(at_end("TEL:+1-201-555-0123;phone-context=example.com;x"));
    EXPECT_EQ(tel.scheme(), UriScheme::Tel);
    EXPECT_TRUE(tel.readable());
    EXPECT_EQ(tel.user(), "+1-201-555-0123");
    EXPECT_EQ(listed(tel.parameters()), (Names{"phone-context=example.com", "x"}));
    EXPECT_FALSE(read_uri(at_end("tel:;x")).readable());

    const Uri other = read_uri(at_end("urn:service:sos;a?b@c"));
    EXPECT_EQ(other.scheme(), UriScheme::Other);
    EXPECT_EQ(other.scheme_text(), "urn");
    EXPECT_EQ(other.rest(), "service:sos;a?b@c");
    EXPECT_EQ(other.user(), std::nullopt);
    EXPECT_EQ(other.host().text, "");
    EXPECT_EQ(other.headers(), "");
    EXPECT_EQ(listed(other.parameters()), Names{});
}

TEST(SipUri, SaysWhatItCannotRead) {
    for (const std::string_view bad : {"",
                                       "*",
                                       "alice",
                                       ":",
                                       "1sip:a",
                                       "s p:a",
                                       "sip:",
                                       "sip:a@",
                                       "sip:a@:5060",
                                       "sip:a@b@c",
                                       "sip:;lr",
                                       "sip:?a",
                                       "sip:a b",
                                       "sip:a,b",
                                       "sip:a<b"})
        EXPECT_FALSE(read_uri(at_end(bad)).readable()) << bad;
    for (const std::string_view bad : {"sip:a:", "sip:a:x", "sip:a:65536", "sip:a:-1;lr"})
        EXPECT_EQ(read_uri(at_end(bad)).port(), kUnreadable) << bad;
    EXPECT_EQ(read_uri(at_end("sip:a:65535")).port(), number(65'535));
}

TEST(SipNameAddr, GivesNameUriAndParameters) {
    const NameAddr addr =
        read_name_addr(at_end("\"A. \\\"<;tag=no>, B\" <sip:a@b;lr?x=y> ; tag = 17 ;x;y=\"a;b\""));
    EXPECT_EQ(addr.display_name(), "A. \\\"<;tag=no>, B");
    EXPECT_EQ(addr.uri(), "sip:a@b;lr?x=y");
    EXPECT_TRUE(addr.is_bracketed());
    EXPECT_EQ(addr.tag(), "17");
    EXPECT_EQ(listed(addr.parameters()), (Names{"tag=17", "x", "y=\"a;b\""}));
}

TEST(SipNameAddr, GivesParametersToTheFieldWhenThereAreNoBrackets) {
    const NameAddr addr = read_name_addr(at_end("sip:bob@example.org;tag=4;x"));
    EXPECT_EQ(addr.uri(), "sip:bob@example.org");
    EXPECT_FALSE(addr.is_bracketed());
    EXPECT_EQ(addr.display_name(), "");
    EXPECT_EQ(addr.tag(), "4");
    EXPECT_EQ(listed(addr.parameters()), (Names{"tag=4", "x"}));
}

TEST(SipNameAddr, TakesNamesWithoutQuotesAndWhiteSpaceAnywhere) {
    const NameAddr addr =
        read_name_addr(at_end("Alice  Example\r\n <\tsip:a@b >\r\n ;tag\r\n =\t1"));
    EXPECT_EQ(addr.display_name(), "Alice  Example");
    EXPECT_EQ(addr.uri(), "sip:a@b");
    EXPECT_EQ(addr.tag(), "1");
}

TEST(SipNameAddr, KnowsTheStarOfContact) {
    EXPECT_TRUE(read_name_addr(at_end("*")).is_star());
    EXPECT_TRUE(read_name_addr(at_end("* ;expires=0")).is_star());
    EXPECT_FALSE(read_name_addr(at_end("<*>")).is_star());
    EXPECT_FALSE(read_name_addr(at_end("**")).is_star());
    EXPECT_FALSE(read_name_addr(at_end("")).is_star());
}

TEST(SipNameAddr, HasNoTagWhereNoneIs) {
    for (const std::string_view none : {"<sip:a@b;tag=1>",
                                        "\";tag=1\" <sip:a@b>",
                                        "<sip:a@b>;tag",
                                        "<sip:a@b>;tag=",
                                        "<sip:a@b>;tags=1",
                                        "<sip:a@b>;x=\";tag=1\"",
                                        "<sip:a@b",
                                        "",
                                        "<sip:a@b>,<sip:c>;tag=1"})
        EXPECT_EQ(read_name_addr(at_end(none)).tag(), "") << none;
    EXPECT_EQ(read_name_addr(at_end("<sip:a@b")).uri(), "");
}

TEST(SipVia, GivesSentProtocolSentByAndParameters) {
    const Via via = read_via(at_end("SIP/2.0/UDP 192.0.2.1:5062;rport=9;branch=z9hG4bK7"
                                    ";received=198.51.100.1;maddr=203.0.113.9;ttl=16;x"));
    EXPECT_TRUE(via.readable());
    EXPECT_EQ(via.protocol(), "SIP");
    EXPECT_EQ(via.version(), "2.0");
    EXPECT_EQ(via.transport(), "UDP");
    EXPECT_EQ(via.host().ipv4(), parse_ipv4("192.0.2.1"));
    EXPECT_EQ(via.port(), number(5062));
    EXPECT_EQ(via.branch(), "z9hG4bK7");
    EXPECT_TRUE(via.has_rport());
    EXPECT_EQ(via.rport(), number(9));
    EXPECT_EQ(via.received(), "198.51.100.1");
    EXPECT_EQ(via.maddr(), "203.0.113.9");
    EXPECT_EQ(via.ttl(), number(16));
    EXPECT_TRUE(via.parameters().find("x"));
}

TEST(SipVia, TellsRportAbsentEmptyAndGiven) {
    EXPECT_FALSE(read_via(at_end("SIP/2.0/UDP a;branch=b")).has_rport());
    const Via asked = read_via(at_end("SIP/2.0/UDP a;RPort"));
    EXPECT_TRUE(asked.has_rport());
    EXPECT_EQ(asked.rport(), kAbsent);
    EXPECT_EQ(read_via(at_end("SIP/2.0/UDP a;rport=5")).rport(), number(5));
    EXPECT_EQ(read_via(at_end("SIP/2.0/UDP a;rport=")).rport(), kUnreadable);
    EXPECT_EQ(read_via(at_end("SIP/2.0/UDP a;rport=65536")).rport(), kUnreadable);
    EXPECT_EQ(read_via(at_end("SIP/2.0/UDP a;rport;rport=5")).rport(), kAbsent);
}

TEST(SipVia, TakesWhiteSpaceAroundEveryPart) {
    const Via via = read_via(at_end(
        "SIP\t/ 2.0\r\n /\tUDP\r\n [2001:db8::9:1] :\t5060 ; branch\r\n = z9hG4bKx ; ttl = 3"));
    EXPECT_TRUE(via.readable());
    EXPECT_EQ(via.protocol(), "SIP");
    EXPECT_EQ(via.version(), "2.0");
    EXPECT_EQ(via.transport(), "UDP");
    EXPECT_TRUE(via.host().is_ipv6);
    EXPECT_EQ(via.host().text, "2001:db8::9:1");
    EXPECT_EQ(via.port(), number(5060));
    EXPECT_EQ(via.branch(), "z9hG4bKx");
    EXPECT_EQ(via.ttl(), number(3));
}

TEST(SipVia, SaysWhenItCannotReadAndGivesTheBranchNonetheless) {
    for (const std::string bad : {"",
                                  "SIP",
                                  "SIP/2.0",
                                  "SIP/2.0/UDP",
                                  "SIP/2.0/UDP ",
                                  "SIP/2.0 UDP a",
                                  "/2.0/UDP a",
                                  "SIP//UDP a",
                                  "SIP/2.0/ a",
                                  "SIP/2.0/UDP :5060",
                                  "SIP/2.0/UDP [::1",
                                  "SIP/2.0/UDP a b",
                                  "SIP/2.0/UDP a@b"}) {
        const std::string text = bad + ";branch=z9hG4bKy";
        const Via via = read_via(at_end(text));
        EXPECT_FALSE(via.readable()) << bad;
        EXPECT_EQ(via.branch(), "z9hG4bKy") << bad;
    }
    EXPECT_EQ(read_via(at_end("SIP/2.0/UDP a:x")).port(), kUnreadable);
}

TEST(SipVia, EndsAtTheCommaOfAList) {
    const Via via = read_via(at_end("SIP/2.0/UDP a:1 , SIP/2.0/UDP b;branch=z9hG4bKb"));
    EXPECT_TRUE(via.readable());
    EXPECT_EQ(via.host().text, "a");
    EXPECT_EQ(via.port(), number(1));
    EXPECT_EQ(via.branch(), "");
}

TEST(SipHost, IsANameAnAddressOrUnreadable) {
    EXPECT_EQ(read_host(at_end(" example.org ")).text, "example.org");
    EXPECT_EQ(read_host(at_end("192.0.2.1")).ipv4(), parse_ipv4("192.0.2.1"));
    EXPECT_FALSE(read_host(at_end("192.0.2.256")).ipv4());
    for (const std::string_view text : {"2001:db8::1", "[2001:db8::1]"}) { // RFC 5118 §4.5
        EXPECT_TRUE(read_host(at_end(text)).is_ipv6);
        EXPECT_EQ(read_host(at_end(text)).text, "2001:db8::1");
    }
    for (const std::string_view bad : {"", "[]", "[", "[a]", "a:5060", "a b", "[::1]:5060", "::1]"})
        EXPECT_FALSE(read_host(at_end(bad)).readable()) << bad;
}

TEST(SipParameters, ComeInOrderWithQuotedValuesWhole) {
    const Parameters all(at_end("a;B=1 ;; c = \"x;\\\"y, z\" ;d=<e;f>;g=h i;j,k=l"),
                         ParameterPlace::HeaderField);
    EXPECT_EQ(listed(all), (Names{"B=1", "", "c=\"x;\\\"y, z\"", "d=<e", "g=h", "j"}));
    EXPECT_EQ(all.find("b")->value, "1");
    EXPECT_FALSE(all.find("k"));
}

TEST(SipParameters, ReadsATokenAsTheDigestDoesEvenInQuotes) {
    const auto branch = [](std::string_view value) {
        return std::string(read_via(at_end("SIP/2.0/UDP a;branch=" + std::string(value))).branch());
    };
    EXPECT_EQ(branch("\"ab\"cd;x"), "\"ab\"cd");
    EXPECT_EQ(branch("\"a b\"c"), "\"a");
    EXPECT_EQ(branch("a\"b;c\"d"), "a\"b");
    EXPECT_EQ(branch("<a;b>c"), "<a");
    EXPECT_EQ(branch(";branch=x"), "");
}

TEST(SipDialogReference, ReadsReplacesJoinAndTargetDialog) {
    const auto replaces =
        read_dialog_reference(at_end("a<\"b@c ;from-tag=f\r\n ;to-tag=t;early-only"));
    EXPECT_EQ(replaces.call_id, "a<\"b@c");
    EXPECT_EQ(replaces.local_tag, "t");
    EXPECT_EQ(replaces.remote_tag, "f");
    EXPECT_TRUE(replaces.early_only);
    const auto target = read_dialog_reference(at_end("x@y;local-tag=l;remote-tag=r"));
    EXPECT_EQ(target.call_id, "x@y");
    EXPECT_EQ(target.local_tag, "l");
    EXPECT_EQ(target.remote_tag, "r");
    EXPECT_FALSE(target.early_only);
    EXPECT_EQ(read_dialog_reference(at_end(";to-tag=t")).call_id, "");
}

TEST(SipList, SplitsAtCommasOutsideQuotesAndBrackets) {
    const std::string_view list = at_end(" \"a,\\\",b\" <sip:x,y> , ,<sip:z> ");
    std::vector<std::string> values;
    for (std::size_t at = 0; at <= list.size();)
        values.emplace_back(take_list_value(list, at));
    EXPECT_EQ(values, (Names{"\"a,\\\",b\" <sip:x,y>", "", "<sip:z>"}));
}

TEST(SipMarks, FindsTheSameFromAnywhereInTextsOfAnyLength) {
    constexpr std::string_view kMarksText = "\",:;<=>?@\\ \t\r\n";
    for (std::size_t size = 0; size <= 200; ++size) {
        std::string text(size, 'x');
        for (std::size_t i = size % 7; i < size; i += 1 + (i * 5) % 31)
            text[i] = kMarksText[i % kMarksText.size()];
        const std::string_view view = at_end(text);
        for (std::size_t base = 0; base <= size; ++base) {
            Marks marks(view, base);
            for (std::size_t at = base; at <= size; at += 1 + base % 3) {
                std::size_t expected = at;
                while (expected < size && kMarksText.find(text[expected]) == std::string::npos)
                    ++expected;
                ASSERT_EQ(marks.next(at), expected) << size << " " << base << " " << at;
            }
            ASSERT_EQ(marks.next(0), Marks(view).next(0)) << "backwards, from " << base;
        }
    }
}

} // namespace
} // namespace viaduct::test
