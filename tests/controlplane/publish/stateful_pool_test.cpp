// SPDX-License-Identifier: Apache-2.0
//
// What the control plane does for pools that remember every call.
#include "config_text.hpp"
#include "control_desk.hpp"
#include "own_table.hpp"
#include "publish/call_sweeper.hpp"
#include "publish/publish.hpp"

#include "viaduct/steering/steer.hpp"

#include <array>
#include <cstdlib>
#include <gtest/gtest.h>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace viaduct::test {

namespace {

constexpr SteeringSecret kSecret{7};
constexpr PoolId kProxies{0};

struct Office {
    Config config;
    PoolModel model;
    Publisher publisher;

    explicit Office(SteerBy by)
        : config(with(by)), model(config), publisher(config, kSecret, 40'000) {
        for (const BackendState& backend : model.backends())
            model.set_health(backend.id, Health::Up, "");
    }
    static Config with(SteerBy by) {
        Config config = desk_config();
        config.pools[0].steering = by;
        // Requests are counted only where their responses pass.
        if (by == SteerBy::LeastTransactions || by == SteerBy::LeastWork)
            config.pools[0].mode = ForwardMode::Nat;
        config.pools[0].backends[0].weight = 200;
        config.pools[0].backends[1].max_calls = 50;
        return config;
    }
};

/// An office whose pool gets requests.
struct Traffic {
    explicit Traffic(SteerBy by, std::size_t words = kManyWords)
        : office(by), own(words), sweeper(own.table, office.publisher),
          snapshot(office.publisher.build(office.model)) {}

    BackendId
    send(Method method, const std::string& id, CallTime now, std::string_view branch = "z9hG4bK") {
        SipDigest digest;
        digest.kind = PayloadKind::Request;
        digest.method = method;
        digest.call_id = id;
        digest.from_tag = "a";
        digest.top_via_branch = branch;
        if (method != Method::Invite) digest.to_tag = "b";
        digest.has_to_tag = !digest.to_tag.empty();
        const std::uint64_t hash = steering_hash(snapshot->pools[0], digest);
        return steer({*snapshot, own.table, now}, kProxies, digest, hash).backend.value();
    }
    [[nodiscard]] const BackendLoad& load(std::size_t id) { return office.publisher.loads()[id]; }

    Office office;
    OwnTable own;
    CallSweeper sweeper;
    std::unique_ptr<const Snapshot> snapshot;
};

} // namespace

TEST(StatefulPool, HasWorkersRememberEveryCall) {
    Office office(SteerBy::RoundRobin);
    const auto snapshot = office.publisher.build(office.model);
    const Pool& pool = snapshot->pools[index(kProxies)];
    ASSERT_TRUE(pool.picker);
    EXPECT_TRUE(pool.always_looks_up());
    EXPECT_EQ(pool.picker->by, SteerBy::RoundRobin);
    EXPECT_EQ(pool.picker->members.size(), 3U);
    EXPECT_EQ(pool.picker->sequence.size(), 4U);
    EXPECT_EQ(pool.picker->members[1].max_calls, 50U);
    EXPECT_EQ(pool.picker->members[2].max_calls, Picker::kNoLimit);
    EXPECT_EQ(snapshot->vips[0].read_rules.want, kWantForCalls);
    EXPECT_FALSE(snapshot->pools[1].picker) << "the other pool goes by hash";
    EXPECT_EQ(snapshot->vips[2].read_rules.want, Want::CallReference);
}

TEST(StatefulPool, LetsChangesCountAtOnceAndKeepsWhatIsAsItWas) {
    Office office(SteerBy::LeastCalls);
    const auto first = office.publisher.build(office.model);
    const auto second = office.publisher.build(office.model);
    EXPECT_EQ(first->pools[0].picker, second->pools[0].picker);
    office.model.set_admin(BackendId{2}, Admin::Drain, "");
    const auto drained = office.publisher.build(office.model);
    EXPECT_EQ(drained->pools[0].picker->members.size(), 2U);
    EXPECT_EQ(drained->pools[0].picker->turn, first->pools[0].picker->turn);
    EXPECT_FALSE(office.publisher.generations(kProxies).announced());
}

