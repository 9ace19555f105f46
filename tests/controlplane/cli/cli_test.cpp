// SPDX-License-Identifier: Apache-2.0
//
// One request line in, the whole answer out: arguments, permission, what each verb says and does.
#include "cli/text.hpp"
#include "control_desk.hpp"
#include "steer_by.hpp"

#include "viaduct/steering/steer.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <pwd.h>
#include <set>
#include <unistd.h>

namespace viaduct::test {
namespace {

using Json = nlohmann::ordered_json;

bool is_error(std::string_view text) {
    return text.starts_with("ERR ") && text.ends_with("\n") && std::ranges::count(text, '\n') == 1;
}
bool is_ok(std::string_view text) {
    return text.ends_with("\nOK\n");
}
bool contains(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
}

TEST(Verbs, AreSortedAndEachHasHelp) {
    EXPECT_TRUE(std::ranges::is_sorted(verbs(), {}, &Verb::name));
    EXPECT_EQ(std::ranges::adjacent_find(verbs(), {}, &Verb::name), verbs().end());
    for (const Verb& verb : verbs()) {
        EXPECT_FALSE(verb.help.empty()) << verb.name;
        EXPECT_TRUE(contains(verbs_reference(), "| `" + std::string(verb.name))) << verb.name;
    }
}

TEST(Verbs, RefuseTooFewAndTooManyArgumentsWithTheirUsage) {
    ControlDesk desk;
    desk.all_up();
    for (const Verb& verb : verbs()) {
        std::vector<std::string> lines;
        for (unsigned count = 0; count < verb.min_arguments; ++count)
            lines.emplace_back(verb.name);
        lines.emplace_back(verb.name);
        for (unsigned count = 0; count < verb.min_arguments; ++count)
            for (unsigned i = 0; i < count; ++i)
                lines[count] += " x";
        for (unsigned i = 0; i <= verb.max_arguments; ++i)
            lines.back() += " x";
        for (const std::string& line : lines) {
            const std::string text = desk.ask(line);
            EXPECT_TRUE(is_error(text)) << line;
            EXPECT_TRUE(contains(text, "usage: " + std::string(verb.name))) << text;
        }
    }
}

TEST(Verbs, SayWhatExistsWhenAskedForWhatDoesNot) {
    ControlDesk desk;
    desk.all_up();
    for (const std::string line :
         {"frobnicate", "show", "show nothing", "json", "", "  ", "SHOW pools"})
        EXPECT_TRUE(is_error(desk.ask(line))) << line;
    EXPECT_TRUE(contains(desk.ask("show nothing"), "show pools"));
    EXPECT_EQ(desk.ask("drain proxies b9"),
              "ERR unknown backend \"b9\" in pool \"proxies\"; backends: b1, b2, b3\n");
    EXPECT_EQ(desk.ask("drain nowhere b1"),
              "ERR unknown pool \"nowhere\"; pools: proxies, borders\n");
    EXPECT_EQ(desk.ask("explain nowhere a@b"),
              "ERR unknown vip \"nowhere\"; vips: sip, off, edge\n");
    EXPECT_EQ(desk.applied, 1U) << "nothing changed";
}

TEST(Verbs, AnswerHostileBytesWithOneCleanErrorLine) {
    ControlDesk desk;
    for (int byte = 0; byte < 256; ++byte)
        for (const std::string start : {"", "show ", "drain proxies ", "drain ", "explain sip "}) {
            const std::string text = desk.ask(start + "x" + static_cast<char>(byte) + "y");
            ASSERT_TRUE(is_error(text)) << byte;
            ASSERT_EQ(terminal_text(text, true), text) << byte;
            ASSERT_EQ(to_utf8(text), text) << byte;
        }
    EXPECT_TRUE(is_error(desk.ask(std::string(CliServer::kMaxLine, 'x'))));
    EXPECT_LT(desk.ask(std::string(CliServer::kMaxLine, 'x')).size(), 2000U);
}

TEST(Verbs, TakeBlanksTabsAndCarriageReturnAsATerminalSendsThem) {
    ControlDesk desk;
    EXPECT_TRUE(is_ok(desk.ask("  show \t pools  \r")));
}

TEST(Verbs, AnswerAsTextAndAsOneJsonObjectAlike) {
    ControlDesk desk;
    desk.all_up();
    fake_dataplane().ports.emplace_back().driver = "net_fake";
    for (const Verb& verb : verbs()) {
        if (!verb.name.starts_with("show ") && verb.name != "help") continue;
        const std::string name(verb.name);
        const Json object = desk.ask_json(name);
        ASSERT_TRUE(object.is_object()) << name;
        EXPECT_FALSE(object.empty()) << name;
        const std::string text = desk.ask(name);
        EXPECT_TRUE(is_ok(text)) << name;
        EXPECT_GT(text.size(), 10U) << name;
        EXPECT_EQ(std::ranges::count(desk.ask("json " + name), '\n'), 2) << name;
        EXPECT_EQ(contains(text, "net_fake"), name == "show ports");
    }
}

TEST(Permission, LetsEverybodyLookAndOnlyAdminsChange) {
    ControlDesk desk;
    desk.all_up();
    const Peer stranger{4'000'000, 4'000'000, 1, {}};
    for (const Verb& verb : verbs()) {
        std::string line(verb.name);
        if (verb.name == "explain")
            line += " sip a@b";
        else
            for (unsigned i = 0; i < verb.min_arguments; ++i)
                line += i == 0 ? " proxies" : " b1";
        const std::string text = answer(desk.control, stranger, line);
        EXPECT_EQ(is_error(text), verb.changes) << text;
        if (!verb.changes) continue;
        EXPECT_EQ(text, "ERR only root and admins (daemon) may do this; you are uid 4000000\n");
    }
    EXPECT_TRUE(desk.model.history().size() == 4) << "only the four verdicts";
    EXPECT_TRUE(is_ok(answer(desk.control, {1, 1, 1, {}}, "drain proxies b1")))
        << "daemon is uid 1";
}

TEST(Permission, KnowsRootItselfUsersAndGroups) {
    const Peer nobody{65534, 65534, 1, {}};
    EXPECT_TRUE(may_change({}, {0, 4'000'000, 1, {}}));
    EXPECT_TRUE(may_change({}, {geteuid(), 4'000'000, 1, {}}));
    EXPECT_FALSE(may_change({}, nobody));
    EXPECT_FALSE(may_change(find_admins({"root"}), nobody));
    EXPECT_TRUE(may_change(find_admins({"nobody"}), nobody));
    EXPECT_TRUE(may_change(find_admins({"nogroup"}), nobody)) << "a group";
    EXPECT_FALSE(may_change(find_admins({"daemon"}), {65534, 1, 1, {}}))
        << "daemon is a user: its group is not meant";
    const Admins group = find_admins({"nogroup"});
    EXPECT_TRUE(may_change(group, {4'000'000, 65534, 1, {}})) << "by its own group";
    EXPECT_TRUE(may_change(group, {4'000'000, 4'000'000, 1, {7, 65534}})) << "by another group";
    EXPECT_FALSE(may_change(group, {4'000'000, 4'000'000, 1, {7, 8}}));
}

TEST(Permission, NamesTheAdminThatDoesNotExist) {
    try {
        static_cast<void>(find_admins({"root", "no-such-name"}));
        FAIL() << "found an admin that does not exist";
    } catch (const Error& error) {
        EXPECT_STREQ(error.what(),
                     "control.admins: \"no-such-name\" is neither a user nor a group on this "
                     "machine; fix or remove it");
    }
}

TEST(Show, TellsTheStateOfTheModel) {
    ControlDesk desk;
    const auto id = [&](const char* name) { return desk.model.find_backend("proxies", name).id; };
    EXPECT_EQ(desk.ask_json("show pools")["pools"][0]["health_known"], false);
    desk.all_up();
    desk.model.set_health(id("b2"), Health::Down, "no answer in 300 ms");
    EXPECT_TRUE(is_ok(desk.ask("drain proxies b3")));
    fake_dataplane().workers[0]->forwarded[0].add(40);
    fake_dataplane().workers[1]->forwarded[0].add(2);

    const Json pool = desk.ask_json("show pools")["pools"][0];
    EXPECT_EQ(pool["pool"], "proxies");
    EXPECT_EQ(pool["mode"], "dsr-l2");
    EXPECT_EQ(pool["backends"], 3);
    EXPECT_EQ(pool["up"], 2);
    EXPECT_EQ(pool["eligible"], 1);
    EXPECT_EQ(pool["table"], desk.publisher.digest(PoolId{0}));

    const Json backends = desk.ask_json("show backends")["backends"];
    ASSERT_EQ(backends.size(), 4U);
    EXPECT_EQ(backends[0]["address"], "198.51.100.21:5060");
    EXPECT_EQ(backends[0]["forwarded"], 42);
    EXPECT_EQ(backends[1]["health"], "down");
    EXPECT_EQ(backends[1]["evidence"], "no answer in 300 ms");
    EXPECT_EQ(backends[2]["admin"], "draining");

    const Json vips = desk.ask_json("show vips")["vips"];
    EXPECT_EQ(vips[1]["enabled"], false);
    EXPECT_EQ(vips[2]["pool"], "borders");
}

TEST(Show, CountsEveryOutcomeAndSumsToWhatWasReceived) {
    ControlDesk desk;
    std::uint64_t received = 0;
    for (std::size_t i = 0; i < kOutcomeCount; i += 2) {
        fake_dataplane().workers[i % 4 / 2]->outcomes[i].add(i + 1);
        received += i + 1;
    }
    (*fake_dataplane().workers[0])[WorkerCounter::Received].add(received);
    const Json object = desk.ask_json("show outcomes");
    EXPECT_EQ(object["received"], received);
    EXPECT_EQ(object["outcomes"].size(), kOutcomeCount);
    std::uint64_t sum = 0;
    for (const Json& count : object["outcomes"])
        sum += count.get<std::uint64_t>();
    EXPECT_EQ(sum, received);
    EXPECT_EQ(object["counters"]["received"], received);

    const std::string text = desk.ask("show outcomes");
    EXPECT_TRUE(contains(text, "forwarded"));
    EXPECT_FALSE(contains(text, "\nreturned ")) << "zero";
    EXPECT_TRUE(contains(text, std::to_string(kOutcomeCount / 2) + " other outcomes are zero"));
}

TEST(Show, GivesWorkersTheirLoadAndSurvivesIdleOnes) {
    ControlDesk desk;
    WorkerCounters& busy = *fake_dataplane().workers[1];
    busy[WorkerCounter::Received].add(1000);
    busy[WorkerCounter::BusyTsc].add(123'400);
    const Json workers = desk.ask_json("show workers")["workers"];
    EXPECT_EQ(workers[0]["cpu"], 1);
    EXPECT_TRUE(workers[0]["cycles_per_packet"].is_null());
    EXPECT_EQ(workers[1]["cycles_per_packet"], 123.4);
    EXPECT_LE(workers[1]["busy_percent"].get<double>(), 100.0);
    EXPECT_TRUE(workers[1]["busy_percent_1s"].is_null()) << "no second has passed";
    EXPECT_EQ(workers[1].contains("digest"), kStageTsc) << "stages only where they are stamped";
}

TEST(Show, TellsTheLastSecondFromTheTimeBefore) {
    ControlDesk desk;
    const auto pass_second = [&](std::uint64_t busy) {
        fake_dataplane().tsc_now += fake_dataplane().tsc_hz;
        (*fake_dataplane().workers[1])[WorkerCounter::BusyTsc].add(busy);
        desk.load.tick();
    };
    pass_second(900'000'000);
    pass_second(123'000'000);
    const Json workers = desk.ask_json("show workers")["workers"];
    EXPECT_EQ(workers[0]["busy_percent_1s"], 0.0);
    EXPECT_EQ(workers[1]["busy_percent_1s"], 12.3);
}

TEST(Show, ListsTheLastEventsOldestFirstWithTimesInUtc) {
    ControlDesk desk;
    desk.all_up();
    for (int i = 0; i < 60; ++i)
        desk.model.set_admin(BackendId{0}, i % 2 == 0 ? Admin::Drain : Admin::Enabled, "test");
    const Json fifty = desk.ask_json("show events")["events"];
    ASSERT_EQ(fifty.size(), 50U);
    EXPECT_EQ(fifty.back()["number"], 64);
    EXPECT_EQ(fifty.front()["number"], 15);
    const auto at = fifty[0]["at"].get<std::string>();
    ASSERT_EQ(at.size(), 24U) << at;
    EXPECT_EQ(at[10], 'T');
    EXPECT_EQ(at.substr(19, 1) + at[23], ".Z");
    EXPECT_EQ(desk.ask_json("show events 3")["events"].size(), 3U);
    EXPECT_EQ(desk.ask_json("show events 1000")["events"].size(), 64U);
    for (const std::string bad : {"0", "1001", "-1", "x", "3x", "99999999999999999999", "1.5"})
        EXPECT_TRUE(is_error(desk.ask("show events " + bad))) << bad;
}

TEST(Show, HidesTheSecretOfTheConfiguration) {
    Config config = desk_config();
    config.secret = SteeringSecret{0xab, 0xcd, 0xef, 0x01};
    ControlDesk desk(config);
    for (const std::string& text : {desk.ask("show config"), desk.ask("json show config")}) {
        EXPECT_TRUE(is_ok(text));
        EXPECT_FALSE(contains(text, "abcdef01"));
        EXPECT_TRUE(contains(text, "198.51.100.21"));
    }
    EXPECT_EQ(desk.ask_json("show config")["vip"].size(), 3U);
}

TEST(Admin, SwitchesPublishesAndSaysWhatItMeansToday) {
    ControlDesk desk;
    desk.all_up();
    const std::string drained = desk.ask("drain proxies b1");
    EXPECT_TRUE(contains(drained, "b1 (pool proxies): draining (was enabled)."));
    EXPECT_TRUE(contains(drained, "Calls in progress stay where they are."));
    EXPECT_EQ(desk.applied, 2U);
    EXPECT_EQ(elect(desk.model, PoolId{0}).candidates.size(), 2U);
    const Pool& pool = fake_dataplane().snapshot->pools[0];
    ASSERT_TRUE(pool.unsettled) << "published before it answered";
    EXPECT_TRUE(std::ranges::count(*pool.slots, BackendId{0})) << "until the switch";

    EXPECT_TRUE(contains(desk.ask("drain proxies b1"), "): already draining: no change."));
    EXPECT_EQ(desk.ask_json("drain proxies b1")["changed"], false);
    EXPECT_EQ(desk.applied, 2U);
    EXPECT_EQ(desk.ask_json("undrain proxies b1")["changed"], true);
    EXPECT_EQ(desk.ask_json("disable proxies b1")["eligible"], 2);
    EXPECT_EQ(desk.ask_json("enable proxies b1")["eligible"], 3);
}

TEST(Admin, DoesNotUndoWithUndrainWhatSomebodyDisabled) {
    ControlDesk desk;
    desk.all_up();
    EXPECT_TRUE(is_ok(desk.ask("disable proxies b1")));
    EXPECT_EQ(desk.ask("undrain proxies b1"), "ERR b1 is disabled: use `enable proxies b1`\n");
    EXPECT_EQ(desk.ask("drain proxies b1"), "ERR b1 is disabled: use `enable proxies b1`\n")
        << "it would get packets again";
    EXPECT_TRUE(is_ok(desk.ask("enable proxies b1")));
    EXPECT_TRUE(is_ok(desk.ask("drain proxies b1")));
    EXPECT_EQ(desk.ask("enable proxies b1"), "ERR b1 is draining: use `undrain proxies b1`\n");
}

TEST(Admin, WarnsWhenThePoolHasNoBackendLeft) {
    ControlDesk desk;
    desk.all_up();
    const std::string text = desk.ask("disable borders n1 --force");
    EXPECT_TRUE(is_ok(text));
    EXPECT_TRUE(
        contains(text, "no backend that can take new calls: its traffic ends as no_backend"));
    EXPECT_FALSE(contains(text, "move to other backends")) << "there is none";
    EXPECT_EQ(desk.ask_json("explain edge a@b")["outcome"], "no_backend");
}

TEST(Explain, NamesTheBackendThatSteerChooses) {
    ControlDesk desk;
    desk.all_up();
    std::set<std::string> seen;
    for (int i = 0; i < 500; ++i) {
        if (i == 250) {
            EXPECT_TRUE(is_ok(desk.ask("drain proxies b2")));
        }
        const std::string call_id = "-" + std::to_string(i) + "@192.0.2.1[\xff]";
        const Json object = desk.ask_json("explain sip " + call_id);
        const Steering steering = steer_by(*fake_dataplane().snapshot, PoolId{0}, call_id);
        const Backend& backend = desk.publisher.current()->backends[index(*steering.backend)];
        ASSERT_EQ(object["backend"], backend.name);
        ASSERT_EQ(object["address"], to_string(backend.endpoint));
        ASSERT_EQ(object["slot"], steering.slot);
        ASSERT_EQ(object["outcome"], "forwarded");
        ASSERT_EQ(object["call_id"], to_utf8(call_id));
        seen.insert(backend.name);
    }
    EXPECT_EQ(seen.size(), 3U);
    EXPECT_EQ(desk.ask_json("explain sip a@b")["table"], desk.publisher.digest(PoolId{0}));
}

TEST(Explain, SaysWhyThereIsNoBackend) {
    ControlDesk desk;
    EXPECT_TRUE(is_error(desk.ask("explain sip a@b"))) << "nothing is published yet";
    desk.control.apply();
    const Json waiting = desk.ask_json("explain sip a@b");
    EXPECT_EQ(waiting["outcome"], "health_unknown");
    EXPECT_TRUE(waiting["backend"].is_null());
    EXPECT_TRUE(contains(waiting["reason"].get<std::string>(), "b2 (unknown, enabled)"));
    desk.all_up();
    EXPECT_EQ(desk.ask_json("explain off a@b")["outcome"], "vip_disabled");
}

TEST(Explain, ReadsAMessageByTheRulesOfItsVip) {
    Config config = desk_config();
    config.vips[2].lenient = true;
    config.vips[1].enabled = true;
    config.vips[1].max_header_lines = 16;
    ControlDesk desk(config);
    desk.all_up();
    const auto explain = [&](const std::string& vip, std::string_view message) {
        return desk.ask_json("explain " + vip + " --message-base64 " + to_base64(message));
    };
    const std::string start = "INVITE sip:x@192.0.2.1 SIP/2.0\r\nCall-ID: one@x\r\n";
    const Json ambiguous = explain("sip", start + "i: two@x\r\n\r\n");
    EXPECT_EQ(ambiguous["outcome"], "ambiguous_call_id");
    EXPECT_EQ(ambiguous["call_id"], "one@x");
    EXPECT_TRUE(ambiguous["backend"].is_null());
    EXPECT_TRUE(contains(ambiguous["reason"].get<std::string>(), "differ"));
    const Json lenient = explain("edge", start + "i: two@x\r\n\r\n");
    EXPECT_EQ(lenient["outcome"], "forwarded");
    EXPECT_EQ(lenient["call_id"], "one@x");

    std::string lines;
    for (int line = 0; line < 16; ++line)
        lines += "X: x\r\n";
    EXPECT_EQ(explain("sip", start + lines + "\r\n")["outcome"], "forwarded");
    const Json cut = explain("off", start + lines + "\r\n");
    EXPECT_EQ(cut["outcome"], "too_many_header_lines");
    EXPECT_EQ(cut["call_id"], "one@x");
}

TEST(Explain, ReadsTheCallIdOfAMessageAsTheWorkersDo) {
    ControlDesk desk;
    desk.all_up();
    const auto explain = [&](std::string_view message) {
        return desk.ask_json("explain sip --message-base64 " + to_base64(message));
    };
    const Json object = explain("INVITE sip:x@192.0.2.1 SIP/2.0\r\ni : abc@192.0.2.9\r\n\r\nbody");
    EXPECT_EQ(object["call_id"], "abc@192.0.2.9");
    EXPECT_EQ(object["backend"], desk.ask_json("explain sip abc@192.0.2.9")["backend"]);
    EXPECT_EQ(explain("INVITE sip:x@192.0.2.1 SIP/2.0\r\nTo: x\r\n\r\n")["outcome"], "no_call_id");
    EXPECT_EQ(explain("GET / HTTP/1.1\r\n\r\n")["outcome"], "not_sip");
    EXPECT_EQ(explain("\r\n\r\n")["outcome"], "keepalive");
    for (const std::string bad : {"a", "abc", "ab=c", "====", "a===", "\xff\xff\xff\xff", "ab%d"})
        EXPECT_TRUE(is_error(desk.ask("explain sip --message-base64 " + bad))) << bad;
    EXPECT_TRUE(is_error(desk.ask("explain sip --message-base64")));
    EXPECT_TRUE(is_error(desk.ask("explain sip a@b c@d")));
}

} // namespace
} // namespace viaduct::test
