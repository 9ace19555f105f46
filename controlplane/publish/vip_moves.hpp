// SPDX-License-Identifier: Apache-2.0
//
// vip_moves: VIPs on their way from one pool to another (`previous_pool`): announced, moved, back.
//
// In:    the configuration in force, the model, time. Out: which pool of each such VIP takes new
//        calls. Control thread only.
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

class VipMoves {
public:
    /// Whether that pool has a table, so that it can take calls.
    using HasTable = std::function<bool(PoolId)>;

    [[nodiscard]] const std::vector<Move>& all() const noexcept { return moves_; }
    /// Those of another process, before the first update().
    void restore(std::vector<Move> moves) { moves_ = std::move(moves); }
    /// Brings them up to the configuration and the time, and writes them into the VIPs of the
    /// snapshot, which are in the configuration's order.
    void update(Snapshot& snapshot,
                const Config& config,
                const PoolModel& model,
                const HasTable& has_table,
                TimePoint now);
    /// Whether one can move now that has not in the last update().
    [[nodiscard]] bool
    are_stale(const PoolModel& model, const HasTable& has_table, TimePoint now) const;
    /// When a move is due: what the old pool's backends were sent before has been repeated for the
    /// last time.
    [[nodiscard]] static TimePoint due(const Move& move, const PoolModel& model);

private:
    [[nodiscard]] Move move_of(const VipConfig& vip, TimePoint now) const;

    std::vector<Move> moves_;
};

/// The pool of that name. Throws Error when there is none.
[[nodiscard]] PoolId pool_by_name(const Config& config, const std::string& name);

} // namespace viaduct
