// SPDX-License-Identifier: Apache-2.0
//
// drain with its options, and what the verbs say about generations and remembered calls.
#include "control_desk.hpp"
#include "own_table.hpp"
#include "steer_by.hpp"

#include "viaduct/steering/steer.hpp"

#include <algorithm>
#include <functional>
#include <gtest/gtest.h>
#include <set>
#include <tuple>

namespace viaduct::test {

namespace {

using Json = nlohmann::ordered_json;
constexpr PoolId kProxies{0};

bool contains(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
}

Config counting_config(bool counts) {
    Config config = desk_config();
    config.pools[0].count_calls = counts;
    return config;
}

/// A desk with a table of calls, and workers that steer by what is published.
struct CallDesk : ControlDesk {
    explicit CallDesk(bool counts = true) : CallDesk(counting_config(counts)) {}
    explicit CallDesk(const Config& wanted)
        : ControlDesk(wanted),
          counter(table, publisher), seeing{config,
                                            model,
                                            health,
                                            publisher,
                                            table,
                                            counter,
                                            loop,
                                            load,
                                            Clock::now(),
                                            find_admins(config.admins),
                                            [this] { publish(publisher.build(model)); }} {
        all_up();
    }
    Steering invite(const std::string& call_id, Method method = Method::Invite) {
        SipDigest digest;
        digest.kind = PayloadKind::Request;
        digest.method = method;
        digest.call_id = call_id;
        digest.from_tag = "a";
        if (method != Method::Invite) digest.to_tag = "b";
        digest.has_to_tag = method != Method::Invite;
        const SteerView view{*publisher.current(), table, CallTime(1)};
        return steer(view, kProxies, digest, would_steer(view, kProxies, digest).hash);
    }
    void count() { sweep(counter, CallTime(1)); }
    std::string say(const std::string& line) { return answer(seeing, root, line); }
    Json say_json(const std::string& line) {
        std::string text = say("json " + line);
        if (!text.ends_with("}\nOK\n")) return nullptr;
        text.resize(text.size() - 3);
        return Json::parse(text);
    }

