// SPDX-License-Identifier: Apache-2.0
#include "control_desk.hpp"
#include "model/table.hpp"
#include "publish/publish.hpp"
#include "steer_by.hpp"

#include "viaduct/steering/steer.hpp"

#include <gtest/gtest.h>
#include <set>
#include <string>
#include <vector>

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
        EXPECT_EQ(vip.read_rules.want, Want::CallReference) << "a hash pool needs the Call-ID only";
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
    EXPECT_EQ(steering.refusal, Outcome::HealthUnknown);
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

/// Of `count` backends, "b1", "b2", ...
Config many_backends(int count, TableKind table) {
    Config config = desk_config();
    config.pools[0].table = table;
    config.pools[0].backends.clear();
    for (int i = 1; i <= count; ++i) {
        BackendConfig backend;
        backend.name = "b" + std::to_string(i);
        backend.endpoint = endpoint("198.51.100." + std::to_string(20 + i), 5060);
        config.pools[0].backends.push_back(backend);
    }
    return config;
}

/// An INVITE that is repeated after it goes to its backend again, unless that is the dead one.
TEST(Publish, ADeathMovesNoSlotOfTheLiving) {
    for (const TableKind table : {TableKind::Rendezvous, TableKind::Maglev})
        for (const int count : {4, 20}) {
            Office office(many_backends(count, table));
            office.all_up();
            const TimePoint start = Clock::now();
            const auto before = office.publisher.build(office.model, start);
            const auto expect_only_theirs = [&](const std::set<BackendId>& dead) {
                const auto after = office.publisher.build(office.model, start);
                for (std::size_t slot = 0; slot < kSlots; ++slot) {
                    const BackendId then = (*before->pools[0].slots)[slot];
                    const BackendId now = (*after->pools[0].slots)[slot];
                    ASSERT_FALSE(dead.contains(now));
                    if (!dead.contains(then)) {
                        ASSERT_EQ(now, then) << slot;
                    }
                }
            };
            office.model.set_health(BackendId{0}, Health::Down, "", start);
            expect_only_theirs({BackendId{0}});
            office.model.set_health(BackendId{2}, Health::Down, "", start);
            expect_only_theirs({BackendId{0}, BackendId{2}});
            // What maglev is chosen for, exact shares, follows as announced; what the second death
            // changes of that, in an announcement of its own.
            static_cast<void>(office.publisher.build(office.model, start));
            EXPECT_EQ(office.publisher.generations(kProxies).announced().has_value(),
                      table == TableKind::Maglev);
            const auto t_settle = office.config.pools[0].t_settle;
            static_cast<void>(office.publisher.build(office.model, start + t_settle));
            const auto done = office.publisher.build(office.model, start + 2 * t_settle);
            std::vector<Candidate> living;
            for (const BackendState& one : office.model.backends())
                if (one.pool == kProxies && one.health == Health::Up)
                    living.push_back({one.id, one.config.name, one.config.weight});
            EXPECT_EQ(*done->pools[0].slots, *algorithm(table).build(living, kSecret));
            EXPECT_FALSE(office.publisher.generations(kProxies).announced());
        }
}

TEST(Publish, WhoIsDeadTakesNothingWhileANewcomerHasNoVerdict) {
    Office office(many_backends(3, TableKind::Rendezvous));
    office.all_up();
    const TimePoint start = Clock::now();
    static_cast<void>(office.publisher.build(office.model, start));
    Config more = many_backends(4, TableKind::Rendezvous);
    office.config = more;
    office.model.reconfigure(office.config, start);
    office.publisher.reconfigure();
    static_cast<void>(office.publisher.build(office.model, start));
    for (const std::uint16_t id : {std::uint16_t{0}, std::uint16_t{1}})
        office.model.set_health(BackendId{id}, Health::Down, "", start);
    const auto two_down = office.publisher.build(office.model, start);
    for (const BackendId owner : *two_down->pools[0].slots)
        ASSERT_EQ(owner, BackendId{2});
    EXPECT_FALSE(office.publisher.generations(kProxies).announced()) << "of the dead";
    office.model.set_health(BackendId{2}, Health::Down, "", start);
    const auto all_down = office.publisher.build(office.model, start);
    EXPECT_EQ(all_down->pools[0].slots, nullptr);
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
