// SPDX-License-Identifier: Apache-2.0
#include "pool.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

namespace viaduct {

namespace {

constexpr std::array<std::string_view, 4> kHealthNames{"unknown", "up", "busy", "down"};
constexpr std::array<std::string_view, 3> kAdminNames{"enabled", "drain", "disabled"};

/// "a, b, c" of the names in a row of things that have a config.name.
template <typename Range, typename NameOf>
std::string list_names(const Range& range, NameOf name_of_item) {
    std::string text;
    for (const auto& item : range) {
        if (!text.empty()) text += ", ";
        text += name_of_item(item);
    }
    return text;
}

} // namespace

std::string_view name_of(Health health) noexcept {
    return kHealthNames[static_cast<std::size_t>(health)];
}

std::string_view name_of(Admin admin) noexcept {
    return kAdminNames[static_cast<std::size_t>(admin)];
}

PoolModel::PoolModel(const Config& config, const BackendIds& wanted)
    : patience_(transaction_time(config)) {
    const auto now = std::chrono::system_clock::now();
    std::size_t next = 0;
    for (const auto& [name, id] : wanted)
        next = std::max(next, index(id) + 1);
    for (const PoolConfig& pool_config : config.pools) {
        PoolState pool{pool_config, PoolId{static_cast<std::uint16_t>(pools_.size())}, {}};
        for (const BackendConfig& backend_config : pool_config.backends) {
            BackendState backend;
            backend.config = backend_config;
            const auto known = wanted.find({pool_config.name, backend_config.name});
            backend.id = known != wanted.end() ? known->second : static_cast<BackendId>(next++);
            backend.pool = pool.id;
            backend.changed = now;
            backend.evidence = "no verdict yet";
            pool.backends.push_back(backend.id);
            backends_.push_back(std::move(backend));
        }
        pools_.push_back(std::move(pool));
    }
    std::ranges::sort(backends_, {}, &BackendState::id);
    for (std::size_t i = 0; i < backends_.size(); ++i)
        if (index(backends_[i].id) != i)
            throw Error("a backend that it names is in the configuration no more");
}

const PoolState& PoolModel::find_pool(std::string_view name) const {
    const auto found = std::find_if(pools_.begin(), pools_.end(), [&](const PoolState& pool) {
        return pool.config.name == name;
    });
    if (found != pools_.end()) return *found;
    throw Error("no pool \"" + std::string(name) + "\"; there are: " +
                list_names(pools_, [](const PoolState& pool) { return pool.config.name; }));
}

const BackendState& PoolModel::find_backend(std::string_view pool_name,
                                            std::string_view backend_name) const {
    const PoolState& pool = find_pool(pool_name);
    for (const BackendId id : pool.backends)
        if (backend(id).config.name == backend_name) return backend(id);
    throw Error("no backend \"" + std::string(backend_name) + "\" in pool \"" + pool.config.name +
                "\"; there are: " + list_names(pool.backends, [this](BackendId id) {
                    return backend(id).config.name;
                }));
}

bool PoolModel::set_health(BackendId id, Health health, std::string evidence, TimePoint now) {
    BackendState& backend = backends_[index(id)];
    backend.health_seen = now;
    if (backend.health == health) return false;
    if (health == Health::Down) backend.down_since = now;
    const Health before = std::exchange(backend.health, health);
    backend.evidence = std::move(evidence);
    record(backend, name_of(before), name_of(health));
    return true;
}

bool PoolModel::set_admin(BackendId id, Admin admin, std::string evidence) {
    BackendState& backend = backends_[index(id)];
    if (backend.admin == admin) return false;
    const Admin before = std::exchange(backend.admin, admin);
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
    for (const BackendState& backend : backends_)
        if (backend.drain_deadline && *backend.drain_deadline <= now)
            set_admin(backend.id, Admin::Disabled, "the deadline of its drain has passed");
}

std::vector<BackendId> PoolModel::eligible(PoolId id) const {
    std::map<unsigned, std::vector<BackendId>> by_tier;
    for (const BackendId candidate : pool(id).backends) {
        const BackendState& state = backend(candidate);
        if (state.health == Health::Up && state.admin == Admin::Enabled && state.config.weight > 0)
            by_tier[state.config.tier].push_back(candidate);
    }
    for (const auto& [tier, members] : by_tier)
        if (members.size() >= pool(id).config.min_up) return members;
    return by_tier.empty() ? std::vector<BackendId>{} : by_tier.begin()->second;
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
    if (state.admin == Admin::Disabled) return BackendLife::Dead;
    if (state.health != Health::Down) return BackendLife::Serves;
    return now - state.down_since < patience_ ? BackendLife::Silent : BackendLife::Dead;
}

std::vector<PlacedBackend> PoolModel::places() const {
    std::vector<PlacedBackend> places;
    for (const BackendState& backend : backends_)
        places.push_back(
            {backend.config.endpoint.address, backend.config.mac, pool(backend.pool).config.mode});
    return places;
}

bool PoolModel::has_verdict(PoolId id) const {
    const std::vector<BackendId>& members = pool(id).backends;
    return std::all_of(members.begin(), members.end(), [this](BackendId member) {
        return backend(member).health != Health::Unknown ||
               backend(member).admin == Admin::Disabled;
    });
}

void PoolModel::record(const BackendState& backend, std::string_view from, std::string_view to) {
    ++version_;
    const auto now = std::chrono::system_clock::now();
    backends_[index(backend.id)].changed = now;
    history_.push_back({++changes_,
                        now,
                        pool(backend.pool).config.name,
                        backend.config.name,
                        std::string(from),
                        std::string(to),
                        backend.evidence});
    if (history_.size() > kHistory) history_.pop_front();
}

} // namespace viaduct
