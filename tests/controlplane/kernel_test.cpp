// SPDX-License-Identifier: Apache-2.0
//
// kernel: what it sets up, sees and leaves, in network namespaces of its own. Needs root.
#include "kernel.hpp"
#include "wire.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <net/ethernet.h>
#include <netpacket/packet.h>
#include <sys/socket.h>
#include <sys/wait.h>

namespace viaduct::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::Test;

constexpr MacAddr kPortMac{{0x02, 0, 0, 0, 0, 0x02}};
constexpr MacAddr kFirstMac{{0x02, 0, 0, 0, 0x01, 0x01}};
constexpr MacAddr kSecondMac{{0x02, 0, 0, 0, 0x01, 0x02}};
constexpr HopId kFirstBackend{0};

Ipv4Addr ip(const char* text) {
    return parse_ipv4(text).value();
}

BackendConfig backend(const char* name, const char* address) {
    BackendConfig result;
    result.name = name;
    result.endpoint = {ip(address), 5060};
    return result;
}

/// p0 with a gateway; a VIP on its link and one elsewhere; b1 to resolve, b2 with a MAC, and b3
/// that only the gateway reaches.
Config one_port() {
    Config config;
    config.ports.resize(1);
    config.ports[0].name = "p0";
    config.ports[0].addresses = {{ip("198.51.100.2"), 24}};
    config.ports[0].gateway = ip("198.51.100.1");
    config.vips = {{"sip", {ip("198.51.100.10"), 5060}, "direct"},
                   {"tls", {ip("198.51.100.10"), 5061}, "direct"},
                   {"far", {ip("203.0.113.10"), 5060}, "translated"}};
    config.pools.resize(2);
    config.pools[0].backends = {backend("b1", "198.51.100.21"), backend("b2", "198.51.100.22")};
    config.pools[0].backends[1].mac = kSecondMac;
    config.pools[1].mode = ForwardMode::Nat;
    config.pools[1].backends = {backend("b3", "192.0.2.23")};
    return config;
}

TwinPort twin(const char* name, const char* interface = "") {
    return {name, interface, kPortMac, 1400};
}

/// All that a Kernel could leave behind.
std::string state() {
    return shell("ip rule; ip -4 addr; ip route show table all; ip -4 neigh;"
                 "for i in $(ls /proc/sys/net/ipv6/conf 2>/dev/null); do echo $i "
                 "$(cat /proc/sys/net/ipv6/conf/$i/disable_ipv6); tc qdisc show dev $i;"
                 "tc filter show dev $i ingress; done") +
           shell("ip -o link | sed 's/mtu.*state/state/; s/ mode.*//'");
}

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

class KernelTest : public Test {
protected:
    void SetUp() override {
        if (!enter_new_network()) GTEST_SKIP() << "needs root and /dev/net/tun";
        loop.every(milliseconds(5), [this](TimePoint now) {
            if ((condition && condition()) || now >= deadline) loop.stop();
        });
    }

    /// Lets the loop run until it is so, at most 20 s.
    [[nodiscard]] bool becomes(std::function<bool()> wanted) {
        condition = std::move(wanted);
        deadline = Clock::now() + seconds(20);
        loop.run();
        return std::exchange(condition, nullptr)();
    }

    /// The text of the Error that a start gives; empty when it starts.
    std::string start_error(const Config& config, const std::vector<TwinPort>& ports) {
        try {
            const Kernel kernel(config, ports, loop);
        } catch (const Error& error) {
            return error.what();
        }
        return {};
    }

    Loop loop;
    std::function<bool()> condition;
    TimePoint deadline;
};

TEST_F(KernelTest, GivesTheTwinItsMacMtuAddressesAndArpManners) {
    const Wire wire("vd-p0");
    const Kernel kernel(one_port(), {twin("vd-p0")}, loop);
    const std::string link = shell("ip link show vd-p0");
    EXPECT_TRUE(contains(link, "02:00:00:00:00:02")) << link;
    EXPECT_TRUE(contains(link, "mtu 1400")) << link;
    EXPECT_TRUE(contains(link, ",UP")) << link;
    EXPECT_EQ(shell("ip -4 -o addr show vd-p0 | awk '{print $4}' | sort"),
              "198.51.100.10/32\n198.51.100.2/24\n203.0.113.10/32\n");
    EXPECT_EQ(shell("cat /proc/sys/net/ipv4/conf/vd-p0/arp_ignore"), "1\n");
    ASSERT_EQ(kernel.next_hops().port_addresses.size(), 1U);
    EXPECT_EQ(kernel.next_hops().port_addresses[0], ip("198.51.100.2"));
    EXPECT_EQ(kernel.next_hops().port_macs[0], kPortMac);
}

