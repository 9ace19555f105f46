// SPDX-License-Identifier: Apache-2.0
//
// publish: model and configuration -> Snapshot -> workers.
#pragma once

#include "config/config.hpp"
#include "model/election.hpp"
#include "model/generation.hpp"
#include "model/pool.hpp"
#include "model/table.hpp"

#include "viaduct/snapshot.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

namespace viaduct {

/// A VIP on its way from one pool to another (`previous_pool`).
struct Move {
    std::string vip;
    std::string pool;
    std::string previous;
    TimePoint since;        ///< when it was first published
    TimePoint moved_at;     ///< with has_moved
    bool has_moved = false; ///< what begins goes to the new pool
    Endpoint endpoint{};    ///< of the VIP: under another name it is the same
    /// Both pools were the other way round at first: what nobody remembers began in `pool`.
    bool owns_untracked = false;
};

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
    [[nodiscard]] bool is_stale(const PoolModel& model, TimePoint now);

    /// What the configuration says now, its pools in their new order. The model is to know it
    /// already.
    void reconfigure();

    /// The next build() switches this pool to what the model wants without announcing it.
    void switch_at_once(PoolId pool) { pools_[index(pool)].at_once = true; }

    /// Without `failback`: back to the tier that was passed over, with slow start.
    void fail_back(PoolId pool) {
        pools_[index(pool)].fails_back = pools_[index(pool)].wants_build = true;
    }
    /// Who may take new calls, given who does.
    [[nodiscard]] Election
    elect(const PoolModel& model, PoolId pool, TimePoint now = Clock::now()) const;

    /// VIPs with a previous pool, in the last build().
    [[nodiscard]] const std::vector<Move>& moves() const noexcept { return moves_; }
    /// Of another process, before the first build().
    void restore(std::vector<Move> moves) { moves_ = std::move(moves); }
    /// The same, of one pool.
    void restore_counting(PoolId pool, TimePoint since) {
        pools_[index(pool)].counts_since = since;
    }
    /// There were calls before the first build(). Unless they are `remembered`, or where no moment
    /// was restored, a pool that remembers every call does so from then on; else always.
    void calls_predate_us(bool remembered);
    /// Since when the pool remembers every call; empty: it does not.
    [[nodiscard]] std::optional<TimePoint> counts_since(PoolId pool) const {
        return pools_[index(pool)].counts_since;
    }
    /// Whether every living call of the pool is remembered: it has remembered what it sees for
    /// as long as a call may be silent.
    [[nodiscard]] bool tracks_every_call(const PoolState& pool, TimePoint now = Clock::now()) const;
    /// When it is due: what began before has been repeated for the last time.
    [[nodiscard]] static TimePoint due(const Move& move, const PoolModel& model);

    /// What was built last, kept for `explain` and `show`; null before the first build().
    [[nodiscard]] const Snapshot* current() const noexcept { return current_.get(); }
    /// Of the table in force; "-" when nothing is eligible.
    [[nodiscard]] const std::string& digest(PoolId pool) const;
    [[nodiscard]] const Generations& generations(PoolId pool) const {
        return pools_[index(pool)].generations;
    }
    [[nodiscard]] Generations& generations(PoolId pool) { return pools_[index(pool)].generations; }
    /// What workers count of each backend; set after each pass over the table of calls.
    [[nodiscard]] BackendLoads& loads() noexcept { return *loads_; }
    [[nodiscard]] SlotMarks& marks(PoolId pool) { return *pools_[index(pool)].marks; }
    /// How long a unit of CallTime is: the same for all pools, as long as viaductd runs.
    [[nodiscard]] std::chrono::seconds call_unit() const noexcept { return call_unit_; }
    /// Timer C.
    [[nodiscard]] std::chrono::milliseconds longest_ringing() const noexcept {
        return config_.timer_c;
    }
    /// What it would be with this configuration.
    [[nodiscard]] static std::chrono::seconds call_unit(const Config& config);

private:
    struct PoolParts {
        PoolParts(std::string pool_name, Generations made)
            : name(std::move(pool_name)), generations(std::move(made)) {}
        std::string name;
        Generations generations;
        std::shared_ptr<SlotMarks> marks = std::make_shared<SlotMarks>();
        std::shared_ptr<const Picker> picker; ///< null: by hash
        std::shared_ptr<std::atomic<std::uint64_t>> turn =
            std::make_shared<std::atomic<std::uint64_t>>(0);
        bool at_once = false;
        bool fails_back = false;
        bool wants_build = false;            ///< an operator's wish waits for it
        std::optional<TimePoint> changes_at; ///< of the last election
        bool marks_shown = false;            ///< the last snapshot has workers look at the marks
        std::optional<TimePoint> counts_since;
    };
    [[nodiscard]] PoolParts parts_of(const PoolConfig& pool) const;
    void update_dealer(PoolParts& parts, const PoolModel& model, const PoolState& pool) const;
    [[nodiscard]] Pool build_pool(const PoolModel& model, const PoolState& pool, TimePoint now);

    [[nodiscard]] Move move_of(const VipConfig& vip, TimePoint now) const;
    void update_moves(Snapshot& snapshot, const PoolModel& model, TimePoint now);
    [[nodiscard]] bool may_move(const Move& move, const PoolModel& model, TimePoint now) const;
    [[nodiscard]] bool is_evacuating(const BackendState& backend) const;
    void note_tracking(const Snapshot& snapshot, const PoolModel& model, TimePoint now);

    const Config& config_;
    SteeringSecret secret_;
    std::uint16_t probe_udp_port_;
    std::chrono::seconds call_unit_;
    std::set<std::string> pools_seen_; ///< names
    bool had_calls_ = false;
    std::vector<PoolParts> pools_; ///< by PoolId
    std::vector<Move> moves_;
    std::shared_ptr<BackendLoads> loads_ = std::make_shared<BackendLoads>();
    std::vector<BackendLife> lives_; ///< by BackendId, in the last snapshot
    std::uint64_t number_ = 0;
    std::unique_ptr<const Snapshot> current_;
};

} // namespace viaduct
