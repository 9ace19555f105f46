// SPDX-License-Identifier: Apache-2.0
//
// host_network: what it sets up and sees, in network namespaces of its own. Needs root.
#include "host/host_network.hpp"
#include "kernel_fixture.hpp"

#include <gtest/gtest.h>
#include <linux/rtnetlink.h>
#include <spdlog/sinks/ringbuffer_sink.h>
#include <spdlog/spdlog.h>

namespace viaduct::test {
namespace {

using std::chrono::milliseconds;

constexpr HopId kFirstBackend{0};

TEST_F(KernelTest, GivesTheTwinItsMacMtuAddressesAndArpManners) {
    const Wire wire("vd-p0");
    const HostNetwork kernel(one_port(), backends_in_order(one_port()), {twin("vd-p0")}, loop);
    const std::string link = shell("ip link show vd-p0");
    EXPECT_TRUE(contains(link, "02:00:00:00:00:02")) << link;
    EXPECT_TRUE(contains(link, "mtu 1400")) << link;
    EXPECT_TRUE(contains(link, ",UP")) << link;
    EXPECT_EQ(shell("ip -4 -o addr show vd-p0 | awk '{print $4}' | sort"),
              "198.51.100.10/32\n198.51.100.2/24\n203.0.113.10/32\n");
    EXPECT_EQ(shell("cat /proc/sys/net/ipv4/conf/vd-p0/arp_ignore"), "1\n");
    ASSERT_EQ(kernel.next_hops().link_addresses.size(), 1U);
    EXPECT_EQ(kernel.next_hops().link_addresses[0], ip("198.51.100.2"));
    EXPECT_EQ(kernel.next_hops().link_macs[0], kPortMac);
}

TEST_F(KernelTest, PutsAVipOnTheTwinWhosePrefixCoversIt) {
    const Wire first("vd-p0");
    const Wire second("vd-p1");
    Config config = one_port();
    config.ports.resize(2);
    config.ports[1].name = "p1";
    config.ports[1].addresses = {{ip("203.0.113.2"), 24}};
    const HostNetwork kernel(
        config, backends_in_order(config), {twin("vd-p0"), twin("vd-p1")}, loop);
    EXPECT_TRUE(contains(shell("ip -4 addr show vd-p1"), "203.0.113.10/32"));
    EXPECT_FALSE(contains(shell("ip -4 addr show vd-p0"), "203.0.113.10"));
}

TEST_F(KernelTest, LeavesTheAddressOfAVipToAnotherProgram) {
    const Wire wire("vd-p0");
    Config config = one_port();
    config.vips[0].announce = config.vips[1].announce = false;
    const auto addresses = [] {
        return shell("ip -4 -o addr show vd-p0 | awk '{print $4}' | sort | xargs");
    };
    const auto rules = [] { return shell("ip rule | grep -c 'from 198.51.100.10 .*22016'"); };
    {
        HostNetwork kernel(config, backends_in_order(config), {twin("vd-p0")}, loop);
        EXPECT_EQ(addresses(), "198.51.100.2/24 203.0.113.10/32\n");
        // Its packets leave as those of any VIP once somebody has put it there.
        run("ip addr add 198.51.100.10/32 dev vd-p0");
        EXPECT_TRUE(contains(shell("ip route get 192.0.2.77 from 198.51.100.10"),
                             "via 198.51.100.1 dev vd-p0"));

        // Ours only after the other program has let it go, and then until we leave it again.
        EXPECT_THROW(kernel.reconfigure(one_port(), backends_in_order(one_port())), Error);
        EXPECT_EQ(addresses(), "198.51.100.10/32 198.51.100.2/24 203.0.113.10/32\n");
        EXPECT_EQ(rules(), "1\n");
        run("ip addr del 198.51.100.10/32 dev vd-p0");
        kernel.reconfigure(one_port(), backends_in_order(one_port()));
        EXPECT_EQ(addresses(), "198.51.100.10/32 198.51.100.2/24 203.0.113.10/32\n");
        EXPECT_EQ(rules(), "1\n");
        kernel.reconfigure(config, backends_in_order(config));
        EXPECT_EQ(addresses(), "198.51.100.2/24 203.0.113.10/32\n");
        EXPECT_EQ(rules(), "1\n");

        // What the other program has there is not touched by a VIP that goes, nor by our end.
        run("ip addr add 198.51.100.10/32 dev vd-p0");
        Config without = config;
        without.vips.erase(without.vips.begin(), without.vips.begin() + 2);
        kernel.reconfigure(without, backends_in_order(without));
        EXPECT_EQ(addresses(), "198.51.100.10/32 198.51.100.2/24 203.0.113.10/32\n");
        EXPECT_EQ(rules(), "0\n");
        kernel.reconfigure(config, backends_in_order(config));
        EXPECT_EQ(rules(), "1\n");
    }
    EXPECT_EQ(addresses(), "198.51.100.10/32\n");
    EXPECT_EQ(rules(), "0\n");
}

TEST_F(KernelTest, LeadsAnswersAsTheKernelsRuleForTheVipDoes) {
    const Wire core("vd-p0");
    const Wire access("vd-p1");
    Config config = one_port();
    config.ports.resize(2);
    config.ports[1].name = "p1";
    config.ports[1].addresses = {{ip("203.0.113.2"), 24}};
    config.ports[1].gateway = ip("203.0.113.1");
    const HostNetwork kernel(
        config, backends_in_order(config), {twin("vd-p0"), twin("vd-p1")}, loop);
    const NextHops& table = kernel.next_hops().next_hops;
    const auto gateway_of = [&](std::size_t vip, const char* client) {
        const Route* route = table.route_to(ip(client));
        const auto by = route == nullptr
                            ? std::nullopt
                            : table.gateway_from(
                                  link_of_vip(config.vips[vip].endpoint.address, config), *route);
        return by ? to_string(table.hops[index(*by)].address) : "none";
    };
    for (std::size_t vip = 0; vip < config.vips.size(); ++vip)
        EXPECT_TRUE(contains(
            shell("ip route get 192.0.2.77 from " + to_string(config.vips[vip].endpoint.address)),
            "via " + gateway_of(vip, "192.0.2.77") + " "))
            << vip;
    EXPECT_EQ(gateway_of(2, "192.0.2.77"), "203.0.113.1");
    EXPECT_EQ(gateway_of(2, "198.51.100.77"), "none");

    // What the host's own table says more closely counts for every VIP.
    run("ip route add 192.0.2.0/25 via 198.51.100.7 dev vd-p0");
    EXPECT_TRUE(becomes([&] { return gateway_of(2, "192.0.2.77") == "198.51.100.7"; }));
    EXPECT_EQ(gateway_of(2, "192.0.2.177"), "203.0.113.1");
}

TEST_F(KernelTest, UsesTheGatewayForItsOwnAddressesAndNeverForTheHost) {
    const Wire wire("vd-p0");
    const HostNetwork kernel(one_port(), backends_in_order(one_port()), {twin("vd-p0")}, loop);
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
    const HostNetwork kernel(one_port(), backends_in_order(one_port()), {twin("vd-p0")}, loop);
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
    const HostNetwork kernel(one_port(), backends_in_order(one_port()), {twin("vd-p0")}, loop);
    const auto mac = [&] { return kernel.next_hops().next_hops.hops[index(kFirstBackend)].mac; };
    ASSERT_TRUE(becomes([&] { return mac().has_value(); }));
    wire.stations.clear();
    run("echo 50 > /proc/sys/net/ipv4/neigh/vd-p0/retrans_time_ms");
    run("ip neigh change 198.51.100.21 dev vd-p0 nud probe"); // as after its reachable time
    EXPECT_TRUE(becomes([&] { return !mac().has_value(); }));
    wire.stations[ip("198.51.100.21")] = kSecondMac; // nobody asks but the kernel itself
    EXPECT_TRUE(becomes([&] { return mac() == kSecondMac; }));
}

TEST_F(KernelTest, NeverAsksForABackendWithAStaticMac) {
    Wire wire("vd-p0");
    wire.live_on(loop);
    wire.stations[ip("198.51.100.21")] = kFirstMac;
    const HostNetwork kernel(one_port(), backends_in_order(one_port()), {twin("vd-p0")}, loop);
    const std::vector<NextHop>& hops = kernel.next_hops().next_hops.hops;
    EXPECT_EQ(hops[1], (NextHop{LinkId{0}, ip("198.51.100.22"), kSecondMac}));
    EXPECT_TRUE(becomes([&] { return hops[0].mac.has_value(); }));
    EXPECT_EQ(wire.asked.count(ip("198.51.100.22")), 0U);
}

TEST_F(KernelTest, ReachesAFarNatBackendByTheGateway) {
    Wire wire("vd-p0");
    wire.live_on(loop);
    wire.stations[ip("198.51.100.1")] = kFirstMac;
    const HostNetwork kernel(one_port(), backends_in_order(one_port()), {twin("vd-p0")}, loop);
    const NextHop expected{LinkId{0}, ip("198.51.100.1"), kFirstMac};
    EXPECT_TRUE(becomes([&] { return kernel.next_hops().next_hops.hops[2] == expected; }));
    EXPECT_EQ(wire.asked.count(ip("192.0.2.23")), 0U);
}

TEST_F(KernelTest, SeesRoutesComeAndGoAndKeepsTheirHopIds) {
    Wire wire("vd-p0");
    wire.live_on(loop);
    wire.stations[ip("198.51.100.7")] = kFirstMac;
    const HostNetwork kernel(one_port(), backends_in_order(one_port()), {twin("vd-p0")}, loop);
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
    const HostNetwork kernel(one_port(), backends_in_order(one_port()), {twin("vd-p0")}, loop);
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

TEST_F(KernelTest, SaysOnceThatSomebodyRemovedATwin) {
    const Wire wire("vd-p0");
    const HostNetwork kernel(one_port(), backends_in_order(one_port()), {twin("vd-p0")}, loop);
    const auto kept = std::make_shared<spdlog::sinks::ringbuffer_sink_st>(100);
    const auto usual = spdlog::default_logger();
    spdlog::set_default_logger(std::make_shared<spdlog::logger>("test", kept));
    const auto lines_with = [&](const std::string& part) {
        const std::vector<std::string> lines = kept->last_formatted();
        return std::count_if(lines.begin(), lines.end(), [&](const std::string& line) {
            return contains(line, part);
        });
    };
    run("ip link add lb0 type veth peer name lb1; ip link del lb0");
    run("ip link del vd-p0");
    EXPECT_TRUE(becomes([&] { return lines_with("vd-p0") > 0; }));
    spdlog::set_default_logger(usual);
    EXPECT_EQ(lines_with("port p0: the interface vd-p0 was removed"), 1);
    EXPECT_EQ(lines_with("restart viaductd"), 1) << "of a link of others nothing is said";
}

TEST_F(KernelTest, SeesTheLastStateAfterTheKernelDroppedMessages) {
    Wire wire("vd-p0");
    const HostNetwork kernel(one_port(), backends_in_order(one_port()), {twin("vd-p0")}, loop);
    run("seq 0 39999 | awk '{r = \"203.0.113.\" $1 % 100 \"/32 dev vd-p0\";"
        "print \"route add \" r; print \"route del \" r}' | ip -batch -");
    run("ip neigh replace 198.51.100.77 lladdr 02:00:00:00:01:01 dev vd-p0 nud permanent");
    run("ip route add 203.0.113.128/25 dev vd-p0");
    // Column 9 is the count of messages the kernel had to drop.
    ASSERT_NE(shell("awk 'NR>1 && $9>0' /proc/net/netlink"), "") << "the flood was too small";
    EXPECT_TRUE(becomes([&] {
        const NextHops& table = kernel.next_hops().next_hops;
        const MacAddr* mac = table.neighbours.find(LinkId{0}, ip("198.51.100.77"));
        const Route* route = table.route_to(ip("203.0.113.200"));
        return mac != nullptr && *mac == kFirstMac && route != nullptr && !route->gateway;
    }));
}

TEST_F(KernelTest, ResolvesAClientOnTheLink) {
    Wire wire("vd-p0");
    wire.live_on(loop);
    wire.stations[ip("198.51.100.77")] = kFirstMac;
    HostNetwork kernel(one_port(), backends_in_order(one_port()), {twin("vd-p0")}, loop);
    kernel.resolve(LinkId{0}, ip("198.51.100.77"), Clock::now());
    EXPECT_TRUE(becomes([&] {
        const MacAddr* mac =
            kernel.next_hops().next_hops.neighbours.find(LinkId{0}, ip("198.51.100.77"));
        return mac != nullptr && *mac == kFirstMac;
    }));
}

TEST_F(KernelTest, ResolvesAnAddressAtMostOnceASecondAndOnlyOnTheLink) {
    const Wire wire("vd-p0");
    HostNetwork kernel(one_port(), backends_in_order(one_port()), {twin("vd-p0")}, loop);
    const auto asks_at = [&](TimePoint now) {
        (void)shell("ip neigh del 198.51.100.77 dev vd-p0");
        kernel.resolve(LinkId{0}, ip("198.51.100.77"), now);
        return contains(shell("ip neigh show dev vd-p0"), "198.51.100.77 ");
    };
    const TimePoint start = Clock::now();
    EXPECT_TRUE(asks_at(start));
    EXPECT_FALSE(asks_at(start + milliseconds(999)));
    EXPECT_TRUE(asks_at(start + milliseconds(1000)));
    kernel.resolve(LinkId{0}, ip("192.0.2.99"), start);
    kernel.resolve(LinkId{7}, ip("198.51.100.78"), start);
    const std::string all = shell("ip neigh");
    EXPECT_FALSE(contains(all, "192.0.2.99") || contains(all, "198.51.100.78")) << all;
}

} // namespace
} // namespace viaduct::test
