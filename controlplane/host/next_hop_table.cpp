// SPDX-License-Identifier: Apache-2.0
//
// next_hop_table: flattens nested prefixes into ranges, and makes the table for replay.
#include "host/next_hop_table.hpp"

#include "host/host_network.hpp"

#include <algorithm>
#include <array>
#include <tuple>

namespace viaduct {
namespace {

constexpr std::uint64_t kEnd = std::uint64_t{1} << 32; // one past the last address
constexpr MacAddr kReplayMac{{0x02, 0, 0, 0, 0, 0xfe}};

std::uint32_t first_of(const LinkRoute& route) {
    return route.prefix.address.value & route.prefix.mask();
}

std::uint64_t end_of(const LinkRoute& route) {
    return std::uint64_t{first_of(route)} + (kEnd >> route.prefix.length);
}

bool is_own_default(const LinkRoute& route) {
    return route.own_table && route.prefix.length == 0;
}

bool leads_alike(const Route& a, const Route& b) {
    return a.reachable == b.reachable &&
           (!a.reachable ||
            (a.link == b.link && a.gateway == b.gateway && a.own_default == b.own_default));
}

/// Sets `route` for addresses from `first` on; null: unreachable. A later call for the same `first`
/// replaces an earlier one.
void begin_range(std::vector<Route>& ranges, std::uint64_t first, const LinkRoute* route) {
    if (first >= kEnd) return;
    Route range;
    range.first = static_cast<std::uint32_t>(first);
    if (route != nullptr) {
        range.reachable = true;
        range.link = route->link;
        range.gateway = route->gateway;
        range.own_default = is_own_default(*route);
    }
    if (!ranges.empty() && ranges.back().first == range.first) ranges.pop_back();
    if (ranges.empty() || !leads_alike(ranges.back(), range)) ranges.push_back(range);
}

} // namespace

std::vector<Route> flatten_routes(std::vector<LinkRoute> routes) {
    std::vector<Route> ranges;
    if (routes.empty()) return ranges;
    // A prefix comes before those inside it; of equal prefixes the preferred one comes first.
    std::sort(routes.begin(), routes.end(), [](const LinkRoute& a, const LinkRoute& b) {
        const auto key = [](const LinkRoute& r) {
            return std::tuple(first_of(r), r.prefix.length, r.own_table, r.metric, r.link);
        };
        return key(a) < key(b);
    });
    std::vector<const LinkRoute*> around; // prefixes with the current address, outermost first
    const auto leave_before = [&](std::uint64_t place) {
        while (!around.empty() && end_of(*around.back()) <= place) {
            const std::uint64_t end = end_of(*around.back());
            around.pop_back();
            begin_range(ranges, end, around.empty() ? nullptr : around.back());
        }
    };
    begin_range(ranges, 0, nullptr);
    const LinkRoute* previous = nullptr;
    for (const LinkRoute& route : routes) {
        if (previous != nullptr && first_of(*previous) == first_of(route) &&
            previous->prefix.length == route.prefix.length)
            continue;
        leave_before(first_of(route));
        begin_range(ranges, first_of(route), &route);
        around.push_back(&route);
        previous = &route;
    }
    leave_before(kEnd);
    return ranges;
}

LinkId link_of_vip(Ipv4Addr vip, const Config& config) {
    LinkId best{};
    int longest = -1;
    for (std::size_t port = 0; port < config.ports.size(); ++port)
        for (const Ipv4Prefix& prefix : config.ports[port].addresses) {
            // A port's own address matches better than any prefix.
            const int length = prefix.address == vip ? 33 : int{prefix.length};
            if (prefix.contains(vip) && length > longest) {
                longest = length;
                best = static_cast<LinkId>(port);
            }
        }
    return best;
}

decltype(NextHops::link_gateways) link_gateways(const std::vector<LinkRoute>& routes) {
    decltype(NextHops::link_gateways) gateways;
    for (const LinkRoute& route : routes)
        if (is_own_default(route)) gateways[index(route.link)] = route.gateway;
    return gateways;
}

std::vector<BackendLocation> backends_in_order(const Config& config) {
    std::vector<BackendLocation> backends;
    for (const PoolConfig& pool : config.pools)
        for (const BackendConfig& backend : pool.backends)
            backends.push_back({backend.endpoint.address, backend.mac, pool.mode});
    return backends;
}

Station
station_for(const BackendLocation& backend, const Config& config, const NextHops& next_hops) {
    const Ipv4Addr address = backend.address;
    std::optional<Station> on_link;
    int longest = -1;
    for (std::size_t port = 0; port < config.ports.size(); ++port)
        for (const Ipv4Prefix& prefix : config.ports[port].addresses)
            if (prefix.contains(address) && int{prefix.length} > longest) {
                longest = prefix.length;
                on_link = Station{static_cast<LinkId>(port), address};
            }
    if (on_link) return *on_link;
    const Route* route = next_hops.route_to(address);
    if (info_of(backend.mode).by_mac || route == nullptr)
        return {route != nullptr && !route->gateway ? route->link : LinkId{}, address};
    if (!route->gateway) return {route->link, address};
    const NextHop& gateway = next_hops.hops[index(*route->gateway)];
    return {gateway.link, gateway.address};
}

NextHops replay_next_hops(const Config& config) {
    NextHops result;
    result.fallback = kReplayMac;
    const std::vector<BackendLocation> backends = backends_in_order(config);
    result.hops.resize(kMaxBackends);

    std::vector<LinkRoute> routes;
    for (std::size_t i = 0; i < config.ports.size(); ++i) {
        const PortConfig& port = config.ports[i];
        for (const Ipv4Prefix& prefix : port.addresses)
            routes.push_back({prefix, static_cast<LinkId>(i), std::nullopt, false, 0});
        if (!port.gateway) continue;
        routes.push_back(
            {{}, static_cast<LinkId>(i), static_cast<HopId>(result.hops.size()), true, 0});
        result.hops.push_back({static_cast<LinkId>(i), *port.gateway, std::nullopt});
    }
    // Without a gateway all other addresses are on the first port's link.
    if (result.hops.size() == kMaxBackends) routes.push_back({});
    result.link_gateways = link_gateways(routes);
    result.routes = flatten_routes(std::move(routes));

    for (std::size_t b = 0; b < backends.size(); ++b) {
        const Station station = station_for(backends[b], config, result);
        result.hops[b] = {station.link, station.address, backends[b].mac};
    }
    return result;
}

} // namespace viaduct
