// SPDX-License-Identifier: Apache-2.0
//
// verbs_drain: the handlers of drain, undrain, disable, enable and failback, for the table in
// verbs.cpp.
#pragma once

#include "cli/cli.hpp"
#include "cli/verbs_show.hpp"
#include "model/pool.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace viaduct {

void drain(Control& control, Arguments arguments, Reply& reply);
void undrain(Control& control, Arguments arguments, Reply& reply);
void disable(Control& control, Arguments arguments, Reply& reply);
void enable(Control& control, Arguments arguments, Reply& reply);
void failback(Control& control, Arguments arguments, Reply& reply);

/// Throws Error when nobody in its pool, of whatever tier, may take new calls but this one: without
/// it they end as no_backend. `verb` is what --force would do all the same.
void refuse_last(const Control& control,
                 const BackendState& backend,
                 std::string_view verb,
                 bool is_forced);
/// Whether the word behind `count` others is --force. Throws Error when it is another one.
[[nodiscard]] bool is_forced(Arguments arguments, std::size_t count, const std::string& usage);

/// How many calls the backend has; null where they are not counted, or not yet.
[[nodiscard]] nlohmann::ordered_json calls_left(const Control& control,
                                                const BackendState& backend);
/// As many more may live: their INVITE was refused, or seems to be (CallCounts::active).
[[nodiscard]] nlohmann::ordered_json calls_refused(const Control& control,
                                                   const BackendState& backend);
/// From when on new calls go by what is announced, in a sentence; empty: nothing is.
[[nodiscard]] std::string when_it_switches(const Control& control, const PoolState& pool);
/// What becomes of the pool's traffic now, when that is bad news, in a sentence; else empty.
[[nodiscard]] std::string bad_news(const Control& control, const PoolState& pool);
/// Until its drain ends in Disabled.
[[nodiscard]] std::optional<std::int64_t> seconds_left(const BackendState& backend);

} // namespace viaduct
