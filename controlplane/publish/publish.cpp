// SPDX-License-Identifier: Apache-2.0
#include "publish/publish.hpp"

#include "host/next_hop_table.hpp"

#include "viaduct/snapshot_rules.hpp"
#include "viaduct/steering/slot_state.hpp"
#include "viaduct/steering/steer.hpp"

#include <algorithm>
#include <bit>
#include <utility>

namespace viaduct {

namespace {

void index_vips(Snapshot& snapshot) {
    snapshot.vip_by_endpoint = EndpointIndex(snapshot.vips.size());
    snapshot.vip_addresses = EndpointIndex(snapshot.vips.size());
    for (std::size_t i = 0; i < snapshot.vips.size(); ++i) {
        const auto id = static_cast<std::uint16_t>(i);
        const Endpoint& endpoint = snapshot.vips[i].endpoint;
        snapshot.vip_by_endpoint.insert(endpoint, id);
        snapshot.vip_addresses.insert({endpoint.address, 0}, id);
    }
}

/// Whether the Call-ID alone is enough for most messages. All others are read twice: a drain of one
/// backend of twenty moves a slot in twenty.
bool is_mostly_settled(const Pool& pool) {
    if (pool.always_looks_up()) return false;
    if (!pool.unsettled) return true;
    std::size_t moved = 0;
    for (const std::uint64_t word : pool.unsettled->bits)
        moved += static_cast<std::size_t>(std::popcount(word));
    return moved <= kSlots / 4;
}

void add_vips(Snapshot& snapshot, const Config& config) {
    for (const VipConfig& vip : config.vips) {
        const auto id = static_cast<std::uint16_t>(snapshot.vips.size());
        const PoolId pool = pool_by_name(config, vip.pool);
        if (vip.previous_pool) { // a call remembered in either pool names its backend
            const PoolId before = pool_by_name(config, *vip.previous_pool);
            for (const PoolId one : {pool, before})
                snapshot.pools[index(one)].tracking = Tracking::AllCalls;
            if (Pool& old = snapshot.pools[index(before)]; info_of(old.mode).returns_through_us)
                old.nat_vip = VipId{id};
        }
        Pool& serving = snapshot.pools[index(pool)];
        const Want want = is_mostly_settled(serving) ? Want::CallReference : kWantForCalls;
        const ReadRules rules{want, vip.lenient, vip.max_header_lines};
        snapshot.vips.push_back({vip.name,
                                 vip.endpoint,
                                 pool,
                                 vip.enabled,
                                 rules,
                                 link_of_vip(vip.endpoint.address, config)});
        if (info_of(serving.mode).returns_through_us) serving.nat_vip = VipId{id};
    }
    index_vips(snapshot);
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

void add_backends(Snapshot& snapshot, const PoolModel& model, TimePoint now) {
    snapshot.nat_backends = EndpointIndex(2 * model.backends().size());
    snapshot.nat_addresses = EndpointIndex(model.backends().size());
    snapshot.probe_sources = EndpointIndex(model.backends().size() + snapshot.vips.size());
    for (const Vip& vip : snapshot.vips)
        snapshot.probe_sources.insert({vip.endpoint.address, 0}, 0);
    for (const BackendState& backend : model.backends()) {
        if (!backend.exists()) { // unused id: calls remembered for it are forgotten
            snapshot.backends.push_back({{}, {}, {}, {}, BackendLife::Disabled});
            continue;
        }
        snapshot.backends.push_back({backend.config.name,
                                     backend.config.endpoint,
                                     backend.pool,
                                     egress_of(model.pool(backend.pool).config.mode,
                                               HopId{static_cast<std::uint16_t>(index(backend.id))},
                                               backend.config.endpoint),
                                     model.life(backend.id, now)});
        snapshot.probe_sources.insert({backend.config.endpoint.address, 0}, 0);
    }
    // When two names share one server, its answers count for the one that stays.
    for (const Membership membership : {Membership::Configured, Membership::Leaving})
        for (const BackendState& backend : model.backends()) {
            if (backend.membership != membership) continue;
            const PoolConfig& pool = model.pool(backend.pool).config;
            if (!info_of(pool.mode).returns_through_us) continue;
            const auto id = static_cast<std::uint16_t>(index(backend.id));
            const Endpoint& endpoint = backend.config.endpoint;
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
      call_unit_(call_unit(config)) {
    for (const PoolConfig& pool : config.pools)
        pools_.emplace_back(pool, secret_);
}

/// Returns the shortest unit with which a deadline is at most a thousand units ahead.
std::chrono::seconds Publisher::call_unit(const Config& config) {
    std::chrono::milliseconds longest{0}; // max_call is at most any of these
    for (const PoolConfig& pool : config.pools)
        longest = std::max(longest, pool.call_lifetime);
    return std::chrono::ceil<std::chrono::seconds>(longest / 1000.0);
}

void Publisher::reconfigure() {
    std::vector<PoolRuntime> before = std::move(pools_);
    pools_.clear();
    for (const PoolConfig& pool : config_.pools) {
        const auto known = std::ranges::find(before, pool.name, &PoolRuntime::name);
        if (known == before.end()) {
            pools_.emplace_back(pool, secret_);
            continue;
        }
        known->reconfigure(pool);
        pools_.push_back(std::move(*known));
        before.erase(known);
    }
}

Pool Publisher::build_pool(const PoolModel& model, const PoolState& pool) const {
    const PoolRuntime& runtime = pools_[index(pool.id)];
    Pool made;
    made.name = pool.config.name;
    made.mode = pool.config.mode;
    made.health_known = model.health_known(pool.id);
    made.call_id_hash = hash_prefix(secret_, hash_bytes({}, pool.config.name), KeyType::CallId);
    made.slots = runtime.generations().slots();
    made.unsettled = runtime.generations().unsettled();
    made.marks = runtime.marks();
    made.picker = runtime.picker();
    made.keys = keys_of(pool.config, secret_);
    if (made.keys) made.tracking = Tracking::Keys;
    if (made.picker || pool.config.count_calls) made.tracking = Tracking::AllCalls;
    made.on_dead_owner = pool.config.on_dead_owner;
    made.shared_state = pool.config.shared_state;
    made.lifetimes.silence = static_cast<std::uint16_t>(pool.config.call_lifetime / call_unit_ + 1);
    if (config_.max_call)
        made.lifetimes.cap = static_cast<std::uint16_t>(*config_.max_call / call_unit_ + 1);
    made.transaction_hash =
        hash_prefix(secret_, hash_bytes({}, pool.config.name), KeyType::Transaction);
    made.lifetimes.ringing = static_cast<std::uint16_t>(config_.timer_c / call_unit_ + 1);
    made.lifetimes.transaction =
        static_cast<std::uint16_t>(transaction_time(config_) / call_unit_ + 1);
    made.lifetimes.unit_seconds = static_cast<std::uint32_t>(call_unit_.count());
    return made;
}

void Publisher::calls_predate_us(bool remembered) {
    had_calls_ = true;
    if (remembered) return;
    for (PoolRuntime& pool : pools_)
        pool.set_counts_since(std::nullopt);
}

void Publisher::note_tracking(const Snapshot& snapshot, const PoolModel& model, TimePoint now) {
    for (const PoolState& pool : model.pools()) {
        PoolRuntime& runtime = pools_[index(pool.id)];
        const bool begins = pools_seen_.insert(runtime.name()).second && !had_calls_;
        if (!snapshot.pools[index(pool.id)].tracks_all_calls())
            runtime.set_counts_since(std::nullopt);
        else if (!runtime.counts_since()) // a new pool has no earlier calls
            runtime.set_counts_since(begins ? now - pool.config.call_lifetime : now);
    }
    had_calls_ = false; // pools added by a reload have no earlier calls
}

bool Publisher::tracks_every_call(const PoolState& pool, TimePoint now) const {
    const std::optional<TimePoint> since = counts_since(pool.id);
    return since && *since + pool.config.call_lifetime <= now;
}

std::unique_ptr<const Snapshot> Publisher::build(const PoolModel& model, TimePoint now) {
    auto snapshot = std::make_unique<Snapshot>();
    snapshot->number = ++number_;
    snapshot->secret = secret_;
    snapshot->calls_a_second = config_.new_calls.value_or(0);
    for (const PoolState& pool : model.pools()) {
        pools_[index(pool.id)].follow(model, pool, loads_, now);
        snapshot->pools.push_back(build_pool(model, pool));
    }
    add_vips(*snapshot, config_);
    moves_.update(*snapshot, config_, model, has_table(), now);
    note_tracking(*snapshot, model, now);
    add_own_addresses(*snapshot, config_, probe_udp_port_);
    add_backends(*snapshot, model, now);
    lives_.clear();
    for (Backend& backend : snapshot->backends) {
        lives_.push_back(backend.life);
        const BackendState& state = model.backends()[lives_.size() - 1];
        backend.is_evacuating = state.exists() && pools_[index(state.pool)].is_evacuating(state);
    }
    assert_valid(*snapshot);
    current_ = std::make_unique<const Snapshot>(*snapshot);
    return snapshot;
}

std::unique_ptr<const Snapshot> Publisher::stage_vips(const Config& next) {
    auto snapshot = std::make_unique<Snapshot>(*current_);
    snapshot->number = ++number_;
    for (const VipConfig& vip : next.vips) {
        if (snapshot->vip_by_endpoint.find(vip.endpoint)) continue;
        Vip expected;
        expected.name = vip.name;
        expected.endpoint = vip.endpoint;
        expected.enabled = false;
        snapshot->vips.push_back(std::move(expected));
    }
    index_vips(*snapshot);
    assert_valid(*snapshot);
    return snapshot;
}

bool Publisher::is_stale(const PoolModel& model, TimePoint now) const {
    for (const PoolState& pool : model.pools())
        if (pools_[index(pool.id)].is_stale(model, pool.id, now)) return true;
    if (moves_.are_stale(model, has_table(), now)) return true;
    for (std::size_t i = 0; i < lives_.size(); ++i)
        if (lives_[i] == BackendLife::Silent &&
            model.life(static_cast<BackendId>(i), now) != BackendLife::Silent)
            return true;
    return false;
}

VipMoves::HasTable Publisher::has_table() const {
    return [this](PoolId pool) { return generations(pool).slots() != nullptr; };
}

const std::string& Publisher::digest(PoolId pool) const {
    return generations(pool).digest();
}

} // namespace viaduct
