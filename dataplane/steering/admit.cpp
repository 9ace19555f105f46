// SPDX-License-Identifier: Apache-2.0
#include "steering/admit.hpp"

#include "viaduct/steering/steer.hpp"

namespace viaduct {

std::optional<Outcome> admit(const Snapshot& snapshot, const Frame& frame) noexcept {
    switch (frame.leg) {
    case Leg::ClientToVip:
    case Leg::BackendToVip:
        return admit_message(snapshot.vips[index(*frame.vip)], frame.digest);
    case Leg::BackendToClient:
        return std::nullopt;
    case Leg::ProbeReply:
        break;
    }
    switch (frame.digest.kind) {
    case PayloadKind::Response:
        return Outcome::ProbeAnswer;
    case PayloadKind::Request:
        return Outcome::Punted;
    case PayloadKind::KeepAlive:
    case PayloadKind::Stun:
    case PayloadKind::NotSip:
    case PayloadKind::Unread: // shows what is wrong at a backend
        break;
    }
    return frame.is_stranger ? Outcome::Punted : Outcome::ProbeAnswer;
}

} // namespace viaduct
