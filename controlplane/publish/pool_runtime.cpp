// SPDX-License-Identifier: Apache-2.0
#include "publish/pool_runtime.hpp"

#include "model/sequence.hpp"

#include "viaduct/sip/message.hpp"
#include "viaduct/steering/steer.hpp"

#include <algorithm>
#include <utility>
#include <vector>

namespace viaduct {

namespace {

Generations::Times times_of(const PoolConfig& pool) {
    return {pool.t_settle, std::chrono::duration_cast<std::chrono::seconds>(pool.call_lifetime)};
}

/// All zero when unused.
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

bool waits_for_newcomers(const PoolModel& model, const PoolState& pool) {
    return std::ranges::any_of(pool.backends, [&](BackendId id) {
        const BackendState& backend = model.backend(id);
        return backend.joined_running_pool && backend.membership == Membership::Configured &&
               backend.health == Health::Unknown && backend.admin == Admin::Enabled;
    });
}

} // namespace

PoolRuntime::PoolRuntime(const PoolConfig& pool, const SteeringSecret& secret)
    : name_(pool.name), generations_(times_of(pool), secret, pool.table) {}

void PoolRuntime::reconfigure(const PoolConfig& pool) {
    generations_.set_times(times_of(pool));
    generations_.set_table(pool.table);
}

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

Election PoolRuntime::elect(const PoolModel& model, PoolId pool, TimePoint now) const {
    if (fails_back_) return viaduct::elect(model, pool, {}, now);
    return viaduct::elect(model, pool, generations_.promised(), now);
}

void PoolRuntime::follow(const PoolModel& model,
                         const PoolState& pool,
                         std::shared_ptr<BackendLoads> loads,
                         TimePoint now) {
    marks_shown_ = marks_->any();
    changes_at_.reset();
    if (model.health_known(pool.id)) { // adding backends one result at a time would move calls
        wants_build_ = false;
        Election election = elect(model, pool.id, now);
        changes_at_ = election.changes_at;
        Generations::Wish wish = wish_of(model, pool, election);
        // Pools that remember every call need no announcement.
        wish.at_once = std::exchange(at_once_, false) || pool.config.steering != SteerBy::Hash;
        generations_.want(std::move(wish), now);
        // The wish is done once the change is announced.
        if (std::exchange(fails_back_, false))
            fails_back_ = elect(model, pool.id, now).tier != election.tier;
    }
    generations_.tick(now); // restored generations go on before health is known
    update_picker(model, pool, std::move(loads));
}

Generations::Wish
PoolRuntime::wish_of(const PoolModel& model, const PoolState& pool, Election& election) const {
    Generations::Wish wish;
    wish.eligible = std::move(election.candidates);
    wish.lost = model.lost(pool.id);
    // The health of an added backend will be known soon, and planned changes wait for it. Otherwise
    // leaving backends would be replaced before their successors are eligible.
    if (waits_for_newcomers(model, pool) && !at_once_ && !generations_.all().empty()) {
        std::vector<Candidate> promised = generations_.promised();
        std::erase_if(promised, [&](const Candidate& one) {
            return std::ranges::find(wish.lost, one.id) != wish.lost.end();
        });
        if (!promised.empty()) wish.eligible = std::move(promised);
    }
    // A restored generation may name backends that do not exist any more.
    const auto add_unknown = [&](const Generation& generation) {
        for (const Candidate& one : generation.candidates)
            if (index(one.id) >= model.backends().size() || !model.backend(one.id).exists())
                wish.lost.push_back(one.id);
    };
    if (!generations_.all().empty()) add_unknown(generations_.all().back());
    if (const auto& announced = generations_.announced()) add_unknown(*announced);
    return wish;
}

/// Builds a new picker only when something differs, because a sequence may be long.
void PoolRuntime::update_picker(const PoolModel& model,
                                const PoolState& pool,
                                std::shared_ptr<BackendLoads> loads) {
    if (pool.config.steering == SteerBy::Hash) {
        picker_.reset();
        return;
    }
    auto next = std::make_shared<Picker>();
    next->by = pool.config.steering;
    next->turn = turn_;
    next->loads = std::move(loads);
    next->work = work_of(pool.config);
    std::vector<unsigned> weights;
    if (!generations_.all().empty())
        for (const Candidate& candidate : generations_.all().back().candidates) {
            const std::optional<unsigned> limit = model.backend(candidate.id).config.max_calls;
            next->members.push_back(
                {candidate.id, candidate.weight, limit ? *limit : Picker::kNoLimit});
            weights.push_back(candidate.weight);
        }
    if (picker_ && picker_->by == next->by && picker_->members == next->members &&
        picker_->work == next->work)
        return;
    next->sequence = weighted_sequence(weights);
    picker_ = std::move(next);
}

bool PoolRuntime::is_stale(const PoolModel& model, PoolId pool, TimePoint now) const {
    if ((at_once_ || wants_build_) && model.health_known(pool)) return true;
    if (changes_at_ && *changes_at_ <= now) return true;
    const std::optional<Generation>& announced = generations_.announced();
    if (announced && announced->since <= now) return true;
    return generations_.has_old(now) || marks_shown_ != marks_->any();
}

bool PoolRuntime::is_evacuating(const BackendState& backend) const {
    if (!backend.exists()) return false;
    const bool is_wanted = backend.admin == Admin::Drain ||
                           backend.membership == Membership::Leaving || backend.config.weight == 0;
    const std::deque<Generation>& all = generations_.all();
    return is_wanted && !all.empty() &&
           std::ranges::find(all.back().candidates, backend.id, &Candidate::id) ==
               all.back().candidates.end();
}

} // namespace viaduct
