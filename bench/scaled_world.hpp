// SPDX-License-Identifier: Apache-2.0
//
// scaled_world: a snapshot of many pools or many backends, for benchmarks.
#pragma once

#include "world.hpp"

#include <cstdint>
#include <string>

namespace viaduct::test {

/// The VIP of pool `pool` of scaled_world(), UDP port 5060.
[[nodiscard]] inline std::string scaled_vip(std::size_t pool) {
    return "10.1." + std::to_string(pool / 200) + "." + std::to_string(1 + pool % 200);
}

/// `pools` dsr-l2 pools of `backends` each; one VIP for each pool; every backend is resolved and
/// holds its share of the slots. Everything else is as in world().
[[nodiscard]] inline World scaled_world(std::size_t pools, std::size_t backends) {
    World made = world();
    Snapshot& snapshot = made.snapshot;
    snapshot.vips.clear();
    snapshot.pools.clear();
    snapshot.backends.clear();
    snapshot.vip_by_endpoint = EndpointIndex(pools);
    snapshot.vip_addresses = EndpointIndex(pools);
    snapshot.nat_backends = EndpointIndex(0);
    snapshot.nat_addresses = EndpointIndex(0);
    snapshot.probe_sources = EndpointIndex(pools + pools * backends);
    for (std::uint16_t pool = 0; pool < pools; ++pool) {
        const std::string name = "pool" + std::to_string(pool);
        const Endpoint endpoint{ip(scaled_vip(pool)), 5060};
        snapshot.vips.push_back({name, endpoint, PoolId{pool}, true});
        snapshot.vip_by_endpoint.insert(endpoint, pool);
        snapshot.vip_addresses.insert({endpoint.address, 0}, pool);
        snapshot.probe_sources.insert({endpoint.address, 0}, 0);
        snapshot.pools.push_back({name,
                                  ForwardMode::DsrL2,
                                  true,
                                  hash_prefix(snapshot.secret, 0x1111U + pool, KeyType::CallId),
                                  nullptr,
                                  std::nullopt});
        std::vector<BackendId> members;
        for (std::size_t i = 0; i < backends; ++i) {
            const auto number = static_cast<std::uint16_t>(snapshot.backends.size());
            const auto high = static_cast<std::uint8_t>(number / 200);
            const auto low = static_cast<std::uint8_t>(1 + number % 200);
            const Ipv4Addr address = ip("10.2." + std::to_string(high) + "." + std::to_string(low));
            members.push_back(BackendId{number});
            const auto hop = static_cast<std::uint16_t>(made.next_hops.hops.size());
            snapshot.backends.push_back(
                {"b" + std::to_string(number),
                 {address, 5060},
                 PoolId{pool},
                 egress_of(ForwardMode::DsrL2, HopId{hop}, {address, 5060})});
            snapshot.probe_sources.insert({address, 0}, 0);
            made.next_hops.hops.push_back({LinkId{0}, address, MacAddr{{2, 0, 0, 1, high, low}}});
        }
        made.deal_slots(PoolId{pool}, members);
    }
    return made;
}

} // namespace viaduct::test
