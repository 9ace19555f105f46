// SPDX-License-Identifier: Apache-2.0
//
// verbs: the table of every verb, and the handlers of those that are not `show`.
//
// In:    Control and checked-by-count arguments from a local client. Hostile.
// Out:   Reply, or Error with what exists and what to do.
// Cost:  control thread; a change publishes a snapshot before it is answered.
// Spec:  RFC 4648 §4 (base64 of --message-base64).

#include "call_store.hpp"
#include "log.hpp"
#include "pool.hpp"
#include "publish.hpp"
#include "stats.hpp"
#include "verbs_config.hpp"
#include "verbs_drain.hpp"
#include "verbs_show.hpp"

#include "viaduct/message.hpp"
#include "viaduct/steer.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <unistd.h>

namespace viaduct {

VipId find_vip(const Snapshot& snapshot, const std::string& name) {
    std::string names;
    for (std::size_t i = 0; i < snapshot.vips.size(); ++i) {
        if (snapshot.vips[i].name == name) return static_cast<VipId>(i);
        names += (names.empty() ? "" : ", ") + snapshot.vips[i].name;
    }
    throw Error("no vip \"" + printable(name) + "\"; there are: " + names);
}

const Snapshot& published(const Control& control) {
    const Snapshot* const snapshot = control.publisher.current();
    if (snapshot == nullptr) throw Error("nothing is published yet: ask again in a moment");
    return *snapshot;
}

namespace {

using Json = nlohmann::ordered_json;

// ---- explain

/// RFC 4648 §4, padding demanded. Throws Error.
std::vector<std::byte> decode_base64(std::string_view text) {
    constexpr std::string_view kAlphabet =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with("=") ? 1 : 0;
    if (text.size() % 4 != 0)
        throw Error("--message-base64: the length of base64 is a multiple of four");
    std::vector<std::byte> bytes;
    std::uint32_t bits = 0;
    unsigned held = 0;
    for (std::size_t i = 0; i + padding < text.size(); ++i) {
        const std::size_t digit = kAlphabet.find(text[i]);
        if (digit == std::string_view::npos)
            throw Error("--message-base64: character " + std::to_string(i + 1) + " is no base64");
        bits = (bits << 6 | static_cast<std::uint32_t>(digit)) & 0xffffff;
        held += 6;
        if (held < 8) continue;
        held -= 8;
        bytes.push_back(static_cast<std::byte>((bits >> held) & 0xff));
    }
    return bytes;
}

/// "b1 (down, enabled), b2 (up, drain)": why a pool has no table.
std::string states_of(const PoolModel& model, const PoolState& pool) {
    constexpr std::size_t kShown = 8;
    std::string text;
    for (std::size_t i = 0; i < std::min(kShown, pool.backends.size()); ++i) {
        const BackendState& backend = model.backend(pool.backends[i]);
        text += (i == 0 ? "" : ", ") + backend.config.name + " (" +
                std::string(name_of(backend.health)) + ", " + std::string(name_of(backend.admin)) +
                (backend.config.weight == 0 ? ", weight 0)" : ")");
    }
    if (pool.backends.size() > kShown) text += ", ...";
    return text;
}

std::string reason_of(Outcome outcome, const Control& control, const PoolState& pool) {
    std::string reason(kOutcomes[static_cast<std::size_t>(outcome)].help);
    if (outcome == Outcome::NoVerdict || outcome == Outcome::NoBackend)
        reason += ": " + states_of(control.model, pool);
    return reason;
}

/// Why a message goes to this backend, in words.
std::string reason_of(const Steering& steering, const Backend& backend) {
    const std::string slot = "slot " + std::to_string(steering.slot);
    switch (steering.rule) {
    case SteerRule::Settled:
        return "the keyed hash of the Call-ID picks " + slot + " of the pool's table, and " +
               backend.name + " holds it in every generation";
    case SteerRule::Now:
        return "it begins something: " + backend.name + " holds " + slot +
               " in the present generation";
    case SteerRule::Old:
        return "it belongs to a call of which nothing is remembered: " + backend.name + " held " +
               slot + " in the oldest generation in memory";
    case SteerRule::Remembered:
        return "its call is remembered: it is at " + backend.name;
    case SteerRule::DeadOwner:
        return "its call's backend is dead: on_dead_owner sends it to " + backend.name;
    case SteerRule::Chosen:
        return "it begins something: the pool's algorithm would choose " + backend.name + " now";
    case SteerRule::Key:
        return "it begins something: its key picks " + backend.name;
    case SteerRule::Named:
        return "it names another call (Replaces, Join or Target-Dialog), and that is at " +
               backend.name;
    case SteerRule::Caller:
        return "it comes from a backend: the other end of its call is " + backend.name;
    case SteerRule::Count_:
        break;
    }
    return "a rule without a name: please report it";
}

bool is_settled(const Steering& steering) {
    return !steering.is_unsettled && !steering.is_marked;
}

/// Settled or not, and why.
std::string slot_state(const Steering& steering) {
    if (steering.is_unsettled)
        return "unsettled: generations in memory, or the announced one, name different owners";
    if (steering.is_marked) return "marked: a call in it is not where the hash says";
    return "settled: all generations in memory name the same owner";
}

/// Whose table decides: the oldest one's for calls of which nothing is remembered; null where none
/// does.
Json generation_of(const Control& control, PoolId pool, const std::optional<Steering>& steering) {
    const std::deque<Generation>& all = control.publisher.generations(pool).all();
    if (!steering || all.empty() || steering->rule == SteerRule::Remembered) return nullptr;
    const bool oldest = steering->rule == SteerRule::Old && steering->is_unsettled;
    return (oldest ? all.front() : all.back()).number;
}

void explain(Control& control, Arguments arguments, Reply& reply) {
    const bool has_message = arguments[1] == "--message-base64";
    if (has_message != (arguments.size() == 3))
        throw Error("usage: explain VIP CALL-ID, or explain VIP --message-base64 BASE64");
    const Snapshot* const snapshot = &published(control);

    const VipId vip_id = find_vip(*snapshot, arguments[0]);
    const Vip& vip = snapshot->vips[index(vip_id)];
    std::vector<std::byte> message;
    SipDigest digest;
    if (has_message) {
        message = decode_base64(arguments[2]);
        ReadRules rules = vip.read_rules; // a settled pool's workers read less, and decide alike
        rules.want = Want::Everything;
        digest = read_digest(message, rules);
    } else {
        digest.kind = PayloadKind::Request;
        digest.call_id = arguments[1];
    }

    std::optional<Outcome> end = admit_message(vip, digest);
    std::optional<Steering> steering;
    const Backend* backend = nullptr;
    const SteerView view{*snapshot, control.calls, control.sweeper.now(), nullptr, true};
    const std::uint64_t hash = steering_hash(snapshot->pools[index(vip.pool)], digest);
    if (!digest.call_id.empty()) steering = steer_vip(view, vip_id, digest, hash, {message, {}});
    if (!end && steering->backend) backend = &snapshot->backends[index(*steering->backend)];
    if (!end && !backend) end = steering->refusal;

    const PoolId pool = steering ? steering->pool : vip.pool;
    const bool has_call_id = !digest.call_id.empty();
    const bool has_call = steering && steering->call;
    reply.json = {
        {"vip", vip.name},
        {"pool", snapshot->pools[index(pool)].name},
        {"call_id", has_call_id ? Json(to_utf8(digest.call_id)) : Json()},
        {"slot", steering ? Json(steering->slot) : Json()},
        {"backend", backend ? Json(backend->name) : Json()},
        {"address", backend ? Json(to_string(backend->endpoint)) : Json()},
        {"outcome", name_of(end.value_or(Outcome::Forwarded))},
        {"table", control.publisher.digest(pool)},
        {"reason",
         end ? reason_of(*end, control, control.model.pool(pool)) : reason_of(*steering, *backend)},
        {"rule", steering ? Json(name_of(steering->rule)) : Json()},
        {"generation", generation_of(control, pool, steering)},
        {"settled", steering ? Json(is_settled(*steering)) : Json()},
        {"slot_state", steering ? Json(slot_state(*steering)) : Json()},
        {"unsettled", steering ? Json(steering->is_unsettled) : Json()},
        {"remembered", steering ? Json(steering->call.has_value()) : Json()},
        {"call_state", has_call ? Json(name_of(steering->call->state)) : Json()}};
}

// ---- shutdown, help

void shutdown(Control& control, Arguments, Reply& reply) {
    reply.json = {{"stopping", true}, {"pid", getpid()}};
    reply.text = "viaductd (pid " + std::to_string(getpid()) + ") stops now.\n";
    control.loop.stop();
}

void help(Control&, Arguments, Reply& reply) {
    auto& rows = reply.json["verbs"] = nlohmann::ordered_json::array();
    auto table = nlohmann::ordered_json::array();
    for (const Verb& verb : verbs()) {
        rows.push_back({{"verb", verb.name},
                        {"arguments", verb.arguments},
                        {"changes", verb.changes},
                        {"help", verb.help}});
        std::string usage(verb.name);
        if (!verb.arguments.empty()) usage.append(" ").append(verb.arguments);
        table.push_back(
            {{"verb", usage}, {"who", verb.changes ? "admins" : "all"}, {"meaning", verb.help}});
    }
    reply.text = to_table(table);
}

constexpr std::array kVerbs{
    // name, arguments, fewest, most, changes, help, handler
    Verb{"add",
         "POOL BACKEND ADDRESS[:PORT] [--weight N] [--tier N] [--max-calls N] [--mac MAC]",
         3,
         11,
         true,
         "a new backend, until the next reload",
         add},
    Verb{"disable",
         "POOL BACKEND",
         2,
         2,
         true,
         "no calls and no packets of clients; probes go on",
         disable},
    Verb{"drain",
         "POOL BACKEND [--now] [--force] [--deadline TIME]",
         2,
         6,
         true,
         "give it no new calls, from the switch (--now: this moment) on; --force: though it is the "
         "last one; --deadline: then disable it",
         drain},
    Verb{"enable", "POOL BACKEND", 2, 2, true, "undo disable", enable},
    Verb{"explain",
         "VIP CALL-ID|--message-base64 BASE64",
         2,
         3,
         false,
         "which backend a message goes to, and why",
         explain},
    Verb{"failback",
         "POOL",
         1,
         1,
         true,
         "new calls back to the first tier that has min_up, where failback = false",
         failback},
    Verb{"help", "", 0, 0, false, "list the verbs", help},
    Verb{"preview",
         "FILE",
         1,
         1,
         true,
         "what a reload of FILE would change; for admins, as viaductd reads the file",
         preview},
    Verb{"reload",
         "",
         0,
         0,
         true,
         "read the configuration file again and apply it (as SIGHUP)",
         reload},
    Verb{"remove",
         "POOL BACKEND [--force]",
         2,
         3,
         true,
         "it gets no new calls, and goes when the last one it has has ended; until the next reload",
         remove},
    Verb{"rollback",
         "",
         0,
         0,
         true,
         "back to the configuration before the last change of it",
         rollback},
    Verb{"show backends", "", 0, 0, false, "every backend: state, since when, why", show_backends},
    Verb{"show calls",
         "[POOL]|VIP CALL-ID",
         0,
         2,
         false,
         "remembered calls per backend and state, and room for more; or one call",
         show_calls},
    Verb{"show config", "", 0, 0, false, "the configuration in force, secrets hidden", show_config},
    Verb{"show events", "[N]", 0, 1, false, "the last N state changes (50)", show_events},
    Verb{"show generations",
         "[POOL]",
         0,
         1,
         false,
         "which backends took new calls, take them and will, and the slots in between",
         show_generations},
    Verb{"show health", "", 0, 0, false, "probes and their results per backend", show_health},
    Verb{"show outcomes", "", 0, 0, false, "how packets ended, and worker counters", show_outcomes},
    Verb{"show pools", "", 0, 0, false, "pools: backends, table, what is announced", show_pools},
    Verb{"show ports", "", 0, 0, false, "ports: driver, link, the driver's counters", show_ports},
    Verb{"show version", "", 0, 0, false, "versions, uptime, process id", show_version},
    Verb{"show vips", "", 0, 0, false, "the addresses clients use", show_vips},
    Verb{"show workers",
         "",
         0,
         0,
         false,
         "load of each worker: since start, and in the last second",
         show_workers},
    Verb{"shutdown", "", 0, 0, true, "stop viaductd", shutdown},
    Verb{"tier", "POOL BACKEND N", 3, 3, true, "its tier, until the next reload", tier},
    Verb{"undrain", "POOL BACKEND", 2, 2, true, "undo drain", undrain},
    Verb{"vip disable",
         "VIP",
         1,
         1,
         true,
         "its traffic ends as vip_disabled, until the next reload",
         vip_disable},
    Verb{"vip enable", "VIP", 1, 1, true, "undo vip disable, or enabled = false", vip_enable},
    Verb{"weight", "POOL BACKEND N", 3, 3, true, "its weight, until the next reload", weight},
};
static_assert(std::ranges::is_sorted(kVerbs, std::ranges::less{}, &Verb::name),
              "kVerbs is sorted by name");
static_assert(std::ranges::all_of(kVerbs,
                                  [](const Verb& verb) {
                                      return verb.min_arguments <= verb.max_arguments &&
                                             verb.arguments.empty() == (verb.max_arguments == 0);
                                  }),
              "a verb with arguments says what they are");

} // namespace

const std::vector<Verb>& verbs() noexcept {
    static const std::vector<Verb> all(kVerbs.begin(), kVerbs.end());
    return all;
}

} // namespace viaduct
