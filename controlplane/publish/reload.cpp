// SPDX-License-Identifier: Apache-2.0
#include "publish/reload.hpp"

#include "log.hpp"
#include "totals.hpp"

#include "viaduct/error.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

namespace viaduct {

namespace {

/// Removes line numbers from an error about a text of print_config; the operator cannot see that
/// text.
std::string without_places(std::string mistake) {
    if (const std::size_t end = mistake.find(": "); end != std::string::npos)
        mistake.erase(0, end + 2);
    for (const std::string_view place : {" (on line ", ", the first on line ", ", first on line "})
        if (const std::size_t at = mistake.find(place); at != std::string::npos) {
            const std::size_t number = at + place.size();
            const std::size_t end = mistake.find_first_not_of("0123456789)", number);
            mistake.erase(at, end == std::string::npos ? end : end - at);
        }
    return mistake;
}

std::string first_line(const std::string& lines) {
    return lines.substr(0, lines.find('\n'));
}

void refuse_what_needs_a_restart(const std::vector<ConfigDifference>& differences) {
    std::string names;
    for (const ConfigDifference& one : differences) {
        if (!one.needs_restart) continue;
        names += (names.empty() ? "" : "; ") + to_string(one);
    }
    if (!names.empty()) throw Error("not applied: " + names + " (can only change with a restart)");
}

/// Another unit of time would require a new table of calls.
void mark_what_changes_the_table(const Config& before,
                                 const Config& after,
                                 std::vector<ConfigDifference>& differences) {
    if (Publisher::call_unit(before) == Publisher::call_unit(after)) return;
    const auto time = [](const Config& config) { return Publisher::call_unit(config).count(); };
    differences.push_back({ConfigDifference::Kind::Changed,
                           "call table (by the longest call_lifetime)",
                           "unit",
                           std::to_string(time(before)) + "s",
                           std::to_string(time(after)) + "s",
                           true});
}

} // namespace

Config load_for_reload(const std::string& file) {
    try {
        return load_config(file);
    } catch (const ConfigError& error) {
        const std::string lines = error.what();
        const auto more = std::ranges::count(lines, '\n');
        throw Error(first_line(lines) +
                    (more == 0 ? ""
                               : " (and " + std::to_string(more) +
                                     " more mistakes: viaductd --check " + file + ")") +
                    "; nothing was changed");
    }
}

std::uint64_t Reloader::remembered_of(BackendId id) const {
    return parts_.sweeper.counts()[index(id)].active();
}

ConfigChange::PoolEffect Reloader::effect_on(const PoolState& pool, const PoolModel& after) const {
    ConfigChange::PoolEffect effect;
    effect.pool = pool.config.name;
    effect.all_counted = parts_.publisher.tracks_every_call(pool);
    const auto next = std::ranges::find(
        after.pools(), pool.config.name, [](const PoolState& one) { return one.config.name; });
    effect.goes = next == after.pools().end();
    for (const BackendId id : pool.backends) {
        const bool leaves = parts_.model.backend(id).membership == Membership::Configured &&
                            after.backend(id).membership != Membership::Configured;
        if (effect.goes || leaves) effect.remembered += remembered_of(id);
    }
    if (!effect.goes && pool.config.steering == SteerBy::Hash) {
        const Generations& generations = parts_.publisher.generations(pool.id);
        const Election wanted = elect(after, next->id, generations.promised(), TimePoint::max());
        effect.moved_slots = generations.would_move(wanted.candidates, next->config.table);
    }
    return effect;
}

std::vector<ConfigChange::Departure> Reloader::departures(const Config& next) const {
    std::vector<ConfigChange::Departure> made;
    for (const VipConfig& before : parts_.config.vips) {
        const auto after = std::ranges::find(next.vips, before.name, &VipConfig::name);
        if (after == next.vips.end()) continue;
        std::vector<std::string> had{before.pool};
        if (before.previous_pool) had.push_back(*before.previous_pool);
        for (const std::string& name : had) {
            if (after->pool == name || after->previous_pool == name) continue;
            ConfigChange::Departure departure{before.name, name};
            const PoolState& pool = parts_.model.find_pool(name);
            departure.all_counted = parts_.publisher.tracks_every_call(pool);
            for (const BackendId id : pool.backends)
                departure.remembered += remembered_of(id);
            made.push_back(std::move(departure));
        }
    }
    return made;
}

namespace {

std::vector<ConfigChange::VipMove> moves(const Config& before, const Config& after) {
    std::vector<ConfigChange::VipMove> made;
    for (const VipConfig& then : before.vips) {
        const auto now = std::ranges::find(after.vips, then.name, &VipConfig::name);
        if (now == after.vips.end() || now->pool == then.pool || now->previous_pool != then.pool)
            continue;
        const auto from = std::ranges::find(before.pools, then.pool, &PoolConfig::name);
        const bool goes_back = then.previous_pool == now->pool;
        made.push_back({then.name,
                        then.pool,
                        now->pool,
                        goes_back ? std::chrono::milliseconds{0} : from->t_settle});
    }
    return made;
}

} // namespace

ConfigChange Reloader::preview(const Config& next) const {
    ConfigChange change;
    change.differences = differences(parts_.config, next);
    mark_what_changes_the_table(parts_.config, next, change.differences);
    if (change.empty()) return change;
    change.departures = departures(next);
    change.moves = moves(parts_.config, next);
    PoolModel after = parts_.model;
    after.reconfigure(next);
    for (const BackendState& backend : after.backends())
        if (backend.exists() && backend.joined_running_pool && backend.health == Health::Unknown)
            after.set_health(backend.id, Health::Up, "supposed");
    for (const PoolState& pool : parts_.model.pools()) {
        ConfigChange::PoolEffect effect = effect_on(pool, after);
        if (effect.goes || effect.moved_slots + effect.remembered > 0)
            change.pools.push_back(std::move(effect));
    }
    return change;
}

ConfigChange Reloader::apply(Config next, TimePoint now) {
    ConfigChange change = preview(next);
    refuse_what_needs_a_restart(change.differences);
    if (change.empty()) return change;
    const std::size_t ids = parts_.model.backends().size();
    PoolModel model = parts_.model;
    model.reconfigure(next, now);
    for (const BackendState& backend : model.backends())
        if (index(backend.id) < ids &&
            parts_.model.backend(backend.id).membership == Membership::Unused &&
            backend.membership == Membership::Configured)
            model.set_counter_base(backend.id, forwarded_to(backend.id), returned_from(backend.id));
    parts_.set_addresses(next, model.places()); // the last step that can fail
    parts_.model = std::move(model);
    before_ = std::exchange(parts_.config, std::move(next));
    parts_.publisher.reconfigure();
    parts_.health.reconfigure(now);
    parts_.sweeper.restart();
    if (const std::string failure = parts_.keep_state(); !failure.empty())
        change.warning =
            failure + "; until it can be written, a restart loses the calls of new backends";
    if (before_->log_level != parts_.config.log_level) set_log_level(parts_.config.log_level);
    for (const ConfigDifference& one : change.differences)
        spdlog::info("configuration: {}", to_string(one));
    return change;
}

ConfigChange Reloader::reload() {
    return apply(load_for_reload(parts_.config.file));
}

ConfigChange Reloader::roll_back() {
    if (!before_)
        throw Error(
            "there is no previous configuration: nothing was changed since viaductd started");
    return apply(*before_);
}

ConfigChange Reloader::edit(const std::function<void(Config&)>& change) {
    Config next = parts_.config;
    change(next);
    try {
        Config checked = parse_config(print_config(next), next.file);
        checked.secret = next.secret; // not printed
        return apply(std::move(checked));
    } catch (const ConfigError& error) {
        throw Error(without_places(first_line(error.what())) + "; nothing was changed");
    }
}

void Reloader::tick(TimePoint now) {
    if (std::exchange(passes_, parts_.sweeper.passes()) == parts_.sweeper.passes()) return;
    std::vector<BackendId> free;
    for (const BackendState& backend : parts_.model.backends()) {
        const bool leaves = backend.membership == Membership::Leaving;
        const bool is_used = (!leaves && backend.membership != Membership::Removed) ||
                             (leaves && parts_.publisher.generations(backend.pool).has(backend.id));
        if (is_used) { // or used again
            unused_.erase(backend.id);
            continue;
        }
        // The pass that just ended may have started while the backend was still in use: wait for
        // another.
        const bool is_first = unused_.insert(backend.id).second;
        if (!is_first && (!leaves || parts_.sweeper.found_none(backend.id)))
            free.push_back(backend.id);
    }
    for (const BackendId id : free) {
        unused_.erase(id);
        parts_.model.release(id);
    }
    if (!free.empty()) parts_.health.reconfigure(now);
}

} // namespace viaduct
