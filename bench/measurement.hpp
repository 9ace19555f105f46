// SPDX-License-Identifier: Apache-2.0
//
// measurement: one file of figures, `build/bench/NAME.json`, as benchmarks and rigs write it and as
// the report reads it.
//
// A file has a name, a title, the commands, versions, notes, and samples. A sample says who was
// measured under which load in which metric, with one value a round, in the order measured: value i
// of one and value i of another of the same file belong to the same round. See bench/README.md.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace viaduct::bench {

struct Sample {
    std::string who;
    std::string load;
    std::string metric;
    std::string unit;
    std::vector<double> values;
    std::map<std::string, std::string> remarks; ///< further members: `level`, `worst_message`
};

struct Measurement {
    std::string name;
    std::string title;
    std::vector<std::string> commands;
    std::map<std::string, std::string> versions;
    std::vector<std::string> notes;
    std::string commit; ///< of the tree that was measured; empty: not said
    std::string date;   ///< of the end, ISO 8601, UTC; empty: not said
    std::vector<Sample> samples;

    /// Null when there is none.
    [[nodiscard]] const Sample*
    find(std::string_view who, std::string_view load, std::string_view metric) const;
};

/// Nothing when there is no such file. Throws std::runtime_error, one line, when it is broken.
[[nodiscard]] std::optional<Measurement> read_measurement(const std::string& path);

/// Whole or not at all. Commit and date are those of now, whatever `measurement` says.
void write_measurement(const std::string& path, const Measurement& measurement);

/// Path -> content.
using Files = std::vector<std::pair<std::string, std::string>>;
/// All of them whole or none at all: by way of PATH.part.
void write_files(const Files& files);

struct Spread {
    double median = 0;
    double low = 0;
    double high = 0;
};
/// Of at least one value.
[[nodiscard]] Spread spread_of(std::span<const double> values);

/// printf() into a string.
[[gnu::format(printf, 1, 2)]] [[nodiscard]] std::string text(const char* format, ...);

/// A number as people write it: three significant digits, thousands with commas, no exponent.
[[nodiscard]] std::string number(double value);

} // namespace viaduct::bench
