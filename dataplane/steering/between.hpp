// SPDX-License-Identifier: Apache-2.0
//
// between: steers a message of a VIP that moves from one pool to another, while either pool may
// remember its call (docs/steering.md, "Two clusters behind one VIP").
//
// In:    the facts of both pools.
// Out:   the choice of one of them; only that one is committed.
// Cost:  twice that of one pool, for as long as the VIP has two.
#pragma once

#include "viaduct/steering/steer.hpp"

#include <cstdint>

namespace viaduct {

/// `vip` has a previous pool. `hash`: of its current pool.
[[nodiscard]] Steering steer_between(const SteerView& view,
                                     const Vip& vip,
                                     const SipDigest& digest,
                                     std::uint64_t hash,
                                     const ReceivedMessage& received) noexcept;

} // namespace viaduct
