// SPDX-License-Identifier: Apache-2.0
// The table of calls changes in the order of arrival, whichever frames of a burst the lane takes.
#include "both_ways.hpp"
#include "lane_worlds.hpp"
#include "steer_by.hpp"

#include <gtest/gtest.h>
#include <string>
#include <utility>
#include <vector>

namespace viaduct::test {
namespace {

TEST(LaneOrder, SteersNoCallBehindAFrameThatMayChangeTheTable) {
    World here = world();
    remember_all(here);
    std::vector<Bytes> frames;
    for (int i = 0; i < 5; ++i)
        frames.push_back(to_dsr().sip(invite().call_id("call-" + std::to_string(i))).build());
    frames[1] = to_dsr().payload("\r\n\r\n").build(); // a keep-alive changes nothing
    frames[3] = frame()
                    .ipv4(kClient, kDsrVip)
                    .udp(40'000, 5060)
                    .ip_options(Bytes(4, std::byte{1}))
                    .sip(invite().call_id("call-4"))
                    .build();
    const auto burst = std::make_unique<Burst>();
    const LaneResult result = lane_of(here, frames, *burst);
    EXPECT_EQ(result.sent, 0b00101U);
    EXPECT_EQ(result.digested, 0b10010U);
    EXPECT_EQ(result.steered | result.ended, 0U);
}

/// The response to a request that was sent on in a moved slot goes back to the backend that got the
/// request, though its Call-ID is remembered at another one since.
TEST(LaneOrder, LeadsResponsesBackToTheBackendOfTheirRequest) {
    for (const Path path : {&run_pipeline, &run_stages}) {
        World here = world();
        unsettle_half(here); // their old owner is b3
        remember_all(here);
        here.snapshot.pools[index(kProxies)].lifetimes.transaction = 16;
        std::string call_id = "x-0";
        const auto leads_away = [&] {
            const Steering now = steer_by(here.snapshot, kProxies, call_id);
            return now.slot_state == SlotState::Moved && now.backend != kB3;
        };
        for (int i = 1; !leads_away(); ++i)
            call_id = "x-" + std::to_string(i);
        const auto send = [&](const std::string& first_line, const char* method, bool inside) {
            const std::string text = first_line +
                                     "\r\nVia: SIP/2.0/UDP 192.0.2.7;branch=z9hG4bK1\r\n"
                                     "From: <sip:a@x>;tag=1\r\nTo: <sip:b@x>" +
                                     (inside ? ";tag=2" : "") + "\r\nCall-ID: " + call_id +
                                     "\r\nCSeq: 1 " + method + "\r\n\r\n";
            return run(path, here.view(), {to_dsr().payload(text).build()}).frames[0].backend;
        };
        const auto asked = send("OPTIONS sip:b@x SIP/2.0", "OPTIONS", false);
        EXPECT_NE(asked, kB3);
        EXPECT_EQ(send("INFO sip:b@x SIP/2.0", "INFO", true), kB3);
        EXPECT_EQ(send("SIP/2.0 200 OK", "OPTIONS", true), asked);
    }
}

/// An INVITE that joins another call goes to that call's backend, and what follows it in the same
/// burst has to go there, too. The lane reads no frame with IP options.
TEST(LaneOrder, SeesTheMarksOfEarlierFramesOfTheBurst) {
    for (const auto& [path, options] : {std::pair{&run_pipeline, 0},
                                        std::pair{&run_pipeline, 4},
                                        std::pair{&run_stages, 0},
                                        std::pair{&run_stages, 4}}) {
        World here = world();
        here.give_call_table();
        Pool& pool = here.snapshot.pools[index(kProxies)];
        pool.marks = std::make_shared<SlotMarks>();
        pool.lifetimes.silence = 900;
        const auto owner_of = [&](const std::string& call_id) {
            return steer_by(here.snapshot, kProxies, call_id).backend;
        };
        std::string other = "b-0";
        for (int i = 1; owner_of(other) == owner_of("a"); ++i)
            other = "b-" + std::to_string(i);
        const std::vector<Bytes> frames{
            to_dsr()
                .ip_options(Bytes(static_cast<std::size_t>(options), std::byte{1}))
                .sip(invite().call_id(other).line("Replaces: a;to-tag=1;from-tag=2"))
                .build(),
            to_dsr()
                .sip(MessageBuilder("CANCEL sip:bob@example.org SIP/2.0", "CANCEL").call_id(other))
                .build()};
        const BurstResult result = run(path, here.view(), frames);
        EXPECT_EQ(result.frames[0].backend, owner_of("a"));
        EXPECT_EQ(result.frames[1].backend, owner_of("a"));
    }
}

} // namespace
} // namespace viaduct::test
