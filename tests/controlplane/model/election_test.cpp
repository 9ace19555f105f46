// SPDX-License-Identifier: Apache-2.0
#include "control_desk.hpp"
#include "model/election.hpp"
#include "state/state_file.hpp"

#include <gtest/gtest.h>
#include <map>
#include <string>

namespace viaduct::test {

namespace {

using namespace std::chrono_literals;

constexpr PoolId kPool{0};
constexpr SteeringSecret kSecret{7};
constexpr TimePoint kStart{1h};

using Shares = std::map<std::string, unsigned>;

/// p1, p2 of tier 0 and s1, s2 of tier 1, all up from the start.
struct Site {
    explicit Site(const std::function<void(PoolConfig&)>& change = {})
        : config(make(change)), model(config), publisher(config, kSecret, 0) {
        for (const BackendState& backend : model.backends())
            set(backend.config.name, Health::Up, kStart);
    }
    static Config make(const std::function<void(PoolConfig&)>& change) {
        Config config = desk_config();
        PoolConfig& pool = config.pools[0];
        pool.backends.clear();
        for (const char* const name : {"p1", "p2", "s1", "s2"}) {
            BackendConfig backend;
            backend.name = name;
            backend.endpoint =
                endpoint("198.51.100." + std::to_string(21 + pool.backends.size()), 5060);
            backend.tier = name[0] == 's' ? 1 : 0;
            pool.backends.push_back(backend);
        }
        pool.min_up = 2;
        pool.hold_down = 30s;
        pool.slow_start = 100s;
        if (change) change(pool);
        return config;
    }
    [[nodiscard]] BackendId id(std::string_view name) const {
        for (const BackendState& backend : model.backends())
            if (backend.config.name == name) return backend.id;
        throw Error("no " + std::string(name));
    }
    void set(std::string_view name, Health health, TimePoint at) {
        model.set_health(id(name), health, "", at);
    }
    /// Whoever elects without knowing who takes calls now.
    [[nodiscard]] Shares shares(TimePoint at) const {
        return shares_of(viaduct::elect(model, kPool, {}, at));
    }
    static Shares shares_of(const Election& election) {
        Shares shares;
        for (const Candidate& one : election.candidates)
            shares[one.name] = one.weight;
        return shares;
    }
    /// As viaductd does, ten times a second; whoever takes new calls then.
    Shares run_until(TimePoint until) {
        for (; now < until; now += 100ms)
            if (published != model.version() || publisher.is_stale(model, now)) {
                published = model.version();
                static_cast<void>(publisher.build(model, now));
                ++builds;
            }
        Shares shares;
        for (const Candidate& one : publisher.generations(kPool).all().back().candidates)
            shares[one.name] = one.weight;
        return shares;
    }

