// SPDX-License-Identifier: Apache-2.0
//
// report_figures: the plots and tables of each file of figures. A sample that is missing leaves out
// its bar; with none there is no plot.
#pragma once

#include "measurement.hpp"

#include <string>

namespace viaduct::bench {

[[nodiscard]] std::string message_figures(const Measurement& from);
[[nodiscard]] std::string pipeline_figures(const Measurement& from);
[[nodiscard]] std::string steer_figures(const Measurement& from);
[[nodiscard]] std::string table_figures(const Measurement& from);
[[nodiscard]] std::string stages_figures(const Measurement& from);
[[nodiscard]] std::string rig1_figures(const Measurement& from);
[[nodiscard]] std::string rig2_figures(const Measurement& from);
[[nodiscard]] std::string latency_figures(const Measurement& from);
[[nodiscard]] std::string rig3_figures(const Measurement& from);
[[nodiscard]] std::string no_pause_figures(const Measurement& from);
[[nodiscard]] std::string calls_figures(const Measurement& from);

} // namespace viaduct::bench
