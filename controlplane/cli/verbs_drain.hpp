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

/// Throws Error when no other backend of its pool, in any tier, may take new calls: they would end
/// as no_backend. `verb` names what --force would do anyway.
void refuse_last(const Control& control,
                 const BackendState& backend,
                 std::string_view verb,
                 bool is_forced);
/// Whether the argument after `count` others is --force. Throws Error for another word.
[[nodiscard]] bool is_forced(Arguments arguments, std::size_t count, const std::string& usage);

/// Returns the number of calls in progress; null when they are not counted, or not yet.
[[nodiscard]] nlohmann::ordered_json calls_left(const Control& control,
                                                const BackendState& backend);
/// Returns how many more may be in progress, because their INVITE only seems to be refused
/// (CallCounts::active).
[[nodiscard]] nlohmann::ordered_json calls_refused(const Control& control,
                                                   const BackendState& backend);
/// Returns a sentence saying when the announced change takes effect for new calls; empty: nothing
/// is announced.
[[nodiscard]] std::string when_it_switches(const Control& control, const PoolState& pool);
/// Returns a sentence if the pool cannot serve its traffic now; otherwise "".
[[nodiscard]] std::string bad_news(const Control& control, const PoolState& pool);
/// Returns the seconds until the drain deadline disables the backend; empty: no deadline.
[[nodiscard]] std::optional<std::int64_t> seconds_left(const BackendState& backend);

} // namespace viaduct