    Config config;
    PoolModel model;
    Publisher publisher;
    TimePoint now = kStart;
    std::uint64_t published = 0;
    unsigned builds = 0;
};

const Shares kPrimaries{{"p1", 100}, {"p2", 100}};
const Shares kStandIns{{"s1", 100}, {"s2", 100}};

} // namespace

TEST(Election, WhoGetsAWeightOrReturnsToTheFileWaitsLikeAnybodyWhoComesBack) {
    Site site([](PoolConfig& pool) { pool.min_up = 1; });
    const auto reload = [&](const std::function<void(PoolConfig&)>& change, TimePoint at) {
        change(site.config.pools[0]);
        site.model.reconfigure(site.config, at);
        site.publisher.reconfigure();
    };
    const BackendConfig p1 = site.config.pools[0].backends[0];
    reload([](PoolConfig& pool) { pool.backends[0].weight = 0; }, kStart);
    EXPECT_EQ(site.shares(kStart), (Shares{{"p2", 100}}));
    reload([](PoolConfig& pool) { pool.backends[0].weight = 100; }, kStart + 10s);
    EXPECT_EQ(site.shares(kStart + 39s), (Shares{{"p2", 100}})) << "hold_down";
    EXPECT_EQ(site.shares(kStart + 40s), (Shares{{"p1", 100}, {"p2", 500}})) << "a fifth";
    reload([](PoolConfig& pool) { pool.backends.erase(pool.backends.begin()); }, kStart + 200s);
    reload([&](PoolConfig& pool) { pool.backends.push_back(p1); }, kStart + 210s);
    EXPECT_EQ(site.shares(kStart + 239s), (Shares{{"p2", 100}}));
    EXPECT_EQ(site.shares(kStart + 340s), kPrimaries);
}

TEST(Election, WhoHasHadItsWaitDoesNotWaitAgainWhenItIsMadeLonger) {
    Site site;
    site.set("p1", Health::Down, kStart);
    site.set("p1", Health::Up, kStart);
    site.model.pass_deadlines(kStart + 129s);
    EXPECT_TRUE(site.model.backend(site.id("p1")).takes_since) << "its last step is to come";
    site.model.pass_deadlines(kStart + 130s);
    EXPECT_FALSE(site.model.backend(site.id("p1")).takes_since);
    site.config.pools[0].hold_down = 1h;
    site.model.reconfigure(site.config, kStart + 131s);
    EXPECT_EQ(site.shares(kStart + 132s), kPrimaries);
}

TEST(Election, WhoIsGoneWithItsPoolIsWaitedForByNobody) {
    Site site;
    site.set("p1", Health::Down, kStart);
    site.set("p1", Health::Up, kStart);
    site.config.pools.erase(site.config.pools.begin()); // one is left
    site.config.vips = {site.config.vips[2]};
    site.model.reconfigure(site.config, kStart);
    site.model.pass_deadlines(kStart + 1s);
    for (const BackendState& backend : site.model.backends())
        EXPECT_FALSE(backend.takes_since);
}

TEST(Election, NobodyWaitsWhenThePoolBegins) {
    const Site site;
    const Election election = elect(site.model, kPool, {}, kStart);
    EXPECT_EQ(Site::shares_of(election), kPrimaries);
    EXPECT_EQ(election.changes_at, std::nullopt);
    EXPECT_EQ(election.tier, 0U);
}

TEST(Election, WhoComesBackWaitsAndThenGrowsInFiveSteps) {
    Site site([](PoolConfig& pool) {
        for (BackendConfig& backend : pool.backends)
            backend.tier = 0;
    });
    site.set("p2", Health::Down, kStart + 1s);
    const Shares without{{"p1", 100}, {"s1", 100}, {"s2", 100}};
    EXPECT_EQ(site.shares(kStart + 1s), without);
    const TimePoint back = kStart + 10s;
    site.set("p2", Health::Up, back);
    EXPECT_EQ(site.shares(back), without);
    EXPECT_EQ(site.shares(back + 30s - 1ms), without);
    EXPECT_EQ(elect(site.model, kPool, {}, back).changes_at, back + 30s);
    for (unsigned step = 1; step < 5; ++step) {
        const Shares expected{{"p1", 500}, {"p2", 100 * step}, {"s1", 500}, {"s2", 500}};
        const TimePoint begins = back + 30s + (step - 1) * 25s;
        EXPECT_EQ(site.shares(begins), expected) << step;
        EXPECT_EQ(site.shares(begins + 25s - 1ms), expected) << step;
        EXPECT_EQ(elect(site.model, kPool, {}, begins).changes_at, begins + 25s);
    }
    const Shares all{{"p1", 100}, {"p2", 100}, {"s1", 100}, {"s2", 100}};
    EXPECT_EQ(site.shares(back + 130s), all);
    EXPECT_EQ(elect(site.model, kPool, {}, back + 130s).changes_at, std::nullopt);
    EXPECT_EQ(site.shares(TimePoint::max()), all);
}

TEST(Election, AStepMovesNewCallsOnlyToWhoComesBack) {
    Site site([](PoolConfig& pool) {
        for (BackendConfig& backend : pool.backends)
            backend.tier = 0;
    });
    site.set("p2", Health::Down, kStart);
    site.set("p2", Health::Up, kStart);
    const auto table_at = [&](TimePoint now) {
        return build_rendezvous(elect(site.model, kPool, {}, now).candidates, kSecret);
    };
    auto before = table_at(kStart);
    for (unsigned step = 1; step <= 5; ++step) {
        const auto next = table_at(kStart + 30s + (step - 1) * 25s);
        std::size_t owned = 0;
        for (std::size_t slot = 0; slot < kSlots; ++slot) {
            owned += (*next)[slot] == site.id("p2");
            ASSERT_TRUE((*next)[slot] == (*before)[slot] || (*next)[slot] == site.id("p2"));
        }
        const double share = step / (step + 15.0); // the three others have five fifths each
        EXPECT_NEAR(static_cast<double>(owned) / kSlots, share, 0.01) << step;
        before = next;
    }
}

TEST(Election, NobodyWaitsWhereNobodyElseIs) {
    Site site;
    for (const char* const name : {"p1", "p2", "s1", "s2"})
        site.set(name, Health::Down, kStart + 1s);
    EXPECT_TRUE(site.shares(kStart + 2s).empty());
    site.set("p1", Health::Up, kStart + 3s);
    EXPECT_EQ(site.shares(kStart + 3s), (Shares{{"p1", 100}}));
    site.set("p2", Health::Up, kStart + 4s);
    EXPECT_EQ(site.shares(kStart + 4s), kPrimaries);
}

TEST(Election, WhoWaitsDoesSoWhileSomebodyIsThere) {
    Site site; // of whose tiers none has its two
    site.set("p2", Health::Down, kStart + 1s);
    site.set("s2", Health::Down, kStart + 1s);
    site.set("p2", Health::Up, kStart + 2s);
    EXPECT_EQ(site.shares(kStart + 3s), (Shares{{"p1", 100}}));
    site.set("p1", Health::Down, kStart + 4s);
    EXPECT_EQ(site.shares(kStart + 5s), (Shares{{"s1", 100}})) << "p2 waits, and s1 is there";
}

TEST(Election, ReturnsFromADrainAndADisabledBackendWaitToo) {
    Site site([](PoolConfig& pool) { pool.min_up = 1; });
    for (const Admin away : {Admin::Drain, Admin::Disabled}) {
        site.model.set_admin(site.id("p2"), away, "", kStart + 1s);
        site.model.set_admin(site.id("p2"), Admin::Enabled, "", kStart + 2s);
        EXPECT_EQ(site.shares(kStart + 3s), (Shares{{"p1", 100}}));
        EXPECT_EQ(site.shares(kStart + 200s), kPrimaries);
    }
}

TEST(Election, ATierThatComesBackSharesWithTheOneThatStoodInForIt) {
    Site site;
    site.set("p1", Health::Down, kStart + 1s);
    EXPECT_EQ(site.shares(kStart + 1s), kStandIns) << "one is fewer than min_up";
    const TimePoint back = kStart + 50s;
    site.set("p1", Health::Up, back);
    EXPECT_EQ(site.shares(back), kStandIns);
    EXPECT_EQ(site.shares(back + 30s),
              (Shares{{"p1", 100}, {"p2", 500}, {"s1", 400}, {"s2", 400}}));
    EXPECT_EQ(site.shares(back + 30s + 75s),
              (Shares{{"p1", 400}, {"p2", 500}, {"s1", 100}, {"s2", 100}}));
    EXPECT_EQ(site.shares(back + 130s), kPrimaries);
}

TEST(Election, ANewBackendWaitsInAPoolThatWorks) {
    Site site;
    Config next = site.config;
    next.pools[0].backends.push_back(next.pools[0].backends[0]);
    next.pools[0].backends.back().name = "p3";
    site.model.reconfigure(next);
    site.set("p3", Health::Up, kStart + 1s);
    EXPECT_EQ(site.shares(kStart + 2s), kPrimaries);
    EXPECT_EQ(site.shares(kStart + 31s), (Shares{{"p1", 500}, {"p2", 500}, {"p3", 100}}));
}

TEST(Failback, TakesPlaceByItselfStepByStep) {
    Site site([](PoolConfig& pool) {
        pool.t_settle = 10s;
        pool.call_lifetime = 1h;
    });
    EXPECT_EQ(site.run_until(kStart + 1s), kPrimaries);
    site.set("p1", Health::Down, site.now);
    EXPECT_EQ(site.run_until(site.now + 9s), (Shares{{"p2", 100}})) << "its calls ring yet";
    EXPECT_EQ(site.run_until(site.now + 2s), kStandIns);
    site.set("p1", Health::Up, site.now);
    const TimePoint back = site.now;
    EXPECT_EQ(site.run_until(back + 39s), kStandIns) << "hold_down, then the announcement";
    EXPECT_EQ(site.run_until(back + 41s),
              (Shares{{"p1", 100}, {"p2", 500}, {"s1", 400}, {"s2", 400}}));
    EXPECT_EQ(site.run_until(back + 66s),
              (Shares{{"p1", 200}, {"p2", 500}, {"s1", 300}, {"s2", 300}}));
    EXPECT_EQ(site.run_until(back + 141s), kPrimaries);
    EXPECT_EQ(site.publisher.generations(kPool).all().size(), 8U);
    EXPECT_LT(site.builds, 30U) << "time alone makes no snapshots but where something is due";
}

TEST(Failback, DoesNotTakePlaceWhereItIsOff) {
    Site site([](PoolConfig& pool) {
        pool.t_settle = 10s;
        pool.slow_start = 0s;
        pool.failback = false;
    });
    site.run_until(kStart + 1s);
    site.set("p1", Health::Down, site.now);
    EXPECT_EQ(site.run_until(site.now + 11s), kStandIns);
    site.set("p1", Health::Up, site.now);
    EXPECT_EQ(site.run_until(site.now + 10min), kStandIns);

    site.publisher.fail_back(kPool); // an operator's wish
    EXPECT_EQ(site.run_until(site.now + 5s), kStandIns) << "announced first";
    EXPECT_EQ(site.run_until(site.now + 6s), kPrimaries);
    EXPECT_EQ(site.run_until(site.now + 10min), kPrimaries) << "and it stays";

    site.set("p2", Health::Down, site.now);
    EXPECT_EQ(site.run_until(site.now + 11s), kStandIns);
    site.set("p2", Health::Up, site.now);
    EXPECT_EQ(site.run_until(site.now + 5min), kStandIns);
    site.set("s1", Health::Down, site.now);
    EXPECT_EQ(site.run_until(site.now + 11s), kPrimaries) << "too few are left to stay with";
}

TEST(Failback, StaysOffAcrossARestart) {
    Site site([](PoolConfig& pool) { pool.failback = false; });
    site.run_until(kStart + 1s);
    site.set("p1", Health::Down, site.now);
    EXPECT_EQ(site.run_until(site.now + 41s), kStandIns);
    site.set("p1", Health::Up, site.now);
    site.run_until(site.now + 1s);
    const Moment moment{site.now, std::chrono::system_clock::time_point(1'000'000s)};
    const KeptState kept = parse_state(
        print_state(state_of(site.model, site.publisher, 1), kSecret, moment), kSecret, moment);

    Site next([](PoolConfig& pool) { pool.failback = false; });
    next.model = model_of(next.config, kept);
    take_up(kept, next.model, next.publisher, site.now);
    next.now = site.now;
    EXPECT_EQ(next.run_until(site.now + 10min), kStandIns);
    EXPECT_EQ(next.model.backend(next.id("p1")).takes_since,
              site.model.backend(site.id("p1")).takes_since)
        << "who waits goes on waiting";
    EXPECT_EQ(next.model.backend(next.id("s1")).takes_since, std::nullopt);
}

TEST(Failback, IsAVerb) {
    ControlDesk desk(Site::make([](PoolConfig& pool) {
        pool.failback = false;
        pool.hold_down = 0s;
        pool.slow_start = 0s;
        pool.steering = SteerBy::RoundRobin; // nothing needs to be announced
    }));
    desk.all_up();
    const auto say = [&] { return desk.ask_json("failback proxies"); };
    EXPECT_EQ(say()["changed"], false);
    desk.model.set_health(BackendId{0}, Health::Down, "");
    desk.control.apply();
    EXPECT_EQ(desk.ask_json("show pools")["pools"][0]["tier"], 1);
    EXPECT_EQ(say()["changed"], false) << "tier 0 has too few";
    desk.model.set_health(BackendId{0}, Health::Up, "");
    desk.control.apply();
    EXPECT_EQ(desk.ask_json("show pools")["pools"][0]["tier"], 1);
    EXPECT_EQ(desk.ask_json("show backends")["backends"][2]["new_calls_percent"].get<double>() +
                  desk.ask_json("show backends")["backends"][3]["new_calls_percent"].get<double>(),
              100.0);
    const auto answer = say();
    EXPECT_EQ(answer["changed"], true);
    EXPECT_EQ(answer["tier"], 0);
    EXPECT_EQ(answer["before"], 1);
    EXPECT_EQ(desk.ask_json("show pools")["pools"][0]["tier"], 0);
    EXPECT_EQ(desk.ask("failback nobody"),
              "ERR unknown pool \"nobody\"; pools: proxies, borders\n");
}

} // namespace viaduct::test
