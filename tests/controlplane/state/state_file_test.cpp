// SPDX-License-Identifier: Apache-2.0
#include "control_desk.hpp"
#include "state/state_file.hpp"
#include "state/state_writer.hpp"

#include "viaduct/error.hpp"

#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <set>
#include <sys/stat.h>

namespace viaduct::test {

namespace {

constexpr SteeringSecret kSecret{7};
constexpr PoolId kProxies{0};
using std::chrono::seconds;

/// One life of a balancer.
struct Life {
    Config config;
    PoolModel model;
    Publisher publisher;

    explicit Life(Config made = desk_config(), const KeptState& kept = {}, TimePoint now = {})
        : config(std::move(made)), model(model_of(config, kept)), publisher(config, kSecret, 0) {
        take_up(kept, model, publisher, now);
    }
    void all_up(TimePoint now) {
        for (const BackendState& backend : model.backends())
            model.set_health(backend.id, Health::Up, "", now);
    }
    BackendId id(const char* name) { return model.find_backend("proxies", name).id; }
    Config& change() { return config; }
};

Moment moment_at(seconds since_start) {
    constexpr seconds kWall{1'700'000'000};
    return {TimePoint(std::chrono::hours(20)) + since_start,
            std::chrono::system_clock::time_point(kWall + since_start)};
}
/// In another process, after a reboot: its steady clock began anew.
Moment rebooted(seconds since_start) {
    return {TimePoint(seconds(30)), moment_at(since_start).wall};
}

std::string text_of(const Life& life, const Moment& moment) {
    return print_state(state_of(life.model, life.publisher, 42), kSecret, moment);
}

std::string refusal_of(std::string_view text, const SteeringSecret& secret = kSecret) {
    try {
        static_cast<void>(parse_state(text, secret, moment_at(seconds(5))));
    } catch (const Error& error) {
        return error.what();
    }
    return {};
}

/// b1 drained and switched, b2's death announced nothing, b3's weight is being changed.
Life busy_life() {
    Life life;
    const TimePoint start = moment_at(seconds(0)).steady;
    life.all_up(start);
    static_cast<void>(life.publisher.build(life.model, start));
    life.model.set_admin(life.id("b1"), Admin::Drain, "");
    life.model.set_drain_deadline(life.id("b1"), start + seconds(600));
    static_cast<void>(life.publisher.build(life.model, start + seconds(10)));
    static_cast<void>(life.publisher.build(life.model, start + seconds(50)));
    life.model.set_health(life.id("b2"), Health::Down, "", start + seconds(60));
    static_cast<void>(life.publisher.build(life.model, start + seconds(60)));
    life.model.set_health(life.id("b2"), Health::Up, "", start + seconds(70));
    life.all_up(start + seconds(70));
    static_cast<void>(life.publisher.build(life.model, start + seconds(70)));
    return life;
}

TEST(StateFile, BringsBackGenerationsAnnouncementHealthAndWishes) {
    Life before = busy_life();
    const Generations& old = before.publisher.generations(kProxies);
    ASSERT_EQ(old.all().size(), 3U);
    ASSERT_TRUE(old.announced());
    const std::string text = text_of(before, moment_at(seconds(70)));

    const Moment now = rebooted(seconds(80));
    Life after(desk_config(), parse_state(text, kSecret, now), now.steady);
    static_cast<void>(after.publisher.build(after.model, now.steady));
    const Generations& fresh = after.publisher.generations(kProxies);
    ASSERT_EQ(fresh.all().size(), 3U);
    for (std::size_t i = 0; i < 3; ++i) {
        EXPECT_EQ(fresh.all()[i].digest, old.all()[i].digest);
        EXPECT_EQ(fresh.all()[i].number, old.all()[i].number);
        EXPECT_EQ(fresh.all()[i].reason, old.all()[i].reason);
        EXPECT_EQ(*fresh.all()[i].table, *old.all()[i].table);
    }
    EXPECT_EQ(fresh.unsettled()->bits, old.unsettled()->bits);
    ASSERT_TRUE(fresh.announced());
    EXPECT_EQ(fresh.announced()->digest, old.announced()->digest);
    EXPECT_EQ(fresh.announced()->since, now.steady + seconds(30)) << "70 + 40 - 80";
    EXPECT_EQ(now.steady - fresh.all()[0].since, seconds(80));
    EXPECT_EQ(after.model.backend(after.id("b1")).admin, Admin::Drain);
    EXPECT_EQ(after.model.backend(after.id("b1")).drain_deadline, now.steady + seconds(520));
    EXPECT_EQ(after.model.backend(after.id("b2")).health, Health::Up);
    EXPECT_TRUE(after.model.health_known(kProxies)) << "traffic flows at once";
    EXPECT_EQ(text_of(after, now), text) << "but for health none of it changed";
}

void collect_keys(const nlohmann::json& json, std::set<std::string>& keys) {
    for (const auto& [key, value] : json.items()) {
        if (json.is_object()) keys.insert(key);
        if (value.is_structured()) collect_keys(value, keys);
    }
}

TEST(StateFile, HasTheWordsOfItsFormatWhateverTheCodeCallsThings) {
    const Life life = busy_life();
    KeptState state = state_of(life.model, life.publisher, 42);
    Move move{"sip", "proxies", "old", moment_at(seconds(1)).steady, {}};
    move.has_moved = true;
    state.moves.push_back(move);
    state.pools[0].counts_since = moment_at(seconds(1)).steady;
    const auto json = nlohmann::json::parse(print_state(state, kSecret, moment_at(seconds(70))));
    std::set<std::string> keys;
    collect_keys(json, keys);
    EXPECT_EQ(keys,
              (std::set<std::string>{"address",  "admin",       "announced",     "backends",
                                     "body",     "candidates",  "checksum",      "counts_since",
                                     "deadline", "generations", "has_unknown",   "health",
                                     "id",       "ids",         "lineage",       "moved_at",
                                     "moves",    "name",        "number",        "pool",
                                     "pools",    "port",        "previous",      "reason",
                                     "replaced", "secret",      "seen",          "since",
                                     "table",    "takes_since", "viaduct_state", "vip"}))
        << "an older or newer viaductd must read it: a change needs another format";
    EXPECT_EQ(json.at("viaduct_state"), 1);
    EXPECT_EQ(json.at("body").at("backends").at(0).at("admin"), "drain");
}

TEST(StateFile, HealthOfLongerAgoIsNoVerdict) {
    const std::string text = text_of(busy_life(), moment_at(seconds(70)));
    for (const int age : {60, 61}) {
        const Moment now = rebooted(seconds(70 + age));
        Life after(desk_config(), parse_state(text, kSecret, now), now.steady);
        EXPECT_EQ(after.model.health_known(kProxies), age == 60) << age;
        EXPECT_EQ(after.publisher.generations(kProxies).all().size(), 3U);
    }
}

TEST(StateFile, ADeadBackendStaysDeadForAsLongAsItWas) {
    Life before;
    const TimePoint start = moment_at(seconds(0)).steady;
    before.all_up(start);
    before.model.set_health(before.id("b2"), Health::Down, "", start);
    static_cast<void>(before.publisher.build(before.model, start));
    const Moment now = rebooted(seconds(20));
    const std::string text = text_of(before, moment_at(seconds(10)));
    Life after(desk_config(), parse_state(text, kSecret, now), now.steady);
    const BackendId b2 = after.id("b2");
    EXPECT_EQ(after.model.life(b2, now.steady), BackendLife::Silent);
    EXPECT_EQ(after.model.life(b2, now.steady + seconds(11)), BackendLife::Silent);
    EXPECT_EQ(after.model.life(b2, now.steady + seconds(12)), BackendLife::Dead) << "64*T1";
}

TEST(StateFile, IdsFollowNamesNotPlaces) {
    const std::string text = text_of(busy_life(), moment_at(seconds(70)));
    const KeptState kept = parse_state(text, kSecret, moment_at(seconds(71)));
    Config config = desk_config();
    std::swap(config.pools[0].backends[0], config.pools[0].backends[2]);
    config.pools[0].backends.insert(config.pools[0].backends.begin(), config.pools[0].backends[0]);
    config.pools[0].backends[0].name = "b4";
    Life after(config, kept, moment_at(seconds(71)).steady);
    EXPECT_EQ(after.id("b1"), BackendId{0});
    EXPECT_EQ(after.id("b3"), BackendId{2});
    EXPECT_EQ(after.id("b4"), BackendId{4}) << "a new one";
    EXPECT_EQ(after.model.backend(BackendId{4}).config.name, "b4");
    // So do the hops of backends, which workers find by id.
    const std::vector<BackendLocation> places = after.model.places();
    for (const BackendState& backend : after.model.backends())
        EXPECT_EQ(places[index(backend.id)].address, backend.config.endpoint.address);
    EXPECT_EQ(places[0].address, *parse_ipv4("198.51.100.21"));
}

TEST(StateFile, WhoIsInTheConfigurationNoMoreKeepsItsCallsAndItsId) {
    const std::string text = text_of(busy_life(), moment_at(seconds(70)));
    const Moment now = moment_at(seconds(71));
    Config config = desk_config();
    config.pools[0].backends.erase(config.pools[0].backends.begin() + 1);
    config.pools[0].backends.push_back(config.pools[0].backends[0]);
    config.pools[0].backends.back().name = "b4";
    Life after(config, parse_state(text, kSecret, now), now.steady);
    const BackendState& b2 = after.model.backend(after.id("b2"));
    EXPECT_EQ(b2.membership, Membership::Leaving);
    EXPECT_EQ(b2.config.endpoint, endpoint("198.51.100.22", 5060));
    EXPECT_EQ(after.model.life(b2.id, now.steady), BackendLife::Serves);
    EXPECT_EQ(after.id("b4"), BackendId{4});
    for (const auto& [id, name, weight] : elect(after.model, kProxies).candidates)
        EXPECT_NE(id, b2.id) << "no new calls";
    EXPECT_TRUE(after.model.health_known(kProxies)) << "b4 is new: nobody waits for it";

    // With its pool it is gone, and its id is still nobody's.
    config = desk_config();
    config.pools.erase(config.pools.begin());
    config.vips.erase(config.vips.begin(), config.vips.begin() + 2);
    const Life third(config, parse_state(text, kSecret, now), now.steady);
    ASSERT_EQ(third.model.backends().size(), 4U);
    EXPECT_EQ(third.model.backend(BackendId{1}).membership, Membership::Removed);
    EXPECT_EQ(third.model.find_backend("borders", "n1").id, BackendId{3});
    const KeptState next = parse_state(text_of(third, now), kSecret, now);
    EXPECT_EQ(next.ids, 4U);
    EXPECT_EQ(model_of(config, next).backend(BackendId{1}).membership, Membership::Removed);
}

TEST(StateFile, AnotherAddressIsAnotherMachineThatHasNoneOfTheCalls) {
    const std::string text = text_of(busy_life(), moment_at(seconds(70)));
    const Moment now = moment_at(seconds(71));
    Config config = desk_config();
    config.pools[0].backends[1].endpoint = endpoint("198.51.100.99", 5060);
    const Life after(config, parse_state(text, kSecret, now), now.steady);
    EXPECT_EQ(after.model.backend(BackendId{1}).membership, Membership::Removed)
        << "its calls are nobody's";
    EXPECT_EQ(after.model.find_backend("proxies", "b2").id, BackendId{4});
    EXPECT_EQ(after.model.backend(BackendId{4}).health, Health::Unknown);
    EXPECT_EQ(after.model.backend(BackendId{4}).evidence,
              "health not known yet at its new address");
}

TEST(StateFile, TheLastBackendMayBeGone) {
    Config config = desk_config();
    std::swap(config.pools[0], config.pools[1]); // so that b3 has the last id
    Life before(config);
    const TimePoint start = moment_at(seconds(0)).steady;
    before.all_up(start);
    static_cast<void>(before.publisher.build(before.model, start));
    const Moment now = moment_at(seconds(1));
    const KeptState kept = parse_state(text_of(before, now), kSecret, now);
    config.pools[1].backends.pop_back();
    Life after(config, kept, now.steady);
    const auto snapshot = after.publisher.build(after.model, now.steady);
    for (const BackendId owner : *snapshot->pools[1].slots)
        ASSERT_LT(index(owner), snapshot->backends.size()) << "it gets no call from now on";
    EXPECT_TRUE(snapshot->pools[1].unsettled);
    const KeptState next = parse_state(text_of(after, now), kSecret, now);
    EXPECT_EQ(model_of(config, next).find_backend("proxies", "b3").membership, Membership::Leaving)
        << "nobody else gets its id";
}

TEST(StateFile, DamageAtAnyByteIsRefusedOrHarmless) {
    Life life;
    life.all_up(moment_at(seconds(0)).steady);
    static_cast<void>(life.publisher.build(life.model, moment_at(seconds(0)).steady));
    const Moment now = moment_at(seconds(5));
    const std::string text = text_of(life, now);
    const auto again = [&](std::string_view damaged) {
        return print_state(parse_state(damaged, kSecret, now), kSecret, now);
    };
    ASSERT_EQ(again(text), text);
    for (std::size_t i = 0; i < text.size(); ++i) {
        for (const int flip : {1, 2, 4, 16, 32, 128, 255}) {
            std::string damaged = text;
            damaged[i] = static_cast<char>(damaged[i] ^ flip);
            if (!refusal_of(damaged).empty()) continue;
            EXPECT_EQ(again(damaged), text) << "byte " << i << ": says something else";
        }
        if (i + 1 < text.size()) {
            EXPECT_FALSE(refusal_of(text.substr(0, i)).empty()) << "cut at " << i;
        }
    }
}

TEST(StateFile, SaysWhyItIsRefused) {
    const Life life;
    const std::string text = text_of(life, moment_at(seconds(5)));
    EXPECT_EQ(refusal_of(text), "");
    EXPECT_EQ(refusal_of(text, SteeringSecret{8}), "written with a different secret");
    std::string newer = text;
    const std::string format = "\"viaduct_state\":";
    newer.replace(newer.find(format), format.size() + 1, format + "2");
    EXPECT_EQ(refusal_of(newer), "written by a newer version");
    for (const char* junk : {"", "{}", "[]", "null", "7", "{\"viaduct_state\":1}", "\xff\xfe"})
        EXPECT_EQ(refusal_of(junk), "damaged") << junk;
    EXPECT_EQ(refusal_of(std::string(100'000, '[')), "damaged");
}

struct Folder {
    std::string path = testing::TempDir() + "state" + std::to_string(getpid());
    ~Folder() {
        for (const char* name : {"/state.json", "/state.json.new", "/state.json.refused"})
            unlink((path + name).c_str());
        rmdir(path.c_str());
    }
};

TEST(StateWriter, WritesAtOnceOnChangeAndAtTheEnd) {
    const Folder folder;
    Life life;
    EXPECT_TRUE(read_state(folder.path, life.config, kSecret).is_new);
    const auto drained = [&] {
        const StateAtStart state = read_state(folder.path, life.config, kSecret);
        return !state.is_new && state.kept.backends.at(0).admin == Admin::Drain;
    };
    const TimePoint start = Clock::now();
    {
        StateWriter keeper(folder.path, kSecret, 42, life.model, life.publisher);
        EXPECT_EQ(read_state(folder.path, life.config, kSecret).kept.lineage, 42U);
        struct stat status {};
        ASSERT_EQ(stat((folder.path + "/state.json").c_str(), &status), 0);
        EXPECT_EQ(status.st_mode & 0777U, 0600U);
        keeper.tick(start);
        life.model.set_admin(BackendId{0}, Admin::Drain, "");
        keeper.tick(start + std::chrono::milliseconds(900));
        EXPECT_FALSE(drained()) << "at most once a second";
        for (int i = 0; i < 1000 && !drained(); ++i) {
            keeper.tick(start + seconds(2));
            usleep(5'000);
        }
        EXPECT_TRUE(drained());
        life.model.set_admin(BackendId{0}, Admin::Enabled, "");
    }
    EXPECT_FALSE(drained()) << "the end is written, too";
    EXPECT_FALSE(read_state(folder.path, life.config, kSecret).is_new);
}

TEST(StateWriter, KeepsWhatItRefuses) {
    const Folder folder;
    Life life;
    { const StateWriter keeper(folder.path, kSecret, 42, life.model, life.publisher); }
    const std::string path = folder.path + "/state.json";
    const std::string text = read_file(path, 1U << 20);
    const StateAtStart refused = read_state(folder.path, life.config, SteeringSecret{8});
    EXPECT_EQ(refused.refusal, "written with a different secret");
    EXPECT_TRUE(refused.is_new);
    { const StateWriter keeper(folder.path, SteeringSecret{8}, 43, life.model, life.publisher); }
    EXPECT_NE(read_file(path, 1U << 20), text) << "of the other secret";
    // The secret was the wrong one: the file is put back.
    ASSERT_EQ(rename((path + ".refused").c_str(), path.c_str()), 0);
    EXPECT_EQ(read_file(path, 1U << 20), text);
    const StateAtStart again = read_state(folder.path, life.config, kSecret);
    EXPECT_EQ(again.refusal, "");
    EXPECT_EQ(again.kept.lineage, 42U);
}

TEST(StateWriter, SurvivesAFolderThatCannotBe) {
    Life life;
    StateWriter keeper("/dev/null/state", kSecret, 42, life.model, life.publisher);
    keeper.tick(Clock::now());
}

} // namespace

} // namespace viaduct::test
