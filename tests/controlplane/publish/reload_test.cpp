// SPDX-License-Identifier: Apache-2.0
//
// reload: another configuration takes effect whole or not at all, and what stays, stays.
#include "cli/verbs_show.hpp"
#include "control_desk.hpp"
#include "own_table.hpp"
#include "publish/reload.hpp"

#include <cstdlib>
#include <fstream>
#include <gtest/gtest.h>
#include <memory>
#include <span>
#include <sys/stat.h>
#include <unistd.h>

namespace viaduct::test {

namespace {

constexpr PoolId kProxies{0};
using std::chrono::seconds;

BackendConfig backend(std::string name, std::string_view address) {
    BackendConfig made;
    made.name = std::move(name);
    made.endpoint = endpoint(address, 5060);
    return made;
}

/// A desk whose configuration stands in a file.
struct Office : ControlDesk {
    Office() : Office(desk_config()) {}
    explicit Office(Config made) : ControlDesk(std::move(made)) {
        char name[] = "/tmp/viaduct-reload-XXXXXX";
        close(mkstemp(name));
        config.file = name;
        write(config);
        all_up();
    }
    ~Office() { unlink(config.file.c_str()); }
    Office(const Office&) = delete;
    Office& operator=(const Office&) = delete;

    void write(const Config& wanted) { write_text(print_config(wanted)); }
    void write_text(const std::string& text) { std::ofstream(config.file) << text; }
    [[nodiscard]] BackendId id(const char* name, const char* pool = "proxies") const {
        return model.find_backend(pool, name).id;
    }
    /// What must not change when a change fails.
    [[nodiscard]] auto everything() const {
        return std::tuple(config, model.version(), state_kept, publisher.digest(kProxies));
    }
    /// The refusal; empty when it was taken.
    [[nodiscard]] std::string refusal(const Config& next) {
        try {
            reloader.apply(next);
        } catch (const Error& error) {
            return error.what();
        }
        return {};
    }
    [[nodiscard]] std::unique_ptr<const Snapshot> snapshot(seconds later = {}) {
        return publisher.build(model, Clock::now() + later);
    }
};

TEST(Reload, OfTheSameFileChangesNothing) {
    Office office;
    const auto before = office.everything();
    std::reverse(office.config.pools[0].backends.begin(), office.config.pools[0].backends.end());
    EXPECT_TRUE(office.reloader.reload().empty()) << "the order of backends says nothing";
    std::reverse(office.config.pools[0].backends.begin(), office.config.pools[0].backends.end());
    EXPECT_EQ(office.everything(), before);
    EXPECT_TRUE(office.ask("reload").starts_with("No difference"));
}

TEST(Reload, ANewBackendIsAnnouncedWhenItIsUpAndStopsNothingBefore) {
    Office office;
    const auto old = office.snapshot();
    Config next = office.config;
    next.pools[0].backends.insert(next.pools[0].backends.begin(), backend("b4", "198.51.100.24"));
    office.write(next);
    EXPECT_FALSE(office.reloader.reload().empty());
    EXPECT_EQ(office.state_kept, 1U) << "before any call is remembered with the new id";
    EXPECT_EQ(office.id("b4"), BackendId{4});
    EXPECT_EQ(office.id("b1"), BackendId{0});
    auto now = office.snapshot();
    EXPECT_TRUE(now->pools[0].health_known) << "of those it had";
    EXPECT_EQ(now->pools[0].slots, old->pools[0].slots);
    EXPECT_FALSE(now->pools[0].unsettled);
    office.model.set_health(office.id("b4"), Health::Up, "200");
    now = office.snapshot();
    EXPECT_EQ(now->pools[0].slots, old->pools[0].slots) << "announced first";
    EXPECT_TRUE(now->pools[0].unsettled);
    now = office.snapshot(seconds(41));
    EXPECT_TRUE(std::ranges::count(*now->pools[0].slots, BackendId{4}) > 0);
    EXPECT_EQ(now->backends[4].name, "b4");
}

TEST(Reload, WhoIsRemovedLeavesAndKeepsItsCallsAndItsId) {
    Office office;
    Config next = office.config;
    next.pools[0].backends.erase(next.pools[0].backends.begin());
    ASSERT_EQ(office.refusal(next), "");
    const BackendState& b1 = office.model.backend(BackendId{0});
    EXPECT_EQ(b1.membership, Membership::Leaving);
    EXPECT_EQ(b1.health, Health::Up);
    auto now = office.snapshot();
    EXPECT_EQ(now->backends[0].life, BackendLife::Serves);
    EXPECT_TRUE(std::ranges::count(*now->pools[0].slots, BackendId{0}) > 0) << "announced first";
    now = office.snapshot(seconds(41));
    EXPECT_EQ(std::ranges::count(*now->pools[0].slots, BackendId{0}), 0);
    EXPECT_TRUE(std::ranges::count(*now->pools[0].unsettled->old, BackendId{0}) > 0);

    EXPECT_NE(office.ask("undrain proxies b1").find("ERR b1 is leaving pool proxies"),
              std::string::npos);
    EXPECT_EQ(office.ask_json("show backends")["backends"][0]["admin"], "leaving");
    next.pools[0].backends.push_back(backend("b5", "198.51.100.25"));
    ASSERT_EQ(office.refusal(next), "");
    EXPECT_NE(office.id("b5"), BackendId{0}) << "calls may be remembered of b1";

    // It comes back before it is gone: as if nothing had been.
    next = desk_config();
    next.file = office.config.file;
    ASSERT_EQ(office.refusal(next), "");
    EXPECT_EQ(office.id("b1"), BackendId{0});
    EXPECT_EQ(office.model.backend(BackendId{0}).membership, Membership::Configured);
    EXPECT_EQ(office.model.backend(BackendId{0}).health, Health::Up);
}

TEST(Reload, AnIdIsFreeWhenNoGenerationNamesItAndNoCallIsRemembered) {
    Office office;
    OwnTable own;
    CallTable& table = own.table;
    CallSweeper sweeper(table, office.publisher);
    Reloader reloader({office.config,
                       office.model,
                       office.publisher,
                       office.health,
                       sweeper,
                       [](const Config&, const std::vector<BackendLocation>&) {},
                       [] { return std::string(); }});
    const CallTime now(100);
    const auto pass = [&] {
        sweep(sweeper, now);
        reloader.tick(Clock::now());
    };
    const auto membership = [&] { return office.model.backend(BackendId{0}).membership; };
    Config next = office.config;
    next.pools[0].backends.erase(next.pools[0].backends.begin());
    reloader.apply(next);
    static_cast<void>(office.snapshot());
    static_cast<void>(office.snapshot(seconds(41)));
    const Call call{BackendId{0}, CallState::Answered, 3, now.after(50)};
    static_cast<void>(table.remember(7, call, now));
    for (int i = 0; i < 3; ++i)
        pass();
    EXPECT_EQ(membership(), Membership::Leaving) << "a generation names it";
    static_cast<void>(office.snapshot(std::chrono::hours(5)));
    for (int i = 0; i < 3; ++i)
        pass();
    EXPECT_EQ(membership(), Membership::Leaving) << "a call is remembered";
    static_cast<void>(table.update(7, call, {BackendId{1}, CallState::Answered, 3, now.after(50)}));
    pass();
    EXPECT_EQ(membership(), Membership::Unused);
    EXPECT_EQ(office.ask("show backends").find("b1"), std::string::npos);
    static_cast<void>(office.snapshot(std::chrono::hours(5)));

    // A pool that goes takes its calls along: its ids are free when a pass has dropped them.
    next.pools.pop_back();
    next.vips.pop_back();
    const Call lost{BackendId{3}, CallState::Answered, 3, now.after(50)};
    static_cast<void>(table.remember(9, lost, now));
    reloader.apply(next);
    static_cast<void>(office.snapshot(std::chrono::hours(5)));
    EXPECT_EQ(office.model.backend(BackendId{3}).membership, Membership::Removed);
    pass();
    EXPECT_EQ(office.model.backend(BackendId{3}).membership, Membership::Removed)
        << "it may have begun before";
    pass();
    EXPECT_EQ(office.model.backend(BackendId{3}).membership, Membership::Unused);
    EXPECT_EQ(table.find(9, now), std::nullopt);
}

TEST(Reload, KeepsHealthWishesAndStatisticsOfWhatStays) {
    Office office;
    office.model.set_health(office.id("b2"), Health::Busy, "503");
    office.model.set_admin(office.id("b3"), Admin::Drain, "by hand");
    Config next = office.config;
    next.pools[0].health.interval = std::chrono::milliseconds(700);
    next.pools[0].backends[1].weight = 50;
    next.vips[0].lenient = true;
    std::swap(next.pools[0], next.pools[1]);
    ASSERT_EQ(office.refusal(next), "");
    EXPECT_EQ(office.model.backend(office.id("b2")).health, Health::Busy);
    EXPECT_EQ(office.model.backend(office.id("b2")).config.weight, 50U);
    EXPECT_EQ(office.model.backend(office.id("b3")).admin, Admin::Drain);
    EXPECT_EQ(office.model.find_pool("borders").id, PoolId{0}) << "pools as in the file";
    const auto now = office.snapshot();
    EXPECT_EQ(now->pools[1].name, "proxies");
    EXPECT_TRUE(now->pools[1].slots) << "its generations came along";
    EXPECT_EQ(now->vips[0].pool, PoolId{1});
    EXPECT_TRUE(now->vips[0].read_rules.lenient);
    EXPECT_EQ(now->backends[3].pool, PoolId{0});
}

TEST(Reload, RefusesWholeWhatNeedsARestart) {
    Office office;
    const auto expect_refused = [&](const std::string& named, auto change) {
        const auto before = office.everything();
        Config next = office.config;
        next.pools[0].backends.push_back(backend("b9", "198.51.100.29")); // would be fine
        change(next);
        const std::string reason = office.refusal(next);
        EXPECT_NE(reason.find(named), std::string::npos) << reason;
        EXPECT_EQ(reason.find('\n'), std::string::npos) << reason;
        EXPECT_EQ(office.everything(), before);
    };
    expect_refused("[dataplane]: workers", [](Config& c) { c.workers = 2; });
    expect_refused("port p0: mtu", [](Config& c) { c.ports[0].mtu = 1400; });
    expect_refused("port p1: added", [](Config& c) {
        c.ports.push_back(
            {.name = "p1", .device = "net_null1", .addresses = {}, .gateway = {}, .mtu = {}});
    });
    expect_refused("[steering]: secret", [](Config& c) { c.secret = SteeringSecret{1}; });
    expect_refused("[steering]: calls", [](Config& c) { c.calls = 20'000; });
    expect_refused("[timers]: t1", [](Config& c) { c.t1 = std::chrono::milliseconds(400); });
    expect_refused("[control]: socket", [](Config& c) { c.socket = "/run/other.sock"; });
    expect_refused("pool proxies: mode", [](Config& c) { c.pools[0].mode = ForwardMode::Nat; });
    expect_refused("pool proxies: steering",
                   [](Config& c) { c.pools[0].steering = SteerBy::RoundRobin; });
    expect_refused("call_lifetime",
                   [](Config& c) { c.pools[0].call_lifetime = std::chrono::hours(8); });
}

TEST(Reload, ChangesNothingWhenTheKernelRefuses) {
    Office office;
    Config next = office.config;
    next.vips.push_back({"new", endpoint("198.51.100.13", 5060), "proxies", true});
    office.address_failure = "port p0: cannot add address";
    const auto before = office.everything();
    EXPECT_EQ(office.refusal(next), office.address_failure);
    EXPECT_EQ(office.everything(), before);
    EXPECT_NE(office.ask("rollback").find("there is no previous configuration"), std::string::npos);
}

TEST(Reload, ABrokenFileIsOneLineAndChangesNothing) {
    Office office;
    office.write_text("[[port]]\nname = 7\n[[vip]]\nnome = \"x\"\n");
    const auto before = office.everything();
    const std::string answer = office.ask("reload");
    EXPECT_TRUE(answer.starts_with("ERR " + office.config.file + ":")) << answer;
    EXPECT_NE(answer.find("more mistakes: viaductd --check"), std::string::npos) << answer;
    EXPECT_EQ(std::ranges::count(answer, '\n'), 1) << answer;
    EXPECT_EQ(office.everything(), before);
    EXPECT_TRUE(office.ask("preview " + office.config.file).starts_with("ERR "));
    EXPECT_TRUE(
        office.ask("preview nowhere")
            .starts_with(
                "ERR preview needs an absolute path, because viaductd reads the file: /..."));
    EXPECT_TRUE(office.ask("preview /nowhere").starts_with("ERR "));
    EXPECT_EQ(office.everything(), before);
}

TEST(Reload, PreviewSaysWhatItWouldMoveAndChangesNothing) {
    Office office;
    Config next = office.config;
    next.pools[0].backends.push_back(backend("b4", "198.51.100.24"));
    office.write(next);
    const auto before = office.everything();
    const auto answer = office.ask_json("preview " + office.config.file);
    EXPECT_EQ(office.everything(), before);
    EXPECT_EQ(answer["changes"].size(), 1U);
    EXPECT_EQ(answer["changes"][0]["what"], "backend b4 of pool proxies");
    EXPECT_EQ(answer["changes"][0]["change"], "added");
    ASSERT_EQ(answer["pools"].size(), 1U);
    // One of four: a quarter, and 1 % (the law of rendezvous hashing, over 65,536 slots).
    EXPECT_NEAR(answer["pools"][0]["moved_percent"].get<double>(), 25, 1);
    EXPECT_TRUE(
        office.ask("preview " + office.config.file).ends_with("Nothing was changed.\nOK\n"));

    // What it says is what then happens.
    ASSERT_EQ(office.refusal(next), "");
    office.model.set_health(office.id("b4"), Health::Up, "200");
    const auto was = office.snapshot();
    const auto now = office.snapshot(seconds(41));
    std::size_t moved = 0;
    for (std::size_t slot = 0; slot < kSlots; ++slot)
        moved += (*was->pools[0].slots)[slot] != (*now->pools[0].slots)[slot] ? 1 : 0;
    EXPECT_EQ(percent(moved, kSlots), answer["pools"][0]["moved_percent"].get<double>());
}

TEST(Reload, PreviewSaysWhenAVipLeavesItsCalls) {
    Office office;
    Config two = office.config;
    two.pools.push_back(two.pools[0]);
    two.pools.back().name = "v2";
    for (BackendConfig& one : two.pools.back().backends)
        one.name += "-v2";
    two.vips[0].pool = "v2";
    office.write(two);
    const auto forgets = office.ask_json("preview " + office.config.file)["vips"];
    ASSERT_EQ(forgets.size(), 1U);
    EXPECT_EQ(forgets[0]["vip"], "sip");
    EXPECT_EQ(forgets[0]["leaves_pool"], "proxies");
    EXPECT_NE(office.ask("preview " + office.config.file)
                  .find("set previous_pool = \"proxies\" to keep them."),
              std::string::npos);
    two.vips[0].previous_pool = "proxies";
    office.write(two);
    EXPECT_EQ(office.ask_json("preview " + office.config.file)["vips"].size(), 0U);
    // And at the end of the move, when calls may be left.
    EXPECT_EQ(office.refusal(two), "");
    two.vips[0].previous_pool.reset();
    office.write(two);
    EXPECT_EQ(office.ask_json("preview " + office.config.file)["vips"].size(), 1U);
}

TEST(Reload, CallsAreAllCountedOnlyWhenNoneCanBeUnknown) {
    Office office;
    const auto counted = [&](std::chrono::seconds later) {
        return office.publisher.tracks_every_call(office.model.pool(kProxies),
                                                  Clock::now() + later);
    };
    Config next = office.config;
    next.pools[0].count_calls = true;
    ASSERT_EQ(office.refusal(next), "");
    static_cast<void>(office.snapshot());
    const auto lifetime =
        std::chrono::ceil<seconds>(next.pools[0].call_lifetime); // a call may be silent so long
    EXPECT_FALSE(counted(lifetime - seconds(1)));
    EXPECT_TRUE(counted(lifetime));
    EXPECT_EQ(office.ask_json("show backends")["backends"][0]["calls_left"], nullptr);
    next.pools[0].count_calls = false;
    ASSERT_EQ(office.refusal(next), "");
    static_cast<void>(office.snapshot());
    EXPECT_FALSE(counted(lifetime));
    // Of a pool that begins, no call began before.
    next.pools.push_back(next.pools[0]);
    next.pools.back().name = "fresh";
    next.pools.back().count_calls = true;
    next.vips[1].pool = "fresh";
    ASSERT_EQ(office.refusal(next), "");
    static_cast<void>(office.snapshot());
    EXPECT_TRUE(office.publisher.tracks_every_call(office.model.find_pool("fresh")));
    // Of one that comes back, some may have.
    const Config both = next;
    next.pools.pop_back();
    next.vips[1].pool = "proxies";
    ASSERT_EQ(office.refusal(next), "");
    static_cast<void>(office.snapshot());
    ASSERT_EQ(office.refusal(both), "");
    static_cast<void>(office.snapshot());
    EXPECT_FALSE(office.publisher.tracks_every_call(office.model.find_pool("fresh")));
}

TEST(Reload, AServerOfOneNatPoolIsAnothersWhenItsCallsHaveEnded) {
    Office office;
    Config next = office.config;
    next.pools.push_back(next.pools[1]);
    next.pools[2].name = "trunks";
    next.pools[2].backends = {backend("t1", "203.0.113.41")};
    next.vips.push_back({"trunk", endpoint("198.51.100.13", 5060), "trunks"});
    next.pools[1].backends.push_back(backend("n2", "203.0.113.22"));
    ASSERT_EQ(office.refusal(next), "");
    next.pools[1].backends.pop_back();
    next.pools[2].backends.push_back(backend("t2", "203.0.113.22"));
    EXPECT_EQ(
        office.refusal(next),
        "backend \"t2\" of nat pool \"trunks\" is still leaving nat pool \"borders\" as \"n2\", "
        "with its calls, at 203.0.113.22:5060, and its answers could not be told apart: wait "
        "until it is gone there (`show backends`)");
    next.pools[2].backends.pop_back();
    ASSERT_EQ(office.refusal(next), "");
    office.model.release(office.id("n2", "borders"));
    next.pools[2].backends.push_back(backend("t2", "203.0.113.22"));
    EXPECT_EQ(office.refusal(next), "");

    // Moved while nobody ran: it starts, and other changes are not refused for that.
    KnownBackend known{"borders", backend("n2", "203.0.113.22"), BackendId{9}};
    PoolModel model(next, {known});
    next.pools[0].backends[0].weight = 50;
    EXPECT_NO_THROW(model.reconfigure(next));
}

TEST(Reload, ANatServerUnderAnotherNameAnswersUnderThatName) {
    Office office;
    Config next = office.config;
    next.pools[1].backends = {backend("m1", "203.0.113.21")};
    ASSERT_EQ(office.refusal(next), "");
    EXPECT_EQ(office.snapshot()->nat_backends.find(endpoint("203.0.113.21", 5060)),
              index(office.id("m1", "borders")));
}

TEST(Reload, WorkersKnowAVipBeforeTheKernelDoes) {
    Office office;
    Config next = office.config;
    next.vips.push_back({"new", endpoint("198.51.100.14", 5060), "proxies"});
    const auto before = office.snapshot();
    const auto expecting = office.publisher.stage_vips(next);
    ASSERT_EQ(expecting->vips.size(), before->vips.size() + 1);
    const auto id = expecting->vip_by_endpoint.find(endpoint("198.51.100.14", 5060));
    ASSERT_TRUE(id);
    EXPECT_FALSE(expecting->vips[*id].enabled) << "it takes nothing yet";
    EXPECT_TRUE(expecting->vip_addresses.find({*parse_ipv4("198.51.100.14"), 0}));
    for (std::size_t i = 0; i < before->vips.size(); ++i) {
        EXPECT_EQ(expecting->vip_by_endpoint.find(before->vips[i].endpoint), i);
        EXPECT_EQ(expecting->vips[i].enabled, before->vips[i].enabled);
    }
}

TEST(Reload, AnotherAddressIsAnotherMachineAndWantsAnotherName) {
    Office office;
    const auto before = office.everything();
    Config next = office.config;
    BackendConfig& b1 = next.pools[0].backends[0];
    b1.endpoint = endpoint("198.51.100.99", 5060);
    EXPECT_EQ(office.refusal(next),
              "backend \"b1\" of pool \"proxies\" has its calls at 198.51.100.21:5060, not at "
              "198.51.100.99:5060: give the new machine another name instead of this one");
    EXPECT_EQ(office.everything(), before);
    b1.name = "b1b";
    ASSERT_EQ(office.refusal(next), "");
    EXPECT_EQ(office.model.backend(BackendId{0}).membership, Membership::Leaving)
        << "with its calls";
    const auto now = office.snapshot(seconds(60));
    EXPECT_EQ(std::ranges::count(*now->pools[0].slots, office.id("b1b")), 0)
        << "health not known yet";
}

TEST(Reload, SaysWhenItsStateCouldNotBeKept) {
    Office office;
    office.state_failure = "/var/lib/viaduct/state.json: No space left on device";
    const auto reply = office.ask_json("add proxies b4 198.51.100.24");
    EXPECT_EQ(reply["changed"], true);
    EXPECT_NE(reply["warning"].get<std::string>().find("No space left"), std::string::npos);
    EXPECT_NE(office.ask("weight proxies b4 50").find("\nWarning: /var/lib/viaduct/state.json: No"),
              std::string::npos);
    office.state_failure.clear();
    EXPECT_EQ(office.ask_json("weight proxies b4 60")["warning"], nullptr);
}

TEST(Reload, PreviewSaysThatALongerCallLifetimeNeedsARestart) {
    Office office;
    Config next = office.config;
    next.pools[0].call_lifetime *= 2;
    office.write(next);
    const auto changes = office.ask_json("preview " + office.config.file)["changes"];
    EXPECT_TRUE(std::ranges::any_of(
        changes, [](const auto& one) { return one["needs_restart"].template get<bool>(); }));
    EXPECT_NE(office.refusal(next).find("call table (by the longest call_lifetime): "
                                        "unit = 15s -> 29s"),
              std::string::npos);
}

TEST(Reload, ReplacingAllBackendsLeavesNoMomentWithoutOne) {
    for (const SteerBy by : {SteerBy::Hash, SteerBy::RoundRobin}) {
        Config config = desk_config();
        config.pools[0].steering = by;
        Office office(config);
        Config next = office.config;
        next.pools[0].backends = {backend("c1", "198.51.100.31"), backend("c2", "198.51.100.32")};
        ASSERT_EQ(office.refusal(next), "");
        const auto before = office.snapshot();
        ASSERT_TRUE(before->pools[0].slots);
        EXPECT_FALSE(office.publisher.generations(kProxies).announced()) << "it waits for verdicts";
        if (before->pools[0].picker) {
            EXPECT_EQ(before->pools[0].picker->members.size(), 3U);
        }
        for (const char* const name : {"c1", "c2"})
            office.model.set_health(office.id(name), Health::Up, "200");
        ASSERT_TRUE(office.snapshot(seconds(1))->pools[0].slots);
        const auto after = office.snapshot(seconds(42));
        ASSERT_TRUE(after->pools[0].slots);
        EXPECT_EQ(office.publisher.generations(kProxies).all().back().candidates.size(), 2U);
    }
}

TEST(Reload, WhoStaysIsNotLeftAloneWhileTheOthersAreReplaced) {
    Office office;
    Config next = office.config;
    next.pools[0].backends = {backend("b1", "198.51.100.21"),
                              backend("c2", "198.51.100.32"),
                              backend("c3", "198.51.100.33")};
    ASSERT_EQ(office.refusal(next), "");
    static_cast<void>(office.snapshot());
    for (const char* const name : {"c2", "c3"})
        office.model.set_health(office.id(name), Health::Up, "200");
    static_cast<void>(office.snapshot(seconds(1)));
    const auto after = office.snapshot(seconds(42));
    const auto owned = std::ranges::count(*after->pools[0].slots, office.id("b1"));
    EXPECT_LT(owned, 30'000) << "a third";
}

TEST(Reload, ANameThatStillLeavesIsNoOtherMachines) {
    Office office;
    ASSERT_FALSE(office.ask("remove proxies b1").starts_with("ERR"));
    const auto before = office.everything();
    EXPECT_EQ(
        office.ask("add proxies b1 198.51.100.99"),
        "ERR backend \"b1\" of pool \"proxies\" is still leaving, with its calls, at "
        "198.51.100.21:5060, not at 198.51.100.99:5060: give the new machine another name, or "
        "wait until it is gone\n");
    EXPECT_EQ(office.everything(), before);
    EXPECT_FALSE(office.ask("add proxies b1 198.51.100.21").starts_with("ERR")) << "it comes back";
}

TEST(Reload, AFifoIsRefusedAndNotWaitedFor) {
    Office office;
    const std::string fifo = office.config.file + ".fifo";
    ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
    EXPECT_EQ(office.ask("preview " + fifo), "ERR cannot read " + fifo + ": not a regular file\n");
    unlink(fifo.c_str());
}

TEST(Reload, APoolThatGoesTakesItsBackendsAlong) {
    Office office;
    Config next = office.config;
    next.pools.pop_back();
    next.vips.pop_back();
    const ConfigChange change = office.reloader.preview(next);
    ASSERT_EQ(change.pools.size(), 1U);
    EXPECT_TRUE(change.pools[0].goes);
    ASSERT_EQ(office.refusal(next), "");
    EXPECT_EQ(office.model.backend(BackendId{3}).membership, Membership::Removed);
    const auto now = office.snapshot();
    EXPECT_EQ(now->backends[3].name, "") << "whoever is remembered there is forgotten";
    EXPECT_FALSE(now->nat_backends.find(endpoint("203.0.113.21", 5060)));
    EXPECT_EQ(office.ask_json("show backends")["backends"].size(), 3U);
    EXPECT_EQ(office.ask_json("show health")["health"].size(), 3U);
}

TEST(Reload, RollbackReturnsAndTakesItselfBack) {
    Office office;
    const Config first = office.config;
    office.write(first);
    const auto says_it_is_not_in_the_file = [](const std::string& answer) {
        EXPECT_TRUE(answer.ends_with("OK\n")) << answer;
        return answer.find("To keep it, also add it to ") != std::string::npos;
    };
    EXPECT_TRUE(says_it_is_not_in_the_file(office.ask("weight proxies b1 50")));
    const Config second = office.config;
    EXPECT_NE(first, second);
    EXPECT_FALSE(says_it_is_not_in_the_file(office.ask("rollback")));
    EXPECT_EQ(office.config, first);
    EXPECT_TRUE(says_it_is_not_in_the_file(office.ask("rollback")));
    EXPECT_EQ(office.config, second);
    EXPECT_EQ(office.ask_json("weight proxies b1 100")["in_file"], true);
}

TEST(Reload, VerbsEditTheConfigurationInForce) {
    Office office;
    EXPECT_NE(
        office.ask("add proxies b4 198.51.100.24 --weight 30 --tier 1 --mac 02:00:00:00:00:24")
            .find("add it to " + office.config.file),
        std::string::npos);
    const BackendConfig& b4 = office.model.backend(office.id("b4")).config;
    EXPECT_EQ(b4.endpoint, endpoint("198.51.100.24", 5060));
    EXPECT_EQ(b4.weight, 30U);
    EXPECT_EQ(b4.tier, 1U);
    EXPECT_EQ(b4.mac, parse_mac("02:00:00:00:00:24"));
    EXPECT_EQ(office.ask_json("tier proxies b4 0")["changed"], true);
    EXPECT_EQ(office.ask_json("tier proxies b4 0")["changed"], false);
    EXPECT_EQ(office.ask_json("remove proxies b4")["changes"][0]["change"], "removed");
    EXPECT_EQ(office.ask_json("vip disable sip")["changed"], true);
    EXPECT_FALSE(fake_dataplane().snapshot->vips[0].enabled) << "published when it is answered";
    EXPECT_EQ(office.ask_json("vip enable sip")["changed"], true);
    EXPECT_TRUE(fake_dataplane().snapshot->vips[0].enabled);
    EXPECT_TRUE(office.reloader.reload().empty()) << "all of it was undone";
}

TEST(Reload, VerbsRefuseNonsenseInOneLineAndChangeNothing) {
    Office office;
    const auto before = office.everything();
    for (const auto& [line, part] : std::initializer_list<std::pair<const char*, const char*>>{
             {"remove proxies b9",
              "unknown backend \"b9\" in pool \"proxies\"; backends: b1, b2, b3"},
             {"remove nobody b1", "unknown pool \"nobody\""},
             {"remove borders n1", "the only backend"},
             {"remove proxies b1 --now", "usage: remove"},
             {"add proxies b1 198.51.100.24", "already has a backend \"b1\""},
             {"add proxies b4 198.51.100", "ADDRESS must be"},
             {"add proxies b4 198.51.100.24:0", "PORT"},
             {"add proxies b4 198.51.100.24:5070", "dsr-l2 does not change ports"},
             {"add proxies b4 198.51.100.21",
              "two backends of this pool have 198.51.100.21:5060; nothing was changed\n"},
             {"add proxies b4 198.51.100.10",
              "address 198.51.100.10 is a vip's address; give the address"},
             {"add proxies b/4 198.51.100.24", "name must be"},
             {"add proxies b4 198.51.100.24 --weight", "usage: add"},
             {"add proxies b4 198.51.100.24 --weight x", "--weight must be a number"},
             {"add proxies b4 198.51.100.24 --weight 5000", "weight must be"},
             {"add proxies b4 198.51.100.24 --mac 1", "--mac must be"},
             {"weight proxies b1 1001", "weight must be"},
             {"weight proxies b1 -1", "weight must be a number"},
             {"weight borders n1 0", "weight 0"},
             {"vip disable x", "unknown vip \"x\"; vips: sip, off, edge"}}) {
        const std::string answer = office.ask(line);
        EXPECT_TRUE(answer.starts_with("ERR ")) << line << ": " << answer;
        EXPECT_NE(answer.find(part), std::string::npos) << line << ": " << answer;
        EXPECT_EQ(std::ranges::count(answer, '\n'), 1) << answer;
    }
    EXPECT_EQ(office.everything(), before);

    for (const char* name : {"b2", "b3"})
        office.model.set_admin(office.id(name), Admin::Drain, "");
    EXPECT_NE(office.ask("remove proxies b1").find("add --force"), std::string::npos);
    EXPECT_NE(office.ask("weight proxies b1 0").find("add --force to set its weight to 0"),
              std::string::npos);
    EXPECT_NE(office.ask("weight proxies b1 0 --now").find("usage: weight"), std::string::npos);
    const std::string nobody = office.ask("weight proxies b1 0 --force");
    EXPECT_TRUE(nobody.ends_with("OK\n"));
    EXPECT_NE(nobody.find("Pool proxies has no backend that can take new calls"), std::string::npos)
        << nobody;
    EXPECT_TRUE(office.ask("weight proxies b1 100").ends_with("OK\n"));
    EXPECT_TRUE(office.ask("remove proxies b1 --force").ends_with("OK\n"));
}

TEST(Reload, IdsRunOutWithOneLineAndNothingIsChanged) {
    Config config = desk_config();
    for (std::size_t i = 0; i + 4 < kMaxBackends; ++i)
        config.pools[1].backends.push_back(
            backend("m" + std::to_string(i),
                    "10.0." + std::to_string(i / 250) + "." + std::to_string(i % 250 + 1)));
    ControlDesk desk(config);
    Config next = config;
    next.pools[1].backends.pop_back();
    ASSERT_FALSE(desk.reloader.apply(next).empty());
    next.pools[1].backends.push_back(backend("fresh", "10.1.0.1"));
    const std::uint64_t version = desk.model.version();
    EXPECT_THROW(desk.reloader.apply(next), Error) << "the one that left may have calls";
    EXPECT_EQ(desk.model.version(), version);
    EXPECT_EQ(desk.config.pools[1].backends.size(), kMaxBackends - 4);

    const BackendId left{kMaxBackends - 1};
    desk.model.release(left);
    ASSERT_FALSE(desk.reloader.apply(next).empty());
    EXPECT_EQ(desk.model.find_backend("borders", "fresh").id, left);
}

} // namespace

} // namespace viaduct::test
