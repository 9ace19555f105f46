// SPDX-License-Identifier: Apache-2.0
//
// answer: a request that nobody is there for -> a refusal, in its place, to who sent it.
//
// In:    a request frame for a VIP, as received.
// Out:   the frame is "481 No Such Call" from the VIP, on the way back: by the
//        port and to the MAC it came from, to its source address, as RFC 3581 and RFC 3261 §18.2.2
//        name the UDP port. Nothing is remembered: a repeated request is answered again.
// Cost:  a full reading. Never longer than the request was: nobody gets more than they sent.
// Spec:  RFC 3261 §8.2.6 (what of the request goes into the answer), §18.2.1 (received), RFC 3581.
#pragma once

#include "frame.hpp"

#include "viaduct/snapshot.hpp"

namespace viaduct {

/// False: it cannot be answered (no readable top Via, From, To, Call-ID or CSeq, or no room). Then
/// the frame is as it was.
[[nodiscard]] bool
answer_gone(const Snapshot& snapshot, const PortView& rx_port, Frame& frame) noexcept;

} // namespace viaduct
