// SPDX-License-Identifier: Apache-2.0
//
// reload: another configuration in place of the one in force, whole or not at all.
//
// In:    a checked Config: the file read again, or the one in force with an operator's edit.
// Out:   what it would change; or the change. Backends that are in it no longer leave: they keep
//        their calls, and their ids until no call is remembered of them.
// Cost:  control thread; a copy of the model. The tables that follow cost what Generations say.
#pragma once

#include "config/config.hpp"
#include "config/diff.hpp"
#include "health/health.hpp"
#include "model/pool.hpp"
#include "publish/call_sweeper.hpp"
#include "publish/publish.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace viaduct {

/// What another configuration would change.
struct ConfigChange {
    struct PoolEffect {
        std::string pool;
        std::size_t moved_slots =
            0; ///< of kSlots: new calls go elsewhere; backends added count as up
        std::uint64_t remembered = 0; ///< calls of backends that leave, or all where the pool goes
        bool all_counted = false;     ///< `remembered` is every call
        bool goes = false;            ///< the pool is in it no more, and its calls are forgotten
    };
    /// A VIP that has a pool no more, whose calls are not known then: previous_pool would keep
    /// them.
    struct Departure {
        std::string vip;
        std::string pool;
        std::uint64_t remembered = 0;
        bool all_counted = false;
    };
    /// A VIP that goes from one pool to another, with previous_pool, or back.
    struct VipMove {
        std::string vip;
        std::string from;
        std::string to;
        std::chrono::milliseconds announced{
            0}; ///< for so long at least; 0: at once, for it goes back
    };
    std::vector<ConfigDifference> differences;
    std::vector<PoolEffect> pools; ///< those that are affected
    std::vector<VipMove> moves;
    std::vector<Departure> departures;
    std::string warning; ///< for the operator; empty: none
    [[nodiscard]] bool empty() const noexcept { return differences.empty(); }
};

class Reloader {
public:
    struct Parts {
        Config& config; ///< in force; all others have references to it
        PoolModel& model;
        Publisher& publisher;
        HealthChecker& health;
        CallSweeper& sweeper;
        /// Gives the kernel the addresses of VIPs and backends; may throw Error, and then nothing
        /// has changed.
        std::function<void(const Config&, std::vector<BackendLocation>)> set_addresses;
        /// Keeps what new ids mean, before any call is remembered with them. Returns what went
        /// wrong; empty: nothing.
        std::function<std::string()> keep_state;
    };
    explicit Reloader(Parts parts) : parts_(std::move(parts)) {}

    [[nodiscard]] ConfigChange preview(const Config& next) const;
    /// Puts `next` in force; whoever calls publishes then. Throws Error naming what needs a restart
    /// or what failed; then nothing has changed.
    ConfigChange apply(Config next, TimePoint now = Clock::now());
    /// Reads the file of the configuration in force, and applies it. Throws Error.
    ConfigChange reload();
    /// Applies what was in force before the last change; a second time takes that back. Throws
    /// Error when there was none.
    ConfigChange roll_back();
    /// The configuration in force with an edit. Throws Error with what is wrong with the result.
    ConfigChange edit(const std::function<void(Config&)>& change);

    /// Frees the ids of which no call is remembered any more.
    void tick(TimePoint now);

private:
    [[nodiscard]] std::vector<ConfigChange::Departure> departures(const Config& next) const;
    [[nodiscard]] ConfigChange::PoolEffect effect_on(const PoolState& pool,
                                                     const PoolModel& after) const;
    [[nodiscard]] std::uint64_t remembered_of(BackendId id) const;

    Parts parts_;
    std::optional<Config> before_;
    std::set<BackendId> unused_; ///< leaving or gone, and of no use when the last pass ended
    std::uint64_t passes_ = 0;
};

/// load_config(), but a mistake is one line: the first, and how many there are.
[[nodiscard]] Config load_for_reload(const std::string& file);

} // namespace viaduct
