// SPDX-License-Identifier: Apache-2.0
//
// ports: the NIC ports with their queues. For start-up and shutdown only.
//
// No NIC feature is required except RX and TX: RSS and fast-free are used where a port has them,
// and a note says what is missing and what that costs.
#pragma once

#include "frame.hpp"

#include "viaduct/dataplane.hpp"

#include <rte_mempool.h>

#include <cstdint>
#include <string>
#include <vector>

namespace viaduct {

struct Port {
    std::string name;
    std::string driver;
    std::string interface;    ///< the kernel interface that the port uses: its link is the port's
    unsigned kernel_link = 0; ///< index of that interface; 0: there is none
    std::uint16_t ethdev = 0; ///< DPDK's number of the port
    std::uint16_t rx_queues = 0;
    std::uint16_t tx_queues = 0;
    MacAddr mac;
    std::uint16_t mtu = 0;
};

/// Attaches, configures and starts one port with a TX queue per worker. Throws Error naming the
/// port, after detaching the device again.
[[nodiscard]] Port open_port(const PortRequest& request,
                             std::size_t workers,
                             rte_mempool* mempool,
                             std::vector<std::string>& notes);
void close_port(const Port& port) noexcept;

[[nodiscard]] PortState state_of(const Port& port);

/// Why the port has no link now; empty: the link is up.
[[nodiscard]] std::string lack_of_link(const Port& port);

/// The kernel interface that a device string names (`iface=lb0`); empty when it names none.
[[nodiscard]] std::string interface_of(const std::string& device);

} // namespace viaduct
