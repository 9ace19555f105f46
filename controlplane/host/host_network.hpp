// SPDX-License-Identifier: Apache-2.0
//
// host_network: the kernel's part in our network: addresses of the TAP twins, routes, next-hop
// MACs, and the drop filter on interfaces that net_af_packet reads.
//
// Uses rtnetlink messages through libnl (netlink.hpp); libnl-route-3 lacks NTF_EXT_MANAGED and the
// bpf filter. The destructor removes everything that was added. Leftovers of a killed predecessor
// are found by their mark and removed at start.
#pragma once

#include "config/config.hpp"
#include "host/next_hop_table.hpp"
#include "loop.hpp"

#include "viaduct/next_hops.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace viaduct {

/// Paths to backends and clients, and the addresses we send from. This is all that the rest of the
/// control plane needs of HostNetwork; replay and tests make one from the configuration.
struct HostPaths {
    std::vector<MacAddr> link_macs;       ///< by LinkId
    std::vector<Ipv4Addr> link_addresses; ///< by LinkId: first address of the port; 0.0.0.0: none
    NextHops next_hops;                   ///< backend b has HopId b
};

/// Returns hops, routes and fallback MAC for replay: on-link prefixes and gateways of the ports.
/// All other addresses lead to 02:00:00:00:00:fe on the first port.
[[nodiscard]] NextHops replay_next_hops(const Config& config);

/// Returns the TAP interface of a port: "vd-" and the port's name.
[[nodiscard]] std::string twin_name(const PortConfig& port);

/// Throws Error when a twin of any port already exists. Twins exist as long as their viaductd runs,
/// and two viaductds in one network namespace would remove each other's rules.
void refuse_second_instance();

/// Another station that claims one of our addresses.
struct OtherStation {
    MacAddr mac;
    std::optional<BackendId> backend; ///< the backend with that MAC, if known
};

struct AddressView {
    bool is_here = false; ///< on a twin: the kernel answers ARP for it
    std::vector<OtherStation> others;
};

struct AddressNews {
    Station address;
    OtherStation other;
    bool is_there = false; ///< false: no claim for a while
    bool has_left = false; ///< no longer our address; may be the other's now
};

struct TwinPort {
    std::string twin;      ///< TAP interface, created by the data plane
    std::string interface; ///< kernel interface that the port works on; empty for other devices
    MacAddr mac;
    std::uint16_t mtu = 1500;
    bool kernel_hears = true; ///< the kernel also gets the frames of `interface` (net_af_packet)
};

class HostNetwork {
public:
    /// `backends` is indexed by BackendId. Cleans up after a killed predecessor, then configures
    /// the twins: MAC, MTU, up, addresses of the port and of the VIPs, arp_ignore, the gateway in a
    /// separate routing table with a rule per address, managed neighbours for backends and
    /// gateways. On net_af_packet interfaces it adds the ingress drop filter and disables IPv6.
    /// Watches routes and neighbours on `loop`. Throws Error naming the port and what failed, or an
    /// address that the host has elsewhere; everything is undone then.
    HostNetwork(const Config& config,
                std::vector<BackendLocation> backends,
                const std::vector<TwinPort>& ports,
                Loop& loop);
    ~HostNetwork(); ///< removes everything it added; never throws
    HostNetwork(const HostNetwork&) = delete;
    HostNetwork& operator=(const HostNetwork&) = delete;

    /// Applies the VIPs of another configuration with the same ports, and other backends. Throws
    /// Error naming what failed; nothing has changed then.
    void reconfigure(const Config& config, std::vector<BackendLocation> backends);

    /// Returns the current paths; `version()` grows when they change.
    [[nodiscard]] const HostPaths& next_hops() const noexcept;
    [[nodiscard]] std::uint64_t version() const noexcept;

    /// Returns true once after the kernel reported a change of any network interface.
    [[nodiscard]] bool take_link_news() noexcept;

    /// Returns the state of an address of the configuration on the links.
    [[nodiscard]] AddressView view(Ipv4Addr address) const;
    /// Returns the changes since the last call in which stations use our addresses.
    [[nodiscard]] std::vector<AddressNews> take_address_news();

    /// Asks the kernel to resolve an address for which a packet on this port found no MAC. Sends at
    /// most one request per address and second.
    void resolve(LinkId link, Ipv4Addr address, TimePoint now);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace viaduct
