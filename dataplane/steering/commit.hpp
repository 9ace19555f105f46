// SPDX-License-Identifier: Apache-2.0
//
// commit: carries out a choice. The only part of steering that writes: entries of the table of
// calls, marks of slots, loads of backends, the budget of new calls.
//
// In:    the facts and the choice that decide() made of them.
// Out:   where the message goes in the end. That differs from the choice if another worker was
//        first, or if the call cannot be remembered.
// Cost:  one compare-and-swap when an entry changes; none in settled slots.
#pragma once

#include "steering/decide.hpp"
#include "steering/facts.hpp"

#include "viaduct/steering/steer.hpp"

#include <cstdint>

namespace viaduct {

/// Asks the picker of the pool, where asks_picker() holds, before decide(). It takes a turn, unless
/// it is only asked what it would say.
void ask_picker(const SteerInput& in, bool dry_run, Facts& facts) noexcept;

/// Returns what the choice means for the message, and writes it unless the view is a dry run.
[[nodiscard]] Steering
commit(const SteerInput& in, const Facts& facts, const Choice& choice) noexcept;

/// Applies the final response to a REGISTER that was steered by its address, whose entry
/// `facts.call` is.
void commit_registrars_answer(const SteerInput& in, const Facts& facts, BackendId sender) noexcept;

} // namespace viaduct
