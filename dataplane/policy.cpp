// SPDX-License-Identifier: Apache-2.0
#include "policy.hpp"

namespace viaduct {

namespace {

std::optional<Outcome> admit_from_client(const Snapshot& snapshot, const Frame& frame) noexcept {
    switch (frame.digest.kind) {
    case PayloadKind::KeepAlive:
        return Outcome::KeepAlive;
    case PayloadKind::Stun:
        return Outcome::Stun;
    case PayloadKind::NotSip:
        return Outcome::NotSip;
    case PayloadKind::Request:
    case PayloadKind::Response:
        break;
    }
    if (frame.digest.call_id.empty()) return Outcome::NoCallId;
    if (!snapshot.vips[index(*frame.vip)].enabled) return Outcome::VipDisabled;
    return std::nullopt;
}

} // namespace

std::optional<Outcome> admit(const Snapshot& snapshot, const Frame& frame) noexcept {
    switch (frame.origin) {
    case Origin::Client:
        return admit_from_client(snapshot, frame);
    case Origin::NatBackend:
        return std::nullopt;
    case Origin::ProbeTarget:
        return frame.digest.kind == PayloadKind::Response ? Outcome::ProbeAnswer : Outcome::Punted;
    }
    return Outcome::Internal;
}

} // namespace viaduct
