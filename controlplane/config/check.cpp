// SPDX-License-Identifier: Apache-2.0
//
// check: names, times and references that must agree across the entries of a Config.
//
// In:    a Config and the position of each entry; values already found wrong are marked there.
// Out:   one mistake per disagreement, at the later or more informative of the two places.
// Cost:  n log n in the number of entries.
#include "config/check.hpp"

#include "viaduct/pci_address.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace viaduct {

Position Source::at(std::string_view key) const {
    const toml::node* node = table == nullptr ? nullptr : table->get(key);
    return node == nullptr ? header : node->source().begin;
}

Position Source::at(std::string_view key, std::size_t entry) const {
    const toml::node* node = table == nullptr ? nullptr : table->get(key);
    const toml::array* array = node == nullptr ? nullptr : node->as_array();
    const toml::node* value = array == nullptr ? nullptr : array->get(entry);
    return value == nullptr ? at(key) : value->source().begin;
}

namespace {

std::string quote(const std::string& name) {
    return '"' + name + '"';
}

class Checker {
public:
    Checker(const Config& config, const Sources& sources, Mistakes& mistakes)
        : config_(config), sources_(sources), mistakes_(mistakes) {}

    void run() {
        check_cpus();
        check_ports();
        check_vips();
        check_pool_names();
        check_references();
        for (std::size_t i = 0; i < config_.pools.size(); ++i) {
            check_pool(config_.pools[i], sources_.pools[i]);
            check_backends(config_.pools[i], sources_.pools[i]);
            check_udp_ports(config_.pools[i], sources_.pools[i]);
        }
        check_cap();
        check_nat_vips();
        if (check_counts()) check_nat_backends(); // compares all pairs
    }

private:
    void check_cpus();
    void check_ports();
    void check_device(const std::string& device,
                      Position at,
                      Seen<std::string>& devices,
                      Seen<std::string>& interfaces);
    void check_vips();
    void check_pool_names();
    void check_references();
    void check_pool(const PoolConfig& pool, const PoolSource& source);
    void check_call_times(const PoolConfig& pool, const PoolSource& source);
    void check_cap();
    void check_steering(const PoolConfig& pool, const PoolSource& source);
    void check_backends(const PoolConfig& pool, const PoolSource& source);
    void check_nat_vips();
    void check_nat_backends();
    [[nodiscard]] bool check_counts(); ///< false: too many backends
    void check_udp_ports(const PoolConfig& pool, const PoolSource& source);

