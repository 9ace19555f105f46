// SPDX-License-Identifier: Apache-2.0
//
// page_table: a table of a page of documentation, for tests of what it says.
#pragma once

#include <fstream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace viaduct::test {

struct PageRow {
    std::string message; ///< the first cell
    std::vector<std::string> cells;
};

[[nodiscard]] inline std::vector<std::string> page_cells(const std::string& line) {
    std::vector<std::string> cells;
    std::istringstream in(line.substr(1));
    for (std::string cell; std::getline(in, cell, '|');) {
        const auto begin = cell.find_first_not_of(' ');
        cells.push_back(cell.substr(begin, cell.find_last_not_of(' ') - begin + 1));
    }
    return cells;
}

/// The rows of the table whose head starts with `head`; the first row is the head.
[[nodiscard]] inline std::vector<PageRow> page_table(const std::string& path,
                                                     std::string_view head) {
    std::vector<PageRow> rows;
    std::ifstream page(path);
    for (std::string line; std::getline(page, line);) {
        if (rows.empty() && !line.starts_with(head)) continue;
        if (!line.starts_with("|")) break;
        if (line.starts_with("|---")) continue;
        std::vector<std::string> cells = page_cells(line);
        const std::string message = cells.front();
        cells.erase(cells.begin());
        rows.push_back({message, cells});
    }
    return rows;
}

} // namespace viaduct::test
