// SPDX-License-Identifier: Apache-2.0
//
// world: a small balancer's snapshot, next hops and links for the tests of the stages.
//
// Port 0 (198.51.100.2/24): clients, gateway, and the dsr-l2 pool "proxies" with VIP "sip".
// Port 1 (203.0.113.2/24): the nat pool "inside" with VIP "natted".
// 192.0.2.0/24 is reached through the gateway; no other network is reachable. A test changes what
// it needs.
#pragma once

#include "frame_builder.hpp"
#include "own_table.hpp"
#include "pipeline.hpp"

#include "viaduct/steering/steer.hpp"

#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace viaduct::test {

inline constexpr std::string_view kClient = "192.0.2.7"; ///< reached through the gateway
inline constexpr std::string_view kOwnAddress = "198.51.100.2";
inline constexpr std::uint16_t kProbeUdpPort = 20'000;
inline constexpr std::string_view kDsrVip = "198.51.100.10"; ///< UDP port 5060
inline constexpr std::string_view kNatVip = "198.51.100.11"; ///< UDP port 5060
inline constexpr std::uint16_t kNatUdpPort = 5070;           ///< of the nat backends

inline constexpr std::string_view kPort1Mac = "02:00:00:00:00:02";
inline constexpr std::string_view kGatewayMac = "02:00:00:00:00:fd";
inline constexpr std::string_view kNeighbour = "198.51.100.99"; ///< a client on port 0's link
inline constexpr std::string_view kNeighbourMac = "02:00:00:00:00:99";

inline constexpr VipId kSipVip{0};
inline constexpr VipId kNattedVip{1};
inline constexpr PoolId kProxies{0};
inline constexpr PoolId kInside{1};
inline constexpr BackendId kB1{0}; ///< 198.51.100.21, 02:00:00:00:01:01; b2 and b3 follow
inline constexpr BackendId kB2{1};
inline constexpr BackendId kB3{2};
inline constexpr BackendId kN1{3}; ///< 203.0.113.21, 02:00:00:00:02:01; n2 follows
inline constexpr BackendId kN2{4};
inline constexpr HopId kGatewayHop{5};

struct World {
    Snapshot snapshot;
    NextHops next_hops;
    std::vector<LinkView> links;

    std::optional<OwnTable> own_calls;
    CallTable calls;

    [[nodiscard]] PipelineView view() const {
        return {snapshot, next_hops, links, calls, CallTime(1)};
    }

    /// Adds a table in which calls can be remembered.
    void give_call_table() { calls = own_calls.emplace().table; }

    /// Assigns the pool's slots to these backends in turn.
    void deal_slots(PoolId pool, const std::vector<BackendId>& backends) {
        auto table = std::make_shared<SlotTable>();
        for (std::size_t slot = 0; slot < kSlots; ++slot)
            (*table)[slot] = backends[slot % backends.size()];
        snapshot.pools[index(pool)].slots = std::move(table);
    }
};

/// Changes the mode of a pool, and the egress of its backends with it.
inline void set_mode(Snapshot& snapshot, PoolId pool, ForwardMode mode) {
    snapshot.pools[index(pool)].mode = mode;
    for (Backend& backend : snapshot.backends)
        if (backend.pool == pool)
            backend.egress = egress_of(mode, backend.egress.hop, backend.endpoint);
}

struct WorldOptions {
    bool translate_any_port = false; ///< of the nat pool
};

