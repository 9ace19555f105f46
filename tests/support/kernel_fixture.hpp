// SPDX-License-Identifier: Apache-2.0
//
// kernel_fixture: a configuration and a network namespace for tests of HostNetwork.
#pragma once

#include "host/host_network.hpp"
#include "wire.hpp"

#include <functional>
#include <gtest/gtest.h>
#include <string>
#include <utility>
#include <vector>

namespace viaduct::test {

inline constexpr MacAddr kPortMac{{0x02, 0, 0, 0, 0, 0x02}};
inline constexpr MacAddr kFirstMac{{0x02, 0, 0, 0, 0x01, 0x01}};
inline constexpr MacAddr kSecondMac{{0x02, 0, 0, 0, 0x01, 0x02}};

inline Ipv4Addr ip(const char* text) {
    return parse_ipv4(text).value();
}

inline BackendConfig backend(const char* name, const char* address) {
    BackendConfig result;
    result.name = name;
    result.endpoint = {ip(address), 5060};
    return result;
}

/// Port p0 with a gateway; a VIP on its link and one elsewhere; b1 to resolve, b2 with a MAC, and
/// b3 reachable only through the gateway.
inline Config one_port() {
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

inline TwinPort twin(const char* name, const char* interface = "") {
    return {name, interface, kPortMac, 1400};
}

/// Returns everything that a HostNetwork could leave behind.
inline std::string state() {
    return shell("ip rule; ip -4 -o addr | awk '{print $2, $4}'; ip -4 route show table all;"
                 "ip -4 neigh; ip -o link | awk '{print $2, $3}'; for i in lb0 lb1; do echo $i:"
                 "$(cat /proc/sys/net/ipv6/conf/$i/disable_ipv6); tc qdisc show dev $i;"
                 "tc filter show dev $i ingress; tc filter show dev $i egress; done");
}

inline bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

class KernelTest : public testing::Test {
protected:
    void SetUp() override {
        if (!enter_new_network()) GTEST_SKIP() << "needs root and /dev/net/tun";
        ticker = loop.every(std::chrono::milliseconds(5), [this](TimePoint now) {
            if ((condition && condition()) || now >= deadline) loop.stop();
        });
    }

    /// Runs the loop until `wanted` is true, at most 20 s.
    [[nodiscard]] bool becomes(std::function<bool()> wanted) {
        condition = std::move(wanted);
        deadline = Clock::now() + std::chrono::seconds(20);
        loop.run();
        return std::exchange(condition, nullptr)();
    }

    /// Returns the text of the Error that a start throws; empty when it succeeds.
    std::string start_error(const Config& config, const std::vector<TwinPort>& ports) {
        try {
            const HostNetwork kernel(config, backends_in_order(config), ports, loop);
        } catch (const Error& error) {
            return error.what();
        }
        return {};
    }

    Loop loop;
    Ticker ticker;
    std::function<bool()> condition;
    TimePoint deadline;
};

} // namespace viaduct::test
