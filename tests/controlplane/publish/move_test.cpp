// SPDX-License-Identifier: Apache-2.0
//
// A VIP moves from one pool to another while calls run: `previous_pool`.
#include "control_desk.hpp"
#include "digests.hpp"
#include "message_builder.hpp"
#include "own_table.hpp"
#include "state/state_file.hpp"
#include "valid_snapshot.hpp"

#include "viaduct/steering/steer.hpp"

#include <gtest/gtest.h>
#include <map>
#include <random>
#include <string>

namespace viaduct::test {

namespace {

using namespace std::chrono_literals;

constexpr VipId kSip{0};
constexpr PoolId kOld{0};
constexpr PoolId kNew{1};
constexpr SteeringSecret kSecret{7};
constexpr TimePoint kStart{1h};

/// VIP "sip": pool "v1" with a1, a2, a3; pool "v2" with b1, b2, b3 waits behind the VIP "lab".
struct Site {
    Site() : config(make()), model(config), publisher(config, kSecret, 0) {
        for (const BackendState& backend : model.backends())
            model.set_health(backend.id, Health::Up, "", kStart);
        publish(kStart);
    }
    static Config make() {
        Config config = desk_config();
        config.pools.clear();
        for (const std::string name : {"v1", "v2"}) {
            PoolConfig& pool = config.pools.emplace_back();
            pool.name = name;
            for (int i = 1; i <= 3; ++i) {
                BackendConfig backend;
                backend.name = (name == "v1" ? "a" : "b") + std::to_string(i);
                backend.endpoint =
                    endpoint("198.51.100." + std::to_string((name == "v1" ? 20 : 30) + i), 5060);
                pool.backends.push_back(backend);
            }
        }
        config.vips = {{"sip", endpoint("198.51.100.10", 5060), "v1"},
                       {"lab", endpoint("198.51.100.11", 5060), "v2"}};
        return config;
    }
    void move(TimePoint now) {
        config.vips[0].pool = "v2";
        config.vips[0].previous_pool = "v1";
        take_up(now);
    }
    void exchange(TimePoint now) {
        std::swap(config.vips[0].pool, *config.vips[0].previous_pool);
        take_up(now);
    }
    void take_up(TimePoint now) {
        model.reconfigure(config);
        publisher.reconfigure();
        publish(now);
    }
    void publish(TimePoint now) {
        while (snapshot == nullptr || published != model.version() ||
               publisher.is_stale(model, now)) {
            published = model.version();
            snapshot = publisher.build(model, now);
            expect_valid(*snapshot);
        }
    }
    static SipDigest message(Method method, const std::string& call_id, bool inside) {
        SipDigest digest = request_digest(method, call_id, inside);
        if (inside) digest.top_via_branch = "z9hG4bK-2";
        return digest;
    }
    /// Where it goes: the backend's name, "" for nowhere. What explain says must be the same.
    std::string send(Method method, const std::string& call_id, bool inside = false) {
        const SipDigest digest = message(method, call_id, inside);
        const SteerView view{*snapshot, table, CallTime(5)};
        const SteerView asking{*snapshot, table, CallTime(5), nullptr, true};
        const Pool& pool = snapshot->pools[index(snapshot->vips[index(kSip)].pool)];
        const std::uint64_t hash = steering_hash(pool, digest);
        const Steering said = steer_vip(asking, kSip, digest, hash);
        const Steering done = steer_vip(view, kSip, digest, hash);
        if (!done.table_full) { // who asks does not try whether there is room
            EXPECT_EQ(said.backend, done.backend);
            EXPECT_EQ(said.pool, done.pool);
        }
        if (!done.backend) return {};
        EXPECT_EQ(snapshot->backends[index(*done.backend)].pool, done.pool);
        return snapshot->backends[index(*done.backend)].name;
    }
    std::string begin(const std::string& call_id) { return send(Method::Invite, call_id); }
    /// A whole message, by whatever of it is asked.
    std::string send(const std::string& text) {
        const std::span<const std::byte> bytes = std::as_bytes(std::span(text));
        const SipDigest digest = read_digest(bytes, {.want = kWantForCalls});
        const ReceivedMessage received{bytes, *parse_ipv4("192.0.2.7")};
        const SteerView view{*snapshot, table, CallTime(5)};
        const SteerView asking{*snapshot, table, CallTime(5), nullptr, true};
        const Pool& pool = snapshot->pools[index(snapshot->vips[index(kSip)].pool)];
        const std::uint64_t hash = steering_hash(pool, digest);
        const Steering said = steer_vip(asking, kSip, digest, hash, received);
        const Steering done = steer_vip(view, kSip, digest, hash, received);
        EXPECT_EQ(said.backend, done.backend) << text;
        return done.backend ? snapshot->backends[index(*done.backend)].name : std::string();
    }
    std::string ask(const std::string& method, int user, const std::string& line = {}) {
        MessageBuilder message(method + " sip:example.com SIP/2.0", method);
        message.set("To", "<sip:user" + std::to_string(user) + "@example.com>");
        message.call_id(method + std::to_string(++asked));
        if (!line.empty()) message.line(line);
        return send(message.text());
    }
    std::string registers(int user, const std::string& expires = "3600") {
        return ask("REGISTER", user, "Contact: <sip:u@192.0.2.7>;expires=" + expires);
    }