TEST_F(KernelTest, PutsAVipOnTheTwinWhosePrefixCoversIt) {
    const Wire first("vd-p0");
    const Wire second("vd-p1");
    Config config = one_port();
    config.ports.resize(2);
    config.ports[1].name = "p1";
    config.ports[1].addresses = {{ip("203.0.113.2"), 24}};
    const Kernel kernel(config, {twin("vd-p0"), twin("vd-p1")}, loop);
    EXPECT_TRUE(contains(shell("ip -4 addr show vd-p1"), "203.0.113.10/32"));
    EXPECT_FALSE(contains(shell("ip -4 addr show vd-p0"), "203.0.113.10"));
}

TEST_F(KernelTest, UsesTheGatewayForItsOwnAddressesAndNeverForTheHost) {
    const Wire wire("vd-p0");
    const Kernel kernel(one_port(), {twin("vd-p0")}, loop);
    for (const char* source : {"198.51.100.2", "198.51.100.10", "203.0.113.10"}) {
        const std::string from = std::string(" from ") + source;
        EXPECT_TRUE(
            contains(shell("ip route get 192.0.2.77" + from), "via 198.51.100.1 dev vd-p0"));
        const std::string on_link = shell("ip route get 198.51.100.77" + from);
        EXPECT_TRUE(contains(on_link, "dev vd-p0") && !contains(on_link, "via")) << on_link;
    }
    EXPECT_EQ(shell("ip route show default"), "");
}

TEST_F(KernelTest, LearnsTheMacOfABackendAndThatItChanged) {
    Wire wire("vd-p0");
    wire.live_on(loop);
    wire.stations[ip("198.51.100.21")] = kFirstMac;
    const Kernel kernel(one_port(), {twin("vd-p0")}, loop);
    const auto mac = [&] { return kernel.next_hops().next_hops.hops[index(kFirstBackend)].mac; };
    const std::uint64_t before = kernel.version();
    EXPECT_EQ(mac(), std::nullopt);
    EXPECT_TRUE(becomes([&] { return mac() == kFirstMac; }));
    const std::uint64_t resolved = kernel.version();
    EXPECT_GT(resolved, before);
    wire.announce(ip("198.51.100.21"), kSecondMac);
    EXPECT_TRUE(becomes([&] { return mac() == kSecondMac; }));
    EXPECT_GT(kernel.version(), resolved);
}

TEST_F(KernelTest, ForgetsTheMacOfABackendThatIsGone) {
    Wire wire("vd-p0");
    wire.live_on(loop);
    wire.stations[ip("198.51.100.21")] = kFirstMac;
    const Kernel kernel(one_port(), {twin("vd-p0")}, loop);
    const auto mac = [&] { return kernel.next_hops().next_hops.hops[index(kFirstBackend)].mac; };
    ASSERT_TRUE(becomes([&] { return mac().has_value(); }));
    wire.stations.clear();
    run("ip neigh change 198.51.100.21 dev vd-p0 nud probe"); // as after its reachable time
    EXPECT_TRUE(becomes([&] { return !mac().has_value(); }));
    wire.stations[ip("198.51.100.21")] = kSecondMac; // nobody asks but the kernel itself
    EXPECT_TRUE(becomes([&] { return mac() == kSecondMac; }));
}

TEST_F(KernelTest, NeverAsksForABackendWithAStaticMac) {
    Wire wire("vd-p0");
    wire.live_on(loop);
    wire.stations[ip("198.51.100.21")] = kFirstMac;
    const Kernel kernel(one_port(), {twin("vd-p0")}, loop);
    const std::vector<NextHop>& hops = kernel.next_hops().next_hops.hops;
    EXPECT_EQ(hops[1], (NextHop{PortId{0}, ip("198.51.100.22"), kSecondMac}));
    EXPECT_TRUE(becomes([&] { return hops[0].mac.has_value(); }));
    EXPECT_EQ(wire.asked.count(ip("198.51.100.22")), 0U);
}