[[nodiscard]] inline World world(WorldOptions options = {}) {
    World made;
    Snapshot& snapshot = made.snapshot;
    for (std::size_t i = 0; i < snapshot.secret.size(); ++i)
        snapshot.secret[i] = static_cast<std::uint8_t>(i);
    snapshot.vips = {{"sip", {ip(kDsrVip), 5060}, kProxies, true},
                     {"natted", {ip(kNatVip), 5060}, kInside, true}};
    snapshot.pools = {{"proxies",
                       ForwardMode::DsrL2,
                       true,
                       hash_prefix(snapshot.secret, 0x1111, KeyType::CallId),
                       nullptr,
                       std::nullopt},
                      {"inside",
                       ForwardMode::Nat,
                       true,
                       hash_prefix(snapshot.secret, 0x2222, KeyType::CallId),
                       nullptr,
                       kNattedVip}};
    const auto add =
        [&](std::string name, std::string_view address, std::uint16_t port, PoolId pool) {
            const HopId hop{static_cast<std::uint16_t>(snapshot.backends.size())};
            const Endpoint endpoint{ip(address), port};
            const ForwardMode mode = snapshot.pools[index(pool)].mode;
            snapshot.backends.push_back(
                {std::move(name), endpoint, pool, egress_of(mode, hop, endpoint)});
        };
    add("b1", "198.51.100.21", 5060, kProxies);
    add("b2", "198.51.100.22", 5060, kProxies);
    add("b3", "198.51.100.23", 5060, kProxies);
    add("n1", "203.0.113.21", kNatUdpPort, kInside);
    add("n2", "203.0.113.22", kNatUdpPort, kInside);
    made.deal_slots(kProxies, {kB1, kB2, kB3});
    made.deal_slots(kInside, {kN1, kN2});

    snapshot.vip_by_endpoint = EndpointIndex(2);
    snapshot.vip_addresses = EndpointIndex(2);
    for (std::uint16_t vip = 0; vip < snapshot.vips.size(); ++vip) {
        snapshot.vip_by_endpoint.insert(snapshot.vips[vip].endpoint, vip);
        snapshot.vip_addresses.insert({snapshot.vips[vip].endpoint.address, 0}, vip);
    }
    snapshot.own_addresses = EndpointIndex(2);
    snapshot.own_addresses.insert({ip(kOwnAddress), 0}, 0);
    snapshot.own_addresses.insert({ip("203.0.113.2"), 0}, 0);
    snapshot.probe_endpoints = EndpointIndex(1);
    snapshot.probe_endpoints.insert({ip(kOwnAddress), kProbeUdpPort}, 0);
    snapshot.probe_sources = EndpointIndex(7);
    for (const Vip& vip : snapshot.vips)
        snapshot.probe_sources.insert({vip.endpoint.address, 0}, 0);
    for (const Backend& backend : snapshot.backends)
        snapshot.probe_sources.insert({backend.endpoint.address, 0}, 0);
    snapshot.nat_backends = EndpointIndex(2);
    snapshot.nat_addresses = EndpointIndex(2);
    for (const BackendId id : {kN1, kN2}) {
        Endpoint endpoint = snapshot.backends[index(id)].endpoint;
        if (options.translate_any_port) endpoint.udp_port = 0;
        snapshot.nat_backends.insert(endpoint, static_cast<std::uint16_t>(index(id)));
        snapshot.nat_addresses.insert({endpoint.address, 0}, static_cast<std::uint16_t>(index(id)));
    }

    for (const Backend& backend : snapshot.backends) {
        const bool nat = backend.pool == kInside;
        const auto last = static_cast<std::uint8_t>((backend.endpoint.address.value & 0xff) - 20);
        made.next_hops.hops.push_back(
            {LinkId{static_cast<std::uint8_t>(nat ? 1 : 0)},
             backend.endpoint.address,
             MacAddr{{0x02, 0, 0, 0, static_cast<std::uint8_t>(nat ? 2 : 1), last}}});
    }
    made.next_hops.hops.push_back({LinkId{0}, ip("198.51.100.1"), mac(kGatewayMac)});
    const auto from = [](std::string_view first) { return ip(first).value; };
    made.next_hops.routes = {{0, false, LinkId{0}, std::nullopt},
                             {from("192.0.2.0"), true, LinkId{0}, kGatewayHop},
                             {from("192.0.3.0"), false, LinkId{0}, std::nullopt},
                             {from("198.51.100.0"), true, LinkId{0}, std::nullopt},
                             {from("198.51.101.0"), false, LinkId{0}, std::nullopt},
                             {from("203.0.113.0"), true, LinkId{1}, std::nullopt},
                             {from("203.0.114.0"), false, LinkId{0}, std::nullopt}};
    made.next_hops.neighbours =
        NeighbourMap({{LinkId{0}, ip(kNeighbour), mac(kNeighbourMac)},
                      {LinkId{1}, ip("203.0.113.77"), mac("02:00:00:00:02:77")}});
    made.links = {{mac(kPort0Mac), 1514, false, PortId{0}},
                  {mac(kPort1Mac), 1514, false, PortId{1}}};
    return made;
}

/// All calls of "proxies" go to b2 and all of "inside" to n1.
[[nodiscard]] inline World small_world() {
    World here = world();
    here.deal_slots(kProxies, {kB2});
    here.deal_slots(kInside, {kN1});
    return here;
}

} // namespace viaduct::test
