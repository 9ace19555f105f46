// SPDX-License-Identifier: Apache-2.0
//
// election: which backends of a pool take new calls now, and with which share.
//
// In:    the live model, who takes new calls so far, the time.
// Out:   candidates for a slot table, and when time alone will give others.
// Rules: up, enabled, in the configuration, weight > 0; of the lowest tier that has `min_up` of
//        them. A backend that comes back waits `hold_down`, unless nobody else is there, and then
//        gets its share in five steps over `slow_start`; when a whole tier comes back, the one that
//        stood in for it has the rest. Without `failback` the tier that took over keeps the new
//        calls as long as it has `min_up`. Calls that began stay where they are in any case.
//        docs/steering.md.
#pragma once

#include "model/pool.hpp"
#include "model/table.hpp"

#include <optional>
#include <vector>

namespace viaduct {

struct Election {
    std::vector<Candidate> candidates;   ///< by id; empty: nobody may take calls
    std::optional<TimePoint> changes_at; ///< a wait or a step ends; empty: time changes nothing
    unsigned tier = 0;                   ///< that the candidates are of, or come back to
    unsigned best_tier = 0;              ///< that `failback` would take
};

/// `present`: who takes new calls now, or will as announced; without failback its tier stays.
/// Empty: no tier does. `now` = TimePoint::max(): when all waits and steps are over.
[[nodiscard]] Election elect(const PoolModel& model,
                             PoolId pool,
                             const std::vector<Candidate>& present = {},
                             TimePoint now = Clock::now());

} // namespace viaduct
