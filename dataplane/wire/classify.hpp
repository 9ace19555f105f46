// SPDX-License-Identifier: Apache-2.0
//
// classify: determines whether a frame is for a VIP, from a nat backend, a reply to a probe, or
// foreign traffic.
//
// In:    a frame as received. Hostile: every length is checked before the bytes it covers are read.
// Out:   leg, VIP, pool, UDP offset and payload length; or an outcome.
// Cost:  one or two index lookups on the frame's first cache line.
// Spec:  RFC 791 §3.1, RFC 768, RFC 1122 §3.2.1, IEEE 802.1Q.
#pragma once

#include "frame.hpp"

#include "viaduct/snapshot.hpp"

namespace viaduct {

/// Empty: the frame goes on to parsing. IPv6, ARP, ICMP and all other foreign traffic is `Punted`.
[[nodiscard]] std::optional<Outcome>
classify(const Snapshot& snapshot, const PortView& port, Frame& frame) noexcept;

} // namespace viaduct
