// SPDX-License-Identifier: Apache-2.0
#include "ports.hpp"

#include "viaduct/error.hpp"

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

constexpr std::uint16_t kRxDescriptors = 1024;
constexpr std::uint16_t kTxDescriptors = 1024;
constexpr unsigned kMempoolCache = 256;
/// What every driver's buffers hold in one piece: net_af_packet's frames of 2,048 bytes are the
/// least.
constexpr std::uint16_t kMaxMtu = 1968;

/// What a packet buffer takes, with its headers and its place on the stack of free ones. None lies
/// across two pages, so one fills an ordinary page.
constexpr std::size_t kHugeBufferBytes = 2560;
constexpr std::size_t kOrdinaryBufferBytes = 4224;

/// Buffers that queues, rings and caches can hold at one time: with fewer, reception would starve.
std::size_t least_buffers(const DataplaneRequest& request) {
    const std::size_t workers = request.cpus.size();
    return request.ports.size() * workers * (kRxDescriptors + kTxDescriptors) + workers * 3 * 1024 +
           (workers + 1) * kMempoolCache * 3 / 2;
}

std::size_t buffers_of(const DataplaneRequest& request) {
    const std::size_t least = least_buffers(request);
    const std::size_t count = request.buffers.value_or(least);
    if (count < least)
        throw Error("dataplane.buffers = " + std::to_string(count) + ", but " +
                    std::to_string(request.ports.size()) + " port(s) and " +
                    std::to_string(request.cpus.size()) + " worker(s) need at least " +
                    std::to_string(least) + "; raise it or leave it out");
    return count;
}

/// Huge page or ordinary memory that EAL is given: the mempool and the rings, with room to spare.
std::size_t needed_megabytes(const DataplaneRequest& request, std::size_t buffer_bytes) {
    const std::size_t more_buffers = buffers_of(request) - least_buffers(request);
    return 64 + 32 * request.ports.size() * std::max<std::size_t>(1, request.cpus.size()) +
           more_buffers * buffer_bytes / 1'000'000;
}

std::size_t free_huge_megabytes() {
    std::size_t total_kb = 0;
    for (const unsigned size_kb : {2048U, 1048576U}) {
        std::array<char, 96> path{};
        std::snprintf(path.data(),
                      path.size(),
                      "/sys/kernel/mm/hugepages/hugepages-%ukB/free_hugepages",
                      size_kb);
        const std::unique_ptr<FILE, int (*)(FILE*)> file(std::fopen(path.data(), "re"),
                                                         &std::fclose);
        std::array<char, 32> text{};
        if (file && std::fgets(text.data(), static_cast<int>(text.size()), file.get()) != nullptr)
            total_kb += std::strtoul(text.data(), nullptr, 10) * size_kb;
    }
    return total_kb / 1024;
}

bool use_huge_pages(const DataplaneRequest& request, std::vector<std::string>& notes) {
    if (request.memory == MemoryKind::Ordinary) return false;
    const std::size_t needed = needed_megabytes(request, kHugeBufferBytes);
    const std::size_t available = free_huge_megabytes();
    if (available >= needed) return true;
    const std::string lack = std::to_string(available) + " MB of huge pages are free, " +
                             std::to_string(needed) + " MB are needed";
    if (request.memory == MemoryKind::HugePages)
        throw Error("dataplane.memory = \"hugepages\": " + lack +
                    "; set vm.nr_hugepages higher, or memory = \"ordinary\"");
    notes.push_back("ordinary memory, because " + lack + ": expect more TLB misses");
    return false;
}

/// "0@(0,3),1@1,2@2": the main thread on what the workers leave, each worker on its own CPU.
std::string lcores_argument(const std::vector<unsigned>& worker_cpus) {
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    sched_getaffinity(0, sizeof(allowed), &allowed);
    std::string rest;
    std::string all;
    for (unsigned cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
        if (!CPU_ISSET(cpu, &allowed)) continue;
        all += (all.empty() ? "" : ",") + std::to_string(cpu);
        if (std::find(worker_cpus.begin(), worker_cpus.end(), cpu) == worker_cpus.end())
            rest += (rest.empty() ? "" : ",") + std::to_string(cpu);
    }
    std::string argument = "0@(" + (rest.empty() ? all : rest) + ")";
    for (std::size_t i = 0; i < worker_cpus.size(); ++i)
        argument += "," + std::to_string(i + 1) + "@" + std::to_string(worker_cpus[i]);
    return argument;
}

