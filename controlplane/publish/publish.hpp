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
    /// `probe_udp_port` 0: nothing is taken for an answer to a probe (replay).
    Publisher(const Config& config, const SteeringSecret& secret, std::uint16_t probe_udp_port);

    /// Builds a whole new snapshot of the model. What did not change is shared with the last one.
    [[nodiscard]] std::unique_ptr<const Snapshot> build(const PoolModel& model,
                                                        TimePoint now = Clock::now());

    /// The last snapshot with the VIPs of another configuration besides, still switched off:
    /// workers must know an address before the kernel has it, or the kernel answers SIP with ICMP.
    [[nodiscard]] std::unique_ptr<const Snapshot> stage_vips(const Config& next);

    /// True when time alone, or what workers marked, made the last snapshot stale: an announced
    /// change is due, a backend is silent for too long.
    [[nodiscard]] bool is_stale(const PoolModel& model, TimePoint now) const;

    /// What the configuration says now, its pools in their new order. The model is to know it
    /// already.
    void reconfigure();

    /// The next build() switches this pool to what the model wants without announcing it.
    void switch_at_once(PoolId pool) { pools_[index(pool)].switch_at_once(); }

    /// Without `failback`: back to the tier that was passed over, with slow start.
    void fail_back(PoolId pool) { pools_[index(pool)].fail_back(); }
    /// Which backends may take new calls, given those that do.
    [[nodiscard]] Election
    elect(const PoolModel& model, PoolId pool, TimePoint now = Clock::now()) const {
        return pools_[index(pool)].elect(model, pool, now);
    }

    /// VIPs with a previous pool, in the last build().
    [[nodiscard]] const std::vector<Move>& moves() const noexcept { return moves_.all(); }
    /// Of another process, before the first build().
    void restore(std::vector<Move> moves) { moves_.restore(std::move(moves)); }
    /// The same, of one pool.
    void restore_counting(PoolId pool, TimePoint since) {
        pools_[index(pool)].set_counts_since(since);
    }
    /// There were calls before the first build(). Unless they are `remembered`, or where no moment
    /// was restored, a pool that remembers every call does so from then on; else always.
    void calls_predate_us(bool remembered);
    /// Since when the pool remembers every call; empty: it does not.
    [[nodiscard]] std::optional<TimePoint> counts_since(PoolId pool) const {
        return pools_[index(pool)].counts_since();
    }
    /// Whether every living call of the pool is remembered: it has remembered what it sees for
    /// as long as a call may be silent.
    [[nodiscard]] bool tracks_every_call(const PoolState& pool, TimePoint now = Clock::now()) const;

    /// What was built last, kept for `explain` and `show`; null before the first build().
    [[nodiscard]] const Snapshot* current() const noexcept { return current_.get(); }
    /// Of the table in force; "-" when nothing is eligible.
    [[nodiscard]] const std::string& digest(PoolId pool) const;
    [[nodiscard]] const Generations& generations(PoolId pool) const {
        return pools_[index(pool)].generations();
    }
    [[nodiscard]] Generations& generations(PoolId pool) {
        return pools_[index(pool)].generations();
    }
    /// What workers count of each backend; set after each pass over the table of calls.
    [[nodiscard]] BackendLoads& loads() noexcept { return *loads_; }
    [[nodiscard]] SlotMarks& marks(PoolId pool) { return *pools_[index(pool)].marks(); }
    /// How long a unit of CallTime is: the same for all pools, as long as viaductd runs.
    [[nodiscard]] std::chrono::seconds call_unit() const noexcept { return call_unit_; }
    /// Timer C.
    [[nodiscard]] std::chrono::milliseconds longest_ringing() const noexcept {
        return config_.timer_c;
    }
    /// What it would be with this configuration.
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
