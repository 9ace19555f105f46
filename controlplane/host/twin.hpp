// SPDX-License-Identifier: Apache-2.0
//
// twin: what one port's TAP twin is given: MAC, MTU, addresses, and the way out by `gateway`.
//
// The gateway's default route stands in a table of its own, reached by a rule per address, so that
// the host's default route stays what it is. Rules and routes carry kOwner, so that those a killed
// predecessor left are found.
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

inline constexpr std::uint8_t kOwner = 86;           ///< RTPROT and FRA_PROTOCOL of what is ours
inline constexpr std::uint32_t kFirstTable = 0x5600; ///< and the priority of its rules; + PortId

/// Steps that take back what was done; run in reverse order when it goes out of scope.
class Undo {
public:
    Undo() = default;
    ~Undo();
    Undo(const Undo&) = delete;
    Undo& operator=(const Undo&) = delete;
    void add(std::function<void()> step) { steps_.push_back(std::move(step)); }
    void forget() noexcept { steps_.clear(); } ///< what was done is to stay

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
    std::vector<Ipv4Addr> lent;        ///< VIPs that another program puts here when it wants
    std::optional<Ipv4Addr> gateway;
    std::uint32_t table = kFirstTable;
};

/// The twins as the configuration wants them, VIPs shared out. Throws Error when one is not there.
[[nodiscard]] std::vector<Twin> plan_twins(const Config& config,
                                           const std::vector<TwinPort>& ports);

/// Brings the twin up as described. Throws Error naming port and step; `undo` then holds what was
/// done so far. The twin outlives `undo`, which takes away the addresses that it has then: those
/// that were added.
void set_up_twin(Netlink& netlink, Twin& twin, Undo& undo);

/// Gives the twins, which are up, the addresses of `wanted`, the same twins otherwise. Throws Error
/// naming port and step; then they have those they had.
void change_addresses(Netlink& netlink, std::vector<Twin>& twins, const std::vector<Twin>& wanted);

/// Enters the routes of the twin's own table; those already there are fine. 0, or an errno.
/// The kernel forgets them when the twin goes down.
[[nodiscard]] int add_gateway_routes(Netlink& netlink, const Twin& twin);

/// Removes the rules and routes of viaductd's own tables that somebody left behind.
void remove_leftovers(Netlink& netlink);

} // namespace viaduct
