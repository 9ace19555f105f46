// SPDX-License-Identifier: Apache-2.0
//
// next_hop_table: the ranges workers search agree with a plain longest-prefix match.
#include "host/host_network.hpp"
#include "host/next_hop_table.hpp"

#include <gtest/gtest.h>
#include <random>
#include <tuple>

namespace viaduct::test {
namespace {

Ipv4Addr ip(const char* text) {
    return parse_ipv4(text).value();
}

LinkRoute via(const char* prefix, int length, int port, std::optional<int> gateway = {}) {
    LinkRoute route;
    route.prefix = {ip(prefix), static_cast<std::uint8_t>(length)};
    route.link = static_cast<LinkId>(port);
    if (gateway) route.gateway = static_cast<HopId>(*gateway);
    return route;
}

/// What the header promises, the slow way.
const LinkRoute* longest_match(const std::vector<LinkRoute>& routes, Ipv4Addr address) {
    const LinkRoute* best = nullptr;
    const auto rank = [](const LinkRoute& r) {
        return std::tuple(-int{r.prefix.length}, r.own_table, r.metric, r.link);
    };
    for (const LinkRoute& route : routes)
        if (route.prefix.contains(address) && (best == nullptr || rank(route) < rank(*best)))
            best = &route;
    return best;
}

class Random {
public:
    explicit Random(std::uint32_t seed) : engine_(seed) {}
    std::uint32_t operator()() { return static_cast<std::uint32_t>(engine_()); }

private:
    std::mt19937 engine_;
};

std::vector<LinkRoute> random_routes(Random& random, int count) {
    std::vector<LinkRoute> routes;
    for (int i = 0; i < count; ++i) {
        LinkRoute route;
        // Few distinct bits, so that prefixes nest, touch and repeat.
        route.prefix.address.value =
            (random() & 0x7) << 29 | (random() & 0x3) << 15 | (random() & 3);
        route.prefix.length = static_cast<std::uint8_t>(random() % 33);
        route.own_table = random() % 2 == 0;
        route.metric = random() % 3;
        route.link = static_cast<LinkId>(i % 16);
        // One gateway a rank, or which of two equals wins would be nobody's promise.
        route.gateway =
            static_cast<HopId>(route.own_table * 48 + route.metric * 16 + index(route.link));
        routes.push_back(route);
    }
    return routes;
}

TEST(NextHopTable, AgreesWithALongestPrefixMatchOnRandomRoutes) {
    Random random(20260101);
    for (int round = 0; round < 300; ++round) {
        const std::vector<LinkRoute> routes = random_routes(random, round % 40);
        NextHops table;
        table.routes = flatten_routes(routes);
        std::vector<std::uint32_t> places{0, 1, 0xffffffff, random()};
        for (const LinkRoute& route : routes) {
            const std::uint32_t first = route.prefix.address.value & route.prefix.mask();
            const std::uint32_t last = first | ~route.prefix.mask();
            for (const std::uint32_t edge : {first, first - 1, last, last + 1})
                places.push_back(edge);
        }
        for (const std::uint32_t place : places) {
            const LinkRoute* expected = longest_match(routes, Ipv4Addr{place});
            const Route* found = table.route_to(Ipv4Addr{place});
            ASSERT_EQ(found != nullptr, expected != nullptr) << place << " in round " << round;
            if (expected == nullptr) continue;
            ASSERT_EQ(found->link, expected->link) << place << " in round " << round;
            ASSERT_EQ(found->gateway, expected->gateway) << place << " in round " << round;
        }
    }
}

TEST(NextHopTable, IsSortedFromZeroAndNamesNoRangeTwice) {
    Random random(20260102);
    for (int round = 1; round < 100; ++round) {
        const std::vector<Route> ranges = flatten_routes(random_routes(random, round));
        ASSERT_FALSE(ranges.empty());
        EXPECT_EQ(ranges.front().first, 0U);
        for (std::size_t i = 1; i < ranges.size(); ++i) {
            ASSERT_LT(ranges[i - 1].first, ranges[i].first);
            Route same = ranges[i];
            same.first = ranges[i - 1].first;
            ASSERT_FALSE(same == ranges[i - 1]) << "two neighbours lead alike";
        }
    }
}

TEST(NextHopTable, IsEmptyWithoutRoutes) {
    EXPECT_TRUE(flatten_routes({}).empty());
}

TEST(NextHopTable, PrefersTheMainTableThenTheLowerMetric) {
    LinkRoute own = via("192.0.2.0", 24, 0, 1);
    own.own_table = true;
    LinkRoute dear = via("192.0.2.0", 24, 1, 2);
    dear.metric = 100;
    const LinkRoute cheap = via("192.0.2.0", 24, 2, 3);
    NextHops table;
    table.routes = flatten_routes({own, dear, cheap});
    EXPECT_EQ(table.route_to(ip("192.0.2.9"))->link, LinkId{2});
    table.routes = flatten_routes({own, dear});
    EXPECT_EQ(table.route_to(ip("192.0.2.9"))->link, LinkId{1});
}

Config two_ports() {
    Config config;
    config.ports.resize(2);
    config.ports[0].addresses = {{ip("198.51.100.2"), 24}};
    config.ports[1].addresses = {{ip("192.0.2.2"), 25}};
    config.ports[1].gateway = ip("192.0.2.1");
    config.pools.resize(2);
    config.pools[0].mode = ForwardMode::DsrL2;
    config.pools[0].backends.resize(2);
    config.pools[0].backends[0].endpoint = {ip("192.0.2.21"), 5060};
    config.pools[0].backends[1].endpoint = {ip("203.0.113.9"), 5060};
    config.pools[1].mode = ForwardMode::Nat;
    config.pools[1].backends.resize(2);
    config.pools[1].backends[0].endpoint = {ip("203.0.113.21"), 5060};
    config.pools[1].backends[1].endpoint = {ip("198.51.100.21"), 5060};
    config.pools[1].backends[1].mac = MacAddr{{2, 0, 0, 0, 1, 1}};
    return config;
}

TEST(ReplayNextHops, LeadBackendsByLinkGatewayOrFirstPort) {
    const NextHops table = replay_next_hops(two_ports());
    ASSERT_EQ(table.hops.size(), kMaxBackends + 1);
    EXPECT_EQ(table.hops[0], (NextHop{LinkId{1}, ip("192.0.2.21"), {}}));
    EXPECT_EQ(table.hops[1], (NextHop{LinkId{0}, ip("203.0.113.9"), {}}))
        << "dsr-l2 has no gateway";
    EXPECT_EQ(table.hops[2], (NextHop{LinkId{1}, ip("192.0.2.1"), {}}))
        << "nat goes by the gateway";
    EXPECT_EQ(table.hops[3],
              (NextHop{LinkId{0}, ip("198.51.100.21"), MacAddr{{2, 0, 0, 0, 1, 1}}}));
    EXPECT_EQ(table.fallback, (MacAddr{{2, 0, 0, 0, 0, 0xfe}}));
}

TEST(ReplayNextHops, ReachEveryAddress) {
    const NextHops table = replay_next_hops(two_ports());
    ASSERT_NE(table.route_to(ip("198.51.100.77")), nullptr);
    EXPECT_EQ(table.route_to(ip("198.51.100.77"))->gateway, std::nullopt);
    for (const char* address : {"0.0.0.0", "192.0.2.200", "203.0.113.1", "255.255.255.255"}) {
        const Route* route = table.route_to(ip(address));
        ASSERT_NE(route, nullptr) << address;
        EXPECT_EQ(route->link, LinkId{1}) << address;
        ASSERT_TRUE(route->gateway) << address;
        EXPECT_EQ(table.hops[index(*route->gateway)].address, ip("192.0.2.1")) << address;
    }
}

TEST(ReplayNextHops, LeadAnswersByTheGatewayOfThePortThatCarriesTheVip) {
    Config config = two_ports();
    config.ports[0].gateway = ip("198.51.100.1");
    config.vips = {{"core", {ip("198.51.100.10"), 5060}, {}},
                   {"access", {ip("192.0.2.10"), 5060}, {}},
                   {"own", {ip("192.0.2.2"), 5060}, {}},
                   {"far", {ip("203.0.113.10"), 5060}, {}}};
    const NextHops table = replay_next_hops(config);
    const auto gateway_from = [&](int vip, const char* client) {
        const LinkId from =
            link_of_vip(config.vips[static_cast<std::size_t>(vip)].endpoint.address, config);
        const auto by = table.gateway_from(from, *table.route_to(ip(client)));
        return by ? to_string(table.hops[index(*by)].address) : "on the link";
    };
    EXPECT_EQ(gateway_from(0, "203.0.113.7"), "198.51.100.1");
    EXPECT_EQ(gateway_from(1, "203.0.113.7"), "192.0.2.1");
    EXPECT_EQ(gateway_from(2, "203.0.113.7"), "192.0.2.1");
    EXPECT_EQ(gateway_from(3, "203.0.113.7"), "198.51.100.1");
    EXPECT_EQ(gateway_from(1, "198.51.100.77"), "on the link");
    EXPECT_EQ(gateway_from(0, "192.0.2.77"), "on the link");
}

TEST(ReplayNextHops, ReachEverythingOnTheFirstLinkWithoutAGateway) {
    Config config = two_ports();
    config.ports[1].gateway.reset();
    const NextHops table = replay_next_hops(config);
    const Route* route = table.route_to(ip("203.0.113.1"));
    ASSERT_NE(route, nullptr);
    EXPECT_EQ(route->link, LinkId{0});
    EXPECT_EQ(route->gateway, std::nullopt);
    EXPECT_EQ(table.hops[2].address, ip("203.0.113.21"));
}

} // namespace
} // namespace viaduct::test
