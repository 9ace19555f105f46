// SPDX-License-Identifier: Apache-2.0
//
// registration: what a REGISTER does to what is remembered of its address.
//
// In:    a REGISTER that is steered by another key than its Call-ID, and what was remembered there.
// Out:   how long an INVITE for that address has to be looked for there.
// How:   one address may have several contacts, of which only one is told from the others: as long
//        as there may be another one, nothing that one contact says makes the time shorter.
// Cost:  one reading of the message, on the way of a REGISTER only.
// Spec:  RFC 3261 §10.2 (bindings, their times, removing and fetching them).
#pragma once

#include "viaduct/snapshot.hpp"
#include "viaduct/steering/call_table.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

namespace viaduct {

struct Registration {
    enum class Asks : std::uint8_t {
        Nothing,    ///< which contacts there are (§10.2.3)
        ToBind,     ///< to add or refresh contacts (§10.2.1)
        ToRemove,   ///< to take contacts away (§10.2.2)
        ToRemoveAll ///< `Contact: *`
    };
    Asks asks = Asks::Nothing;
    std::uint32_t seconds = 0; ///< ToBind: the longest that is asked for
    std::uint8_t contact = 0;  ///< tells contacts apart: 1 to kSeveralContacts

    static constexpr std::uint8_t kContacts = Call::kMaxQueries;
    static constexpr std::uint8_t kSeveralContacts = kContacts;
};

/// Call::dialog of a registration: its contact, or that there are several; the same and kContacts
/// more once it came back later than a request is repeated, or was accepted (nat); 0: none is
/// known.
[[nodiscard]] constexpr bool is_confirmed(const Call& registration) noexcept {
    return registration.dialog > Registration::kContacts;
}

[[nodiscard]] Registration read_registration(std::span<const std::byte> payload) noexcept;

/// Makes `call`, of the key of the REGISTER, what it is after it. `fresh`: it is remembered for the
/// first time, or anew. `is_heard`: its answer will be heard, and says for how long it is bound.
void take_registration(const Registration& registration,
                       const CallLifetimes& lifetimes,
                       CallTime now,
                       bool fresh,
                       bool is_heard,
                       Call& call) noexcept;

/// The same after the final answer with this status and payload: a 2xx binds for as long as it
/// says, anything else takes back what was not bound before.
void take_registrars_answer(std::uint16_t status,
                            std::span<const std::byte> payload,
                            const CallLifetimes& lifetimes,
                            CallTime now,
                            Call& call) noexcept;

} // namespace viaduct
