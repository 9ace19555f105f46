// SPDX-License-Identifier: Apache-2.0
//
// state_file: the state that a balancer needs after a restart so that calls stay at their backends.
//
// One JSON object: format, fingerprint of the secret, checksum, and a body with the backends (ids,
// health, the operator's wish) and the generations of each pool. Times are wall-clock times, so
// that they are valid in another process and after a reboot. A file that is damaged, newer or
// written with another secret is refused completely.
#pragma once

#include "config/config.hpp"
#include "loop.hpp"
#include "model/generation.hpp"
#include "model/pool.hpp"
#include "publish/publish.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace viaduct {

/// The same moment by both clocks, to convert times between them.
struct Moment {
    TimePoint steady = Clock::now();
    std::chrono::system_clock::time_point wall = std::chrono::system_clock::now();
};

struct KeptBackend {
    KnownBackend known; ///< of its configuration only name, endpoint and MAC
    Health health = Health::Unknown;
    Admin admin = Admin::Enabled;
    TimePoint health_seen{};           ///< when a probe last confirmed the health
    TimePoint down_since{};            ///< while health is Down
    std::optional<TimePoint> deadline; ///< drain deadline
    std::optional<TimePoint> takes_since{};
};

struct KeptPool {
    std::string name;
    std::vector<Generation> generations; ///< oldest first, without tables
    std::optional<Generation> announced;
    std::optional<TimePoint> counts_since{}; ///< since when it remembers every call
};

struct KeptState {
    /// Older health results are not used.
    static constexpr std::chrono::seconds kHealthCounts{60};

    /// Drawn when a balancer starts without state. A table of calls with the same lineage uses the
    /// backend ids of this file.
    std::uint64_t lineage = 0;
    std::size_t ids = 0; ///< number of ids used: ids without a backend may still have calls
    std::vector<KeptBackend> backends;
    std::vector<KeptPool> pools;
    std::vector<Move> moves;
};

[[nodiscard]] KeptState
state_of(const PoolModel& model, const Publisher& publisher, std::uint64_t lineage);

[[nodiscard]] std::string
print_state(const KeptState& state, const SteeringSecret& secret, const Moment& moment = {});
/// Throws Error that says what is wrong, e.g. "damaged".
[[nodiscard]] KeptState
parse_state(std::string_view text, const SteeringSecret& secret, const Moment& moment = {});

/// Returns a model in which the backends of the state keep their ids. Throws Error when there are
/// too many.
[[nodiscard]] PoolModel model_of(const Config& config, const KeptState& state);

/// Restores the state into a model of model_of() and a publisher that has built nothing yet.
void take_up(const KeptState& state, PoolModel& model, Publisher& publisher, TimePoint now);

} // namespace viaduct
