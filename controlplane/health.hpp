// SPDX-License-Identifier: Apache-2.0
//
// health: when to probe, and what a row of results says about a backend.
//
// `Damper` is pure: results in, state out. `HealthChecker` keeps the clock: it sends a probe per
// backend and interval, matches answers, judges them by the worker's receive time, and tells the
// PoolModel.
#pragma once

#include "config.hpp"
#include "kernel.hpp"
#include "loop.hpp"
#include "pool.hpp"
#include "probe.hpp"

#include "viaduct/event.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

namespace viaduct {

enum class ProbeResult : std::uint8_t {
    Good,    ///< an accepted code in time
    BadCode, ///< an answer in time, but not an accepted code: it lives, and wants no calls
    Timeout, ///< no valid answer in time
};

/// fall and rise damping. The first result is a verdict at once; after that `fall` results in a row
/// that are not good leave `up` (to `down` if the last was a time-out, else `busy`), and `rise`
/// good ones in a row enter it. Between busy and down: `fall` time-outs in a row, `rise` bad codes
/// in a row.
class Damper {
public:
    Damper(unsigned fall, unsigned rise) noexcept : fall_(fall), rise_(rise) {}

    /// The state after this result.
    Health add(ProbeResult result) noexcept;
    [[nodiscard]] Health health() const noexcept { return health_; }

private:
    unsigned fall_;
    unsigned rise_;
    Health health_ = Health::Unknown;
    unsigned good_ = 0; ///< results of that kind in a row, ending with the last one
    unsigned not_good_ = 0;
    unsigned bad_code_ = 0;
    unsigned timeout_ = 0;
};

/// Probe intervals shrink by up to a tenth at random (never grow: detection stays within
/// fall x interval + timeout), and first probes are spread over one interval.
class HealthChecker {
public:
    HealthChecker(const Config& config,
                  PoolModel& model,
                  const NextHopSource& next_hops,
                  std::uint16_t probe_udp_port);

    /// Sends what is due and expires what is overdue. Call it after every waiting event was given
    /// to on_answer(), so that an answer that waited in the ring is never taken for missing.
    void tick(TimePoint now);
    /// A ProbeAnswer event, received at `received`. Answers that match no probe, come twice, or
    /// come from another place than the pool's mode demands are ignored and counted.
    void on_answer(const Event& event, TimePoint received);

    struct Statistics { ///< per backend, for `show health`
        std::uint64_t sent = 0;
        std::uint64_t good = 0;
        std::uint64_t bad_code = 0;
        std::uint64_t timeout = 0;
        std::uint64_t rejected = 0; ///< answers to its probes from a wrong place
        std::uint16_t last_status = 0;
        std::optional<std::chrono::microseconds> last_rtt;
    };
    [[nodiscard]] const Statistics& statistics(BackendId id) const;
    /// Answers that belong to no probe now waiting.
    [[nodiscard]] std::uint64_t unknown_answers() const noexcept { return unknown_answers_; }

private:
    struct Target {
        BackendId id{};
        const HealthConfig* health = nullptr;
        Damper damper;
        TimePoint due;                     ///< when the next probe starts
        std::optional<TimePoint> deadline; ///< of the probe under way
        std::optional<TimePoint> sent;     ///< empty: its next hop was not resolved yet
        ProbeIds ids;
        Statistics statistics;
    };
    void judge(Target& target, ProbeResult result, std::string evidence);
    void try_send(Target& target, TimePoint now);

    const Config& config_;
    PoolModel& model_;
    const NextHopSource& next_hops_;
    std::uint16_t probe_udp_port_;
    std::mt19937_64 random_;
    std::vector<Target> targets_;                        ///< by BackendId
    std::unordered_map<std::string, BackendId> waiting_; ///< Call-ID of a probe under way -> whose
    std::uint64_t unknown_answers_ = 0;
};

} // namespace viaduct
