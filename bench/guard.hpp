// SPDX-License-Identifier: Apache-2.0
//
// guard: the ratios of the micro benches -> a baseline, and what has become slower than it.
//
// Ratios to libosip2 and sofia-sip in the same run, not times: larger is better in all of them. A
// baseline is of one CPU model and its best vector level; on another CPU it says nothing.
#pragma once

#include "report_rows.hpp"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace viaduct::bench {

struct Baseline {
    std::string cpu;
    std::string level; ///< best vector level of the reader
    std::vector<std::pair<std::string, double>> ratios;

    [[nodiscard]] std::optional<double> find(std::string_view name) const;
};

/// Of message.json and pipeline.json; what a missing library would give is left out.
[[nodiscard]] Baseline measured_baseline(const Measurements& from);

/// Throws std::runtime_error, one line, when the file is missing or broken.
[[nodiscard]] Baseline read_baseline(const std::string& path);
void write_baseline(const std::string& path, const Baseline& baseline);

enum class Judgement : std::uint8_t { Good, Worse, OtherCpu };
struct Verdict {
    Judgement judgement = Judgement::Good;
    std::string lines; ///< one for each ratio, or why there is none
};

/// What may be lost before it is worse.
inline constexpr double kTolerance = 0.10;

/// Each ratio at its best of `runs` with the baseline's; one that no run has is worse.
[[nodiscard]] Verdict judge(const Baseline& baseline, const std::vector<Baseline>& runs);

} // namespace viaduct::bench