TEST_F(KernelTest, ReachesAFarNatBackendByTheGateway) {
    Wire wire("vd-p0");
    wire.live_on(loop);
    wire.stations[ip("198.51.100.1")] = kFirstMac;
    const Kernel kernel(one_port(), {twin("vd-p0")}, loop);
    const NextHop expected{PortId{0}, ip("198.51.100.1"), kFirstMac};
    EXPECT_TRUE(becomes([&] { return kernel.next_hops().next_hops.hops[2] == expected; }));
    EXPECT_EQ(wire.asked.count(ip("192.0.2.23")), 0U);
}

TEST_F(KernelTest, SeesRoutesComeAndGoAndKeepsTheirHopIds) {
    Wire wire("vd-p0");
    wire.live_on(loop);
    wire.stations[ip("198.51.100.7")] = kFirstMac;
    const Kernel kernel(one_port(), {twin("vd-p0")}, loop);
    const auto hop_to = [&](const char* address) -> std::optional<HopId> {
        const Route* route = kernel.next_hops().next_hops.route_to(ip(address));
        return route == nullptr ? std::nullopt : route->gateway;
    };
    const std::optional<HopId> gateway = hop_to("203.0.113.200");
    ASSERT_TRUE(gateway);
    EXPECT_EQ(kernel.next_hops().next_hops.hops[index(*gateway)].address, ip("198.51.100.1"));
    EXPECT_EQ(hop_to("198.51.100.77"), std::nullopt);

    const std::string route = "203.0.113.128/25 via 198.51.100.7 dev vd-p0";
    run("ip route add " + route);
    EXPECT_TRUE(becomes([&] { return hop_to("203.0.113.200") != gateway; }));
    const std::optional<HopId> added = hop_to("203.0.113.200");
    ASSERT_TRUE(added);
    EXPECT_TRUE(
        becomes([&] { return kernel.next_hops().next_hops.hops[index(*added)].mac == kFirstMac; }));
    EXPECT_EQ(hop_to("203.0.113.127"), gateway);

    run("ip route del " + route);
    EXPECT_TRUE(becomes([&] { return hop_to("203.0.113.200") == gateway; }));
    run("ip route add " + route);
    EXPECT_TRUE(becomes([&] { return hop_to("203.0.113.200") == added; }));
}

TEST_F(KernelTest, RecoversWhenTheTwinWasDown) {
    Wire wire("vd-p0");
    wire.live_on(loop);
    wire.stations[ip("198.51.100.21")] = kFirstMac;
    const Kernel kernel(one_port(), {twin("vd-p0")}, loop);
    const NextHops& table = kernel.next_hops().next_hops;
    const auto whole = [&] {
        return table.hops[0].mac == kFirstMac && table.route_to(ip("192.0.2.77")) != nullptr;
    };
    ASSERT_TRUE(becomes(whole));
    run("ip link set vd-p0 down");
    EXPECT_TRUE(becomes([&] { return table.route_to(ip("192.0.2.77")) == nullptr; }));
    run("ip link set vd-p0 up");
    EXPECT_TRUE(becomes(whole));
    EXPECT_TRUE(contains(shell("ip route get 192.0.2.77 from 198.51.100.10"), "198.51.100.1"));
}

TEST_F(KernelTest, SeesTheLastStateAfterTheKernelDroppedMessages) {
    Wire wire("vd-p0");
    const Kernel kernel(one_port(), {twin("vd-p0")}, loop);
    run("for i in $(seq 0 39999); do echo route add 203.0.$((i/256)).$((i%256))/32 dev vd-p0;"
        "done >/dev/null; seq 0 39999 | awk '{a=\"203.0.\" int($1/256) \".\" $1%256 \"/32\";"
        "print \"route add \" a \" dev vd-p0\"; print \"route del \" a \" dev vd-p0\"}'"
        " | ip -batch -");
    run("ip neigh replace 198.51.100.77 lladdr 02:00:00:00:01:01 dev vd-p0 nud permanent");
    run("ip route add 203.0.113.128/25 dev vd-p0");
    // Column 9 is the count of messages the kernel had to drop.
    ASSERT_NE(shell("awk 'NR>1 && $9>0' /proc/net/netlink"), "") << "the flood was too small";
    EXPECT_TRUE(becomes([&] {
        const NextHops& table = kernel.next_hops().next_hops;
        const MacAddr* mac = table.neighbours.find(PortId{0}, ip("198.51.100.77"));
        const Route* route = table.route_to(ip("203.0.113.200"));
        return mac != nullptr && *mac == kFirstMac && route != nullptr && !route->gateway;
    }));
}