/// Catches what DPDK logs while it lives, so that a failure can say why in its own one line.
class LogCatcher {
public:
    LogCatcher() : stream_(open_memstream(&text_, &size_)) { rte_openlog_stream(stream_); }
    ~LogCatcher() {
        rte_openlog_stream(stderr);
        std::fclose(stream_);
        std::free(text_);
    }
    LogCatcher(const LogCatcher&) = delete;
    LogCatcher& operator=(const LogCatcher&) = delete;

    /// The first line logged, which is nearest to the cause, or `otherwise`.
    [[nodiscard]] std::string first_line(const std::string& otherwise) {
        std::fflush(stream_);
        const std::string_view all(text_, size_);
        const std::string_view line = all.substr(0, all.find('\n'));
        return line.empty() ? otherwise : std::string(line);
    }

private:
    char* text_ = nullptr;
    std::size_t size_ = 0;
    FILE* stream_;
};

[[noreturn]] void fail(const PortRequest& request, const std::string& what) {
    throw Error("port " + request.name + ": " + what);
}

std::uint16_t attach(const PortRequest& request) {
    const std::string interface = interface_of(request.device);
    if (!interface.empty() && if_nametoindex(interface.c_str()) == 0)
        fail(request,
             "device \"" + request.device + "\": there is no interface \"" + interface +
                 "\"; ip link shows which there are");
    LogCatcher log;
    std::array<bool, RTE_MAX_ETHPORTS> known{};
    for (std::uint16_t id = 0; id < RTE_MAX_ETHPORTS; ++id)
        known[id] = rte_eth_dev_is_valid_port(id) != 0;
    const int result = rte_dev_probe(request.device.c_str());
    // By what is new, not by name: names of PCI devices have several spellings.
    for (std::uint16_t id = 0; id < RTE_MAX_ETHPORTS; ++id)
        if (!known[id] && rte_eth_dev_is_valid_port(id) != 0) return id;
    fail(request,
         "cannot open device \"" + request.device + "\": " +
             log.first_line(result < 0 ? rte_strerror(-result) : "it is no network device") +
             "; give a PCI address bound to vfio-pci or a virtual device such as "
             "net_af_packet0,iface=eth1");
}

/// The MTU the kernel interface behind the port has; 0 when there is none.
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

