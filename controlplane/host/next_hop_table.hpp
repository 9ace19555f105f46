// SPDX-License-Identifier: Apache-2.0
//
// next_hop_table: routes as the kernel or the configuration has them -> what workers search.
//
// Pure. Cost:  flattening sorts, then one pass; once per route change.
#pragma once

#include "config/config.hpp"

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

/// NextHops::port_gateways: the default route that each port has in its own table.
[[nodiscard]] decltype(NextHops::port_gateways) port_gateways(const std::vector<PortRoute>& routes);

/// Whom to ask for a MAC, and on which port.
struct Station {
    PortId port{};
    Ipv4Addr address;

    auto operator<=>(const Station&) const = default;
};

/// What decides how a backend is reached.
struct BackendLocation {
    Ipv4Addr address;           ///< 0.0.0.0: there is none
    std::optional<MacAddr> mac; ///< given by the operator
    ForwardMode mode{};
};
/// As in the file, which is the order of BackendId where nothing else is known.
[[nodiscard]] std::vector<BackendLocation> backends_in_order(const Config& config);

/// Which station leads to a backend: itself when a port's prefix covers it or its pool is dsr-l2,
/// else what `next_hops` routes it to, else itself on the first port.
[[nodiscard]] Station
station_for(const BackendLocation& backend, const Config& config, const NextHops& next_hops);

} // namespace viaduct