TEST(StatefulPool, CountsHealWhenByesAreLost) {
    Traffic traffic(SteerBy::LeastCalls);
    CallSweeper& sweeper = traffic.sweeper;
    const auto send = [&](Method method, const std::string& id, CallTime now) {
        static_cast<void>(traffic.send(method, id, now));
    };
    const auto calls = [&] {
        std::uint64_t sum = 0;
        for (std::size_t id = 0; id < 3; ++id)
            sum += traffic.load(id).calls();
        return sum;
    };
    const CallTime start(100);
    for (int i = 0; i < 1'000; ++i) {
        send(Method::Invite, std::to_string(i), start);
        send(Method::Info, std::to_string(i), start);
    }
    EXPECT_EQ(calls(), 1'000U);
    sweep(sweeper, start);
    EXPECT_EQ(calls(), 1'000U) << "a pass finds what the workers counted";
    for (int i = 0; i < 100; ++i)
        send(Method::Bye, std::to_string(i), start);
    EXPECT_EQ(calls(), 900U);
    sweep(sweeper, start);
    EXPECT_EQ(calls(), 900U);
    for (int i = 1'000; i < 1'010; ++i) // never answered, and given up without a word
        send(Method::Invite, std::to_string(i), start);
    EXPECT_EQ(calls(), 910U);
    sweep(sweeper, start.after(20)); // of 15 s each
    EXPECT_EQ(calls(), 900U) << "they rang too long";
    sweep(sweeper, start.after(1'020)); // nobody's BYE came
    EXPECT_EQ(calls(), 0U);
}

// A call may begin and end anywhere in the table, before or behind a pass that goes on.
TEST(StatefulPool, CountsAreExactWhileAPassGoesOn) {
    Traffic traffic(SteerBy::LeastCalls, std::size_t{1} << 20); // sixteen ticks a pass
    CallSweeper& sweeper = traffic.sweeper;
    const CallTime now(100);
    std::array<std::uint64_t, 3> living{};
    std::vector<std::string> open;
    std::minstd_rand random(1);
    TimePoint clock{};
    int placed = 0;
    const auto passes = sweeper.passes() + 20;
    while (sweeper.passes() < passes) {
        for (int i = 0; i < 40; ++i) {
            if (open.empty() || random() % 8 < 5) {
                open.push_back(std::to_string(placed++));
                ++living[index(traffic.send(Method::Invite, open.back(), now))];
            } else {
                std::swap(open[random() % open.size()], open.back());
                --living[index(traffic.send(Method::Bye, open.back(), now))];
                open.pop_back();
            }
        }
        sweeper.tick(now, clock += std::chrono::milliseconds(100));
        for (std::size_t id = 0; id < 3; ++id)
            ASSERT_EQ(traffic.load(id).calls(), living[id]) << placed << " calls placed";
    }
    EXPECT_GT(open.size(), 2'000U);
    EXPECT_EQ(living[1], 50U) << "held while there are more than that";
}

TEST(StatefulPool, ForgetsRequestsThatNobodyAnswers) {
    Traffic traffic(SteerBy::LeastWork);
    CallSweeper& sweeper = traffic.sweeper;
    const CallTime start(100);
    const auto send = [&](Method method, const std::string& id) {
        static_cast<void>(traffic.send(method, id, start, id));
    };
    const auto work = [&] {
        std::uint64_t sum = 0;
        for (std::size_t id = 0; id < 3; ++id)
            sum += traffic.load(id).work();
        return sum;
    };
    for (int i = 0; i < 100; ++i) {
        send(Method::Invite, "i" + std::to_string(i));
        send(Method::Options, "o" + std::to_string(i));
    }
    EXPECT_EQ(work(), 100U * 7 + 100U * 4);
    sweep(sweeper, start);
    EXPECT_EQ(work(), 100U * 7 + 100U * 4) << "a pass finds what the workers counted";
    sweep(sweeper, start.after(5)); // of 15 s each: more than 64*T1
    EXPECT_EQ(work(), 100U * 7);
    sweep(sweeper, start.after(15)); // more than timer C
    EXPECT_EQ(work(), 0U);
}

TEST(StatefulPool, RefusesInTheConfigurationWhatCannotBe) {
    const auto expect =
        [](const std::string& from, const std::string& to, const std::string& text) {
            expect_each(kRich, {{from, to, text}});
        };
    expect("steering = \"hash\"",
           "steering = ^\"least-transactions\"",
           R"(steering = "least-transactions" counts the answers of backends, but with mode = )"
           R"("dsr-l2" answers do not pass through the balancer; use "least-calls")");
    const auto mistakes_with = [](const std::string& text) {
        return mistakes_of(
            change(kRich, "translate_any_port = true", "translate_any_port = true\n" + text));
    };
    for (const char* const good :
         {"steering = \"least-transactions\"",
          "steering = \"least-work\"",
          "steering = \"least-work\"\nwork = { INVITE = 3, other = 0.25 }"})
        EXPECT_EQ(mistakes_with(good), std::vector<std::string>{}) << good;
    expect(
        "translate_any_port = true",
        "translate_any_port = true\nwork = ^{ INVITE = 2 }",
        R"(work has no effect with steering = "hash"; it applies only to steering = "least-work")");
    const std::string wants = "work must be a table of methods (INVITE, BYE, CANCEL, REGISTER, "
                              "OPTIONS, PRACK, SUBSCRIBE, NOTIFY, PUBLISH, INFO, REFER, MESSAGE, "
                              "UPDATE, other), each a number from 0.25 to 50 in steps of 0.25; ";
    for (const auto& [work, found] : std::vector<std::pair<std::string, std::string>>{
             {"{ INVITE = ^0.3 }", "found INVITE = 0.300000"},
             {"{ INVITE = ^51 }", "found INVITE = 51.000000"},
             {"{ INVITE = ^\"x\" }", "found INVITE = a string"},
             {"{ ^ACK = 1 }", "found \"ACK\""},
             {"^7", "found an integer"}})
        expect("translate_any_port = true",
               "translate_any_port = true\nsteering = \"least-work\"\nwork = " + work,
               wants + found);
    expect("weight = 0",
           "weight = 0\nmax_calls = ^10",
           "max_calls needs a pool that counts its calls: steering = \"round-robin\", "
           "\"least-calls\", \"least-transactions\" or \"least-work\"");
    EXPECT_EQ(mistakes_of(change(change(kRich, "steering = \"hash\"", "steering = \"round-robin\""),
                                 "weight = 0",
                                 "weight = 0\nmax_calls = 10")),
              std::vector<std::string>{});
}

TEST(StatefulPool, IsNotForOtherKeysAndTheyAreNotForIt) {
    expect_each(kRich,
                {{"steering = \"hash\"\ntable = \"rendezvous\"\nkey = \"call-id\"",
                  "steering = \"round-robin\"\ntable = \"rendezvous\"\nkey = ^\"aor\"",
                  R"(key has no effect with steering = "round-robin"; it applies only to )"
                  R"(steering = "hash")"}});
}

TEST(PoolKeys, AreReadPrintedAndPublished) {
    const std::string text =
        change(kLeast,
               "[[pool]]\nname = \"proxies\"\n",
               "[[pool]]\nname = \"proxies\"\nkey = \"header:X-Tenant\"\nkeys = { REGISTER = "
               "\"aor\", INVITE = \"from\" }\n");
    const Config config = parse_config(text, "lb.toml");
    EXPECT_EQ(config.pools[0].key, (KeyConfig{KeyType::Header, "X-Tenant"}));
    EXPECT_EQ(config.pools[0].keys.list.size(), 2U);
    Config again = parse_config(print_config(config), "lb.toml");
    EXPECT_EQ(again.pools[0].key, config.pools[0].key);
    EXPECT_EQ(again.pools[0].keys, config.pools[0].keys);

    Config desk = desk_config();
    desk.pools[0].key = config.pools[0].key;
    desk.pools[0].keys = config.pools[0].keys;
    PoolModel model(desk);
    Publisher publisher(desk, kSecret, 40'000);
    const auto snapshot = publisher.build(model);
    const Pool& pool = snapshot->pools[0];
    ASSERT_TRUE(pool.keys);
    EXPECT_TRUE(pool.always_looks_up());
    EXPECT_EQ(snapshot->vips[0].read_rules.want, kWantForCalls);
    const auto type = [&](Method method) {
        return pool.keys->by_method[static_cast<std::size_t>(method)].type;
    };
    EXPECT_EQ(type(Method::Register), KeyType::Aor);
    EXPECT_EQ(type(Method::Invite), KeyType::From);
    EXPECT_EQ(type(Method::Message), KeyType::Header);
    EXPECT_FALSE(snapshot->pools[1].keys);
}

} // namespace viaduct::test
