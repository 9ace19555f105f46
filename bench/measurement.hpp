// SPDX-License-Identifier: Apache-2.0
//
// measurement: one file of figures, `build/bench/NAME.json`, as benchmarks write it; rigs write
// the same, and report.py reads both.
//
// A file has a name, a title, the commands, versions, notes, and samples. A sample says who was
// measured under which load in which metric, with one value a round, in the order measured: value i
// of one and value i of another of the same file belong to the same round. See bench/README.md.
#pragma once

#include <map>
#include <span>
#include <string>
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
    std::vector<Sample> samples;
};

/// Whole or not at all. With the commit of the tree and the time of now. Throws
/// std::runtime_error, one line, when the file cannot be written.
void write_measurement(const std::string& path, const Measurement& measurement);

struct Spread {
    double median = 0;
    double low = 0;
    double high = 0;
};
/// Of at least one value.
[[nodiscard]] Spread spread_of(std::span<const double> values);

} // namespace viaduct::bench
