// SPDX-License-Identifier: Apache-2.0
//
// steer_by: where a message would go, and where an INVITE with a given Call-ID goes by hash.
#pragma once

#include "viaduct/steering/steer.hpp"

#include <string_view>

namespace viaduct::test {

[[nodiscard]] inline Steering would_steer(SteerView view,
                                          PoolId pool,
                                          const SipDigest& digest,
                                          const ReceivedMessage& received = {}) {
    view.dry_run = true;
    const std::uint64_t hash = steering_hash(view.snapshot.pools[index(pool)], digest);
    return steer(view, pool, digest, hash, received);
}

[[nodiscard]] inline Steering
steer_by(const Snapshot& snapshot, PoolId pool, std::string_view call_id) {
    SipDigest digest;
    digest.kind = PayloadKind::Request;
    digest.method = Method::Invite;
    digest.call_id = call_id;
    return would_steer({snapshot, {}, {}}, pool, digest);
}

} // namespace viaduct::test
