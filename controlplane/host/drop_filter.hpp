// SPDX-License-Identifier: Apache-2.0
//
// drop_filter: keeps the kernel's IP stack away from an interface that net_af_packet reads.
//
// Without it the kernel would answer ARP and ping a second time and send ICMP port unreachable for
// every SIP packet. AF_PACKET sockets get their copy before the ingress filter drops the frame.
#pragma once

#include "host/netlink.hpp"

#include <string>

namespace viaduct {

/// Removes the filters of a killed predecessor on all interfaces of the network namespace, because
/// it may have used other interfaces.
void remove_leftover_filters(Netlink& netlink);

/// A clsact ingress filter that drops everything on `interface`; also disables IPv6 there.
///
/// The filter contains its own mark and the state to restore, so that the next process can clean up
/// after a killed one. Foreign filters and a foreign clsact qdisc are left alone.
class DropFilter {
public:
    /// Throws Error naming `port`; nothing is left behind then.
    DropFilter(Netlink& netlink, const std::string& port, std::string interface);
    ~DropFilter();
    DropFilter(const DropFilter&) = delete;
    DropFilter& operator=(const DropFilter&) = delete;

private:
    Netlink& netlink_;
    std::string interface_;
    int link_;
};

} // namespace viaduct
