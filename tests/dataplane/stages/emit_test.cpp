// SPDX-License-Identifier: Apache-2.0
#include "guarded.hpp"
#include "stages/stages.hpp"
#include "wire/checksum.hpp"
#include "world.hpp"

#include <atomic>
#include <gtest/gtest.h>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace viaduct::test {
namespace {

struct Emitted {
    std::optional<Outcome> end; ///< empty: send it
    Frame frame;
    Bytes bytes;
};

/// Sends a frame through decode, claim, route and emit; a client's frame goes to `backend`.
Emitted
emit(const World& here, const Bytes& in, BackendId backend = kN1, const Clients& clients = {}) {
    const std::span<std::byte> bytes = guarded(in);
    World any = here;
    for (LinkView& link : any.links)
        link.any_destination = true;
    Emitted result;
    Frame& frame = result.frame;
    frame.bytes = bytes.data();
    frame.length = static_cast<std::uint32_t>(bytes.size());
    EXPECT_EQ(stages::decode(any.view(), frame), std::nullopt);
    EXPECT_EQ(stages::claim(any.view(), frame), std::nullopt);
    const bool from_backend = frame.claim.leg == Leg::BackendToClient;
    frame.target = {frame.claim.pool, from_backend ? frame.claim.sender : backend};
    frame.rx_port = PortId{from_backend};
    PipelineView view = here.view();
    view.clients = clients;
    result.end = stages::route(view, frame);
    if (!result.end) stages::emit(view, frame);
    result.bytes.assign(bytes.begin(), bytes.end());
    return result;
}
Emitted emit(const World& here,
             const FrameBuilder& in,
             BackendId backend = kN1,
             const Clients& clients = {}) {
    return emit(here, in.build(), backend, clients);
}

FrameBuilder to_dsr() {
    return frame().ipv4(kClient, kDsrVip).udp(40'000, 5060).sip(invite());
}
FrameBuilder to_nat() {
    return frame().ipv4(kClient, kNatVip).udp(40'000, 5060).sip(invite());
}
FrameBuilder from_nat(std::string_view client = kClient) {
    return frame()
        .macs("02:00:00:00:02:01", kPort1Mac)
        .ipv4("203.0.113.21", client)
        .udp(kNatUdpPort, 40'000)
        .sip(response(200, "OK"));
}

void expect_refused(const World& here,
                    const FrameBuilder& in,
                    Outcome outcome,
                    BackendId backend = kN1) {
    const Emitted result = emit(here, in, backend);
    EXPECT_EQ(result.end, outcome);
    EXPECT_EQ(result.bytes, in.build()) << "the bytes must be untouched";
}

// ---- dsr-l2 ----

TEST(EmitDsrL2, ChangesBothMacsAndNothingElse) {
    for (const FrameBuilder& in : {to_dsr(),
                                   to_dsr().ip_options(Bytes(8, std::byte{1})),
                                   to_dsr().ttl(1),
                                   to_dsr().ttl(0),
                                   to_dsr().no_udp_checksum(),
                                   to_dsr().wrong_udp_checksum(7),
                                   to_dsr().wrong_ip_checksum(7),
                                   to_dsr().payload("\r\n").trailer(16)}) {
        const Bytes before = in.build();
        const Emitted result = emit(world(), in, kB2);
        EXPECT_EQ(result.end, std::nullopt);
        const auto ether = header_at<EtherHeader>(result.bytes, 0);
        EXPECT_EQ(ether.destination, mac("02:00:00:00:01:02"));
        EXPECT_EQ(ether.source, mac(kPort0Mac));
        EXPECT_TRUE(std::equal(before.begin() + 12, before.end(), result.bytes.begin() + 12));
        EXPECT_EQ(result.bytes.size(), before.size());
        EXPECT_EQ(result.frame.exit.tx_port, PortId{0});
    }
}

TEST(EmitDsrL2, LeavesByThePortOfTheBackend) {
    World here = world();
    here.next_hops.hops[0].link = LinkId{1};
    const Emitted result = emit(here, to_dsr(), kB1);
    EXPECT_EQ(result.frame.exit.tx_port, PortId{1});
    EXPECT_EQ(header_at<EtherHeader>(result.bytes, 0).source, mac(kPort1Mac));
}

TEST(EmitDsrL2, SendsToTheGatewayOfABackendThatHasOne) {
    World here = world();
    here.snapshot.backends[index(kB1)].egress.hop = kGatewayHop;
    EXPECT_EQ(header_at<EtherHeader>(emit(here, to_dsr(), kB1).bytes, 0).destination,
              mac(kGatewayMac));
}

// ---- nat, towards the backend and back ----

TEST(EmitNat, SendsTheRequestToTheBackend) {
    const Emitted result = emit(world(), to_nat(), kN2);
    EXPECT_EQ(result.end, std::nullopt);
    EXPECT_EQ(result.frame.exit.tx_port, PortId{1});
    EXPECT_EQ(result.bytes,
              frame()
                  .macs(kPort1Mac, "02:00:00:00:02:02")
                  .ipv4(kClient, "203.0.113.22")
                  .ttl(63)
                  .udp(40'000, kNatUdpPort)
                  .sip(invite())
                  .build());
}

TEST(EmitNat, SendsTheAnswerFromTheVip) {
    const Emitted result = emit(world(), from_nat());
    EXPECT_EQ(result.end, std::nullopt);
    EXPECT_EQ(result.frame.exit.tx_port, PortId{0});
    EXPECT_EQ(result.bytes,
              frame()
                  .macs(kPort0Mac, kGatewayMac)
                  .ipv4(kNatVip, kClient)
                  .ttl(63)
                  .udp(5060, 40'000)
                  .sip(response(200, "OK"))
                  .build());
}

TEST(EmitNat, TranslatesAnyPortOfTheBackendWhereThePoolSaysSo) {
    const Emitted result = emit(world({.translate_any_port = true}),
                                frame().ipv4("203.0.113.22", kClient).udp(33'333, 40'000));
    EXPECT_EQ(result.end, std::nullopt);
    EXPECT_EQ(header_at<Ipv4Header>(result.bytes, 14).source.host(), ip(kNatVip).value);
    EXPECT_EQ(header_at<UdpHeader>(result.bytes, 34).source_port.host(), 5060);
}

TEST(EmitNat, LeavesOptionsPayloadAndTrailerAlone) {
    const auto in = to_nat().ip_options(Bytes(40, std::byte{1})).trailer(9);
    const Bytes before = in.build();
    const Emitted result = emit(world(), in);
    EXPECT_EQ(result.end, std::nullopt);
    EXPECT_EQ(received_ip_sum(result.bytes), 0xffff);
    EXPECT_EQ(received_udp_sum(result.bytes), 0xffff);
    EXPECT_TRUE(std::equal(before.begin() + 34, before.begin() + 74, result.bytes.begin() + 34));
    EXPECT_TRUE(std::equal(before.begin() + 82, before.end(), result.bytes.begin() + 82));
}

UdpHeader udp_of(std::span<const std::byte> bytes) {
    const auto header = header_at<Ipv4Header>(bytes, 14);
    return header_at<UdpHeader>(bytes, 14 + std::size_t{header.version_ihl & 0x0fU} * 4);
}

/// A random datagram, to the nat VIP or from a nat backend.
FrameBuilder random_datagram(std::mt19937& random, bool to_backend) {
    std::string payload(random() % 200, '\0');
    for (char& c : payload)
        c = static_cast<char>(random());
    const std::string client = "192.0.2." + std::to_string(random() % 256);
    const auto udp_port = static_cast<std::uint16_t>(random());
    auto builder = frame().ttl(static_cast<std::uint8_t>(2 + random() % 254)).payload(payload);
    if (random() % 4 == 0) builder.ip_options(Bytes(4 * (random() % 11), std::byte{1}));
    if (to_backend) return builder.ipv4(client, kNatVip).udp(udp_port, 5060);
    return builder.ipv4("203.0.113.21", client).udp(kNatUdpPort, udp_port);
}

TEST(EmitNat, KeepsRightChecksumsRight) {
    std::mt19937 random(1624);
    const World here = world();
    for (int round = 0; round < 20'000; ++round) {
        const Emitted result = emit(here, random_datagram(random, round % 2 == 0));
        ASSERT_EQ(result.end, std::nullopt);
        ASSERT_EQ(received_ip_sum(result.bytes), 0xffff) << round;
        ASSERT_EQ(received_udp_sum(result.bytes), 0xffff) << round;
        ASSERT_NE(udp_of(result.bytes).checksum.host(), 0) << round;
    }
}

TEST(EmitNat, KeepsWrongChecksumsWrongByTheSameAmount) {
    std::mt19937 random(20);
    const World here = world();
    for (int round = 0; round < 20'000; ++round) {
        auto in = random_datagram(random, round % 2 == 0);
        in.wrong_ip_checksum(static_cast<std::uint16_t>(1 + random() % 0xfffe));
        in.wrong_udp_checksum(static_cast<std::uint16_t>(1 + random() % 0xfffe));
        const Bytes before = in.build();
        if (udp_of(before).checksum.host() == 0) continue; // the error made it "none"
        const Emitted result = emit(here, in);
        ASSERT_NE(received_ip_sum(before), 0xffff);
        ASSERT_EQ(received_ip_sum(result.bytes), received_ip_sum(before)) << round;
        ASSERT_NE(received_udp_sum(before), 0xffff);
        ASSERT_EQ(received_udp_sum(result.bytes), received_udp_sum(before)) << round;
    }
}

TEST(EmitNat, KeepsAnAbsentUdpChecksumAbsent) { // RFC 768
    for (const auto& in : {to_nat().no_udp_checksum(), from_nat().no_udp_checksum()}) {
        const Emitted result = emit(world(), in);
        EXPECT_EQ(result.end, std::nullopt);
        EXPECT_EQ(header_at<UdpHeader>(result.bytes, 34).checksum.host(), 0);
        EXPECT_EQ(received_ip_sum(result.bytes), 0xffff);
    }
}

TEST(EmitNat, WritesAChecksumOfZeroAsAllOnes) { // RFC 768: zero would mean "none"
    const World here = world();
    int seen = 0;
    for (int word = 0; word < 0x10000; ++word) { // one payload in 65,535 sums up to zero
        const std::string payload{static_cast<char>(word >> 8), static_cast<char>(word & 0xff)};
        const auto in = frame().ipv4(kClient, kNatVip).udp(40'000, 5060).payload(payload);
        const Emitted result = emit(here, in);
        const std::uint16_t sum = header_at<UdpHeader>(result.bytes, 34).checksum.host();
        ASSERT_NE(sum, 0) << word;
        ASSERT_EQ(received_udp_sum(result.bytes), 0xffff) << word;
        seen += sum == 0xffff;
    }
    EXPECT_GE(seen, 1);
}

TEST(EmitNat, UpdatesAChecksumAsThoughItWereMadeAnew) { // RFC 1624 §4, and its example
    EXPECT_EQ(updated_checksum(0xdd2f, 0x5555, 0x3285), 0x0000);
    std::mt19937 random(4);
    for (int round = 0; round < 100'000; ++round) {
        std::array<std::uint16_t, 3> words{};
        for (auto& word : words)
            word = static_cast<std::uint16_t>(random() | 1);
        const auto checksum = [&] {
            std::uint32_t sum = std::uint32_t{words[0]} + words[1] + words[2];
            sum = (sum & 0xffff) + (sum >> 16);
            sum = (sum & 0xffff) + (sum >> 16);
            return static_cast<std::uint16_t>(~sum);
        };
        const std::uint16_t before = checksum();
        const std::uint16_t from = words[1];
        words[1] = static_cast<std::uint16_t>(random());
        ASSERT_EQ(updated_checksum(before, from, words[1]), checksum());
    }
}

TEST(EmitNat, DropsWhatHasNoTimeToLiveLeft) {
    for (const std::uint8_t ttl : {std::uint8_t{0}, std::uint8_t{1}}) {
        expect_refused(world(), to_nat().ttl(ttl), Outcome::TtlExpired);
        expect_refused(world(), from_nat().ttl(ttl), Outcome::TtlExpired);
    }
    const Emitted result = emit(world(), to_nat().ttl(2));
    EXPECT_EQ(result.end, std::nullopt);
    EXPECT_EQ(header_at<Ipv4Header>(result.bytes, 14).ttl, 1);
}

// ---- ways out ----

TEST(Emit, DropsWhatIsLargerThanTheMtuOfThePortItLeavesBy) {
    World here = world();
    const auto sized = [](FrameBuilder builder, std::size_t frame_bytes) {
        return builder.payload(std::string(frame_bytes - 42, 'x'));
    };
    here.links[0].max_frame_bytes = 1000;
    here.links[1].max_frame_bytes = 800;
    EXPECT_EQ(emit(here, sized(to_dsr(), 1000), kB1).end, std::nullopt);
    expect_refused(here, sized(to_dsr(), 1001), Outcome::TooBig, kB1);
    EXPECT_EQ(emit(here, sized(to_nat(), 800)).end, std::nullopt);
    expect_refused(here, sized(to_nat(), 801), Outcome::TooBig);
    EXPECT_EQ(emit(here, sized(from_nat(), 1000)).end, std::nullopt);
    expect_refused(here, sized(from_nat(), 1001), Outcome::TooBig);
}

TEST(Emit, SaysWhichNextHopItMisses) {
    World here = world();
    here.next_hops.hops[index(kB1)].mac = std::nullopt;
    here.next_hops.hops[index(kN1)].mac = std::nullopt;
    expect_refused(here, to_dsr(), Outcome::NextHopUnresolved, kB1);
    expect_refused(here, to_nat(), Outcome::NextHopUnresolved, kN1);
    Emitted result = emit(here, to_nat(), kN1);
    EXPECT_EQ(result.frame.exit.tx_port, PortId{1});
    EXPECT_EQ(result.frame.exit.next_hop, ip("203.0.113.21"));

    here.next_hops.hops[index(kGatewayHop)].mac = std::nullopt;
    expect_refused(here, from_nat(), Outcome::NextHopUnresolved);
    result = emit(here, from_nat());
    EXPECT_EQ(result.frame.exit.tx_port, PortId{0});
    EXPECT_EQ(result.frame.exit.next_hop, ip("198.51.100.1"));

    expect_refused(here, from_nat("198.51.100.98"), Outcome::NextHopUnresolved);
    EXPECT_EQ(emit(here, from_nat("198.51.100.98")).frame.exit.next_hop, ip("198.51.100.98"));
}

TEST(Emit, TreatsAHopThatIsNotPublishedYetAsUnresolved) {
    World here = world();
    here.next_hops.hops.clear();
    expect_refused(here, to_dsr(), Outcome::NextHopUnresolved, kB1);
    expect_refused(here, from_nat(), Outcome::NextHopUnresolved);
}

TEST(Emit, FollowsTheRouteToTheClient) {
    const auto destination_of = [](std::string_view client) {
        const Emitted result = emit(world(), from_nat(client));
        EXPECT_EQ(result.end, std::nullopt) << client;
        return header_at<EtherHeader>(result.bytes, 0).destination;
    };
    EXPECT_EQ(destination_of("192.0.2.0"), mac(kGatewayMac));
    EXPECT_EQ(destination_of("192.0.2.255"), mac(kGatewayMac));
    EXPECT_EQ(destination_of(kNeighbour), mac(kNeighbourMac));
    const Emitted other_port = emit(world(), from_nat("203.0.113.77"));
    EXPECT_EQ(other_port.frame.exit.tx_port, PortId{1});
    EXPECT_EQ(header_at<EtherHeader>(other_port.bytes, 0).destination, mac("02:00:00:00:02:77"));
}

TEST(Emit, AnswersByTheGatewayOfThePortThatCarriesTheVip) {
    World here = world();
    const HopId core{6};
    here.next_hops.hops.push_back({LinkId{1}, ip("203.0.113.1"), mac("02:00:00:00:02:fd")});
    Route& unknown = here.next_hops.routes.front();
    unknown = {0, true, LinkId{1}, core, true};
    const LinkId from =
        here.snapshot.vips[index(*here.snapshot.pools[index(kInside)].nat_vip)].link;
    std::optional<HopId>& own = here.next_hops.link_gateways[index(from)];
    own = kGatewayHop;
    const auto destination_of = [&](std::string_view client) {
        const Emitted result = emit(here, from_nat(client));
        EXPECT_EQ(result.end, std::nullopt) << client;
        return header_at<EtherHeader>(result.bytes, 0).destination;
    };
    EXPECT_EQ(destination_of("192.0.1.7"), mac(kGatewayMac));
    EXPECT_EQ(destination_of(kNeighbour), mac(kNeighbourMac)) << "a closer route counts";
    own.reset();
    EXPECT_EQ(destination_of("192.0.1.7"), mac("02:00:00:00:02:fd")) << "any is better than none";
    own = kGatewayHop;
    unknown.own_default = false;
    EXPECT_EQ(destination_of("192.0.1.7"), mac("02:00:00:00:02:fd")) << "the host's default";
}

TEST(Emit, SaysThatNoRouteLeadsToTheClient) {
    for (const std::string_view client : {"192.0.1.255",
                                          "192.0.3.0",
                                          "198.51.99.255",
                                          "198.51.101.0",
                                          "203.0.114.1",
                                          "0.0.0.0",
                                          "255.255.255.255"})
        expect_refused(world(), from_nat(client), Outcome::NoRoute);
    World here = world();
    here.next_hops.routes.clear();
    expect_refused(here, from_nat(), Outcome::NoRoute);
}

/// Whom the answer to `client` goes to after these frames came in; empty: the hop is unresolved.
std::optional<MacAddr> answered(const World& here,
                                std::string_view client,
                                const std::vector<FrameBuilder>& before,
                                std::uint32_t age = 0) {
    const auto macs = std::make_unique<ClientMacs>();
    for (const FrameBuilder& one : before)
        (void)emit(here, one, one.build()[33] == std::byte{11} ? kN1 : kB1, {macs.get(), 1000});
    const Emitted result = emit(here, from_nat(client), kN1, {macs.get(), 1000 + age});
    if (result.end == Outcome::NextHopUnresolved) return std::nullopt;
    EXPECT_EQ(result.end, std::nullopt);
    EXPECT_EQ(result.frame.exit.is_guess, client != kNeighbour);
    EXPECT_EQ(result.frame.exit.next_hop, ip(client)) << "who is to be resolved";
    return header_at<EtherHeader>(result.bytes, 0).destination;
}

TEST(EmitNat, AnswersAClientThatTheKernelDoesNotKnowYetByTheMacItSentFrom) {
    constexpr std::string_view kNew = "198.51.100.98";
    constexpr std::string_view kOther = "02:00:00:00:00:c2";
    const auto from = [](std::string_view client, std::string_view by = kClientMac) {
        return to_nat().ipv4(client, kNatVip).macs(by, kPort0Mac);
    };
    const World here = world();
    EXPECT_EQ(answered(here, kNew, {}), std::nullopt);
    EXPECT_EQ(answered(here, kNew, {from(kNew)}), mac(kClientMac));
    EXPECT_EQ(answered(here, kNew, {from(kNew), from(kNew, kOther)}), mac(kOther)) << "the last";
    EXPECT_EQ(answered(here, kNew, {from("198.51.100.97")}), std::nullopt) << "of another client";
    EXPECT_EQ(answered(here, kNew, {from(kNew)}, ClientMacs::kLifetime), mac(kClientMac));
    EXPECT_EQ(answered(here, kNew, {from(kNew)}, ClientMacs::kLifetime + 1), std::nullopt);
    EXPECT_EQ(answered(here, kNew, {from(kNew)}, ~std::uint32_t{0}), mac(kClientMac))
        << "another worker's clock is a moment ahead of this one's";

    EXPECT_EQ(answered(here, kNeighbour, {from(kNeighbour, kOther)}), mac(kNeighbourMac))
        << "the kernel goes first";
    EXPECT_EQ(answered(here, kNew, {from(kNew, "01:00:5e:00:00:01")}), std::nullopt);
    EXPECT_EQ(answered(here, "203.0.113.78", {from("203.0.113.78")}), std::nullopt)
        << "on another port's segment";
    EXPECT_EQ(answered(here, kNew, {to_dsr().ipv4(kNew, kDsrVip)}), std::nullopt)
        << "who is answered by the backend itself";
}

TEST(EmitNat, TakesNoGatewayForAClientOfTheSegment) {
    World here = world();
    here.next_hops.link_gateways[0] = kGatewayHop;
    const auto spoofed = to_nat().ipv4("198.51.100.98", kNatVip).macs(kGatewayMac, kPort0Mac);
    EXPECT_EQ(answered(here, "198.51.100.98", {spoofed}), std::nullopt);
    here.next_hops.hops[index(kGatewayHop)].mac.reset();
    expect_refused(here, from_nat(kClient), Outcome::NextHopUnresolved);
    const auto macs = std::make_unique<ClientMacs>();
    (void)emit(here, to_nat(), kN1, {macs.get(), 1});
    EXPECT_EQ(emit(here, from_nat(kClient), kN1, {macs.get(), 1}).end, Outcome::NextHopUnresolved)
        << "a client behind it is answered by it";
}

TEST(ClientMacs, TwoThreadsNeverMakeAThird) {
    const auto macs = std::make_unique<ClientMacs>();
    std::vector<Ipv4Addr> same; // addresses of one entry
    for (std::uint32_t i = 0; same.size() < 8; ++i) {
        const Ipv4Addr one{0xc6336400U + i};
        macs->note(LinkId{0}, one, mac("02:00:00:00:00:01"), 1);
        if (i > 0 && macs->find(LinkId{0}, Ipv4Addr{0xc6336400U}, 1)) continue;
        same.push_back(one);
        macs->note(LinkId{0}, Ipv4Addr{0xc6336400U}, mac("02:00:00:00:00:01"), 1);
    }
    const auto mac_of = [](Ipv4Addr address) {
        return MacAddr{{2, 0, 0, 0, 0, static_cast<std::uint8_t>(address.value * 7 + 1)}};
    };
    std::atomic<bool> over{false};
    std::vector<std::thread> writers;
    for (unsigned writer = 0; writer < 2; ++writer)
        writers.emplace_back([&, writer] {
            for (std::uint32_t i = 0; !over; ++i)
                macs->note(
                    LinkId{0}, same[(i + writer) % 8], mac_of(same[(i + writer) % 8]), i & 63);
        });
    for (int i = 0; i < 300'000; ++i)
        for (const Ipv4Addr address : same)
            EXPECT_EQ(macs->find(LinkId{0}, address, 63).value_or(mac_of(address)),
                      mac_of(address));
    over = true;
    for (std::thread& writer : writers)
        writer.join();
}

TEST(Emit, UsesTheFallbackMacOnlyForHopsWithoutOne) {
    World here = world();
    here.next_hops.fallback = mac("02:00:00:00:00:fe");
    here.next_hops.hops[index(kB2)].mac = std::nullopt;
    const auto destination = [](const Emitted& result) {
        return header_at<EtherHeader>(result.bytes, 0).destination;
    };
    EXPECT_EQ(destination(emit(here, to_dsr(), kB1)), mac("02:00:00:00:01:01"));
    EXPECT_EQ(destination(emit(here, to_dsr(), kB2)), mac("02:00:00:00:00:fe"));
    EXPECT_EQ(destination(emit(here, from_nat("198.51.100.98"))), mac("02:00:00:00:00:fe"));
    EXPECT_EQ(destination(emit(here, from_nat(kNeighbour))), mac(kNeighbourMac));
}

} // namespace
} // namespace viaduct::test
