// SPDX-License-Identifier: Apache-2.0
#include "model/pool.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <utility>

namespace viaduct {

namespace {

constexpr std::array<std::string_view, count_of<Health>()> kHealthNames{
    "unknown", "up", "busy", "down"};
static_assert(names_all<Health>(kHealthNames));
constexpr std::array<std::string_view, count_of<Admin>()> kAdminNames{
    "enabled", "draining", "disabled"};
static_assert(names_all<Admin>(kAdminNames));
constexpr std::array<std::string_view, count_of<Membership>()> kMembershipNames{
    "member", "leaving", "gone", "free"};
static_assert(names_all<Membership>(kMembershipNames));

/// Joins the names of the items: "a, b, c".
template <typename Range, typename NameOf>
std::string list_names(const Range& range, NameOf name_of_item) {
    std::string text;
    for (const auto& item : range) {
        if (!text.empty()) text += ", ";
        text += name_of_item(item);
    }
    return text;
}

[[noreturn]] void
throw_elsewhere(const BackendState& known, const BackendConfig& wanted, bool leaves) {
    throw Error("backend \"" + wanted.name + "\" of pool \"" + known.pool_name + "\" " +
                (leaves ? "is still leaving, with its calls, at " : "has its calls at ") +
                to_string(known.config.endpoint) + ", not at " + to_string(wanted.endpoint) +
                ": give the new machine another name" +
                (leaves ? ", or wait until it is gone" : " instead of this one"));
}

/// Describes two backends of nat pools whose answers could not be told apart; empty: there are
/// none.
std::string find_clash(const std::vector<PoolState>& pools,
                       const std::vector<BackendState>& backends) {
    const auto is_nat = [&](const BackendState& one) {
        return one.exists() && info_of(pools[index(one.pool)].config.mode).returns_through_us;
    };
    std::multimap<Ipv4Addr, const BackendState*> leaving;
    for (const BackendState& one : backends)
        if (is_nat(one) && one.membership == Membership::Leaving)
            leaving.emplace(one.config.endpoint.address, &one);
    for (const BackendState& one : backends) {
        if (!is_nat(one) || one.membership != Membership::Configured) continue;
        const auto [first, last] = leaving.equal_range(one.config.endpoint.address);
        for (auto found = first; found != last; ++found) {
            const BackendState& other = *found->second;
            const bool any_port = pools[index(one.pool)].config.translate_any_port ||
                                  pools[index(other.pool)].config.translate_any_port;
            if (other.pool != one.pool &&
                (any_port || other.config.endpoint == one.config.endpoint))
                return "backend \"" + one.config.name + "\" of nat pool \"" + one.pool_name +
                       "\" is still leaving nat pool \"" + other.pool_name + "\" as \"" +
                       other.config.name + "\", with its calls, at " +
                       to_string(other.config.endpoint) +
                       ", and its answers could not be told apart: wait until it is gone there "
                       "(`show backends`)";
        }
    }
    return {};
}

/// Builds pools and backends of a configuration. Known backends keep their ids and state.
class Arrangement {
public:
    /// `before` is indexed by BackendId. At start-up a backend at another address is a new one;
    /// later it is refused.
    Arrangement(std::vector<BackendState> before, bool is_start);
    /// Adds the next pool of the configuration. Throws Error when a backend has moved or no id is
    /// left.
    void add(const PoolConfig& pool);

    std::vector<PoolState> pools;
    std::vector<BackendState> backends; ///< by BackendId

private:
    /// Finds the known backend of that name, unless it is at another address.
    [[nodiscard]] std::optional<std::size_t>
    match(const PoolConfig& pool, const BackendConfig& backend, bool& was_elsewhere);
    [[nodiscard]] std::size_t free_place();

