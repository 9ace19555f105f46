// SPDX-License-Identifier: Apache-2.0
//
// look_up: reads the facts of a message. Nothing is written.
//
// In:    a snapshot, the table of calls, a message that was admitted.
// Out:   Facts, as far as the rules need them.
// How:   the predicates of decide.hpp say whether a further lookup can change the choice. What most
//        messages need is inline, so that their facts stay in registers.
// Cost:  a lookup in the table of calls where the slot is not settled; a full reading where another
//        key or a referenced call is possible.
#pragma once

#include "steering/decide.hpp"
#include "steering/facts.hpp"

#include "viaduct/steering/keys.hpp"

#include <cstdint>
#include <optional>

namespace viaduct {

// ---- facts that few messages need; each returns `facts` with those added

/// The keys and references of a message besides its Call-ID.
[[nodiscard]] Facts with_keys(const SteerInput& in, Facts facts) noexcept;
/// The owners of the slots of its key and of the call it references, and where its address is
/// registered.
[[nodiscard]] Facts with_other_owners(const SteerInput& in, Facts facts) noexcept;
/// The request of a response that was not steered by its Call-ID, or is steered differently now:
/// the backend that got the request may have sent it on.
[[nodiscard]] Facts with_asker(const SteerInput& in, Facts facts) noexcept;
[[nodiscard]] WayBack
way_back(const SteerInput& in, std::uint64_t call_id_hash, bool by_key) noexcept;
/// Whether it is a NOTIFY outside of any dialog (such as for waiting messages): it is steered by
/// its key.
[[nodiscard]] bool is_unsolicited(const SteerInput& in, std::uint64_t hash) noexcept;
/// The hash under which a request waits for its response: a proxy keeps Call-ID and CSeq (RFC 3261
/// §16.6). Empty: it has no CSeq.
[[nodiscard]] std::optional<std::uint64_t> answer_hash(const SteerInput& in,
                                                       std::uint64_t call_id_hash) noexcept;

// ---- facts that most messages need

[[nodiscard]] inline BackendLife life_of(const SteerInput& in, BackendId id) noexcept {
    const auto& backends = in.view.snapshot.backends;
    return index(id) < backends.size() ? backends[index(id)].life : BackendLife::Disabled;
}
[[nodiscard]] inline Owner owner_of(const SteerInput& in, BackendId id) noexcept {
    return {id, life_of(in, id)};
}
[[nodiscard]] inline std::optional<BackendId> slot_owner(const Pool& pool,
                                                         std::uint32_t slot) noexcept {
    return pool.slots ? std::optional((*pool.slots)[slot]) : std::nullopt;
}
/// The owner in the oldest generation in memory.
[[nodiscard]] inline Owner
old_owner(const SteerInput& in, std::uint32_t slot, SlotState state) noexcept {
    const Pool& pool = in.pool;
    if (state == SlotState::Moved && pool.unsettled->old)
        return owner_of(in, (*pool.unsettled->old)[slot]);
    return pool.slots ? owner_of(in, (*pool.slots)[slot]) : Owner{};
}
[[nodiscard]] inline std::optional<Call> find(const SteerInput& in, std::uint64_t hash) noexcept {
    return in.view.calls.find(hash, in.view.now);
}

/// What the message says. `hash`: of the Call-ID.
[[nodiscard]] inline Facts facts_of(const SteerInput& in, std::uint64_t hash) noexcept {
    Facts facts;
    facts.call_id_hash = facts.hash = hash;
    facts.slot = slot_of(hash);
    facts.role = role_of(in.digest);
    facts.method = in.digest.method;
    facts.is_request = in.digest.kind == PayloadKind::Request;
    facts.is_response = in.digest.kind == PayloadKind::Response;
    facts.has_to_tag = in.digest.has_to_tag;
    return facts;
}

[[nodiscard]] inline bool starts_again(const SteerInput& in, const Facts& facts) noexcept {
    if (facts.call->state != CallState::Ended || facts.role != MessageRole::Initial) return false;
    return starts_again(message_to_call(in, facts), Call{*facts.call});
}

inline void look_up_call(const SteerInput& in, Facts& facts) noexcept {
    facts.call = find(in, facts.hash);
    if (!facts.call) return;
    const Call& call = *facts.call;
    facts.role = role_in(facts.call, facts.role, facts.method);
    facts.call_life = life_of(in, call.backend);
    facts.starts_again = starts_again(in, facts);
    if (!refreshes(in.digest, facts.role, call)) return;
    const auto& backends = in.view.snapshot.backends;
    facts.is_evacuated =
        index(call.backend) < backends.size() && backends[index(call.backend)].is_evacuating;
}

/// What a message needs to know that its call does not decide.
inline void look_up_owners(const SteerInput& in, Facts& facts) noexcept {
    facts.now = slot_owner(in.pool, facts.slot);
    if (facts.role == MessageRole::InCall && !facts.call)
        facts.old = old_owner(in, facts.slot, facts.slot_state);
    if (facts.role != MessageRole::InCall && facts.others) facts = with_other_owners(in, facts);
}

/// Whether a message that is not in a call may have a key besides its Call-ID.
[[nodiscard]] inline bool may_have_keys(const SteerInput& in) noexcept {
    return in.pool.keys ||
           (in.digest.may_reference_call && may_reference_call(in.received.payload));
}

/// Whether a response may have to be led to a backend that its Call-ID does not show.
[[nodiscard]] inline bool may_have_asker(const SteerInput& in, const Facts& facts) noexcept {
    return facts.is_response &&
           (in.pool.keys || facts.slot_state == SlotState::Moved || facts.is_between);
}

/// Whether the response to a request may have to be led back. Else the request is remembered by its
/// Call-ID, or goes to the same backend in any case.
[[nodiscard]] inline bool may_need_way_back(const Facts& facts) noexcept {
    if (!facts.is_request || !facts.has_table) return false;
    if (facts.by_key) return true;
    return facts.role == MessageRole::Standalone && !facts.call && facts.now &&
           (facts.slot_state == SlotState::Moved || facts.is_between);
}

/// Reads what decide() needs for a message to a VIP. `hash`: of its Call-ID.
[[nodiscard, gnu::always_inline]] inline Facts look_up(const SteerInput& in,
                                                       std::uint64_t hash) noexcept {
    Facts facts = facts_of(in, hash);
    facts.health_known = in.pool.health_known;
    facts.has_table = in.view.calls.exists();
    facts.has_picker = in.pool.picker != nullptr;
    facts.tracks_all_calls = in.pool.tracks_all_calls();
    facts.shared_state = in.pool.shared_state;
    facts.on_dead_owner = in.pool.on_dead_owner;
    facts.is_between = in.view.is_between;
    if (in.pool.keys && facts.role == MessageRole::InCall && is_unsolicited(in, hash))
        facts.role = MessageRole::Standalone;
    if (facts.role != MessageRole::InCall && may_have_keys(in)) facts = with_keys(in, facts);
    if (!facts.health_known) {
        facts.call = find(in, facts.hash);
        return facts;
    }
    facts.slot_state = slot_state(in.pool, facts.slot);
    if (may_have_asker(in, facts)) facts = with_asker(in, facts);
    if (facts.asker || slot_decides(facts)) [[likely]] {
        facts.now = slot_owner(in.pool, facts.slot);
    } else {
        look_up_call(in, facts);
        if (!call_decides(facts)) look_up_owners(in, facts);
    }
    if (may_need_way_back(facts)) facts.way_back = way_back(in, facts.call_id_hash, facts.by_key);
    return facts;
}

/// Reads what decide_outgoing() needs for a message that a nat backend sends. `other_side`: `hash`
/// is of the entry for the other side of the call.
[[nodiscard]] Facts look_up_outgoing(const SteerInput& in,
                                     std::uint64_t hash,
                                     BackendId sender,
                                     bool other_side) noexcept;

/// Reads what decide_back() and decide_answer() need: the entry of the call.
[[nodiscard]] Facts look_up_entry(const SteerInput& in, std::uint64_t hash) noexcept;

} // namespace viaduct
