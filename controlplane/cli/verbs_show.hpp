// SPDX-License-Identifier: Apache-2.0
//
// verbs_show: the handlers of read-only verbs; used only by the table in verbs.cpp.
#pragma once

#include "cli/cli.hpp"

#include "viaduct/snapshot.hpp"

#include <chrono>
#include <string>
#include <vector>

namespace viaduct {

using Arguments = const std::vector<std::string>&;

/// Return ISO 8601 in UTC with milliseconds: "2024-05-01T12:00:00.123Z".
[[nodiscard]] std::string utc(std::chrono::system_clock::time_point at);
[[nodiscard]] std::string utc(TimePoint at);
/// Returns whole seconds, rounded up; 0 for a time that has passed.
[[nodiscard]] std::int64_t seconds_until(TimePoint at);
/// Returns a percentage with two decimals; 0 when `whole` is 0.
[[nodiscard]] double percent(std::uint64_t part, std::uint64_t whole);
/// Throws Error listing the known names.
[[nodiscard]] VipId find_vip(const Snapshot& snapshot, const std::string& name);
/// Throws Error before the first publication.
[[nodiscard]] const Snapshot& published(const Control& control);
[[nodiscard]] double unsettled_percent(const Control& control, PoolId pool);
/// Returns the seconds until the announced change; null when there is none.
[[nodiscard]] nlohmann::ordered_json seconds_to_switch(const Control& control, PoolId pool);

void explain(Control& control, Arguments arguments, Reply& reply);
void show_backends(Control& control, Arguments arguments, Reply& reply);
void show_calls(Control& control, Arguments arguments, Reply& reply);
void show_config(Control& control, Arguments arguments, Reply& reply);
void show_events(Control& control, Arguments arguments, Reply& reply);
void show_generations(Control& control, Arguments arguments, Reply& reply);
void show_health(Control& control, Arguments arguments, Reply& reply);
void show_outcomes(Control& control, Arguments arguments, Reply& reply);
void show_pools(Control& control, Arguments arguments, Reply& reply);
void show_ports(Control& control, Arguments arguments, Reply& reply);
void show_version(Control& control, Arguments arguments, Reply& reply);
void show_vips(Control& control, Arguments arguments, Reply& reply);
void show_workers(Control& control, Arguments arguments, Reply& reply);

} // namespace viaduct
