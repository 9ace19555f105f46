// SPDX-License-Identifier: Apache-2.0
// Whole ways through the data plane as data, and the laws of a burst.
#include "guarded.hpp"
#include "pipeline.hpp"
#include "valid_snapshot.hpp"
#include "world.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace viaduct::test {
namespace {

struct Ended {
    Outcome outcome = kNoOutcome;
    bool sent = false;
    PortId tx_port{};
    std::optional<BackendId> backend;
    Bytes bytes; ///< as the frame is afterwards

    bool operator==(const Ended&) const = default;
};

/// Runs up to kMaxBurst frames as one burst, each flush against an unreadable page, and checks that
/// every one of them ends exactly once.
std::vector<Ended>
run(const World& here, const std::vector<Bytes>& frames, PortId rx_port = PortId{0}) {
    static std::array<std::unique_ptr<Guarded>, kMaxBurst> places;
    Burst burst;
    burst.count = frames.size();
    burst.outcomes.fill(kNoOutcome);
    for (std::size_t at = 0; at < frames.size(); ++at) {
        if (!places[at]) places[at] = std::make_unique<Guarded>(66'000);
        const auto bytes = places[at]->at_end(frames[at]);
        const auto length = static_cast<std::uint32_t>(bytes.size());
        set_frame(burst, at, bytes.data(), length, rx_port);
    }
    expect_valid(here.snapshot);
    run_pipeline(here.view(), burst);

    std::vector<Ended> ended(frames.size());
    EXPECT_LE(burst.live_count, burst.count);
    for (std::size_t i = 0; i < burst.live_count; ++i) {
        const std::size_t at = burst.live[i];
        EXPECT_LT(at, burst.count);
        EXPECT_TRUE(i == 0 || burst.live[i - 1] < at) << "the order of received is kept";
        EXPECT_EQ(burst.outcomes[at], kNoOutcome) << "a frame to send has not ended";
        ended[at].sent = true;
        ended[at].tx_port = burst.frames[at].exit.tx_port;
        ended[at].outcome = sent_outcome(burst.frames[at]);
        EXPECT_LT(index(ended[at].tx_port), here.links.size());
    }
    for (std::size_t at = 0; at < frames.size(); ++at) {
        const Frame& frame = burst.frames[at];
        if (!ended[at].sent) ended[at].outcome = burst.outcomes[at];
        EXPECT_LT(ended[at].outcome, kNoOutcome) << "frame " << at << " never ended";
        ended[at].backend = frame.backend();
        ended[at].bytes.assign(frame.bytes, frame.bytes + frame.length);
    }
    return ended;
}

struct Case {
    std::string description;
    FrameBuilder in;
    Outcome outcome;
    std::optional<FrameBuilder> out = std::nullopt; ///< empty: nothing is sent
    PortId tx_port = PortId{0};
    void (*change)(World&) = [](World&) {};
};

FrameBuilder to_dsr() {
    return frame().ipv4(kClient, kDsrVip).udp(40'000, 5060);
}
FrameBuilder to_nat() {
    return frame().ipv4(kClient, kNatVip).udp(40'000, 5060);
}
FrameBuilder at_b2() {
    return to_dsr().macs(kPort0Mac, "02:00:00:00:01:02");
}
FrameBuilder at_n1() {
    return frame()
        .macs(kPort1Mac, "02:00:00:00:02:01")
        .ipv4(kClient, "203.0.113.21")
        .ttl(63)
        .udp(40'000, kNatUdpPort);
}
FrameBuilder n1_to_vip() {
    return frame().ipv4("203.0.113.21", kNatVip).udp(kNatUdpPort, 5060);
}
FrameBuilder from_n1() {
    return frame().ipv4("203.0.113.21", kClient).udp(kNatUdpPort, 40'000);
}
FrameBuilder at_client() {
    return frame().macs(kPort0Mac, kGatewayMac).ipv4(kNatVip, kClient).ttl(63).udp(5060, 40'000);
}

MessageBuilder two_call_ids() {
    return invite().call_id("first@x").line("i: second@x");
}
/// A message with this many lines between its first line and the empty one.
MessageBuilder header_lines(std::size_t count) {
    constexpr std::size_t kOfInvite = 7;
    MessageBuilder message = invite();
    for (std::size_t line = kOfInvite; line < count; ++line)
        message.line("X:");
    return message;
}

/// What bye() is answered with, from there.
std::string rejected_bye(std::string_view source = kClient) {
    return "SIP/2.0 481 No Such Call\r\n"
           "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK776asdhds;received=" +
           std::string(source) +
           "\r\n"
           "From: \"Alice\" <sip:alice@example.org>;tag=1928301774\r\n"
           "To: <sip:bob@example.org>;tag=a6c85cf\r\n"
           "Call-ID: a84b4c76e66710@192.0.2.1\r\n"
           "CSeq: 314159 BYE\r\nContent-Length: 0\r\n\r\n";
}

std::vector<Case> forwarded_cases() {
    return {
        {"dsr-l2: a request goes to the backend",
         to_dsr().sip(invite()),
         Outcome::Forwarded,
         at_b2().sip(invite())},
        {"dsr-l2: so does a response",
         to_dsr().sip(response(200, "OK")),
         Outcome::Forwarded,
         at_b2().sip(response(200, "OK"))},
        {"dsr-l2: an unknown method passes",
         to_dsr().sip(request("FROB")),
         Outcome::Forwarded,
         at_b2().sip(request("FROB"))},
        {"dsr-l2: so does a message with a broken first line",
         to_dsr().sip(invite().first_line("INVITE sip:b@example.org SOP/2.0")),
         Outcome::Forwarded,
         at_b2().sip(invite().first_line("INVITE sip:b@example.org SOP/2.0"))},
        {"dsr-l2: a wrong checksum and TTL 1 are the backend's business",
         to_dsr().ttl(1).sip(invite()).wrong_udp_checksum(1),
         Outcome::Forwarded,
         at_b2().ttl(1).sip(invite()).wrong_udp_checksum(1)},
        {"dsr-l2: the VIP's service goes on while the other pool has no verdict",
         to_dsr().sip(bye()),
         Outcome::Forwarded,
         at_b2().sip(bye()),
         PortId{0},
         [](World& here) { here.snapshot.pools[index(kInside)].health_known = false; }},
        {"nat: a backend that calls the VIP and is chosen itself is called from the VIP",
         n1_to_vip().sip(invite()),
         Outcome::Forwarded,
         at_n1().ipv4(kNatVip, "203.0.113.21").udp(5060, kNatUdpPort).sip(invite()),
         PortId{1}},
        {"dsr-l2: a nat backend that calls the VIP is a client like any other",
         frame().ipv4("203.0.113.21", kDsrVip).udp(kNatUdpPort, 5060).sip(invite()),
         Outcome::Forwarded,
         at_b2().ipv4("203.0.113.21", kDsrVip).udp(kNatUdpPort, 5060).sip(invite())},
        {"a backend's request inside a call of which no other end is known is answered",
         n1_to_vip().sip(bye()),
         Outcome::Rejected,
         frame()
             .macs(kPort0Mac, kClientMac)
             .ipv4(kNatVip, "203.0.113.21")
             .dont_fragment()
             .ttl(64)
             .udp(5060, 5060)
             .payload(rejected_bye("203.0.113.21"))},
        {"a request inside the call of a dead backend is answered where on_dead_owner says so",
         to_dsr().sip(bye()),
         Outcome::Rejected,
         frame()
             .macs(kPort0Mac, kClientMac)
             .ipv4(kDsrVip, kClient)
             .dont_fragment()
             .ttl(64)
             .udp(5060, 5060)
             .payload(rejected_bye()),
         PortId{0},
         [](World& here) {
             auto unsettled = std::make_shared<Unsettled>();
             unsettled->bits.fill(~std::uint64_t{0});
             here.snapshot.pools[index(kProxies)].unsettled = std::move(unsettled);
             here.snapshot.pools[index(kProxies)].on_dead_owner = OnDeadOwner::Reject;
             here.snapshot.vips[index(kSipVip)].read_rules.want = kWantForCalls;
             for (Backend& backend : here.snapshot.backends)
                 backend.life = BackendLife::Dead;
         }},
        {"two Call-IDs that are equal are one",
         to_dsr().sip(invite().call_id("a@b").line("i:a@b ")),
         Outcome::Forwarded,
         at_b2().sip(invite().call_id("a@b").line("i:a@b "))},
        {"two that differ pass a lenient VIP",
         to_dsr().sip(two_call_ids()),
         Outcome::Forwarded,
         at_b2().sip(two_call_ids()),
         PortId{0},
         [](World& here) { here.snapshot.vips[index(kSipVip)].read_rules.lenient = true; }},
        {"as many header lines as the VIP allows",
         to_dsr().sip(header_lines(256)),
         Outcome::Forwarded,
         at_b2().sip(header_lines(256))},
        {"more of them, where the VIP allows more",
         to_dsr().sip(header_lines(257)),
         Outcome::Forwarded,
         at_b2().sip(header_lines(257)),
         PortId{0},
         [](World& here) { here.snapshot.vips[index(kSipVip)].read_rules.max_header_lines = 257; }},
        {"nat: a request goes to the backend's address and port",
         to_nat().sip(invite()),
         Outcome::Forwarded,
         at_n1().sip(invite()),
         PortId{1}},
        {"nat: a client's answer to the backend's BYE too",
         to_nat().sip(response(200, "OK")),
         Outcome::Forwarded,
         at_n1().sip(response(200, "OK")),
         PortId{1}},
        {"nat: a response leaves as from VIP:port",
         from_n1().sip(response(180, "Ringing")),
         Outcome::Returned,
         at_client().sip(response(180, "Ringing"))},
        {"nat: so does a BYE the backend sends",
         from_n1().sip(bye()),
         Outcome::Returned,
         at_client().sip(bye())},
        {"nat: and a message of the backend that would be refused from a client",
         from_n1().sip(two_call_ids()),
         Outcome::Returned,
         at_client().sip(two_call_ids())},
        {"nat: and whatever else comes from its SIP port",
         from_n1().payload("\r\n\r\n"),
         Outcome::Returned,
         at_client().payload("\r\n\r\n")},
        {"nat: also while no call may begin there",
         from_n1().sip(response(200, "OK")),
         Outcome::Returned,
         at_client().sip(response(200, "OK")),
         PortId{0},
         [](World& here) { here.snapshot.pools[index(kInside)].slots = nullptr; }},
    };
}

std::vector<Case> not_ours_cases() {
    const auto answer = frame().ipv4(kDsrVip, kOwnAddress).udp(5060, kProbeUdpPort);
    return {
        {"ARP is the kernel's", frame().ether_type(0x0806).payload("arp"), Outcome::Punted},
        {"IPv6 is the kernel's", frame().ether_type(0x86dd).payload("six"), Outcome::Punted},
        {"a ping to a VIP is the kernel's",
         frame().ipv4(kClient, kDsrVip).protocol(1).payload("echo"),
         Outcome::Punted},
        {"UDP to another port of a VIP is the kernel's",
         frame().ipv4(kClient, kDsrVip).udp(9, 9).payload("x"),
         Outcome::Punted},
        {"a request to the probe's own port is the kernel's",
         FrameBuilder(answer).sip(invite()),
         Outcome::Punted},
        {"an answer to a probe goes to the control plane",
         FrameBuilder(answer).sip(response(200, "OK")),
         Outcome::ProbeAnswer},
        {"also from an address that nobody configured",
         FrameBuilder(answer).ipv4(kClient, kOwnAddress).sip(response(200, "OK")),
         Outcome::ProbeAnswer},
        {"and what a server sends there that is no SIP",
         FrameBuilder(answer).payload("hello"),
         Outcome::ProbeAnswer},
        {"but not what strangers send there",
         FrameBuilder(answer).ipv4(kClient, kOwnAddress).payload("hello"),
         Outcome::Punted},
        {"a frame for another station",
         to_dsr().sip(invite()).macs(kClientMac, kGatewayMac),
         Outcome::ForeignMac},
        {"a frame we sent", to_dsr().sip(invite()).macs(kPort0Mac, kPort0Mac), Outcome::OwnSource},
        {"a frame shorter than its header", to_dsr().cut(13), Outcome::BadFrame},
        {"an IP length that lies", to_dsr().sip(invite()).total_length(2000), Outcome::BadIp},
        {"a UDP length that lies", to_dsr().sip(invite()).udp_length(2000), Outcome::BadUdp},
        {"a VLAN tag", to_dsr().sip(invite()).vlan(7), Outcome::Vlan},
        {"a fragment", to_dsr().sip(invite()).fragment(0, true), Outcome::Fragment},
        {"a backend that answers somebody whom nobody knows",
         n1_to_vip().sip(response(200, "OK")),
         Outcome::BackendToVip},
        {"or confirms what nobody knows",
         n1_to_vip().sip(request("ACK").to_tag("a6c85cf")),
         Outcome::BackendToVip},
        {"what a backend sends to a VIP has a Call-ID, too",
         n1_to_vip().payload("\r\n"),
         Outcome::KeepAlive},
    };
}

std::vector<Case> refused_cases() {
    return {
        {"a keep-alive", to_dsr().payload("\r\n\r\n"), Outcome::KeepAlive},
        {"an empty datagram", to_dsr().payload(""), Outcome::KeepAlive},
        {"STUN",
         to_dsr().payload(std::string_view("\0\1\0\0\x21\x12\xa4\x42viaduct12345", 20)),
         Outcome::Stun},
        {"no SIP", to_dsr().payload("GET / HTTP/1.1\r\n\r\n"), Outcome::NotSip},
        {"no Call-ID", to_dsr().sip(invite().without("Call-ID")), Outcome::NoCallId},
        {"two Call-IDs that differ", to_dsr().sip(two_call_ids()), Outcome::AmbiguousCallId},
        {"nat: the same", to_nat().sip(two_call_ids()), Outcome::AmbiguousCallId},
        {"too many header lines", to_dsr().sip(header_lines(257)), Outcome::TooManyHeaderLines},
        {"too many header lines, none of them the Call-ID",
         to_dsr().sip(header_lines(257).without("Call-ID").line("X: x")),
         Outcome::TooManyHeaderLines},
        {"a broken first line before two Call-IDs",
         to_dsr().sip(two_call_ids().first_line("INVITE sip:b@example.org SOP/2.0")),
         Outcome::AmbiguousCallId},
        {"two Call-IDs for a VIP that is switched off",
         to_dsr().sip(two_call_ids()),
         Outcome::AmbiguousCallId,
         std::nullopt,
         PortId{0},
         [](World& here) { here.snapshot.vips[index(kSipVip)].enabled = false; }},
        {"a VIP that is switched off",
         to_dsr().sip(invite()),
         Outcome::VipDisabled,
         std::nullopt,
         PortId{0},
         [](World& here) { here.snapshot.vips[index(kSipVip)].enabled = false; }},
        {"no verdict yet",
         to_dsr().sip(invite()),
         Outcome::HealthUnknown,
         std::nullopt,
         PortId{0},
         [](World& here) { here.snapshot.pools[index(kProxies)].health_known = false; }},
        {"no backend up",
         to_dsr().sip(invite()),
         Outcome::NoBackend,
         std::nullopt,
         PortId{0},
         [](World& here) { here.snapshot.pools[index(kProxies)].slots = nullptr; }},
        {"every backend has as many calls as it may have",
         to_dsr().sip(invite()),
         Outcome::OverLimit,
         std::nullopt,
         PortId{0},
         [](World& here) {
             here.give_call_table();
             auto picker = std::make_shared<Picker>();
             picker->by = SteerBy::LeastCalls;
             picker->members = {{kB1, 1, 0}, {kB2, 1, 0}};
             picker->sequence = {0, 1};
             picker->turn = std::make_shared<std::atomic<std::uint64_t>>(0);
             picker->loads = std::make_shared<BackendLoads>();
             here.snapshot.pools[index(kProxies)].picker = std::move(picker);
             here.snapshot.pools[index(kProxies)].tracking = Tracking::AllCalls;
             here.snapshot.vips[index(kSipVip)].read_rules.want = kWantForCalls;
         }},
        {"a message inside the call of a dead backend ends where on_dead_owner says so",
         to_dsr().sip(bye()),
         Outcome::DeadOwner,
         std::nullopt,
         PortId{0},
         [](World& here) {
             auto unsettled = std::make_shared<Unsettled>();
             unsettled->bits.fill(~std::uint64_t{0});
             here.snapshot.pools[index(kProxies)].unsettled = std::move(unsettled);
             here.snapshot.pools[index(kProxies)].on_dead_owner = OnDeadOwner::Drop;
             here.snapshot.vips[index(kSipVip)].read_rules.want = kWantForCalls;
             for (Backend& backend : here.snapshot.backends)
                 backend.life = BackendLife::Dead;
         }},
        {"nor does one that has no answer, where it says reject",
         to_dsr().sip(request("ACK").to_tag("1")),
         Outcome::DeadOwner,
         std::nullopt,
         PortId{0},
         [](World& here) {
             auto unsettled = std::make_shared<Unsettled>();
             unsettled->bits.fill(~std::uint64_t{0});
             here.snapshot.pools[index(kProxies)].unsettled = std::move(unsettled);
             here.snapshot.pools[index(kProxies)].on_dead_owner = OnDeadOwner::Reject;
             here.snapshot.vips[index(kSipVip)].read_rules.want = kWantForCalls;
             for (Backend& backend : here.snapshot.backends)
                 backend.life = BackendLife::Dead;
         }},
        {"nor a response",
         to_dsr().sip(response(200, "OK").to_tag("1")),
         Outcome::DeadOwner,
         std::nullopt,
         PortId{0},
         [](World& here) {
             auto unsettled = std::make_shared<Unsettled>();
             unsettled->bits.fill(~std::uint64_t{0});
             here.snapshot.pools[index(kProxies)].unsettled = std::move(unsettled);
             here.snapshot.pools[index(kProxies)].on_dead_owner = OnDeadOwner::Reject;
             here.snapshot.vips[index(kSipVip)].read_rules.want = kWantForCalls;
             for (Backend& backend : here.snapshot.backends)
                 backend.life = BackendLife::Dead;
         }},
        {"nat: TTL runs out", to_nat().ttl(1).sip(invite()), Outcome::TtlExpired},
        {"nat: no route to the client",
         frame().ipv4("203.0.113.21", "192.0.3.1").udp(kNatUdpPort, 9).sip(bye()),
         Outcome::NoRoute},
        {"the backend's MAC is not known",
         to_dsr().sip(invite()),
         Outcome::NextHopUnresolved,
         std::nullopt,
         PortId{0},
         [](World& here) { here.next_hops.hops[index(kB2)].mac = std::nullopt; }},
        {"larger than the MTU",
         to_dsr().sip(invite().body(std::string(2000, 'x'))),
         Outcome::TooBig},
    };
}

std::vector<Case> all_cases() {
    std::vector<Case> all = forwarded_cases();
    for (auto& more : {not_ours_cases(), refused_cases()})
        all.insert(all.end(), more.begin(), more.end());
    return all;
}

Ended run_one(const Case& one) {
    World here = small_world();
    one.change(here);
    return run(here, {one.in.build()}).at(0);
}

TEST(Pipeline, EndsEveryCaseAsItShould) {
    for (const Case& one : all_cases()) {
        SCOPED_TRACE(one.description);
        const Ended ended = run_one(one);
        EXPECT_EQ(name_of(ended.outcome), name_of(one.outcome));
        EXPECT_EQ(ended.sent, one.out.has_value());
        EXPECT_EQ(ended.bytes, one.out.value_or(one.in).build()); // not sent: untouched
        if (one.out) {
            EXPECT_EQ(ended.tx_port, one.tx_port);
        }
    }
}

TEST(Pipeline, HasACaseForEveryOutcomeTheStagesCanGive) {
    // Given by the workers, or never.
    std::set<Outcome> seen{Outcome::PuntLimited, Outcome::TxFull, Outcome::Internal};
    for (const Case& one : all_cases())
        seen.insert(run_one(one).outcome);
    for (const OutcomeInfo& row : kOutcomes)
        EXPECT_TRUE(seen.contains(row.outcome)) << "no case ends as " << row.name;
}

TEST(Pipeline, HasACaseForEveryForwardingMode) {
    std::set<ForwardMode> seen;
    for (const Case& one : forwarded_cases()) {
        const Ended ended = run_one(one);
        const Snapshot snapshot = small_world().snapshot;
        if (ended.outcome != Outcome::Forwarded) continue;
        const PoolId pool = snapshot.backends[index(ended.backend.value())].pool;
        seen.insert(snapshot.pools[index(pool)].mode);
    }
    EXPECT_EQ(seen.size(), kForwardModes.size());
}

TEST(Pipeline, EndsEveryCutOfAFrame) {
    const World here = small_world();
    const Bytes whole = to_nat().sip(invite()).build();
    for (std::size_t length = 0; length < whole.size(); ++length) {
        const Bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
        const Ended ended = run(here, {cut}).at(0);
        EXPECT_EQ(ended.outcome, length < 14 ? Outcome::BadFrame : Outcome::BadIp) << length;
        EXPECT_EQ(ended.bytes, cut);
    }
}

/// Good frames of every case, and what chance makes of them.
Bytes random_frame(std::mt19937& random, const std::vector<Bytes>& samples) {
    Bytes bytes = samples[random() % samples.size()];
    switch (random() % 5) {
    case 0:
        return bytes;
    case 1:
        bytes.resize(random() % (bytes.size() + 1));
        return bytes;
    case 2:
        for (std::byte& byte : bytes)
            byte = static_cast<std::byte>(random());
        return bytes;
    default:
        for (auto change = 1 + random() % 8; change > 0; --change)
            bytes[12 + random() % (bytes.size() - 12)] = static_cast<std::byte>(random());
        return bytes;
    }
}

std::vector<Bytes> samples() {
    std::vector<Bytes> samples;
    for (const Case& one : all_cases())
        samples.push_back(one.in.build());
    return samples;
}

TEST(Pipeline, EndsEveryFrameOfAnyBurstExactlyOnce) {
    std::mt19937 random(32);
    const World here = world();
    const std::vector<Bytes> good = samples();
    for (int round = 0; round < 3'000; ++round) {
        std::vector<Bytes> frames(1 + random() % kMaxBurst);
        for (Bytes& frame : frames)
            frame = random_frame(random, good);
        const auto all_ended = run(here, frames); // received = sum of outcomes: see run()
        for (std::size_t at = 0; at < frames.size(); ++at) {
            const Ended& ended = all_ended[at];
            ASSERT_NE(ended.outcome, Outcome::Internal);
            ASSERT_EQ(ended.sent,
                      ended.outcome == Outcome::Forwarded || ended.outcome == Outcome::Returned ||
                          ended.outcome == Outcome::Rejected);
            ASSERT_LE(ended.bytes.size(), frames[at].size()); // these modes never grow a frame
            ASSERT_TRUE(ended.bytes.size() == frames[at].size() ||
                        ended.outcome == Outcome::Rejected);
            ASSERT_TRUE(ended.sent || ended.bytes == frames[at]);
        }
    }
}

TEST(Pipeline, DecidesAFrameAloneAsAmongAnyOthers) {
    std::mt19937 random(7);
    const World here = world();
    const std::vector<Bytes> good = samples();
    for (int round = 0; round < 300; ++round) {
        std::vector<Bytes> frames(kMaxBurst);
        for (Bytes& frame : frames)
            frame = random_frame(random, good);
        const std::vector<Ended> together = run(here, frames);
        std::vector<Bytes> turned(frames.rbegin(), frames.rend());
        const std::vector<Ended> other_way = run(here, turned);
        for (std::size_t at = 0; at < frames.size(); ++at) {
            ASSERT_EQ(run(here, {frames[at]}).at(0), together[at]);
            ASSERT_EQ(other_way[kMaxBurst - 1 - at], together[at]);
        }
    }
}

TEST(Pipeline, KeepsAllMessagesOfACallOnOneBackend) {
    const World here = world();
    std::set<BackendId> used;
    for (int call = 0; call < 100; ++call) {
        const std::string id = "call-" + std::to_string(call) + "@192.0.2.7";
        const auto message = [&](MessageBuilder builder) {
            return to_dsr().sip(builder.call_id(id)).build();
        };
        auto compact = request("CANCEL").replace("Call-ID", "i\t:\r\n " + id);
        const auto ended = run(here,
                               {message(invite()),
                                message(request("ACK").to_tag("1")),
                                message(bye()),
                                message(response(200, "OK")),
                                to_dsr().sip(compact).build(),
                                frame()
                                    .ipv4(kNeighbour, kDsrVip) // the callee's side
                                    .udp(5062, 5060)
                                    .sip(bye().call_id(id).via("SIP/2.0/UDP other"))
                                    .build()});
        for (const Ended& one : ended)
            EXPECT_EQ(one.backend, ended[0].backend) << id;
        used.insert(ended[0].backend.value());
    }
    EXPECT_EQ(used.size(), 3U);
}

TEST(Pipeline, GivesANatClientItsAnswerFromWhereItAsked) {
    const World here = world();
    for (int call = 0; call < 50; ++call) {
        const std::string id = std::to_string(call);
        const Ended there = run(here, {to_nat().sip(invite().call_id(id)).build()}).at(0);
        ASSERT_EQ(there.outcome, Outcome::Forwarded);
        // The backend answers to where the request came from, from where it was sent to.
        const auto ip_in = header_at<Ipv4Header>(there.bytes, 14);
        const auto udp_in = header_at<UdpHeader>(there.bytes, 34);
        const auto answer = frame()
                                .macs("02:00:00:00:02:01", kPort1Mac)
                                .ipv4(dotted(ip_in.destination), dotted(ip_in.source))
                                .udp(udp_in.destination_port.host(), udp_in.source_port.host())
                                .sip(response(200, "OK").call_id(id));
        const Ended back = run(here, {answer.build()}, PortId{1}).at(0);
        EXPECT_EQ(back.outcome, Outcome::Returned);
        EXPECT_EQ(back.backend, there.backend);
        EXPECT_EQ(back.bytes, at_client().sip(response(200, "OK").call_id(id)).build());
    }
}

// ---- calls that backends begin

/// A world with a table of calls, in which n1 and n2 share the slots.
World nat_world() {
    World here = world();
    here.give_call_table();
    Pool& pool = here.snapshot.pools[index(kInside)];
    pool.marks = std::make_shared<SlotMarks>();
    pool.lifetimes.silence = 900;
    return here;
}
constexpr std::string_view kN1Address = "203.0.113.21";
constexpr std::string_view kN2Address = "203.0.113.22";

Ended pass(const World& here, const FrameBuilder& in) {
    return run(here, {in.build()}).at(0);
}
MessageBuilder inside(MessageBuilder message, const std::string& id) {
    return message.call_id(id).to_tag("callee");
}
FrameBuilder outward(std::string_view backend) {
    return frame().ipv4(backend, kClient).udp(kNatUdpPort, 40'000);
}
FrameBuilder between(std::string_view backend) {
    return frame().ipv4(backend, kNatVip).udp(kNatUdpPort, 5060);
}

TEST(BackendsCalls, AnswersAndRequestsComeBackToTheOneThatBeganThem) {
    const World here = nat_world();
    std::size_t elsewhere = 0;
    for (int call = 0; call < 64; ++call) {
        const std::string id = "out-" + std::to_string(call);
        elsewhere += pass(here, to_nat().sip(bye().call_id(id + "?"))).backend != kN1;
        ASSERT_EQ(pass(here, outward(kN1Address).sip(invite().call_id(id))).outcome,
                  Outcome::Returned);
        for (const MessageBuilder& message : {response(180, "Ringing").call_id(id),
                                              inside(response(200, "OK"), id),
                                              inside(request("OPTIONS"), id),
                                              inside(bye(), id)}) {
            const Ended ended = pass(here, to_nat().sip(message));
            ASSERT_EQ(ended.outcome, Outcome::Forwarded);
            ASSERT_EQ(ended.backend, kN1) << id;
        }
    }
    EXPECT_GT(elsewhere, 10U) << "or nothing was shown";
}

TEST(BackendsCalls, WhatTheyAskOnceIsRememberedForItsAnswerAlone) {
    World here = nat_world();
    here.snapshot.pools[index(kInside)].lifetimes.transaction = 3;
    std::size_t remembered = 0;
    for (int ping = 0; ping < 64; ++ping) {
        const std::string id = "ping-" + std::to_string(ping);
        ASSERT_EQ(pass(here, outward(kN1Address).sip(request("OPTIONS").call_id(id))).outcome,
                  Outcome::Returned);
        ASSERT_EQ(pass(here, to_nat().sip(response(200, "OK").call_id(id).cseq("314159 OPTIONS")))
                      .backend,
                  kN1);
        SipDigest digest;
        digest.call_id = id;
        const Pool& pool = here.snapshot.pools[index(kInside)];
        const auto call = here.calls.find(steering_hash(pool, digest), CallTime(1));
        if (!call) continue; // the slots say so anyway
        ++remembered;
        ASSERT_LE(call->deadline.left(CallTime(1)), 4);
        ASSERT_EQ(call->state, CallState::Refused) << "it is no call";
    }
    EXPECT_GT(remembered, 10U);
}

TEST(BackendsCalls, AFloodDoesNotTouchThem) {
    const World here = nat_world();
    std::uint32_t nothing_left = 0;
    for (int call = 0; call < 32; ++call) {
        const std::string id = "out-" + std::to_string(call);
        Bytes bytes = outward(kN1Address).sip(invite().call_id(id)).build();
        auto burst = std::make_unique<Burst>();
        set_frame(*burst, 0, bytes.data(), static_cast<std::uint32_t>(bytes.size()), PortId{0});
        burst->count = 1;
        PipelineView view = here.view();
        view.budget = &nothing_left;
        run_pipeline(view, *burst);
        ASSERT_EQ(pass(here, to_nat().sip(inside(response(200, "OK"), id))).backend, kN1);
    }
}

TEST(BackendsCalls, LeaveClientsCallsWhereTheyAre) {
    const World here = nat_world();
    for (int call = 0; call < 64; ++call) {
        const std::string id = "in-" + std::to_string(call);
        const auto owner = pass(here, to_nat().sip(invite().call_id(id))).backend;
        const auto address = owner == kN1 ? kN1Address : kN2Address;
        // A re-INVITE and an answer by the callee's side.
        ASSERT_EQ(pass(here, outward(address).sip(inside(invite(), id))).outcome,
                  Outcome::Returned);
        ASSERT_EQ(pass(here, outward(address).sip(inside(response(200, "OK"), id))).outcome,
                  Outcome::Returned);
        ASSERT_EQ(pass(here, to_nat().sip(inside(bye(), id))).backend, owner);
    }
    EXPECT_FALSE(here.snapshot.pools[index(kInside)].marks->any()) << "nothing was remembered";
}

TEST(BackendsCalls, ToTheVipArriveThereAndComeBack) {
    const World here = nat_world();
    std::set<BackendId> callees;
    for (int call = 0; call < 64; ++call) {
        const std::string id = "between-" + std::to_string(call);
        const Ended first = pass(here, between(kN1Address).sip(invite().call_id(id)));
        ASSERT_EQ(first.outcome, Outcome::Forwarded);
        const BackendId callee = first.backend.value();
        callees.insert(callee);
        const auto address = callee == kN1 ? kN1Address : kN2Address;
        // It sees the call come from the VIP, and answers there.
        EXPECT_EQ(first.bytes,
                  frame()
                      .macs(kPort1Mac, callee == kN1 ? "02:00:00:00:02:01" : "02:00:00:00:02:02")
                      .ipv4(kNatVip, address)
                      .ttl(63)
                      .udp(5060, kNatUdpPort)
                      .sip(invite().call_id(id))
                      .build());
        const auto to_callee = [&](const MessageBuilder& message) {
            return pass(here, between(kN1Address).sip(message)).backend;
        };
        const auto to_caller = [&](const MessageBuilder& message) {
            return pass(here, between(address).sip(message)).backend;
        };
        ASSERT_EQ(to_callee(invite().call_id(id)), callee) << "repeated";
        ASSERT_EQ(to_caller(response(180, "Ringing").call_id(id)), kN1);
        ASSERT_EQ(to_caller(inside(response(200, "OK"), id)), kN1);
        ASSERT_EQ(to_callee(inside(request("ACK"), id)), callee);
        ASSERT_EQ(to_caller(inside(invite(), id)), kN1);
        ASSERT_EQ(to_callee(inside(response(200, "OK"), id)), callee);
        ASSERT_EQ(to_caller(inside(bye(), id)), kN1);
        ASSERT_EQ(to_callee(inside(response(200, "OK"), id)), callee);
    }
    EXPECT_EQ(callees.size(), 2U) << "n1 itself is called, too";
}

TEST(BackendsCalls, InsideAClientsCallGoToItsOwnerOrAreRefused) {
    const World here = nat_world();
    for (int call = 0; call < 16; ++call) {
        const std::string id = "client-" + std::to_string(call);
        const auto owner = pass(here, to_nat().sip(invite().call_id(id))).backend;
        const bool is_n1 = owner == kN1;
        const auto from_owner = [&](const MessageBuilder& message) {
            return pass(here, between(is_n1 ? kN1Address : kN2Address).sip(inside(message, id)));
        };
        for (const char* method : {"INVITE",
                                   "BYE",
                                   "CANCEL",
                                   "PRACK",
                                   "UPDATE",
                                   "INFO",
                                   "NOTIFY",
                                   "SUBSCRIBE",
                                   "REFER",
                                   "MESSAGE",
                                   "OPTIONS",
                                   "REGISTER",
                                   "PUBLISH",
                                   "FROB"}) {
            const MessageBuilder message = request(method).via(
                "SIP/2.0/UDP " + std::string(kNatVip) + ":5060;branch=z9hG4bK1");
            const Ended refused = from_owner(message);
            ASSERT_EQ(refused.outcome, Outcome::Rejected) << method;
            const auto udp = header_at<UdpHeader>(refused.bytes, 34);
            EXPECT_EQ(udp.destination_port.host(), kNatUdpPort) << "from where it sent";
            EXPECT_EQ(header_at<Ipv4Header>(refused.bytes, 14).destination.host(),
                      ip(is_n1 ? kN1Address : kN2Address).value);
        }
        for (const MessageBuilder& message :
             {request("ACK"), response(100, "Trying"), response(200, "OK"), response(481, "x")})
            ASSERT_EQ(from_owner(message).outcome, Outcome::BackendToVip);
        ASSERT_EQ(pass(here, to_nat().sip(inside(bye(), id))).backend, owner) << "the client's";

        const auto other = is_n1 ? kN2Address : kN1Address;
        const Ended arrived = pass(here, between(other).sip(inside(request("INFO"), id)));
        ASSERT_EQ(arrived.outcome, Outcome::Forwarded);
        ASSERT_EQ(arrived.backend, owner);
    }
}

TEST(BackendsCalls, AreRefusedWhereTheOtherEndIsDead) {
    const struct {
        OnDeadOwner policy;
        Outcome bye;
    } rows[] = {{OnDeadOwner::Resteer, Outcome::Rejected},
                {OnDeadOwner::Reject, Outcome::Rejected},
                {OnDeadOwner::Drop, Outcome::DeadOwner}};
    for (const auto& row : rows) {
        World here = nat_world();
        here.snapshot.pools[index(kInside)].on_dead_owner = row.policy;
        std::string id = "between";
        while (pass(here, between(kN1Address).sip(invite().call_id(id))).backend != kN2)
            id += "+";
        ASSERT_EQ(pass(here, between(kN2Address).sip(inside(request("INFO"), id))).backend, kN1);
        here.snapshot.backends[index(kN1)].life = BackendLife::Dead;
        EXPECT_EQ(pass(here, between(kN2Address).sip(inside(bye(), id))).outcome, row.bye);
        EXPECT_EQ(pass(here, between(kN2Address).sip(inside(request("ACK"), id))).outcome,
                  Outcome::DeadOwner);
    }
}

TEST(LeastTransactions, SeesWhatNatBackendsAnswer) {
    World here = nat_world();
    auto picker = std::make_shared<Picker>();
    picker->by = SteerBy::LeastTransactions;
    picker->members = {{kN1, 1}, {kN2, 1}};
    picker->sequence = {0, 1};
    picker->loads = std::make_shared<BackendLoads>();
    picker->work.fill(4);
    Pool& pool = here.snapshot.pools[index(kInside)];
    pool.picker = picker;
    pool.tracking = Tracking::AllCalls;
    pool.transaction_hash = hash_prefix(here.snapshot.secret, 0x2222, KeyType::Transaction);
    here.snapshot.vips[index(kNattedVip)].read_rules.want = kWantForCalls;
    const auto work = [&](BackendId id) { return (*picker->loads)[index(id)].work(); };
    const std::string via = "SIP/2.0/UDP 192.0.2.7:40000;branch=z9hG4bK-";
    for (int call = 0; call < 60; ++call) {
        const std::string id = std::to_string(call);
        const bool by_backend = call % 3 == 2; // its caller is n1, through the VIP
        const MessageBuilder begins = invite().call_id(id).via(via + id);
        const auto chosen =
            pass(here, by_backend ? between(kN1Address).sip(begins) : to_nat().sip(begins)).backend;
        ASSERT_TRUE(chosen);
        ASSERT_EQ(work(kN1) + work(kN2), 4U);
        const auto answer = [&](int status) {
            const auto address = chosen == kN1 ? kN1Address : kN2Address;
            const std::string text =
                response(status, "x").call_id(id).cseq("1 INVITE").via(via + id).text();
            const std::string line_breaks = call % 3 == 1 ? "\r\n" : ""; // may be a request
            FrameBuilder from = by_backend ? between(address) : outward(address);
            const Ended ended = pass(here, from.payload(line_breaks + text));
            ASSERT_EQ(ended.outcome, by_backend ? Outcome::Forwarded : Outcome::Returned);
        };
        answer(180);
        ASSERT_EQ(work(*chosen), 4U);
        answer(200);
        ASSERT_EQ(work(*chosen), 0U);
        answer(200);
        ASSERT_EQ(work(*chosen), 0U);
    }
}

} // namespace
} // namespace viaduct::test
