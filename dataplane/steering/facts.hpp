// SPDX-License-Identifier: Apache-2.0
//
// facts: everything that the rules of steering must know of one message, its call and its pool.
//
// In:    a snapshot, the table of calls, a message that was admitted.
// Out:   Facts, for decide(). Facts that no rule needs for a message are not read: they keep their
//        defaults.
// Cost:  none of its own. look_up() keeps the facts in registers where it is inlined: pass them to
//        functions that are not by value.
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

/// The call in Replaces, Join or Target-Dialog.
struct ReferenceFacts {
    std::uint64_t hash = 0;
    bool is_known = false; ///< it is remembered
    Owner owner{};         ///< its backend; by its slot if it is not remembered
};

/// Another key than the Call-ID, of a message that starts a dialog.
struct KeyFacts {
    std::uint64_t hash = 0;
    SlotState slot_state = SlotState::Settled;
    std::optional<BackendId> owner{};  ///< of its slot
    std::optional<Owner> registered{}; ///< where its address is registered
};

struct OtherFacts {
    std::optional<ReferenceFacts> referenced{};
    std::optional<KeyFacts> key{};
    std::optional<Registration> registers{}; ///< by_key: what a REGISTER asks for
    bool is_heard = false; ///< by_key: the response of the REGISTER passes, and is read
};

/// How the response to a standalone request, or to one by key, finds its way back.
struct WayBack {
    bool is_needed = false; ///< only responses follow the request, if it is sent on
    std::optional<BackendId> call_id_owner{}; ///< by_key: the backend that the Call-ID leads to
    std::uint64_t hash = 0;                   ///< else: of its Call-ID and CSeq
    std::optional<Call> asked{}; ///< else: where the request went when it was first sent
    BackendLife asked_life = BackendLife::Disabled;
};

/// What the picker said, if it was asked.
struct PickerAnswer {
    std::optional<BackendId> backend{};
    bool has_members = false; ///< it has backends, which may all be full
};

struct Facts {
    // ---- the message
    // Not initialised: GCC 12 clears the whole of a struct whose members all have constants.
    std::uint64_t call_id_hash;
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

    // ---- of the few messages that have other keys, or reference a call
    std::optional<OtherFacts> others{};

    [[nodiscard]] constexpr const ReferenceFacts* referenced() const noexcept {
        return others && others->referenced ? &*others->referenced : nullptr;
    }
    [[nodiscard]] constexpr const KeyFacts* key() const noexcept {
        return others && others->key ? &*others->key : nullptr;
    }
    [[nodiscard]] constexpr const Registration* registers() const noexcept {
        return others && others->registers ? &*others->registers : nullptr;
    }
    [[nodiscard]] constexpr bool is_heard() const noexcept { return others && others->is_heard; }
    /// To write them.
    [[nodiscard]] constexpr OtherFacts& other() noexcept {
        return others ? *others : others.emplace();
    }

    WayBack way_back{};

    PickerAnswer pick{};
};

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