    bool is_start_;
    std::chrono::system_clock::time_point now_ = std::chrono::system_clock::now();
    std::map<std::pair<std::string, std::string>, std::size_t> known_; ///< pool and name to index
    std::set<BackendId> leaving_;
    std::set<std::string> served_; ///< pools that had backends before
};

Arrangement::Arrangement(std::vector<BackendState> before, bool is_start)
    : backends(std::move(before)), is_start_(is_start) {
    for (BackendState& backend : backends) {
        if (!backend.exists()) continue;
        if (backend.membership == Membership::Leaving) leaving_.insert(backend.id);
        backend.membership = Membership::Removed; // until add() finds the backend
        known_[{backend.pool_name, backend.config.name}] = index(backend.id);
        served_.insert(backend.pool_name);
    }
}

std::size_t Arrangement::free_place() {
    if (backends.size() < kMaxBackends) {
        backends.emplace_back();
        return backends.size() - 1;
    }
    const auto free = std::ranges::find(backends, Membership::Unused, &BackendState::membership);
    if (free != backends.end()) return static_cast<std::size_t>(free - backends.begin());
    throw Error("too many backends: the limit is " + std::to_string(kMaxBackends) +
                ", including backends that are leaving or removed and may still have calls; "
                "see `show backends`");
}

std::optional<std::size_t>
Arrangement::match(const PoolConfig& pool, const BackendConfig& backend, bool& was_elsewhere) {
    const auto known = known_.find({pool.name, backend.name});
    if (known == known_.end()) return std::nullopt;
    const BackendState& there = backends[known->second];
    was_elsewhere = there.config.endpoint != backend.endpoint;
    if (!was_elsewhere) return known->second;
    // Calls in progress at the old machine must not reach another one.
    if (!is_start_) throw_elsewhere(there, backend, leaving_.contains(there.id));
    known_.erase(known); // cannot be refused at start-up: calls at the old machine are forgotten
    return std::nullopt;
}

void Arrangement::add(const PoolConfig& config) {
    PoolState pool{config, PoolId{static_cast<std::uint16_t>(pools.size())}, {}};
    for (const BackendConfig& backend_config : config.backends) {
        bool was_elsewhere = false;
        const std::optional<std::size_t> known = match(config, backend_config, was_elsewhere);
        const std::size_t place = known ? *known : free_place();
        BackendState& backend = backends[place];
        if (!known) {
            backend = {};
            backend.id = static_cast<BackendId>(place);
            backend.pool_name = config.name;
            backend.changed = now_;
            backend.evidence =
                was_elsewhere ? "health not known yet at its new address" : "health not known yet";
            backend.joined_running_pool = served_.contains(config.name);
        }
        backend.config = backend_config;
        backend.pool = pool.id;
        backend.membership = Membership::Configured;
        pool.backends.push_back(backend.id);
    }
    for (const auto& [name, place] : known_) {
        BackendState& backend = backends[place];
        if (name.first != config.name || backend.membership != Membership::Removed) continue;
        backend.pool = pool.id;
        backend.membership = Membership::Leaving;
        pool.backends.push_back(backend.id);
    }
    pools.push_back(std::move(pool));
}

} // namespace

std::string_view name_of(Health health) noexcept {
    return kHealthNames[static_cast<std::size_t>(health)];
}

std::string_view name_of(Admin admin) noexcept {
    return kAdminNames[static_cast<std::size_t>(admin)];
}

std::string_view name_of(Membership membership) noexcept {
    return kMembershipNames[static_cast<std::size_t>(membership)];
}

PoolModel::PoolModel(const Config& config, const std::vector<KnownBackend>& known, std::size_t ids)
    : transaction_time_(transaction_time(config)) {
    for (const KnownBackend& one : known)
        ids = std::max(ids, index(one.id) + 1);
    std::vector<BackendState> before(ids);
    for (std::size_t i = 0; i < ids; ++i) {
        before[i].id = static_cast<BackendId>(i);
        before[i].membership = Membership::Removed; // calls of the earlier backend with this id may
                                                    // still be remembered
    }
    for (const KnownBackend& one : known) {
        BackendState& backend = before[index(one.id)];
        backend.config = one.config;
        backend.pool_name = one.pool;
        backend.membership = Membership::Leaving;
        backend.evidence = "health not known yet";
    }
    arrange(config, std::move(before), true);
}

void PoolModel::reconfigure(const Config& config, TimePoint now) {
    const std::vector<BackendState> before = backends_;
    arrange(config, before, false);
    for (std::size_t i = 0; i < backends_.size(); ++i) {
        BackendState& backend = backends_[i];
        const Membership then = i < before.size() ? before[i].membership : Membership::Unused;
        note_return(backend, i < before.size() && before[i].takes_calls(), now);
        if (backend.membership == then) continue;
        backend.evidence = backend.membership == Membership::Configured
                               ? "in the configuration"
                               : "no longer in the configuration";
        record(backend, name_of(then), name_of(backend.membership));
    }
    ++version_;
}

/// `before` is indexed by BackendId. Changes nothing when it throws.
void PoolModel::arrange(const Config& config, std::vector<BackendState> before, bool is_start) {
    Arrangement next(std::move(before), is_start);
    for (const PoolConfig& pool : config.pools)
        next.add(pool);
    // A clash left by another process is accepted: those calls have no better place.
    if (!is_start && find_clash(pools_, backends_).empty())
        if (const std::string clash = find_clash(next.pools, next.backends); !clash.empty())
            throw Error(clash);
    pools_ = std::move(next.pools);
    backends_ = std::move(next.backends);
}

void PoolModel::set_counter_base(BackendId id, std::uint64_t forwarded, std::uint64_t returned) {
    backends_[index(id)].forwarded_before = forwarded;
    backends_[index(id)].returned_before = returned;
}

void PoolModel::release(BackendId id) {
    BackendState& backend = backends_[index(id)];
    if (backend.membership == Membership::Leaving) {
        backend.evidence = "none of its calls is tracked any more";
        record(backend, name_of(backend.membership), name_of(Membership::Removed));
        std::erase(pools_[index(backend.pool)].backends, id);
    }
    backend.membership = Membership::Unused;
    backend.drain_deadline.reset();
    ++version_;
}

const PoolState& PoolModel::find_pool(std::string_view name) const {
    const auto found = std::find_if(pools_.begin(), pools_.end(), [&](const PoolState& pool) {
        return pool.config.name == name;
    });
    if (found != pools_.end()) return *found;
    throw Error("unknown pool \"" + std::string(name) + "\"; pools: " +
                list_names(pools_, [](const PoolState& pool) { return pool.config.name; }));
}

const BackendState& PoolModel::find_backend(std::string_view pool_name,
                                            std::string_view backend_name) const {
    const PoolState& pool = find_pool(pool_name);
    for (const BackendId id : pool.backends)
        if (backend(id).config.name == backend_name) return backend(id);
    throw Error("unknown backend \"" + std::string(backend_name) + "\" in pool \"" +
                pool.config.name +
                "\"; backends: " + list_names(pool.backends, [this](BackendId id) {
                    return backend(id).config.name;
                }));
}

void PoolModel::note_return(BackendState& backend, bool took_calls, TimePoint now) {
    if (!backend.takes_calls())
        backend.takes_since.reset();
    else if (!took_calls)
        backend.takes_since = now;
}

bool PoolModel::set_health(BackendId id, Health health, std::string evidence, TimePoint now) {
    BackendState& backend = backends_[index(id)];
    backend.health_seen = now;
    if (backend.health == health) return false;
    if (health == Health::Down) backend.down_since = now;
    // The first health result in a new pool does not count as a return.
    const bool took_calls = backend.takes_calls() ||
                            (backend.health == Health::Unknown && !backend.joined_running_pool);
    const Health before = std::exchange(backend.health, health);
    note_return(backend, took_calls, now);
    backend.evidence = std::move(evidence);
    record(backend, name_of(before), name_of(health));
    return true;
}

bool PoolModel::set_admin(BackendId id, Admin admin, std::string evidence, TimePoint now) {
    BackendState& backend = backends_[index(id)];
    if (backend.admin == admin) return false;
    const bool took_calls = backend.takes_calls();
    const Admin before = std::exchange(backend.admin, admin);
    note_return(backend, took_calls, now);
    backend.drain_deadline.reset();
    backend.evidence = std::move(evidence);
    record(backend, name_of(before), name_of(admin));
    return true;
}

void PoolModel::set_drain_deadline(BackendId id, std::optional<TimePoint> deadline) {
    if (backends_[index(id)].drain_deadline == deadline) return;
    backends_[index(id)].drain_deadline = deadline;
    ++version_;
}

void PoolModel::pass_deadlines(TimePoint now) {
    for (BackendState& backend : backends_) {
        if (backend.drain_deadline && *backend.drain_deadline <= now)
            set_admin(backend.id, Admin::Disabled, "its drain deadline has passed", now);
        if (!backend.takes_since) continue;
        const PoolConfig& config = pool(backend.pool).config;
        if (now - *backend.takes_since >= config.hold_down + config.slow_start)
            backend.takes_since.reset();
    }
}

std::vector<BackendId> PoolModel::lost(PoolId id) const {
    std::vector<BackendId> result;
    for (const BackendId member : pool(id).backends)
        if (backend(member).health == Health::Down || backend(member).admin == Admin::Disabled)
            result.push_back(member);
    return result;
}

BackendLife PoolModel::life(BackendId id, TimePoint now) const {
    const BackendState& state = backend(id);
    if (!state.exists() || state.admin == Admin::Disabled) return BackendLife::Disabled;
    if (state.health != Health::Down) return BackendLife::Serves;
    return now - state.down_since < transaction_time_ ? BackendLife::Silent : BackendLife::Dead;
}

std::vector<BackendLocation> PoolModel::places() const {
    std::vector<BackendLocation> places(backends_.size());
    for (std::size_t i = 0; i < places.size(); ++i)
        if (const BackendState& backend = backends_[i]; backend.exists())
            places[i] = {backend.config.endpoint.address,
                         backend.config.mac,
                         pool(backend.pool).config.mode};
    return places;
}

bool PoolModel::health_known(PoolId id) const {
    const std::vector<BackendId>& members = pool(id).backends;
    return std::all_of(members.begin(), members.end(), [this](BackendId member) {
        const BackendState& state = backend(member);
        return state.health != Health::Unknown || state.admin == Admin::Disabled ||
               state.joined_running_pool || state.membership == Membership::Leaving;
    });
}

void PoolModel::record(const BackendState& backend, std::string_view from, std::string_view to) {
    ++version_;
    const auto now = std::chrono::system_clock::now();
    backends_[index(backend.id)].changed = now;
    record({0,
            now,
            backend.pool_name,
            backend.config.name,
            std::string(from),
            std::string(to),
            backend.evidence});
}

void PoolModel::record(StateChange change) {
    change.number = ++changes_;
    change.at = std::chrono::system_clock::now();
    history_.push_back(std::move(change));
    if (history_.size() > kHistory) history_.pop_front();
}

} // namespace viaduct
