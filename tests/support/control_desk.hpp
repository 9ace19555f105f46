// SPDX-License-Identifier: Apache-2.0
//
// control_desk: all parts that verbs use, made from a small configuration, with the fake data
// plane.
#pragma once

#include "cli/cli.hpp"
#include "cli/text.hpp"
#include "fake_dataplane.hpp"
#include "health/health.hpp"
#include "model/pool.hpp"
#include "publish/call_sweeper.hpp"
#include "publish/publish.hpp"
#include "publish/reload.hpp"
#include "totals.hpp"

#include "viaduct/error.hpp"

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace viaduct::test {

inline Endpoint endpoint(std::string_view address, std::uint16_t udp_port) {
    return {*parse_ipv4(address), udp_port};
}

/// Pool "proxies" (dsr-l2: b1, b2, b3) with the VIPs "sip" and "off" (disabled), pool "borders"
/// (nat: n1) with the VIP "edge".
inline Config desk_config() {
    Config config;
    config.file = "desk.toml";
    PortConfig port;
    port.name = "p0";
    port.device = "net_null0";
    port.addresses.push_back({*parse_ipv4("198.51.100.2"), 24});
    config.ports.push_back(port);
    const auto add_pool = [&](std::string name, ForwardMode mode) -> PoolConfig& {
        config.pools.emplace_back();
        config.pools.back().name = std::move(name);
        config.pools.back().mode = mode;
        return config.pools.back();
    };
    const auto add_backend = [](PoolConfig& pool, std::string name, std::string_view address) {
        pool.backends.emplace_back();
        pool.backends.back().name = std::move(name);
        pool.backends.back().endpoint = endpoint(address, 5060);
    };
    PoolConfig& proxies = add_pool("proxies", ForwardMode::DsrL2);
    add_backend(proxies, "b1", "198.51.100.21");
    add_backend(proxies, "b2", "198.51.100.22");
    add_backend(proxies, "b3", "198.51.100.23");
    add_backend(add_pool("borders", ForwardMode::Nat), "n1", "203.0.113.21");
    config.vips = {{"sip", endpoint("198.51.100.10", 5060), "proxies", true},
                   {"off", endpoint("198.51.100.11", 5060), "proxies", false},
                   {"edge", endpoint("198.51.100.12", 5060), "borders", true}};
    config.admins = {"daemon"};
    return config;
}

/// Makes one complete pass over the table.
inline void sweep(CallSweeper& sweeper, CallTime now) {
    const std::uint64_t passes = sweeper.passes();
    for (TimePoint clock = Clock::now(); sweeper.passes() == passes;
         clock += std::chrono::seconds(1))
        sweeper.tick(now, clock);
}

struct ControlDesk {
    explicit ControlDesk(Config made = desk_config()) : config(std::move(made)) {
        fake_dataplane().reset();
    }

    /// Sets every backend up and publishes.
    void all_up() {
        for (const BackendState& backend : model.backends())
            model.set_health(backend.id, Health::Up, "200 in 3 ms");
        control.apply();
    }

    [[nodiscard]] std::string ask(std::string_view line) { return answer(control, root, line); }

    /// Returns the JSON answer to `json LINE`; null when it is refused.
    [[nodiscard]] nlohmann::ordered_json ask_json(const std::string& line) {
        std::string text = ask("json " + line);
        if (!text.ends_with("}\nOK\n")) return nullptr;
        text.resize(text.size() - 3);
        return nlohmann::ordered_json::parse(text);
    }

    Peer root{0, 0, 1, {}};
    Config config;
    PoolModel model{config};
    HostPaths next_hops;
    HealthChecker health{config, model, next_hops, 5099};
    Publisher publisher{config, kReplaySecret, 5099};
    CallSweeper sweeper{CallTable{}, publisher};
    Loop loop;
    LoadMeter load;
    unsigned applied = 0;
    unsigned state_kept = 0;
    std::string state_failure;   ///< simulated error of the disk; empty: writing works
    std::string address_failure; ///< simulated error of the kernel for new addresses; empty: none
    Reloader reloader{{config,
                       model,
                       publisher,
                       health,
                       sweeper,
                       [this](const Config&, const std::vector<BackendLocation>&) {
                           if (!address_failure.empty()) throw Error(address_failure);
                       },
                       [this] { return keep_state(); }}};
    Control control{config,
                    model,
                    health,
                    publisher,
                    sweeper.table(),
                    sweeper,
                    loop,
                    load,
                    Clock::now(),
                    find_admins(config.admins),
                    [this] {
                        ++applied;
                        publish(publisher.build(model));
                    },
                    &reloader,
                    [this] { return keep_state(); }};

    std::string keep_state() {
        ++state_kept;
        return state_failure;
    }
};

[[nodiscard]] inline std::string to_base64(std::string_view text) {
    constexpr std::string_view kAlphabet =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    unsigned bits = 0;
    unsigned held = 0;
    for (const char c : text) {
        bits = bits << 8 | static_cast<unsigned char>(c);
        for (held += 8; held >= 6; held -= 6)
            out += kAlphabet[(bits >> (held - 6)) & 0x3f];
    }
    if (held != 0) out += kAlphabet[(bits << (6 - held)) & 0x3f];
    while (out.size() % 4 != 0)
        out += '=';
    return out;
}

} // namespace viaduct::test
