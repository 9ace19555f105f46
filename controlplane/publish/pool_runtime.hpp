// SPDX-License-Identifier: Apache-2.0
//
// pool_runtime: the state of a pool at run time, apart from its configuration and its backends'
// health: generations of its table, marks, the picker, and since when it remembers every call.
//
// In:    the model, and the operator's wish for this pool.
// Out:   the parts of the pool's entry in a Snapshot.
// Cost:  control thread only.
#pragma once

#include "config/config.hpp"
#include "loop.hpp"
#include "model/election.hpp"
#include "model/generation.hpp"
#include "model/pool.hpp"

#include "viaduct/snapshot.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace viaduct {

class PoolRuntime {
public:
    PoolRuntime(const PoolConfig& pool, const SteeringSecret& secret);
    /// Applies a changed configuration of the same pool.
    void reconfigure(const PoolConfig& pool);

    [[nodiscard]] const std::string& name() const noexcept { return name_; }
    [[nodiscard]] const Generations& generations() const noexcept { return generations_; }
    [[nodiscard]] Generations& generations() noexcept { return generations_; }
    [[nodiscard]] const std::shared_ptr<SlotMarks>& marks() const noexcept { return marks_; }
    /// Null when the pool steers by hash.
    [[nodiscard]] const std::shared_ptr<const Picker>& picker() const noexcept { return picker_; }

    /// Makes the next follow() switch to what the model wants without announcing it.
    void switch_at_once() noexcept { at_once_ = true; }
    /// For pools without `failback`: returns to the preferred tier, with slow start.
    void fail_back() noexcept { fails_back_ = wants_build_ = true; }

    /// Returns which backends may take new calls, given those that do.
    [[nodiscard]] Election elect(const PoolModel& model, PoolId pool, TimePoint now) const;
    /// Brings generations and picker up to date with the model.
    void follow(const PoolModel& model,
                const PoolState& pool,
                std::shared_ptr<BackendLoads> loads,
                TimePoint now);
    /// Whether the result of follow() is out of date, by time alone or because of marks of workers.
    [[nodiscard]] bool is_stale(const PoolModel& model, PoolId pool, TimePoint now) const;
    /// Whether the backend gets no new calls any more, so that its registrations should move away.
    [[nodiscard]] bool is_evacuating(const BackendState& backend) const;

    /// Since when every call of the pool is remembered; empty: not every call is.
    [[nodiscard]] std::optional<TimePoint> counts_since() const noexcept { return counts_since_; }
    void set_counts_since(std::optional<TimePoint> since) noexcept { counts_since_ = since; }

private:
    [[nodiscard]] Generations::Wish
    wish_of(const PoolModel& model, const PoolState& pool, Election& election) const;
    void update_picker(const PoolModel& model,
                       const PoolState& pool,
                       std::shared_ptr<BackendLoads> loads);

    std::string name_;
    Generations generations_;
    std::shared_ptr<SlotMarks> marks_ = std::make_shared<SlotMarks>();
    std::shared_ptr<const Picker> picker_;
    std::shared_ptr<std::atomic<std::uint64_t>> turn_ =
        std::make_shared<std::atomic<std::uint64_t>>(0);
    bool at_once_ = false;
    bool fails_back_ = false;
    bool wants_build_ = false;            ///< an operator's wish waits for follow()
    std::optional<TimePoint> changes_at_; ///< from the last election
    bool marks_shown_ = false;            ///< the last snapshot makes workers check the marks
    std::optional<TimePoint> counts_since_;
};

/// Returns the keys of the pool's methods; null: the Call-ID for all.
[[nodiscard]] std::shared_ptr<const PoolKeys> keys_of(const PoolConfig& pool,
                                                      const SteeringSecret& secret);

} // namespace viaduct
