// SPDX-License-Identifier: Apache-2.0
//
// address_watch: by a HostNetwork, in network namespaces of its own. Needs root.
#include "host/address_watch.hpp"
#include "kernel_fixture.hpp"
#include "publish/links.hpp"

#include <gtest/gtest.h>

namespace viaduct::test {
namespace {

using AddressTest = KernelTest;

constexpr Ipv4Addr kVip{0xc633640a};   // 198.51.100.10
constexpr Ipv4Addr kOwn{0xc6336402};   // 198.51.100.2
constexpr Ipv4Addr kFirst{0xc6336415}; // b1, 198.51.100.21

std::string evidence(const AddressNews& news, const Config& config) {
    PoolModel model(config);
    record_news({news}, config, model);
    const StateChange& change = model.history().back();
    return change.port + " " + change.address + " " + change.to + ": " + change.evidence;
}

TEST_F(AddressTest, AreAnnouncedAtTheStartAndWhenTheyAreNew) {
    Wire wire("vd-p0");
    wire.live_on(loop);
    Config config = one_port();
    config.vips[2].announce = false;
    HostNetwork kernel(config, backends_in_order(config), {twin("vd-p0")}, loop);
    EXPECT_TRUE(becomes([&] { return wire.announced[kVip] == 2 && wire.announced[kOwn] == 2; }));
    EXPECT_TRUE(kernel.view(kVip).is_here);
    const Ipv4Addr other = config.vips[2].endpoint.address;
    EXPECT_EQ(wire.announced[other], 0) << "it is left to another program";
    EXPECT_FALSE(kernel.view(other).is_here);

    run("ip addr add 203.0.113.10/32 dev vd-p0"); // that program
    EXPECT_TRUE(becomes([&] { return wire.announced[other] == 1; }));
    EXPECT_TRUE(kernel.view(other).is_here);
    config.vips.push_back({"new", {ip("198.51.100.11"), 5060}, "direct"});
    kernel.reconfigure(config, backends_in_order(config));
    EXPECT_TRUE(becomes([&] { return wire.announced[ip("198.51.100.11")] == 2; }));
    run("ip addr del 203.0.113.10/32 dev vd-p0");
    EXPECT_TRUE(becomes([&] { return !kernel.view(other).is_here; }));
    EXPECT_EQ(wire.announced[kVip], 2) << "what is not new is not told again";
}

TEST_F(AddressTest, AreAnnouncedAgainWhenTheLinkIsBackAndSoAreTheNeighboursAsked) {
    Wire wire("vd-p0");
    wire.live_on(loop);
    wire.stations[kFirst] = kFirstMac;
    const HostNetwork kernel(one_port(), backends_in_order(one_port()), {twin("vd-p0")}, loop);
    const auto knows = [&] { return kernel.next_hops().next_hops.hops[0].mac == kFirstMac; };
    ASSERT_TRUE(becomes([&] { return wire.announced[kVip] == 2 && knows(); }));
    run("ip link set vd-p0 carrier off");
    ASSERT_TRUE(becomes([&] { return !knows(); }));
    run("ip link set vd-p0 carrier on");
    EXPECT_TRUE(becomes([&] { return wire.announced[kVip] == 4 && knows(); }));
}

TEST_F(AddressTest, OfOursAreFoundAtABackendUntilItIsSilent) {
    Wire wire("vd-p0");
    wire.live_on(loop);
    wire.stations[kFirst] = kFirstMac;
    wire.stations[kVip] = kFirstMac; // no arp_ignore there
    HostNetwork kernel(one_port(), backends_in_order(one_port()), {twin("vd-p0")}, loop);
    ASSERT_TRUE(becomes([&] { return kernel.view(kVip).others.size() == 1; }));
    EXPECT_EQ(kernel.view(kVip).others[0].mac, kFirstMac);
    EXPECT_EQ(kernel.view(kVip).others[0].backend, BackendId{0});
    const std::vector<AddressNews> began = kernel.take_address_news();
    ASSERT_EQ(began.size(), 1U);
    Config config = one_port();
    for (PoolConfig& pool : config.pools)
        pool.name = pool.backends.size() == 2 ? "direct" : "translated";
    EXPECT_EQ(evidence(began[0], config),
              "p0 198.51.100.10 disputed: 02:00:00:00:01:01 (backend b1 of pool direct) also "
              "answers ARP for it and takes traffic; set net.ipv4.conf.all.arp_ignore=1 and "
              "arp_announce=2 there");

    wire.stations.erase(kVip);
    EXPECT_TRUE(becomes([&] { return kernel.view(kVip).others.empty(); }));
    const std::vector<AddressNews> ended = kernel.take_address_news();
    ASSERT_EQ(ended.size(), 1U);
    EXPECT_EQ(
        evidence(ended[0], config),
        "p0 198.51.100.10 ours: 02:00:00:00:01:01 (backend b1 of pool direct) no longer answers");
}

TEST_F(AddressTest, ThatLeaveUsWhileAnotherHasThemAreNotCalledOurs) { // keepalived's takeover
    Wire wire("vd-p0");
    wire.live_on(loop);
    Config config = one_port();
    config.vips[2].announce = false;
    const Ipv4Addr lent = config.vips[2].endpoint.address;
    HostNetwork kernel(config, backends_in_order(config), {twin("vd-p0")}, loop);
    run("ip addr add " + to_string(lent) + "/32 dev vd-p0");
    ASSERT_TRUE(becomes([&] { return kernel.view(lent).is_here; }));
    wire.announce(lent, kFirstMac);
    ASSERT_TRUE(becomes([&] { return kernel.view(lent).others.size() == 1; }));
    static_cast<void>(kernel.take_address_news());
    run("ip addr del " + to_string(lent) + "/32 dev vd-p0");
    ASSERT_TRUE(becomes([&] { return !kernel.view(lent).is_here; }));
    const std::vector<AddressNews> news = kernel.take_address_news();
    ASSERT_EQ(news.size(), 1U);
    EXPECT_EQ(evidence(news[0], config),
              "p0 203.0.113.10 left: this balancer no longer has the address; 02:00:00:00:01:01 "
              "(not a backend) has it");
}

TEST_F(AddressTest, OfOursAreDisputedByWhomeverSaysSoOnlyWhileWeHaveThem) {
    Wire wire("vd-p0");
    wire.live_on(loop);
    Config config = one_port();
    config.vips[2].announce = false;
    HostNetwork kernel(config, backends_in_order(config), {twin("vd-p0")}, loop);
    const Ipv4Addr lent = config.vips[2].endpoint.address;
    wire.announce(lent, kFirstMac); // the active one of two balancers
    wire.announce(kOwn, kPortMac);  // an echo of ours
    // A hostile station has many MACs: no more are taken in than are of use.
    for (std::uint8_t i = 0; i < 200; ++i)
        wire.announce(kOwn, MacAddr{{0x02, 0, 0, 0, 0x09, i}});
    ASSERT_TRUE(
        becomes([&] { return kernel.view(kOwn).others.size() == AddressWatch::kMaxOthers; }));
    EXPECT_TRUE(kernel.view(lent).others.empty());
    const std::vector<AddressNews> news = kernel.take_address_news();
    EXPECT_EQ(news.size(), AddressWatch::kMaxOthers);
    EXPECT_EQ(evidence(news[0], config),
              "p0 198.51.100.2 disputed: 02:00:00:00:09:00 (not a backend) also answers ARP for it "
              "and takes traffic");
}

} // namespace
} // namespace viaduct::test
