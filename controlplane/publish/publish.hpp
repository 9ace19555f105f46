// SPDX-License-Identifier: Apache-2.0
//
// publish: model and configuration -> Snapshot -> workers.
#pragma once

#include "config/config.hpp"
#include "model/pool.hpp"
#include "publish/pool_runtime.hpp"
#include "publish/vip_moves.hpp"

#include "viaduct/snapshot.hpp"

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace viaduct {

class Publisher {
public:
    /// `probe_udp_port` 0: no packet is taken for the answer to a probe (replay).
    Publisher(const Config& config, const SteeringSecret& secret, std::uint16_t probe_udp_port);

    /// Builds a complete snapshot of the model. Unchanged parts are shared with the last one.
    [[nodiscard]] std::unique_ptr<const Snapshot> build(const PoolModel& model,
                                                        TimePoint now = Clock::now());

    /// Returns the last snapshot plus the VIPs of another configuration, still disabled. Workers
    /// must know an address before the kernel has it; otherwise the kernel answers SIP with ICMP.
    [[nodiscard]] std::unique_ptr<const Snapshot> stage_vips(const Config& next);

    /// True when the last snapshot is out of date by time alone or because of marks of workers,
    /// e.g. an announced change is due or a backend has been silent for too long.
    [[nodiscard]] bool is_stale(const PoolModel& model, TimePoint now) const;

    /// Applies the configuration, whose pools may have a new order. Call after
    /// PoolModel::reconfigure().
    void reconfigure();

    /// Makes the next build() switch this pool to what the model wants without announcing it.
    void switch_at_once(PoolId pool) { pools_[index(pool)].switch_at_once(); }

    /// For pools without `failback`: returns to the preferred tier, with slow start.
    void fail_back(PoolId pool) { pools_[index(pool)].fail_back(); }
    /// Returns which backends may take new calls, given those that do.
    [[nodiscard]] Election
    elect(const PoolModel& model, PoolId pool, TimePoint now = Clock::now()) const {
        return pools_[index(pool)].elect(model, pool, now);
    }

    /// VIPs with a previous pool, as of the last build().
    [[nodiscard]] const std::vector<Move>& moves() const noexcept { return moves_.all(); }
    /// Restores the moves of an earlier process. Call before the first build().
    void restore(std::vector<Move> moves) { moves_.restore(std::move(moves)); }
    /// Restores since when an earlier process remembered every call of the pool. Call before the
    /// first build().
    void restore_counting(PoolId pool, TimePoint since) {
        pools_[index(pool)].set_counts_since(since);
    }
    /// Reports that calls were in progress before the first build(). A pool that remembers every
    /// call then does so only from now on, unless calls are `remembered` and restore_counting() set
    /// an earlier time. Without this call, new pools count as complete at once.
    void calls_predate_us(bool remembered);
    /// Since when the pool remembers every call; empty: it does not.
    [[nodiscard]] std::optional<TimePoint> counts_since(PoolId pool) const {
        return pools_[index(pool)].counts_since();
    }
    /// Whether every call in progress of the pool is remembered: it has remembered all calls for at
    /// least call_lifetime.
    [[nodiscard]] bool tracks_every_call(const PoolState& pool, TimePoint now = Clock::now()) const;

    /// The last built snapshot, kept for `explain` and `show`; null before the first build().
    [[nodiscard]] const Snapshot* current() const noexcept { return current_.get(); }
    /// Digest of the current table; "-" when no backend is eligible.
    [[nodiscard]] const std::string& digest(PoolId pool) const;
    [[nodiscard]] const Generations& generations(PoolId pool) const {
        return pools_[index(pool)].generations();
    }
    [[nodiscard]] Generations& generations(PoolId pool) {
        return pools_[index(pool)].generations();
    }
    /// The workers' counts per backend; set after each pass over the table of calls.
    [[nodiscard]] BackendLoads& loads() noexcept { return *loads_; }
    [[nodiscard]] SlotMarks& marks(PoolId pool) { return *pools_[index(pool)].marks(); }
    /// The length of a unit of CallTime: the same for all pools and constant while viaductd runs.
    [[nodiscard]] std::chrono::seconds call_unit() const noexcept { return call_unit_; }
    /// Timer C.
    [[nodiscard]] std::chrono::milliseconds longest_ringing() const noexcept {
        return config_.timer_c;
    }
    /// Returns the unit that this configuration would give.
    [[nodiscard]] static std::chrono::seconds call_unit(const Config& config);

private:
    [[nodiscard]] Pool build_pool(const PoolModel& model, const PoolState& pool) const;
    void note_tracking(const Snapshot& snapshot, const PoolModel& model, TimePoint now);
    [[nodiscard]] VipMoves::HasTable has_table() const;

    const Config& config_;
    SteeringSecret secret_;
    std::uint16_t probe_udp_port_;
    std::chrono::seconds call_unit_;
    std::set<std::string> pools_seen_; ///< names
    bool had_calls_ = false;
    std::vector<PoolRuntime> pools_; ///< by PoolId
    VipMoves moves_;
    std::shared_ptr<BackendLoads> loads_ = std::make_shared<BackendLoads>();
    std::vector<BackendLife> lives_; ///< by BackendId, in the last snapshot
    std::uint64_t number_ = 0;
    std::unique_ptr<const Snapshot> current_;
};

} // namespace viaduct
