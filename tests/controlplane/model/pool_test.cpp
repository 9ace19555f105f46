// SPDX-License-Identifier: Apache-2.0
#include "control_desk.hpp"
#include "model/election.hpp"

#include <gtest/gtest.h>
#include <string>
#include <vector>

namespace viaduct::test {

namespace {

constexpr PoolId kProxies{0};

std::vector<std::string> eligible_names(const PoolModel& model) {
    std::vector<std::string> names;
    for (const Candidate& one : elect(model, kProxies).candidates)
        names.push_back(one.name);
    return names;
}

using Names = std::vector<std::string>;

/// Backends b1, b2, b3 of the pool, all up.
PoolModel all_up(const Config& config) {
    PoolModel model(config);
    for (const BackendState& backend : model.backends())
        model.set_health(backend.id, Health::Up, "200 in 1 ms");
    return model;
}

} // namespace

TEST(Pool, HasNoVerdictUntilEveryBackendHasOne) {
    PoolModel model(desk_config());
    EXPECT_FALSE(model.health_known(kProxies));
    model.set_health(BackendId{0}, Health::Up, "");
    model.set_health(BackendId{1}, Health::Down, "");
    EXPECT_FALSE(model.health_known(kProxies));
    model.set_health(BackendId{2}, Health::Busy, "");
    EXPECT_TRUE(model.health_known(kProxies));
}

TEST(Pool, WaitsForNoVerdictOnADisabledBackend) {
    PoolModel model(desk_config());
    model.set_health(BackendId{0}, Health::Up, "");
    model.set_health(BackendId{1}, Health::Up, "");
    model.set_admin(BackendId{2}, Admin::Disabled, "");
    EXPECT_TRUE(model.health_known(kProxies));
}

TEST(Pool, GivesNewCallsOnlyToBackendsThatAreUpEnabledAndHaveWeight) {
    Config config = desk_config();
    config.pools[0].backends[2].weight = 0;
    PoolModel model = all_up(config);
    EXPECT_EQ(eligible_names(model), (Names{"b1", "b2"}));
    for (const Health health : {Health::Busy, Health::Down, Health::Unknown}) {
        model.set_health(BackendId{0}, health, "");
        EXPECT_EQ(eligible_names(model), Names{"b2"});
    }
    for (const Admin admin : {Admin::Drain, Admin::Disabled}) {
        model.set_admin(BackendId{1}, admin, "");
        EXPECT_EQ(eligible_names(model), Names{});
    }
    model.set_admin(BackendId{1}, Admin::Enabled, "");
    EXPECT_EQ(eligible_names(model), Names{"b2"});
}

TEST(Pool, UsesTheLowestTierThatHasEnoughBackends) {
    Config config = desk_config();
    config.pools[0].backends[0].tier = 0;
    config.pools[0].backends[1].tier = 1;
    config.pools[0].backends[2].tier = 1;
    config.pools[0].min_up = 1;
    PoolModel model = all_up(config);
    EXPECT_EQ(eligible_names(model), Names{"b1"});
    model.set_health(BackendId{0}, Health::Down, "");
    EXPECT_EQ(eligible_names(model), (Names{"b2", "b3"}));

    config.pools[0].min_up = 2;
    EXPECT_EQ(eligible_names(all_up(config)), (Names{"b2", "b3"}));
}

TEST(Pool, UsesTheLowestTierThatHasAnyWhenNoneHasEnough) {
    Config config = desk_config();
    config.pools[0].backends[0].tier = 1;
    config.pools[0].backends[1].tier = 2;
    config.pools[0].backends[2].tier = 2;
    config.pools[0].min_up = 3;
    EXPECT_EQ(eligible_names(all_up(config)), Names{"b1"});
}

TEST(Pool, RecordsEachChangeOnceWithItsEvidence) {
    PoolModel model(desk_config());
    const std::uint64_t version = model.version();
    EXPECT_TRUE(model.set_health(BackendId{0}, Health::Up, "200 in 3.2 ms"));
    EXPECT_FALSE(model.set_health(BackendId{0}, Health::Up, "200 in 1.0 ms"));
    EXPECT_TRUE(model.set_admin(BackendId{0}, Admin::Drain, "drained by uid 0"));
    EXPECT_EQ(model.version(), version + 2);
    ASSERT_EQ(model.history().size(), 2U);
    EXPECT_EQ(model.history()[0].number, 1U);
    EXPECT_EQ(model.history()[0].pool, "proxies");
    EXPECT_EQ(model.history()[0].backend, "b1");
    EXPECT_EQ(model.history()[0].from, "unknown");
    EXPECT_EQ(model.history()[0].to, "up");
    EXPECT_EQ(model.history()[0].evidence, "200 in 3.2 ms");
    EXPECT_EQ(model.history()[1].to, "draining");
}

TEST(Pool, KeepsABoundedHistory) {
    PoolModel model(desk_config());
    for (std::size_t i = 0; i < PoolModel::kHistory + 10; ++i)
        model.set_health(BackendId{0}, i % 2 == 0 ? Health::Up : Health::Down, "");
    EXPECT_EQ(model.history().size(), PoolModel::kHistory);
    EXPECT_EQ(model.history().back().number, PoolModel::kHistory + 10);
}

TEST(Pool, NamesWhatThereIsWhenAskedForWhatIsNot) {
    const PoolModel model(desk_config());
    EXPECT_EQ(model.find_backend("proxies", "b2").id, BackendId{1});
    try {
        static_cast<void>(model.find_pool("proxy"));
        FAIL() << "found a pool that does not exist";
    } catch (const Error& error) {
        EXPECT_STREQ(error.what(), "unknown pool \"proxy\"; pools: proxies, borders");
    }
    try {
        static_cast<void>(model.find_backend("proxies", "b9"));
        FAIL() << "found a backend that does not exist";
    } catch (const Error& error) {
        EXPECT_STREQ(error.what(),
                     "unknown backend \"b9\" in pool \"proxies\"; backends: b1, b2, b3");
    }
}

} // namespace viaduct::test
