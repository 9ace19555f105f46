// SPDX-License-Identifier: Apache-2.0
#include "stages/stages.hpp"

namespace viaduct::stages {

namespace {

/// Applies a response of a nat backend to the work that is counted for it.
void note_work_done(const PipelineView& view, const Frame& frame, PoolId pool_id) noexcept {
    const Pool& pool = view.snapshot.pools[index(pool_id)];
    if (frame.digest.kind == PayloadKind::Response && pool.picker && pool.picker->counts_work())
        note_answer(view.steering(), pool_id, frame.digest, {frame.payload(), {}});
}

/// Applies what a backend sends to a client: its destination is known.
Steering note_backend(const PipelineView& view,
                      const Frame& frame,
                      const ReceivedMessage& received) noexcept {
    const Claim& claim = frame.claim;
    if (frame.digest.kind == PayloadKind::Response) {
        note_work_done(view, frame, *claim.pool);
        hear_answer(
            view.steering(), *claim.pool, frame.digest, {frame.payload(), {}}, *claim.sender);
    }
    if (!frame.key.is_steered) return {};
    return note_outgoing(
        view.steering(), *claim.pool, frame.digest, frame.key.hash, received, *claim.sender);
}

Steering steer_client(const PipelineView& view,
                      const Frame& frame,
                      const ReceivedMessage& received) noexcept {
    const Vip& vip = view.snapshot.vips[index(*frame.claim.vip)];
    const auto steer_by = [&](const SipDigest& digest) {
        return steer_vip(view.steering(), *frame.claim.vip, digest, frame.key.hash, received);
    };
    if (vip.read_rules.want == kWantForCalls) return steer_by(frame.digest);
    // Only the Call-ID was read so far.
    return steer_by(read_digest(frame.payload(), vip.whole_reading()));
}

} // namespace

std::optional<Outcome> steer(const PipelineView& view, Frame& frame, CallCounts& counts) noexcept {
    const Claim& claim = frame.claim;
    Target& target = frame.target;
    if (frame.key.slot_is_enough) [[likely]] { // the same as steer_vip() would choose
        const Pool& pool = view.snapshot.pools[index(*claim.pool)];
        // An earlier frame of the burst may have marked the slot.
        if (counts.remembered == 0 || is_settled(pool, frame.key.slot)) {
            target.pool = claim.pool;
            target.backend = (*pool.slots)[frame.key.slot];
            return std::nullopt;
        }
    }
    const auto& ip = frame.header_at<Ipv4Header>(frame.layout.l2_len);
    const ReceivedMessage received{frame.payload(), Ipv4Addr{ip.source.host()}};
    Steering steering;
    switch (info_of(claim.leg).steered) {
    case Steered::ByVip:
        steering = steer_client(view, frame, received);
        break;
    case Steered::ByOther:
        steering = steer_backend_call(
            view.steering(), *claim.vip, frame.digest, frame.key.hash, received, *claim.sender);
        note_work_done(view, frame, steering.pool);
        break;
    case Steered::Noted:
        steering = note_backend(view, frame, received);
        steering.pool = *claim.pool;
        steering.backend = claim.sender;
        break;
    case Steered::Never:
        return Outcome::Internal;
    }
    counts.remembered += steering.remembered ? 1 : 0;
    counts.table_full += steering.table_full ? 1 : 0;
    counts.flooded += steering.flooded ? 1 : 0;
    target.pool = steering.pool;
    target.backend = steering.backend;
    if (steering.backend) return std::nullopt;
    target.reply = steering.refusal == Outcome::Rejected;
    return target.reply ? std::nullopt : std::optional(steering.refusal);
}

} // namespace viaduct::stages
