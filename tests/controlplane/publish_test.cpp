// SPDX-License-Identifier: Apache-2.0
#include "control_desk.hpp"
#include "publish.hpp"
#include "steer_by.hpp"
#include "table.hpp"

#include "viaduct/steer.hpp"

#include <gtest/gtest.h>
#include <set>
#include <string>

namespace viaduct::test {

namespace {

constexpr SteeringSecret kSecret{7};
constexpr std::uint16_t kProbePort = 40'000;
constexpr PoolId kProxies{0};
constexpr PoolId kBorders{1};

struct Office {
    Config config;
    PoolModel model;
    Publisher publisher;

    explicit Office(Config made = desk_config())
        : config(std::move(made)), model(config), publisher(config, kSecret, kProbePort) {}

    void all_up() {
        for (const BackendState& backend : model.backends())
            model.set_health(backend.id, Health::Up, "");
    }
};

} // namespace

TEST(Publish, ShowsWorkersTheConfiguration) {
    Office office;
    office.all_up();
    const auto snapshot = office.publisher.build(office.model);
    ASSERT_EQ(snapshot->vips.size(), 3U);
    EXPECT_EQ(snapshot->vip_by_endpoint.find(endpoint("198.51.100.10", 5060)), 0);
    EXPECT_EQ(snapshot->vip_by_endpoint.find(endpoint("198.51.100.10", 5061)), std::nullopt);
    EXPECT_TRUE(snapshot->vip_addresses.find(endpoint("198.51.100.10", 0)));
    EXPECT_FALSE(snapshot->vips[1].enabled);
    EXPECT_TRUE(snapshot->own_addresses.find(endpoint("198.51.100.2", 0)));
    EXPECT_TRUE(snapshot->probe_endpoints.find(endpoint("198.51.100.2", kProbePort)));
    EXPECT_EQ(snapshot->pools[index(kBorders)].nat_vip, VipId{2});
    EXPECT_EQ(snapshot->pools[index(kProxies)].nat_vip, std::nullopt);
    EXPECT_EQ(snapshot->secret, kSecret);
}

TEST(Publish, TellsWorkersHowTheMessagesOfEachVipAreRead) {
    Config config = desk_config();
    config.vips[0].lenient = true;
    config.vips[2].max_header_lines = 16;
    Office office(config);
    const auto snapshot = office.publisher.build(office.model);
    const auto rules = [&](std::size_t vip) { return snapshot->vips[vip].read_rules; };
    EXPECT_TRUE(rules(0).lenient);
    EXPECT_FALSE(rules(1).lenient);
    EXPECT_EQ(rules(1).max_header_lines, kMaxHeaderLines);
    EXPECT_EQ(rules(2).max_header_lines, 16);
    for (const Vip& vip : snapshot->vips)
        EXPECT_EQ(vip.read_rules.want, Want::References) << "a hash pool needs the Call-ID only";
}

TEST(Publish, KnowsOnlyNatBackendsAsSenders) {
    Office office;
    const auto snapshot = office.publisher.build(office.model);
    EXPECT_EQ(snapshot->nat_backends.find(endpoint("203.0.113.21", 5060)), 3);
    EXPECT_FALSE(snapshot->nat_backends.find(endpoint("203.0.113.21", 0)));
    EXPECT_TRUE(snapshot->nat_addresses.find(endpoint("203.0.113.21", 0)));
    EXPECT_FALSE(snapshot->nat_addresses.find(endpoint("198.51.100.21", 0)));
}

TEST(Publish, KnowsAnyPortOfANatBackendWhenAskedTo) {
    Config config = desk_config();
    config.pools[1].translate_any_port = true;
    Office office(config);
    const auto snapshot = office.publisher.build(office.model);
    EXPECT_EQ(snapshot->nat_backends.find(endpoint("203.0.113.21", 0)), 3);
    EXPECT_EQ(snapshot->nat_backends.find(endpoint("203.0.113.21", 5060)), 3);
}

TEST(Publish, TellsBackendsAtOneAddressApartByTheirServicePort) {
    Config config = desk_config();
    config.pools[1].translate_any_port = true;
    BackendConfig second = config.pools[1].backends[0];
    second.name = "n2";
    second.endpoint.udp_port = 5070;
    config.pools[1].backends.push_back(second);
    Office office(config);
    const auto snapshot = office.publisher.build(office.model);
    EXPECT_EQ(snapshot->nat_backends.find(endpoint("203.0.113.21", 5060)), 3);
    EXPECT_EQ(snapshot->nat_backends.find(endpoint("203.0.113.21", 5070)), 4);
}

TEST(Publish, LetsOnlyVipsAndBackendsAnswerProbes) {
    Office office;
    const auto snapshot = office.publisher.build(office.model);
    for (const char* known : {"198.51.100.10", "198.51.100.21", "203.0.113.21"})
        EXPECT_TRUE(snapshot->probe_sources.find(endpoint(known, 0))) << known;
    EXPECT_FALSE(snapshot->probe_sources.find(endpoint("192.0.2.7", 0)));
}

TEST(Publish, SteersNothingBeforeTheVerdict) {
    Office office;
    const auto snapshot = office.publisher.build(office.model);
    const Steering steering = steer_by(*snapshot, kProxies, "a@b");
    EXPECT_FALSE(steering.backend);
    EXPECT_EQ(steering.refusal, Outcome::NoVerdict);
}

TEST(Publish, SaysNoBackendWhenAllAreDown) {
    Office office;
    for (const BackendState& backend : office.model.backends())
        office.model.set_health(backend.id, Health::Down, "");
    const auto snapshot = office.publisher.build(office.model);
    const Steering steering = steer_by(*snapshot, kProxies, "a@b");
    EXPECT_FALSE(steering.backend);
    EXPECT_EQ(steering.refusal, Outcome::NoBackend);
    EXPECT_EQ(office.publisher.digest(kProxies), "-");
}

TEST(Publish, SharesTablesThatDidNotChange) {
    Office office;
    office.all_up();
    const auto first = office.publisher.build(office.model);
    office.model.set_health(BackendId{0}, Health::Down, "");
    const auto second = office.publisher.build(office.model);
    EXPECT_NE(first->pools[0].slots, second->pools[0].slots);
    EXPECT_EQ(first->pools[1].slots, second->pools[1].slots);
    EXPECT_EQ(second->number, first->number + 1);
}

TEST(Publish, BringsBackTheSameTableAfterRecovery) {
    Office office;
    office.all_up();
    const TimePoint start = Clock::now();
    const auto before = office.publisher.build(office.model, start);
    const std::string digest = office.publisher.digest(kProxies);
    office.model.set_health(BackendId{1}, Health::Down, "", start);
    const auto during = office.publisher.build(office.model, start);
    EXPECT_NE(office.publisher.digest(kProxies), digest);
    office.model.set_health(BackendId{1}, Health::Up, "", start);
    static_cast<void>(office.publisher.build(office.model, start));
    EXPECT_NE(office.publisher.digest(kProxies), digest) << "its return is announced first";
    const TimePoint due = start + office.config.pools[0].t_settle;
    EXPECT_FALSE(office.publisher.is_stale(office.model, due - std::chrono::milliseconds(1)));
    EXPECT_TRUE(office.publisher.is_stale(office.model, due));
    const auto after = office.publisher.build(office.model, due);
    EXPECT_EQ(office.publisher.digest(kProxies), digest);
    EXPECT_EQ(*before->pools[0].slots, *after->pools[0].slots);
}

TEST(Publish, SteersEveryCallToAnEligibleBackend) {
    Office office;
    office.all_up();
    const TimePoint start = Clock::now();
    static_cast<void>(office.publisher.build(office.model, start));
    office.model.set_admin(BackendId{2}, Admin::Drain, "");
    static_cast<void>(office.publisher.build(office.model, start));
    const TimePoint due = start + office.config.pools[0].t_settle;
    const auto snapshot = office.publisher.build(office.model, due);
    std::set<BackendId> seen;
    for (int i = 0; i < 1000; ++i) {
        const Steering steering = steer_by(*snapshot, kProxies, std::to_string(i) + "@192.0.2.1");
        ASSERT_TRUE(steering.backend);
        seen.insert(*steering.backend);
    }
    EXPECT_EQ(seen, (std::set{BackendId{0}, BackendId{1}}));
}

TEST(Publish, KeepsWhatItBuiltLastForExplain) {
    Office office;
    EXPECT_EQ(office.publisher.current(), nullptr);
    office.all_up();
    const auto snapshot = office.publisher.build(office.model);
    ASSERT_NE(office.publisher.current(), nullptr);
    EXPECT_EQ(office.publisher.current()->number, snapshot->number);
    EXPECT_EQ(office.publisher.current()->pools[0].slots, snapshot->pools[0].slots);
}

TEST(Publish, TakesNothingForAProbeAnswerInReplay) {
    const Config config = desk_config();
    PoolModel model(config);
    Publisher publisher(config, kSecret, 0);
    EXPECT_FALSE(publisher.build(model)->probe_endpoints.find(endpoint("198.51.100.2", 0)));
}

} // namespace viaduct::test
