// SPDX-License-Identifier: Apache-2.0
//
// reference: the tables of verbs, outcomes and counters -> Markdown sections of docs/reference.md.
//
// The section of settings comes from config/print.cpp.

#include "cli/reference.hpp"

#include "cli/cli.hpp"
#include "cli/text.hpp"
#include "config/config.hpp"

#include <string>
#include <string_view>

namespace viaduct {
namespace {

/// Returns the text of a table cell, with `|` escaped.
std::string cell(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '|') out += '\\';
        out += c;
    }
    return out;
}

std::string row(std::string_view code, std::string_view help) {
    return "| `" + cell(code) + "` | " + cell(help) + " |\n";
}

} // namespace

std::string verbs_reference() {
    std::string out = "## Verbs\n\n"
                      "`viaductctl [--socket PATH] [--json] VERB...`; verbs marked with * change "
                      "something and need an admin.\n\n"
                      "| Verb | Meaning |\n|---|---|\n";
    for (const Verb& verb : verbs()) {
        std::string usage(verb.name);
        if (!verb.arguments.empty()) usage.append(" ").append(verb.arguments);
        out += row(usage, std::string(verb.help) + (verb.changes ? " *" : ""));
    }
    return out;
}

std::string counters_reference() {
    std::string out = "## Outcomes\n\n"
                      "Every frame that a port delivers ends in exactly one outcome.\n\n"
                      "| Outcome | Meaning |\n|---|---|\n";
    for (const OutcomeInfo& info : kOutcomes)
        out += row(info.name, info.help);
    out += "\n## Worker counters\n\n| Counter | Meaning |\n|---|---|\n";
    for (const WorkerCounterInfo& info : kWorkerCounters)
        out += row(info.name, info.help);
    return out;
}

std::string reference_page() {
    return "# Reference\n\n"
           "Printed by `viaductd --reference` from the tables in the code; do not edit by "
           "hand.\n\n" +
           settings_reference() + "\n" + verbs_reference() + "\n" + counters_reference();
}

} // namespace viaduct
