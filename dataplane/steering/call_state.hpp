// SPDX-License-Identifier: Apache-2.0
//
// call_state: the state of a remembered call after a message.
//
// In:    what was remembered, and one message of the call.
// Out:   what to remember: state, the dialog or branch that distinguishes forks and failures, and
//        the deadline. Further branches and dialogs are noted in the table next to the call.
// Cost:  nanoseconds. The Expires of a registration or subscription is read, and the
//        Subscription-State of a NOTIFY. Notes are in the cache lines of the call.
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
    const SipDigest& digest;         ///< complete, or read with kWantForCalls
    const ReceivedMessage& received; ///< in the second case with the payload
    MessageRole role;
    CallTime now;
    CallTable calls{}; ///< where branches and dialogs of the call of `hash` are noted
    std::uint64_t hash = 0;
    bool is_backends = false;  ///< a nat backend sent it
    bool answers_pass = false; ///< responses are read, so grants become known
};

/// Whether the message refreshes a registration, with the same request that would create it (RFC
/// 3261 §10.2.4).
[[nodiscard]] inline bool
refreshes(const SipDigest& digest, MessageRole role, const Call& call) noexcept {
    return digest.method == Method::Register && role == MessageRole::Initial &&
           call.state == CallState::SoftState;
}

/// Whether an ended call starts again with this message; false for a late message of an earlier
/// branch.
[[nodiscard]] bool begins_anew(const CallMessage& message, const Call& call) noexcept;

/// Updates `call` to its state after the message. `fresh`: it is remembered for the first time, or
/// starts again.
void apply(const CallMessage& message, bool fresh, Call& call) noexcept;

} // namespace viaduct
