// SPDX-License-Identifier: Apache-2.0
//
// config: a TOML file -> Config, or every mistake with its line and column.
//
// One table (kSettings in settings.cpp) defines all settings: name, type, range, default, whether a
// change needs a restart, help. Reading, printing and the reference use it.
#pragma once

#include "viaduct/dataplane.hpp"
#include "viaduct/error.hpp"
#include "viaduct/net.hpp"
#include "viaduct/snapshot.hpp"

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace viaduct {

struct PortConfig {
    std::string name; ///< letters, digits, '-', '_'; at most 12: the TAP twin is "vd-<name>"
    std::string device;
    std::vector<Ipv4Prefix> addresses;
    std::optional<Ipv4Addr> gateway;
    std::optional<std::uint16_t> mtu;

    bool operator==(const PortConfig&) const = default;
};

struct VipConfig {
    std::string name;
    Endpoint endpoint;
    std::string pool;
    bool enabled = true;
    bool lenient = false;
    std::uint16_t max_header_lines = kMaxHeaderLines;
    std::optional<std::string> previous_pool{}; ///< keeps the calls that started there
    bool announce = true; ///< false: only another program may add the address to the twin

    bool operator==(const VipConfig&) const = default;
};

enum class ProbeKind : std::uint8_t { None, Options };

/// Status codes that count as healthy, first..last inclusive: "2xx" is 200..299, "404" one code.
struct AcceptRange {
    std::uint16_t first = 0;
    std::uint16_t last = 0;

    bool operator==(const AcceptRange&) const = default;
};

struct HealthConfig {
    ProbeKind kind = ProbeKind::Options;
    std::string uri; ///< Request-URI and To of probes; empty: sip:<destination of the probe>
    std::chrono::milliseconds interval{500};
    std::chrono::milliseconds timeout{300};
    unsigned fall = 2;
    unsigned rise = 2;
    std::vector<AcceptRange> accept{{200, 299}};

    bool operator==(const HealthConfig&) const = default;
};

struct BackendConfig {
    std::string name;
    Endpoint endpoint;
    unsigned weight = 100;
    unsigned tier = 0;
    std::optional<unsigned> max_calls; ///< empty: no limit
    std::optional<MacAddr> mac;

    bool operator==(const BackendConfig&) const = default;
};

/// The part of a message that is hashed.
struct KeyConfig {
    KeyType type = KeyType::CallId;
    std::string header; ///< for KeyType::Header

    bool operator==(const KeyConfig&) const = default;
};

/// Returns the text as in the configuration: "aor", "header:X-Tenant".
[[nodiscard]] std::string to_string(const KeyConfig& key);

/// Method -> key, for methods with another key than the pool's.
struct KeysByMethod {
    std::vector<std::pair<std::string, KeyConfig>> list;

    bool operator==(const KeysByMethod&) const = default;
};

/// Method -> its work, in quarters; methods that are not listed count as 4.
struct WorkByMethod {
    std::vector<std::pair<std::string, unsigned>> list{{"INVITE", 7}};

    bool operator==(const WorkByMethod&) const = default;
};

struct PoolConfig {
    std::string name;
    ForwardMode mode = ForwardMode::DsrL2;
    SteerBy steering = SteerBy::Hash;
    TableKind table = TableKind::Rendezvous;
    KeyConfig key;
    KeysByMethod keys;
    WorkByMethod work;
    unsigned min_up = 1;
    bool failback = true;
    std::chrono::milliseconds hold_down{0};
    std::chrono::milliseconds slow_start{0};
    bool translate_any_port = false;
    std::chrono::milliseconds call_lifetime{4 * 3'600'000};
    std::chrono::milliseconds t_settle{40'000};
    OnDeadOwner on_dead_owner = OnDeadOwner::Resteer;
    bool shared_state = false;
    bool count_calls = false;
    HealthConfig health;
    std::vector<BackendConfig> backends;

    bool operator==(const PoolConfig&) const = default;
};

struct Config {
    std::string file;
    std::optional<unsigned> workers; ///< empty: one less than the machine's CPUs, at least one
    std::vector<unsigned> cpus;      ///< empty: chosen at start
    MemoryKind memory = MemoryKind::Auto;
    std::optional<unsigned> buffers; ///< empty: what the queues and rings of all ports can hold
    std::vector<PortConfig> ports;
    std::vector<VipConfig> vips;
    std::vector<PoolConfig> pools;
    unsigned calls = 1'000'000; ///< most calls that can be remembered at once
    std::optional<std::chrono::milliseconds> max_call; ///< empty: no cap
    std::optional<unsigned> new_calls; ///< most calls remembered per second; empty: no limit
    std::chrono::milliseconds t1{500}; ///< RFC 3261 §17.1.1.1
    std::optional<std::chrono::milliseconds> timer_b; ///< for INVITE (§17.1.1.2); empty: 64*T1
    std::optional<std::chrono::milliseconds> timer_f; ///< for others (§17.1.2.2); empty: 64*T1
    std::chrono::milliseconds timer_c{180'000};       ///< a proxy's timer for ringing (§16.6)
    std::optional<SteeringSecret> secret;             ///< empty: made and kept in the state folder
    std::string socket = "/run/viaduct/viaduct.sock";
    std::string state = "/var/lib/viaduct";
    std::vector<std::string> admins{"root"};
    std::string log_level = "info";

    bool operator==(const Config&) const = default;
};

/// Returns for how long messages of a transaction may arrive: 64*T1, or timers B and F (RFC 3261
/// §17.1.1.2, §17.1.2.2).
[[nodiscard]] inline std::chrono::milliseconds transaction_time(const Config& config) {
    const std::chrono::milliseconds usual = 64 * config.t1;
    return std::max(config.timer_b.value_or(usual), config.timer_f.value_or(usual));
}

/// Used by replay when the file sets no secret. It is documented and therefore not secret.
inline constexpr SteeringSecret kReplaySecret{
    0x76, 0x69, 0x61, 0x64, 0x75, 0x63, 0x74, 0x20, 0x72, 0x65, 0x70, 0x6c, 0x61, 0x79, 0x20, 0x31};

/// Thrown by load_config. what() lists every mistake, each on its own line `FILE:LINE:COL: text`.
class ConfigError : public Error {
public:
    using Error::Error;
};

/// Reads and checks the whole file. Throws ConfigError with all mistakes, or Error when the file
/// cannot be read.
[[nodiscard]] Config load_config(const std::string& file);

/// Same for a text; `file` is only the name used in messages.
[[nodiscard]] Config parse_config(std::string_view text, const std::string& file);

/// Returns the configuration as TOML with defaults filled in. Unset values are comments; so is the
/// secret, as `# secret = "(hidden)"`. parse_config reads the text back to an equal Config except
/// for `file` and `secret`.
[[nodiscard]] std::string print_config(const Config& config);

/// Returns the Markdown section of docs/reference.md that lists every setting (from kSettings).
[[nodiscard]] std::string settings_reference();

/// Return "192.0.2.1", "192.0.2.1:5060", "192.0.2.0/24", "02:00:00:00:00:01".
[[nodiscard]] std::string to_string(Ipv4Addr address);
[[nodiscard]] std::string to_string(const Endpoint& endpoint);
[[nodiscard]] std::string to_string(const Ipv4Prefix& prefix);
[[nodiscard]] std::string to_string(const MacAddr& mac);

} // namespace viaduct
