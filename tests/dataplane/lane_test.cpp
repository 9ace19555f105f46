// SPDX-License-Identifier: Apache-2.0
// The lane and the stages do the same with every frame. corpora and frame_fuzz try more of them.
#include "both_ways.hpp"
#include "corpus.hpp"
#include "lane_worlds.hpp"
#include "world.hpp"

#include <functional>
#include <gtest/gtest.h>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace viaduct::test {
namespace {

struct Condition {
    const char* name;
    std::function<void(World&)> set;
};

/// Of pools that remember all calls.
std::vector<Condition> conditions_of_remembering() {
    return {
        {"every call is remembered", [](World& w) { remember_all(w); }},
        {"every call is remembered, and half of the slots have moved",
         [](World& w) {
             unsettle_half(w);
             remember_all(w);
         }},
        {"every call is remembered, half of the slots have moved, and backends are chosen by turn",
         [](World& w) {
             unsettle_half(w);
             remember_all(w, picker(SteerBy::RoundRobin));
         }},
        {"every call is remembered, and the VIP reads the Call-ID only",
         [](World& w) {
             remember_all(w);
             w.snapshot.vips[0].read_rules.want = Want::CallReference;
         }},
        {"every call is remembered, and a backend is down",
         [](World& w) {
             remember_all(w);
             w.snapshot.backends[index(kB2)].life = BackendLife::Dead;
             w.snapshot.pools[0].on_dead_owner = OnDeadOwner::Reject;
         }},
        {"every call is remembered, and backends are chosen by turn",
         [](World& w) { remember_all(w, picker(SteerBy::RoundRobin)); }},
        {"every call is remembered, and the backend with the fewest calls is chosen",
         [](World& w) { remember_all(w, picker(SteerBy::LeastCalls)); }},
        {"every call is remembered, and a backend is unresolved", [](World& w) {
             remember_all(w);
             w.next_hops.hops[0].mac.reset();
         }}};
}

/// Everything that makes a packet common or not, besides the packet itself. The last one has two
/// VIPs.
std::vector<Condition> all_conditions() {
    std::vector<Condition> all{
        {"nothing", [](World&) {}},
        {"a disabled VIP", [](World& w) { w.snapshot.vips[0].enabled = false; }},
        {"unknown health", [](World& w) { w.snapshot.pools[0].health_known = false; }},
        {"no slots", [](World& w) { w.snapshot.pools[0].slots = nullptr; }},
        {"slots without owner",
         [](World& w) {
             w.deal_slots(kProxies, {kB1, kNoBackend});
         }},
        {"an unresolved backend", [](World& w) { w.next_hops.hops[0].mac.reset(); }},
        {"a fallback MAC",
         [](World& w) {
             w.next_hops.hops[0].mac.reset();
             w.next_hops.fallback = mac(kGatewayMac);
         }},
        {"no next hops yet", [](World& w) { w.next_hops.hops.clear(); }},
        {"a small MTU", [](World& w) { w.links[0].max_frame_bytes = 600; }},
        {"a backend on the other port", [](World& w) { w.next_hops.hops[1].link = LinkId{1}; }},
        {"any destination MAC", [](World& w) { w.links[0].any_destination = true; }},
        {"a lenient VIP", [](World& w) { w.snapshot.vips[0].read_rules.lenient = true; }},
        {"few header lines", [](World& w) { w.snapshot.vips[0].read_rules.max_header_lines = 9; }},
        {"a whole reading", [](World& w) { w.snapshot.vips[0].read_rules.want = kWantForCalls; }},
        {"a nat pool", [](World& w) { w.snapshot.vips[0].pool = kInside; }},
        {"a previous pool",
         [](World& w) {
             w.snapshot.vips[0].previous = kInside;
             for (Pool& pool : w.snapshot.pools)
                 pool.tracking = Tracking::AllCalls;
             w.give_call_table();
         }},
        {"half of the slots have moved", unsettle_half}};
    for (Condition& one : conditions_of_remembering())
        all.push_back(std::move(one));
    all.push_back({"two such VIPs", add_second_vip});
    return all;
}

const std::vector<Condition>& conditions() {
    static const std::vector<Condition> all = all_conditions();
    return all;
}

/// Two worlds under the same condition, each with its own table of calls and marks.
class BothWays : public ::testing::TestWithParam<std::size_t> {
protected:
    BothWays() {
        condition().set(lane_);
        condition().set(stages_);
    }
    [[nodiscard]] static const Condition& condition() { return conditions()[GetParam()]; }

