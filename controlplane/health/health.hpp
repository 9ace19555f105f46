// SPDX-License-Identifier: Apache-2.0
//
// health: sends probes and derives the state of a backend from their results.
//
// `Damper` is pure: results in, state out. `HealthChecker` sends a probe per backend and interval,
// matches answers, judges them by the worker's receive time, and updates the PoolModel.
#pragma once

#include "config/config.hpp"
#include "health/probe.hpp"
#include "host/host_network.hpp"
#include "loop.hpp"
#include "model/pool.hpp"

#include "viaduct/event.hpp"

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

namespace viaduct {

enum class ProbeResult : std::uint8_t {
    Good,    ///< an accepted code in time
    BadCode, ///< an answer in time with another code: running, but takes no calls
    Timeout, ///< no valid answer in time
};

/// Damping by fall and rise. The first result sets the state at once. Then `fall` bad results in a
/// row leave `up` (to `down` if the last was a time-out, else to `busy`), and `rise` good ones in a
/// row return to it. Busy to down takes `fall` time-outs in a row, down to busy `rise` bad codes in
/// a row.
class Damper {
public:
    /// `health` is an earlier state, which results change like any other.
    Damper(unsigned fall, unsigned rise, Health health = Health::Unknown) noexcept
        : fall_(fall), rise_(rise), health_(health) {}

    /// Adds a result and returns the new state.
    Health add(ProbeResult result) noexcept;
    [[nodiscard]] Health health() const noexcept { return health_; }
    /// Number of results in a row like the last one; 0 before the first.
    [[nodiscard]] unsigned in_a_row() const noexcept { return good_ + bad_code_ + timeout_; }

private:
    unsigned fall_;
    unsigned rise_;
    Health health_;
    unsigned good_ = 0; ///< results of this kind in a row, up to the last
    unsigned bad_code_ = 0;
    unsigned timeout_ = 0;
    unsigned not_good_ = 0; ///< of the two kinds above
};

/// Probe intervals shrink by up to a tenth at random. They never grow, so that detection takes at
/// most fall x interval + timeout. First probes are spread over one interval, at most 200 ms.
class HealthChecker {
public:
    /// Keeps references to all three. `seed` is used for intervals only, not for identifiers.
    HealthChecker(const Config& config,
                  PoolModel& model,
                  const HostPaths& next_hops,
                  std::uint16_t probe_udp_port,
                  std::uint64_t seed = std::random_device{}());

    /// Applies the current model and configuration. Probes in progress go on if nothing that
    /// affects them has changed.
    void reconfigure(TimePoint now);

    /// Sends due probes and expires overdue ones. Read the clock for `now` first, then pass every
    /// waiting event to on_answer(), then call this; so an answer waiting in the ring never counts
    /// as missing.
    void tick(TimePoint now);
    /// Handles a ProbeAnswer event, received at `received`. Answers that match no probe, come
    /// twice, or come from a place that clients would not accept are counted, and become evidence
    /// when the probe expires.
    void on_answer(const Event& event, TimePoint received);
    /// Handles a ProbeError event. It serves as evidence only, because anyone can forge one.
    void on_error(const Event& event);

    struct Statistics { ///< per backend, for `show health`
        std::uint64_t sent = 0;
        std::uint64_t good = 0;
        std::uint64_t bad_code = 0;
        std::uint64_t timeout = 0;     ///< no answer in time, or the probe could not be sent
        std::uint64_t rejected = 0;    ///< answers from or to a wrong place
        std::uint16_t last_status = 0; ///< of the last valid answer; 0: none yet
        std::optional<std::chrono::microseconds> last_rtt; ///< of the same answer
    };
    [[nodiscard]] const Statistics& statistics(BackendId id) const;
    /// Answers that match no probe in progress.
    [[nodiscard]] std::uint64_t unknown_answers() const noexcept { return unknown_answers_; }

private:
    /// How much a reply other than a good answer proves. A weaker clue never replaces a stronger
    /// one.
    enum class Clue : std::uint8_t {
        None,
        Place, ///< from the right place, but not tied to the probe
        Icmp,  ///< quotes the probe
        Answer ///< contains the probe's identifiers
    };
    struct Probe { ///< a probe in progress
        TimePoint deadline;
        std::optional<TimePoint> sent; ///< empty: not yet, because of `obstacle`
        std::string obstacle;          ///< for the operator
        ProbeIds ids;
        ProbeFrame frame; ///< once sent: source and destination
        std::uint16_t udp_checksum = 0;
        Clue clue = Clue::None;
        std::string clue_text;
    };
    struct Expired { ///< a probe past its deadline; its answer may still come
        TimePoint sent;
        TimePoint deadline;
        ProbeIds ids;
    };
    static constexpr std::size_t kMaxExpired = 8; ///< per backend
    struct Target {
        BackendId id{};
        HealthConfig health;
        ForwardMode mode{};
        Endpoint endpoint;
        std::optional<MacAddr> mac;
        std::optional<Endpoint> vip; ///< the first one of its pool
        bool any_port = false;       ///< its packets from any UDP port are translated
        Damper damper;
        TimePoint due; ///< when the next probe starts
        std::optional<Probe> probe;
        std::deque<Expired> expired;
        std::optional<std::chrono::microseconds> late; ///< how long the last late answer took
        std::string reason;                            ///< of the last result, without digits
        std::vector<std::string> told;                 ///< reasons logged while it is down
        Statistics statistics;
    };
    [[nodiscard]] Target target_for(const BackendState& backend) const;
    void take_unprobed();
    void start_clock(TimePoint now);
    void start_probe(Target& target, TimePoint now);
    void try_send(Target& target, TimePoint now);
    [[nodiscard]] std::string address_frame(const Target& target, ProbeFrame& frame) const;
    void expire(Target& target);
    void finish(Target& target, ProbeResult result, std::string evidence);
    void forget_ids(const Target& target);
    void take_late(Target& target, const Event& event, TimePoint received);
    /// Finds the probe whose place an answer without our identifiers comes from.
    void take_unknown(const Event& event);
    static void note(Probe& probe, Clue clue, std::string text);

    const Config& config_;
    PoolModel& model_;
    const HostPaths& next_hops_;
    std::uint16_t probe_udp_port_;
    std::mt19937_64 random_;
    bool clock_started_ = false;
    std::vector<Target> targets_;                        ///< by BackendId
    std::unordered_map<std::string, BackendId> waiting_; ///< Call-ID of a sent probe -> backend
    std::uint64_t unknown_answers_ = 0;
    unsigned searches_ = 0; ///< searches through all targets since the last tick
};

} // namespace viaduct
