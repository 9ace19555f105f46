// SPDX-License-Identifier: Apache-2.0
//
// pool: the live model: pools and backends with weight, tier, health and the operator's wish.
//
// The one place where the state of a backend changes; every change is kept with its evidence
// (`show events`) and raises `version`, so that publish.cpp knows when to publish.
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

/// What probes say. Unknown until the first verdict.
enum class Health : std::uint8_t { Unknown, Up, Busy, Down };
/// What the operator says. Drain: no new calls; disabled: no packets of clients
/// at all (probes go on, so that `enable` needs no new verdict).
enum class Admin : std::uint8_t { Enabled, Drain, Disabled };

[[nodiscard]] std::string_view name_of(Health health) noexcept; ///< "unknown", "up", "busy", "down"
[[nodiscard]] std::string_view name_of(Admin admin) noexcept; ///< "enabled", "draining", "disabled"

/// Where a backend stands in its life. Its id means it, and nobody else, until it is Free.
enum class Membership : std::uint8_t {
    Configured, ///< in the configuration
    Leaving,    ///< no longer: it gets no new calls, but those it has stay until they end
    Removed,    ///< its pool is no longer, either; its calls are not known any more
    Unused,     ///< no call is remembered of it: another may have its id
};

[[nodiscard]] std::string_view
name_of(Membership membership) noexcept; ///< "member", "leaving", ...

/// A backend that another process knew.
struct KnownBackend {
    std::string pool;
    BackendConfig config;
    BackendId id{};
};

struct BackendState {
    BackendConfig config;
    std::string pool_name;
    BackendId id{};
    PoolId pool{}; ///< Member, Leaving
    Membership membership = Membership::Configured;
    bool joined_running_pool =
        false; ///< its pool takes calls already, and does not wait for its verdict
    Health health = Health::Unknown;
    Admin admin = Admin::Enabled;
    std::chrono::system_clock::time_point changed; ///< when health or admin last changed
    TimePoint down_since;                          ///< while health is Down
    /// Since when it may take new calls again, or for the first time in a pool that works. Empty:
    /// it may not, could from the start, or has had its wait and all steps of its slow start.
    std::optional<TimePoint> takes_since;
    TimePoint health_seen;                   ///< when health was last found to be so
    std::optional<TimePoint> drain_deadline; ///< Drain: when it becomes Disabled
    std::uint64_t forwarded_before = 0;      ///< what workers counted of its id when it got it
    std::uint64_t returned_before = 0;
    std::string evidence; ///< why, e.g. "200 in 3 ms", "no answer in 300 ms, 2 times"

    /// Whether packets may go there: false where the id is nobody's.
    [[nodiscard]] bool exists() const noexcept {
        return membership == Membership::Configured || membership == Membership::Leaving;
    }
    /// Whether it may take new calls. Which of them do: election.hpp.
    [[nodiscard]] bool takes_calls() const noexcept {
        return health == Health::Up && admin == Admin::Enabled &&
               membership == Membership::Configured && config.weight > 0;
    }
};

struct PoolState {
    PoolConfig config;
    PoolId id{};
    std::vector<BackendId> backends; ///< as in the configuration, then those that leave
};

/// One line of `show events`.
struct StateChange {
    std::uint64_t number = 0; ///< counts from 1 since start
    std::chrono::system_clock::time_point at;
    std::string pool; ///< with `backend`; empty where it is another thing that changed
    std::string backend;
    std::string from; ///< e.g. "up"
    std::string to;   ///< e.g. "down", "draining"
    std::string evidence;
    std::string port{};    ///< whose link changed, or on which
    std::string address{}; ///< of ours, somebody else has it or has it no more
};

class PoolModel {
public:
    static constexpr std::size_t kHistory = 1000; ///< changes kept for `show events`

    /// `known` keep their ids; `ids` is how many there were, of others, too. Throws Error when
    /// there are too many.
    explicit PoolModel(const Config& config,
                       const std::vector<KnownBackend>& known = {},
                       std::size_t ids = 0);

    /// Takes up another configuration. What stays, by the names of pool and backend, keeps id,
    /// health and the operator's wish; what is in it no longer leaves. Throws Error when there is
    /// no id left; then nothing has changed.
    void reconfigure(const Config& config, TimePoint now = Clock::now());
    /// Its id was another's, of whom so much was counted.
    void set_counter_base(BackendId id, std::uint64_t forwarded, std::uint64_t returned);
    /// Of a backend that leaves or is gone, when no call is remembered of it.
    void release(BackendId id);

    [[nodiscard]] const std::vector<PoolState>& pools() const noexcept { return pools_; }
    /// By BackendId, so that some may not exist.
    [[nodiscard]] const std::vector<BackendState>& backends() const noexcept { return backends_; }
    [[nodiscard]] const BackendState& backend(BackendId id) const { return backends_[index(id)]; }
    [[nodiscard]] const PoolState& pool(PoolId id) const { return pools_[index(id)]; }

    /// Finds by name. Throws Error ("unknown pool \"x\"; pools: a, b") when there is none.
    [[nodiscard]] const PoolState& find_pool(std::string_view name) const;
    [[nodiscard]] const BackendState& find_backend(std::string_view pool,
                                                   std::string_view backend) const;

    /// No effect and no history when nothing changes; then returns false.
    bool
    set_health(BackendId id, Health health, std::string evidence, TimePoint now = Clock::now());
    /// The health is the same, the reason another.
    void explain(BackendId id, std::string evidence) {
        backends_[index(id)].evidence = std::move(evidence);
    }
    /// Health that somebody else found so earlier.
    void date_health(BackendId id, TimePoint seen) { backends_[index(id)].health_seen = seen; }
    /// BackendState::takes_since, when somebody else saw it begin.
    void restore_eligible_since(BackendId id, TimePoint since) {
        backends_[index(id)].takes_since = since;
    }
    bool set_admin(BackendId id, Admin admin, std::string evidence, TimePoint now = Clock::now());
    /// Of a backend that drains: then it becomes Disabled. Ends with the drain; empty: none.
    void set_drain_deadline(BackendId id, std::optional<TimePoint> deadline);
    /// Disables what has drained until its deadline; forgets that somebody came back long ago.
    void pass_deadlines(TimePoint now);

    /// Backends that may get no new call from this moment on: down or disabled.
    [[nodiscard]] std::vector<BackendId> lost(PoolId id) const;
    /// What becomes of the calls a backend has. A change by time alone raises no version.
    [[nodiscard]] BackendLife life(BackendId id, TimePoint now) const;
    /// Where they are, by BackendId.
    [[nodiscard]] std::vector<BackendLocation> places() const;
    /// True when every backend that is not disabled, new or leaving is up, busy or down.
    [[nodiscard]] bool health_known(PoolId id) const;

    /// Grows with every change that can alter what is published.
    [[nodiscard]] std::uint64_t version() const noexcept { return version_; }
    [[nodiscard]] const std::deque<StateChange>& history() const noexcept { return history_; }
    /// Something else that `show events` tells; number and time are given here.
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
