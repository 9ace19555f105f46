// SPDX-License-Identifier: Apache-2.0
//
// vip_moves: VIPs that move from one pool to another (`previous_pool`): announced, moved, or moving
// back.
//
// In:    the configuration, the model, the time.
// Out:   the pool of each such VIP that takes new calls.
// Cost:  control thread only.
#pragma once

#include "config/config.hpp"
#include "loop.hpp"
#include "model/pool.hpp"

#include "viaduct/snapshot.hpp"

#include <functional>
#include <string>
#include <utility>
#include <vector>

namespace viaduct {

/// A VIP that moves from one pool to another (`previous_pool`).
struct Move {
    std::string vip;
    std::string pool;
    std::string previous;
    TimePoint since;        ///< when it was first published
    TimePoint moved_at;     ///< with has_moved
    bool has_moved = false; ///< new calls go to the new pool
    Endpoint endpoint{};    ///< of the VIP; identifies it under another name
    /// True after a reversal: calls that are not remembered started in `pool`.
    bool owns_untracked = false;
};

class VipMoves {
public:
    /// Whether the pool has a table and so can take calls.
    using HasTable = std::function<bool(PoolId)>;

    [[nodiscard]] const std::vector<Move>& all() const noexcept { return moves_; }
    /// Restores the moves of an earlier process. Call before the first update().
    void restore(std::vector<Move> moves) { moves_ = std::move(moves); }
    /// Updates the moves by configuration and time, and writes them into the snapshot's VIPs, which
    /// are in the order of the configuration.
    void update(Snapshot& snapshot,
                const Config& config,
                const PoolModel& model,
                const HasTable& has_table,
                TimePoint now);
    /// Whether a move became due since the last update().
    [[nodiscard]] bool
    are_stale(const PoolModel& model, const HasTable& has_table, TimePoint now) const;
    /// Returns when a move is due: the retransmissions of requests sent to the old pool are over
    /// then.
    [[nodiscard]] static TimePoint due(const Move& move, const PoolModel& model);

private:
    [[nodiscard]] Move move_of(const VipConfig& vip, TimePoint now) const;

    std::vector<Move> moves_;
};

/// The pool of that name. Throws Error when there is none.
[[nodiscard]] PoolId pool_by_name(const Config& config, const std::string& name);

} // namespace viaduct
