// SPDX-License-Identifier: Apache-2.0
#include "machine.hpp"
#include "report_page.hpp"

#include <algorithm>
#include <ctime>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

namespace viaduct::bench {

namespace {

using Json = nlohmann::ordered_json;

/// Seconds since 1970 of "2026-11-20T15:48:57Z".
std::optional<std::time_t> seconds_of(const std::string& date) {
    std::tm parts{};
    if (::strptime(date.c_str(), "%Y-%m-%dT%H:%M:%S", &parts) == nullptr) return std::nullopt;
    return ::timegm(&parts);
}

std::string short_commit(const std::string& commit) {
    const std::size_t dash = commit.find('-');
    return commit.substr(0, 10) + (dash == std::string::npos ? "" : commit.substr(dash));
}

/// The commit of all files when they agree; otherwise the tree's, with a warning.
void settle_commit(Report& report) {
    std::set<std::string> commits;
    std::string which;
    for (const std::string_view name : kFiles) {
        const auto found = report.measurements.find(name);
        if (found == report.measurements.end()) continue;
        const std::string& commit = found->second.commit;
        commits.insert(commit);
        which += (which.empty() ? "" : ", ") + std::string(name) + " " +
                 (commit.empty() ? "unknown" : short_commit(commit));
    }
    report.commit = commit_of_tree();
    if (commits.size() == 1 && !commits.begin()->empty()) report.commit = *commits.begin();
    if (commits.size() > 1)
        report.warnings.push_back("The figures were not all measured of the same commit: " + which +
                                  ".");
    if (report.commit.ends_with("-dirty"))
        report.warnings.push_back("The tree that was measured had changes that are not committed.");
}

} // namespace

Report make_report(Measurements measurements) {
    Report report;
    report.rows = derive_rows(measurements);
    report.machine = machine_facts();
    report.date = now_utc();
    for (const auto& [name, measurement] : measurements)
        for (const auto& [what, version] : measurement.versions) {
            std::string& known = report.versions[what];
            if (known.empty())
                known = version;
            else if ((", " + known + ", ").find(", " + version + ", ") == std::string::npos)
                known += ", " + version;
        }
    report.measurements = std::move(measurements);
    settle_commit(report);
    return report;
}

std::string age(const Report& report, const Measurement& measurement) {
    const auto from = seconds_of(measurement.date);
    const auto to = seconds_of(report.date);
    if (!from || !to) return "unknown";
    const auto minutes = std::max<std::time_t>(0, *to - *from) / 60;
    const auto counted = [](std::time_t count, const char* unit) {
        return std::to_string(count) + " " + unit + (count == 1 ? "" : "s");
    };
    if (minutes < 120) return counted(minutes, "minute");
    if (minutes < 48 * 60) return counted(minutes / 60, "hour");
    return counted(minutes / 60 / 24, "day");
}

std::string readable(const std::string& date) {
    if (!seconds_of(date)) return date;
    return date.substr(0, 10) + " " + date.substr(11, 5) + " UTC";
}

std::string verdict(const Row& row) {
    if (!row.value) return "not yet";
    if (!row.reached()) return "not reached";
    return row.stretched() ? "reached, and the next" : "reached";
}

std::string results_json(const Report& report) {
    Json machine = Json::object();
    for (const auto& [name, value] : report.machine)
        machine[name] = value;
    Json rows = Json::array();
    for (const Row& row : report.rows) {
        const auto figure = [&](double Spread::*which) {
            return row.value ? Json((*row.value).*which) : Json(nullptr);
        };
        rows.push_back({{"id", row.spec->id},
                        {"value", figure(&Spread::median)},
                        {"low", figure(&Spread::low)},
                        {"high", figure(&Spread::high)},
                        {"reach", row.spec->reach},
                        {"stretch", row.spec->stretch},
                        {"reached", row.value ? Json(row.reached()) : Json(nullptr)}});
    }
    const Json json{{"machine", machine},
                    {"commit", report.commit},
                    {"versions", report.versions},
                    {"date", report.date},
                    {"rows", rows}};
    return json.dump(1) + "\n";
}

std::string terminal_table(const Report& report) {
    std::string made = text("%-20s %9s  %-19s %7s %7s  %s\n",
                            "ROW",
                            "VALUE",
                            "LOW TO HIGH",
                            "REACH",
                            "STRETCH",
                            "VERDICT");
    for (const Row& row : report.rows) {
        const std::string value = row.value ? number(row.value->median) : "-";
        const std::string spread =
            row.value ? number(row.value->low) + " to " + number(row.value->high) : "-";
        const std::string why = row.value ? "" : " (" + row.why_not_yet + ")";
        made += text("%-20s %9s  %-19s %7s %7s  %s\n",
                     std::string(row.spec->id).c_str(),
                     value.c_str(),
                     spread.c_str(),
                     number(row.spec->reach).c_str(),
                     number(row.spec->stretch).c_str(),
                     (verdict(row) + why).c_str());
    }
    made += "\n";
    for (const std::string_view name : kFiles) {
        const auto found = report.measurements.find(name);
        if (found == report.measurements.end()) continue;
        made += text("%-10s measured %s ago, commit %s\n",
                     std::string(name).c_str(),
                     age(report, found->second).c_str(),
                     found->second.commit.empty() ? "unknown"
                                                  : short_commit(found->second.commit).c_str());
    }
    for (const std::string& warning : report.warnings)
        made += "warning: " + warning + "\n";
    return made;
}

} // namespace viaduct::bench
