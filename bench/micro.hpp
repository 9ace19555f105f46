// SPDX-License-Identifier: Apache-2.0
//
// micro: what the small benchmarks share: seven interleaved repetitions unless Google Benchmark's
// own options say otherwise, medians on the screen, every repetition in a measurement file.
#pragma once

#include "json_option.hpp"
#include "measurement.hpp"

#include <benchmark/benchmark.h>
#include <cstdio>
#include <exception>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace viaduct::bench {

/// Sets the counter `name` to ns for each of `per_iteration` things.
inline void report_ns(benchmark::State& state, const char* name, std::size_t per_iteration) {
    state.counters[name] = benchmark::Counter(
        static_cast<double>(state.iterations()) * static_cast<double>(per_iteration) / 1e9,
        benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

/// Prints the medians and spreads as Google Benchmark does and keeps the counters of every
/// repetition.
class Keeper : public benchmark::ConsoleReporter {
public:
    Keeper() : ConsoleReporter(OO_Tabular) {}

    void ReportRuns(const std::vector<Run>& runs) override {
        for (const Run& run : runs) {
            if (run.run_type == Run::RT_Aggregate || run.error_occurred)
                ConsoleReporter::ReportRuns({run});
            failed_ = failed_ || run.error_occurred;
            if (run.error_occurred || run.run_type != Run::RT_Iteration) continue;
            const std::string row = run.run_name.function_name + "/" + run.run_name.args;
            for (const auto& [name, counter] : run.counters)
                values_[{row, name}].push_back(counter.value);
        }
    }
    [[nodiscard]] bool failed() const { return failed_; }
    /// Of `function/argument:value` ("function/" without arguments); empty when it did not run.
    [[nodiscard]] std::vector<double> values_of(const std::string& row,
                                                const std::string& counter) const {
        const auto found = values_.find({row, counter});
        return found == values_.end() ? std::vector<double>{} : found->second;
    }
    /// Adds the sample, if the row ran.
    void add_to(Measurement& made,
                const std::string& row,
                const char* who,
                const char* load,
                const char* counter,
                const char* unit) const {
        std::vector<double> values = values_of(row, counter);
        if (values.empty()) return;
        made.samples.push_back({who, load, counter, unit, std::move(values), {}});
    }

private:
    std::map<std::pair<std::string, std::string>, std::vector<double>> values_;
    bool failed_ = false;
};

/// main() of a small benchmark.
inline int
run_micro(const char* name, int argc, char** argv, Measurement (*measurement_of)(const Keeper&)) {
    try {
        const std::string json = take_json_option(argc, argv);
        std::string repetitions = "--benchmark_repetitions=7";
        std::string interleaved = "--benchmark_enable_random_interleaving=true";
        std::string time = "--benchmark_min_time=0.2";
        std::vector<char*> arguments{argv[0], repetitions.data(), interleaved.data(), time.data()};
        arguments.insert(arguments.end(), argv + 1, argv + argc);
        int count = static_cast<int>(arguments.size());
        benchmark::Initialize(&count, arguments.data());
        if (benchmark::ReportUnrecognizedArguments(count, arguments.data())) return 1;
        Keeper keeper;
        benchmark::RunSpecifiedBenchmarks(&keeper);
        if (keeper.failed()) return 1;
        if (!json.empty()) write_measurement(json, measurement_of(keeper));
        return 0;
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s: %s\n", name, error.what());
        return 1;
    }
}

} // namespace viaduct::bench
