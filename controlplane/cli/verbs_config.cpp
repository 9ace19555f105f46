// SPDX-License-Identifier: Apache-2.0
//
// verbs_config: reload, preview, rollback; add, remove, weight, tier; vip enable, vip disable.
//
// In:    arguments of a local client. Hostile.
// Out:   what changed, which share of new calls moves and when, and what happens to calls in
//        progress.
// Cost:  a table for each affected pool, and a snapshot before the answer.
#include "cli/verbs_config.hpp"

#include "cli/verbs_drain.hpp"
#include "log.hpp"
#include "model/pool.hpp"
#include "publish/publish.hpp"
#include "publish/reload.hpp"

#include "viaduct/error.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <exception>
#include <functional>

namespace viaduct {

namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kAddUsage =
    "usage: add POOL BACKEND ADDRESS[:PORT] [--weight N] [--tier N] [--max-calls N] [--mac MAC]";

Json value_of(const std::string& text) {
    return text.empty() ? Json() : Json(text);
}

Json json_of(const ConfigDifference& one) {
    constexpr std::array kKinds{"added", "removed", "changed"};
    return {{"change", kKinds[static_cast<std::size_t>(one.kind)]},
            {"what", one.what},
            {"setting", value_of(one.key)},
            {"before", value_of(one.before)},
            {"after", value_of(one.after)},
            {"needs_restart", one.needs_restart}};
}

std::string text_of(const ConfigChange::PoolEffect& effect) {
    const std::string calls = std::to_string(effect.remembered) + " tracked call(s)";
    const std::string all = effect.all_counted ? "" : ", and others that are not counted,";
    if (effect.goes)
        return "Pool " + effect.pool + " is removed: " + calls + all + " are forgotten.\n";
    std::string text;
    if (effect.moved_slots > 0)
        text = "Pool " + effect.pool + ": " + Json(percent(effect.moved_slots, kSlots)).dump() +
               " % of new calls go to another backend.\n";
    if (effect.remembered > 0)
        text += "Pool " + effect.pool + ": " + calls + all +
                " stay at the removed backends until they end.\n";
    return text;
}

/// Describes the effect of a change, whether applied or not.
void describe(const ConfigChange& change, Reply& reply) {
    reply.json["changed"] = !change.empty();
    Json changes = Json::array();
    Json pools = Json::array();
    if (change.empty()) reply.text = "No difference from the running configuration.\n";
    for (const ConfigDifference& one : change.differences) {
        changes.push_back(json_of(one));
        reply.text += to_string(one) + (one.needs_restart ? " (needs a restart)\n" : "\n");
    }
    for (const ConfigChange::PoolEffect& effect : change.pools) {
        pools.push_back({{"pool", effect.pool},
                         {"goes", effect.goes},
                         {"moved_percent", percent(effect.moved_slots, kSlots)},
                         {"remembered", effect.remembered},
                         {"all_counted", effect.all_counted}});
        reply.text += text_of(effect);
    }
    Json moves = Json::array();
    for (const ConfigChange::VipMove& one : change.moves) {
        const bool at_once = one.announced.count() == 0;
        const auto seconds = std::chrono::ceil<std::chrono::seconds>(one.announced).count();
        moves.push_back(
            {{"vip", one.vip}, {"from", one.from}, {"to", one.to}, {"moves_in_s", seconds}});
        reply.text += "Vip " + one.vip + ": all new calls move from pool " + one.from + " to " +
                      one.to +
                      (at_once ? " at once"
                               : " in " + std::to_string(seconds) +
                                     " s, or later, when the health of " + one.to + " is known") +
                      ". Calls in progress stay where they are.\n";
    }
    reply.json["moves"] = std::move(moves);
    Json vips = Json::array();
    for (const ConfigChange::Departure& one : change.departures) {
        vips.push_back({{"vip", one.vip},
                        {"leaves_pool", one.pool},
                        {"remembered", one.remembered},
                        {"all_counted", one.all_counted}});
        reply.text += "Vip " + one.vip + " leaves pool " + one.pool + ": " +
                      std::to_string(one.remembered) + " tracked call(s) there" +
                      (one.all_counted ? "" : ", and others that are not counted,") +
                      " are no longer known; set previous_pool = \"" + one.pool +
                      "\" to keep them.\n";
    }
    reply.json["vips"] = std::move(vips);
    reply.json["changes"] = std::move(changes);
    reply.json["pools"] = std::move(pools);
    reply.json["warning"] = value_of(change.warning);
    if (!change.warning.empty()) reply.text += "Warning: " + change.warning + ".\n";
}

/// Publishes the change and describes it.
void finish(Control& control, const ConfigChange& change, Reply& reply) {
    if (!change.empty()) control.apply();
    describe(change, reply);
    Json switches = Json::array();
    for (const PoolState& pool : control.model.pools()) {
        const Json seconds = seconds_to_switch(control, pool.id);
        if (seconds.is_null()) continue;
        switches.push_back({{"pool", pool.config.name}, {"switch_in_s", seconds}});
        if (!change.empty())
            reply.text +=
                "Pool " + pool.config.name + ": " + when_it_switches(control, pool) + "\n";
    }
    for (const PoolState& pool : control.model.pools())
        if (const std::string news = bad_news(control, pool); !change.empty() && !news.empty())
            reply.text += news + "\n";
    reply.json["switches"] = std::move(switches);
}

Reloader& reloader(const Control& control) {
    if (control.reloader == nullptr) throw Error("this program cannot change its configuration");
    return *control.reloader;
}

/// Whether a reload would change nothing.
bool is_in_file(const Control& control) {
    try {
        return reloader(control).preview(load_for_reload(control.config.file)).empty();
    } catch (const std::exception&) { // the file is missing or has mistakes now
        return false;
    }
}

/// Finishes a change that may not be in the file.
void finish_beside_the_file(Control& control, const ConfigChange& change, Reply& reply) {
    finish(control, change, reply);
    const bool in_file = is_in_file(control);
    reply.json["in_file"] = in_file;
    if (!change.empty() && !in_file)
        reply.text +=
            "This change lasts until the next reload or restart. To keep it, also add it to " +
            control.config.file + ".\n";
}

void edit(Control& control, Reply& reply, const std::function<void(Config&)>& change) {
    finish_beside_the_file(control, reloader(control).edit(change), reply);
}

unsigned number(std::string_view what, const std::string& text) {
    unsigned value = 0;
    const char* const end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, value);
    if (error == std::errc{} && stop == end) return value;
    throw Error(std::string(what) + " must be a number, such as 100");
}

