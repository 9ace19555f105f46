// SPDX-License-Identifier: Apache-2.0
//
// host_network: what the kernel knows and does for us: addresses of the TAP twins, routes, next-hop
// MACs, the drop filter on interfaces that net_af_packet reads.
//
// rtnetlink messages by libnl (netlink.hpp); libnl-route-3 lacks NTF_EXT_MANAGED and the bpf
// filter. Everything it adds it removes again in the destructor; what a killed predecessor left is
// found by its mark and removed at start.
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

/// How to reach a backend or a client, and the address we send from. What the rest of the control
/// plane needs of HostNetwork; replay and tests make one from the configuration alone.
struct HostPaths {
    std::vector<MacAddr> port_macs;       ///< by PortId
    std::vector<Ipv4Addr> port_addresses; ///< by PortId: first address of the port; 0.0.0.0: none
    NextHops next_hops;                   ///< backend b has HopId b
};

/// Hops, routes and fallback MAC that replay uses: on-link prefixes and gateways of the ports;
/// everything unnamed leads to 02:00:00:00:00:fe on the first port.
[[nodiscard]] NextHops replay_next_hops(const Config& config);

/// The TAP interface of a port: "vd-" and the port's name.
[[nodiscard]] std::string twin_name(const PortConfig& port);

/// Throws Error when a twin of any port already exists: twins live as long as their viaductd, and
/// two of them in one network namespace would remove each other's rules.
void refuse_second_instance();

/// A station that is not us and says that it has one of our addresses.
struct OtherStation {
    MacAddr mac;
    std::optional<BackendId> backend; ///< whose MAC that is, as far as it is known
};

struct AddressView {
    bool is_here = false; ///< a twin has it, so that the kernel answers ARP for it
    std::vector<OtherStation> others;
};

struct AddressNews {
    Station address;
    OtherStation other;
    bool is_there = false; ///< false: it has not said so for a while
    bool has_left = false; ///< the address is ours no more: it may be the other's
};

struct TwinPort {
    std::string twin;      ///< TAP interface, created by the data plane
    std::string interface; ///< kernel interface that the port works on; empty for other devices
    MacAddr mac;
    std::uint16_t mtu = 1500;
    bool kernel_hears = true; ///< `interface` gives its frames to the kernel, too (net_af_packet)
};

class HostNetwork {
public:
    /// `backends` by BackendId. Cleans up after a killed predecessor, then configures the twins:
    /// MAC, MTU, up, addresses of the port and of the VIPs, arp_ignore, gateway in a routing table
    /// of its own with a rule per address, managed neighbours for backends and gateways; and on
    /// net_af_packet interfaces the ingress drop filter, with IPv6 off. Watches routes and
    /// neighbours on `loop`. Throws Error naming the port and what failed, or an address that the
    /// host has elsewhere; then everything is undone.
    HostNetwork(const Config& config,
                std::vector<BackendLocation> backends,
                const std::vector<TwinPort>& ports,
                Loop& loop);
    ~HostNetwork(); ///< removes everything it added; never throws
    HostNetwork(const HostNetwork&) = delete;
    HostNetwork& operator=(const HostNetwork&) = delete;

    /// Takes up the VIPs of another configuration with the same ports, and other backends. Throws
    /// Error naming what failed; then nothing has changed.
    void reconfigure(const Config& config, std::vector<BackendLocation> backends);

    /// Current view; `version()` grows when it changes.
    [[nodiscard]] const HostPaths& next_hops() const noexcept;
    [[nodiscard]] std::uint64_t version() const noexcept;

    /// True once after the kernel told of a change of any network interface.
    [[nodiscard]] bool take_link_news() noexcept;

    /// An address of the configuration, as the segment has it.
    [[nodiscard]] AddressView view(Ipv4Addr address) const;
    /// What has changed since the last call in who has our addresses.
    [[nodiscard]] std::vector<AddressNews> take_address_news();

    /// A packet wanted this address on this port and there was no MAC: ask the kernel to resolve
    /// it. At most one request per address and second.
    void resolve(PortId port, Ipv4Addr address, TimePoint now);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace viaduct
