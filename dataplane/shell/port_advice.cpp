// SPDX-License-Identifier: Apache-2.0
#include "shell/port_advice.hpp"

#include "viaduct/error.hpp"
#include "viaduct/pci_address.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <dirent.h>
#include <limits>
#include <memory>
#include <string_view>
#include <unistd.h>

namespace viaduct {

namespace {

constexpr const char* kDevices = "/bus/pci/devices/";

/// The first line of a file; empty: it cannot be read.
std::string line_of(const std::string& path) {
    const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path.c_str(), "re"), &std::fclose);
    std::array<char, 128> text{};
    if (!file || std::fgets(text.data(), static_cast<int>(text.size()), file.get()) == nullptr)
        return {};
    const std::string_view line(text.data());
    return std::string(line.substr(0, line.find('\n')));
}

unsigned hex_of(const std::string& path) {
    return static_cast<unsigned>(std::strtoul(line_of(path).c_str(), nullptr, 16));
}

/// The last part of the target of a symbolic link; empty: there is no link.
std::string link_target(const std::string& path) {
    std::array<char, 512> text{};
    const ssize_t size = readlink(path.c_str(), text.data(), text.size());
    if (size <= 0) return {};
    const std::string_view target(text.data(), static_cast<std::size_t>(size));
    return std::string(target.substr(target.rfind('/') + 1));
}

std::vector<std::string> entries_of(const std::string& folder) {
    std::vector<std::string> names;
    const std::unique_ptr<DIR, int (*)(DIR*)> open(opendir(folder.c_str()), &closedir);
    if (!open) return names;
    while (const dirent* entry = readdir(open.get()))
        if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
    std::ranges::sort(names);
    return names;
}

std::string path_of(const std::string& folder, const std::string& name, const char* rest) {
    return folder + "/" + name + rest;
}

bool is_uio(const std::string& driver) {
    return driver == "uio_pci_generic" || driver == "igb_uio";
}

bool is_for_dpdk(const std::string& driver) {
    return is_uio(driver) || driver == "vfio-pci" || driver == "mlx4_core" || driver == "mlx5_core";
}

std::string command_for(const std::string& address) {
    return "modprobe vfio-pci; dpdk-devbind.py -b vfio-pci " + address;
}

/// An alternative, because vfio-pci accepts no device without an IOMMU.
std::string other_command(const std::string& sysfs) {
    return entries_of(sysfs + "/kernel/iommu_groups").empty()
               ? " (or use uio_pci_generic and huge pages, because this machine has no active "
                 "IOMMU)"
               : "";
}

/// The edit distance: insertions, removals and changes of characters from one to the other.
std::size_t edits(std::string_view one, std::string_view other) {
    std::vector<std::size_t> row(other.size() + 1);
    for (std::size_t j = 0; j <= other.size(); ++j)
        row[j] = j;
    for (std::size_t i = 1; i <= one.size(); ++i) {
        std::size_t corner = row[0];
        row[0] = i;
        for (std::size_t j = 1; j <= other.size(); ++j) {
            const std::size_t same = corner + (one[i - 1] == other[j - 1] ? 0 : 1);
            corner = row[j];
            row[j] = std::min({row[j] + 1, row[j - 1] + 1, same});
        }
    }
    return row[other.size()];
}

/// Suggests the network device with the address nearest to the one written, or lists those there
/// are.
std::string suggestion(const std::string& sysfs, const std::string& written) {
    constexpr std::size_t kNear = 3;  // of some 12 characters
    constexpr std::size_t kShown = 4; // more would not be read
    std::vector<std::string> found;
    std::string best;
    std::size_t least = kNear + 1;
    for (const std::string& address : entries_of(sysfs + kDevices)) {
        if (!read_pci_device(sysfs, address).is_network()) continue;
        found.push_back(address);
        const std::string_view without_domain = std::string_view(address).substr(5);
        const std::size_t distance =
            std::min(edits(written, address), edits(written, without_domain));
        if (distance < least) {
            least = distance;
            best = address;
        }
    }
    if (!best.empty()) return "; did you mean " + best + "?";
    if (found.empty()) return "; this machine has no PCI network device";
    std::string list;
    for (std::size_t i = 0; i < std::min(found.size(), kShown); ++i)
        list += (i == 0 ? "" : ", ") + found[i];
    return "; the network devices here are " + list +
           (found.size() > kShown ? ", ... (dpdk-devbind.py --status)" : "");
}

/// Explains an error of DPDK about VFIO, from what the kernel knows and DPDK does not.
std::string vfio_hint(const std::string& sysfs, const PciDevice& device, const std::string& cause) {
    const auto says = [&](std::string_view word) { return cause.find(word) != std::string::npos; };
    const std::string group = link_target(sysfs + kDevices + device.address + "/iommu_group");
    if (says("busy"))
        return "; another process uses it" +
               (group.empty() ? "" : " (fuser /dev/vfio/" + group + ")");
    if (group.empty())
        return "; it has no IOMMU group: enable the IOMMU (intel_iommu=on or amd_iommu=on for "
               "the kernel), or echo 1 > /sys/module/vfio/parameters/enable_unsafe_noiommu_mode, "
               "and bind it again";
    if (says("not viable"))
        return "; bind all devices of its IOMMU group to vfio-pci (ls " + sysfs + kDevices +
               device.address + "/iommu_group/devices)";
    return "; the kernel log has the reason (dmesg | grep -iE 'vfio|iommu|dmar'); if the reason is "
           "missing interrupt remapping: echo 1 > "
           "/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts";
}

