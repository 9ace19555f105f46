// SPDX-License-Identifier: Apache-2.0
//
// state_file: what a balancer must know after a restart so that calls stay where they are.
//
// One JSON object: format, fingerprint of the secret, checksum, and a body with the backends (ids,
// health, the operator's wish) and the generations of each pool. Times are wall-clock times, so
// that they mean something in another process and after a reboot. A file that is damaged, newer or
// of another secret is refused whole.
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

/// One moment by both clocks: what turns times of one into times of the other.
struct Moment {
    TimePoint steady = Clock::now();
    std::chrono::system_clock::time_point wall = std::chrono::system_clock::now();
};

struct KeptBackend {
    KnownBackend known; ///< of its configuration only what reaches it: name, endpoint, MAC
    Health health = Health::Unknown;
    Admin admin = Admin::Enabled;
    TimePoint health_seen{};           ///< when it was last found to be so
    TimePoint down_since{};            ///< while health is Down
    std::optional<TimePoint> deadline; ///< of a drain
    std::optional<TimePoint> takes_since{};
};

struct KeptPool {
    std::string name;
    std::vector<Generation> generations; ///< oldest first, without tables
    std::optional<Generation> announced;
    std::optional<TimePoint> counts_since{}; ///< it remembers every call
};

struct KeptState {
    /// Health that was seen longer ago says nothing.
    static constexpr std::chrono::seconds kHealthCounts{60};

    /// Drawn when a balancer begins with nothing: the ids in a table of calls mean these backends
    /// only if it says the same.
    std::uint64_t lineage = 0;
    std::size_t ids = 0; ///< how many there were: those not in `backends` may have calls yet
    std::vector<KeptBackend> backends;
    std::vector<KeptPool> pools;
    std::vector<Move> moves;
};

[[nodiscard]] KeptState
state_of(const PoolModel& model, const Publisher& publisher, std::uint64_t lineage);

[[nodiscard]] std::string
print_state(const KeptState& state, const SteeringSecret& secret, const Moment& moment = {});
/// Throws Error with what is wrong, as "it is damaged".
[[nodiscard]] KeptState
parse_state(std::string_view text, const SteeringSecret& secret, const Moment& moment = {});

/// A model in which whoever the state knows has its id. Throws Error when there are too many.
[[nodiscard]] PoolModel model_of(const Config& config, const KeptState& state);

/// Into a model of model_of(), and a publisher that has built nothing yet.
void take_up(const KeptState& state, PoolModel& model, Publisher& publisher, TimePoint now);

} // namespace viaduct
