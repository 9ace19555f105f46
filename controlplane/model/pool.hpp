// SPDX-License-Identifier: Apache-2.0
//
// pool: the live model: pools and backends with weight, tier, health and the operator's wish.
//
// The state of a backend changes only here. Each change is kept with its evidence (`show events`)
// and raises `version`, so that publish.cpp knows when to publish.
#pragma once

#include "config/config.hpp"
#include "host/next_hop_table.hpp"
#include "loop.hpp"

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace viaduct {

/// Result of the probes. Unknown until the first result.
enum class Health : std::uint8_t { Unknown, Up, Busy, Down };
/// State set by the operator. Drain: no new calls. Disabled: no packets from clients at all; probes
/// go on, so that `enable` does not have to wait for health results.
enum class Admin : std::uint8_t { Enabled, Drain, Disabled };

[[nodiscard]] std::string_view name_of(Health health) noexcept; ///< "unknown", "up", "busy", "down"
[[nodiscard]] std::string_view name_of(Admin admin) noexcept; ///< "enabled", "draining", "disabled"

/// Membership of a backend in its pool. Its id is not used again until the state is Unused.
enum class Membership : std::uint8_t {
    Configured, ///< in the configuration
    Leaving,    ///< not configured: gets no new calls, keeps its calls until they end
    Removed,    ///< its pool is removed as well; its calls are forgotten
    Unused,     ///< no remembered call: the id may be used again
};

[[nodiscard]] std::string_view
name_of(Membership membership) noexcept; ///< "member", "leaving", ...

/// A backend known to an earlier process.
struct KnownBackend {
    std::string pool;
    BackendConfig config;
    BackendId id{};
};

struct BackendState {
    BackendConfig config;
    std::string pool_name;
    BackendId id{};
    PoolId pool{}; ///< valid while Configured or Leaving
    Membership membership = Membership::Configured;
    bool joined_running_pool = false; ///< pool already takes calls; does not wait for its health
    Health health = Health::Unknown;
    Admin admin = Admin::Enabled;
    std::chrono::system_clock::time_point changed; ///< when health or admin last changed
    TimePoint down_since;                          ///< while health is Down
    /// Since when the backend may take new calls again, or for the first time in a running pool.
    /// Empty: it may not, could from the start, or has passed its wait and all steps of its slow
    /// start.
    std::optional<TimePoint> takes_since;
    TimePoint health_seen;                   ///< when a probe last confirmed the health
    std::optional<TimePoint> drain_deadline; ///< Drain: when Disabled follows
    std::uint64_t forwarded_before = 0;      ///< workers' count for this id when it was assigned
    std::uint64_t returned_before = 0;
    std::string evidence; ///< why, e.g. "200 in 3 ms", "no answer in 300 ms, 2 times"

    /// Whether packets may be sent there; false for an id that is not in use.
    [[nodiscard]] bool exists() const noexcept {
        return membership == Membership::Configured || membership == Membership::Leaving;
    }
    /// Whether it may take new calls. The backends that do are chosen in election.hpp.
    [[nodiscard]] bool takes_calls() const noexcept {
        return health == Health::Up && admin == Admin::Enabled &&
               membership == Membership::Configured && config.weight > 0;
    }
};

struct PoolState {
    PoolConfig config;
    PoolId id{};
    std::vector<BackendId> backends; ///< in the order of the configuration, then those that leave
};

/// One line of `show events`.
struct StateChange {
    std::uint64_t number = 0; ///< counts from 1 since start
    std::chrono::system_clock::time_point at;
    std::string pool; ///< with `backend`; empty for other kinds of change
    std::string backend;
    std::string from; ///< e.g. "up"
    std::string to;   ///< e.g. "down", "draining"
    std::string evidence;
    std::string port{};    ///< the port whose link changed, or on which an address changed
    std::string address{}; ///< our address that another station uses, or no longer uses
};

class PoolModel {
public:
    static constexpr std::size_t kHistory = 1000; ///< changes kept for `show events`

    /// `known` backends keep their ids. `ids` is the number of ids used before, including those of
    /// other backends. Throws Error when there are too many.
    explicit PoolModel(const Config& config,
                       const std::vector<KnownBackend>& known = {},
                       std::size_t ids = 0);

    /// Switches to another configuration. A backend with the same pool and name keeps id, health
    /// and the operator's wish; one that was leaving and is configured again stops leaving. Throws
    /// Error when no id is left, and changes nothing then.
    void reconfigure(const Config& config, TimePoint now = Clock::now());
    /// Sets what workers had counted for this id before it was assigned.
    void set_counter_base(BackendId id, std::uint64_t forwarded, std::uint64_t returned);
    /// Frees the id of a backend that is Leaving or Removed. Call when no call of it is remembered.
    void release(BackendId id);

    [[nodiscard]] const std::vector<PoolState>& pools() const noexcept { return pools_; }
    /// Indexed by BackendId; some entries may not exist.
    [[nodiscard]] const std::vector<BackendState>& backends() const noexcept { return backends_; }
    [[nodiscard]] const BackendState& backend(BackendId id) const { return backends_[index(id)]; }
    [[nodiscard]] const PoolState& pool(PoolId id) const { return pools_[index(id)]; }

    /// Find by name. Throws Error ("unknown pool \"x\"; pools: a, b") when there is none.
    [[nodiscard]] const PoolState& find_pool(std::string_view name) const;
    [[nodiscard]] const BackendState& find_backend(std::string_view pool,
                                                   std::string_view backend) const;

    /// Without a change it has no effect, leaves no history and returns false.
    bool
    set_health(BackendId id, Health health, std::string evidence, TimePoint now = Clock::now());
    /// Replaces the evidence; the health stays.
    void explain(BackendId id, std::string evidence) {
        backends_[index(id)].evidence = std::move(evidence);
    }
    /// Sets when the health was found, for a result of an earlier process.
    void date_health(BackendId id, TimePoint seen) { backends_[index(id)].health_seen = seen; }
    /// Sets BackendState::takes_since as an earlier process recorded it.
    void restore_eligible_since(BackendId id, TimePoint since) {
        backends_[index(id)].takes_since = since;
    }
    bool set_admin(BackendId id, Admin admin, std::string evidence, TimePoint now = Clock::now());
    /// Sets when a draining backend becomes Disabled; empty: never. Cleared when the drain ends.
    void set_drain_deadline(BackendId id, std::optional<TimePoint> deadline);
    /// Disables backends past their drain deadline; clears takes_since after hold_down and
    /// slow_start.
    void pass_deadlines(TimePoint now);

    /// Returns backends that may get no new call from now on: down or disabled.
    [[nodiscard]] std::vector<BackendId> lost(PoolId id) const;
    /// Returns what happens to the backend's calls. A change by time alone does not raise the
    /// version.
    [[nodiscard]] BackendLife life(BackendId id, TimePoint now) const;
    /// Returns their locations, indexed by BackendId.
    [[nodiscard]] std::vector<BackendLocation> places() const;
    /// True when every backend is up, busy or down; disabled, new and leaving ones do not count.
    [[nodiscard]] bool health_known(PoolId id) const;

    /// Grows with every change that can affect what is published.
    [[nodiscard]] std::uint64_t version() const noexcept { return version_; }
    [[nodiscard]] const std::deque<StateChange>& history() const noexcept { return history_; }
    /// Records another kind of event for `show events`; sets number and time.
    void record(StateChange change);

private:
    void arrange(const Config& config, std::vector<BackendState> before, bool is_start);
    void record(const BackendState& backend, std::string_view from, std::string_view to);
    static void note_return(BackendState& backend, bool took_calls, TimePoint now);

    std::chrono::milliseconds transaction_time_; ///< 64*T1
    std::vector<PoolState> pools_;
    std::vector<BackendState> backends_;
    std::deque<StateChange> history_;
    std::uint64_t version_ = 1;
    std::uint64_t changes_ = 0;
};

} // namespace viaduct
