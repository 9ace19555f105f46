// SPDX-License-Identifier: Apache-2.0
//
// port_advice: what the kernel says of a PCI device, what a driver lacks, and what the operator can
// do about it, in words. Functions of sysfs and of what the driver reports alone: no DPDK.
#pragma once

#include "viaduct/dataplane.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace viaduct {

/// A PCI device as sysfs (a folder such as "/sys") has it.
struct PciDevice {
    std::string address;
    bool exists = false;
    std::string driver;    ///< the kernel driver it is bound to; empty: none
    std::string interface; ///< the kernel's network interface of it; empty: none
    unsigned vendor = 0;
    unsigned device = 0;
    unsigned device_class = 0; ///< 24 bits; a network device's begin with 0x02
    bool is_network() const noexcept { return device_class >> 16U == 0x02; }
};
[[nodiscard]] PciDevice read_pci_device(const std::string& sysfs, const std::string& address);

/// Which device of the port gives its NIC physical addresses, and by which driver, as in
/// "0000:00:05.0 is bound to uio_pci_generic"; empty: none does. DPDK then must not use virtual
/// ones, and needs huge pages.
[[nodiscard]] std::string wants_physical_addresses(const std::string& sysfs,
                                                   const std::string& device);

/// Why a device that DPDK would take can reach no memory, and what to do; empty: it can.
[[nodiscard]] std::string unreachable_memory(const std::string& sysfs, const std::string& device);

struct Memory {
    bool is_huge = false;
    std::string lack; ///< why `auto` is ordinary memory
};
/// What `kind` comes to with the huge pages that are free. `physical` is why they cannot be done
/// without (wants_physical_addresses), or empty. Throws Error when they are needed and too few.
[[nodiscard]] Memory choose_memory(const std::string& sysfs,
                                   MemoryKind kind,
                                   std::size_t needed_megabytes,
                                   const std::string& physical);

/// Why DPDK could not open the device, and what to do. `cause` is what DPDK said, or why it failed.
[[nodiscard]] std::string
why_not_opened(const std::string& sysfs, const std::string& device, const std::string& cause);

/// Queues that a chip has where its driver claims more, or no limit. What the others are given
/// would be lost.
[[nodiscard]] std::size_t served_queues(const PciDevice& chip) noexcept;

/// A port with fewer TX queues than there are workers: what the operator can do.
[[nodiscard]] std::string
more_queues(const std::string& driver, std::size_t tx_queues, std::size_t workers);

/// Why a driver that opened its device could not start it; empty: nothing better is known.
[[nodiscard]] std::string why_not_started(const std::string& driver, const std::string& said);

/// What a port's driver can hash to choose a packet's queue.
struct HashAbility {
    bool udp_ports = false;
    bool addresses = false; ///< of IPv4
};
/// What of a port's packets several workers get, when that is not an even share of all; empty: it
/// is.
[[nodiscard]] std::string
spread_note(const std::string& driver, HashAbility can, std::size_t rx_queues, std::size_t workers);

} // namespace viaduct
