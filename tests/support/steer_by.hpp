// SPDX-License-Identifier: Apache-2.0
//
// steer_by: where a request with this Call-ID goes, for tests of the hash alone.
#pragma once

#include "viaduct/steer.hpp"

#include <string_view>

namespace viaduct::test {

[[nodiscard]] inline Steering
steer_by(const Snapshot& snapshot, PoolId pool, std::string_view call_id) {
    SipDigest digest;
    digest.kind = PayloadKind::Request;
    digest.method = Method::Invite;
    digest.call_id = call_id;
    return would_steer({snapshot, {}, {}}, pool, digest);
}

} // namespace viaduct::test