TEST_F(KernelTest, ResolvesAClientOnTheLink) {
    Wire wire("vd-p0");
    wire.live_on(loop);
    wire.stations[ip("198.51.100.77")] = kFirstMac;
    Kernel kernel(one_port(), {twin("vd-p0")}, loop);
    kernel.resolve(PortId{0}, ip("198.51.100.77"), Clock::now());
    EXPECT_TRUE(becomes([&] {
        const MacAddr* mac =
            kernel.next_hops().next_hops.neighbours.find(PortId{0}, ip("198.51.100.77"));
        return mac != nullptr && *mac == kFirstMac;
    }));
}

TEST_F(KernelTest, ResolvesAnAddressAtMostOnceASecondAndOnlyOnTheLink) {
    const Wire wire("vd-p0");
    Kernel kernel(one_port(), {twin("vd-p0")}, loop);
    const auto asks_at = [&](TimePoint now) {
        (void)shell("ip neigh del 198.51.100.77 dev vd-p0");
        kernel.resolve(PortId{0}, ip("198.51.100.77"), now);
        return contains(shell("ip neigh show dev vd-p0"), "198.51.100.77 ");
    };
    const TimePoint start = Clock::now();
    EXPECT_TRUE(asks_at(start));
    EXPECT_FALSE(asks_at(start + milliseconds(999)));
    EXPECT_TRUE(asks_at(start + milliseconds(1000)));
    kernel.resolve(PortId{0}, ip("192.0.2.99"), start);
    kernel.resolve(PortId{7}, ip("198.51.100.78"), start);
    const std::string all = shell("ip neigh");
    EXPECT_FALSE(contains(all, "192.0.2.99") || contains(all, "198.51.100.78")) << all;
}

TEST_F(KernelTest, HasAStaleClientConfirmed) {
    Wire wire("vd-p0");
    wire.live_on(loop);
    const Kernel kernel(one_port(), {twin("vd-p0")}, loop);
    run("echo 1 > /proc/sys/net/ipv4/neigh/vd-p0/delay_first_probe_time");
    run("ip neigh replace 198.51.100.77 lladdr 02:00:00:00:01:01 dev vd-p0 nud stale");
    EXPECT_TRUE(becomes([&] { return wire.asked_at[ip("198.51.100.77")] == kFirstMac; }));
}

class KernelFilterTest : public KernelTest {
protected:
    void SetUp() override {
        KernelTest::SetUp();
        if (IsSkipped()) return;
        run("ip link add lb0 type veth peer name lb1; ip link set lb0 up; ip link set lb1 up");
        run("ip addr add 192.0.2.1/24 dev lb0");
        has_ipv6 = access("/proc/sys/net/ipv6/conf/lb0/disable_ipv6", W_OK) == 0;
    }
    static std::string ipv6_off() { return shell("cat /proc/sys/net/ipv6/conf/lb0/disable_ipv6"); }
    /// Fails the test when it throws nothing.
    static int packet_socket(const char* interface) {
        const int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, htons(ETH_P_ARP));
        sockaddr_ll address{};
        address.sll_family = AF_PACKET;
        address.sll_protocol = htons(ETH_P_ARP);
        address.sll_ifindex = static_cast<int>(if_nametoindex(interface));
        if (bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
            throw std::runtime_error("no packet socket");
        return fd;
    }
    bool has_ipv6 = false;
};

TEST_F(KernelFilterTest, HidesTheFramesOfAPortFromTheKernelOnly) {
    const Wire wire("vd-p0");
    const Kernel kernel(one_port(), {twin("vd-p0", "lb0")}, loop);
    if (has_ipv6) {
        EXPECT_EQ(ipv6_off(), "1\n");
    }
    const int port = packet_socket("lb0");
    const int peer = packet_socket("lb1");
    const ArpFrame question = Wire::arp(1,
                                        MacAddr{{255, 255, 255, 255, 255, 255}},
                                        ip("192.0.2.9"),
                                        kFirstMac,
                                        ip("192.0.2.1"),
                                        MacAddr{});
    ASSERT_EQ(send(peer, &question, sizeof question, 0), 42);
    // veth delivers in a softirq that may run a little later; the drop counter says it has.
    EXPECT_TRUE(becomes([] { return contains(shell("tc -s qdisc show dev lb0"), "dropped 1,"); }));
    ArpFrame seen;
    EXPECT_EQ(recv(port, &seen, sizeof seen, 0), 42) << "the port must still see the frame";
    EXPECT_FALSE(contains(shell("ip neigh show dev lb0"), "192.0.2.9")) << "the kernel saw it";
    close(port);
    close(peer);
}

