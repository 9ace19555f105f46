// SPDX-License-Identifier: Apache-2.0
//
// Rows of results in, rows of states out; and a site of backends on a clock of its own, where a
// backend answers, falls silent, or somebody forges its answers.
#include "health.hpp"

#include "fake_dataplane.hpp"

#include <algorithm>
#include <deque>
#include <gtest/gtest.h>
#include <memory>

namespace viaduct::test {
namespace {

using namespace std::chrono_literals;

// ---- Damper: G good, B bad code, T time-out -> u up, b busy, d down

ProbeResult result_of(char letter) {
    return letter == 'G'   ? ProbeResult::Good
           : letter == 'B' ? ProbeResult::BadCode
                           : ProbeResult::Timeout;
}
char letter_of(Health health) {
    return "?ubd"[static_cast<std::size_t>(health)];
}
std::string states_after(unsigned fall, unsigned rise, std::string_view results) {
    Damper damper(fall, rise);
    std::string states;
    for (const char letter : results) {
        states += letter_of(damper.add(result_of(letter)));
        EXPECT_EQ(letter_of(damper.health()), states.back());
    }
    return states;
}

TEST(Damper, TurnsRowsOfResultsIntoRowsOfStates) {
    const struct {
        const char* what;
        unsigned fall, rise;
        const char* results;
        const char* states;
    } rows[] = {
        {"the first result is a verdict: good", 3, 3, "G", "u"},
        {"the first result is a verdict: bad code", 3, 3, "B", "b"},
        {"the first result is a verdict: time-out", 3, 3, "T", "d"},
        {"down after `fall` time-outs", 3, 2, "GTTT", "uuud"},
        {"busy after `fall` bad codes", 3, 2, "GBBB", "uuub"},
        {"mixed results fall together, the last one says where", 3, 2, "GTBT", "uuud"},
        {"mixed results fall together, the last one says where", 3, 2, "GTTB", "uuub"},
        {"one good result starts the count anew", 3, 2, "GTTGTTGTTT", "uuuuuuuuud"},
        {"flapping never falls", 2, 2, "GTGTGBGTGB", "uuuuuuuuuu"},
        {"flapping never rises", 2, 2, "TGTGTGBGTG", "dddddddddd"},
        {"up after `rise` good ones", 2, 3, "TGGG", "dddu"},
        {"up from busy after `rise` good ones", 2, 3, "BGGG", "bbbu"},
        {"busy to down after `fall` time-outs", 3, 2, "BTTT", "bbbd"},
        {"down to busy after `rise` bad codes", 2, 3, "TBBB", "dddb"},
        {"busy and down keep apart when results alternate", 2, 2, "BTBTBT", "bbbbbb"},
        {"down stays down when results alternate", 2, 2, "TBTBTB", "dddddd"},
        {"down, busy, up", 2, 2, "TBBGG", "ddbbu"},
        {"up again, then `fall` counts anew", 2, 2, "TGGTT", "dduud"},
        {"a good one between bad codes starts `rise` anew", 2, 2, "TBGBB", "ddddb"},
        {"fall 1: at once", 1, 2, "GTGGBGGT", "uddubbud"},
        {"rise 1: at once", 2, 1, "TGTTBG", "duudbu"},
        {"fall 1 and rise 1: the last result is the state", 1, 1, "GTBGBTG", "udbubdu"},
    };
    for (const auto& row : rows)
        EXPECT_EQ(states_after(row.fall, row.rise, row.results), row.states)
            << row.what << ": fall " << row.fall << ", rise " << row.rise << ", " << row.results;
}

/// How many of the last results are among `kinds`.
unsigned tail(std::string_view results, std::string_view kinds) {
    const std::size_t last_other = results.find_last_not_of(kinds);
    return static_cast<unsigned>(
        last_other == std::string_view::npos ? results.size() : results.size() - last_other - 1);
}

TEST(Damper, KeepsItsPromisesForAnyRow) {
    std::mt19937 random(1);
    for (int row = 0; row < 2000; ++row) {
        const unsigned fall = 1 + static_cast<unsigned>(random()) % 4;
        const unsigned rise = 1 + static_cast<unsigned>(random()) % 4;
        const std::string_view mix = row % 2 == 0 ? "GBT" : "GGGGBTTT"; // long rows of one kind, too
        std::string results;
        for (int i = 0; i < 100; ++i) results += mix[random() % mix.size()];
        const std::string states = states_after(fall, rise, results);
        for (std::size_t i = 1; i < states.size(); ++i) {
            const std::string_view so_far = std::string_view{results}.substr(0, i + 1);
            const char was = states[i - 1];
            const char is = states[i];
            const std::string where = results.substr(0, i + 1) + " -> " + states.substr(0, i + 1) +
                                      " fall " + std::to_string(fall) + " rise " +
                                      std::to_string(rise);
            // No change without its row of results ...
            if (was == 'u' && is != 'u') {
                ASSERT_GE(tail(so_far, "BT"), fall) << where;
                ASSERT_EQ(is, results[i] == 'T' ? 'd' : 'b') << where;
            }
            if (was != 'u' && is == 'u') {
                ASSERT_GE(tail(so_far, "G"), rise) << where;
            }
            if (was == 'b' && is == 'd') {
                ASSERT_GE(tail(so_far, "T"), fall) << where;
            }
            if (was == 'd' && is == 'b') {
                ASSERT_GE(tail(so_far, "B"), rise) << where;
            }
            // ... and none missed.
            if (tail(so_far, "BT") >= fall) {
                ASSERT_NE(is, 'u') << where;
            }
            if (tail(so_far, "G") >= rise) {
                ASSERT_EQ(is, 'u') << where;
            }
            if (tail(so_far, "T") >= fall) {
                ASSERT_EQ(is, 'd') << where;
            }
            if (tail(so_far, "B") >= std::max(fall, rise)) {
                ASSERT_EQ(is, 'b') << where;
            }
        }
    }
}

// ---- HealthChecker

constexpr std::uint16_t kProbeUdpPort = 40'000;
const MacAddr kOwnMac = *parse_mac("02:00:00:00:00:02");
const Ipv4Addr kOwn = *parse_ipv4("198.51.100.2");
const Endpoint kVip{*parse_ipv4("198.51.100.10"), 5060};

struct SentProbe {
    std::string text; ///< the OPTIONS
    MacAddr source_mac;
    MacAddr destination_mac;
    Endpoint source;
    Endpoint destination;
    TimePoint at;

