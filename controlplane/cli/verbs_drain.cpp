// SPDX-License-Identifier: Apache-2.0
//
// verbs_drain: drain, undrain, disable, enable, failback.
//
// Out:   where new calls go and from when on, and the number of calls in progress if they are
//        counted.
// Cost:  publishes a snapshot before it answers.
#include "cli/verbs_drain.hpp"

#include "config/value.hpp"
#include "model/pool.hpp"
#include "publish/call_sweeper.hpp"
#include "publish/publish.hpp"

#include "viaduct/error.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

namespace viaduct {

using Json = nlohmann::ordered_json;

namespace {

/// Returns the pool that takes over for this one, if all of its VIPs have it as previous pool;
/// otherwise "".
std::string stand_in(const Control& control, const PoolState& pool) {
    std::string name;
    for (const VipConfig& vip : control.config.vips) {
        if (vip.pool != pool.config.name) continue;
        if (!vip.previous_pool) return {};
        name = *vip.previous_pool;
    }
    if (name.empty()) return {};
    const PoolState& other = control.model.find_pool(name);
    const bool takes =
        control.model.health_known(other.id) && !elect(control.model, other.id).candidates.empty();
    return takes ? name : std::string();
}

} // namespace

std::string bad_news(const Control& control, const PoolState& pool) {
    const std::string other = stand_in(control, pool);
    const std::string begins = "new calls go to pool " + other + ".";
    if (!control.model.health_known(pool.id))
        return "Pool " + pool.config.name +
               ": the health of its backends is not known yet; until then " +
               (other.empty() ? "its traffic ends as health_unknown." : begins);
    if (elect(control.model, pool.id).candidates.empty())
        return "Pool " + pool.config.name + " has no backend that can take new calls: " +
               (other.empty() ? "its traffic ends as no_backend." : begins);
    return {};
}

std::string when_it_switches(const Control& control, const PoolState& pool) {
    const Generations& generations = control.publisher.generations(pool.id);
    const std::optional<Generation>& announced = generations.announced();
    if (!announced) return {};
    const auto text_of = [](TimePoint at) { return std::to_string(seconds_until(at)) + " s"; };
    std::string text = "Takes effect for new calls in ";
    if (generations.has_gathered())
        text += text_of(announced->since + pool.config.t_settle) +
                ", after a change that was announced earlier and switches in ";
    text += text_of(announced->since);
    return text + ". Calls in progress stay where they are.";
}

void refuse_last(const Control& control,
                 const BackendState& backend,
                 std::string_view verb,
                 bool is_forced) {
    const auto takes_calls = [&](BackendId id) {
        return id != backend.id && control.model.backend(id).takes_calls();
    };
    if (is_forced || !backend.takes_calls() ||
        std::ranges::any_of(control.model.pool(backend.pool).backends, takes_calls))
        return;
    throw Error(backend.config.name + " is the last backend of pool " + backend.pool_name +
                " that can take new calls: they would end as no_backend; add --force to " +
                std::string(verb) + " anyway");
}

bool is_forced(Arguments arguments, std::size_t count, const std::string& usage) {
    if (arguments.size() <= count) return false;
    if (arguments[count] != "--force") throw Error("usage: " + usage);
    return true;
}

namespace {

struct DrainOptions {
    bool now = false;
    bool force = false;
    std::optional<std::chrono::seconds> deadline;
};

/// Reads e.g. "90s", "10m", "2h", "1d".
std::chrono::seconds read_deadline(const std::string& text) {
    constexpr std::pair<char, std::int64_t> kUnits[] = {
        {'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86'400}};
    constexpr std::int64_t kMost = std::int64_t{30} * 86'400;
    std::int64_t number = 0;
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, number);
    for (const auto& [letter, factor] : kUnits)
        if (error == std::errc{} && stop + 1 == end && *stop == letter && number >= 1 &&
            number <= kMost / factor)
            return std::chrono::seconds(number * factor);
    throw Error("--deadline must be a time from 1s to 30d, such as 90s, 10m or 2h");
}

DrainOptions read_options(Arguments arguments) {
    DrainOptions options;
    for (std::size_t i = 2; i < arguments.size(); ++i) {
        const std::string& word = arguments[i];
        if (word == "--now")
            options.now = true;
        else if (word == "--force")
            options.force = true;
        else if (word == "--deadline" && i + 1 < arguments.size())
            options.deadline = read_deadline(arguments[++i]);
        else
            throw Error("usage: drain POOL BACKEND [--now] [--force] [--deadline TIME]");
    }
    return options;
}

/// Saves the state; call after publishing. Runs even if nothing changed, because an earlier change
/// may still have to be written.
void keep(const Control& control, Reply& reply) {
    reply.json["warning"] = nullptr;
    const std::string failure = control.keep_state ? control.keep_state() : std::string();
    if (failure.empty()) return;
    const std::string warning = failure + "; until it can be written, a restart loses this change";
    reply.json["warning"] = warning;
    reply.text += "Warning: " + warning + ".\n";
}

std::string in_progress(const Control& control, const PoolState& pool, const Json& calls) {
    if (!calls.is_null()) return calls.dump();
    return control.publisher.counts_since(pool.id) ? "not known yet"
                                                   : "not counted (set count_calls = true)";
}

void set_admin(Control& control,
               Arguments arguments,
               Reply& reply,
               Admin wish,
               const DrainOptions& options = {}) {
    const BackendState& backend = control.model.find_backend(arguments[0], arguments[1]);
    const PoolState& pool = control.model.pool(backend.pool);
    const Admin before = backend.admin;
    const bool had_announced = control.publisher.generations(pool.id).announced().has_value();
    const bool changed = control.model.set_admin(
        backend.id, wish, "set to " + std::string(name_of(wish)) + " by an operator");
    if (options.deadline)
        control.model.set_drain_deadline(backend.id, Clock::now() + *options.deadline);
    if (options.now) control.publisher.switch_at_once(pool.id);
    const bool applies = changed || options.now || options.deadline;
    if (applies) control.apply();

    const std::string name = backend.config.name + " (pool " + pool.config.name + "): ";
    const std::size_t eligible = control.publisher.elect(control.model, pool.id).candidates.size();
    const Json calls = calls_left(control, backend);
    const Json refused = calls_refused(control, backend);
    std::vector<std::string> notes;
    if (changed && wish == Admin::Disabled)
        notes.emplace_back("New calls go elsewhere immediately. Messages of its calls in progress "
                           "are handled by on_dead_owner.");
    else if (const std::string note = when_it_switches(control, pool); changed && !note.empty())
        notes.push_back(note);
    if (options.now && had_announced)
        notes.emplace_back(
            "Changes announced earlier for this pool have switched at the same time.");
    if (wish == Admin::Drain) {
        std::string note = "Calls in progress: " + in_progress(control, pool, calls);
        if (!refused.is_null() && refused != 0)
            note += ", and " + refused.dump() + " whose INVITE was refused, or seems to be";
        notes.push_back(note + ".");
    }
    if (backend.drain_deadline)
        notes.push_back("It will be disabled in " + std::to_string(*seconds_left(backend)) + " s.");
    if (const std::string news = bad_news(control, pool); !news.empty()) notes.push_back(news);

    reply.json = {{"pool", pool.config.name},
                  {"backend", backend.config.name},
                  {"admin", name_of(wish)},
                  {"before", name_of(before)},
                  {"changed", changed},
                  {"eligible", eligible},
                  {"calls_left", calls},
                  {"calls_refused", refused},
                  {"notes", notes}};
    const std::string state(name_of(wish));
    reply.text = name + (changed ? state + " (was " + std::string(name_of(before)) + ").\n"
                                 : "already " + state + ": no change.\n");
    for (const std::string& note : notes)
        reply.text += note + "\n";
    keep(control, reply);
}

/// Keeps `undrain` and `drain` from sending packets to a disabled backend, and `enable` from ending
/// a drain.
void refuse(const Control& control, Arguments arguments, Admin state, const std::string& instead) {
    const BackendState& backend = control.model.find_backend(arguments[0], arguments[1]);
    if (backend.membership == Membership::Leaving)
        throw Error(backend.config.name + " is leaving pool " + backend.pool_name +
                    ": it is no longer in the configuration; put it back and reload");
    if (backend.admin == state)
        throw Error(backend.config.name + " is " + std::string(name_of(state)) + ": use `" +
                    instead + " " + arguments[0] + " " + arguments[1] + "`");
}

} // namespace

