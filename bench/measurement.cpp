// SPDX-License-Identifier: Apache-2.0
#include "measurement.hpp"

#include "machine.hpp"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>

namespace viaduct::bench {

void write_measurement(const std::string& path, const Measurement& measurement) {
    using Json = nlohmann::ordered_json;
    Json samples = Json::array();
    for (const Sample& sample : measurement.samples) {
        Json json{{"who", sample.who},
                  {"load", sample.load},
                  {"metric", sample.metric},
                  {"unit", sample.unit},
                  {"values", sample.values}};
        for (const auto& [key, value] : sample.remarks)
            json[key] = value;
        samples.push_back(std::move(json));
    }
    const Json json{{"name", measurement.name},
                    {"title", measurement.title},
                    {"commit", commit_of_tree()},
                    {"date", now_utc()},
                    {"commands", measurement.commands},
                    {"versions", measurement.versions},
                    {"notes", measurement.notes},
                    {"samples", std::move(samples)}};
    std::ofstream part(path + ".part", std::ios::binary);
    part << json.dump(1) << "\n";
    part.close();
    if (!part || std::rename((path + ".part").c_str(), path.c_str()) != 0)
        throw std::runtime_error("cannot write " + path + " (is its folder there, and yours?)");
}

Spread spread_of(std::span<const double> values) {
    std::vector<double> sorted(values.begin(), values.end());
    std::ranges::sort(sorted);
    const std::size_t count = sorted.size();
    return {(sorted[(count - 1) / 2] + sorted[count / 2]) / 2, sorted.front(), sorted.back()};
}

} // namespace viaduct::bench
