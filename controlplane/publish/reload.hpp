// SPDX-License-Identifier: Apache-2.0
//
// reload: replaces the current configuration by another one, completely or not at all.
//
// In:    a checked Config: the file read again, or the current one with an operator's edit.
// Out:   a preview, or the change itself. Backends that are no longer configured are leaving: they
//        keep their calls, and their ids until no call of them is remembered.
// Cost:  Control thread; a copy of the model. For the cost of the tables see generation.hpp.
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
        /// Slots, out of kSlots, whose new calls go elsewhere. Added backends count as up.
        std::size_t moved_slots = 0;
        std::uint64_t remembered = 0; ///< calls of leaving backends, or of a removed pool
        bool all_counted = false;     ///< `remembered` includes every call
        bool goes = false;            ///< the pool is removed and its calls are forgotten
    };
    /// A pool that a VIP no longer uses. The VIP's calls there become unknown; previous_pool would
    /// keep them.
    struct Departure {
        std::string vip;
        std::string pool;
        std::uint64_t remembered = 0;
        bool all_counted = false;
    };
    /// A VIP that moves from one pool to another with previous_pool, or back.
    struct VipMove {
        std::string vip;
        std::string from;
        std::string to;
        std::chrono::milliseconds announced{
            0}; ///< for at least this long; 0: at once, because it moves back
    };
    std::vector<ConfigDifference> differences;
    std::vector<PoolEffect> pools; ///< the affected ones
    std::vector<VipMove> moves;
    std::vector<Departure> departures;
    std::string warning; ///< for the operator; empty: none
    [[nodiscard]] bool empty() const noexcept { return differences.empty(); }
};

class Reloader {
public:
    struct Parts {
        Config& config; ///< the current one; all other parts refer to it
        PoolModel& model;
        Publisher& publisher;
        HealthChecker& health;
        CallSweeper& sweeper;
        /// Gives the addresses of VIPs and backends to the kernel. May throw Error; nothing has
        /// changed then.
        std::function<void(const Config&, std::vector<BackendLocation>)> set_addresses;
        /// Saves what new ids mean, before any call is remembered with them. Returns the error;
        /// empty: success.
        std::function<std::string()> keep_state;
    };
    explicit Reloader(Parts parts) : parts_(std::move(parts)) {}

    [[nodiscard]] ConfigChange preview(const Config& next) const;
    /// Applies `next`; the caller publishes afterwards. Throws Error naming what needs a restart or
    /// what failed; nothing has changed then.
    ConfigChange apply(Config next, TimePoint now = Clock::now());
    /// Reads the file of the current configuration and applies it. Throws Error.
    ConfigChange reload();
    /// Applies the configuration before the last change; a second call reverts that. Throws Error
    /// when there is none.
    ConfigChange roll_back();
    /// Applies the current configuration with an edit. Throws Error saying what is wrong with the
    /// result.
    ConfigChange edit(const std::function<void(Config&)>& change);

    /// Frees ids of which no call is remembered any more.
    void tick(TimePoint now);

private:
    [[nodiscard]] std::vector<ConfigChange::Departure> departures(const Config& next) const;
    [[nodiscard]] ConfigChange::PoolEffect effect_on(const PoolState& pool,
                                                     const PoolModel& after) const;
    [[nodiscard]] std::uint64_t remembered_of(BackendId id) const;

    Parts parts_;
    std::optional<Config> before_;
    std::set<BackendId> unused_; ///< leaving or removed, and unused when the last pass ended
    std::uint64_t passes_ = 0;
};

/// Same as load_config(), but an error is one line: the first mistake and the number of others.
[[nodiscard]] Config load_for_reload(const std::string& file);

} // namespace viaduct
