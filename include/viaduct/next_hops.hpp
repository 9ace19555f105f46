// SPDX-License-Identifier: Apache-2.0
//
// next_hops: the link and MAC that lead to an address. Immutable once published.
//
// Separate from the Snapshot, so that an ARP change republishes nothing else. The control plane
// builds it from the kernel's routes and neighbours; the workers read it.
// Cost:  one index for a backend; one binary search and one hash probe for a client.
#pragma once

#include "viaduct/net.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <optional>
#include <vector>

namespace viaduct {

enum class HopId : std::uint16_t {}; ///< position in NextHops::hops; the same in every later table

/// The hop of a backend has the backend's number; those of gateways follow from here on. So a hop
/// means the same to a worker that has older tables and a newer snapshot.
inline constexpr HopId kFirstGatewayHop{kMaxBackends};

struct NextHop {
    LinkId link{};
    Ipv4Addr address;           ///< the address of the MAC: the backend itself or a gateway
    std::optional<MacAddr> mac; ///< empty while the kernel has not resolved it

    bool operator==(const NextHop&) const = default;
};

/// Maps an IPv4 address on a link to a MAC, for stations on the same segment. Open addressing.
class NeighbourMap {
public:
    struct Entry {
        LinkId link{};
        Ipv4Addr address;
        MacAddr mac;

        bool operator==(const Entry&) const = default;
    };

    NeighbourMap() = default;
    explicit NeighbourMap(const std::vector<Entry>& entries)
        : slots_(std::bit_ceil(entries.size() * 2 + 2)) {
        for (const Entry& entry : entries) {
            std::size_t at = start(entry.link, entry.address);
            while (slots_[at].used)
                at = (at + 1) & (slots_.size() - 1);
            slots_[at] = {entry, true};
        }
    }

    [[nodiscard]] const MacAddr* find(LinkId link, Ipv4Addr address) const noexcept {
        if (slots_.empty()) return nullptr;
        for (std::size_t at = start(link, address); slots_[at].used;
             at = (at + 1) & (slots_.size() - 1))
            if (slots_[at].entry.address == address && slots_[at].entry.link == link)
                return &slots_[at].entry.mac;
        return nullptr;
    }

private:
    struct Slot {
        Entry entry;
        bool used = false;
    };
    [[nodiscard]] std::size_t start(LinkId link, Ipv4Addr address) const noexcept {
        const std::uint64_t mixed =
            (std::uint64_t{address.value} << 8 | index(link)) * 0x9e3779b97f4a7c15U;
        return static_cast<std::size_t>(mixed >> 32) & (slots_.size() - 1);
    }
    std::vector<Slot> slots_; // at most half full, so a search always ends
};

/// Where packets of one address range go.
struct Route {
    std::uint32_t first = 0; ///< first address of the range, host order; ends before the next
    bool reachable = false;  ///< false: no route covers this range
    LinkId link{};
    std::optional<HopId> gateway; ///< empty: the destination is on the link itself
    /// A default route of the link itself: packets from a VIP use the VIP's gateway instead.
    bool own_default = false;

    bool operator==(const Route&) const = default;
};

struct NextHops {
    std::vector<NextHop> hops; ///< by HopId
    std::vector<Route> routes; ///< sorted by `first`; empty, or the first one starts at 0.0.0.0
    /// By LinkId: the gateway for packets from an address of the link, as in the kernel's rule.
    std::array<std::optional<HopId>, kMaxLinks> link_gateways{};
    NeighbourMap neighbours;
    std::optional<MacAddr> fallback; ///< replay: the MAC of all hops without one

    /// The range that holds `address`; null when no route covers it.
    [[nodiscard]] const Route* route_to(Ipv4Addr address) const noexcept {
        const auto after = std::upper_bound(
            routes.begin(),
            routes.end(),
            address.value,
            [](std::uint32_t value, const Route& route) { return value < route.first; });
        if (after == routes.begin()) return nullptr;
        const Route& route = *(after - 1);
        return route.reachable ? &route : nullptr;
    }

    /// The gateway for a packet from a VIP of `link` along `route`; empty: the destination is on
    /// the link.
    [[nodiscard]] std::optional<HopId> gateway_from(LinkId link,
                                                    const Route& route) const noexcept {
        const std::optional<HopId>& own = link_gateways[index(link)];
        return route.own_default && own ? own : route.gateway;
    }
};

} // namespace viaduct
