// SPDX-License-Identifier: Apache-2.0
//
// known_call: steers the most usual message of a pool that remembers all its calls: of a known call
// that goes on, at a backend that serves.
//
// In:    an admitted message of a client, for a VIP without previous pool. The pool has no keys,
//        knows the health of its backends, and sees no responses of theirs.
// Out:   what steer_vip() would choose and write, in fewer steps; or nothing, for steer_vip().
// Cost:  a lookup in the table of calls. The tags or the branch are read where the state of the
//        call makes it necessary.
#pragma once

#include "viaduct/steering/steer.hpp"

#include <optional>

namespace viaduct {

/// The backend of the call, to whose entry the message has been applied. Empty: nothing has been
/// changed, and steer_vip() has to decide.
[[nodiscard]] std::optional<BackendId> follow_known_call(const SteerView& view,
                                                         PoolId pool_id,
                                                         const SipDigest& digest,
                                                         std::uint64_t hash,
                                                         const ReceivedMessage& received) noexcept;

} // namespace viaduct
