// SPDX-License-Identifier: Apache-2.0
//
// call_state: what a remembered call is after a message.
//
// In:    what was remembered, and one message of the call.
// Out:   what to remember: its state, the dialog or branch that tells forks and failures apart, and
//        for how long.
// Cost:  nanoseconds; a message that begins a registration or subscription is read for its Expires.
// Spec:  RFC 3261 §12, §15, §17.1.1.3; docs/steering.md.
#pragma once

#include "viaduct/keys.hpp"
#include "viaduct/message.hpp"
#include "viaduct/snapshot.hpp"
#include "viaduct/steer.hpp"

namespace viaduct {

/// A message as its call sees it.
struct CallMessage {
    const CallLifetimes& lifetimes;
    const SipDigest& digest; ///< read for everything, at once or with kWantForCalls
    const Arrival& arrival;  ///< then with the payload
    MessageRole role;
    CallTime now;
};

/// Whether the message refreshes a registration: by what would begin it (RFC 3261 §10.2.4).
[[nodiscard]] inline bool
refreshes(const SipDigest& digest, MessageRole role, const Call& call) noexcept {
    return digest.method == Method::Register && role == MessageRole::Starter &&
           call.state == CallState::Lasting;
}

/// Makes `call` what it is after the message. `fresh`: it is remembered for the first time, or
/// anew.
void take_message(const CallMessage& message, bool fresh, Call& call) noexcept;

} // namespace viaduct