Json calls_left(const Control& control, const BackendState& backend) {
    const bool all_counted = control.publisher.tracks_every_call(control.model.pool(backend.pool));
    if (!all_counted || control.sweeper.passes() == 0) return nullptr;
    const CallCounts& counts = control.sweeper.counts()[index(backend.id)];
    return counts.active();
}

Json calls_refused(const Control& control, const BackendState& backend) {
    if (calls_left(control, backend).is_null()) return nullptr;
    return control.sweeper.counts()[index(backend.id)].failed;
}

std::optional<std::int64_t> seconds_left(const BackendState& backend) {
    if (!backend.drain_deadline) return std::nullopt;
    return seconds_until(*backend.drain_deadline);
}

void drain(Control& control, Arguments arguments, Reply& reply) {
    const BackendState& backend = control.model.find_backend(arguments[0], arguments[1]);
    const DrainOptions options = read_options(arguments);
    refuse(control, arguments, Admin::Disabled, "enable");
    refuse_last(control, backend, "drain it", options.force);
    set_admin(control, arguments, reply, Admin::Drain, options);
}

void undrain(Control& control, Arguments arguments, Reply& reply) {
    refuse(control, arguments, Admin::Disabled, "enable");
    set_admin(control, arguments, reply, Admin::Enabled);
}

void disable(Control& control, Arguments arguments, Reply& reply) {
    const BackendState& backend = control.model.find_backend(arguments[0], arguments[1]);
    const bool force = is_forced(arguments, 2, "disable POOL BACKEND [--force]");
    refuse_last(control, backend, "disable it", force);
    set_admin(control, arguments, reply, Admin::Disabled);
}

void enable(Control& control, Arguments arguments, Reply& reply) {
    refuse(control, arguments, Admin::Drain, "undrain");
    set_admin(control, arguments, reply, Admin::Enabled);
}

void failback(Control& control, Arguments arguments, Reply& reply) {
    const PoolState& pool = control.model.find_pool(arguments[0]);
    const Election before = control.publisher.elect(control.model, pool.id);
    if (before.candidates.empty())
        throw Error("pool " + arguments[0] + " has no backend that can take new calls");
    const bool changed = before.tier != before.best_tier;
    if (changed) {
        control.publisher.fail_back(pool.id);
        control.apply();
    }
    std::vector<std::string> notes;
    if (const std::string note = when_it_switches(control, pool); changed && !note.empty())
        notes.push_back(note);
    reply.json = {{"pool", pool.config.name},
                  {"tier", before.best_tier},
                  {"before", before.tier},
                  {"changed", changed},
                  {"notes", notes}};
    const std::string tier = std::to_string(before.best_tier);
    reply.text =
        "Pool " + pool.config.name +
        (changed ? " returns to tier " + tier + " (from " + std::to_string(before.tier) + ").\n"
                 : " is already on tier " + tier + ", the first one with min_up: no change.\n");
    for (const std::string& note : notes)
        reply.text += note + "\n";
    keep(control, reply);
}

} // namespace viaduct
