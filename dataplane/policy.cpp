// SPDX-License-Identifier: Apache-2.0
#include "policy.hpp"

#include "viaduct/steer.hpp"

namespace viaduct {

std::optional<Outcome> admit(const Snapshot& snapshot, const Frame& frame) noexcept {
    switch (frame.origin) {
    case Origin::Client:
    case Origin::BackendCall:
        return admit_message(snapshot.vips[index(*frame.vip)], frame.digest);
    case Origin::NatBackend:
        return std::nullopt;
    case Origin::ProbeTarget:
        return frame.digest.kind == PayloadKind::Response ? Outcome::ProbeAnswer : Outcome::Punted;
    }
    return Outcome::Internal;
}

} // namespace viaduct
