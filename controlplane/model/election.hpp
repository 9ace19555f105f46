// SPDX-License-Identifier: Apache-2.0
//
// election: chooses which backends of a pool take new calls now, and with which share.
//
// In:    the live model, the backends that take new calls so far, the time.
// Out:   candidates for a slot table, and the next time at which the result changes by itself.
// Rules: A candidate is up, enabled, configured, has weight > 0, and is in the lowest tier that has
//        `min_up` such backends. A backend that comes back waits `hold_down`, unless it is the only
//        one; then its share grows in five steps over `slow_start`. When a whole tier comes back,
//        the tier that replaced it keeps the rest in the meantime. Without `failback` the tier that
//        took over keeps the new calls while it has `min_up`. Calls in progress never move. See
//        docs/steering.md.
#pragma once

#include "model/pool.hpp"
#include "model/table.hpp"

#include <optional>
#include <vector>

namespace viaduct {

struct Election {
    std::vector<Candidate> candidates;   ///< by id; empty: no backend may take calls
    std::optional<TimePoint> changes_at; ///< end of the next wait or step; empty: no change by time
    unsigned tier = 0;                   ///< tier of the candidates, also while it comes back
    unsigned best_tier = 0;              ///< tier that `failback` would choose
};

/// `present` is the set that takes new calls now or is announced; without failback its tier is
/// kept. Empty: no tier is kept. `now` = TimePoint::max() gives the result after all waits and
/// steps.
[[nodiscard]] Election elect(const PoolModel& model,
                             PoolId pool,
                             const std::vector<Candidate>& present = {},
                             TimePoint now = Clock::now());

} // namespace viaduct
