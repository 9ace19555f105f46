// SPDX-License-Identifier: Apache-2.0
//
// facts: everything that the rules of steering must know of one message, its call and its pool.
//
// In:    a snapshot, the table of calls, a message that was admitted.
// Out:   Facts, for decide(). Nothing is written.
// Cost:  a lookup in the table of calls where the slot is not settled; a full reading where another
//        key or a referenced call is possible. Facts that no rule needs for this message are not
//        read: they keep their defaults.
#pragma once

#include "steering/call_state.hpp"
#include "steering/registration.hpp"

#include "viaduct/sip/digest.hpp"
#include "viaduct/snapshot.hpp"
#include "viaduct/steering/call_table.hpp"
#include "viaduct/steering/slot_state.hpp"
#include "viaduct/steering/steer.hpp"

#include <cstdint>
#include <optional>

namespace viaduct {

/// A message, and the pool that steers it.
struct SteerInput {
    const SteerView& view;
    PoolId pool_id;
    const Pool& pool;
    const SipDigest& digest;
    const ReceivedMessage& received;

    SteerInput(const SteerView& by,
               PoolId id,
               const SipDigest& read,
               const ReceivedMessage& message) noexcept
        : view(by), pool_id(id), pool(by.snapshot.pools[index(id)]), digest(read),
          received(message) {}
};

/// A backend that a slot or an entry names. Ids of backends that do not exist any more are
/// Disabled.
struct Owner {
    BackendId id = kNoBackend;
    BackendLife life = BackendLife::Disabled;
};

struct Facts {
    // ---- the message
    std::uint64_t call_id_hash = 0;
    MessageRole role = MessageRole::Standalone; ///< in its call: see role_in()
    Method method = Method::Other;
    bool is_request = false; ///< neither a response nor one whose first line is unreadable
    bool is_response = false;
    bool has_to_tag = false;
    bool is_backends = false;   ///< a nat backend sent it
    bool is_other_side = false; ///< looked up is the other side of the call, in no slot
    bool starts_again = false;  ///< its call has ended, and starts again with it
    std::uint64_t hash = 0;     ///< of the Call-ID, or of the key that replaces it
    std::uint32_t slot = 0;     ///< of `hash`
    bool by_key = false;        ///< another key replaces the Call-ID
    bool is_heard = false;      ///< by_key: the response of the REGISTER passes, and is read
    std::optional<Registration> registers{}; ///< by_key: what a REGISTER asks for

    // ---- its pool
    bool health_known = false;
    bool has_table = false; ///< a table to remember calls in
    bool has_picker = false;
    bool tracks_all_calls = false;
    bool shared_state = false;
    OnDeadOwner on_dead_owner = OnDeadOwner::Resteer;
    bool is_between = false; ///< the VIP has two pools: either may remember a call
    SlotState slot_state = SlotState::Settled; ///< of `slot`
    std::optional<BackendId> now{};            ///< the owner of `slot` for new calls
    Owner old{};                               ///< the owner in the oldest generation in memory

    // ---- what is remembered under `hash`, or of the request of a response (`asker`)
    std::optional<Call> call{};
    BackendLife call_life = BackendLife::Disabled; ///< of its backend
    bool is_evacuated = false; ///< the message refreshes a registration at a backend to be emptied
    std::optional<Owner> asker{}; ///< the backend that may have sent the request of a response on

    // ---- other keys of a message that starts a dialog
    struct Reference {
        std::uint64_t hash = 0; ///< of the call in Replaces, Join or Target-Dialog
        bool is_known = false;  ///< that call is remembered
        Owner owner{};          ///< the backend of that call; by its slot if it is not remembered
    };
    std::optional<Reference> referenced{};
    struct Key {
        std::uint64_t hash = 0;
        SlotState slot_state = SlotState::Settled;
        std::optional<BackendId> owner{};  ///< of its slot
        std::optional<Owner> registered{}; ///< where its address is registered
    };
    std::optional<Key> key{};

    // ---- whether the response will find its way back
    bool is_asked_once = false; ///< a request after which only responses follow, if it is sent on
    std::optional<BackendId> call_id_owner{}; ///< by_key: the backend that the Call-ID leads to
    std::uint64_t answer_hash = 0;            ///< else: of its Call-ID and CSeq
    std::optional<Call> asked{}; ///< else: where the request went when it was first sent
    BackendLife asked_life = BackendLife::Disabled;

    // ---- what the picker said, if it was asked
    std::optional<BackendId> picked{};
    bool has_members = false; ///< it has backends, which may all be full
};

/// Reads what decide() needs for a message to a VIP. `hash`: of its Call-ID.
[[nodiscard]] Facts look_up(const SteerInput& in, std::uint64_t hash) noexcept;

/// Reads what decide_outgoing() needs for a message that a nat backend sends. `other_side`: `hash`
/// is of the entry for the other side of the call.
[[nodiscard]] Facts look_up_outgoing(const SteerInput& in,
                                     std::uint64_t hash,
                                     BackendId sender,
                                     bool other_side) noexcept;

/// Reads what decide_back() and decide_answer() need: the entry of the call.
[[nodiscard]] Facts look_up_entry(const SteerInput& in, std::uint64_t hash) noexcept;

[[nodiscard]] inline BackendLife life_of(const SteerInput& in, BackendId id) noexcept {
    const auto& backends = in.view.snapshot.backends;
    return index(id) < backends.size() ? backends[index(id)].life : BackendLife::Disabled;
}

/// The owner in the oldest generation in memory, which look_up() reads for in-call messages only.
[[nodiscard]] Owner old_owner(const SteerInput& in, const Facts& facts) noexcept;

/// The hash under which a request waits for its response: a proxy keeps Call-ID and CSeq (RFC 3261
/// §16.6). Empty: it has no CSeq.
[[nodiscard]] std::optional<std::uint64_t> answer_hash(const SteerInput& in,
                                                       std::uint64_t call_id_hash) noexcept;

/// The message as its call sees it.
[[nodiscard]] inline CallMessage message_to_call(const SteerInput& in,
                                                 const Facts& facts) noexcept {
    // Not for entries by key, which other requests share, nor for the other side of a call.
    const bool answers_pass =
        info_of(in.pool.mode).returns_through_us && !facts.by_key && !facts.is_other_side;
    return {in.pool.lifetimes,
            in.digest,
            in.received,
            facts.role,
            in.view.now,
            in.view.calls,
            facts.hash,
            facts.is_backends,
            answers_pass};
}

} // namespace viaduct
