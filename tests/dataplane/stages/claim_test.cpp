// SPDX-License-Identifier: Apache-2.0
#include "guarded.hpp"
#include "stages/stages.hpp"
#include "world.hpp"

#include <gtest/gtest.h>
#include <random>
#include <string>

namespace viaduct::test {
namespace {

struct Claimed {
    std::optional<Outcome> end; ///< empty: it goes on to digest
    Frame frame;
};

Claimed claim_at(const World& here, std::span<std::byte> bytes, PortId port = PortId{0}) {
    Claimed result;
    result.frame.bytes = bytes.data();
    result.frame.length = static_cast<std::uint32_t>(bytes.size());
    result.frame.rx_port = port;
    const PipelineView view = here.view();
    result.end = stages::decode(view, result.frame);
    if (!result.end) result.end = stages::claim(view, result.frame);
    return result;
}
Claimed claim(const World& here, const FrameBuilder& builder, PortId port = PortId{0}) {
    return claim_at(here, guarded(builder.build()), port);
}
std::optional<Outcome> end_of(const FrameBuilder& builder) {
    return claim(world(), builder).end;
}

FrameBuilder to_vip() {
    return frame().ipv4(kClient, kDsrVip).udp(40'000, 5060).sip(invite());
}
FrameBuilder to_elsewhere() {
    return frame().ipv4(kClient, kOwnAddress).udp(53, 53).payload("x");
}

std::string_view text_of(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

TEST(Claim, KnowsAFrameForAVip) {
    const Claimed found = claim(world(), to_vip());
    EXPECT_EQ(found.end, std::nullopt);
    EXPECT_EQ(found.frame.claim.leg, Leg::ClientToVip);
    EXPECT_EQ(found.frame.claim.vip, kSipVip);
    EXPECT_EQ(found.frame.claim.pool, kProxies);
    EXPECT_EQ(found.frame.claim.sender, std::nullopt);
    EXPECT_EQ(text_of(found.frame.payload()), invite().text());

    const auto natted = frame().ipv4(kClient, kNatVip).udp(40'000, 5060).sip(invite());
    EXPECT_EQ(claim(world(), natted).frame.claim.vip, kNattedVip);
    EXPECT_EQ(claim(world(), natted).frame.claim.pool, kInside);
}

TEST(Claim, FindsThePayloadBehindIpOptions) {
    for (const std::size_t words : {1U, 5U, 10U}) {
        const auto with_options = to_vip().ip_options(Bytes(words * 4, std::byte{1}));
        const Claimed found = claim(world(), with_options);
        EXPECT_EQ(found.end, std::nullopt);
        EXPECT_EQ(text_of(found.frame.payload()), invite().text());
    }
}

TEST(Claim, TakesTheDatagramWithoutThePaddingOfTheFrame) {
    auto padded = frame().ipv4(kClient, kDsrVip).udp(40'000, 5060).payload("\r\n").trailer(16);
    ASSERT_EQ(padded.build().size(), 60U); // the shortest frame an Ethernet carries
    Claimed found = claim(world(), padded);
    EXPECT_EQ(found.end, std::nullopt);
    EXPECT_EQ(text_of(found.frame.payload()), "\r\n");

    found = claim(world(), to_vip().payload("12345678").udp_length(8 + 3)); // RFC 768 length
    EXPECT_EQ(found.end, std::nullopt);
    EXPECT_EQ(text_of(found.frame.payload()), "123");
    EXPECT_EQ(claim(world(), to_vip().payload("")).frame.payload().size(), 0U);
}

TEST(Claim, PuntsWhatIsNotForAVipsUdpPort) {
    EXPECT_EQ(end_of(frame().ipv4(kClient, kDsrVip).udp(40'000, 5061).sip(invite())),
              Outcome::Punted);
    EXPECT_EQ(end_of(frame().ipv4(kClient, "198.51.100.77").udp(40'000, 5060).sip(invite())),
              Outcome::Punted);
    EXPECT_EQ(end_of(to_elsewhere()), Outcome::Punted);
}

TEST(Claim, PuntsEverythingThatIsNotUdpOverIpv4) {
    EXPECT_EQ(end_of(frame().ipv4(kClient, kDsrVip).protocol(1).payload("\x08\0\0\0ping")),
              Outcome::Punted); // ping to a VIP
    EXPECT_EQ(end_of(frame().ipv4(kClient, kDsrVip).protocol(6).payload("tcp")), Outcome::Punted);
    EXPECT_EQ(end_of(frame().ipv4(kClient, kDsrVip).protocol(1).fragment(0, true).payload("p")),
              Outcome::Punted);
    for (const int type : {0x86dd, 0x0806, 0x88cc, 0x0000, 0x0040})
        EXPECT_EQ(end_of(frame()
                             .ether_type(static_cast<std::uint16_t>(type))
                             .payload(std::string(46, '\0'))),
                  Outcome::Punted);
    EXPECT_EQ(end_of(frame().ether_type(0x0806)), Outcome::Punted); // no byte behind the header
}

TEST(Claim, TakesOnlyFramesForThePortsOwnMac) {
    EXPECT_EQ(end_of(to_vip().macs(kClientMac, "02:00:00:00:00:77")), Outcome::ForeignMac);
    EXPECT_EQ(end_of(to_vip().macs(kClientMac, kPort1Mac)), Outcome::ForeignMac);
    EXPECT_EQ(end_of(to_vip().macs(kPort0Mac, kPort0Mac)), Outcome::OwnSource);
    EXPECT_EQ(end_of(to_elsewhere().macs(kPort0Mac, "ff:ff:ff:ff:ff:ff")), Outcome::OwnSource);
    EXPECT_EQ(claim(world(), to_vip().macs(kClientMac, kPort1Mac), PortId{1}).end, std::nullopt);
}

TEST(Claim, GivesMulticastAndBroadcastToTheKernel) {
    for (const std::string_view mac :
         {"ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:12", "33:33:00:00:00:01"}) {
        EXPECT_EQ(end_of(frame().macs(kClientMac, mac).ether_type(0x0806)), Outcome::Punted);
        EXPECT_EQ(end_of(to_elsewhere().macs(kClientMac, mac)), Outcome::Punted);
    }
}

TEST(Claim, TakesAnyMacWhenThePortDoes) {
    World here = world();
    here.links[0].any_destination = true;
    for (const std::string_view mac : {"02:00:00:00:00:77", "ff:ff:ff:ff:ff:ff"})
        EXPECT_EQ(claim(here, to_vip().macs(kClientMac, mac)).end, std::nullopt);
}

TEST(Claim, SaysWhichLengthLies) {
    const std::size_t right = to_vip().build().size() - 14;
    const auto lie = [&](std::size_t length) {
        return end_of(to_vip().total_length(static_cast<std::uint16_t>(length)));
    };
    EXPECT_EQ(lie(right), std::nullopt);
    for (const std::size_t length :
         {std::size_t{0}, std::size_t{1}, std::size_t{19}, right + 1, std::size_t{65'535}})
        EXPECT_EQ(lie(length), Outcome::BadIp) << length;
    for (const std::size_t length : {std::size_t{20}, std::size_t{27}, right - 1})
        EXPECT_EQ(lie(length), Outcome::BadUdp) << length;

    for (const int ihl : {0x40, 0x41, 0x44}) // shorter than the header without options
        EXPECT_EQ(end_of(to_vip().version_ihl(static_cast<std::uint8_t>(ihl))), Outcome::BadIp)
            << ihl;
    EXPECT_EQ(end_of(to_vip().version_ihl(0x65)), Outcome::BadIp);
    EXPECT_EQ(end_of(to_vip().version_ihl(0x05)), Outcome::BadIp);
    EXPECT_EQ(end_of(to_vip().payload("").version_ihl(0x4f)), Outcome::BadIp); // 60 > 28 bytes

    for (const std::size_t length :
         {std::size_t{0}, std::size_t{7}, right - 20 + 1, std::size_t{65'535}})
        EXPECT_EQ(end_of(to_vip().udp_length(static_cast<std::uint16_t>(length))), Outcome::BadUdp)
            << length;
}

TEST(Claim, EndsATruncatedFrameByWhatIsMissing) {
    const Bytes whole = to_vip().build();
    for (std::size_t length = 0; length < whole.size(); ++length) {
        const auto end = claim_at(world(), guarded(std::span(whole).first(length))).end;
        EXPECT_EQ(end, length < 14 ? Outcome::BadFrame : Outcome::BadIp) << length;
    }
}

TEST(Claim, CountsTaggedFramesForAVip) {
    EXPECT_EQ(end_of(to_vip().vlan(100)), Outcome::Vlan);
    EXPECT_EQ(end_of(to_vip().vlan(0)), Outcome::Vlan); // priority tag
    EXPECT_EQ(end_of(to_vip().vlan(100, kEtherTypeQinq).vlan(200)), Outcome::Vlan);
    EXPECT_EQ(end_of(to_vip().vlan(100).vlan(200)), Outcome::Vlan);
    EXPECT_EQ(end_of(to_elsewhere().vlan(100)), Outcome::Punted);
    EXPECT_EQ(end_of(to_elsewhere().vlan(100, kEtherTypeQinq).vlan(200)), Outcome::Punted);
    EXPECT_EQ(end_of(frame().vlan(100).ether_type(0x0806).payload("arp")), Outcome::Punted);
    EXPECT_EQ(end_of(to_vip().vlan(100).macs(kClientMac, kPort1Mac)), Outcome::ForeignMac);
    EXPECT_EQ(end_of(to_vip().vlan(1).vlan(2).vlan(3)), Outcome::Punted) << "more than QinQ";
    EXPECT_EQ(end_of(to_vip().vlan(100).udp_length(7)), Outcome::BadUdp);
    EXPECT_EQ(end_of(to_elsewhere().vlan(100).version_ihl(0x65)), Outcome::BadIp);
}

TEST(Claim, CountsFragmentsForAVipOrFromABackend) {
    EXPECT_EQ(end_of(to_vip().fragment(0, true)), Outcome::Fragment);
    const auto later = frame().ipv4(kClient, kDsrVip).fragment(185, false).payload("rest");
    EXPECT_EQ(end_of(later), Outcome::Fragment);
    const auto from_backend =
        frame().ipv4("203.0.113.21", kClient).fragment(185, true).payload("rest");
    EXPECT_EQ(end_of(from_backend), Outcome::Fragment);
    EXPECT_EQ(end_of(frame().ipv4(kClient, kOwnAddress).fragment(1, false).payload("x")),
              Outcome::Punted);
    EXPECT_EQ(end_of(to_vip().dont_fragment()), std::nullopt);
}

TEST(Claim, KnowsANatBackendByAddressAndServicePort) {
    const auto from = [](std::string_view source, std::uint16_t udp_port) {
        return frame().ipv4(source, kClient).udp(udp_port, 40'000).sip(response(200, "OK"));
    };
    const Claimed found = claim(world(), from("203.0.113.22", kNatUdpPort));
    EXPECT_EQ(found.end, std::nullopt);
    EXPECT_EQ(found.frame.claim.leg, Leg::BackendToClient);
    EXPECT_EQ(found.frame.claim.sender, kN2);
    EXPECT_EQ(found.frame.claim.pool, kInside);
    EXPECT_EQ(found.frame.claim.vip, kNattedVip);

    EXPECT_EQ(end_of(from("203.0.113.22", 40'000)), Outcome::Punted);
    EXPECT_EQ(end_of(from("203.0.113.23", kNatUdpPort)), Outcome::Punted);
    EXPECT_EQ(end_of(from("198.51.100.21", 5060)), Outcome::Punted); // dsr-l2 backends do not
}

TEST(Claim, KnowsANatBackendByAnyPortWhereThePoolSaysSo) {
    const World here = world({.translate_any_port = true});
    const auto odd = frame().ipv4("203.0.113.21", kClient).udp(33'333, 40'000).payload("rtp");
    EXPECT_EQ(claim(here, odd).end, std::nullopt);
    EXPECT_EQ(claim(here, odd).frame.claim.sender, kN1);
}

TEST(Claim, LeavesWhatABackendSendsToTheBalancerItselfToTheKernel) {
    const auto to_us = frame().ipv4("203.0.113.21", kOwnAddress).udp(kNatUdpPort, 514).payload("x");
    EXPECT_EQ(end_of(to_us), Outcome::Punted);
    const auto to_vips_other_port =
        frame().ipv4("203.0.113.21", kDsrVip).udp(kNatUdpPort, 53).payload("x");
    EXPECT_EQ(end_of(to_vips_other_port), Outcome::Punted);
}

TEST(Claim, KnowsABackendThatCallsAVip) {
    const auto claimed = [](std::string_view vip) {
        return claim(world(),
                     frame().ipv4("203.0.113.21", vip).udp(kNatUdpPort, 5060).sip(invite()));
    };
    const Claimed to_nat = claimed(kNatVip);
    EXPECT_EQ(to_nat.end, std::nullopt);
    EXPECT_EQ(to_nat.frame.claim.leg, Leg::BackendToVip);
    EXPECT_EQ(to_nat.frame.claim.sender, kN1);
    EXPECT_EQ(to_nat.frame.claim.vip, kNattedVip);
    const Claimed to_dsr = claimed(kDsrVip);
    EXPECT_EQ(to_dsr.frame.claim.leg, Leg::ClientToVip) << "who answers it himself";
    EXPECT_EQ(to_dsr.frame.claim.sender, std::nullopt);
}

TEST(Claim, KnowsTheAnswersToProbes) {
    const auto answer = [](std::string_view from) {
        return frame().ipv4(from, kOwnAddress).udp(5060, kProbeUdpPort).sip(response(200, "OK"));
    };
    EXPECT_EQ(claim(world(), answer(kDsrVip)).frame.claim.leg, Leg::ProbeReply);
    EXPECT_EQ(end_of(answer(kDsrVip)), std::nullopt);
    const auto nat = frame().ipv4("203.0.113.21", kOwnAddress).udp(kNatUdpPort, kProbeUdpPort);
    EXPECT_EQ(claim(world(), nat).frame.claim.leg, Leg::ProbeReply);
    EXPECT_EQ(end_of(nat), std::nullopt);
    EXPECT_EQ(end_of(answer("198.51.100.21")), std::nullopt)
        << "from a backend's own address: the control plane says what is wrong with it";
    for (const std::string_view known : {kDsrVip, std::string_view("203.0.113.22")})
        EXPECT_FALSE(claim(world(), answer(known)).frame.claim.is_stranger);
    const Claimed stranger = claim(world(), answer(kClient));
    EXPECT_EQ(stranger.end, std::nullopt) << "a server's second address, which nobody configured";
    EXPECT_EQ(stranger.frame.claim.leg, Leg::ProbeReply);
    EXPECT_TRUE(stranger.frame.claim.is_stranger);
}

TEST(Claim, TakesTheFirstFragmentForAnAnswerToAProbe) {
    const auto answer =
        frame().ipv4(kDsrVip, kOwnAddress).udp(5060, kProbeUdpPort).udp_length(3000);
    const auto first = FrameBuilder(answer).sip(response(200, "OK")).fragment(0, true);
    const Claimed found = claim(world(), first);
    EXPECT_EQ(found.end, std::nullopt);
    EXPECT_EQ(found.frame.claim.leg, Leg::ProbeReply);
    EXPECT_EQ(text_of(found.frame.payload()), response(200, "OK").text());
    EXPECT_EQ(end_of(FrameBuilder(first).fragment(185, true)), Outcome::Punted);
    EXPECT_EQ(end_of(FrameBuilder(first).udp(5060, 9).udp_length(3000)), Outcome::Punted);
    EXPECT_EQ(end_of(FrameBuilder(first).ipv4(kDsrVip, kNatVip)), Outcome::Fragment);
}

/// An ICMP error to the balancer about a datagram from that endpoint of its own.
FrameBuilder icmp_error(std::uint8_t type, std::string_view own, std::uint16_t udp_port) {
    Bytes quoted = frame().ipv4(own, "203.0.113.21").udp(udp_port, kNatUdpPort).payload("").build();
    quoted.erase(quoted.begin(), quoted.begin() + sizeof(EtherHeader));
    quoted.resize(28);
    std::string text(8, '\0');
    text[0] = static_cast<char>(type);
    text[1] = 3;
    text.append(text_of(quoted));
    return frame().ipv4("203.0.113.21", kOwnAddress).protocol(kIpProtocolIcmp).payload(text);
}

TEST(Claim, KnowsAnIcmpErrorAboutAProbe) {
    for (const int type : {3, 11, 12}) {
        Claimed found =
            claim(world(), icmp_error(static_cast<std::uint8_t>(type), kOwnAddress, kProbeUdpPort));
        EXPECT_EQ(found.end, Outcome::ProbeAnswer);
        const std::size_t udp = found.frame.claim.quoted_offset + sizeof(Ipv4Header);
        EXPECT_EQ(found.frame.header_at<UdpHeader>(udp).destination_port.host(), kNatUdpPort);
    }
    const FrameBuilder error = icmp_error(3, kOwnAddress, kProbeUdpPort);
    EXPECT_EQ(end_of(icmp_error(8, kOwnAddress, kProbeUdpPort)), Outcome::Punted) << "a ping";
    EXPECT_EQ(end_of(icmp_error(3, kOwnAddress, 9)), Outcome::Punted) << "about what others sent";
    EXPECT_EQ(end_of(icmp_error(3, kDsrVip, kProbeUdpPort)), Outcome::Punted);
    EXPECT_EQ(end_of(FrameBuilder(error).ipv4("203.0.113.21", kDsrVip).protocol(kIpProtocolIcmp)),
              Outcome::Punted);
    EXPECT_EQ(end_of(FrameBuilder(error).fragment(0, true)), Outcome::Punted);
    const std::string whole(text_of(error.build()).substr(34));
    for (std::size_t length = 0; length < 36; ++length)
        EXPECT_EQ(end_of(FrameBuilder(error).payload(whole.substr(0, length))), Outcome::Punted)
            << length;
    EXPECT_EQ(end_of(FrameBuilder(error).payload(whole.substr(0, 36))), Outcome::ProbeAnswer);
}

TEST(Claim, NeverReadsOutsideAFrameAndAlwaysDecidesAlike) {
    const World here = world();
    std::mt19937 random(8021);
    const std::vector<Bytes> samples{
        to_vip().build(),
        to_vip().vlan(1).vlan(2).build(),
        to_vip().ip_options(Bytes(40, std::byte{1})).build(),
        to_vip().fragment(0, true).build(),
        frame().ipv4("203.0.113.21", kClient).udp(kNatUdpPort, 9).payload("abc").build()};
    for (int round = 0; round < 100'000; ++round) {
        Bytes bytes = samples[random() % samples.size()];
        bytes.resize(random() % (random() % 4 == 0 ? bytes.size() + 1 : 90));
        for (auto change = random() % 6; change > 0 && bytes.size() > 12; --change)
            bytes[12 + random() % (bytes.size() - 12)] = static_cast<std::byte>(random());
        const Claimed at_end = claim_at(here, guarded(bytes));
        const Claimed at_start = claim_at(here, guarded_start(bytes));
        ASSERT_EQ(at_end.end, at_start.end);
        if (at_end.end) continue;
        const auto payload = at_end.frame.payload();
        ASSERT_LE(payload.data() + payload.size(), at_end.frame.bytes + at_end.frame.length);
    }
}

} // namespace
} // namespace viaduct::test
