// SPDX-License-Identifier: Apache-2.0
//
// drop_filter: keeps the kernel's own stack away from an interface that net_af_packet reads.
//
// Without it the kernel would answer ARP and ping a second time and send ICMP port-unreachable for
// every SIP packet. AF_PACKET sockets take their copy before the ingress filter drops the frame.
#pragma once

#include "host/netlink.hpp"

#include <string>

namespace viaduct {

/// Undoes what a killed predecessor left, on all interfaces of the network namespace: it may have
/// had others than we have.
void remove_leftover_filters(Netlink& netlink);

/// A clsact ingress filter that drops everything, and IPv6 off, on `interface`.
///
/// The filter carries its own mark and what must be put back, so that what a killed predecessor
/// left can be undone by the next one. Foreign filters and a foreign clsact qdisc are left alone.
class DropFilter {
public:
    /// Throws Error naming `port`; then nothing is left behind.
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