PoolConfig& pool_in(Config& config, const std::string& name) {
    return *std::ranges::find(config.pools, name, &PoolConfig::name);
}

BackendConfig& backend_in(Config& config, const BackendState& backend) {
    return *std::ranges::find(
        pool_in(config, backend.pool_name).backends, backend.config.name, &BackendConfig::name);
}

/// Finds a configured backend. Throws Error also for one that is leaving.
const BackendState& find_member(const Control& control, Arguments arguments) {
    const BackendState& backend = control.model.find_backend(arguments[0], arguments[1]);
    if (backend.membership != Membership::Configured)
        throw Error(backend.config.name + " of pool " + backend.pool_name +
                    " is leaving: it is no longer in the configuration");
    return backend;
}

BackendConfig new_backend(Arguments arguments) {
    BackendConfig backend;
    backend.name = arguments[1];
    const std::string& place = arguments[2];
    const std::size_t colon = place.find(':');
    const auto address = parse_ipv4(std::string_view(place).substr(0, colon));
    if (!address)
        throw Error("ADDRESS must be an IPv4 address, such as 198.51.100.24 or 198.51.100.24:5060");
    const unsigned port =
        colon == std::string::npos ? 5060 : number("PORT", place.substr(colon + 1));
    if (port < 1 || port > 65'535) throw Error("PORT must be a number from 1 to 65535");
    backend.endpoint = {*address, static_cast<std::uint16_t>(port)};
    for (std::size_t i = 3; i < arguments.size(); i += 2) {
        const std::string& option = arguments[i];
        if (i + 1 == arguments.size()) throw Error(std::string(kAddUsage));
        const std::string& value = arguments[i + 1];
        if (option == "--weight")
            backend.weight = number(option, value);
        else if (option == "--tier")
            backend.tier = number(option, value);
        else if (option == "--max-calls")
            backend.max_calls = number(option, value);
        else if (option == "--mac")
            backend.mac = parse_mac(value);
        else
            throw Error(std::string(kAddUsage));
        if (option == "--mac" && !backend.mac)
            throw Error("--mac must be a MAC address, such as 02:00:00:00:00:24");
    }
    return backend;
}

void set_vip(Control& control, const std::string& name, bool enabled, Reply& reply) {
    std::string names;
    for (const VipConfig& vip : control.config.vips)
        names += (names.empty() ? "" : ", ") + vip.name;
    if (std::ranges::find(control.config.vips, name, &VipConfig::name) == control.config.vips.end())
        throw Error("unknown vip \"" + printable(name) + "\"; vips: " + names);
    edit(control, reply, [&](Config& config) {
        std::ranges::find(config.vips, name, &VipConfig::name)->enabled = enabled;
    });
}

} // namespace