    /// What stands after `name` up to the next separator.
    [[nodiscard]] std::string field(const std::string& name) const {
        const std::size_t first = text.find(name) + name.size();
        return text.substr(first, text.find_first_of(";\r", first) - first);
    }
    /// The answer that the right server would give.
    [[nodiscard]] Event answer(std::uint16_t status = 200) const {
        Event event;
        event.kind = EventKind::ProbeAnswer;
        event.status = status;
        event.source_mac = destination_mac;
        event.source = destination;
        event.destination = source;
        event.call_id.assign(field("Call-ID: "));
        event.branch.assign(field("branch="));
        return event;
    }
};

PoolConfig pool_of(std::size_t backends, ForwardMode mode = ForwardMode::DsrL2) {
    PoolConfig pool;
    pool.name = "proxies";
    pool.mode = mode;
    for (std::size_t i = 0; i < backends; ++i) {
        BackendConfig backend;
        backend.name = "b" + std::to_string(i + 1);
        backend.endpoint = {Ipv4Addr{parse_ipv4("198.51.100.21")->value +
                                     static_cast<std::uint32_t>(i)},
                            5060};
        pool.backends.push_back(backend);
    }
    return pool;
}

/// One port, one VIP, one pool, and a clock that moves only when told to.
struct Site {
    Config config;
    NextHopSource next_hops;
    std::unique_ptr<PoolModel> model;
    std::unique_ptr<HealthChecker> checker;
    TimePoint now = TimePoint{} + 1000h;

    explicit Site(PoolConfig pool, std::uint64_t seed = 1) {
        fake_dataplane().reset();
        PortConfig port;
        port.name = "p0";
        config.ports.push_back(port);
        VipConfig vip;
        vip.name = "sip";
        vip.endpoint = kVip;
        vip.pool = pool.name;
        config.vips.push_back(vip);
        next_hops.port_macs = {kOwnMac};
        next_hops.port_addresses = {kOwn};
        for (const BackendConfig& backend : pool.backends)
            next_hops.next_hops.hops.push_back(
                {PortId{0}, backend.endpoint.address, mac_of(next_hops.next_hops.hops.size())});
        config.pools.push_back(std::move(pool));
        model = std::make_unique<PoolModel>(config);
        checker =
            std::make_unique<HealthChecker>(config, *model, next_hops, kProbeUdpPort, seed);
    }

    static MacAddr mac_of(std::size_t backend) {
        MacAddr mac = *parse_mac("02:00:00:00:01:00");
        mac.bytes[5] = static_cast<std::uint8_t>(backend + 1);
        return mac;
    }

