// SPDX-License-Identifier: Apache-2.0
//
// answer: turns a request whose call has no reachable other side into a refusal to its sender.
//
// In:    a request frame for a VIP, as received.
// Out:   "481 No Such Call" from the VIP in the same frame. It returns through the port and to the
//        MAC that it came from, to its source address and the UDP port by RFC 3581 and RFC 3261
//        §18.2.2. Nothing is remembered: a retransmission is answered again.
// Cost:  a full reading. The response is never longer than the request, so it cannot amplify
//        traffic.
// Spec:  RFC 3261 §8.2.6 (what the response copies), §18.2.1 (received), RFC 3581.
#pragma once

#include "frame.hpp"

#include "viaduct/snapshot.hpp"

namespace viaduct {

/// False: the request cannot be answered (no readable top Via, From, To, Call-ID or CSeq, or no
/// room); the frame is then unchanged.
[[nodiscard]] bool
answer_gone(const Snapshot& snapshot, const PortView& rx_port, Frame& frame) noexcept;

} // namespace viaduct
