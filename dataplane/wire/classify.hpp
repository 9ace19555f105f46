// SPDX-License-Identifier: Apache-2.0
//
// classify: is this frame for a VIP, from a nat backend, an answer to a probe, or not ours?
//
// In:    a frame as received. Hostile: every length is checked before what it covers is read.
// Out:   origin, VIP, pool, UDP offset and payload length; or the outcome that ends it here.
// Cost:  one or two index look-ups on the frame's first cache line.
// Spec:  RFC 791 §3.1, RFC 768, RFC 1122 §3.2.1, IEEE 802.1Q.
#pragma once

#include "frame.hpp"

#include "viaduct/snapshot.hpp"

namespace viaduct {

/// Empty: the frame is ours, parse it. IPv6, ARP, ICMP and all else that is not ours is `Punted`.
[[nodiscard]] std::optional<Outcome>
classify(const Snapshot& snapshot, const PortView& port, Frame& frame) noexcept;

} // namespace viaduct
