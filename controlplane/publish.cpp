// SPDX-License-Identifier: Apache-2.0
#include "publish.hpp"

#include "viaduct/steer.hpp"

#include <algorithm>
#include <utility>

namespace viaduct {

namespace {

bool same(const std::vector<Candidate>& a, const std::vector<Candidate>& b) {
    return std::equal(
        a.begin(), a.end(), b.begin(), b.end(), [](const Candidate& x, const Candidate& y) {
            return x.id == y.id && x.weight == y.weight && x.name == y.name;
        });
}

PoolId pool_by_name(const Config& config, const std::string& name) {
    for (std::size_t i = 0; i < config.pools.size(); ++i)
        if (config.pools[i].name == name) return PoolId{static_cast<std::uint16_t>(i)};
    throw Error("no pool \"" + name + "\"");
}

void add_vips(Snapshot& snapshot, const Config& config) {
    snapshot.vip_by_endpoint = EndpointIndex(config.vips.size());
    snapshot.vip_addresses = EndpointIndex(config.vips.size());
    for (const VipConfig& vip : config.vips) {
        const auto id = static_cast<std::uint16_t>(snapshot.vips.size());
        const PoolId pool = pool_by_name(config, vip.pool);
        snapshot.vip_by_endpoint.insert(vip.endpoint, id);
        snapshot.vip_addresses.insert({vip.endpoint.address, 0}, id);
        const ReadRules rules{Want::Nothing, vip.lenient, vip.max_header_lines};
        snapshot.vips.push_back({vip.name, vip.endpoint, pool, vip.enabled, rules});
        Pool& serving = snapshot.pools[index(pool)];
        if (serving.mode == ForwardMode::Nat) serving.nat_vip = VipId{id};
    }
}

void add_own_addresses(Snapshot& snapshot, const Config& config, std::uint16_t probe_udp_port) {
    std::size_t addresses = 0;
    for (const PortConfig& port : config.ports)
        addresses += port.addresses.size();
    snapshot.own_addresses = EndpointIndex(addresses);
    snapshot.probe_endpoints = EndpointIndex(addresses);
    for (const PortConfig& port : config.ports)
        for (const Ipv4Prefix& prefix : port.addresses) {
            snapshot.own_addresses.insert({prefix.address, 0}, 0);
            if (probe_udp_port != 0)
                snapshot.probe_endpoints.insert({prefix.address, probe_udp_port}, 0);
        }
}

void add_backends(Snapshot& snapshot, const PoolModel& model) {
    snapshot.nat_backends = EndpointIndex(2 * model.backends().size());
    snapshot.nat_addresses = EndpointIndex(model.backends().size());
    snapshot.probe_sources = EndpointIndex(model.backends().size() + snapshot.vips.size());
    for (const Vip& vip : snapshot.vips)
        snapshot.probe_sources.insert({vip.endpoint.address, 0}, 0);
    for (const BackendState& backend : model.backends()) {
        const PoolConfig& pool = model.pool(backend.pool).config;
        const auto id = static_cast<std::uint16_t>(index(backend.id));
        snapshot.backends.push_back(
            {backend.config.name, backend.config.endpoint, backend.pool, HopId{id}});
        const Endpoint& endpoint = backend.config.endpoint;
        snapshot.probe_sources.insert({endpoint.address, 0}, 0);
        if (pool.mode != ForwardMode::Nat) continue;
        snapshot.nat_backends.insert(endpoint, id);
        if (pool.translate_any_port) snapshot.nat_backends.insert({endpoint.address, 0}, id);
        snapshot.nat_addresses.insert({endpoint.address, 0}, id);
    }
}

} // namespace

Publisher::Publisher(const Config& config,
                     const SteeringSecret& secret,
                     std::uint16_t probe_udp_port)
    : config_(config), secret_(secret), probe_udp_port_(probe_udp_port),
      tables_(config.pools.size()) {}

std::unique_ptr<const Snapshot> Publisher::build(const PoolModel& model) {
    auto snapshot = std::make_unique<Snapshot>();
    snapshot->number = ++number_;
    snapshot->secret = secret_;
    for (const PoolState& pool : model.pools()) {
        std::vector<Candidate> candidates;
        const bool has_verdict = model.has_verdict(pool.id);
        if (has_verdict) { // before it nobody reads the table
            for (const BackendId id : model.eligible(pool.id)) {
                const BackendConfig& backend = model.backend(id).config;
                candidates.push_back({id, backend.name, backend.weight});
            }
        }
        PoolTable& table = tables_[index(pool.id)];
        const bool unchanged = same(candidates, table.candidates);
        if (!unchanged) {
            table.slots = build_rendezvous(candidates, secret_);
            table.digest = table_digest(table.slots.get(), candidates);
            table.candidates = std::move(candidates);
        }
        snapshot->pools.push_back(
            {pool.config.name,
             pool.config.mode,
             has_verdict,
             hash_prefix(snapshot->secret, hash_bytes({}, pool.config.name), KeyType::CallId),
             table.slots,
             std::nullopt});
    }
    add_vips(*snapshot, config_);
    add_own_addresses(*snapshot, config_, probe_udp_port_);
    add_backends(*snapshot, model);
    current_ = std::make_unique<const Snapshot>(*snapshot);
    return snapshot;
}

const std::string& Publisher::digest(PoolId pool) const {
    return tables_[index(pool)].digest;
}

} // namespace viaduct