TEST_F(KernelFilterTest, LeavesNothingBehind) {
    const Wire wire("vd-p0");
    run("ip rule add from 192.0.2.9 table 22016 priority 7");
    const std::string before = state();
    {
        const Kernel kernel(one_port(), {twin("vd-p0", "lb0")}, loop);
        EXPECT_NE(state(), before);
    }
    EXPECT_EQ(state(), before);
    EXPECT_TRUE(contains(before, "192.0.2.9 lookup 22016"));
}

TEST_F(KernelFilterTest, LeavesForeignFiltersAndSettingsAsTheyWere) {
    const Wire wire("vd-p0");
    run("tc qdisc add dev lb0 clsact");
    run("tc filter add dev lb0 ingress bpf da bytecode '1,6 0 0 0'");
    if (has_ipv6) run("echo 1 > /proc/sys/net/ipv6/conf/lb0/disable_ipv6");
    const std::string before = state();
    { const Kernel kernel(one_port(), {twin("vd-p0", "lb0")}, loop); }
    EXPECT_EQ(state(), before);
}

TEST_F(KernelFilterTest, KeepsTheQdiscThatSomebodyElseBeganToUse) {
    const Wire wire("vd-p0");
    {
        const Kernel kernel(one_port(), {twin("vd-p0", "lb0")}, loop);
        run("tc filter add dev lb0 egress bpf da bytecode '1,6 0 0 0'");
    }
    EXPECT_TRUE(contains(shell("tc filter show dev lb0 egress"), "bytecode"));
    EXPECT_EQ(shell("tc filter show dev lb0 ingress"), "");
}

TEST_F(KernelFilterTest, CleansUpAfterAKilledPredecessor) {
    const auto start_and_die = [&] {
        const Wire wire("vd-p0");
        Loop own;
        const Kernel kernel(one_port(), {twin("vd-p0", "lb0")}, own);
        _exit(0); // no destructor runs; the kernel takes the TAP away, as after kill -9
    };
    std::optional<Wire> wire(std::in_place, "vd-p0");
    const std::string before = state();
    wire.reset();
    const pid_t child = fork();
    if (child == 0) start_and_die();
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_EQ(status, 0);
    ASSERT_TRUE(contains(shell("ip rule"), "lookup 22016")) << "the child left nothing to clean";
    ASSERT_TRUE(contains(shell("tc filter show dev lb0 ingress"), "direct-action"));

    wire.emplace("vd-p0");
    {
        const Kernel kernel(one_port(), {twin("vd-p0", "lb0")}, loop);
        EXPECT_EQ(shell("ip rule | grep -c 22016:"), "3\n");
        EXPECT_EQ(shell("tc filter show dev lb0 ingress | grep -c direct-action"), "1\n");
    }
    const auto without_index = [](const std::string& text) { // the new TAP has a new index
        return shell("sed 's/^[0-9]*: vd-p0/vd-p0/' <<'EOF'\n" + text + "\nEOF");
    };
    EXPECT_EQ(without_index(state()), without_index(before));
}

TEST_F(KernelFilterTest, NamesPortAndStepOfAFailureAndUndoesTheRest) {
    const Wire wire("vd-p0");
    run("ip addr add 203.0.113.10/32 dev vd-p0");
    const std::string before = state();
    const std::vector<TwinPort> ports{twin("vd-p0", "lb0")};
    EXPECT_EQ(start_error(one_port(), ports),
              "port p0: cannot add address 203.0.113.10/32 to vd-p0: File exists");
    EXPECT_EQ(state(), before);

    Config config = one_port();
    config.vips.clear();
    config.ports[0].gateway = ip("192.0.2.200");
    run("ip link set lb0 down");
    const std::string down = state();
    EXPECT_EQ(start_error(config, ports),
              "port p0: cannot add the route by gateway 192.0.2.200: Network is unreachable");
    EXPECT_EQ(state(), down);

    EXPECT_EQ(start_error(config, {twin("vd-p0", "lb9")}),
              "port p0: cannot find interface lb9: No such device");
    EXPECT_EQ(start_error(config, {twin("vd-p9")}), "port p0: there is no interface vd-p9");
    config = one_port();
    config.vips.clear();
    config.ports.resize(2);
    config.ports[1].name = "p1";
    EXPECT_EQ(start_error(config, {twin("vd-p0", "lb0"), twin("vd-p1")}),
              "port p1: there is no interface vd-p1");
    EXPECT_EQ(state(), down);
}

} // namespace
} // namespace viaduct::test
