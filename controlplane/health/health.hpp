// SPDX-License-Identifier: Apache-2.0
//
// health: when to probe, and what a row of results says about a backend.
//
// `Damper` is pure: results in, state out. `HealthChecker` keeps the clock: it sends a probe per
// backend and interval, matches answers, judges them by the worker's receive time, and tells the
// PoolModel.
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
    BadCode, ///< an answer in time, but not an accepted code: it lives, and wants no calls
    Timeout, ///< no valid answer in time
};

/// fall and rise damping. The first result is a verdict at once; after that `fall` results in a row
/// that are not good leave `up` (to `down` if the last was a time-out, else `busy`), and `rise`
/// good ones in a row enter it. Between busy and down: `fall` time-outs in a row, `rise` bad codes
/// in a row.
class Damper {
public:
    /// `health`: a verdict from before, which results must change like any other.
    Damper(unsigned fall, unsigned rise, Health health = Health::Unknown) noexcept
        : fall_(fall), rise_(rise), health_(health) {}

    /// The state after this result.
    Health add(ProbeResult result) noexcept;
    [[nodiscard]] Health health() const noexcept { return health_; }
    /// How many results in a row were like the last one; 0 before the first.
    [[nodiscard]] unsigned in_a_row() const noexcept { return good_ + bad_code_ + timeout_; }

private:
    unsigned fall_;
    unsigned rise_;
    Health health_;
    unsigned good_ = 0; ///< results of that kind in a row, ending with the last one
    unsigned bad_code_ = 0;
    unsigned timeout_ = 0;
    unsigned not_good_ = 0; ///< of either of these two kinds
};

/// Probe intervals shrink by up to a tenth at random (never grow: detection stays within
/// fall x interval + timeout), and first probes are spread over one interval, at most 200 ms.
class HealthChecker {
public:
    /// Keeps references to all three. `seed` is for the intervals alone, not for identifiers.
    HealthChecker(const Config& config,
                  PoolModel& model,
                  const HostPaths& next_hops,
                  std::uint16_t probe_udp_port,
                  std::uint64_t seed = std::random_device{}());

    /// What the model and the configuration say now. Probes under way go on where nothing that
    /// concerns them has changed.
    void reconfigure(TimePoint now);

    /// Sends what is due and expires what is overdue. Read the clock for `now` first, then give
    /// every waiting event to on_answer(), then call this: so an answer that waited in the ring is
    /// never taken for missing.
    void tick(TimePoint now);
    /// A ProbeAnswer event, received at `received`. Answers that match no probe, come twice, or
    /// come from another place than clients would take them from are counted, and told as evidence
    /// when the probe's time is over.
    void on_answer(const Event& event, TimePoint received);
    /// A ProbeError event: evidence, too, and never more, for anybody can make one up.
    void on_error(const Event& event);

    struct Statistics { ///< per backend, for `show health`
        std::uint64_t sent = 0;
        std::uint64_t good = 0;
        std::uint64_t bad_code = 0;
        std::uint64_t timeout = 0;  ///< probes without an answer in time, or that could not leave
        std::uint64_t rejected = 0; ///< answers to its probes from, or to, a wrong place
        std::uint16_t last_status = 0; ///< of the last answer that counted; 0: none yet
        std::optional<std::chrono::microseconds> last_rtt; ///< of the same answer
    };
    [[nodiscard]] const Statistics& statistics(BackendId id) const;
    /// Answers that belong to no probe now waiting.
    [[nodiscard]] std::uint64_t unknown_answers() const noexcept { return unknown_answers_; }

private:
    /// How much what came instead of a good answer says. Something that says less replaces nothing.
    enum class Clue : std::uint8_t {
        None,
        Place, ///< from where the answer should come, but not tied to the probe
        Icmp,  ///< quotes the probe
        Answer ///< has the probe's identifiers
    };
    struct Probe { ///< one probe under way
        TimePoint deadline;
        std::optional<TimePoint> sent; ///< empty: not yet, because of `obstacle`
        std::string obstacle;          ///< for the operator
        ProbeIds ids;
        ProbeFrame frame; ///< once sent: from where and to where
        std::uint16_t udp_checksum = 0;
        Clue clue = Clue::None;
        std::string clue_text;
    };
    struct Expired { ///< one whose time is over; its answer may still come
        TimePoint sent;
        TimePoint deadline;
        ProbeIds ids;
    };
    static constexpr std::size_t kMaxExpired = 8; ///< a backend
    struct Target {
        BackendId id{};
        HealthConfig health;
        ForwardMode mode{};
        Endpoint endpoint;
        std::optional<MacAddr> mac;
        std::optional<Endpoint> vip; ///< the first one of its pool
        bool any_port = false;       ///< what it sends from any UDP port is translated
        Damper damper;
        TimePoint due; ///< when the next probe starts
        std::optional<Probe> probe;
        std::deque<Expired> expired;
        std::optional<std::chrono::microseconds> late; ///< how long the last late answer took
        std::string reason;                            ///< of the last result, without digits
        std::vector<std::string> told;                 ///< those that the log has while it is down
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
    /// An answer without identifiers of ours: whose place is it from?
    void take_unknown(const Event& event);
    static void note(Probe& probe, Clue clue, std::string text);

    const Config& config_;
    PoolModel& model_;
    const HostPaths& next_hops_;
    std::uint16_t probe_udp_port_;
    std::mt19937_64 random_;
    bool clock_started_ = false;
    std::vector<Target> targets_;                        ///< by BackendId
    std::unordered_map<std::string, BackendId> waiting_; ///< Call-ID of a probe sent -> whose
    std::uint64_t unknown_answers_ = 0;
    unsigned searches_ = 0; ///< through all targets, since the last tick
};

} // namespace viaduct