    const Config& config_;
    const Sources& sources_;
    Mistakes& mistakes_;
    std::map<std::string, std::vector<std::size_t>> users_; // pool's name -> its vips
};

void Checker::check_cpus() {
    const Source& source = sources_.dataplane;
    if (!source.has("cpus")) return;
    Seen<unsigned> seen;
    for (std::size_t i = 0; i < config_.cpus.size(); ++i)
        if (seen.earlier(config_.cpus[i], source.at("cpus", i)) != nullptr)
            mistakes_.add(source.at("cpus", i),
                          "cpus lists CPU " + std::to_string(config_.cpus[i]) + " twice");
    if (config_.cpus.size() > kMaxWorkers)
        mistakes_.add(source.at("cpus", kMaxWorkers),
                      "cpus has more than " + std::to_string(kMaxWorkers) + " entries");
    if (source.has("workers") && config_.workers != config_.cpus.size())
        mistakes_.add(
            source.at("cpus"),
            "cpus has " + std::to_string(config_.cpus.size()) + " entries, but workers is " +
                std::to_string(config_.workers.value_or(0)) + "; make them equal or remove one");
}

void Checker::check_device(const std::string& device,
                           Position at,
                           Seen<std::string>& devices,
                           Seen<std::string>& interfaces) {
    const std::string name = device_name(device);
    if (const auto* first = devices.earlier(name, at)) {
        mistakes_.add(
            at, "two ports have the device " + quote(name) + ", the first " + on_line(*first));
        return;
    }
    constexpr std::string_view kKey = ",iface=";
    const std::size_t key = device.find(kKey);
    if (key == std::string::npos) return;
    const std::size_t start = key + kKey.size();
    const std::string interface = device.substr(start, device.find(',', start) - start);
    if (const auto* first = interfaces.earlier(interface, at))
        mistakes_.add(at,
                      "two ports have the interface " + quote(interface) + ", the first " +
                          on_line(*first));
}

void Checker::check_ports() {
    Seen<std::string> names;
    Seen<std::string> devices;    // by DPDK's name for it
    Seen<std::string> interfaces; // two ports on one would see every frame twice
    for (std::size_t i = 0; i < config_.ports.size(); ++i) {
        const PortConfig& port = config_.ports[i];
        const Source& source = sources_.ports[i];
        if (source.good("name"))
            if (const auto* first = names.earlier(port.name, source.at("name")))
                mistakes_.add(source.at("name"),
                              "two ports are named " + quote(port.name) + ", the first " +
                                  on_line(*first));
        if (source.good("device"))
            check_device(port.device, source.at("device"), devices, interfaces);
    }
}

void Checker::check_vips() {
    Seen<std::string> names;
    Seen<Endpoint> endpoints;
    Seen<Ipv4Addr> addresses;
    std::map<Ipv4Addr, bool> announced;
    for (std::size_t i = 0; i < config_.vips.size(); ++i) {
        const VipConfig& vip = config_.vips[i];
        const Source& source = sources_.vips[i];
        if (source.good("name"))
            if (const auto* first = names.earlier(vip.name, source.at("name")))
                mistakes_.add(source.at("name"),
                              "two vips are named " + quote(vip.name) + ", the first " +
                                  on_line(*first));
        if (source.good("pool")) users_[vip.pool].push_back(i);
        if (vip.previous_pool && source.good("previous_pool")) {
            if (*vip.previous_pool != vip.pool)
                users_[*vip.previous_pool].push_back(i);
            else if (source.good("pool"))
                mistakes_.add(source.at("previous_pool"),
                              "previous_pool is the same as pool; name the earlier pool of this "
                              "vip, or remove it");
        }
        if (!source.good("address")) continue;
        const Position at = source.at("address");
        const Position* const same = addresses.earlier(vip.endpoint.address, at);
        const bool agreed = announced.try_emplace(vip.endpoint.address, vip.announce).first->second;
        if (same != nullptr && agreed != vip.announce)
            mistakes_.add(source.has("announce") ? source.at("announce") : at,
                          "announce is " + std::string(vip.announce ? "true" : "false") + ", but " +
                              (agreed ? "true" : "false") + " for the vip with the same address " +
                              on_line(*same) +
                              "; vips with the same address need the same announce");
        if (source.good("port"))
            if (const auto* first = endpoints.earlier(vip.endpoint, at))
                mistakes_.add(at,
                              "two vips have " + to_string(vip.endpoint) + ", the first " +
                                  on_line(*first));
    }
}

void Checker::check_pool_names() {
    Seen<std::string> names;
    for (std::size_t i = 0; i < config_.pools.size(); ++i) {
        const PoolSource& source = sources_.pools[i];
        if (!source.good("name")) continue;
        const std::string& name = config_.pools[i].name;
        if (const auto* first = names.earlier(name, source.at("name")))
            mistakes_.add(source.at("name"),
                          "two pools are named " + quote(name) + ", the first " + on_line(*first));
    }
}

void Checker::check_references() {
    constexpr std::size_t kShown = 8; // names in a message
    std::set<std::string> names;
    std::string there;
    for (std::size_t i = 0; i < config_.pools.size(); ++i) {
        if (!sources_.pools[i].good("name")) return; // any vip may have meant this one
        if (!names.insert(config_.pools[i].name).second || names.size() > kShown + 1) continue;
        there += (there.empty() ? "" : ", ") +
                 (names.size() > kShown ? "..." : quote(config_.pools[i].name));
    }
    bool all_known = true; // false: a vip with a wrong key may have meant an unused pool
    for (std::size_t i = 0; i < config_.vips.size(); ++i) {
        const VipConfig& vip = config_.vips[i];
        const Source& source = sources_.vips[i];
        all_known = all_known && source.good("pool") && source.good("previous_pool");
        const auto check = [&](std::string_view key, const std::string& pool) {
            if (names.empty() || !source.good(key) || names.contains(pool)) return;
            std::string text = source.good("name") ? "vip " + quote(vip.name) : "this vip";
            text += " names pool " + quote(pool);
            text += ", which does not exist; pools: " + there;
            mistakes_.add(source.at(key), std::move(text));
        };
        check("pool", vip.pool);
        if (vip.previous_pool) check("previous_pool", *vip.previous_pool);
    }
    for (std::size_t i = 0; all_known && i < config_.pools.size(); ++i)
        if (!users_.contains(config_.pools[i].name))
            mistakes_.add(sources_.pools[i].at("name"),
                          "no vip uses pool " + quote(config_.pools[i].name) +
                              "; name it in a [[vip]] or remove it");
}

void Checker::check_pool(const PoolConfig& pool, const PoolSource& source) {
    if (pool.translate_any_port && source.good("mode") && !info_of(pool.mode).returns_through_us)
        mistakes_.add(source.at("translate_any_port"),
                      "translate_any_port works only with mode = \"nat\"");
    const HealthConfig& health = pool.health;
    if (source.health.good("timeout") && source.health.good("interval") &&
        health.timeout > health.interval) {
        const bool given = source.health.has("timeout");
        mistakes_.add(source.health.at(given ? "timeout" : "interval"),
                      "timeout (" + std::to_string(health.timeout.count()) + "ms" +
                          (given ? "" : ", the default") + ") is longer than interval (" +
                          std::to_string(health.interval.count()) + "ms)");
    }
    check_call_times(pool, source);
    check_steering(pool, source);
    if (source.good("min_up") && pool.min_up > pool.backends.size() && !pool.backends.empty())
        mistakes_.add(source.at("min_up"),
                      "min_up (" + std::to_string(pool.min_up) + ") is larger than the " +
                          "number of backends of pool " + quote(pool.name) + " (" +
                          std::to_string(pool.backends.size()) + ")");
    bool any_weight = pool.backends.empty();
    for (std::size_t i = 0; i < pool.backends.size(); ++i)
        any_weight |= pool.backends[i].weight > 0 || !source.backends[i].good("weight");
    if (!any_weight)
        mistakes_.add(source.backends.front().at("weight"),
                      "every backend of this pool has weight 0, so no backend would get calls");
}

/// Calls must be remembered for longer than SIP repeats its messages.
void Checker::check_call_times(const PoolConfig& pool, const PoolSource& source) {
    const Source& timers = sources_.timers;
    for (const std::string_view key : {"t1", "b", "f", "c"})
        if (!timers.good(key)) return;
    const std::chrono::milliseconds repeated = transaction_time(config_);
    const bool by_b = timers.has("b") && config_.timer_b == repeated;
    const bool by_f = timers.has("f") && config_.timer_f == repeated;
    const std::string_view longest = by_b ? "b" : by_f ? "f" : "t1";
    const auto demand = [&](std::string_view key,
                            std::chrono::milliseconds value,
                            std::string_view timer,
                            std::chrono::milliseconds least,
                            const std::string& why) {
        if (!source.good(key) || value >= least) return false;
        const bool given = source.has(key);
        mistakes_.add(given ? source.at(key) : timers.at(timer),
                      std::string(key) + " (" + std::to_string(value.count()) + "ms" +
                          (given ? "" : ", the default") + ") of pool " + quote(pool.name) +
                          " is shorter than " + (timer == "t1" ? "64 times " : "timer ") +
                          std::string(timer) + " (" + std::to_string(least.count()) + "ms), " +
                          why);
        return true;
    };
    const std::string why = "the time for which requests are repeated";
    demand("t_settle", pool.t_settle, longest, repeated, why);
    if (!demand("call_lifetime", pool.call_lifetime, longest, repeated, why))
        demand("call_lifetime",
               pool.call_lifetime,
               "c",
               config_.timer_c,
               "the time for which a call may ring");
}

/// A call has one deadline: the end of its silence or, with max_call, its longest duration.
/// Therefore max_call must not be longer than call_lifetime, nor may it end ringing calls.
void Checker::check_cap() {
    const Source& source = sources_.steering;
    if (!config_.max_call || !source.good("max_call")) return;
    const std::string cap = "max_call (" + std::to_string(config_.max_call->count()) + "ms) is ";
    if (sources_.timers.good("c") && *config_.max_call < config_.timer_c)
        mistakes_.add(source.at("max_call"),
                      cap + "shorter than timer c (" + std::to_string(config_.timer_c.count()) +
                          "ms), the time for which a call may ring");
    for (std::size_t i = 0; i < config_.pools.size(); ++i) {
        const PoolConfig& pool = config_.pools[i];
        if (!sources_.pools[i].good("call_lifetime") || *config_.max_call <= pool.call_lifetime)
            continue;
        mistakes_.add(
            source.at("max_call"),
            cap + "longer than call_lifetime of pool " + quote(pool.name) + " (" +
                std::to_string(pool.call_lifetime.count()) +
                "ms), the longest time without a message; raise call_lifetime or lower max_call");
    }
}

/// Some algorithms need remembered calls, and some the answers of backends.
void Checker::check_steering(const PoolConfig& pool, const PoolSource& source) {
    if (!source.good("steering")) return;
    const std::string steering = "steering = " + quote(std::string(name_of(pool.steering)));
    if (pool.steering == SteerBy::LeastTransactions || pool.steering == SteerBy::LeastWork) {
        if (source.good("mode") && !info_of(pool.mode).returns_through_us)
            mistakes_.add(source.at("steering"),
                          steering + " counts the answers of backends, but with mode = " +
                              quote(std::string(name_of(pool.mode))) +
                              " answers do not pass through the balancer; use \"least-calls\"");
    }
    if (source.has("work") && pool.steering != SteerBy::LeastWork && pool.work != WorkByMethod{})
        mistakes_.add(source.at("work"),
                      "work has no effect with " + steering +
                          "; it applies only to steering = \"least-work\"");
    if (pool.steering != SteerBy::Hash) {
        for (const std::string_view key : {"key", "keys"})
            if (source.has(key) && (key == "keys" || pool.key.type != KeyType::CallId))
                mistakes_.add(source.at(key),
                              std::string(key) + " has no effect with " + steering +
                                  "; it applies only to steering = \"hash\"");
        return;
    }
    for (std::size_t i = 0; i < pool.backends.size(); ++i)
        if (pool.backends[i].max_calls && source.backends[i].good("max_calls"))
            mistakes_.add(source.backends[i].at("max_calls"),
                          "max_calls needs a pool that counts its calls: steering = "
                          "\"round-robin\", \"least-calls\", \"least-transactions\" or "
                          "\"least-work\"");
}

void Checker::check_backends(const PoolConfig& pool, const PoolSource& source) {
    Seen<std::string> names;
    Seen<Endpoint> endpoints;
    for (std::size_t i = 0; i < pool.backends.size(); ++i) {
        const BackendConfig& backend = pool.backends[i];
        const Source& from = source.backends[i];
        if (from.good("name"))
            if (const auto* first = names.earlier(backend.name, from.at("name")))
                mistakes_.add(from.at("name"),
                              "two backends of this pool are named " + quote(backend.name) +
                                  ", the first " + on_line(*first));
        if (from.good("address") && from.good("port"))
            if (const auto* first = endpoints.earlier(backend.endpoint, from.at("address")))
                mistakes_.add(from.at("address"),
                              "two backends of this pool have " + to_string(backend.endpoint) +
                                  ", the first " + on_line(*first));
    }
}

void Checker::check_udp_ports(const PoolConfig& pool, const PoolSource& source) {
    const auto users = users_.find(pool.name);
    if (!info_of(pool.mode).backend_owns_vip || !source.good("mode") || !source.good("name") ||
        users == users_.end())
        return;
    std::map<std::uint16_t, std::size_t> wanted; // UDP port -> a vip that has it
    for (const std::size_t vip : users->second)
        if (sources_.vips[vip].good("port"))
            wanted.try_emplace(config_.vips[vip].endpoint.udp_port, vip);
    for (std::size_t i = 0; i < pool.backends.size(); ++i) {
        const std::uint16_t has = pool.backends[i].endpoint.udp_port;
        const auto other = std::find_if(
            wanted.begin(), wanted.end(), [has](const auto& entry) { return entry.first != has; });
        if (!source.backends[i].good("port") || other == wanted.end()) continue;
        mistakes_.add(source.backends[i].at("port"),
                      "the backend's port is " + std::to_string(has) + ", but vip " +
                          quote(config_.vips[other->second].name) + " has " +
                          std::to_string(other->first) +
                          "; dsr-l2 does not change ports: make them equal or use nat");
    }
}

void Checker::check_nat_vips() {
    for (std::size_t p = 0; p < config_.pools.size(); ++p) {
        const PoolConfig& pool = config_.pools[p];
        const PoolSource& source = sources_.pools[p];
        const auto users = users_.find(pool.name);
        if (!info_of(pool.mode).returns_through_us || !source.good("mode") ||
            !source.good("name") || users == users_.end())
            continue;
        for (std::size_t i = 1; i < users->second.size(); ++i)
            mistakes_.add(
                sources_.vips[users->second[i]].at(
                    config_.vips[users->second[i]].pool == pool.name ? "pool" : "previous_pool"),
                "nat pool " + quote(pool.name) + " already has a vip (" +
                    on_line(sources_.vips[users->second[0]].header) +
                    "); it can have only one, because its answers carry the address of the vip");
    }
}

void Checker::check_nat_backends() {
    struct User {
        std::size_t pool;
        bool any_port;
        Position at;
    };
    std::map<Ipv4Addr, std::multimap<std::uint16_t, User>> by_address;
    for (std::size_t p = 0; p < config_.pools.size(); ++p) {
        const PoolConfig& pool = config_.pools[p];
        if (!info_of(pool.mode).returns_through_us || !sources_.pools[p].good("mode")) continue;
        for (std::size_t b = 0; b < pool.backends.size(); ++b) {
            const Source& source = sources_.pools[p].backends[b];
            if (!source.good("address") || !source.good("port")) continue;
            const Endpoint endpoint = pool.backends[b].endpoint;
            auto& others = by_address[endpoint.address];
            const User* clash = nullptr;
            for (const auto& [udp_port, user] : others)
                if (clash == nullptr && user.pool != p &&
                    (user.any_port || pool.translate_any_port || udp_port == endpoint.udp_port))
                    clash = &user;
            if (clash != nullptr)
                mistakes_.add(source.at("address"),
                              "backend " + to_string(endpoint) + " is also in another nat pool (" +
                                  on_line(clash->at) + "); its answers could not be told apart");
            others.emplace(endpoint.udp_port,
                           User{p, pool.translate_any_port, source.at("address")});
        }
    }
}

bool Checker::check_counts() {
    constexpr std::size_t kMaxVips = 65'535; // the range of VipId
    if (config_.ports.size() > kMaxPorts)
        mistakes_.add(sources_.ports[kMaxPorts].header,
                      "more than " + std::to_string(kMaxPorts) + " ports");
    if (config_.vips.size() > kMaxVips)
        mistakes_.add(sources_.vips[kMaxVips].header,
                      "more than " + std::to_string(kMaxVips) + " vips");
    std::size_t count = 0;
    for (const PoolSource& pool : sources_.pools) {
        if (count <= kMaxBackends && count + pool.backends.size() > kMaxBackends)
            mistakes_.add(pool.backends[kMaxBackends - count].header,
                          "more than " + std::to_string(kMaxBackends) + " backends over all pools");
        count += pool.backends.size();
    }
    return count <= kMaxBackends;
}

} // namespace

void check_config(const Config& config, const Sources& sources, Mistakes& mistakes) {
    check_addresses(config, sources, mistakes);
    Checker(config, sources, mistakes).run();
}

} // namespace viaduct