/// Between configuring and starting. The MTU of a kernel interface is its owner's: never changed
/// here, only checked.
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
                             std::vector<std::string>& notes) {
    rte_eth_conf conf{};
    if ((info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE) != 0)
        conf.txmode.offloads |= RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
    else
        notes.push_back("port " + request.name +
                        ": no fast free of sent packets; sending costs "
                        "some 8 % more");
    if (rx_queues > 1 && (info.flow_type_rss_offloads & RTE_ETH_RSS_UDP) != 0) {
        conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
        // A key of our own: with the driver's public one a stranger could aim at one queue.
        static std::array<std::uint8_t, 64> key{};
        if (info.hash_key_size > 0 && info.hash_key_size <= key.size() &&
            getrandom(key.data(), key.size(), 0) == static_cast<ssize_t>(key.size())) {
            conf.rx_adv_conf.rss_conf.rss_key = key.data();
            conf.rx_adv_conf.rss_conf.rss_key_len = info.hash_key_size;
        }
        conf.rx_adv_conf.rss_conf.rss_hf =
            info.flow_type_rss_offloads & (RTE_ETH_RSS_IP | RTE_ETH_RSS_UDP);
    } else if (rx_queues > 1) {
        notes.push_back("port " + request.name +
                        ": no RSS; the driver spreads packets over the queues as it likes");
    }
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
    rte_eth_dev_info info{};
    check(rte_eth_dev_info_get(ethdev, &info), "cannot read the device's abilities");
    const rte_eth_conf conf = choose_features(request, info, rx_queues, notes);
    check(rte_eth_dev_configure(ethdev, rx_queues, tx_queues, &conf),
          "cannot configure the device");
    port.mtu = settle_mtu(request, ethdev);
    if (port.mtu > kMaxMtu)
        fail(request,
             "an MTU of " + std::to_string(port.mtu) + " is over the " + std::to_string(kMaxMtu) +
                 " that packet buffers hold; set mtu = 1500, or lower that of the interface");
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
    check(rte_eth_dev_start(ethdev), "cannot start the device");
    if (rte_eth_allmulticast_enable(ethdev) != 0)
        notes.push_back("port " + request.name +
                        ": no reception of all multicast; neighbour discovery, VRRP and OSPF may "
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

void start_eal(const DataplaneRequest& request, std::vector<std::string>& notes) {
    std::vector<std::string> arguments{
        "viaductd",
        "--no-telemetry",
        "--log-level=*:error",
        // A placeholder allow-list: EAL touches no device, and explicit probes still reach PCI.
        "-a",
        "0000:00:00.0",
        "--lcores",
        lcores_argument(request.cpus)};
    if (use_huge_pages(request, notes)) {
        arguments.insert(arguments.end(), {"--in-memory", "--single-file-segments"});
    } else {
        arguments.insert(arguments.end(),
                         {"--no-huge",
                          "--no-shconf",
                          "-m",
                          std::to_string(needed_megabytes(request, kOrdinaryBufferBytes))});
    }
    std::vector<char*> argv;
    argv.reserve(arguments.size());
    for (std::string& argument : arguments)
        argv.push_back(argument.data());
    LogCatcher log;
    if (rte_eal_init(static_cast<int>(argv.size()), argv.data()) < 0)
        throw Error("cannot start DPDK: " + log.first_line(rte_strerror(rte_errno)));
}

rte_mempool* create_mempool(const DataplaneRequest& request) {
    const auto count = static_cast<unsigned>(buffers_of(request));
    // lf_stack: a preempted punt or control thread never makes a worker wait, as a ring would.
    rte_mempool* mempool = rte_pktmbuf_pool_create_by_ops(
        "viaduct", count, kMempoolCache, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY, "lf_stack");
    if (mempool == nullptr)
        throw Error("cannot allocate " + std::to_string(count) +
                    " packet buffers: " + rte_strerror(rte_errno));
    return mempool;
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
            fail(request,
                 "the device has " + std::to_string(info.max_tx_queues) + " TX queue(s), " +
                     std::to_string(workers) + " workers need one each; add qpairs=" +
                     std::to_string(workers) + " to its device string, or lower dataplane.workers");
        Port port;
        port.name = request.name;
        port.driver = info.driver_name;
        port.kernel_name = interface_of(request.device);
        port.kernel_link = if_nametoindex(port.kernel_name.c_str());
        if (port.driver == "net_af_packet") port.interface = port.kernel_name;
        port.ethdev = ethdev;
        const auto tx_queues = static_cast<std::uint16_t>(workers);
        port.rx_queues = std::min(info.max_rx_queues, tx_queues);
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
        const int error = rte_eth_link_get_nowait(port.ethdev, &link);
        if (error != 0) return std::string("the device does not say: ") + rte_strerror(-error);
        return link.link_status == RTE_ETH_LINK_UP ? "" : "the device has no link";
    }
    // Drivers on a kernel interface say "up" whatever it does. By its index: a name may be given
    // to another interface, which this port does not read.
    ifreq request{};
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    const bool is_there =
        fd >= 0 &&
        if_indextoname(port.kernel_link, static_cast<char*>(request.ifr_name)) != nullptr;
    const std::string name =
        is_there ? std::string(static_cast<char*>(request.ifr_name)) : port.kernel_name;
    const bool known = is_there && ioctl(fd, SIOCGIFFLAGS, &request) == 0;
    if (fd >= 0) close(fd);
    if (!known) return name + " is gone; when it is there again, restart viaductd";
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
        state.missed = stats.imissed;
        state.rx_errors = stats.ierrors;
        state.tx_errors = stats.oerrors;
        state.no_buffers = stats.rx_nombuf;
    }
    return state;
}

} // namespace viaduct
