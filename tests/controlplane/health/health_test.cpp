// SPDX-License-Identifier: Apache-2.0
//
// A site of backends on a clock of its own, where a backend answers, falls silent, or somebody
// forges its answers.
#include "fake_dataplane.hpp"
#include "health_site.hpp"

#include <algorithm>
#include <deque>
#include <gtest/gtest.h>
#include <memory>
#include <random>
#include <set>

namespace viaduct::test {
namespace {

/// A site whose only backend has just been seen up.
Site site_up(PoolConfig pool = pool_of(1)) {
    Site site(std::move(pool));
    site.answer_next();
    EXPECT_EQ(site.health(), Health::Up);
    return site;
}

TEST(HealthChecker, ProbesTheVipAtTheMacOfEachBackendInDsr) {
    Site site(pool_of(2));
    const std::vector<SentProbe> first = site.next();
    const std::vector<SentProbe> second = site.next();
    ASSERT_EQ(first.size(), 1U);
    ASSERT_EQ(second.size(), 1U);
    EXPECT_EQ(first[0].destination_mac, Site::mac_of(0));
    EXPECT_EQ(second[0].destination_mac, Site::mac_of(1));
    for (const SentProbe& probe : {first[0], second[0]}) {
        EXPECT_EQ(probe.destination, kVip);
        EXPECT_EQ(probe.source, (Endpoint{kOwn, kProbeUdpPort}));
        EXPECT_EQ(probe.source_mac, kOwnMac);
        EXPECT_EQ(probe.text.rfind("OPTIONS sip:198.51.100.10:5060 SIP/2.0\r\n", 0), 0U);
    }
}

TEST(HealthChecker, ProbesTheBackendItselfInNatPerhapsThroughAGateway) {
    PoolConfig pool = pool_of(1, ForwardMode::Nat);
    pool.backends[0].endpoint = {*parse_ipv4("203.0.113.21"), 5080};
    pool.health.uri = "sip:ping@example.org";
    Site site(pool);
    const MacAddr gateway = *parse_mac("02:00:00:00:00:01");
    site.next_hops.next_hops.hops[0] = {LinkId{0}, *parse_ipv4("198.51.100.1"), gateway};
    const SentProbe probe = site.next().at(0);
    EXPECT_EQ(probe.destination, pool.backends[0].endpoint);
    EXPECT_EQ(probe.destination_mac, gateway);
    EXPECT_EQ(probe.text.rfind("OPTIONS sip:ping@example.org SIP/2.0\r\n", 0), 0U);

    Event answer = probe.answer();
    answer.source_mac = Site::mac_of(7); // another router may bring it back
    site.checker->on_answer(answer, site.now);
    EXPECT_EQ(site.health(), Health::Up);
}

TEST(HealthChecker, SaysWhatItSaw) {
    Site site(pool_of(1));
    site.answer_next(204, 3210us);
    EXPECT_EQ(site.state().evidence, "204 in 3.2 ms");
    EXPECT_EQ(site.statistics().last_status, 204);
    EXPECT_EQ(site.statistics().last_rtt, 3210us);
    for (int i = 0; i < 2; ++i)
        site.answer_next(503);
    EXPECT_EQ(site.health(), Health::Busy);
    EXPECT_EQ(site.state().evidence, "503 in 1.0 ms, not in accept, 2 in a row");
    site.wait(2s);
    EXPECT_EQ(site.health(), Health::Down);
    EXPECT_EQ(site.state().evidence, "no answer in 300 ms, 2 in a row");
    EXPECT_EQ(site.statistics().good, 1U);
    EXPECT_EQ(site.statistics().bad_code, 2U);
    EXPECT_GE(site.statistics().timeout, 2U);
    EXPECT_EQ(site.statistics().last_rtt, 1ms) << "of the last answer there was";
}

TEST(HealthChecker, TakesAnyConfiguredCodeForGoodButNeverALocalTimeOut) {
    PoolConfig pool = pool_of(1);
    pool.health.accept = {{404, 404}, {400, 499}};
    Site site(pool);
    site.answer_next(408);
    EXPECT_EQ(site.health(), Health::Up);
    site.answer_next(200);
    site.answer_next(500);
    EXPECT_EQ(site.health(), Health::Busy) << "only what is listed is good";
    site.wait(2s);
    EXPECT_EQ(site.health(), Health::Down) << "no answer is no 408";
}

TEST(HealthChecker, WaitsForTheFinalAnswerAfterAProvisionalOne) {
    Site site(pool_of(1));
    const SentProbe probe = site.next().at(0);
    site.checker->on_answer(probe.answer(100), site.now);
    EXPECT_EQ(site.health(), Health::Unknown);
    site.checker->on_answer(probe.answer(200), site.now + 1ms);
    EXPECT_EQ(site.health(), Health::Up);
}

TEST(HealthChecker, CountsATimelyAnswerThatWasReadLate) {
    Site site = site_up();
    SentProbe probe = site.next().at(0);
    for (int i = 0; i < 5; ++i) {
        site.now += 10s; // the control thread was busy; the answer lay in the ring
        site.checker->on_answer(probe.answer(), probe.at + 300ms);
        const std::vector<SentProbe> sent = site.pass(0ms);
        ASSERT_EQ(sent.size(), 1U);
        site.checker->on_answer(sent[0].answer(), sent[0].at + 1ms);
        EXPECT_EQ(site.pass(449ms).size(), 0U) << "missed probes are not made up for";
        probe = site.next().at(0);
    }
    EXPECT_EQ(site.statistics().timeout, 0U);
    EXPECT_EQ(site.health(), Health::Up);
    EXPECT_EQ(site.model->history().size(), 1U);
}

TEST(HealthChecker, LetsNoForgedAnswerChangeAState) {
    const struct {
        const char* what;
        void (*forge)(Event&);
        bool rejected; ///< the forger knows the identifiers, but sits at the wrong place
    } forgeries[] = {
        {"other Call-ID", [](Event& e) { e.call_id.assign(make_probe_ids().call_id); }, false},
        {"no Call-ID", [](Event& e) { e.call_id.assign(""); }, false},
        {"longer Call-ID",
         [](Event& e) { e.call_id.assign(std::string{e.call_id.view()} + "0"); },
         false},
        {"other branch", [](Event& e) { e.branch.assign(make_probe_ids().branch); }, false},
        {"no branch", [](Event& e) { e.branch.assign(""); }, false},
        {"other source address", [](Event& e) { ++e.source.address.value; }, true},
        {"other source port", [](Event& e) { ++e.source.udp_port; }, true},
        {"other destination address", [](Event& e) { ++e.destination.address.value; }, true},
        {"other destination port", [](Event& e) { ++e.destination.udp_port; }, true},
    };
    for (const auto& forgery : forgeries) {
        SCOPED_TRACE(forgery.what);
        Site dead(pool_of(1));
        dead.wait(600ms);
        ASSERT_EQ(dead.health(), Health::Down);
        Site alive = site_up();
        for (int i = 0; i < 4; ++i) {
            Event ok = dead.next().at(0).answer(200);
            forgery.forge(ok);
            dead.checker->on_answer(ok, dead.now);
            ASSERT_EQ(dead.health(), Health::Down);

            const SentProbe probe = alive.next().at(0);
            Event refusal = probe.answer(503);
            forgery.forge(refusal);
            alive.checker->on_answer(refusal, alive.now);
            alive.checker->on_answer(probe.answer(200), alive.now + 1ms);
            ASSERT_EQ(alive.health(), Health::Up);
        }
        EXPECT_EQ(alive.statistics().good, 5U) << "a forgery does not end a probe";
        EXPECT_EQ(alive.statistics().bad_code, 0U);
        EXPECT_EQ(alive.statistics().rejected, forgery.rejected ? 4U : 0U);
        EXPECT_EQ(alive.checker->unknown_answers(), forgery.rejected ? 0U : 4U);
        EXPECT_EQ(dead.statistics().good, 0U);
        EXPECT_EQ(dead.model->history().size(), 1U);
    }
}

TEST(HealthChecker, TakesEachAnswerOnceAndNoneTooLate) {
    Site site = site_up();
    const SentProbe probe = site.next().at(0);
    site.checker->on_answer(probe.answer(), probe.at + 301ms); // stamped late, read before tick()
    EXPECT_EQ(site.statistics().good, 1U);
    site.wait(301ms);
    EXPECT_EQ(site.statistics().timeout, 1U);
    site.checker->on_answer(probe.answer(), probe.at + 299ms); // its probe has ended
    EXPECT_EQ(site.checker->unknown_answers(), 2U);

    const SentProbe answered = site.next().at(0);
    for (int i = 0; i < 10; ++i)
        site.checker->on_answer(answered.answer(), site.now);
    EXPECT_EQ(site.statistics().good, 2U);
    EXPECT_EQ(site.checker->unknown_answers(), 11U);
    site.next(); // replays while the next probe waits do not answer that one
    for (int i = 0; i < 10; ++i)
        site.checker->on_answer(answered.answer(), site.now);
    EXPECT_EQ(site.statistics().good, 2U);
}

/// Kills an answering backend at a random moment; returns how long it stayed up.
Clock::duration detection_time(const PoolConfig& pool, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    const HealthConfig& health = pool.health;
    Site site(pool, seed);
    const TimePoint death =
        site.now + 2 * health.interval + std::chrono::milliseconds(random() % 2000);
    const auto delay =
        std::chrono::milliseconds(random() % static_cast<std::uint64_t>(health.timeout.count()));
    const TimePoint limit = death + health.fall * health.interval + health.timeout + 1min;
    std::deque<SentProbe> unanswered;
    while (site.now < limit) {
        for (SentProbe& probe : site.pass(1ms))
            unanswered.push_back(std::move(probe));
        for (; !unanswered.empty() && unanswered.front().at + delay <= site.now;
             unanswered.pop_front())
            if (site.now < death) site.checker->on_answer(unanswered.front().answer(), site.now);
        if (site.now < death) {
            EXPECT_NE(site.health(), Health::Down) << "seed " << seed;
        } else if (site.health() == Health::Down) {
            return site.now - death;
        }
    }
    return Clock::duration::max();
}

TEST(HealthChecker, NoticesADeadBackendWithinFallIntervalsAndATimeout) {
    for (std::uint64_t seed = 0; seed < 1000; ++seed) {
        std::mt19937_64 random(seed);
        PoolConfig pool = pool_of(1);
        pool.health.interval = std::chrono::milliseconds(50 + random() % 500);
        pool.health.timeout = std::chrono::milliseconds(
            5 + random() % static_cast<std::uint64_t>(pool.health.interval.count() - 4));
        pool.health.fall = 1 + static_cast<unsigned>(random() % 4);
        const Clock::duration detection = detection_time(pool, seed);
        // The clock ticks in milliseconds: one to send, and one to notice the end of each probe.
        const Clock::duration bound = pool.health.fall * pool.health.interval + pool.health.timeout;
        ASSERT_LE(detection, bound + (pool.health.fall + 1) * 1ms) << "seed " << seed;
    }
}

TEST(HealthChecker, NeverProbesLaterThanTheIntervalSaysNorMuchEarlier) {
    Site site(pool_of(1));
    SentProbe last = site.next().at(0);
    Clock::duration shortest = 1h;
    Clock::duration longest{};
    for (int i = 0; i < 1000; ++i) {
        const SentProbe probe = site.next().at(0);
        shortest = std::min(shortest, probe.at - last.at);
        longest = std::max(longest, probe.at - last.at);
        last = probe;
    }
    EXPECT_GE(shortest, 449ms);
    EXPECT_LE(longest, 501ms);
    EXPECT_GE(longest - shortest, 25ms) << "many balancers must not fall into step";
}

TEST(HealthChecker, LetsDelaysOfTheTickNotAddUp) {
    Site site(pool_of(1));
    unsigned sent = 0;
    for (int i = 0; i < 12'500; ++i)
        sent += static_cast<unsigned>(site.pass(40ms).size());
    // 500 s at 475 ms on average; 20 ms of delay each time would leave 1010.
    EXPECT_GE(sent, 1040U);
    EXPECT_LE(sent, 1065U);
}

TEST(HealthChecker, SpreadsTheFirstProbesOverAnIntervalOr200Milliseconds) {
    constexpr unsigned kBackends = 100;
    const struct {
        std::chrono::milliseconds interval, spread;
    } rows[] = {{50ms, 50ms}, {200ms, 200ms}, {10s, 200ms}};
    for (const auto& row : rows) {
        PoolConfig pool = pool_of(kBackends);
        pool.health.interval = row.interval;
        pool.health.timeout = row.interval;
        Site site(pool);
        std::set<std::uint8_t> probed;                // last byte of the MAC
        for (const SentProbe& probe : site.pass(0ms)) // the clock starts at the first tick
            probed.insert(probe.destination_mac.bytes[5]);
        EXPECT_EQ(probed.size(), 1U);
        for (unsigned passed = 0; passed < row.spread / 10ms; ++passed) {
            const std::size_t before = probed.size();
            for (unsigned i = 0; i < 10; ++i)
                for (const SentProbe& probe : site.pass(1ms))
                    probed.insert(probe.destination_mac.bytes[5]);
            EXPECT_LE(probed.size() - before, kBackends / (row.spread / 10ms) + 1);
        }
        EXPECT_EQ(probed.size(), kBackends) << "interval " << row.interval.count() << " ms";
    }
}

TEST(HealthChecker, SendsAsSoonAsTheNextHopIsResolvedAndSaysWhenItNeverWas) {
    Site site(pool_of(1));
    std::optional<MacAddr>& mac = site.next_hops.next_hops.hops[0].mac;
    mac.reset();
    EXPECT_TRUE(site.next(250ms).empty());
    mac = Site::mac_of(0);
    const SentProbe probe = site.pass(1ms).at(0);
    site.checker->on_answer(probe.answer(), site.now + 300ms); // the time runs from the sending
    EXPECT_EQ(site.health(), Health::Up);

    mac.reset();
    EXPECT_TRUE(site.next(2s).empty());
    EXPECT_EQ(site.health(), Health::Down);
    EXPECT_EQ(site.state().evidence, "next hop 198.51.100.21 not resolved, 2 in a row");
    site.next_hops.next_hops.fallback = Site::mac_of(9);
    EXPECT_EQ(site.next().at(0).destination_mac, Site::mac_of(9));
}

TEST(HealthChecker, SaysWhyAProbeCouldNotBeSent) {
    Site full(pool_of(1));
    fake_dataplane().inject_fails = true;
    EXPECT_TRUE(full.pass(1ms).empty());
    fake_dataplane().inject_fails = false;
    full.answer_next();
    EXPECT_EQ(full.now, full.started + 2ms) << "tried again at the next tick";
    fake_dataplane().inject_fails = true;
    full.wait(2s);
    EXPECT_EQ(full.health(), Health::Down);
    EXPECT_EQ(full.state().evidence.rfind("probe could not be sent on port \"p0\"", 0), 0U)
        << full.state().evidence;
    EXPECT_EQ(full.statistics().sent, 1U);

    Site bare(pool_of(1));
    bare.next_hops.link_addresses[0] = {};
    EXPECT_TRUE(bare.next(310ms).empty());
    EXPECT_EQ(bare.state().evidence,
              "port \"p0\" has no address to probe from; add one to its `addresses`");

    Site no_vip(pool_of(1));
    no_vip.config.vips.clear();
    no_vip.checker = std::make_unique<HealthChecker>(
        no_vip.config, *no_vip.model, no_vip.next_hops, kProbeUdpPort);
    EXPECT_TRUE(no_vip.next(310ms).empty());
    EXPECT_EQ(no_vip.state().evidence,
              "pool \"proxies\" has no VIP to probe; add a [[vip]] that names it");
}

TEST(HealthChecker, ProbesDisabledBackendsSoThatTheirStateIsKnown) {
    Site site(pool_of(1));
    site.model->set_admin(BackendId{0}, Admin::Disabled, "by the operator");
    site.answer_next();
    EXPECT_EQ(site.health(), Health::Up);
}

TEST(HealthChecker, TakesBackendsWithoutAProbeForUp) {
    PoolConfig pool = pool_of(2);
    pool.health.kind = ProbeKind::None;
    Site site(pool);
    EXPECT_EQ(site.health(0), Health::Up);
    EXPECT_EQ(site.health(1), Health::Up);
    EXPECT_EQ(site.state().evidence, "no probe configured");
    EXPECT_TRUE(site.next().empty());
}

/// The evidence once a probe was answered like this, and nothing else came.
std::string told_of(Site& site, void (*change)(Event&)) {
    Event answer = site.next().at(0).answer(200);
    change(answer);
    site.checker->on_answer(answer, site.now + 1ms);
    site.wait(301ms);
    EXPECT_EQ(site.health(), Health::Down);
    return site.state().evidence;
}

TEST(HealthChecker, SaysWhatCameFromWhereInsteadOfTheAnswer) {
    const struct {
        void (*change)(Event&);
        const char* evidence;
    } rows[] = {
        {[](Event& e) { e.source.udp_port = 5070; },
         "200 from 198.51.100.10:5070, expected from 198.51.100.10:5060"},
        {[](Event& e) { e.source.address = *parse_ipv4("198.51.100.21"); },
         "200 from 198.51.100.21:5060, expected from 198.51.100.10:5060"},
        {[](Event& e) { e.destination.address.value += 1; },
         "200 to 198.51.100.3:40000, expected to 198.51.100.2:40000"},
        {[](Event& e) { e.status = 100; }, "only 100, no final answer in 300 ms"},
        {[](Event& e) {
             e.status = 503;
             e.source.udp_port = 1024;
         },
         "503 from 198.51.100.10:1024, expected from 198.51.100.10:5060"},
        {[](Event& e) { e.branch.assign(""); },
         "200 from 198.51.100.10:5060 without the probe's branch in its top Via"},
        {[](Event& e) { e.call_id.assign("mine"); },
         "200 from 198.51.100.10:5060 without the probe's Call-ID"},
        {[](Event& e) {
             e.call_id.assign("");
             e.status = 0;
         },
         "a datagram that is not a SIP response from 198.51.100.10:5060"},
        {[](Event& e) { // no backend's MAC, and not ours: nothing ties it to this one
             e.call_id.assign("mine");
             e.source_mac = Site::mac_of(7);
         },
         "no answer in 300 ms"},
    };
    for (const auto& row : rows) {
        Site site(pool_of(1));
        EXPECT_EQ(told_of(site, row.change), row.evidence);
        EXPECT_EQ(site.model->history().back().evidence, row.evidence);
    }
}

TEST(HealthChecker, KeepsWhatSaysMostAndForgetsItWithTheProbe) {
    Site site(pool_of(1));
    const SentProbe probe = site.next().at(0);
    Event elsewhere = probe.answer(200);
    elsewhere.source.udp_port = 5070;
    Event stray = probe.answer(200);
    stray.call_id.assign("mine");
    site.checker->on_answer(elsewhere, site.now);
    site.checker->on_answer(stray, site.now);
    site.wait(301ms);
    EXPECT_EQ(site.state().evidence,
              "200 from 198.51.100.10:5070, expected from 198.51.100.10:5060");
    site.wait(800ms);
    EXPECT_EQ(site.state().evidence.rfind("no answer in 300 ms, ", 0), 0U) << site.state().evidence;
    EXPECT_EQ(site.model->history().size(), 1U) << "it went down once";
}

TEST(HealthChecker, SaysWhyABackendIsStillDownWhenTheReasonIsAnother) {
    Site site(pool_of(1));
    site.wait(600ms);
    EXPECT_EQ(site.state().evidence.rfind("no answer in 300 ms", 0), 0U) << site.state().evidence;
    EXPECT_EQ(told_of(site, [](Event& e) { e.source.udp_port = 5070; })
                  .rfind("200 from 198.51.100.10:5070, expected from 198.51.100.10:5060, ", 0),
              0U);
}

TEST(HealthChecker, SaysThatAnswersComeTooLate) {
    Site site(pool_of(1));
    const SentProbe first = site.next().at(0);
    site.wait(301ms);
    EXPECT_EQ(site.state().evidence, "no answer in 300 ms");
    site.next();
    site.checker->on_answer(first.answer(), first.at + 732ms);
    EXPECT_EQ(site.checker->unknown_answers(), 1U);
    EXPECT_EQ(site.health(), Health::Down);
    site.wait(301ms);
    EXPECT_EQ(site.state().evidence, "no answer in 300 ms; a late one took 732.0 ms, 2 in a row");
    for (int i = 0; i < 2; ++i)
        site.answer_next();
    EXPECT_EQ(site.health(), Health::Up);
    site.wait(3s);
    EXPECT_EQ(site.state().evidence.find("late"), std::string::npos) << site.state().evidence;
}

TEST(HealthChecker, SaysWhichIcmpErrorQuotedItsProbe) {
    Site site(pool_of(2, ForwardMode::Nat));
    const SentProbe first = site.next().at(0);
    const SentProbe second = site.next().at(0);
    Event error;
    error.kind = EventKind::ProbeError;
    error.source.address = first.destination.address;
    error.destination = first.destination;
    error.status = 3 << 8 | 3;
    error.udp_checksum = first.udp_checksum;
    site.checker->on_error(error);
    Event forged = error;
    forged.destination = second.destination;
    forged.udp_checksum = static_cast<std::uint16_t>(second.udp_checksum + 1);
    site.checker->on_error(forged);
    EXPECT_EQ(site.health(), Health::Unknown) << "it decides nothing";
    site.wait(301ms);
    EXPECT_EQ(site.state(0).evidence, "ICMP port unreachable from 198.51.100.21");
    EXPECT_EQ(site.state(1).evidence, "no answer in 300 ms");
}

TEST(HealthChecker, TakesAnAnswerByAnotherMacInDsr) {
    for (const bool known : {false, true}) { // of no backend (a bond), or of another one
        Site site(pool_of(2));
        Event answer = site.next().at(0).answer(200);
        answer.source_mac = known ? Site::mac_of(1) : *parse_mac("02:00:00:00:00:b3");
        site.checker->on_answer(answer, site.now + 1ms);
        EXPECT_EQ(site.health(), Health::Up);
        EXPECT_EQ(site.state().evidence, "200 in 1.0 ms from MAC " + to_string(answer.source_mac));
        EXPECT_EQ(site.statistics().rejected, 0U);
    }
}

TEST(HealthChecker, TakesAnAnswerFromAnyPortWhereEveryPortIsTranslated) {
    for (const bool any_port : {false, true}) {
        PoolConfig pool = pool_of(1, ForwardMode::Nat);
        pool.translate_any_port = any_port;
        Site site(pool);
        Event answer = site.next().at(0).answer(200);
        answer.source.udp_port = 33'333;
        site.checker->on_answer(answer, site.now + 1ms);
        EXPECT_EQ(site.health(), any_port ? Health::Up : Health::Unknown);
        answer = site.next().at(0).answer(200);
        answer.source.address.value += 1;
        site.checker->on_answer(answer, site.now + 1ms);
        EXPECT_EQ(site.statistics().rejected, any_port ? 1U : 2U) << "but from no other address";
    }
}

TEST(HealthChecker, SearchesItsBackendsForStrangersOnlySoOften) {
    Site site(pool_of(1));
    const SentProbe probe = site.next().at(0);
    Event stray = probe.answer(200);
    stray.call_id.assign("mine");
    stray.source_mac = Site::mac_of(7);
    for (int i = 0; i < 100; ++i)
        site.checker->on_answer(stray, site.now);
    stray.source_mac = probe.destination_mac;
    site.checker->on_answer(stray, site.now);
    EXPECT_EQ(site.checker->unknown_answers(), 101U);
    site.wait(301ms);
    EXPECT_EQ(site.state().evidence, "no answer in 300 ms") << "this tick was used up";
    site.next();
    site.checker->on_answer(stray, site.now);
    site.wait(301ms);
    EXPECT_EQ(site.state().evidence.rfind("200 from 198.51.100.10:5060 without", 0), 0U);
}

TEST(HealthChecker, ProbesAPoolThatAVipHadBeforeByThatVip) {
    Site site(pool_of(2));
    const auto answer_for = [&](std::chrono::milliseconds time) {
        for (; time > 0ms; time -= 1ms)
            for (const SentProbe& probe : site.pass(1ms))
                site.checker->on_answer(probe.answer(), probe.at + 1ms);
    };
    answer_for(300ms);
    PoolConfig next = pool_of(1);
    next.name = "v2";
    next.backends[0].endpoint.address.value += 20;
    site.config.pools.push_back(next);
    site.config.vips[0].previous_pool = site.config.vips[0].pool;
    site.config.vips[0].pool = "v2";
    site.next_hops.next_hops.hops.push_back(
        {LinkId{0}, next.backends[0].endpoint.address, Site::mac_of(2)});
    site.model->reconfigure(site.config);
    site.checker->reconfigure(site.now);
    answer_for(3'000ms);
    for (const BackendState& backend : site.model->backends())
        EXPECT_EQ(backend.health, Health::Up) << backend.config.name << ": " << backend.evidence;
}

} // namespace
} // namespace viaduct::test