void reload(Control& control, Arguments, Reply& reply) {
    finish(control, reloader(control).reload(), reply);
}

void preview(Control& control, Arguments arguments, Reply& reply) {
    if (!arguments[0].starts_with('/'))
        throw Error("preview needs an absolute path, because viaductd reads the file: /...");
    const Config next = load_for_reload(arguments[0]);
    describe(reloader(control).preview(next), reply);
    reply.text += "Nothing was changed.\n";
}

void rollback(Control& control, Arguments, Reply& reply) {
    finish_beside_the_file(control, reloader(control).roll_back(), reply);
}

void add(Control& control, Arguments arguments, Reply& reply) {
    const PoolState& pool = control.model.find_pool(arguments[0]);
    if (std::ranges::find(pool.config.backends, arguments[1], &BackendConfig::name) !=
        pool.config.backends.end())
        throw Error("pool " + arguments[0] + " already has a backend \"" + arguments[1] +
                    "\"; see weight, tier and remove");
    BackendConfig backend = new_backend(arguments);
    edit(control, reply, [&](Config& config) {
        pool_in(config, arguments[0]).backends.push_back(backend);
    });
}

void remove(Control& control, Arguments arguments, Reply& reply) {
    const BackendState& backend = find_member(control, arguments);
    const PoolState& pool = control.model.pool(backend.pool);
    if (pool.config.backends.size() == 1)
        throw Error(backend.config.name + " is the only backend of pool " + arguments[0] +
                    ", and a pool needs at least one: drain or disable it instead");
    const bool force = is_forced(arguments, 2, "remove POOL BACKEND [--force]");
    refuse_last(control, backend, "remove it", force);
    edit(control, reply, [&](Config& config) {
        std::erase_if(pool_in(config, arguments[0]).backends,
                      [&](const BackendConfig& one) { return one.name == arguments[1]; });
    });
}

void weight(Control& control, Arguments arguments, Reply& reply) {
    const BackendState& backend = find_member(control, arguments);
    const unsigned wanted = number("weight", arguments[2]);
    const bool force = is_forced(arguments, 3, "weight POOL BACKEND N [--force]");
    const PoolState& pool = control.model.pool(backend.pool);
    const bool others = std::ranges::any_of(pool.config.backends, [&](const BackendConfig& one) {
        return one.name != backend.config.name && one.weight > 0;
    });
    if (wanted == 0 && others) // a pool whose weights are all 0 is refused in any case
        refuse_last(control, backend, "set its weight to 0", force);
    edit(control, reply, [&](Config& config) { backend_in(config, backend).weight = wanted; });
}

void tier(Control& control, Arguments arguments, Reply& reply) {
    const BackendState& backend = find_member(control, arguments);
    edit(control, reply, [&](Config& config) {
        backend_in(config, backend).tier = number("tier", arguments[2]);
    });
}

void vip_enable(Control& control, Arguments arguments, Reply& reply) {
    set_vip(control, arguments[0], true, reply);
}

void vip_disable(Control& control, Arguments arguments, Reply& reply) {
    set_vip(control, arguments[0], false, reply);
}

} // namespace viaduct
