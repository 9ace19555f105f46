// SPDX-License-Identifier: Apache-2.0
//
// decide: the rules that choose a backend, as functions of facts (docs/steering.md).
//
// In:    Facts, and nothing else: no table, no snapshot.
// Out:   Choice: the backend or why there is none, the rule, and what to write.
// How:   look_up() asks the predicates here which facts a message needs, and reads no others.
//        decide_test.cpp specifies the rules a second time, for every combination of facts.
#pragma once

#include "steering/facts.hpp"

#include "viaduct/counters.hpp"
#include "viaduct/steering/steer.hpp"

#include <cstdint>
#include <optional>

namespace viaduct {

static_assert(count_of<MessageRole>() == 3, "the rules know three roles");

/// What commit() does to the entry of the call.
enum class Write : std::uint8_t {
    Nothing,
    Touch,    ///< apply the message to it, wherever the message goes
    Remember, ///< bind it to the chosen backend: add it, or move it there
};

struct Choice {
    std::optional<BackendId> backend{};  ///< empty: see `refusal`
    Outcome refusal = Outcome::Internal; ///< why there is no backend
    SteerRule rule = SteerRule::Settled;
    Write write = Write::Nothing;

    bool operator==(const Choice&) const = default;
};

// ---- which facts a message needs

/// The role of a message whose call may be known: a further or late branch of an answered call does
/// not start a new one.
[[nodiscard]] constexpr MessageRole
role_in(const std::optional<Call>& call, MessageRole role, Method method) noexcept {
    const bool is_branch = role == MessageRole::Initial && method == Method::Invite;
    return is_branch && call && call->state == CallState::Answered ? MessageRole::InCall : role;
}

/// Whether the message may go to a backend with that life.
[[nodiscard]] constexpr bool takes(const Facts& facts, BackendLife life) noexcept {
    switch (life) {
    case BackendLife::Serves:
        return true;
    case BackendLife::Silent: // new calls do not wait for it
        return facts.role == MessageRole::InCall && !facts.shared_state;
    case BackendLife::Dead:
    case BackendLife::Disabled:
        break;
    }
    return false;
}

/// Whether the owner of the slot decides, and no call is looked up.
[[nodiscard]] constexpr bool slot_decides(const Facts& facts) noexcept {
    return facts.slot_state == SlotState::Settled && !facts.tracks_all_calls && !facts.key() &&
           !facts.referenced() && !facts.registers();
}

/// Whether a registration leaves its backend. A phone refreshes under the same Call-ID
/// indefinitely, so it moves away from a backend that is to be emptied when another one takes it.
[[nodiscard]] constexpr bool leaves(const Facts& facts) noexcept {
    // Requests that remove or query contacts go where the contacts are.
    const bool stays = facts.registers() && facts.registers()->asks != Registration::Asks::ToBind;
    return facts.is_evacuated && !stays;
}

/// Whether the message continues the call that was found.
[[nodiscard]] constexpr bool goes_on(const Facts& facts) noexcept {
    return facts.call && !facts.starts_again && !leaves(facts);
}

/// Whether the call that was found decides, because its backend takes the message.
[[nodiscard]] constexpr bool call_decides(const Facts& facts) noexcept {
    return goes_on(facts) && takes(facts, facts.call_life);
}

/// The rule for a message that starts a call or is standalone.
[[nodiscard]] constexpr SteerRule rule_of_new(const Facts& facts) noexcept {
    if (facts.referenced() && takes(facts, facts.referenced()->owner.life))
        return SteerRule::Referenced;
    if (facts.key() && facts.key()->registered && takes(facts, facts.key()->registered->life))
        return SteerRule::Registered;
    if (facts.key() && facts.key()->owner) return SteerRule::Key;
    // Requests that leave no entry go by hash: a retransmission must go to the same backend.
    if (facts.role == MessageRole::Initial && facts.has_picker && facts.has_table)
        return SteerRule::Chosen;
    const bool settled = facts.slot_state == SlotState::Settled;
    return facts.registers() && settled ? SteerRule::Settled : SteerRule::Now;
}

/// Whether the picker has to be asked before decide().
[[nodiscard]] constexpr bool asks_picker(const Facts& facts) noexcept {
    return facts.has_picker && facts.health_known && facts.role == MessageRole::Initial &&
           !slot_decides(facts) && !call_decides(facts) && rule_of_new(facts) == SteerRule::Chosen;
}

/// Whether a retransmitted request goes where it went first. Not by another key: it may pass two
/// backends.
[[nodiscard]] constexpr bool is_asked_again(const Facts& facts) noexcept {
    return facts.way_back.asked && takes(facts, facts.way_back.asked_life);
}

/// Whether a request at this backend must be noted, because its Call-ID would not lead the response
/// back.
[[nodiscard]] constexpr bool awaits_answer(const Facts& facts, BackendId backend) noexcept {
    if (!facts.way_back.is_needed) return false;
    return facts.by_key ? facts.way_back.call_id_owner != backend : !is_asked_again(facts);
}

// ---- the rules

[[nodiscard]] constexpr Choice
go(BackendId backend, SteerRule rule, Write write = Write::Nothing) noexcept {
    return {.backend = backend, .rule = rule, .write = write};
}
[[nodiscard]] constexpr Choice refuse(Outcome why, SteerRule rule) noexcept {
    return {.refusal = why, .rule = rule};
}
[[nodiscard]] constexpr Choice go_now(const Facts& facts, SteerRule rule) noexcept {
    return facts.now ? go(*facts.now, rule) : refuse(Outcome::NoBackend, rule);
}

/// Responses and ACKs have no answer (RFC 3261 §17).
[[nodiscard]] constexpr Outcome
refusal_of(const Facts& facts, bool is_dropped, Outcome unanswered) noexcept {
    const bool has_answer = facts.is_request && facts.method != Method::Ack;
    return has_answer && !is_dropped ? Outcome::Rejected : unanswered;
}

/// An in-call message whose backend does not take it: as `on_dead_owner` says.
[[nodiscard]] constexpr Choice follow_dead_owner(const Facts& facts, const Owner& owner) noexcept {
    constexpr SteerRule kRule = SteerRule::DeadOwner;
    const bool is_disabled = owner.life == BackendLife::Disabled;
    // Backends with shared state: any of them can continue the call, and it stays there.
    if (facts.shared_state) {
        Choice choice = go_now(facts, kRule);
        if (choice.backend) choice.write = Write::Remember;
        return choice;
    }
    switch (facts.on_dead_owner) {
    case OnDeadOwner::Resteer:
        if (!facts.is_response) return go_now(facts, kRule);
        // No other backend knows the request of a response. The owner may be back already.
        if (!is_disabled) return go(owner.id, kRule);
        break;
    case OnDeadOwner::Keep:
        if (!is_disabled) return go(owner.id, kRule);
        break;
    case OnDeadOwner::Drop:
    case OnDeadOwner::Reject:
        break;
    }
    const bool is_dropped = facts.on_dead_owner != OnDeadOwner::Reject;
    return refuse(refusal_of(facts, is_dropped, Outcome::DeadOwner), kRule);
}

[[nodiscard]] constexpr Choice follow_call(const Facts& facts) noexcept {
    const SteerRule rule = facts.by_key ? SteerRule::Registered : SteerRule::Remembered;
    return go(facts.call->backend, rule, Write::Touch);
}

/// An in-call message of a known call whose backend does not take it. The entry is updated although
/// its backend gets nothing: the call is still known when the backend returns, and does not count
/// if it has ended by then.
[[nodiscard]] constexpr Choice follow_call_of_dead_owner(const Facts& facts) noexcept {
    Choice choice = follow_dead_owner(facts, {facts.call->backend, facts.call_life});
    if (!facts.shared_state) choice.write = Write::Touch;
    return choice;
}

/// An in-call message of a call that is not remembered.
[[nodiscard]] constexpr Choice follow_unknown_call(const Facts& facts) noexcept {
    const bool has_old = facts.old.id != kNoBackend;
    if (has_old && !takes(facts, facts.old.life)) return follow_dead_owner(facts, facts.old);
    const bool settled = facts.slot_state == SlotState::Settled;
    Choice choice = has_old ? go(facts.old.id, settled ? SteerRule::Settled : SteerRule::Old)
                            : go_now(facts, SteerRule::Now);
    // A settled slot leads to the same backend every time, so forged messages add no entries. No
    // message follows a NOTIFY without To-tag.
    const bool has_followers = facts.method != Method::Notify || facts.has_to_tag;
    const bool is_kept = facts.slot_state == SlotState::Moved || facts.is_between;
    if (choice.backend && is_kept && has_followers) choice.write = Write::Remember;
    return choice;
}

/// Whether the Call-ID alone leads to the same backend as the key, now and on retransmission.
[[nodiscard]] constexpr bool is_by_hash(const Facts& facts, const Choice& choice) noexcept {
    return choice.rule == SteerRule::Key && !facts.tracks_all_calls &&
           facts.slot_state == SlotState::Settled && facts.key()->slot_state != SlotState::Moved &&
           facts.now == choice.backend;
}

/// Whether a message that starts a call, or a REGISTER, binds its entry to the chosen backend.
[[nodiscard]] constexpr bool binds(const Facts& facts) noexcept {
    if (facts.role != MessageRole::Initial) return false;
    // A client must not move a registration by itself: where the response passes, that decides.
    if (facts.is_heard() && facts.call && facts.call->state == CallState::SoftState) return false;
    if (facts.registers()) return facts.registers()->asks == Registration::Asks::ToBind;
    // Other publications for an address do not change where it is registered.
    return !facts.by_key || !facts.call;
}

[[nodiscard]] constexpr Choice go_by(const Facts& facts, SteerRule rule) noexcept {
    if (rule == SteerRule::Referenced) return go(facts.referenced()->owner.id, rule);
    if (rule == SteerRule::Registered) return go(facts.key()->registered->id, rule);
    if (rule == SteerRule::Key) return go(*facts.key()->owner, rule);
    if (rule != SteerRule::Chosen) return go_now(facts, rule);
    if (facts.pick.backend) return go(*facts.pick.backend, rule);
    return refuse(facts.pick.has_members ? Outcome::OverLimit : Outcome::NoBackend, rule);
}

[[nodiscard]] constexpr Choice start(const Facts& facts) noexcept {
    Choice choice = go_by(facts, rule_of_new(facts));
    if (!choice.backend) // a registration stays when all other backends are full
        return leaves(facts) ? follow_call(facts) : choice;
    if (binds(facts) && !is_by_hash(facts, choice)) choice.write = Write::Remember;
    return choice;
}

/// Adds how the response comes back.
[[nodiscard]] constexpr Choice led_back(const Facts& facts, Choice choice) noexcept {
    if (!choice.backend) return choice;
    if (is_asked_again(facts)) return go(facts.way_back.asked->backend, SteerRule::Remembered);
    return choice;
}

/// Where asks_picker() holds, `facts.pick` is what the picker said.
[[nodiscard]] constexpr Choice decide(const Facts& facts) noexcept {
    if (!facts.health_known) return refuse(Outcome::HealthUnknown, SteerRule::Settled);
    if (facts.asker)
        return takes(facts, facts.asker->life) ? go(facts.asker->id, SteerRule::Asker)
                                               : follow_dead_owner(facts, *facts.asker);
    if (slot_decides(facts)) [[likely]]
        return led_back(facts, go_now(facts, SteerRule::Settled));
    if (call_decides(facts)) return led_back(facts, follow_call(facts));
    if (facts.role == MessageRole::InCall)
        return facts.call ? follow_call_of_dead_owner(facts) : follow_unknown_call(facts);
    return led_back(facts, start(facts));
}

/// Where a call starts that could not be remembered: where its later messages will go, which are
/// then in-call messages of an unknown call. Requests for an address that could not be remembered
/// go where its registration went.
[[nodiscard]] constexpr Choice
decide_lost(const Facts& facts, const Choice& choice, const Owner& old) noexcept {
    const bool starts = choice.rule == SteerRule::Now || choice.rule == SteerRule::Chosen ||
                        choice.rule == SteerRule::Key || choice.rule == SteerRule::Referenced ||
                        choice.rule == SteerRule::Registered;
    if (!starts || facts.registers()) return choice;
    if (facts.slot_state == SlotState::Moved && takes(facts, old.life))
        return go(old.id, SteerRule::Old);
    return go(facts.now.value_or(*choice.backend), SteerRule::Now);
}

// ---- messages of nat backends

/// Whether the slots lead to the sender anyway, so that nothing is looked up.
[[nodiscard]] constexpr bool slot_leads_to(const Facts& facts, BackendId sender) noexcept {
    return facts.now == sender && facts.slot_state == SlotState::Settled &&
           !facts.tracks_all_calls && !facts.is_other_side;
}

/// What to write of a call in which this backend has sent a message.
[[nodiscard]] constexpr Choice decide_outgoing(const Facts& facts, BackendId sender) noexcept {
    constexpr SteerRule kRule = SteerRule::Caller;
    if (slot_leads_to(facts, sender)) return {};
    if (facts.asker) return {}; // a client's request that is sent on: its responses are led back
    // The backend's own message overrides an entry that may be forged.
    const bool is_elsewhere = facts.call && facts.call->backend != sender;
    const bool is_made_up = is_elsewhere && facts.call->state == CallState::Unknown &&
                            facts.call->dialog == Call::kUnconfirmed;
    if (!call_decides(facts) || is_made_up) return go(sender, kRule, Write::Remember);
    return is_elsewhere ? Choice{} : go(sender, kRule, Write::Touch);
}

/// What to write of a call in which this backend has sent a final response.
[[nodiscard]] constexpr Choice decide_answer(const Facts& facts, BackendId sender) noexcept {
    if (!facts.call || facts.call->backend != sender) return {};
    switch (facts.call->state) {
    case CallState::Ringing:
    case CallState::Refused:
    case CallState::SoftState:
    case CallState::Unknown:
        return go(sender, SteerRule::Remembered, Write::Touch);
    case CallState::Answered: // a response in it does not change its state
    case CallState::Ended:
    case CallState::PendingRequest:
        break;
    }
    return {};
}

/// Where a message goes that the backend of the call sends to the VIP: back to the backend that
/// started the call, whose entry `facts.call` is. No other backend can continue the call.
[[nodiscard]] constexpr Choice decide_back(const Facts& facts, BackendId sender) noexcept {
    constexpr SteerRule kRule = SteerRule::Caller;
    if (facts.role != MessageRole::InCall) return go(sender, kRule); // it calls itself
    if (!facts.call) return refuse(refusal_of(facts, false, Outcome::BackendToVip), kRule);
    if (takes(facts, facts.call_life)) return go(facts.call->backend, kRule);
    const bool is_dropped = facts.on_dead_owner == OnDeadOwner::Drop;
    return refuse(refusal_of(facts, is_dropped, Outcome::DeadOwner), kRule);
}

} // namespace viaduct
