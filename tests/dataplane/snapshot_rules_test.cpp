// SPDX-License-Identifier: Apache-2.0
#include "valid_snapshot.hpp"
#include "world.hpp"

#include <functional>
#include <gtest/gtest.h>
#include <string_view>
#include <vector>

namespace viaduct::test {

TEST(SnapshotRules, HoldForTheWorldOfTheTests) {
    expect_valid(world().snapshot);
}

TEST(SnapshotRules, SayWhichOneIsBroken) {
    struct Case {
        std::string_view rule;
        std::function<void(Snapshot&)> breaks;
    };
    const auto picker = [](SteerBy by) {
        auto made = std::make_shared<Picker>();
        made->by = by;
        made->loads = std::make_shared<BackendLoads>();
        made->turn = std::make_shared<std::atomic<std::uint64_t>>(0);
        return made;
    };
    const std::vector<Case> cases{
        {"a pool with keys looks up every message",
         [](Snapshot& s) { s.pools[0].keys = std::make_shared<PoolKeys>(); }},
        {"only a pool with keys remembers calls by key",
         [](Snapshot& s) { s.pools[0].tracking = Tracking::Keys; }},
        {"a pool with a picker remembers all calls: no slot shows where they are",
         [&](Snapshot& s) { s.pools[0].picker = picker(SteerBy::RoundRobin); }},
        {"requests are counted only where their responses pass",
         [&](Snapshot& s) {
             s.pools[0].picker = picker(SteerBy::LeastWork);
             s.pools[0].tracking = Tracking::AllCalls;
         }},
        {"a sequence names members",
         [&](Snapshot& s) {
             auto made = picker(SteerBy::RoundRobin);
             made->sequence = {0};
             s.pools[0].picker = made;
             s.pools[0].tracking = Tracking::AllCalls;
         }},
        {"only a pool whose responses pass has a VIP that they leave from",
         [](Snapshot& s) { s.pools[0].nat_vip = kSipVip; }},
        {"max_call is at most call_lifetime", [](Snapshot& s) { s.pools[0].lifetimes.cap = 7; }},
        {"the pool of a VIP exists", [](Snapshot& s) { s.vips[0].pool = PoolId{9}; }},
        {"every VIP is found by its endpoint",
         [](Snapshot& s) { s.vips[0].endpoint.udp_port = 5061; }},
        {"only a VIP with a previous pool moves", [](Snapshot& s) { s.vips[0].has_moved = true; }},
        {"the previous pool of a VIP is another one",
         [](Snapshot& s) { s.vips[0].previous = s.vips[0].pool; }},
        {"both pools of a VIP that moves remember all calls",
         [](Snapshot& s) { s.vips[0].previous = kInside; }},
        {"the pool of a backend exists", [](Snapshot& s) { s.backends[0].pool = PoolId{9}; }},
        {"an id that is not in use is disabled", [](Snapshot& s) { s.backends[0].name.clear(); }},
    };
    for (const Case& one : cases) {
        World here = world();
        one.breaks(here.snapshot);
        EXPECT_EQ(broken_rule(here.snapshot), one.rule);
    }
}

} // namespace viaduct::test
