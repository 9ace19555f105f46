// SPDX-License-Identifier: Apache-2.0
//
// steer_facts: the values that the facts of steering can have, for tests that try all of them.
#pragma once

#include "steering/facts.hpp"

#include <array>

namespace viaduct::test {

inline constexpr std::array kBools{false, true};
inline constexpr std::array kLives{
    BackendLife::Serves, BackendLife::Silent, BackendLife::Dead, BackendLife::Disabled};
inline constexpr std::array kSlotStates{SlotState::Settled, SlotState::Moved, SlotState::Marked};
inline constexpr std::array kRoles{
    MessageRole::Initial, MessageRole::Standalone, MessageRole::InCall};
inline constexpr std::array kPolicies{
    OnDeadOwner::Resteer, OnDeadOwner::Keep, OnDeadOwner::Drop, OnDeadOwner::Reject};
inline constexpr std::array kCallStates{CallState::Unknown,
                                        CallState::Ringing,
                                        CallState::Answered,
                                        CallState::Ended,
                                        CallState::SoftState,
                                        CallState::Refused,
                                        CallState::PendingRequest};
static_assert(kLives.size() == count_of<BackendLife>());
static_assert(kSlotStates.size() == count_of<SlotState>());
static_assert(kRoles.size() == count_of<MessageRole>());
static_assert(kPolicies.size() == count_of<OnDeadOwner>());
static_assert(kCallStates.back() == kLastCallState);

[[nodiscard]] constexpr Call call_at(BackendId backend, CallState state, std::uint8_t dialog = 3) {
    return {backend, state, dialog, CallTime(100)};
}

} // namespace viaduct::test