    OwnTable own;
    CallTable table = own.table;
    CallSweeper counter;
    Control seeing;
};

TEST(Drain, CountsDownWhereCallsAreCounted) {
    CallDesk desk;
    std::size_t at_b1 = 0;
    for (int i = 0; i < 300; ++i)
        at_b1 += desk.invite(std::to_string(i) + "@x").backend == BackendId{0} ? 1 : 0;
    EXPECT_TRUE(desk.say_json("drain proxies b1")["calls_left"].is_null()) << "no pass yet";
    desk.count();
    EXPECT_EQ(desk.say_json("drain proxies b1")["calls_left"], at_b1);
    EXPECT_TRUE(contains(desk.say("drain proxies b1"),
                         "Calls in progress: " + std::to_string(at_b1) + "."));
    for (int i = 0; i < 300; ++i)
        desk.invite(std::to_string(i) + "@x", Method::Bye);
    desk.count();
    EXPECT_EQ(desk.say_json("show backends")["backends"][0]["calls_left"], 0);
}

TEST(Drain, NeverSaysAFalseNumber) {
    CallDesk desk(false);
    for (int i = 0; i < 300; ++i)
        EXPECT_FALSE(desk.invite(std::to_string(i) + "@x").remembered);
    desk.count();
    EXPECT_TRUE(desk.say_json("drain proxies b1")["calls_left"].is_null());
    EXPECT_TRUE(contains(desk.say("drain proxies b1"),
                         "Calls in progress: not counted (set count_calls = true)."));
    EXPECT_TRUE(desk.say_json("show backends")["backends"][0]["calls_left"].is_null());
}

TEST(Drain, SwitchesAtOnceWhenAsked) {
    CallDesk desk;
    const auto has_b1 = [&] {
        return std::ranges::count(*desk.publisher.current()->pools[0].slots, BackendId{0}) > 0;
    };
    EXPECT_TRUE(contains(desk.say("drain proxies b1"), "Takes effect for new calls in 40 s."));
    EXPECT_TRUE(has_b1());
    EXPECT_EQ(desk.say_json("drain proxies b1 --now")["changed"], false) << "but it switches";
    EXPECT_FALSE(has_b1());
    EXPECT_TRUE(desk.say_json("show pools")["pools"][0]["switch_in_s"].is_null());
}

TEST(Drain, OfTheLastBackendWantsForce) {
    CallDesk desk;
    EXPECT_EQ(desk.say("drain borders n1"),
              "ERR n1 is the last backend of pool borders that can take new calls: they would end "
              "as no_backend; add --force to drain it anyway\n");
    EXPECT_EQ(desk.model.find_backend("borders", "n1").admin, Admin::Enabled);
    EXPECT_EQ(desk.say_json("drain borders n1 --force")["eligible"], 0);
    EXPECT_EQ(desk.model.find_backend("borders", "n1").admin, Admin::Drain);
    desk.model.set_health(BackendId{1}, Health::Down, "");
    EXPECT_TRUE(contains(desk.say("drain proxies b2"), "OK")) << "it takes no calls anyway";
    EXPECT_TRUE(contains(desk.say("drain proxies b1"), "OK"));
    EXPECT_TRUE(desk.say("drain proxies b3").starts_with("ERR b3 is the last"));
}

/// Pool "proxies" of b1 (tier 0) and b2 (tier 1).
Config two_tier_config() {
    Config config = desk_config();
    config.pools[0].backends.pop_back();
    config.pools[0].backends[1].tier = 1;
    return config;
}

TEST(Last, IsTheSameForEveryVerb) {
    const std::pair<std::string, std::string> verbs[] = {
        {"drain proxies b2", "drain it"},
        {"disable proxies b2", "disable it"},
        {"remove proxies b2", "remove it"},
        {"weight proxies b2 0", "set its weight to 0"}};
    const std::function<void(ControlDesk&)> ends[] = {
        [](ControlDesk& desk) { std::ignore = desk.ask("drain proxies b1"); },
        [](ControlDesk& desk) { std::ignore = desk.ask("disable proxies b1"); },
        [](ControlDesk& desk) { std::ignore = desk.ask("weight proxies b1 0"); },
        [](ControlDesk& desk) { desk.model.set_health(BackendId{0}, Health::Down, ""); },
        [](ControlDesk& desk) { desk.model.set_health(BackendId{0}, Health::Busy, ""); },
    };
    for (const auto& [line, doing] : verbs) {
        const bool needs_weight = line.starts_with("weight") || line.starts_with("remove");
        for (std::size_t i = 0; i < std::size(ends); ++i) {
            if (needs_weight && i == 2) continue; // no pool may have weight 0 throughout
            ControlDesk desk(two_tier_config());
            desk.all_up();
            ends[i](desk);
            EXPECT_EQ(desk.ask(line),
                      "ERR b2 is the last backend of pool proxies that can take new calls: they "
                      "would end as no_backend; add --force to " +
                          doing + " anyway\n")
                << line << ", case " << i;
            EXPECT_TRUE(contains(desk.ask(line + " --force"), "\nOK\n")) << line << i;
        }
        // Where a backend of another tier stands by, it is not the last one; nor who takes none.
        ControlDesk desk(two_tier_config());
        desk.all_up();
        EXPECT_TRUE(contains(desk.ask(line), "\nOK\n")) << line;
    }
    for (const auto& [line, doing] : verbs) {
        ControlDesk desk(two_tier_config());
        desk.all_up();
        desk.model.set_health(BackendId{1}, Health::Down, "");
        EXPECT_TRUE(contains(desk.ask(line), "\nOK\n")) << line << ": it takes no calls anyway";
    }
    ControlDesk desk(two_tier_config());
    desk.all_up();
    EXPECT_TRUE(desk.ask("disable proxies b1 --now").starts_with("ERR usage: disable POOL"));
    std::ignore = desk.ask("drain proxies b1");
    EXPECT_TRUE(contains(desk.ask("tier proxies b2 0"), "\nOK\n")) << "it goes on taking them";
}

TEST(Drain, EndsInDisabledAtItsDeadline) {
    CallDesk desk;
    const TimePoint before = Clock::now();
    EXPECT_TRUE(
        contains(desk.say("drain proxies b1 --deadline 10m"), "It will be disabled in 600 s."));
    EXPECT_EQ(desk.say_json("show backends")["backends"][0]["disabled_in_s"], 600);
    desk.model.pass_deadlines(before + std::chrono::seconds(599));
    EXPECT_EQ(desk.model.backend(BackendId{0}).admin, Admin::Drain);
    desk.model.pass_deadlines(Clock::now() + std::chrono::seconds(600));
    EXPECT_EQ(desk.model.backend(BackendId{0}).admin, Admin::Disabled);

    EXPECT_TRUE(contains(desk.say("drain proxies b2 --deadline 1s --now"), "OK"));
    EXPECT_TRUE(contains(desk.say("undrain proxies b2"), "OK"));
    desk.model.pass_deadlines(Clock::now() + std::chrono::hours(1));
    EXPECT_EQ(desk.model.backend(BackendId{1}).admin, Admin::Enabled) << "undrain cancels it";
}

TEST(Drain, RefusesMistakesAndChangesNothing) {
    CallDesk desk;
    for (const std::string mistake : {"--deadline",
                                      "--deadline 0s",
                                      "--deadline 10",
                                      "--deadline m",
                                      "--deadline 31d",
                                      "--deadline 99999999999999999999s",
                                      "--deadline -1m",
                                      "--later",
                                      "--now now"}) {
        EXPECT_TRUE(desk.say("drain proxies b1 " + mistake).starts_with("ERR ")) << mistake;
        EXPECT_EQ(desk.model.backend(BackendId{0}).admin, Admin::Enabled) << mistake;
    }
}

TEST(Drain, SaysWhenItSwitchesBehindAnotherChange) {
    CallDesk desk;
    EXPECT_TRUE(contains(desk.say("drain proxies b1"), "Takes effect for new calls in 40 s. "));
    EXPECT_EQ(desk.say_json("show pools")["pools"][0]["gathered"], false);
    EXPECT_TRUE(contains(desk.say("drain proxies b2"),
                         "Takes effect for new calls in 80 s, after a change that was announced "
                         "earlier and switches in 40 s. "));
    EXPECT_EQ(desk.say_json("show pools")["pools"][0]["gathered"], true);
    EXPECT_TRUE(
        contains(desk.say("drain proxies b2 --now"),
                 "Changes announced earlier for this pool have switched at the same time.\n"));
    EXPECT_EQ(desk.say_json("show pools")["pools"][0]["announced"], false);
    EXPECT_FALSE(contains(desk.say("undrain proxies b2"), "Changes announced"));
}

TEST(State, ThatCannotBeWrittenIsToldByEachVerbThatChangesIt) {
    Config config = desk_config();
    config.pools[0].failback = false;
    config.pools[0].backends[2].tier = 1;
    ControlDesk desk(std::move(config));
    desk.all_up();
    desk.model.set_health(BackendId{0}, Health::Down, "");
    desk.model.set_health(BackendId{1}, Health::Down, "");
    desk.control.apply();
    desk.model.set_health(BackendId{0}, Health::Up, "");
    desk.model.set_health(BackendId{1}, Health::Up, "");
    desk.control.apply(); // tier 1 has taken over, and keeps new calls
    const std::string warning = "cannot write /state.json.new: No space left on device; until it "
                                "can be written, a restart loses this change";
    for (const char* line : {"drain proxies b1",
                             "drain proxies b1 --deadline 10m",
                             "drain proxies b1 --now",
                             "undrain proxies b1",
                             "disable proxies b1",
                             "enable proxies b1",
                             "failback proxies"}) {
        desk.state_failure = "cannot write /state.json.new: No space left on device";
        const Json object = desk.ask_json(line);
        ASSERT_FALSE(object.is_null()) << desk.ask(line);
        EXPECT_EQ(object["warning"], warning) << line;
    }
    EXPECT_TRUE(contains(desk.ask("drain proxies b2"), "\nWarning: " + warning + ".\n"));
    const unsigned kept = desk.state_kept;
    EXPECT_EQ(desk.ask_json("drain proxies b2")["warning"], warning) << "still not written";
    desk.state_failure.clear();
    EXPECT_TRUE(desk.ask_json("drain proxies b2")["warning"].is_null()) << "written now";
    EXPECT_TRUE(desk.ask_json("undrain proxies b2")["warning"].is_null());
    EXPECT_EQ(desk.state_kept, kept + 3) << "written before the answer";
}

TEST(ShowGenerations, TellsPastPresentAndAnnouncedOnes) {
    CallDesk desk;
    EXPECT_TRUE(contains(desk.say("drain proxies b1 --now"), "OK"));
    EXPECT_TRUE(contains(desk.say("drain proxies b2"), "OK"));
    const Json object = desk.say_json("show generations proxies");
    const Json& rows = object["generations"];
    ASSERT_EQ(rows.size(), 3U);
    EXPECT_EQ(rows[0]["number"], 1);
    EXPECT_EQ(rows[0]["state"], "old");
    EXPECT_EQ(rows[0]["backends"], Json({"b1", "b2", "b3"}));
    EXPECT_TRUE(rows[0]["replaced"].is_string());
    EXPECT_EQ(rows[1]["state"], "now");
    EXPECT_EQ(rows[1]["table"], desk.publisher.digest(kProxies));
    EXPECT_EQ(rows[2]["state"], "announced");
    EXPECT_EQ(rows[2]["backends"], Json::array({"b3"}));
    EXPECT_EQ(object["pools"][0]["switch_in_s"], 40);
    EXPECT_GT(object["pools"][0]["unsettled_percent"], 50);
    EXPECT_EQ(object["pools"][0]["gathered"], false);
    EXPECT_EQ(desk.say_json("show generations")["pools"].size(), 2U);
    EXPECT_TRUE(desk.say("show generations nowhere").starts_with("ERR unknown pool"));
    EXPECT_EQ(desk.say_json("show pools")["pools"][0]["unsettled_percent"],
              object["pools"][0]["unsettled_percent"]);
}

TEST(ShowCalls, CountsPerBackendAndFindsOne) {
    CallDesk desk;
    const Steering steering = desk.invite("one@x");
    ASSERT_TRUE(steering.remembered);
    EXPECT_EQ(steering.rule, SteerRule::Now);
    desk.count();
    const Json object = desk.say_json("show calls proxies");
    ASSERT_EQ(object["calls"].size(), 3U);
    EXPECT_EQ(object["calls"][index(*steering.backend)]["ringing"], 1);
    EXPECT_EQ(object["used"], 1);
    EXPECT_TRUE(contains(desk.say("show calls"), "The call table uses 1 of 4194304 words"));
    const Json one = desk.say_json("show calls sip one@x");
    EXPECT_EQ(one["remembered"], true);
    EXPECT_EQ(one["state"], "ringing");
    EXPECT_EQ(one["backend"], desk.publisher.current()->backends[index(*steering.backend)].name);
    EXPECT_NEAR(one["seconds_left"].get<double>(), 4 * 3600, 60);
    EXPECT_EQ(desk.say_json("show calls sip two@x")["remembered"], false);
    EXPECT_TRUE(desk.say("show calls nowhere one@x").starts_with("ERR unknown vip"));
    EXPECT_TRUE(desk.say("show calls nowhere").starts_with("ERR unknown pool"));
}

TEST(Explain, TellsGenerationSlotAndWhatIsRemembered) {
    CallDesk desk;
    const Json settled = desk.say_json("explain sip other@x");
    EXPECT_EQ(settled["settled"], true);
    EXPECT_EQ(settled["generation"], 1);
    EXPECT_TRUE(settled["slot_state"].get<std::string>().starts_with("settled: "));
    desk.invite("one@x");
    const Json known = desk.say_json("explain sip one@x");
    EXPECT_EQ(known["rule"], "remembered");
    EXPECT_EQ(known["remembered"], true);
    EXPECT_EQ(known["call_state"], "ringing");
    EXPECT_TRUE(known["generation"].is_null());
    desk.say("disable proxies b1");
    bool seen = false;
    for (int i = 0; i < 50 && !seen; ++i) {
        const Json moved = desk.say_json("explain sip " + std::to_string(i) + "@y");
        seen = moved["settled"] == false;
        if (!seen) continue;
        EXPECT_EQ(moved["generation"], 2);
        EXPECT_TRUE(moved["slot_state"].get<std::string>().starts_with("unsettled: "));
    }
    EXPECT_TRUE(seen);
}

TEST(Explain, OfACallIdIsAboutACallUnderWayAndSaysWhereANewOneWouldGo) {
    CallDesk desk;
    const Json before = desk.say_json("explain sip before@x");
    EXPECT_EQ(before["new_call_backend"], before["backend"]);
    desk.invite("known@x");
    EXPECT_FALSE(desk.say_json("explain sip known@x").contains("new_call_backend"));
    desk.say("drain proxies b1 --now");
    int differ = 0;
    for (int i = 0; i < 60; ++i) {
        const std::string id = std::to_string(i) + "@silent";
        const Json said = desk.say_json("explain sip " + id);
        differ += said["backend"] != said["new_call_backend"];
        EXPECT_NE(said["new_call_backend"], "b1");
        if (said["backend"] == "b1") {
            EXPECT_EQ(said["rule"], "old") << "it may have begun before";
        }
        // So it is: what comes in such a call goes where explain said.
        const Steering inside = desk.invite(id, Method::Info);
        EXPECT_EQ(said["backend"], desk.publisher.current()->backends[index(*inside.backend)].name);
    }
    EXPECT_GT(differ, 5);
}

TEST(Explain, NamesTheKeyThatSteers) {
    Config config = counting_config(false);
    config.pools[0].key = {KeyType::Source, {}};
    config.pools[0].keys.list = {{"REGISTER", {KeyType::Aor, {}}}};
    CallDesk desk(config);
    const auto message = [](const std::string& method, int number) {
        return to_base64(method + " sip:x SIP/2.0\r\nTo: <sip:u" + std::to_string(number) +
                         "@example.com>\r\nCall-ID: " + std::to_string(number) + "@k\r\n\r\n");
    };
    EXPECT_TRUE(
        desk.say("explain sip --message-base64 " + message("INVITE", 1))
            .starts_with("ERR pool \"proxies\" steers this message by its sender: add --source"));
    EXPECT_TRUE(desk.say("explain sip --message-base64 " + message("INVITE", 1) + " --source x")
                    .starts_with("ERR --source: \"x\" is not an IPv4 address"));
    EXPECT_TRUE(desk.say("explain sip a@b --source 192.0.2.1").starts_with("ERR usage: explain"));
    std::set<std::string> owners;
    for (int i = 0; i < 30; ++i) {
        const std::string source = "192.0.2." + std::to_string(i);
        const auto ask = [&](int number) {
            return desk.say_json("explain sip --message-base64 " + message("INVITE", number) +
                                 " --source " + source);
        };
        const Json said = ask(1);
        EXPECT_EQ(said["key"], "source");
        EXPECT_EQ(said["key_value"], source);
        owners.insert(said["backend"]);
        EXPECT_EQ(ask(2)["backend"], said["backend"]) << "whatever its Call-ID";
    }
    EXPECT_EQ(owners.size(), 3U);
    const Json registers = desk.say_json("explain sip --message-base64 " + message("REGISTER", 7));
    EXPECT_EQ(registers["key"], "aor");
    EXPECT_EQ(registers["key_value"], "u7@example.com");
    EXPECT_EQ(registers["key_slot"], registers["slot"]);
    EXPECT_TRUE(
        contains(registers["reason"].get<std::string>(), "the keyed hash of the aor selects"));
    const Json by_id = desk.say_json("explain sip a@b");
    EXPECT_TRUE(contains(by_id["new_call_reason"].get<std::string>(),
                         "an INVITE is steered by its source"));
    EXPECT_TRUE(desk.say_json("explain sip --message-base64 " + to_base64("BYE sip:x SIP/2.0\r\ni: "
                                                                          "a@b\r\n\r\n"))["key"]
                    .is_null())
        << "what follows goes by its Call-ID";
}

TEST(Explain, SaysWhereAnAddressIsRegistered) {
    Config config = counting_config(false);
    config.pools[0].key = {KeyType::Aor, {}};
    CallDesk desk(config);
    const auto message = [](const std::string& method, int number) {
        const std::string user = "u" + std::to_string(number) + "@example.com";
        return method + " sip:" + user + " SIP/2.0\r\nTo: <sip:" + user +
               ">\r\nCall-ID: " + method + user + "\r\nCSeq: 1 " + method +
               "\r\nContact: <sip:u@192.0.2.1>\r\n\r\n";
    };
    const auto send = [&](const std::string& text) {
        const std::span<const std::byte> bytes = std::as_bytes(std::span(text));
        const SipDigest digest = read_digest(bytes);
        const SteerView view{*desk.publisher.current(), desk.table, CallTime(1)};
        const std::uint64_t hash = would_steer(view, kProxies, digest).hash;
        return steer(view, kProxies, digest, hash, {bytes, {}}).backend.value();
    };
    constexpr int kUsers = 30;
    std::vector<std::string> registered;
    for (int i = 0; i < kUsers; ++i)
        registered.push_back(
            desk.publisher.current()->backends[index(send(message("REGISTER", i)))].name);
    desk.say("drain proxies b1 --now");
    desk.count();
    int at_b1 = 0;
    for (int i = 0; i < kUsers; ++i) {
        if (registered[static_cast<std::size_t>(i)] != "b1") continue;
        ++at_b1;
        for (const char* const method : {"INVITE", "MESSAGE"}) {
            const Json said =
                desk.say_json("explain sip --message-base64 " + to_base64(message(method, i)));
            EXPECT_EQ(said["backend"], "b1");
            EXPECT_EQ(said["rule"], "registered");
            EXPECT_TRUE(said["generation"].is_null());
            EXPECT_EQ(said["reason"],
                      "registered: its aor is tracked at b1, the last place it was registered");
        }
    }
    EXPECT_GT(at_b1, 3);
    EXPECT_EQ(desk.say_json("show backends")["backends"][0]["calls_left"], nullptr);
}

} // namespace

} // namespace viaduct::test