    Config config;
    PoolModel model;
    Publisher publisher;
    OwnTable own;
    CallTable table = own.table;
    std::unique_ptr<const Snapshot> snapshot;
    std::uint64_t published = 0;
    unsigned asked = 0;
};

std::string name_of_call(const char* what, int i) {
    return what + std::to_string(i) + "@192.0.2.1";
}

constexpr int kCalls = 60;

} // namespace

TEST(Move, CallsStayWhereTheyBeganAndNewOnesGoToTheNewPool) {
    Site site;
    std::map<std::string, std::string> owner;
    const auto begin_all = [&](const char* what, char pool) {
        for (int i = 0; i < kCalls; ++i) {
            const std::string id = name_of_call(what, i);
            owner[id] = site.begin(id);
            ASSERT_EQ(owner[id].front(), pool) << id;
        }
    };
    const auto all_stay = [&] {
        for (const auto& [id, backend] : owner)
            for (const Method method : {Method::Ack, Method::Update, Method::Bye})
                ASSERT_EQ(site.send(method, id, true), backend) << id;
    };
    begin_all("before-", 'a');
    site.move(kStart);
    begin_all("announced-", 'a');
    all_stay();
    site.publish(kStart + 39s);
    EXPECT_EQ(site.begin("at-39-s").front(), 'a');
    site.publish(kStart + 40s);
    begin_all("moved-", 'b');
    for (int i = 0; i < kCalls; ++i) // repeated INVITEs, without To-tag as the first time
        EXPECT_EQ(site.begin(name_of_call("moved-", i)), owner[name_of_call("moved-", i)]);
    all_stay();
    // The new pool is one like any other: changes there move nothing.
    site.model.set_admin(BackendId{3}, Admin::Drain, "", kStart + 50s);
    site.publish(kStart + 50s);
    site.publish(kStart + 100s);
    begin_all("drained-", 'b');
    all_stay();
}

TEST(Move, AnInviteThatWasSentDuringTheAnnouncementIsRepeatedToTheSameBackend) {
    Site site;
    site.move(kStart);
    std::map<std::string, std::string> owner;
    for (int i = 0; i < kCalls; ++i)
        owner[name_of_call("ringing-", i)] = site.begin(name_of_call("ringing-", i));
    site.publish(kStart + 40s);
    for (const auto& [id, backend] : owner) {
        EXPECT_EQ(site.begin(id), backend);
        EXPECT_EQ(site.send(Method::Cancel, id), backend);
    }
}

TEST(Move, WaitsForTheFirstVerdictsOfTheNewPool) {
    Site site;
    Config next = site.config;
    PoolConfig& pool = next.pools.emplace_back(next.pools[1]);
    pool.name = "v3";
    for (BackendConfig& backend : pool.backends)
        backend.name[0] = 'c';
    next.vips[0].pool = "v3";
    next.vips[0].previous_pool = "v1";
    site.config = next;
    site.model.reconfigure(site.config);
    site.publisher.reconfigure();
    site.publish(kStart);
    site.publish(kStart + 10min);
    EXPECT_EQ(site.begin("early").front(), 'a');
    for (const BackendState& backend : site.model.backends())
        if (backend.pool_name == "v3")
            site.model.set_health(backend.id, Health::Up, "", kStart + 10min);
    site.publish(kStart + 10min);
    EXPECT_EQ(site.begin("late").front(), 'c');
    EXPECT_EQ(site.begin("early").front(), 'a');
}

TEST(Move, WhatAsksForAnAddressGoesToThePoolInWhichItIsRegistered) {
    Site site;
    for (PoolConfig& pool : site.config.pools)
        pool.key = {KeyType::Aor, {}};
    site.take_up(kStart);
    std::map<int, std::string> registered;
    for (int user = 0; user < kCalls; ++user)
        registered[user] = site.registers(user);
    const auto all_are_found = [&] {
        for (const auto& [user, backend] : registered)
            for (const std::string method :
                 {"INVITE", "MESSAGE", "SUBSCRIBE", "OPTIONS", "PUBLISH", "REFER", "NOTIFY"})
                ASSERT_EQ(site.ask(method, user), backend) << method << " user" << user;
    };
    all_are_found();
    site.move(kStart);
    all_are_found();
    site.publish(kStart + 40s);
    all_are_found(); // the VIP has moved, and no phone
    for (int user = 0; user < kCalls; user += 2) {
        EXPECT_EQ(site.ask("REGISTER", user), registered[user]) << "it asks what is there";
        EXPECT_EQ(site.registers(user, "0"), registered[user]) << "and takes it away there";
        registered[user] = site.registers(user);
        EXPECT_EQ(registered[user].front(), 'b');
    }
    all_are_found();
    EXPECT_EQ(site.ask("INVITE", kCalls + 1).front(), 'b') << "nobody has registered that";
    // Back again: they are where they are.
    site.exchange(kStart + 60s);
    all_are_found();
    registered[2] = site.registers(2);
    EXPECT_EQ(registered[2].front(), 'a');
    all_are_found();
}

TEST(Move, AnswersReachTheBackendThatSentTheRequestOn) {
    for (const KeyType key : {KeyType::CallId, KeyType::Aor}) {
        Site site;
        for (PoolConfig& pool : site.config.pools)
            pool.key = {key, {}};
        site.take_up(kStart);
        const auto expect_answers = [&] {
            for (const std::string method : {"MESSAGE", "OPTIONS", "PUBLISH", "REGISTER"})
                for (int user = 0; user < kCalls; ++user) {
                    const std::string asked = site.ask(method, user, "Contact: <sip:u@192.0.2.7>");
                    const std::string answer = MessageBuilder("SIP/2.0 200 OK", method)
                                                   .to_tag("phone")
                                                   .call_id(method + std::to_string(site.asked))
                                                   .text();
                    ASSERT_EQ(site.send(answer), asked) << answer;
                }
        };
        expect_answers();
        site.move(kStart);
        expect_answers();
        site.publish(kStart + 40s);
        expect_answers();
    }
}

TEST(Move, WhatTheNewPoolCannotTakeGoesToTheOldOne) {
    Site site;
    site.move(kStart);
    site.publish(kStart + 40s);
    const std::string first = site.begin("first");
    EXPECT_EQ(first.front(), 'b');
    for (std::uint16_t id = 3; id < 6; ++id)
        site.model.set_admin(BackendId{id}, Admin::Drain, "", kStart + 41s);
    site.publish(kStart + 41s);
    site.publish(kStart + 82s);
    const std::string second = site.begin("second");
    EXPECT_EQ(second.front(), 'a');
    EXPECT_EQ(site.send(Method::Bye, "second", true), second);
    EXPECT_EQ(site.send(Method::Bye, "first", true), first) << "a drain keeps its calls";
}

TEST(Move, TakesRegistrationsAlongWhenTheyAreRefreshed) {
    Site site;
    std::vector<std::string> phones;
    for (int i = 0; i < kCalls; ++i) {
        phones.push_back(name_of_call("phone-", i));
        ASSERT_EQ(site.send(Method::Register, phones.back()).front(), 'a');
    }
    const std::string subscription = "sub@x";
    const std::string notifier = site.send(Method::Subscribe, subscription);
    site.move(kStart);
    for (const std::string& phone : phones)
        ASSERT_EQ(site.send(Method::Register, phone).front(), 'a') << "it is announced";
    site.publish(kStart + 41s);
    for (const std::string& phone : phones) {
        const std::string now = site.send(Method::Register, phone);
        ASSERT_EQ(now.front(), 'b');
        ASSERT_EQ(site.send(Method::Register, phone), now);
    }
    EXPECT_EQ(site.send(Method::Subscribe, subscription, true), notifier) << "a dialog stays";
}

TEST(Move, WhatTheOldPoolKnewBeginsInTheNewOneWhenNobodyIsLeftThere) {
    Site site;
    site.move(kStart);
    EXPECT_EQ(site.begin("refused").front(), 'a');
    site.publish(kStart + 41s);
    for (std::uint16_t id = 0; id < 3; ++id)
        site.model.set_admin(BackendId{id}, Admin::Disabled, "", kStart + 42s);
    site.publish(kStart + 42s);
    const std::string again = site.begin("refused");
    EXPECT_EQ(again.front(), 'b');
    EXPECT_EQ(site.send(Method::Ack, "refused", true), again);
}

TEST(Move, ACallThatTheTableHasNoRoomForBeginsInTheOldPool) {
    Site site;
    site.move(kStart);
    site.publish(kStart + 40s);
    const std::string known = site.begin("known");
    EXPECT_EQ(site.send(Method::Ack, "known", true), known);
    std::mt19937_64 random(1);
    for (std::size_t i = 0; i < 2 * kManyWords; ++i) // answered: nothing makes room
        static_cast<void>(site.table.remember(
            random(), {BackendId{3}, CallState::Answered, 0, CallTime(900)}, CallTime(5)));
    for (int i = 0; i < kCalls; ++i) {
        const std::string id = name_of_call("many-", i);
        const std::string backend = site.begin(id);
        ASSERT_EQ(backend.front(), 'a');
        ASSERT_EQ(site.begin(id), backend);
        ASSERT_EQ(site.send(Method::Ack, id, true), backend);
        ASSERT_EQ(site.send(Method::Bye, id, true), backend);
    }
    EXPECT_EQ(site.send(Method::Bye, "known", true), known);
}

TEST(Move, CallsOfTheNewPoolAreNotTheOldOnesWhileVerdictsAreMissing) {
    Site site;
    site.move(kStart);
    site.publish(kStart + 40s);
    const std::string owner = site.begin("call");
    ASSERT_EQ(owner.front(), 'b');
    Snapshot waiting = *site.snapshot; // as behind a restart
    waiting.pools[index(kNew)].health_known = false;
    site.snapshot = std::make_unique<const Snapshot>(waiting);
    EXPECT_EQ(site.send(Method::Bye, "call", true), "") << "it ends as health_unknown";
    EXPECT_EQ(site.begin("another").front(), 'a');
}

TEST(Move, WhatNamesACallGoesToItsPool) {
    Site site;
    std::map<std::string, std::string> owner;
    for (int i = 0; i < kCalls; ++i)
        owner[name_of_call("old-", i)] = site.begin(name_of_call("old-", i));
    site.move(kStart);
    site.publish(kStart + 40s);
    for (int i = 0; i < kCalls; ++i)
        owner[name_of_call("new-", i)] = site.begin(name_of_call("new-", i));
    for (const auto& [id, backend] : owner) {
        const std::string taker = "taker-" + id;
        const std::string text = "INVITE sip:b@example.com SIP/2.0\r\nCall-ID: " + taker +
                                 "\r\nReplaces: " + id + ";to-tag=a;from-tag=b\r\n\r\n";
        const SipDigest digest = Site::message(Method::Invite, taker, false);
        const Pool& pool = site.snapshot->pools[index(kNew)];
        const Steering steering = steer_vip({*site.snapshot, site.table, CallTime(5)},
                                            kSip,
                                            digest,
                                            steering_hash(pool, digest),
                                            {std::as_bytes(std::span(text)), {}});
        ASSERT_TRUE(steering.backend);
        EXPECT_EQ(site.snapshot->backends[index(*steering.backend)].name, backend) << id;
        EXPECT_EQ(site.send(Method::Bye, taker, true), backend);
    }
}

TEST(Move, IsOverWhenThePreviousPoolIsTakenOut) {
    Site site;
    site.move(kStart);
    site.publish(kStart + 40s);
    const std::string owner = site.begin("call");
    site.config.vips[0].previous_pool.reset();
    site.config.vips[1].pool = "v1"; // somebody has to use it
    site.model.reconfigure(site.config);
    site.publisher.reconfigure();
    site.publish(kStart + 50s);
    EXPECT_TRUE(site.publisher.moves().empty());
    EXPECT_EQ(site.send(Method::Bye, "call", true), owner);
    EXPECT_FALSE(site.snapshot->pools[index(kOld)].always_looks_up());
    EXPECT_FALSE(site.snapshot->pools[index(kNew)].always_looks_up());
}

TEST(Move, BackTakesEveryCallAlongWhereItIs) {
    Site site;
    std::map<std::string, std::string> silent; // since before the move: nobody remembers them
    std::map<std::string, std::string> lively;
    for (int i = 0; i < kCalls; ++i)
        silent[name_of_call("silent-", i)] = site.begin(name_of_call("silent-", i));
    site.move(kStart);
    site.publish(kStart + 40s);
    const auto begin_all = [&](const char* what, char pool) {
        for (int i = 0; i < kCalls; ++i) {
            const std::string id = name_of_call(what, i);
            lively[id] = site.begin(id);
            ASSERT_EQ(lively[id].front(), pool) << id;
        }
    };
    const auto lively_stay = [&] {
        for (const auto& [id, backend] : lively)
            for (const Method method : {Method::Ack, Method::Update, Method::Bye})
                ASSERT_EQ(site.send(method, id, true), backend) << id;
    };
    begin_all("moved-", 'b');
    site.exchange(kStart + 44s);
    for (int i = 0; i < kCalls; ++i) // repeated INVITEs
        ASSERT_EQ(site.begin(name_of_call("moved-", i)), lively[name_of_call("moved-", i)]);
    lively_stay();
    begin_all("back-", 'a'); // at once: both pools remember what they took since the move
    lively_stay();
    site.exchange(kStart + 46s); // and forth again
    begin_all("forth-", 'b');
    lively_stay();
    site.exchange(kStart + 48s);
    begin_all("back-again-", 'a');
    lively_stay();
    const Moment moment{kStart + 49s, std::chrono::system_clock::time_point(1'000'000s)};
    const KeptState kept = parse_state(
        print_state(state_of(site.model, site.publisher, 1), kSecret, moment), kSecret, moment);
    PoolModel model = model_of(site.config, kept);
    Publisher publisher(site.config, kSecret, 0);
    take_up(kept, model, publisher, kStart + 50s);
    site.snapshot = publisher.build(model, kStart + 50s);
    lively_stay();
    for (const auto& [id, backend] : silent)
        ASSERT_EQ(site.send(Method::Bye, id, true), backend) << id;
}

TEST(Move, BackBeforeItWasDoneChangesNothing) {
    Site site;
    std::map<std::string, std::string> owner;
    owner["before"] = site.begin("before");
    site.move(kStart);
    owner["announced"] = site.begin("announced");
    site.exchange(kStart + 10s);
    owner["back"] = site.begin("back");
    site.publish(kStart + 60s);
    owner["later"] = site.begin("later");
    for (const auto& [id, backend] : owner) {
        EXPECT_EQ(backend.front(), 'a') << id;
        EXPECT_EQ(site.send(Method::Bye, id, true), backend) << id;
    }
}

TEST(Move, OfAVipThatGetsAnotherNameGoesOn) {
    Site site;
    site.move(kStart);
    site.publish(kStart + 40s);
    const std::string owner = site.begin("call");
    site.config.vips[0].name = "telephony";
    site.take_up(kStart + 50s);
    EXPECT_EQ(site.begin("next-call").front(), 'b') << "it is not announced again";
    EXPECT_EQ(site.send(Method::Bye, "call", true), owner);
}

TEST(Move, TheOldPoolIsCountedWhenEverybodyHasBeenHeardOf) {
    Site site;
    const auto counted = [&](TimePoint now) {
        return site.publisher.tracks_every_call(site.model.pool(kOld), now);
    };
    const auto lifetime = site.config.pools[0].call_lifetime;
    EXPECT_FALSE(counted(kStart)) << "it does not count";
    site.move(kStart);
    EXPECT_FALSE(counted(kStart + lifetime - 1s));
    EXPECT_TRUE(counted(kStart + lifetime));
    EXPECT_TRUE(site.publisher.tracks_every_call(site.model.pool(kNew), kStart + lifetime));
    // A restart knows since when, unless what was remembered is lost.
    const Moment moment{kStart + 1s, std::chrono::system_clock::time_point(1'000'000s)};
    const KeptState kept = parse_state(
        print_state(state_of(site.model, site.publisher, 1), kSecret, moment), kSecret, moment);
    for (const bool remembered : {true, false}) {
        PoolModel model = model_of(site.config, kept);
        Publisher publisher(site.config, kSecret, 0);
        take_up(kept, model, publisher, kStart + 2s);
        publisher.calls_predate_us(remembered);
        static_cast<void>(publisher.build(model, kStart + 2s));
        EXPECT_EQ(publisher.tracks_every_call(model.pool(kOld), kStart + lifetime), remembered);
        EXPECT_TRUE(publisher.tracks_every_call(model.pool(kOld), kStart + lifetime + 2s));
    }
}

TEST(Move, OutlivesARestart) {
    Site site;
    site.move(kStart);
    site.publish(kStart + 40s);
    const std::string old_call = site.begin("new-call");
    const Moment moment{kStart + 41s, std::chrono::system_clock::time_point(1'000'000s)};
    const KeptState kept = parse_state(
        print_state(state_of(site.model, site.publisher, 1), kSecret, moment), kSecret, moment);

    PoolModel model = model_of(site.config, kept);
    Publisher publisher(site.config, kSecret, 0);
    take_up(kept, model, publisher, kStart + 42s);
    site.snapshot = publisher.build(model, kStart + 42s);
    ASSERT_EQ(publisher.moves().size(), 1U);
    EXPECT_TRUE(publisher.moves()[0].has_moved);
    EXPECT_EQ(site.begin("next-call").front(), 'b') << "it is not announced again";
    EXPECT_EQ(site.send(Method::Bye, "new-call", true), old_call);
}

TEST(Move, IsForetold) {
    const Config before = Site::make();
    ControlDesk desk(before);
    desk.all_up();
    Config next = before;
    next.vips[0].pool = "v2";
    next.vips[0].previous_pool = "v1";
    const ConfigChange change = desk.reloader.preview(next);
    ASSERT_EQ(change.moves.size(), 1U);
    EXPECT_EQ(change.moves[0].from, "v1");
    EXPECT_EQ(change.moves[0].to, "v2");
    EXPECT_EQ(change.moves[0].announced, 40s);
    desk.reloader.apply(next, Clock::now());
    const ConfigChange back = [&] {
        Config again = next;
        std::swap(again.vips[0].pool, *again.vips[0].previous_pool);
        return desk.reloader.preview(again);
    }();
    ASSERT_EQ(back.moves.size(), 1U);
    EXPECT_EQ(back.moves[0].to, "v1");
    EXPECT_EQ(back.moves[0].announced, 0s);
}

TEST(Move, NobodyIsToldThatTrafficEndsWhichThePreviousPoolTakes) {
    Config next = Site::make();
    next.vips[0].pool = "v2";
    next.vips[0].previous_pool = "v1";
    next.vips.pop_back();
    ControlDesk desk(next);
    for (const BackendId id : desk.model.find_pool("v1").backends)
        desk.model.set_health(id, Health::Up, "");
    desk.control.apply(); // v2 waits for its verdicts
    const auto has = [](const std::string& text, const std::string& part) {
        return text.find(part) != std::string::npos;
    };
    std::string answer = desk.ask("drain v1 a1");
    EXPECT_FALSE(has(answer, "health_unknown")) << answer;
    const BackendState& newcomer = desk.model.backend(desk.model.find_pool("v2").backends[0]);
    answer = desk.ask("drain v2 " + newcomer.config.name);
    EXPECT_TRUE(has(answer,
                    "Pool v2: the health of its backends is not known yet; until then new calls go "
                    "to pool v1.\n"))
        << answer;
    EXPECT_EQ(desk.ask_json("explain sip some-call")["pool"], "v1") << "and it does";
    for (const BackendId id : desk.model.find_pool("v2").backends)
        desk.model.set_health(id, Health::Down, "");
    desk.control.apply();
    answer = desk.ask("undrain v2 " + newcomer.config.name);
    EXPECT_TRUE(
        has(answer, "Pool v2 has no backend that can take new calls: new calls go to pool v1.\n"))
        << answer;
    for (const BackendId id : desk.model.find_pool("v1").backends)
        desk.model.set_health(id, Health::Down, "");
    desk.control.apply();
    EXPECT_TRUE(has(desk.ask("drain v2 " + newcomer.config.name), "ends as no_backend."));
}

TEST(Move, OperatorsSeeWhatIsLeft) {
    Config config = Site::make();
    config.vips[0].pool = "v2";
    config.vips[0].previous_pool = "v1";
    ControlDesk desk(config);
    desk.all_up();
    auto vip = desk.ask_json("show vips")["vips"][0];
    EXPECT_EQ(vip["pool"], "v2");
    EXPECT_EQ(vip["previous_pool"], "v1");
    EXPECT_EQ(vip["calls_left"], nullptr) << "no pass over the table yet";
    EXPECT_EQ(vip["all_counted"], true) << "no call began before";
    EXPECT_GT(vip["moves_in_s"], 30);
    vip = desk.ask_json("show vips")["vips"][1];
    for (const char* const key : {"previous_pool", "calls_left", "all_counted", "moves_in_s"})
        EXPECT_EQ(vip[key], nullptr) << key;
    EXPECT_EQ(desk.ask_json("explain sip some-call")["pool"], "v1");
}

} // namespace viaduct::test
