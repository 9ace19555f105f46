// SPDX-License-Identifier: Apache-2.0
//
// next_hop_table: routes from the kernel or the configuration -> the table that workers search.
//
// Pure. Cost: one sort and one pass per route change.
#pragma once

#include "config/config.hpp"

#include "viaduct/next_hops.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace viaduct {

/// A route out of one of our links.
struct LinkRoute {
    Ipv4Prefix prefix;
    LinkId link{};
    std::optional<HopId> gateway; ///< empty: on the link itself
    bool own_table = false;       ///< from the link's own table; the host's main table has priority
    std::uint32_t metric = 0;     ///< the kernel's priority: lower wins
};

/// Returns the sorted disjoint ranges of NextHops::routes. The longest prefix wins; of equal
/// prefixes the main table, then the lower metric, then the lower port.
[[nodiscard]] std::vector<Route> flatten_routes(std::vector<LinkRoute> routes);

/// Returns the link of a VIP: the one that has the address itself or the longest prefix that covers
/// it; otherwise the first link.
[[nodiscard]] LinkId link_of_vip(Ipv4Addr vip, const Config& config);

/// Returns NextHops::link_gateways: each link's default route from its own table.
[[nodiscard]] decltype(NextHops::link_gateways) link_gateways(const std::vector<LinkRoute>& routes);

/// An address whose MAC is resolved, and the link on which.
struct Station {
    LinkId link{};
    Ipv4Addr address;

    auto operator<=>(const Station&) const = default;
};

/// Everything that determines how a backend is reached.
struct BackendLocation {
    Ipv4Addr address;           ///< 0.0.0.0: none
    std::optional<MacAddr> mac; ///< given by the operator
    ForwardMode mode{};
};
/// Returns the backends in the order of the file: that of BackendId on a first start.
[[nodiscard]] std::vector<BackendLocation> backends_in_order(const Config& config);

/// Returns the next hop to a backend: itself when a port's prefix covers it or its pool is dsr-l2,
/// otherwise the next hop of `next_hops`, otherwise itself on the first port.
[[nodiscard]] Station
station_for(const BackendLocation& backend, const Config& config, const NextHops& next_hops);

} // namespace viaduct
