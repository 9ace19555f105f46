// SPDX-License-Identifier: Apache-2.0
//
// twin: sets up the TAP twin of a port: MAC, MTU, addresses, and the route through `gateway`.
//
// The gateway's default route is in a separate table with a rule per address, so that the host's
// default route stays as it is. Rules and routes carry kOwner, so that leftovers of a killed
// predecessor are found.
#pragma once

#include "host/netlink.hpp"

#include "viaduct/net.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace viaduct {

struct Config;
struct TwinPort;

inline constexpr std::uint8_t kOwner = 86; ///< RTPROT and FRA_PROTOCOL of our routes and rules
inline constexpr std::uint32_t kFirstTable = 0x5600; ///< and the priority of its rules; + PortId

/// Steps that undo earlier actions; run in reverse order by the destructor.
class Undo {
public:
    Undo() = default;
    ~Undo();
    Undo(const Undo&) = delete;
    Undo& operator=(const Undo&) = delete;
    void add(std::function<void()> step) { steps_.push_back(std::move(step)); }
    void forget() noexcept { steps_.clear(); } ///< keeps what was done

private:
    std::vector<std::function<void()>> steps_;
};

struct Twin {
    std::string port;      ///< for messages
    std::string interface; ///< the TAP
    int link = 0;          ///< its interface index
    MacAddr mac;
    std::uint16_t mtu = 1500;
    std::vector<Ipv4Prefix> addresses; ///< the port's own, then VIPs as /32; no address twice
    std::vector<Ipv4Addr> lent;        ///< VIPs that another program adds here when needed
    std::optional<Ipv4Addr> gateway;
    std::uint32_t table = kFirstTable;
};

/// Returns the twins that the configuration wants, with VIPs assigned. Throws Error when an
/// interface is missing.
[[nodiscard]] std::vector<Twin> plan_twins(const Config& config,
                                           const std::vector<TwinPort>& ports);

/// Brings the twin up as described. Throws Error naming port and step; `undo` then holds the steps
/// done so far. The twin must outlive `undo`, which removes the addresses that the twin has by
/// then.
void set_up_twin(Netlink& netlink, Twin& twin, Undo& undo);

/// Changes the addresses of the running twins to those of `wanted`, which otherwise equals `twins`.
/// Throws Error naming port and step; the addresses are unchanged then.
void change_addresses(Netlink& netlink, std::vector<Twin>& twins, const std::vector<Twin>& wanted);

/// Adds the routes of the twin's own table; existing ones are fine. Returns 0 or an errno. The
/// kernel drops them when the twin goes down.
[[nodiscard]] int add_gateway_routes(Netlink& netlink, const Twin& twin);

/// Removes leftover rules and routes from viaductd's own tables.
void remove_leftovers(Netlink& netlink);

} // namespace viaduct
