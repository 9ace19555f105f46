// SPDX-License-Identifier: Apache-2.0
//
// work: counts the requests that backends have not answered yet, in pools that choose by it.
//
// In:    a request that was steered; note_answer() of steer.hpp is the other half.
// Out:   an entry under the request's branch, and the load of its backend.
// Cost:  a lookup in the table of calls for each request of such a pool.
// Spec:  RFC 3261 §17.1.3 (the branch identifies a transaction).
#pragma once

#include "viaduct/steering/picker.hpp"
#include "viaduct/steering/steer.hpp"

namespace viaduct {

/// Counts a request that its backend has to answer, in a pool whose picker counts work. A
/// retransmission is already counted.
void count_request(const SteerView& view,
                   const SipDigest& digest,
                   const ReceivedMessage& received,
                   PoolId pool,
                   BackendId backend) noexcept;

inline void note_request(const SteerView& view,
                         const SipDigest& digest,
                         const ReceivedMessage& received,
                         const Steering& steering) noexcept {
    const Pool& pool = view.snapshot.pools[index(steering.pool)];
    if (pool.picker && pool.picker->counts_work() && steering.backend && !view.dry_run)
        count_request(view, digest, received, steering.pool, *steering.backend);
}

} // namespace viaduct
