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

#include "steering/call_message.hpp"

namespace viaduct {

/// Whether the message refreshes a registration, with the same request that would create it (RFC
/// 3261 §10.2.4).
[[nodiscard]] inline bool
refreshes(const SipDigest& digest, MessageRole role, const Call& call) noexcept {
    return digest.method == Method::Register && role == MessageRole::Initial &&
           call.state == CallState::SoftState;
}

/// Whether an ended call starts again with this message; false for a late message of an earlier
/// branch.
[[nodiscard]] bool starts_again(const CallMessage& message, const Call& call) noexcept;

/// Updates `call` to its state after the message. `fresh`: it is remembered for the first time, or
/// starts again.
void apply(const CallMessage& message, bool fresh, Call& call) noexcept;

} // namespace viaduct
