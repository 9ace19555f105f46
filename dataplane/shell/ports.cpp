// SPDX-License-Identifier: Apache-2.0
#include "shell/ports.hpp"

#include "shell/eal.hpp"
#include "shell/port_advice.hpp"

#include "viaduct/error.hpp"
#include "viaduct/pci_address.hpp"

#include <rte_config.h>
#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_log.h>
#include <rte_mbuf.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

namespace viaduct {

namespace {

[[noreturn]] void fail(const PortRequest& request, const std::string& what) {
    throw Error("port " + request.name + ": " + what);
}

std::uint16_t attach(const PortRequest& request) {
    const std::string interface = interface_of(request.device);
    if (!interface.empty() && if_nametoindex(interface.c_str()) == 0)
        fail(request,
             "device \"" + request.device + "\": there is no interface \"" + interface +
                 "\"; see ip link");
    const LogCatcher log;
    std::array<bool, RTE_MAX_ETHPORTS> known{};
    for (std::uint16_t id = 0; id < RTE_MAX_ETHPORTS; ++id)
        known[id] = rte_eth_dev_is_valid_port(id) != 0;
    // DPDK finds a device only by the kernel's spelling of its address.
    const std::size_t arguments = std::min(request.device.find(','), request.device.size());
    const std::string device = device_name(request.device) + request.device.substr(arguments);
    const int result = rte_dev_probe(device.c_str());
    // Finds the new port by comparing, not by name: names of PCI devices have several spellings.
    for (std::uint16_t id = 0; id < RTE_MAX_ETHPORTS; ++id)
        if (!known[id] && rte_eth_dev_is_valid_port(id) != 0) return id;
    fail(request,
         "cannot open device \"" + request.device + "\": " +
             why_not_opened(
                 kSysfs,
                 request.device,
                 log.first_line(result < 0 ? rte_strerror(-result) : "not a network device")));
}

/// The MTU of the kernel interface that the port uses; 0 when there is none.
std::uint16_t interface_mtu(const std::string& interface) {
    if (interface.empty()) return 0;
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return 0;
    ifreq request{};
    interface.copy(request.ifr_name, IFNAMSIZ - 1);
    const bool known = ioctl(fd, SIOCGIFMTU, &request) == 0;
    close(fd);
    return known ? static_cast<std::uint16_t>(std::clamp(request.ifr_mtu, 0, 65'535)) : 0;
}

/// Sets the MTU, between configuring and starting. The MTU of a kernel interface is only checked,
/// never changed here: it belongs to its owner.
std::uint16_t settle_mtu(const PortRequest& request, std::uint16_t ethdev) {
    const std::string interface = interface_of(request.device);
    const std::uint16_t kernel_mtu = interface_mtu(interface);
    if (kernel_mtu != 0 && request.mtu.value_or(kernel_mtu) > kernel_mtu)
        fail(request,
             "mtu = " + std::to_string(*request.mtu) + ", but " + interface + " has " +
                 std::to_string(kernel_mtu) + "; lower it, or ip link set " + interface + " mtu " +
                 std::to_string(*request.mtu));
    if (kernel_mtu != 0) return request.mtu.value_or(kernel_mtu);
    std::uint16_t mtu = RTE_ETHER_MTU;
    if (!request.mtu) return rte_eth_dev_get_mtu(ethdev, &mtu) == 0 ? mtu : RTE_ETHER_MTU;
    const int result = rte_eth_dev_set_mtu(ethdev, *request.mtu);
    if (result != 0 && result != -ENOTSUP)
        fail(request,
             "mtu = " + std::to_string(*request.mtu) +
                 ": the device refuses it: " + rte_strerror(-result));
    return *request.mtu;
}

rte_eth_conf choose_features(const PortRequest& request,
                             const rte_eth_dev_info& info,
                             std::uint16_t rx_queues,
                             std::size_t workers,
                             std::vector<std::string>& notes) {
    rte_eth_conf conf{};
    if ((info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE) != 0)
        conf.txmode.offloads |= RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
    else
        notes.push_back("port " + request.name +
                        ": no fast free of sent packets; sending costs about 8 % more");
    const std::uint64_t by_ports = info.flow_type_rss_offloads & RTE_ETH_RSS_UDP;
    const std::uint64_t by_addresses = info.flow_type_rss_offloads & RTE_ETH_RSS_IP;
    if (rx_queues > 1 && (by_ports | by_addresses) != 0) {
        conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
        // A key of our own: with the public key of the driver a sender could aim at one queue.
        static std::array<std::uint8_t, 64> key{};
        if (info.hash_key_size > 0 && info.hash_key_size <= key.size() &&
            getrandom(key.data(), key.size(), 0) == static_cast<ssize_t>(key.size())) {
            conf.rx_adv_conf.rss_conf.rss_key = key.data();
            conf.rx_adv_conf.rss_conf.rss_key_len = info.hash_key_size;
        }
        conf.rx_adv_conf.rss_conf.rss_hf = by_ports | by_addresses;
    }
    const HashAbility can{(by_ports & RTE_ETH_RSS_NONFRAG_IPV4_UDP) != 0,
                          (by_addresses & (RTE_ETH_RSS_IPV4 | RTE_ETH_RSS_NONFRAG_IPV4_OTHER)) !=
                              0};
    if (const std::string note = spread_note(info.driver_name, can, rx_queues, workers);
        !note.empty())
        notes.push_back("port " + request.name + ": " + note);
    return conf;
}

void start_queues(const PortRequest& request,
                  Port& port,
                  std::uint16_t tx_queues,
                  rte_mempool* mempool,
                  std::vector<std::string>& notes) {
    const std::uint16_t ethdev = port.ethdev;
    const std::uint16_t rx_queues = port.rx_queues;
    const auto check = [&](int result, const char* step) {
        if (result < 0) fail(request, std::string(step) + ": " + rte_strerror(-result));
    };
    const LogCatcher log;
    rte_eth_dev_info info{};
    check(rte_eth_dev_info_get(ethdev, &info), "cannot read the device's capabilities");
    const rte_eth_conf conf = choose_features(request, info, rx_queues, tx_queues, notes);
    check(rte_eth_dev_configure(ethdev, rx_queues, tx_queues, &conf),
          "cannot configure the device");
    port.mtu = settle_mtu(request, ethdev);
    if (port.mtu > kMaxMtu)
        fail(
            request,
            "an MTU of " + std::to_string(port.mtu) + " is larger than " + std::to_string(kMaxMtu) +
                ", the limit of packet buffers; set mtu = 1500, or lower the MTU of the interface");
    std::uint16_t rx_descriptors = kRxDescriptors;
    std::uint16_t tx_descriptors = kTxDescriptors;
    check(rte_eth_dev_adjust_nb_rx_tx_desc(ethdev, &rx_descriptors, &tx_descriptors),
          "cannot choose descriptor counts");
    const auto socket = static_cast<unsigned>(rte_eth_dev_socket_id(ethdev));
    for (std::uint16_t queue = 0; queue < rx_queues; ++queue)
        check(rte_eth_rx_queue_setup(ethdev, queue, rx_descriptors, socket, nullptr, mempool),
              "cannot set up an RX queue");
    rte_eth_txconf tx_conf = info.default_txconf;
    tx_conf.offloads = conf.txmode.offloads;
    for (std::uint16_t queue = 0; queue < tx_queues; ++queue)
        check(rte_eth_tx_queue_setup(ethdev, queue, tx_descriptors, socket, &tx_conf),
              "cannot set up a TX queue");
    if (const int result = rte_eth_dev_start(ethdev); result < 0) {
        const std::string why = why_not_started(info.driver_name, log.all_lines());
        fail(request,
             std::string("cannot start the device: ") + rte_strerror(-result) +
                 (why.empty() ? "" : ": " + why));
    }
    if (rte_eth_allmulticast_enable(ethdev) != 0)
        notes.push_back("port " + request.name +
                        ": cannot receive all multicast; neighbour discovery, VRRP and OSPF may "
                        "not reach the kernel");
}

} // namespace

std::string interface_of(const std::string& device) {
    constexpr std::string_view kKey = ",iface=";
    if (!device.starts_with("net_af_packet") && !device.starts_with("net_af_xdp")) return {};
    const std::size_t at = device.find(kKey);
    if (at == std::string::npos) return {};
    const std::size_t first = at + kKey.size();
    return device.substr(first, device.find(',', first) - first);
}

Port open_port(const PortRequest& request,
               std::size_t workers,
               rte_mempool* mempool,
               std::vector<std::string>& notes) {
    const std::uint16_t ethdev = attach(request);
    try {
        rte_eth_dev_info info{};
        rte_eth_dev_info_get(ethdev, &info);
        if (info.max_tx_queues < workers)
            fail(request, more_queues(info.driver_name, info.max_tx_queues, workers));
        const std::size_t served =
            served_queues(read_pci_device(kSysfs, device_name(request.device)));
        if (served < workers)
            fail(request,
                 std::string("the driver ") + info.driver_name + " claims " +
                     std::to_string(info.max_tx_queues) + " queues, but this chip has " +
                     std::to_string(served) +
                     ": packets that other workers send would be lost; lower "
                     "dataplane.workers to " +
                     std::to_string(served));
        Port port;
        port.name = request.name;
        port.driver = info.driver_name;
        port.interface = interface_of(request.device);
        port.kernel_link = if_nametoindex(port.interface.c_str());
        port.ethdev = ethdev;
        const auto tx_queues = static_cast<std::uint16_t>(workers);
        port.rx_queues = std::min(info.max_rx_queues, tx_queues);
        port.tx_queues = tx_queues;
        start_queues(request, port, tx_queues, mempool, notes);
        rte_ether_addr mac{};
        rte_eth_macaddr_get(ethdev, &mac);
        std::copy_n(mac.addr_bytes, port.mac.bytes.size(), port.mac.bytes.begin());
        return port;
    } catch (...) {
        rte_eth_dev_close(ethdev);
        throw;
    }
}

void close_port(const Port& port) noexcept {
    rte_eth_dev_stop(port.ethdev);
    rte_eth_dev_close(port.ethdev);
}

std::string lack_of_link(const Port& port) {
    if (port.kernel_link == 0) {
        rte_eth_link link{};
        // If a driver does not report the link, it counts as up: the twin stays up.
        if (rte_eth_link_get_nowait(port.ethdev, &link) != 0) return {};
        return link.link_status == RTE_ETH_LINK_UP ? "" : "the device has no link";
    }
    // Drivers on a kernel interface always report "up". The interface is found by index, because
    // its name may be given to another interface, which this port does not read.
    ifreq request{};
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const bool is_there =
        fd >= 0 &&
        if_indextoname(port.kernel_link, static_cast<char*>(request.ifr_name)) != nullptr;
    const std::string name =
        is_there ? std::string(static_cast<char*>(request.ifr_name)) : port.interface;
    const bool known = is_there && ioctl(fd, SIOCGIFFLAGS, &request) == 0;
    if (fd >= 0) close(fd);
    if (!known) return name + " is gone; restart viaductd when it is back";
    const auto flags = static_cast<unsigned>(request.ifr_flags);
    if ((flags & IFF_UP) == 0) return name + " is down; ip link set " + name + " up";
    return (flags & IFF_RUNNING) == 0 ? name + " has no carrier" : "";
}

PortState state_of(const Port& port) {
    PortState state;
    state.name = port.name;
    state.driver = port.driver;
    state.interface = port.interface;
    state.mac = port.mac;
    state.mtu = port.mtu;
    state.no_link = lack_of_link(port);
    rte_eth_stats stats{};
    if (rte_eth_stats_get(port.ethdev, &stats) == 0) {
        state.received = stats.ipackets;
        state.sent = stats.opackets;
        // net_af_packet sums the counters of this many queues only.
        state.counts_sent =
            port.driver != "net_af_packet" || port.tx_queues <= RTE_ETHDEV_QUEUE_STAT_CNTRS;
        state.missed = stats.imissed;
        state.rx_errors = stats.ierrors;
        state.tx_errors = stats.oerrors;
        state.no_buffers = stats.rx_nombuf;
    }
    return state;
}

} // namespace viaduct
