// SPDX-License-Identifier: Apache-2.0
//
// host_network: the filter on a port's interface, and that nothing stays behind: after the end,
// after a failed start, after kill -9. In network namespaces of its own; needs root.
#include "host/host_network.hpp"
#include "kernel_fixture.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <net/ethernet.h>
#include <netpacket/packet.h>
#include <optional>
#include <spdlog/sinks/ringbuffer_sink.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/wait.h>

namespace viaduct::test {
namespace {

class KernelFilterTest : public KernelTest {
protected:
    void SetUp() override {
        KernelTest::SetUp();
        if (IsSkipped()) return;
        run("ip link add lb0 type veth peer name lb1; ip addr add 192.0.2.1/24 dev lb0");
        has_ipv6 = access("/proc/sys/net/ipv6/conf/lb0/disable_ipv6", W_OK) == 0;
        // The peer says nothing of its own accord: only the test's frames arrive on lb0.
        if (has_ipv6) run("echo 1 > /proc/sys/net/ipv6/conf/lb1/disable_ipv6");
        run("ip link set lb0 up; ip link set lb1 up");
        // The kernel notices the carrier a little later, and its routes change with it.
        ASSERT_TRUE(becomes([] {
            const std::string seen = shell("ip -o link; ip -4 route show table all");
            return !contains(seen, "NO-CARRIER") && !contains(seen, "linkdown");
        }));
    }
    static std::string ipv6_off() { return shell("cat /proc/sys/net/ipv6/conf/lb0/disable_ipv6"); }
    /// As net_af_packet opens it: all protocols, so it gets its copy before the filter.
    static int packet_socket(const char* interface) {
        const int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, htons(ETH_P_ALL));
        sockaddr_ll address{};
        address.sll_family = AF_PACKET;
        address.sll_protocol = htons(ETH_P_ALL);
        address.sll_ifindex = static_cast<int>(if_nametoindex(interface));
        if (bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
            throw std::runtime_error("no packet socket");
        return fd;
    }
    /// A predecessor on lb0 that no destructor tidies up after.
    static void start_and_kill() {
        const pid_t child = fork();
        if (child == 0) {
            const Wire wire("vd-p0");
            Loop own;
            const HostNetwork kernel(
                one_port(), backends_in_order(one_port()), {twin("vd-p0", "lb0")}, own);
            _exit(0); // the kernel takes the TAP away, as after kill -9
        }
        int status = 0;
        ASSERT_EQ(waitpid(child, &status, 0), child);
        ASSERT_EQ(status, 0);
    }
    bool has_ipv6 = false;
};

TEST_F(KernelFilterTest, HidesTheFramesOfAPortFromTheKernelOnly) {
    const Wire wire("vd-p0");
    const HostNetwork kernel(
        one_port(), backends_in_order(one_port()), {twin("vd-p0", "lb0")}, loop);
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
    std::array<std::byte, 2048> bytes{};
    bool seen = false; // among frames of lb0's own
    for (ssize_t got = 0; (got = recv(port, bytes.data(), bytes.size(), 0)) > 0;)
        seen = seen || (got == 42 && std::memcmp(bytes.data(), &question, 42) == 0);
    EXPECT_TRUE(seen) << "the port must still see the frame";
    EXPECT_FALSE(contains(shell("ip neigh show dev lb0"), "192.0.2.9")) << "the kernel saw it";
    close(port);
    close(peer);
}

TEST_F(KernelFilterTest, LeavesNothingBehind) {
    const Wire wire("vd-p0");
    run("ip rule add from 192.0.2.9 table 22016 priority 7");
    const std::string before = state();
    {
        const HostNetwork kernel(
            one_port(), backends_in_order(one_port()), {twin("vd-p0", "lb0")}, loop);
        EXPECT_NE(state(), before);
    }
    EXPECT_EQ(state(), before);
    EXPECT_TRUE(contains(before, "192.0.2.9 lookup 22016"));
}

TEST_F(KernelFilterTest, RefusesWhatAnInterfaceBesideTheTwinHas) {
    const Wire wire("vd-p0");
    const std::vector<TwinPort> ports{twin("vd-p0", "lb0")};
    run("ip addr add 198.51.100.2/24 dev lb0");
    const std::string before = state();
    EXPECT_EQ(
        start_error(one_port(), ports),
        "port p0: lb0 has the address 198.51.100.2/24, which must be only on the twin vd-p0: "
        "otherwise ping, ssh and routing daemons get no answer; ip address del 198.51.100.2/24 "
        "dev lb0");
    EXPECT_EQ(state(), before);
    run("ip addr del 198.51.100.2/24 dev lb0; ip addr add 203.0.113.10/32 dev lb1");
    EXPECT_TRUE(contains(start_error(one_port(), ports), "lb1 has the address 203.0.113.10/32"))
        << "a VIP, and an interface that is no port's";
    Config lent = one_port();
    lent.vips[2].announce = false;
    EXPECT_EQ(start_error(lent, ports), "") << "who has it there answers for it";
    EXPECT_TRUE(contains(start_error(lent, {twin("vd-p0", "lb1")}), "203.0.113.10/32"))
        << "not where all goes to the twin";
    run("ip addr del 203.0.113.10/32 dev lb1; ip addr add 203.0.113.10/32 dev lo");
    EXPECT_EQ(start_error(one_port(), ports), "");
}

TEST_F(KernelFilterTest, TellsOfAddressesThatTheInterfaceHasOrGets) {
    const Wire wire("vd-p0");
    const auto kept = std::make_shared<spdlog::sinks::ringbuffer_sink_st>(100);
    const auto usual = spdlog::default_logger();
    spdlog::set_default_logger(std::make_shared<spdlog::logger>("test", kept));
    const auto told = [&](const std::string& part) {
        const std::vector<std::string> lines = kept->last_formatted();
        return std::any_of(lines.begin(), lines.end(), [&](const std::string& line) {
            return contains(line, part);
        });
    };
    HostNetwork kernel(one_port(), backends_in_order(one_port()), {twin("vd-p0", "lb0")}, loop);
    EXPECT_TRUE(told("port p0: lb0 has the address 192.0.2.1/24, which cannot be reached while "
                     "viaductd runs; ip address del 192.0.2.1/24 dev lb0"));
    run("ip addr add 198.51.100.7/25 dev lb0");
    EXPECT_TRUE(becomes([&] {
        return told(
            "port p0: lb0 has the address 198.51.100.7/25, which cannot be reached while viaductd "
            "runs, and the kernel may look there for hosts on the twin vd-p0; ip address "
            "del 198.51.100.7/25 dev lb0");
    }));
    run("ip addr add 198.51.100.11/32 dev lb0");
    Config config = one_port();
    config.vips.push_back({"new", {ip("198.51.100.11"), 5060}, "direct"});
    EXPECT_THROW(kernel.reconfigure(config, backends_in_order(config)), Error);
    EXPECT_FALSE(contains(shell("ip addr show vd-p0"), "198.51.100.11"));
    run("ip addr del 198.51.100.11/32 dev lb0");
    kernel.reconfigure(config, backends_in_order(config));
    EXPECT_TRUE(contains(shell("ip addr show vd-p0"), "198.51.100.11"));
    run("ip addr add 198.51.100.2/24 dev lb0");
    EXPECT_TRUE(
        becomes([&] { return told("198.51.100.2/24, which must be only on the twin vd-p0"); }));
    EXPECT_NO_THROW(kernel.reconfigure(one_port(), backends_in_order(one_port())))
        << "that must not stop another change";
    spdlog::set_default_logger(usual);
}

TEST_F(KernelFilterTest, LeavesAnInterfaceAloneWhoseFramesTheKernelDoesNotHear) {
    const Wire wire("vd-p0");
    TwinPort port = twin("vd-p0", "lb0");
    port.kernel_hears = false;
    const HostNetwork kernel(one_port(), backends_in_order(one_port()), {port}, loop);
    EXPECT_EQ(shell("tc filter show dev lb0 ingress"), "");
}

TEST_F(KernelFilterTest, LeavesForeignFiltersAndSettingsAsTheyWere) {
    const Wire wire("vd-p0");
    run("tc qdisc add dev lb0 clsact");
    run("tc filter add dev lb0 ingress bpf da bytecode '1,6 0 0 0'");
    if (has_ipv6) run("echo 1 > /proc/sys/net/ipv6/conf/lb0/disable_ipv6");
    const std::string before = state();
    {
        const HostNetwork kernel(
            one_port(), backends_in_order(one_port()), {twin("vd-p0", "lb0")}, loop);
    }
    EXPECT_EQ(state(), before);
}

TEST_F(KernelFilterTest, KeepsTheQdiscThatSomebodyElseBeganToUse) {
    const Wire wire("vd-p0");
    {
        const HostNetwork kernel(
            one_port(), backends_in_order(one_port()), {twin("vd-p0", "lb0")}, loop);
        run("tc filter add dev lb0 egress bpf da bytecode '1,6 0 0 0'");
    }
    EXPECT_TRUE(contains(shell("tc filter show dev lb0 egress"), "bytecode"));
    EXPECT_EQ(shell("tc filter show dev lb0 ingress"), "");
}

TEST_F(KernelFilterTest, CleansUpAfterAKilledPredecessor) {
    std::optional<Wire> wire(std::in_place, "vd-p0");
    const std::string before = state();
    wire.reset();
    start_and_kill();
    ASSERT_TRUE(contains(shell("ip rule"), "lookup 22016")) << "the child left nothing to clean";
    ASSERT_TRUE(contains(shell("tc filter show dev lb0 ingress"), "direct-action"));

    wire.emplace("vd-p0");
    {
        const HostNetwork kernel(
            one_port(), backends_in_order(one_port()), {twin("vd-p0", "lb0")}, loop);
        EXPECT_EQ(shell("ip rule | grep -c 22016:"), "3\n");
        EXPECT_EQ(shell("tc filter show dev lb0 ingress | grep -c direct-action"), "1\n");
    }
    EXPECT_EQ(state(), before);
}

TEST_F(KernelFilterTest, CleansUpAnInterfaceThatOnlyThePredecessorHad) {
    std::optional<Wire> wire(std::in_place, "vd-p0");
    const std::string before = state();
    wire.reset();
    start_and_kill();
    ASSERT_TRUE(contains(shell("tc filter show dev lb0 ingress"), "direct-action"));
    wire.emplace("vd-p0");
    {
        const HostNetwork kernel(
            one_port(), backends_in_order(one_port()), {twin("vd-p0", "lb1")}, loop);
        EXPECT_EQ(shell("tc qdisc show dev lb0 | grep clsact; tc filter show dev lb0 ingress"), "");
        if (has_ipv6) {
            EXPECT_EQ(ipv6_off(), "0\n");
        }
        EXPECT_TRUE(contains(shell("tc filter show dev lb1 ingress"), "direct-action"));
    }
    EXPECT_EQ(state(), before);
}

TEST_F(KernelFilterTest, NamesPortAndStepOfAFailureAndUndoesTheRest) {
    const Wire wire("vd-p0");
    run("ip addr add 203.0.113.10/32 dev vd-p0");
    const std::string before = state();
    const std::vector<TwinPort> ports{twin("vd-p0", "lb0")};
    EXPECT_EQ(start_error(one_port(), ports),
              "port p0: vd-p0 already has the address 203.0.113.10/32 from another program; remove "
              "it there, or leave a vip's address to that program with announce = false");
    EXPECT_EQ(state(), before);

    Config config = one_port();
    config.vips.clear();
    config.ports[0].gateway = ip("192.0.2.200");
    run("ip link set lb0 down");
    const std::string down = state();
    EXPECT_EQ(start_error(config, ports),
              "port p0: cannot add the route through gateway 192.0.2.200: Network is unreachable");
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