    /// Moves the clock, ticks, and returns what was sent.
    std::vector<SentProbe> pass(Clock::duration time) {
        now += time;
        checker->tick(now);
        std::vector<SentProbe> sent;
        for (const InjectedFrame& frame : fake_dataplane().injected) sent.push_back(read(frame));
        fake_dataplane().injected.clear();
        return sent;
    }
    /// Ticks every millisecond until something is sent; nothing when `limit` passes first.
    std::vector<SentProbe> next(Clock::duration limit = 2s) {
        for (const TimePoint end = now + limit; now < end;)
            if (std::vector<SentProbe> sent = pass(1ms); !sent.empty()) return sent;
        return {};
    }
    void wait(Clock::duration time) {
        for (const TimePoint end = now + time; now < end;) pass(1ms);
    }

    [[nodiscard]] const BackendState& state(std::size_t backend = 0) const {
        return model->backends()[backend];
    }
    [[nodiscard]] Health health(std::size_t backend = 0) const { return state(backend).health; }
    [[nodiscard]] const HealthChecker::Statistics& statistics(std::size_t backend = 0) const {
        return checker->statistics(static_cast<BackendId>(backend));
    }

private:
    [[nodiscard]] SentProbe read(const InjectedFrame& frame) const {
        EtherHeader ether;
        Ipv4Header ip;
        UdpHeader udp;
        const std::byte* at = frame.bytes.data();
        std::copy_n(at, sizeof ether, reinterpret_cast<std::byte*>(&ether));
        std::copy_n(at + 14, sizeof ip, reinterpret_cast<std::byte*>(&ip));
        std::copy_n(at + 34, sizeof udp, reinterpret_cast<std::byte*>(&udp));
        EXPECT_EQ(frame.port, PortId{0});
        return {{reinterpret_cast<const char*>(at + 42), frame.bytes.size() - 42},
                ether.source,
                ether.destination,
                {Ipv4Addr{ip.source.host()}, udp.source_port.host()},
                {Ipv4Addr{ip.destination.host()}, udp.destination_port.host()},
                now};
    }
};

/// A site whose only backend has just been seen up.
Site site_up(PoolConfig pool = pool_of(1)) {
    Site site(std::move(pool));
    site.checker->on_answer(site.next().at(0).answer(), site.now);
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
    site.next_hops.next_hops.hops[0] = {PortId{0}, *parse_ipv4("198.51.100.1"), gateway};
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
    Site site = site_up();
    const SentProbe good = site.next().at(0);
    site.checker->on_answer(good.answer(204), site.now + 3210us);
    EXPECT_EQ(site.statistics().last_status, 204);
    EXPECT_EQ(site.statistics().last_rtt, 3210us);

    for (int i = 0; i < 2; ++i) site.checker->on_answer(site.next().at(0).answer(503), site.now + 1ms);
    EXPECT_EQ(site.health(), Health::Busy);
    EXPECT_EQ(site.state().evidence, "503 in 1.0 ms, not in accept, 2 in a row");
    site.wait(2s);
    EXPECT_EQ(site.health(), Health::Down);
    EXPECT_EQ(site.state().evidence, "no answer in 300 ms, 2 in a row");
    EXPECT_EQ(site.statistics().good, 2U);
    EXPECT_EQ(site.statistics().bad_code, 2U);
    EXPECT_GE(site.statistics().timeout, 2U);

    Site fresh(pool_of(1));
    fresh.checker->on_answer(fresh.next().at(0).answer(), fresh.now + 3210us);
    EXPECT_EQ(fresh.state().evidence, "200 in 3.2 ms");
}

TEST(HealthChecker, TakesAnyConfiguredCodeForGoodButNeverALocalTimeOut) {
    PoolConfig pool = pool_of(1);
    pool.health.accept = {{404, 404}, {400, 499}};
    Site site(pool);
    site.checker->on_answer(site.next().at(0).answer(408), site.now);
    EXPECT_EQ(site.health(), Health::Up);
    site.checker->on_answer(site.next().at(0).answer(200), site.now);
    site.checker->on_answer(site.next().at(0).answer(500), site.now);
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
    for (int i = 0; i < 5; ++i) {
        const SentProbe probe = site.next().at(0);
        site.now += 10s; // the control thread was busy; the answer lay in the ring
        site.checker->on_answer(probe.answer(), probe.at + 300ms);
        EXPECT_LE(site.pass(0ms).size(), 1U) << "missed probes are not made up for";
        EXPECT_EQ(site.pass(1ms).size(), 0U);
        site.checker->on_answer(probe.answer(), site.now); // and a copy changes nothing
        site.wait(300ms);
    }
    EXPECT_EQ(site.health(), Health::Up);
    EXPECT_EQ(site.model->history().size(), 1U);
}
