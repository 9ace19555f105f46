// SPDX-License-Identifier: Apache-2.0
#include "report_rows.hpp"

#include <algorithm>
#include <numeric>
#include <stdexcept>

namespace viaduct::bench {

namespace {

/// Why there is nothing to show for `who`.
std::string lacks(const RowSpec& spec, std::string_view who) {
    return std::string(spec.file) + ".json has no " + std::string(who) + ", " +
           std::string(spec.load) + ", " + std::string(spec.metric);
}

void derive_ratio(Row& row, const Measurement& from) {
    const RowSpec& spec = *row.spec;
    const Sample* above = from.find(spec.subject, spec.load, spec.metric);
    const Sample* below = from.find(spec.peer, spec.load, spec.metric);
    if (above == nullptr || below == nullptr) {
        row.why_not_yet = lacks(spec, above == nullptr ? spec.subject : spec.peer);
        return;
    }
    const std::vector<double> all = ratios(*above, *below);
    if (all.empty())
        row.why_not_yet = std::string(spec.peer) + " measured 0";
    else
        row.value = spread_of(all);
}

void derive_sum(Row& row, const Measurement& from) {
    const RowSpec& spec = *row.spec;
    bool any = false;
    double sum = 0;
    for (const Sample& sample : from.samples) {
        if (sample.who != spec.subject || sample.metric != spec.metric) continue;
        any = true;
        sum = std::accumulate(sample.values.begin(), sample.values.end(), sum);
    }
    if (any)
        row.value = Spread{sum, sum, sum};
    else
        row.why_not_yet = lacks(spec, spec.subject);
}

Row derive_row(const RowSpec& spec, const Measurements& measurements) {
    Row row{&spec, std::nullopt, {}};
    if (spec.derive == Derive::NotYet) {
        row.why_not_yet = "the feature does not exist yet";
        return row;
    }
    const auto from = measurements.find(spec.file);
    if (from == measurements.end()) {
        row.why_not_yet = "not measured: there is no " + std::string(spec.file) + ".json";
        return row;
    }
    switch (spec.derive) {
    case Derive::Ratio:
        derive_ratio(row, from->second);
        break;
    case Derive::Sum:
        derive_sum(row, from->second);
        break;
    case Derive::Plain:
        if (const Sample* sample = from->second.find(spec.subject, spec.load, spec.metric))
            row.value = spread_of(sample->values);
        else
            row.why_not_yet = lacks(spec, spec.subject);
        break;
    case Derive::NotYet:
        break;
    }
    return row;
}

} // namespace

Measurements read_measurements(const std::string& folder) {
    Measurements all;
    for (const std::string_view name : kFiles) {
        const std::string path = folder + "/" + std::string(name) + ".json";
        if (auto measurement = read_measurement(path)) {
            if (measurement->name != name)
                throw std::runtime_error(path + " is broken: it calls itself " + measurement->name);
            all.emplace(name, std::move(*measurement));
        }
    }
    return all;
}

std::vector<double> ratios(const Sample& above, const Sample& below) {
    if (above.values.size() != below.values.size())
        throw std::runtime_error("rounds do not pair: " + above.who + " has " +
                                 std::to_string(above.values.size()) + ", " + below.who + " has " +
                                 std::to_string(below.values.size()) + " (" + above.load + ", " +
                                 above.metric + "); measure again");
    if (std::ranges::find(below.values, 0.0) != below.values.end()) return {};
    std::vector<double> all;
    for (std::size_t i = 0; i < above.values.size(); ++i)
        all.push_back(above.values[i] / below.values[i]);
    return all;
}

std::vector<Row> derive_rows(const Measurements& measurements) {
    std::vector<Row> rows;
    for (const RowSpec& spec : kRows)
        rows.push_back(derive_row(spec, measurements));
    return rows;
}

} // namespace viaduct::bench
