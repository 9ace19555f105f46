// SPDX-License-Identifier: Apache-2.0
//
// neighbours: what the kernel's neighbour table says and is asked, in network namespaces of its
// own. Needs root.
#include "host/neighbours.hpp"
#include "kernel_fixture.hpp"

#include <gtest/gtest.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

namespace viaduct::test {
namespace {

using std::chrono::milliseconds;

/// For a link that is not there, so that it does not fill the kernel's table.
void flood_with_questions(Neighbours& neighbours, TimePoint now) {
    for (std::uint32_t i = 0; i < Neighbours::kMaxAsked; ++i)
        neighbours.ask({LinkId{1}, Ipv4Addr{ip("203.0.113.0").value + i}}, now);
}

TEST_F(KernelTest, AsksAgainOnceAFloodOfQuestionsIsASecondOld) {
    const Wire wire("vd-p0");
    run("ip link set vd-p0 up; ip addr add 198.51.100.2/24 dev vd-p0");
    Neighbours neighbours({static_cast<int>(if_nametoindex("vd-p0")), 0x7fffffff});
    const TimePoint start = Clock::now();
    flood_with_questions(neighbours, start);
    const auto asks_at = [&](TimePoint now) {
        neighbours.ask({LinkId{0}, ip("198.51.100.77")}, now);
        return contains(shell("ip neigh show dev vd-p0"), "198.51.100.77 ");
    };
    EXPECT_FALSE(asks_at(start));
    EXPECT_FALSE(asks_at(start + milliseconds(999)));
    EXPECT_TRUE(asks_at(start + milliseconds(1000)));
}

TEST_F(KernelTest, AsksForAClientThatIsKnownInAFloodOfQuestions) {
    const Wire wire("vd-p0");
    run("ip link set vd-p0 up; ip addr add 198.51.100.2/24 dev vd-p0");
    Neighbours neighbours({static_cast<int>(if_nametoindex("vd-p0")), 0x7fffffff});
    flood_with_questions(neighbours, Clock::now());
    run("ip neigh replace 198.51.100.77 lladdr 02:00:00:00:00:77 dev vd-p0 nud stale");
    ASSERT_EQ(neighbours.read_all(), 0);
    const std::string entry = shell("ip neigh show 198.51.100.77 dev vd-p0");
    EXPECT_FALSE(contains(entry, "STALE")) << "which the kernel throws out first: " << entry;
}

/// What the kernel says of 198.51.100.21 on that link.
NetlinkMessage neighbour(int type, int link, std::uint16_t state) {
    ndmsg header{};
    header.ndm_family = AF_INET;
    header.ndm_type = RTN_UNICAST;
    header.ndm_ifindex = link;
    header.ndm_state = state;
    NetlinkMessage message(type, 0, header);
    message.add(NDA_DST, Be32(ip("198.51.100.21").value));
    if (state == NUD_REACHABLE) message.add(NDA_LLADDR, kFirstMac);
    return message;
}

TEST_F(KernelTest, KeepsABackendThatAFullTableOfTheKernelLost) {
    const Wire wire("vd-p0");
    run("ip link set vd-p0 up; ip addr add 198.51.100.2/24 dev vd-p0");
    const auto link = static_cast<int>(if_nametoindex("vd-p0"));
    const Station backend{LinkId{0}, ip("198.51.100.21")};
    const auto mac_after = [&](Neighbours& neighbours, int type, std::uint16_t state) {
        neighbours.take(nlmsg_hdr(neighbour(type, link, state).get()));
        return neighbours.mac_of(backend);
    };
    Neighbours neighbours({link});
    ASSERT_EQ(neighbours.manage(backend), 0);
    EXPECT_EQ(mac_after(neighbours, RTM_NEWNEIGH, NUD_REACHABLE), kFirstMac);
    (void)shell("ip neigh del 198.51.100.21 dev vd-p0");
    EXPECT_EQ(mac_after(neighbours, RTM_DELNEIGH, NUD_REACHABLE), kFirstMac);
    EXPECT_TRUE(contains(shell("ip neigh show dev vd-p0"), "198.51.100.21 ")) << "entered again";
    EXPECT_EQ(mac_after(neighbours, RTM_NEWNEIGH, NUD_INCOMPLETE), kFirstMac);
    EXPECT_EQ(neighbours.read_all(), 0); // where it is incomplete, too
    EXPECT_EQ(neighbours.mac_of(backend), kFirstMac);
    EXPECT_EQ(mac_after(neighbours, RTM_NEWNEIGH, NUD_FAILED), std::nullopt);
    EXPECT_EQ(mac_after(neighbours, RTM_DELNEIGH, NUD_FAILED), std::nullopt);

    Neighbours of_client({link});
    EXPECT_EQ(mac_after(of_client, RTM_NEWNEIGH, NUD_REACHABLE), kFirstMac);
    EXPECT_EQ(mac_after(of_client, RTM_DELNEIGH, NUD_REACHABLE), std::nullopt)
        << "clients are entered again when they are answered";
}

TEST_F(KernelTest, HasAStaleClientConfirmed) {
    Wire wire("vd-p0");
    wire.live_on(loop);
    const HostNetwork kernel(one_port(), backends_in_order(one_port()), {twin("vd-p0")}, loop);
    run("echo 1 > /proc/sys/net/ipv4/neigh/vd-p0/delay_first_probe_time");
    run("ip neigh replace 198.51.100.77 lladdr 02:00:00:00:01:01 dev vd-p0 nud stale");
    EXPECT_TRUE(becomes([&] { return wire.asked_at[ip("198.51.100.77")] == kFirstMac; }));
}

TEST_F(KernelTest, ANetlinkSocketStaysGoodWhenAReaderThrows) {
    run("ip link set lo up");
    Netlink netlink;
    const auto question = [] {
        rtmsg routes{};
        routes.rtm_family = AF_INET;
        return NetlinkMessage(RTM_GETROUTE, NLM_F_DUMP, routes);
    };
    int seen = 0;
    const auto fail = [&](const nlmsghdr*) {
        ++seen;
        throw std::bad_alloc();
    };
    EXPECT_THROW((void)netlink.dump(question(), fail), std::bad_alloc);
    EXPECT_EQ(seen, 1) << "the loopback has several routes; the first one threw";
    int all = 0;
    EXPECT_EQ(netlink.dump(question(), [&](const nlmsghdr*) { ++all; }), 0);
    EXPECT_GT(all, 1);
}

} // namespace
} // namespace viaduct::test
