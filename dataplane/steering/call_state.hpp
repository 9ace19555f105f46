// SPDX-License-Identifier: Apache-2.0
//
// call_state: what a remembered call is after a message.
//
// In:    what was remembered, and one message of the call.
// Out:   what to remember: its state, the dialog or branch that tells forks and failures apart, and
//        for how long; further branches and dialogs are noted in the table beside the call.
// Cost:  nanoseconds; a message that begins a registration or subscription is read for its Expires,
//        a NOTIFY for its Subscription-State. Notes lie in the lines of the call.
// Spec:  RFC 3261 §12, §15, §16.7, §17.1.1.3; RFC 6665 §4.4.1; docs/steering.md.
#pragma once

#include "viaduct/sip/digest.hpp"
#include "viaduct/snapshot.hpp"
#include "viaduct/steering/keys.hpp"
#include "viaduct/steering/steer.hpp"

namespace viaduct {

/// A message as its call sees it.
struct CallMessage {
    const CallLifetimes& lifetimes;
    const SipDigest& digest;         ///< read for everything, at once or with kWantForCalls
    const ReceivedMessage& received; ///< then with the payload
    MessageRole role;
    CallTime now;
    CallTable calls{}; ///< where branches and dialogs are noted, beside the call of `hash`
    std::uint64_t hash = 0;
    bool is_backends = false;  ///< a nat backend has sent it
    bool answers_pass = false; ///< and is read: what the call asks for is known to be granted
};

/// Whether the message refreshes a registration: by what would begin it (RFC 3261 §10.2.4).
[[nodiscard]] inline bool
refreshes(const SipDigest& digest, MessageRole role, const Call& call) noexcept {
    return digest.method == Method::Register && role == MessageRole::Initial &&
           call.state == CallState::SoftState;
}

/// Whether a call that has ended begins once more with this message, and not with a late one of a
/// branch that it had.
[[nodiscard]] bool begins_anew(const CallMessage& message, const Call& call) noexcept;

/// Makes `call` what it is after the message. `fresh`: it is remembered for the first time, or
/// anew.
void apply(const CallMessage& message, bool fresh, Call& call) noexcept;

} // namespace viaduct
