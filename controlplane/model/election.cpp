// SPDX-License-Identifier: Apache-2.0
#include "model/election.hpp"

#include <algorithm>
#include <functional>
#include <map>

namespace viaduct {

namespace {

constexpr unsigned kSteps = 5;

/// A backend that may take calls.
struct Eligible {
    const BackendState* backend;
    bool is_ready;  ///< eligible for at least hold_down
    unsigned steps; ///< slow start: step of its share reached, 1..kSteps
};

/// Returns `from` + `span`, at most TimePoint::max().
TimePoint after(TimePoint from, Clock::duration span) {
    return from > TimePoint::max() - span ? TimePoint::max() : from + span;
}

class TierElection {
public:
    TierElection(const PoolModel& model, const PoolState& pool, TimePoint now)
        : pool_(pool.config), now_(now) {
        for (const BackendId id : pool.backends)
            if (const BackendState& backend = model.backend(id); backend.takes_calls())
                tiers_[backend.config.tier].push_back(eligibility_of(backend));
        for (auto& [tier, takers] : tiers_) // makes the result independent of the order in the file
            std::ranges::sort(takers, {}, [](const Eligible& one) { return one.backend->id; });
    }

    Election elect(const PoolModel& model, const std::vector<Candidate>& present) {
        Election result;
        if (tiers_.empty()) return result;
        auto tier = first_tier(&TierElection::has_enough_ready);
        if (tier == tiers_.end()) tier = first_tier(&TierElection::has_any_ready);
        if (tier == tiers_.end()) tier = first_tier(&TierElection::has_enough);
        if (tier == tiers_.end()) tier = tiers_.begin();
        result.best_tier = tier->first;
        if (const auto kept = kept_tier(model, present); kept > tier->first)
            tier = tiers_.find(kept);
        result.tier = tier->first;
        result.candidates = share_out(tier);
        result.changes_at = changes_at_;
        return result;
    }

private:
    using Tiers = std::map<unsigned, std::vector<Eligible>>;

    Eligible eligibility_of(const BackendState& backend) {
        if (!backend.takes_since) return {&backend, true, kSteps};
        const TimePoint ready = after(*backend.takes_since, pool_.hold_down);
        if (now_ < ready) {
            note_change(ready);
            return {&backend, false, 1};
        }
        unsigned steps = 1;
        for (; steps < kSteps; ++steps) {
            const TimePoint next = after(ready, pool_.slow_start * steps / (kSteps - 1));
            if (now_ >= next) continue;
            note_change(next);
            break;
        }
        return {&backend, true, steps};
    }
    void note_change(TimePoint at) { changes_at_ = std::min(changes_at_.value_or(at), at); }

    [[nodiscard]] bool has_enough(const std::vector<Eligible>& takers) const {
        return takers.size() >= pool_.min_up;
    }
    [[nodiscard]] bool has_enough_ready(const std::vector<Eligible>& takers) const {
        return static_cast<std::size_t>(std::ranges::count_if(takers, &Eligible::is_ready)) >=
               pool_.min_up;
    }
    [[nodiscard]] bool has_any_ready(const std::vector<Eligible>& takers) const {
        return std::ranges::any_of(takers, &Eligible::is_ready);
    }
    Tiers::iterator first_tier(bool (TierElection::*enough)(const std::vector<Eligible>&) const) {
        return std::ranges::find_if(tiers_,
                                    [&](const auto& tier) { return (this->*enough)(tier.second); });
    }

    /// Returns the tier that took over and may keep its new calls; 0 if there is none.
    [[nodiscard]] unsigned kept_tier(const PoolModel& model,
                                     const std::vector<Candidate>& present) const {
        if (pool_.failback) return 0;
        std::optional<unsigned> lowest; // while a tier comes back, two tiers share the calls
        for (const Candidate& one : present)
            if (index(one.id) < model.backends().size())
                if (const BackendState& backend = model.backend(one.id);
                    backend.exists() && backend.pool_name == pool_.name)
                    lowest = std::min(lowest.value_or(backend.config.tier), backend.config.tier);
        const auto tier = lowest ? tiers_.find(*lowest) : tiers_.end();
        return tier != tiers_.end() && has_enough_ready(tier->second) ? tier->first : 0;
    }

    [[nodiscard]] std::vector<Candidate> share_out(Tiers::iterator tier) const {
        const std::vector<Eligible>& takers = tier->second;
        const bool all = !has_any_ready(takers); // no ready backend: use those that still wait
        std::vector<Candidate> candidates;
        std::vector<unsigned> steps;
        for (const Eligible& one : takers) {
            if (!all && !one.is_ready) continue;
            candidates.push_back(candidate_of(*one.backend, one.steps));
            steps.push_back(one.steps);
        }
        // The tier counts as strong as the weakest of the min_up strongest backends.
        std::ranges::sort(steps, std::greater<>());
        const unsigned strength = steps[std::min<std::size_t>(pool_.min_up, steps.size()) - 1];
        const Tiers::const_iterator end = tiers_.end();
        const auto stand_in =
            std::find_if(std::next(Tiers::const_iterator(tier)), end, [&](const auto& other) {
                return has_enough_ready(other.second);
            });
        if (strength < kSteps && stand_in != end) {
            for (const Eligible& one : stand_in->second)
                if (one.is_ready)
                    candidates.push_back(candidate_of(*one.backend, kSteps - strength));
        } else if (steps.front() == steps.back()) { // equal steps: use the plain weights
            for (Candidate& candidate : candidates)
                candidate.weight /= steps.front();
        }
        std::ranges::sort(candidates, {}, &Candidate::id);
        return candidates;
    }
    static Candidate candidate_of(const BackendState& backend, unsigned steps) {
        return {backend.id, backend.config.name, backend.config.weight * steps};
    }

    const PoolConfig& pool_;
    TimePoint now_;
    Tiers tiers_;
    std::optional<TimePoint> changes_at_;
};

} // namespace

Election
elect(const PoolModel& model, PoolId pool, const std::vector<Candidate>& present, TimePoint now) {
    return TierElection(model, model.pool(pool), now).elect(model, present);
}

} // namespace viaduct