    void send(const std::vector<Bytes>& frames, PortId rx_port = PortId{0}) {
        const BurstResult by_lane = run(run_pipeline, lane_.view(), frames, rx_port);
        const BurstResult by_stages = run(run_stages, stages_.view(), frames, rx_port);
        ASSERT_EQ(by_lane.order, by_stages.order) << condition().name;
        ASSERT_EQ(by_lane.remembered, by_stages.remembered) << condition().name;
        for (std::size_t i = 0; i < frames.size(); ++i)
            ASSERT_EQ(by_lane.frames[i], by_stages.frames[i])
                << condition().name << ", frame " << i << ":\n"
                << std::string(reinterpret_cast<const char*>(frames[i].data()), frames[i].size());
    }
    void expect_equal_tables() const {
        if (!lane_.own_calls) return;
        const auto words = lane_.own_calls->words;
        EXPECT_TRUE(std::equal(words.begin(),
                               words.end(),
                               stages_.own_calls->words.begin(),
                               [](const CallTable::Word& a, const CallTable::Word& b) {
                                   return a.load() == b.load();
                               }));
    }

    World lane_ = world();
    World stages_ = world();
};

TEST_P(BothWays, EveryMessageOfTheCorpusAndItsPrefixes) {
    std::vector<Bytes> burst;
    for (const CorpusMessage& message : corpus())
        for (std::size_t size = 0; size <= message.text.size(); size += size < 1200 ? 7 : 501) {
            burst.push_back(to_dsr().payload(message.text.substr(0, size)).build());
            if (burst.size() < kMaxBurst) continue;
            send(burst);
            if (HasFatalFailure()) return;
            burst.clear();
        }
    send(burst);
    expect_equal_tables();
}

/// A message of one of 40 calls.
std::string made_message(std::mt19937& random) {
    static const std::vector<std::string> methods{
        "INVITE", "ACK", "BYE", "REGISTER", "OPTIONS", "CANCEL", "SUBSCRIBE", "NOTIFY", "REFER"};
    const std::string& method = methods[random() % methods.size()];
    const std::string call = std::to_string(random() % 40);
    const bool is_response = random() % 3 == 0;
    std::string text = is_response ? "SIP/2.0 " + std::to_string(100 + random() % 500) + " Fine"
                                   : method + " sip:bob@example.org SIP/2.0";
    text += "\r\nVia: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK" + call + "\r\nMax-Forwards: 70\r\n";
    if (random() % 4 == 0) text += "Contact: <sip:a@192.0.2.7>\r\n";
    if (random() % 6 == 0) text += "Replaces: call-1@a;to-tag=1;from-tag=2\r\n";
    text += "To: <sip:bob@example.org>";
    if (is_response || random() % 3 == 0) text += ";tag=b" + call;
    text += "\r\nFrom: <sip:ana@example.org>;tag=f1\r\n";
    text += (random() % 5 == 0 ? "i: call-" : "Call-ID: call-") + call +
            std::string(call.size() == 1 ? 70 : 3, 'x') + "@198.51.100.7\r\n";
    if (random() % 20 == 0) text += "Call-ID: another\r\n";
    text += "CSeq: 1 " + method + "\r\nContent-Length: 0\r\n";
    if (random() % 20 != 0) text += "\r\n";
    if (random() % 3 == 0) text += std::string(random() % 900, 'v');
    return text;
}

TEST_P(BothWays, RandomBurstsOfAllKindsOfFrames) {
    std::mt19937 random(static_cast<unsigned>(GetParam()) + 17);
    const auto below = [&](std::size_t count) { return random() % count; };
    for (int round = 0; round < 4'000; ++round) {
        std::vector<Bytes> burst;
        for (std::size_t count = 1 + below(kMaxBurst); burst.size() < count;) {
            FrameBuilder builder = to_dsr();
            if (below(GetParam() + 1 == conditions().size() ? 2 : 8) == 0)
                builder = frame().ipv4(kClient, kNatVip).udp(40'000, 5060);
            if (below(12) == 0)
                builder = frame().ipv4("203.0.113.21", kDsrVip).udp(kNatUdpPort, 5060);
            if (below(12) == 0) builder = frame().ipv4("0.0.0.0", "0.0.0.0").udp(0, 0);
            if (below(12) == 0) builder.ip_options(Bytes(4, std::byte{1}));
            if (below(12) == 0) builder.vlan(7);
            if (below(12) == 0) builder.fragment(0, true);
            Bytes bytes = builder.payload(made_message(random)).build();
            if (below(6) == 0) // in the headers as a rule
                bytes[below(4) == 0 ? below(bytes.size()) : below(42)] =
                    static_cast<std::byte>(random());
            if (below(16) == 0) bytes.resize(below(bytes.size()));
            if (below(16) == 0) bytes.resize(bytes.size() + below(20)); // padding
            burst.push_back(std::move(bytes));
        }
        send(burst, PortId{static_cast<std::uint8_t>(below(20) == 0)});
        if (HasFatalFailure()) return;
    }
    expect_equal_tables();
}

INSTANTIATE_TEST_SUITE_P(Lane, BothWays, ::testing::Range(std::size_t{0}, conditions().size()));

TEST(Lane, TakesTheCommonPacketAndLeavesTheRest) {
    const World here = world();
    std::vector<Bytes> frames;
    for (int i = 0; i < 5; ++i)
        frames.push_back(to_dsr().sip(invite().call_id("call-" + std::to_string(i))).build());
    frames[1] = frame().ipv4(kClient, kNatVip).udp(40'000, 5060).sip(invite()).build();
    frames[3] = to_dsr().sip(invite().call_id("one@x").line("i: other@x")).build();
    frames[4] = to_dsr().sip(invite().call_id(std::string(200, 'c') + "@long")).build();
    const auto burst = std::make_unique<Burst>();
    const LaneResult result = lane_of(here, frames, *burst);
    EXPECT_EQ(result.sent, 0b10101U);
    EXPECT_EQ(result.digested, 0b01000U) << "its digest is known, and has a defect";
    EXPECT_EQ(burst->frames[3].digest.defect, Defect::AmbiguousCallId);
}

TEST(Lane, TakesTheWholeOfABurstToTwoVips) {
    World here = world();
    add_second_vip(here);
    std::vector<Bytes> frames;
    for (std::size_t i = 0; i < kMaxBurst; ++i)
        frames.push_back(frame()
                             .ipv4(kClient, i % 3 == 0 ? kNatVip : kDsrVip)
                             .udp(40'000, 5060)
                             .sip(invite().call_id("call-" + std::to_string(i)))
                             .build());
    const auto burst = std::make_unique<Burst>();
    EXPECT_EQ(lane_of(here, frames, *burst).sent, 0xffff'ffffU);
    for (std::size_t i = 0; i < kMaxBurst; ++i)
        EXPECT_EQ(burst->frames[i].pool(), i % 3 == 0 ? kInside : kProxies) << i;
}

TEST(Lane, TakesNewAndKnownCallsOfAPoolThatRemembersAll) {
    World here = world();
    remember_all(here, picker(SteerBy::RoundRobin));
    for (const char* const method : {"INVITE", "ACK"}) {
        std::vector<Bytes> frames;
        for (int i = 0; i < 8; ++i)
            frames.push_back(
                to_dsr()
                    .sip(MessageBuilder(std::string(method) + " sip:b@x SIP/2.0", method)
                             .call_id("call-" + std::to_string(i)))
                    .build());
        const auto burst = std::make_unique<Burst>();
        EXPECT_EQ(lane_of(here, frames, *burst).sent, 0xffU) << method;
        for (std::size_t i = 0; i < frames.size(); ++i)
            EXPECT_EQ(burst->frames[i].target.backend, i % 2 == 0 ? kB1 : kB2) << method << i;
        EXPECT_EQ(burst->calls.remembered, std::string_view(method) == "INVITE" ? 8U : 0U);
    }
}

} // namespace
} // namespace viaduct::test