std::string class_name(unsigned device_class) {
    static constexpr std::array<const char*, 0x11> kNames{"an old device",
                                                          "a disk",
                                                          "a network device",
                                                          "a display",
                                                          "a multimedia device",
                                                          "memory",
                                                          "a bridge",
                                                          "a serial port",
                                                          "a system device",
                                                          "an input device",
                                                          "a dock",
                                                          "a processor",
                                                          "a serial bus",
                                                          "a radio",
                                                          "a controller",
                                                          "a satellite link",
                                                          "a cipher device"};
    const unsigned base = device_class >> 16U;
    std::array<char, 16> number{};
    std::snprintf(number.data(), number.size(), "0x%06x", device_class);
    return (base < kNames.size() ? std::string(kNames[base]) + ", " : "") + "class " +
           number.data();
}

} // namespace

PciDevice read_pci_device(const std::string& sysfs, const std::string& address) {
    const std::string folder = sysfs + kDevices + address;
    PciDevice device;
    device.address = address;
    device.exists = access(folder.c_str(), F_OK) == 0;
    device.driver = link_target(folder + "/driver");
    device.vendor = hex_of(folder + "/vendor");
    device.device = hex_of(folder + "/device");
    device.device_class = hex_of(folder + "/class");
    std::vector<std::string> interfaces = entries_of(folder + "/net");
    for (const std::string& child : entries_of(folder)) // virtio0/net/eth0
        if (interfaces.empty() && child.starts_with("virtio"))
            interfaces = entries_of(path_of(folder, child, "/net"));
    if (!interfaces.empty()) device.interface = interfaces.front();
    return device;
}

std::string wants_physical_addresses(const std::string& sysfs, const std::string& device) {
    const std::string no_iommu = sysfs + "/module/vfio/parameters/enable_unsafe_noiommu_mode";
    const auto bound = [](const PciDevice& to) { return to.address + " is bound to " + to.driver; };
    for (const std::string& address : pci_addresses(device)) {
        const PciDevice found = read_pci_device(sysfs, address);
        if (is_uio(found.driver)) return bound(found);
        // Same test as in DPDK: the kernel's parameter, regardless of the device's group.
        if (found.driver == "vfio-pci" && line_of(no_iommu) == "Y")
            return bound(found).append(" without an IOMMU");
    }
    return {};
}

std::string unreachable_memory(const std::string& sysfs, const std::string& device) {
    const std::string devices = sysfs + kDevices;
    const auto refusal = [](const PciDevice& found, const std::string& type) {
        return found.address + " is bound to " + found.driver +
               ", but the IOMMU translates its addresses (" + type +
               "), so it could not reach packet buffers; dpdk-devbind.py -b vfio-pci " +
               found.address + ", or boot the kernel with iommu=pt";
    };
    for (const std::string& address : pci_addresses(device)) {
        const PciDevice found = read_pci_device(sysfs, address);
        const std::string type = line_of(path_of(devices, address, "/iommu_group/type"));
        if (is_uio(found.driver) && type.starts_with("DMA")) return refusal(found, type);
    }
    return {};
}

Memory choose_memory(const std::string& sysfs,
                     MemoryKind kind,
                     std::size_t needed_megabytes,
                     const std::string& physical) {
    constexpr std::size_t kPageMegabytes = 2;
    const std::string pages = sysfs + "/kernel/mm/hugepages/hugepages-";
    const auto number = [&](const std::string& file) {
        return std::strtoul(line_of(pages + file).c_str(), nullptr, 10);
    };
    const std::size_t available = kPageMegabytes * number("2048kB/free_hugepages") +
                                  1024 * number("1048576kB/free_hugepages");
    const std::string lack = std::to_string(available) + " MB of huge pages are free, " +
                             std::to_string(needed_megabytes) + " MB are needed";
    const std::size_t missing = needed_megabytes - std::min(needed_megabytes, available);
    const std::string remedy =
        "set vm.nr_hugepages=" + std::to_string(number("2048kB/nr_hugepages") +
                                                (missing + kPageMegabytes - 1) / kPageMegabytes);
    if (!physical.empty() && kind == MemoryKind::Ordinary)
        throw Error(physical +
                    ", which needs physical addresses, and dataplane.memory is "
                    "\"ordinary\": set it to \"auto\" and " +
                    remedy + ", or use an IOMMU and vfio-pci");
    if (kind == MemoryKind::Ordinary) return {};
    if (missing == 0) return {true, {}};
    if (!physical.empty())
        throw Error(physical + ", which needs physical addresses: " + remedy + " (" + lack +
                    "), or use an IOMMU and vfio-pci");
    if (kind == MemoryKind::HugePages)
        throw Error("dataplane.memory = \"hugepages\": " + lack + "; " + remedy +
                    ", or memory = \"ordinary\"");
    return {false, lack};
}

