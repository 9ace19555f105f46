// SPDX-License-Identifier: Apache-2.0
//
// report_page: what a report is made of -> results.json for machines, index.html for people, and
// the table of marks for a terminal.
//
// The page stands alone: no script, no font, no picture from elsewhere.
#pragma once

#include "report_rows.hpp"

#include <map>
#include <string>
#include <utility>
#include <vector>

namespace viaduct::bench {

struct Report {
    Measurements measurements;
    std::vector<Row> rows;
    std::vector<std::pair<std::string, std::string>> machine;
    std::map<std::string, std::string> versions; ///< of all measurements
    std::string commit;                          ///< that was measured
    std::string date;                            ///< of the report
    std::vector<std::string> warnings;
};

/// Rows, versions, commit and warnings of these measurements. Throws as derive_rows() does.
[[nodiscard]] Report make_report(Measurements measurements);

[[nodiscard]] std::string results_json(const Report& report);
[[nodiscard]] std::string index_html(const Report& report);
[[nodiscard]] std::string terminal_table(const Report& report);

/// "reached", "reached, and the next", "not reached", "not yet".
[[nodiscard]] std::string verdict(const Row& row);

/// One section for each of kFiles: figures where it was measured, or what would measure it.
[[nodiscard]] std::string sections_html(const Report& report);

/// "2026-11-20 15:48 UTC" of a measurement's or report's date.
[[nodiscard]] std::string readable(const std::string& date);

/// How long before the report `measurement` ended: "3 hours".
[[nodiscard]] std::string age(const Report& report, const Measurement& measurement);

} // namespace viaduct::bench
