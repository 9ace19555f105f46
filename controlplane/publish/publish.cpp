// SPDX-License-Identifier: Apache-2.0
#include "publish/publish.hpp"

#include "host/next_hop_table.hpp"
#include "model/sequence.hpp"

#include "viaduct/sip/message.hpp"
#include "viaduct/steering/steer.hpp"

#include <algorithm>
#include <utility>

namespace viaduct {

namespace {

Generations::Times times_of(const PoolConfig& pool) {
    return {pool.t_settle, std::chrono::duration_cast<std::chrono::seconds>(pool.call_lifetime)};
}

PoolId pool_by_name(const Config& config, const std::string& name) {
    for (std::size_t i = 0; i < config.pools.size(); ++i)
        if (config.pools[i].name == name) return PoolId{static_cast<std::uint16_t>(i)};
    throw Error("no pool \"" + name + "\"");
}

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

void add_vips(Snapshot& snapshot, const Config& config) {
    for (const VipConfig& vip : config.vips) {
        const auto id = static_cast<std::uint16_t>(snapshot.vips.size());
        const PoolId pool = pool_by_name(config, vip.pool);
        if (vip.previous_pool) { // what is remembered in one of both tells whose a call is
            const PoolId before = pool_by_name(config, *vip.previous_pool);
            for (const PoolId one : {pool, before}) {
                snapshot.pools[index(one)].tracks_all_calls = true;
                snapshot.pools[index(one)].always_looks_up = true;
            }
            if (Pool& old = snapshot.pools[index(before)]; info_of(old.mode).returns_through_us)
                old.nat_vip = VipId{id};
        }
        Pool& serving = snapshot.pools[index(pool)];
        // On a day without changes the Call-ID says all.
        const bool settled = !serving.always_looks_up && !serving.unsettled &&
                             !(serving.marks && serving.marks->any());
        const ReadRules rules{
            settled ? Want::CallReference : kWantForCalls, vip.lenient, vip.max_header_lines};
        snapshot.vips.push_back({vip.name,
                                 vip.endpoint,
                                 pool,
                                 vip.enabled,
                                 rules,
                                 port_of_vip(vip.endpoint.address, config)});
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
        if (!backend.exists()) { // nobody; calls that are remembered of it are forgotten
            snapshot.backends.push_back({{}, {}, {}, {}, BackendLife::Disabled});
            continue;
        }
        snapshot.backends.push_back({backend.config.name,
                                     backend.config.endpoint,
                                     backend.pool,
                                     HopId{static_cast<std::uint16_t>(index(backend.id))},
                                     model.life(backend.id, now)});
        snapshot.probe_sources.insert({backend.config.endpoint.address, 0}, 0);
    }
    // Of two names for one server the answers are of the one that stays.
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
        pools_.push_back(parts_of(pool));
}

/// So long that a deadline is at most a thousand units ahead, and the shortest that is.
std::chrono::seconds Publisher::call_unit(const Config& config) {
    std::chrono::milliseconds longest{0}; // max_call is no longer than any
    for (const PoolConfig& pool : config.pools)
        longest = std::max(longest, pool.call_lifetime);
    return std::chrono::ceil<std::chrono::seconds>(longest / 1000.0);
}

Publisher::PoolParts Publisher::parts_of(const PoolConfig& pool) const {
    return {pool.name, Generations(times_of(pool), secret_, pool.table)};
}

void Publisher::reconfigure() {
    std::vector<PoolParts> before = std::move(pools_);
    pools_.clear();
    for (const PoolConfig& pool : config_.pools) {
        const auto known = std::ranges::find(before, pool.name, &PoolParts::name);
        if (known == before.end()) {
            pools_.push_back(parts_of(pool));
            continue;
        }
        known->generations.set_times(times_of(pool));
        known->generations.set_table(pool.table);
        pools_.push_back(std::move(*known));
        known->name.clear(); // not to be found twice
    }
}

namespace {

/// Zeros: it is not asked.
MethodWork work_of(const PoolConfig& pool) {
    MethodWork work{};
    if (pool.steering == SteerBy::LeastTransactions || pool.steering == SteerBy::LeastWork)
        work.fill(4);
    if (pool.steering == SteerBy::LeastWork)
        for (const auto& [method, quarters] : pool.work.list) // "other" is Method::Other
            work[static_cast<std::size_t>(method_named(method))] =
                static_cast<std::uint8_t>(quarters);
    return work;
}

/// Null: the Call-ID for all.
std::shared_ptr<const PoolKeys> keys_of(const PoolConfig& pool, const SteeringSecret& secret) {
    if (pool.key.type == KeyType::CallId && pool.keys.list.empty()) return nullptr;
    auto keys = std::make_shared<PoolKeys>();
    const auto rule_of = [&](const KeyConfig& key) {
        const KeyType hashed = key.type == KeyType::From ? KeyType::Aor : key.type;
        return KeyRule{
            key.type, hash_prefix(secret, hash_bytes({}, pool.name), hashed), key.header};
    };
    for (KeyRule& rule : keys->by_method)
        rule = rule_of(pool.key);
    for (const auto& [method, key] : pool.keys.list)
        keys->by_method[static_cast<std::size_t>(method_named(method))] = rule_of(key);
    return keys;
}

} // namespace

/// Anew only when something is different: a sequence may be long.
void Publisher::update_dealer(PoolParts& parts,
                              const PoolModel& model,
                              const PoolState& pool) const {
    if (pool.config.steering == SteerBy::Hash) {
        parts.picker.reset();
        return;
    }
    auto next = std::make_shared<Picker>();
    next->by = pool.config.steering;
    next->turn = parts.turn;
    next->loads = loads_;
    next->work = work_of(pool.config);
    std::vector<unsigned> weights;
    if (!parts.generations.all().empty())
        for (const Candidate& candidate : parts.generations.all().back().candidates) {
            const std::optional<unsigned> limit = model.backend(candidate.id).config.max_calls;
            next->members.push_back(
                {candidate.id, candidate.weight, limit ? *limit : Picker::kNoLimit});
            weights.push_back(candidate.weight);
        }
    if (parts.picker && parts.picker->by == next->by && parts.picker->members == next->members &&
        parts.picker->work == next->work)
        return;
    next->sequence = weighted_sequence(weights);
    parts.picker = std::move(next);
}

namespace {

bool waits_for_newcomers(const PoolModel& model, const PoolState& pool) {
    return std::ranges::any_of(pool.backends, [&](BackendId id) {
        const BackendState& backend = model.backend(id);
        return backend.joined_running_pool && backend.membership == Membership::Configured &&
               backend.health == Health::Unknown && backend.admin == Admin::Enabled;
    });
}

} // namespace

Pool Publisher::build_pool(const PoolModel& model, const PoolState& pool, TimePoint now) {
    PoolParts& parts = pools_[index(pool.id)];
    const bool health_known = model.health_known(pool.id);
    parts.changes_at.reset();
    if (health_known) { // a set that grows verdict by verdict would move calls
        Generations::Wish wish;
        parts.wants_build = false;
        Election election = elect(model, pool.id, now);
        parts.changes_at = election.changes_at;
        wish.eligible = std::move(election.candidates);
        // Who was added is about to have a verdict: what is planned waits for it, or those that
        // leave would be replaced by nobody first.
        const Generations& known = parts.generations;
        wish.lost = model.lost(pool.id);
        if (waits_for_newcomers(model, pool) && !parts.at_once && !known.all().empty()) {
            std::vector<Candidate> promised = known.promised();
            std::erase_if(promised, [&](const Candidate& one) {
                return std::ranges::find(wish.lost, one.id) != wish.lost.end();
            });
            if (!promised.empty()) wish.eligible = std::move(promised);
        }
        // Of a restored generation: who is nobody any more.
        const auto add_strangers = [&](const Generation& generation) {
            for (const Candidate& one : generation.candidates)
                if (index(one.id) >= model.backends().size() || !model.backend(one.id).exists())
                    wish.lost.push_back(one.id);
        };
        if (!parts.generations.all().empty()) add_strangers(parts.generations.all().back());
        if (const auto& announced = parts.generations.announced()) add_strangers(*announced);
        // Where every call is remembered, nothing needs to be announced.
        wish.at_once = std::exchange(parts.at_once, false) || pool.config.steering != SteerBy::Hash;
        parts.generations.want(std::move(wish), now);
        // Once that is announced it stands by itself.
        if (std::exchange(parts.fails_back, false))
            parts.fails_back = elect(model, pool.id, now).tier != election.tier;
    }
    parts.generations.tick(now); // restored ones go on without a verdict
    Pool made;
    made.name = pool.config.name;
    made.mode = pool.config.mode;
    made.health_known = health_known;
    made.call_id_hash = hash_prefix(secret_, hash_bytes({}, pool.config.name), KeyType::CallId);
    made.slots = parts.generations.slots();
    made.unsettled = parts.generations.unsettled();
    made.marks = parts.marks;
    update_dealer(parts, model, pool);
    made.picker = parts.picker;
    made.keys = keys_of(pool.config, secret_);
    made.tracks_all_calls = made.picker != nullptr || pool.config.count_calls;
    made.always_looks_up = made.tracks_all_calls || made.keys;
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

namespace {

/// Null: a reload has just taken it out.
const PoolState* find_pool(const PoolModel& model, const std::string& name) {
    const auto found = std::ranges::find(
        model.pools(), name, [](const PoolState& pool) { return pool.config.name; });
    return found == model.pools().end() ? nullptr : &*found;
}

} // namespace

TimePoint Publisher::due(const Move& move, const PoolModel& model) {
    const PoolState* const previous = find_pool(model, move.previous);
    return previous == nullptr ? TimePoint::max() : move.since + previous->config.t_settle;
}

bool Publisher::may_move(const Move& move, const PoolModel& model, TimePoint now) const {
    if (move.has_moved || now < due(move, model)) return false;
    const PoolState* const pool = find_pool(model, move.pool);
    return pool != nullptr && model.health_known(pool->id) &&
           generations(pool->id).slots() != nullptr;
}

/// The one under way, perhaps back, or a new one.
Move Publisher::move_of(const VipConfig& vip, TimePoint now) const {
    const auto is_of = [&](const Move& one, const std::string& pool, const std::string& previous) {
        return (one.vip == vip.name || one.endpoint == vip.endpoint) && one.pool == pool &&
               one.previous == previous;
    };
    const std::string& previous = *vip.previous_pool;
    Move move{vip.name, vip.pool, previous, now, {}, false, vip.endpoint};
    for (const Move& one : moves_) {
        const bool goes_on = is_of(one, vip.pool, previous);
        const bool goes_back = is_of(one, previous, vip.pool);
        if (!goes_on && !goes_back) continue;
        move.since = one.since;
        move.moved_at = goes_on ? one.moved_at : now;
        // Back it goes at once: both remember what they took since.
        move.has_moved = goes_back || one.has_moved;
        move.owns_untracked = one.owns_untracked != goes_back;
    }
    return move;
}

void Publisher::update_moves(Snapshot& snapshot, const PoolModel& model, TimePoint now) {
    std::vector<Move> moves;
    for (std::size_t i = 0; i < config_.vips.size(); ++i) {
        const VipConfig& config = config_.vips[i];
        if (!config.previous_pool) continue;
        Move move = move_of(config, now);
        if (may_move(move, model, now)) {
            move.has_moved = true;
            move.moved_at = now;
        }
        snapshot.vips[i].previous = pool_by_name(config_, *config.previous_pool);
        snapshot.vips[i].has_moved = move.has_moved;
        snapshot.vips[i].owns_untracked = move.owns_untracked;
        moves.push_back(std::move(move));
    }
    moves_ = std::move(moves);
}

void Publisher::calls_predate_us(bool remembered) {
    had_calls_ = true;
    if (remembered) return;
    for (PoolParts& parts : pools_)
        parts.counts_since.reset();
}

void Publisher::note_tracking(const Snapshot& snapshot, const PoolModel& model, TimePoint now) {
    for (const PoolState& pool : model.pools()) {
        PoolParts& parts = pools_[index(pool.id)];
        const bool begins = pools_seen_.insert(parts.name).second && !had_calls_;
        if (!snapshot.pools[index(pool.id)].tracks_all_calls)
            parts.counts_since.reset();
        else if (!parts.counts_since) // who begins has no calls of before
            parts.counts_since = begins ? now - pool.config.call_lifetime : now;
    }
    had_calls_ = false; // pools of a reload begin
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
        PoolParts& parts = pools_[index(pool.id)];
        parts.marks_shown = parts.marks->any();
        snapshot->pools.push_back(build_pool(model, pool, now));
    }
    add_vips(*snapshot, config_);
    update_moves(*snapshot, model, now);
    note_tracking(*snapshot, model, now);
    add_own_addresses(*snapshot, config_, probe_udp_port_);
    add_backends(*snapshot, model, now);
    lives_.clear();
    for (Backend& backend : snapshot->backends) {
        lives_.push_back(backend.life);
        backend.is_evacuating = is_evacuating(model.backends()[lives_.size() - 1]);
    }
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
    return snapshot;
}

bool Publisher::is_stale(const PoolModel& model, TimePoint now) {
    for (const PoolState& pool : model.pools()) {
        PoolParts& parts = pools_[index(pool.id)];
        if ((parts.at_once || parts.wants_build) && model.health_known(pool.id)) return true;
        if (parts.changes_at && *parts.changes_at <= now) return true;
        const std::optional<Generation>& announced = parts.generations.announced();
        if (announced && announced->since <= now) return true;
        if (parts.generations.has_old(now)) return true;
        if (parts.marks_shown != parts.marks->any()) return true;
    }
    for (const Move& move : moves_)
        if (may_move(move, model, now)) return true;
    for (std::size_t i = 0; i < lives_.size(); ++i)
        if (lives_[i] == BackendLife::Silent &&
            model.life(static_cast<BackendId>(i), now) != BackendLife::Silent)
            return true;
    return false;
}

Election Publisher::elect(const PoolModel& model, PoolId pool, TimePoint now) const {
    const PoolParts& parts = pools_[index(pool)];
    if (parts.fails_back) return viaduct::elect(model, pool, {}, now);
    return viaduct::elect(model, pool, parts.generations.promised(), now);
}

bool Publisher::is_evacuating(const BackendState& backend) const {
    if (!backend.exists()) return false;
    const bool is_wanted = backend.admin == Admin::Drain ||
                           backend.membership == Membership::Leaving || backend.config.weight == 0;
    const std::deque<Generation>& all = generations(backend.pool).all();
    return is_wanted && !all.empty() &&
           std::ranges::find(all.back().candidates, backend.id, &Candidate::id) ==
               all.back().candidates.end();
}

const std::string& Publisher::digest(PoolId pool) const {
    return pools_[index(pool)].generations.digest();
}

} // namespace viaduct