std::string
why_not_opened(const std::string& sysfs, const std::string& device, const std::string& cause) {
    const std::string name = device_name(device);
    const std::string address = pci_address(name);
    if (address.empty()) {
        const bool is_meant_so = name.find_first_not_of(kOfPciAddresses) == std::string::npos &&
                                 name.find(':') != std::string::npos;
        if (is_meant_so) return name + " is not a PCI address" + suggestion(sysfs, name);
        return cause + "; give a PCI address bound to vfio-pci or a virtual device such as "
                       "net_af_packet0,iface=eth1";
    }
    const PciDevice found = read_pci_device(sysfs, address);
    if (!found.exists) return "no such address: " + address + suggestion(sysfs, address);
    if (!found.is_network())
        return address + " is not a network device (" + class_name(found.device_class) + ")" +
               suggestion(sysfs, address);
    if (found.driver.empty())
        return "not bound: no driver has " + address + "; " + command_for(address) +
               other_command(sysfs);
    if (!is_for_dpdk(found.driver))
        return "driver in use: the kernel driver " + found.driver + " uses " + address +
               (found.interface.empty() ? "" : " as interface " + found.interface) + "; " +
               command_for(address) + other_command(sysfs);
    if (found.driver == "vfio-pci") return cause + vfio_hint(sysfs, found, cause);
    std::array<char, 16> ids{};
    std::snprintf(ids.data(), ids.size(), "%04x:%04x", found.vendor, found.device);
    return cause + "; it is bound to " + found.driver +
           ", as it should be: does DPDK have a driver for " + ids.data() + "?";
}

std::size_t served_queues(const PciDevice& chip) noexcept {
    // DPDK's net_e1000_em claims two queues for all its chips. These have only one: 82540, 82545,
    // 82546, 82573, 82583.
    constexpr std::array kOneQueue{
        0x100eU, 0x100fU, 0x1010U, 0x1011U, 0x1012U, 0x101dU, 0x108bU, 0x108cU, 0x109aU, 0x150cU};
    return chip.vendor == 0x8086 && std::ranges::count(kOneQueue, chip.device) > 0
               ? 1
               : std::numeric_limits<std::size_t>::max();
}

std::string more_queues(const std::string& driver, std::size_t tx_queues, std::size_t workers) {
    const std::string n = std::to_string(workers);
    std::string way;
    if (driver == "net_af_packet") way = "add qpairs=" + n + " to its device string, or ";
    if (driver == "net_af_xdp") way = "add queue_count=" + n + " to its device string, or ";
    if (driver == "net_virtio_user" || driver == "net_vhost")
        way = "add queues=" + n + " to its device string, or ";
    if (driver == "net_virtio")
        way = "give the virtual machine's NIC more queues (QEMU: queues=" + n +
              " at the netdev, mq=on,vectors=" + std::to_string(2 * workers + 2) +
              " at the device), or ";
    return "the device has " + std::to_string(tx_queues) + " TX queue(s), " + n +
           " workers need one each; " + way + "lower dataplane.workers to " +
           std::to_string(std::max<std::size_t>(1, tx_queues));
}

std::string why_not_started(const std::string& driver, const std::string& said) {
    if (driver == "net_virtio" && said.find("ontrol queue") != std::string::npos)
        return "the virtual machine's NIC has no control queue, which DPDK needs; switch it on at "
               "the host (QEMU: ctrl_vq=on)";
    return said;
}

std::string spread_note(const std::string& driver,
                        HashAbility can,
                        std::size_t rx_queues,
                        std::size_t workers) {
    if (workers < 2) return {};
    const std::string others = workers == 2 ? "worker 1 receives" : "the others receive";
    if (rx_queues < 2) return "one RX queue: worker 0 receives all packets, " + others + " nothing";
    if (can.udp_ports) {
        if (rx_queues >= workers) return {};
        return std::to_string(rx_queues) + " RX queues: only the first " +
               std::to_string(rx_queues) + " of " + std::to_string(workers) +
               " workers receive packets";
    }
    if (can.addresses)
        return "the driver does not hash UDP ports: packets are spread by addresses only, so all "
               "packets of one proxy go to one worker";
    // The other end chooses the queue: a kernel or the host of a virtual machine.
    constexpr std::array<std::string_view, 7> kSpreadElsewhere{"net_af_packet",
                                                               "net_af_xdp",
                                                               "net_virtio",
                                                               "net_virtio_user",
                                                               "net_vhost",
                                                               "net_tap",
                                                               "net_memif"};
    if (std::ranges::count(kSpreadElsewhere, driver) > 0)
        return "no RSS: the other end (kernel or host) chooses the queue of each packet";
    return "no RSS: worker 0 receives all packets, " + others + " nothing";
}

} // namespace viaduct
