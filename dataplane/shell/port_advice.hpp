// SPDX-License-Identifier: Apache-2.0
//
// port_advice: texts about what the kernel reports of a PCI device, what a driver lacks, and what
// the operator can do. The functions use only sysfs and what the driver reports, not DPDK.
#pragma once

#include "viaduct/dataplane.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace viaduct {

/// A PCI device in sysfs (a folder such as "/sys").
struct PciDevice {
    std::string address;
    bool exists = false;
    std::string driver;    ///< the kernel driver it is bound to; empty: none
    std::string interface; ///< its network interface in the kernel; empty: none
    unsigned vendor = 0;
    unsigned device = 0;
    unsigned device_class = 0; ///< 24 bits; those of network devices start with 0x02
    bool is_network() const noexcept { return device_class >> 16U == 0x02; }
};
[[nodiscard]] PciDevice read_pci_device(const std::string& sysfs, const std::string& address);

/// The device of the port that gives its NIC physical addresses, and its driver, as in
/// "0000:00:05.0 is bound to uio_pci_generic"; empty: there is none. With one, DPDK must not use
/// virtual addresses, and needs huge pages.
[[nodiscard]] std::string wants_physical_addresses(const std::string& sysfs,
                                                   const std::string& device);

/// Why a device that DPDK would use cannot reach any memory, and what to do; empty: it can.
[[nodiscard]] std::string unreachable_memory(const std::string& sysfs, const std::string& device);

struct Memory {
    bool is_huge = false;
    std::string lack; ///< why `auto` means ordinary memory
};
/// The memory that `kind` means with the huge pages that are free. `physical`: why huge pages are
/// required (wants_physical_addresses), or empty. Throws Error when they are required and too few.
[[nodiscard]] Memory choose_memory(const std::string& sysfs,
                                   MemoryKind kind,
                                   std::size_t needed_megabytes,
                                   const std::string& physical);

/// Why DPDK could not open the device, and what to do. `cause`: the error that DPDK reported.
[[nodiscard]] std::string
why_not_opened(const std::string& sysfs, const std::string& device, const std::string& cause);

/// The queues that a chip really has, if its driver claims more; else no limit. Packets in the
/// other queues would be lost.
[[nodiscard]] std::size_t served_queues(const PciDevice& chip) noexcept;

/// What the operator can do about a port with fewer TX queues than there are workers.
[[nodiscard]] std::string
more_queues(const std::string& driver, std::size_t tx_queues, std::size_t workers);

/// Why a driver that opened its device could not start it; empty: nothing better is known.
[[nodiscard]] std::string why_not_started(const std::string& driver, const std::string& said);

/// The packet fields that a port's driver can hash to choose a queue.
struct HashAbility {
    bool udp_ports = false;
    bool addresses = false; ///< of IPv4
};
/// How a port's packets are spread over several workers when that is not an even share of all;
/// empty: it is even.
[[nodiscard]] std::string
spread_note(const std::string& driver, HashAbility can, std::size_t rx_queues, std::size_t workers);

} // namespace viaduct
