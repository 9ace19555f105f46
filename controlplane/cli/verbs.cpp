// SPDX-License-Identifier: Apache-2.0
//
// verbs: the table of all verbs, and the handlers of help and shutdown.
//
// In:    Control, and arguments of a local client whose number was checked. Hostile.
// Out:   Reply, or Error with what exists and what to do.
// Cost:  control thread; a change publishes a snapshot before it is answered.
#include "calls/call_table_file.hpp"
#include "cli/text.hpp"
#include "cli/verbs_config.hpp"
#include "cli/verbs_drain.hpp"
#include "cli/verbs_show.hpp"
#include "log.hpp"
#include "model/pool.hpp"
#include "publish/publish.hpp"

#include <algorithm>
#include <array>
#include <unistd.h>

namespace viaduct {

VipId find_vip(const Snapshot& snapshot, const std::string& name) {
    std::string names;
    for (std::size_t i = 0; i < snapshot.vips.size(); ++i) {
        if (snapshot.vips[i].name == name) return static_cast<VipId>(i);
        names += (names.empty() ? "" : ", ") + snapshot.vips[i].name;
    }
    throw Error("unknown vip \"" + printable(name) + "\"; vips: " + names);
}

const Snapshot& published(const Control& control) {
    const Snapshot* const snapshot = control.publisher.current();
    if (snapshot == nullptr)
        throw Error("no configuration is published yet; try again in a moment");
    return *snapshot;
}

namespace {

using Json = nlohmann::ordered_json;

// ---- shutdown, help

void shutdown(Control& control, Arguments, Reply& reply) {
    reply.json = {{"stopping", true}, {"pid", getpid()}};
    reply.text = "viaductd (pid " + std::to_string(getpid()) + ") is stopping.\n";
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
    // name, arguments, minimum, maximum, changes, help, handler
    Verb{"add",
         "POOL BACKEND ADDRESS[:PORT] [--weight N] [--tier N] [--max-calls N] [--mac MAC]",
         3,
         11,
         true,
         "add a backend, until the next reload",
         add},
    Verb{"disable",
         "POOL BACKEND [--force]",
         2,
         3,
         true,
         "send it no calls and no client packets; probes continue; --force: even if it is the last "
         "backend",
         disable},
    Verb{"drain",
         "POOL BACKEND [--now] [--force] [--deadline TIME]",
         2,
         6,
         true,
         "stop new calls at the next switch (--now: immediately); --force: even if it is the last "
         "backend; --deadline: disable it then",
         drain},
    Verb{"enable", "POOL BACKEND", 2, 2, true, "undo disable", enable},
    Verb{"explain",
         "VIP CALL-ID|--message-base64 BASE64 [--source ADDRESS]",
         2,
         5,
         false,
         "which backend a message goes to, and why",
         explain},
    Verb{"failback",
         "POOL",
         1,
         1,
         true,
         "send new calls back to the preferred tier (for pools with failback = false)",
         failback},
    Verb{"help", "", 0, 0, false, "list the verbs", help},
    Verb{"preview",
         "FILE",
         1,
         1,
         true,
         "show what a reload of FILE would change; admins only, because viaductd reads the file",
         preview},
    Verb{"reload",
         "",
         0,
         0,
         true,
         "read the configuration file again and apply it (same as SIGHUP)",
         reload},
    Verb{"remove",
         "POOL BACKEND [--force]",
         2,
         3,
         true,
         "take it out of the pool; it disappears when its last call ends; lasts until the next "
         "reload; --force: even if it is the last backend",
         remove},
    Verb{"rollback", "", 0, 0, true, "return to the previous configuration", rollback},
    Verb{"show backends",
         "",
         0,
         0,
         false,
         "state of every backend, since when, and why",
         show_backends},
    Verb{"show calls",
         "[POOL]|VIP CALL-ID",
         0,
         2,
         false,
         "tracked calls per backend and state, and use of the call table; or one call",
         show_calls},
    Verb{"show config", "", 0, 0, false, "the running configuration, secrets hidden", show_config},
    Verb{"show events", "[N]", 0, 1, false, "the last N state changes (50)", show_events},
    Verb{"show generations",
         "[POOL]",
         0,
         1,
         false,
         "earlier, current and announced backend sets, and the slots that differ",
         show_generations},
    Verb{"show health", "", 0, 0, false, "probes and their results per backend", show_health},
    Verb{
        "show outcomes", "", 0, 0, false, "packets by outcome, and worker counters", show_outcomes},
    Verb{"show pools", "", 0, 0, false, "pools: backends, table, announced change", show_pools},
    Verb{"show ports", "", 0, 0, false, "ports: driver, link, driver counters", show_ports},
    Verb{"show version", "", 0, 0, false, "versions, uptime, process id", show_version},
    Verb{"show vips", "", 0, 0, false, "vips: the addresses that clients use", show_vips},
    Verb{"show workers",
         "",
         0,
         0,
         false,
         "load of each worker: since start, and in the last second",
         show_workers},
    Verb{"shutdown", "", 0, 0, true, "stop viaductd", shutdown},
    Verb{"tier", "POOL BACKEND N", 3, 3, true, "set its tier, until the next reload", tier},
    Verb{"undrain", "POOL BACKEND", 2, 2, true, "undo drain", undrain},
    Verb{"vip disable",
         "VIP",
         1,
         1,
         true,
         "drop its traffic as vip_disabled, until the next reload",
         vip_disable},
    Verb{"vip enable", "VIP", 1, 1, true, "undo vip disable, or enabled = false", vip_enable},
    Verb{"weight",
         "POOL BACKEND N [--force]",
         3,
         4,
         true,
         "set its weight, until the next reload; --force: even to 0 for the last backend",
         weight},
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
