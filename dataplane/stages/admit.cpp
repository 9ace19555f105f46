// SPDX-License-Identifier: Apache-2.0
#include "stages/stages.hpp"

#include "viaduct/prefetch.hpp"

namespace viaduct::stages {

namespace {

/// The outcome of a datagram for the probes' endpoint. What is wrong at a backend shows there, too.
Outcome admit_probe_reply(const Frame& frame) noexcept {
    switch (frame.digest.kind) {
    case PayloadKind::Response:
        return Outcome::ProbeAnswer;
    case PayloadKind::Request:
        return Outcome::Punted;
    case PayloadKind::KeepAlive:
    case PayloadKind::Stun:
    case PayloadKind::NotSip:
    case PayloadKind::Unread:
        break;
    }
    return frame.claim.is_stranger ? Outcome::Punted : Outcome::ProbeAnswer;
}

/// Whether a message of a backend to a client changes what is remembered.
bool is_noted(const SipDigest& digest) noexcept {
    return digest.kind == PayloadKind::Request && !digest.call_id.empty() &&
           digest.defect == Defect::None;
}

} // namespace

std::optional<Outcome> admit(const PipelineView& view, Frame& frame) noexcept {
    const LegInfo& leg = info_of(frame.claim.leg);
    if (leg.steered == Steered::Never) return admit_probe_reply(frame);
    if (leg.is_admitted) {
        const Vip& vip = view.snapshot.vips[index(*frame.claim.vip)];
        if (const auto end = admit_message(vip, frame.digest)) return end;
    } else if (!is_noted(frame.digest)) {
        return std::nullopt;
    }
    const Pool& pool = view.snapshot.pools[index(*frame.claim.pool)];
    CallKey& key = frame.key;
    key.hash = steering_hash(pool, frame.digest);
    key.slot = slot_of(key.hash);
    key.is_steered = true;
    if (pool.slots) prefetch(pool.slots->data() + key.slot);
    const bool settled = is_settled(pool, key.slot);
    key.is_looked_up = !settled;
    key.slot_is_enough = leg.steered == Steered::ByVip && settled && pool.slots &&
                         pool.health_known &&
                         !(frame.digest.may_reference_call && may_reference_call(frame.payload()));
    return std::nullopt;
}

} // namespace viaduct::stages
