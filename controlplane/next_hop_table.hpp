// SPDX-License-Identifier: Apache-2.0
//
// next_hop_table: routes as the kernel or the configuration has them -> what workers search.
//
// Pure. Cost:  flattening sorts, then one pass; once per route change.
#pragma once

#include "config.hpp"

#include "viaduct/next_hops.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace viaduct {

/// One route out of one of our ports.
struct PortRoute {
    Ipv4Prefix prefix;
    PortId port{};
    std::optional<HopId> gateway; ///< empty: on the link itself
    bool own_table = false;       ///< from the port's own table; the host's main table goes first
    std::uint32_t metric = 0;     ///< the kernel's priority: lower goes first
};

/// The sorted disjoint ranges of NextHops::routes: the longest prefix wins; of equal prefixes the
/// main table, then the lower metric, then the lower port.
[[nodiscard]] std::vector<Route> flatten_routes(std::vector<PortRoute> routes);

/// The port that carries a VIP: it has the address itself, or the longest prefix that covers it;
/// else the first.
[[nodiscard]] PortId port_of_vip(Ipv4Addr vip, const Config& config);

/// NextHops::vip_gateways: the default route that the VIP's port has in its own table.
[[nodiscard]] std::vector<std::optional<HopId>> vip_gateways(const Config& config,
                                                             const std::vector<PortRoute>& routes);

/// Whom to ask for a MAC, and on which port.
struct Station {
    PortId port{};
    Ipv4Addr address;

    auto operator<=>(const Station&) const = default;
};

/// All backends in the order of BackendId: pools as in the file, backends as in the pool.
struct PlacedBackend {
    BackendConfig config;
    ForwardMode mode{};
};
[[nodiscard]] std::vector<PlacedBackend> backends_in_order(const Config& config);

/// Which station leads to a backend: itself when a port's prefix covers it or its pool is dsr-l2,
/// else what `next_hops` routes it to, else itself on the first port.
[[nodiscard]] Station
station_for(const PlacedBackend& backend, const Config& config, const NextHops& next_hops);

} // namespace viaduct
