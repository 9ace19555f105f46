// SPDX-License-Identifier: Apache-2.0
//
// health_site: a HealthChecker with backends and a clock that moves only on request.
#pragma once

#include "fake_dataplane.hpp"
#include "health/health.hpp"

#include <algorithm>
#include <chrono>
#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace viaduct::test {

using namespace std::chrono_literals;

inline constexpr std::uint16_t kProbeUdpPort = 40'000;
inline const MacAddr kOwnMac = *parse_mac("02:00:00:00:00:02");
inline const Ipv4Addr kOwn = *parse_ipv4("198.51.100.2");
inline const Endpoint kVip{*parse_ipv4("198.51.100.10"), 5060};

struct SentProbe {
    std::string text; ///< the OPTIONS request
    MacAddr source_mac;
    MacAddr destination_mac;
    Endpoint source;
    Endpoint destination;
    TimePoint at;
    std::uint16_t udp_checksum = 0;

    /// Returns the text after `name` up to the next separator.
    [[nodiscard]] std::string field(const std::string& name) const {
        const std::size_t first = text.find(name) + name.size();
        return text.substr(first, text.find_first_of(";\r", first) - first);
    }
    /// Returns the answer of the correct server.
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

inline PoolConfig pool_of(std::size_t backends, ForwardMode mode = ForwardMode::DsrL2) {
    PoolConfig pool;
    pool.name = "proxies";
    pool.mode = mode;
    for (std::size_t i = 0; i < backends; ++i) {
        BackendConfig backend;
        backend.name = "b" + std::to_string(i + 1);
        backend.endpoint = {
            Ipv4Addr{parse_ipv4("198.51.100.21")->value + static_cast<std::uint32_t>(i)}, 5060};
        pool.backends.push_back(backend);
    }
    return pool;
}

/// One port, one VIP, one pool, and a clock that moves only on request.
struct Site {
    Config config;
    HostPaths next_hops;
    std::unique_ptr<PoolModel> model;
    std::unique_ptr<HealthChecker> checker;
    const TimePoint started = TimePoint{} + 1000h;
    TimePoint now = started;

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
        next_hops.link_macs = {kOwnMac};
        next_hops.link_addresses = {kOwn};
        for (const BackendConfig& backend : pool.backends)
            next_hops.next_hops.hops.push_back(
                {LinkId{0}, backend.endpoint.address, mac_of(next_hops.next_hops.hops.size())});
        config.pools.push_back(std::move(pool));
        model = std::make_unique<PoolModel>(config);
        checker = std::make_unique<HealthChecker>(config, *model, next_hops, kProbeUdpPort, seed);
    }

    static MacAddr mac_of(std::size_t backend) {
        MacAddr mac = *parse_mac("02:00:00:00:01:00");
        mac.bytes[5] = static_cast<std::uint8_t>(backend + 1);
        return mac;
    }

    /// Advances the clock, ticks, and returns what was sent.
    std::vector<SentProbe> pass(Clock::duration time) {
        now += time;
        checker->tick(now);
        std::vector<SentProbe> sent;
        for (const InjectedFrame& frame : fake_dataplane().injected)
            sent.push_back(read(frame));
        fake_dataplane().injected.clear();
        return sent;
    }
    /// Ticks every millisecond until something is sent; returns nothing after `limit`.
    std::vector<SentProbe> next(Clock::duration limit = 2s) {
        for (const TimePoint end = now + limit; now < end;)
            if (std::vector<SentProbe> sent = pass(1ms); !sent.empty()) return sent;
        return {};
    }
    /// Waits for the next probe and answers it as the correct server would.
    SentProbe answer_next(std::uint16_t status = 200, Clock::duration after = 1ms) {
        const SentProbe probe = next().at(0);
        checker->on_answer(probe.answer(status), probe.at + after);
        return probe;
    }
    void wait(Clock::duration time) {
        for (const TimePoint end = now + time; now < end;)
            pass(1ms);
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
                now,
                udp.checksum.host()};
    }
};

} // namespace viaduct::test
