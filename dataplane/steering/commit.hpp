// SPDX-License-Identifier: Apache-2.0
//
// commit: carries out a choice. Writes the entry of the call, the mark of its slot, the loads of
// backends and the budget of new calls.
//
// In:    the facts and the choice that decide() made of them.
// Out:   where the message goes in the end. That differs from the choice if another worker was
//        first, or if the call cannot be remembered.
// Cost:  one compare-and-swap when an entry changes, two when one is added; nothing where the owner
//        of the slot decides.
#pragma once

#include "steering/decide.hpp"
#include "steering/facts.hpp"

#include "viaduct/steering/steer.hpp"

#include <cstdint>

namespace viaduct {

/// Asks the picker of the pool, where asks_picker() holds, before decide(). It takes a turn, unless
/// it is only asked what it would say.
[[nodiscard]] PickerAnswer
ask_picker(const SteerInput& in, std::uint64_t hash, bool dry_run) noexcept;

/// Applies the message to the entry of its call.
void touch(const SteerInput& in, const Facts& facts) noexcept;
/// The same for a message of a client whose call is remembered by its Call-ID. `hash`: of that;
/// `role`: in the call.
void touch_call(const SteerInput& in,
                std::uint64_t hash,
                MessageRole role,
                const Call& call) noexcept;
/// Binds the call to the backend of `result`. Changes `result` if another worker was first, or if
/// the call cannot be remembered.
void remember(const SteerInput& in, const Facts& facts, Steering& result) noexcept;
/// Notes the request for its response, for as long as it may be repeated.
void await_answer(const SteerInput& in, const Facts& facts, BackendId backend) noexcept;

/// Returns what the choice means for the message, and writes it unless the view is a dry run.
[[nodiscard]] inline Steering
commit(const SteerInput& in, const Facts& facts, const Choice& choice) noexcept {
    Steering result;
    result.pool = in.pool_id;
    result.hash = facts.hash;
    result.slot = facts.slot;
    result.backend = choice.backend;
    result.refusal = choice.refusal;
    result.rule = choice.rule;
    result.role = facts.role;
    result.slot_state = facts.slot_state;
    result.call = facts.call;
    if (in.view.dry_run) return result;
    switch (choice.write) {
    case Write::Nothing:
        break;
    case Write::Touch:
        touch(in, facts);
        break;
    case Write::Remember:
        remember(in, facts, result);
        break;
    }
    // Not decided before: the backend may be another one now.
    if (result.backend && awaits_answer(facts, *result.backend))
        await_answer(in, facts, *result.backend);
    return result;
}

/// Applies the final response to a REGISTER that was steered by its address, whose entry
/// `facts.call` is.
void commit_registrars_answer(const SteerInput& in, const Facts& facts, BackendId sender) noexcept;

} // namespace viaduct
