// SPDX-License-Identifier: Apache-2.0
//
// registration: what a REGISTER changes in the entry of its address.
//
// In:    a REGISTER that is steered by another key than its Call-ID, and the entry of that key.
// Out:   how long an INVITE for that address must be looked up there.
// How:   an address may have several contacts, and only one is distinguished from the others: while
//        there may be another, no request of one contact shortens the time.
// Cost:  one reading of the message, for REGISTER only.
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
        Nothing,    ///< query the contacts (§10.2.3)
        ToBind,     ///< add or refresh contacts (§10.2.1)
        ToRemove,   ///< remove contacts (§10.2.2)
        ToRemoveAll ///< `Contact: *`
    };
    Asks asks = Asks::Nothing;
    std::uint32_t seconds = 0; ///< ToBind: the longest requested time
    std::uint8_t contact = 0;  ///< distinguishes contacts: 1 to kSeveralContacts

    static constexpr std::uint8_t kContacts = Call::kMaxQueries;
    static constexpr std::uint8_t kSeveralContacts = kContacts;
};

/// Call::dialog of a registration is its contact or kSeveralContacts; 0: none is known. kContacts
/// is added once the registration is confirmed: it was refreshed later than requests are repeated,
/// or was accepted (nat).
[[nodiscard]] constexpr bool is_confirmed(const Call& registration) noexcept {
    return registration.dialog > Registration::kContacts;
}

[[nodiscard]] Registration read_registration(std::span<const std::byte> payload) noexcept;

/// Updates `call`, the entry of the REGISTER's key, to its state after the request. `fresh`: it is
/// remembered for the first time, or starts again. `is_heard`: the response will pass, and decides
/// how long it is bound.
void take_registration(const Registration& registration,
                       const CallLifetimes& lifetimes,
                       CallTime now,
                       bool fresh,
                       bool is_heard,
                       Call& call) noexcept;

/// The same for the final response with this status and payload: a 2xx binds for as long as it
/// says, any other removes what was not confirmed before.
void take_registrars_answer(std::uint16_t status,
                            std::span<const std::byte> payload,
                            const CallLifetimes& lifetimes,
                            CallTime now,
                            Call& call) noexcept;

} // namespace viaduct
