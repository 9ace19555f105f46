// SPDX-License-Identifier: Apache-2.0
//
// config_text: configurations for tests to change, and checks of the mistakes that are reported.
#pragma once

#include "config/config.hpp"

#include <gtest/gtest.h>
#include <string>
#include <vector>

namespace viaduct::test {

/// Every existing key, most with a value other than the default.
inline const std::string kRich = R"([dataplane]
workers = 2
cpus = [1, 2]
memory = "ordinary"
buffers = 120000

[[port]]
name = "p0"
device = "net_af_packet0,iface=lb0"
addresses = ["198.51.100.2/24", "192.0.2.2/25"]
gateway = "198.51.100.1"
mtu = 1500

[[port]]
name = "p1"
device = "0000:03:00.0"

[[vip]]
name = "sip"
address = "198.51.100.10"
port = 5070
pool = "proxies"
enabled = false
lenient = true
max_header_lines = 512

[[vip]]
name = "core"
address = "198.51.100.11"
pool = "core.nat"

[[pool]]
name = "proxies"
mode = "dsr-l2"
steering = "hash"
table = "rendezvous"
key = "call-id"
min_up = 2
  [pool.health]
  method = "OPTIONS"
  uri = "sip:probe@example.com;x=\\y"
  interval = "2s"
  timeout = "1500ms"
  fall = 3
  rise = 4
  accept = ["2xx", 404, "486"]
  [[pool.backend]]
  name = "b1"
  address = "198.51.100.21"
  port = 5070
  weight = 0
  tier = 1
  mac = "02:00:00:00:01:0a"
  [[pool.backend]]
  name = "b2"
  address = "198.51.100.22"
  port = 5070

[[pool]]
name = "core.nat"
mode = "nat"
translate_any_port = true
  [pool.health]
  method = "none"
  [[pool.backend]]
  name = "b1"
  address = "203.0.113.21"
  port = 5080

[steering]
secret = "000102030405060708090a0b0c0d0e0F"

[control]
socket = "/run/lb \"one\".sock"
state = "/var/lib/lb"
admins = ["root", "@voice"]
log_level = "debug"
)";

/// The smallest valid configuration.
inline const std::string kLeast = R"([[port]]
name = "p0"
device = "net_af_packet0,iface=lb0"
[[vip]]
name = "sip"
address = "198.51.100.10"
pool = "proxies"
[[pool]]
name = "proxies"
[[pool.backend]]
name = "b1"
address = "198.51.100.21"
)";

/// Returns `text` with its only occurrence of `before` replaced by `after`.
inline std::string change(std::string text, const std::string& before, const std::string& after) {
    const std::size_t at = text.find(before);
    EXPECT_NE(at, std::string::npos) << before;
    if (at == std::string::npos) return text;
    EXPECT_EQ(text.find(before, at + 1), std::string::npos) << before << " is there twice";
    return text.replace(at, before.size(), after);
}

inline std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines(1);
    for (const char c : text)
        if (c == '\n')
            lines.emplace_back();
        else
            lines.back() += c;
    return lines;
}

inline std::vector<std::string> mistakes_of(const std::string& text) {
    try {
        (void)parse_config(text, "lb.toml");
    } catch (const ConfigError& error) {
        return lines_of(error.what());
    }
    return {};
}

/// Each '^' in `marked` is removed and marks the position of a mistake, whose text is the next one
/// in `texts`. No other mistake may be reported.
inline void expect_mistakes(const std::string& marked, const std::vector<std::string>& texts) {
    std::string text;
    std::vector<std::string> expected;
    std::size_t line = 1;
    std::size_t column = 1;
    for (const char c : marked) {
        if (c == '^') {
            ASSERT_LT(expected.size(), texts.size());
            expected.push_back("lb.toml:" + std::to_string(line) + ':' + std::to_string(column) +
                               ": " + texts[expected.size()]);
            continue;
        }
        text += c;
        ++column;
        if (c == '\n') {
            ++line;
            column = 1;
        }
    }
    ASSERT_EQ(expected.size(), texts.size());
    EXPECT_EQ(mistakes_of(text), expected) << text;
}

struct Case {
    std::string before; ///< in the text to change
    std::string after;  ///< with '^' at the mistake
    std::string text;
};

inline void expect_each(const std::string& base, const std::vector<Case>& cases) {
    ASSERT_TRUE(mistakes_of(base).empty());
    for (const Case& one : cases)
        expect_mistakes(change(base, one.before, one.after), {one.text});
}

} // namespace viaduct::test
