// SPDX-License-Identifier: Apache-2.0
#include "publish/vip_moves.hpp"

#include "viaduct/error.hpp"

#include <algorithm>
#include <cstddef>

namespace viaduct {

namespace {

/// Returns null for a pool that a reload has just removed.
const PoolState* find_pool(const PoolModel& model, const std::string& name) {
    const auto found = std::ranges::find(
        model.pools(), name, [](const PoolState& pool) { return pool.config.name; });
    return found == model.pools().end() ? nullptr : &*found;
}

bool may_move(const Move& move,
              const PoolModel& model,
              const VipMoves::HasTable& has_table,
              TimePoint now) {
    if (move.has_moved || now < VipMoves::due(move, model)) return false;
    const PoolState* const pool = find_pool(model, move.pool);
    return pool != nullptr && model.health_known(pool->id) && has_table(pool->id);
}

} // namespace

PoolId pool_by_name(const Config& config, const std::string& name) {
    for (std::size_t i = 0; i < config.pools.size(); ++i)
        if (config.pools[i].name == name) return PoolId{static_cast<std::uint16_t>(i)};
    throw Error("unknown pool \"" + name + "\"");
}

TimePoint VipMoves::due(const Move& move, const PoolModel& model) {
    const PoolState* const previous = find_pool(model, move.previous);
    return previous == nullptr ? TimePoint::max() : move.since + previous->config.t_settle;
}

/// Returns the move in progress, possibly reversed, or a new one.
Move VipMoves::move_of(const VipConfig& vip, TimePoint now) const {
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
        // A reversed move takes effect at once: both pools remember their calls since the start.
        move.has_moved = goes_back || one.has_moved;
        move.owns_untracked = one.owns_untracked != goes_back;
    }
    return move;
}

void VipMoves::update(Snapshot& snapshot,
                      const Config& config,
                      const PoolModel& model,
                      const HasTable& has_table,
                      TimePoint now) {
    std::vector<Move> moves;
    for (std::size_t i = 0; i < config.vips.size(); ++i) {
        const VipConfig& vip = config.vips[i];
        if (!vip.previous_pool) continue;
        Move move = move_of(vip, now);
        if (may_move(move, model, has_table, now)) {
            move.has_moved = true;
            move.moved_at = now;
        }
        snapshot.vips[i].previous = pool_by_name(config, *vip.previous_pool);
        snapshot.vips[i].has_moved = move.has_moved;
        snapshot.vips[i].owns_untracked = move.owns_untracked;
        moves.push_back(std::move(move));
    }
    moves_ = std::move(moves);
}

bool VipMoves::are_stale(const PoolModel& model, const HasTable& has_table, TimePoint now) const {
    return std::ranges::any_of(
        moves_, [&](const Move& move) { return may_move(move, model, has_table, now); });
}

} // namespace viaduct
