// SPDX-License-Identifier: Apache-2.0
#include "steering/known_call.hpp"

#include "steering/commit.hpp"
#include "steering/decide.hpp"
#include "steering/look_up.hpp"

namespace viaduct {

namespace {

/// Whether a message continues its call; others start it again, or are of no call.
bool goes_on(CallState state, MessageRole role) noexcept {
    switch (state) {
    case CallState::Unknown:
    case CallState::Ringing:
    case CallState::Answered:
    case CallState::Refused:
        return true;
    case CallState::Ended:
        return role == MessageRole::InCall;
    case CallState::SoftState:
    case CallState::PendingRequest:
        break;
    }
    return false;
}

} // namespace

std::optional<BackendId> follow_known_call(const SteerView& view,
                                           PoolId pool_id,
                                           const SipDigest& digest,
                                           std::uint64_t hash,
                                           const ReceivedMessage& received) noexcept {
    const SteerInput in(view, pool_id, digest, received);
    // It may have to go back to the backend that got its request.
    if (digest.kind == PayloadKind::Response &&
        slot_state(in.pool, slot_of(hash)) == SlotState::Moved)
        return std::nullopt;
    const std::optional<Call> call = find(in, hash);
    if (!call || life_of(in, call->backend) != BackendLife::Serves) return std::nullopt;
    const MessageRole role = role_in(call, role_of(digest), digest.method);
    if (!goes_on(call->state, role)) return std::nullopt;
    touch_call(in, hash, role, *call);
    return call->backend;
}

} // namespace viaduct
