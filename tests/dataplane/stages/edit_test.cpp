// SPDX-License-Identifier: Apache-2.0
#include "guarded.hpp"
#include "stages/stages.hpp"
#include "world.hpp"

#include "viaduct/sip/message.hpp"

#include <gtest/gtest.h>
#include <optional>
#include <random>
#include <string>

namespace viaduct::test {
namespace {

struct Answered {
    Bytes bytes;
    std::string text; ///< the payload
    std::uint16_t udp_port = 0;
};

/// The frame at the end of a page, as it is before it is edited.
Frame to_be_rejected(const World& here, const Bytes& in) {
    const std::span<std::byte> place = guarded(in);
    Frame frame;
    frame.bytes = place.data();
    frame.length = static_cast<std::uint32_t>(place.size());
    frame.claim.vip = kSipVip;
    frame.target.reply = true;
    EXPECT_EQ(stages::decode(here.view(), frame), std::nullopt);
    return frame;
}

/// The request from 192.0.2.7:40000, decoded, and what becomes of it; empty: no answer.
std::optional<Answered> answered(const MessageBuilder& request) {
    const World here = world();
    const Bytes in = frame().ipv4(kClient, kDsrVip).udp(40'000, 5060).sip(request).build();
    Frame frame = to_be_rejected(here, in);
    EXPECT_EQ(stages::route(here.view(), frame), std::nullopt);
    if (const auto end = stages::edit(here.view(), frame)) {
        EXPECT_EQ(end, Outcome::DeadOwner);
        EXPECT_TRUE(std::equal(in.begin(), in.end(), frame.bytes)) << "untouched";
        return std::nullopt;
    }
    Answered out;
    out.bytes.assign(frame.bytes, frame.bytes + frame.length);
    EXPECT_LE(out.bytes.size(), in.size()) << "nobody gets more than they sent";
    EXPECT_EQ(frame.exit.tx_port, frame.rx_port);
    const auto ether = header_at<EtherHeader>(out.bytes, 0);
    const auto was = header_at<EtherHeader>(in, 0);
    EXPECT_EQ(ether.destination, was.source);
    EXPECT_EQ(ether.source, was.destination);
    const auto ip_out = header_at<Ipv4Header>(out.bytes, 14);
    EXPECT_EQ(ip_out.source.host(), ip(kDsrVip).value);
    EXPECT_EQ(ip_out.destination.host(), ip(kClient).value);
    EXPECT_EQ(ip_out.total_length.host(), out.bytes.size() - 14);
    EXPECT_EQ(received_ip_sum(out.bytes), 0xffff);
    EXPECT_EQ(received_udp_sum(out.bytes), 0xffff);
    const auto udp = header_at<UdpHeader>(out.bytes, 34);
    EXPECT_EQ(udp.source_port.host(), 5060);
    EXPECT_EQ(udp.length.host(), out.bytes.size() - 34);
    out.udp_port = udp.destination_port.host();
    out.text.assign(reinterpret_cast<const char*>(out.bytes.data()) + 42, out.bytes.size() - 42);
    return out;
}

MessageBuilder gone(const std::string& method) {
    return request(method).to_tag("callee").line("User-Agent: a phone of some make");
}

TEST(Answer, SaysWhatTheRequestSaid) {
    const auto answer = answered(gone("BYE"));
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->text,
              "SIP/2.0 481 No Such Call\r\n"
              "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK776asdhds;received=192.0.2.7\r\n"
              "From: \"Alice\" <sip:alice@example.org>;tag=1928301774\r\n"
              "To: <sip:bob@example.org>;tag=callee\r\n"
              "Call-ID: a84b4c76e66710@192.0.2.1\r\n"
              "CSeq: 314159 BYE\r\n"
              "Content-Length: 0\r\n\r\n");
    EXPECT_EQ(answer->udp_port, 5060) << "as the Via says";
}

TEST(Answer, GoesWhereTheTopViaSays) { // RFC 3261 §18.2.2, RFC 3581 §4
    const auto port_by = [](const std::string& via) {
        const auto answer = answered(gone("BYE").via(via));
        return answer ? answer->udp_port : 0;
    };
    EXPECT_EQ(port_by("SIP/2.0/UDP 192.0.2.7;branch=z9hG4bKa"), 5060);
    EXPECT_EQ(port_by("SIP/2.0/UDP 192.0.2.7:5070;branch=z9hG4bKa"), 5070);
    EXPECT_EQ(port_by("SIP/2.0/UDP 192.0.2.7:5070;rport;branch=z9hG4bKa"), 40'000);
    EXPECT_EQ(port_by("SIP/2.0/UDP phone.example.org;branch=z9hG4bKa"), 5060);
    EXPECT_EQ(port_by("SIP/2.0/UDP 198.51.100.10:5060;branch=z9hG4bKa"), 40'000)
        << "a nat backend: what it sent from is the VIP for everybody else";
}

TEST(Answer, AddsToTheTopViaAlone) {
    const auto via = [](const std::string& first, const std::string& second = {}) {
        MessageBuilder message = gone("BYE").via(first);
        if (!second.empty()) message.line("v: " + second);
        const auto answer = answered(message);
        if (!answer) return std::string("no answer");
        const std::size_t at = answer->text.find("Via: ");
        return answer->text.substr(at, answer->text.find("From: ") - at);
    };
    EXPECT_EQ(via("SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bKa"),
              "Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bKa\r\n");
    EXPECT_EQ(via("SIP/2.0/UDP 10.0.0.1;RPORT ;branch=z9hG4bKa"),
              "Via: SIP/2.0/UDP 10.0.0.1;RPORT=40000 ;branch=z9hG4bKa;received=192.0.2.7\r\n");
    EXPECT_EQ(via("SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKa , SIP/2.0/TCP 10.0.0.2;branch=z9hG4bKb",
                  "SIP/2.0/UDP 10.0.0.3;rport;branch=z9hG4bKc"),
              "Via: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKa;received=192.0.2.7 , SIP/2.0/TCP "
              "10.0.0.2;branch=z9hG4bKb\r\nVia: SIP/2.0/UDP 10.0.0.3;rport;branch=z9hG4bKc\r\n");
}

TEST(Answer, GivesToATagThatRepeatedRequestsGetAgain) {
    const auto cancel = request("CANCEL").line("User-Agent: a phone of some make");
    const auto first = answered(cancel);
    const auto second = answered(cancel);
    ASSERT_TRUE(first && second);
    EXPECT_EQ(first->text, second->text);
    const std::string payload = first->text;
    const SipMessage message(std::as_bytes(std::span(payload)));
    EXPECT_FALSE(message.to()->tag().empty());
}

TEST(Answer, IsNotGivenToWhatCannotBeAnswered) {
    for (const char* const name : {"Via", "From", "To", "Call-ID", "CSeq"})
        EXPECT_FALSE(answered(gone("BYE").without(name))) << name;
    EXPECT_FALSE(answered(gone("BYE").via("nonsense")));
    EXPECT_FALSE(answered(MessageBuilder("B s:a SIP/2.0", "B").without("Max-Forwards")))
        << "there is no room for it";
}

TEST(Answer, ReadsAndWritesNothingOutside) {
    std::mt19937 random(481);
    const std::string good = gone("BYE").via("SIP/2.0/UDP a;rport, SIP/2.0/UDP b").text();
    const World here = world();
    for (int round = 0; round < 20'000; ++round) {
        std::string text = good.substr(0, random() % 4 == 0 ? random() % good.size() : good.size());
        for (auto changes = random() % 6; changes > 0 && !text.empty(); --changes)
            text[random() % text.size()] = static_cast<char>(random());
        const Bytes in = frame().ipv4(kClient, kDsrVip).udp(9, 5060).payload(text).build();
        Frame frame = to_be_rejected(here, in);
        static_cast<void>(stages::edit(here.view(), frame));
        ASSERT_LE(frame.length, in.size());
    }
}

} // namespace
} // namespace viaduct::test
