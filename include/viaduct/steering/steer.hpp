// SPDX-License-Identifier: Apache-2.0
//
// steer: a message and a pool -> the backend that gets it, so that a call stays where it began.
//
// The decision is a function of the message, the snapshot and what is remembered of its call, which
// all workers share; on a slot that no change has moved it is one of message and secret alone, so
// that every balancer with the same configuration decides alike (RFC 3261 §16.11). The workers and
// `explain` call the same function. docs/steering.md has the rules and why they hold.
#pragma once

#include "viaduct/counters.hpp"
#include "viaduct/sip/digest.hpp"
#include "viaduct/snapshot.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace viaduct {

/// Keyed 64-bit hash (SipHash-1-3) over group, key type and key: no stranger can aim at a slot.
/// What all keys of a pool share is taken in once, by hash_prefix().
[[nodiscard]] HashPrefix
hash_prefix(const SteeringSecret& secret, std::uint64_t group, KeyType type) noexcept;
[[nodiscard]] std::uint64_t hash_key(const HashPrefix& prefix, std::string_view key) noexcept;

/// The same keyed hash over plain bytes; names of pools and backends go through it.
[[nodiscard]] std::uint64_t hash_bytes(const SteeringSecret& secret,
                                       std::string_view bytes) noexcept;

/// What a message does to a call, by its method and tags.
enum class MessageRole : std::uint8_t {
    Initial,    ///< INVITE, SUBSCRIBE, REFER, REGISTER, PUBLISH without To-tag: a call begins
    Standalone, ///< any other request without To-tag that is not in the next list
    InCall,     ///< all with a To-tag; ACK, CANCEL, BYE, PRACK, UPDATE, INFO, NOTIFY; responses
};
[[nodiscard]] MessageRole role_of(const SipDigest& digest) noexcept;

/// Why a message goes where it goes.
enum class SteerRule : std::uint8_t {
    Settled,    ///< all generations name the same owner of the slot
    Now,        ///< it begins something: the owner in the newest generation
    Old,        ///< it belongs to a call of which nothing is remembered: the oldest generation's
    Remembered, ///< its call is remembered
    DeadOwner,  ///< the owner is dead: what `on_dead_owner` says
    Chosen,     ///< it begins something: by turn or by load (`steering`)
    Key,        ///< it begins something: by another key than the Call-ID (`key`)
    Referenced, ///< it begins something and names another call: where that one is
    Caller,     ///< from a nat backend to a VIP: the other end of the call, or itself
    Registered, ///< its key is remembered: where its address is registered
    Asker,      ///< an answer to a request that its Call-ID does not lead to: to who sent that on
};

[[nodiscard]] constexpr std::string_view name_of(SteerRule rule) noexcept {
    constexpr std::array<std::string_view, count_of<SteerRule>()> kNames{"settled",
                                                                         "now",
                                                                         "old",
                                                                         "remembered",
                                                                         "dead_owner",
                                                                         "chosen",
                                                                         "key",
                                                                         "referenced",
                                                                         "caller",
                                                                         "registered",
                                                                         "asker"};
    static_assert(names_all<SteerRule>(kNames));
    return kNames[static_cast<std::size_t>(rule)];
}

struct Steering {
    PoolId pool{}; ///< that decided: the VIP's, or the one before
    std::uint64_t hash = 0;
    std::uint32_t slot = 0;              ///< 0..kSlots-1
    std::optional<BackendId> backend;    ///< empty: see `refusal`
    Outcome refusal = Outcome::Internal; ///< why there is none: HealthUnknown, NoBackend, ...
    SteerRule rule = SteerRule::Settled;
    MessageRole role = MessageRole::Standalone;
    bool is_unsettled = false;          ///< generations disagree about the slot
    bool is_marked = false;             ///< the slot has a call that is not where the hash says
    std::optional<Call> call;           ///< what was remembered before this message
    bool remembered = false;            ///< this message left something behind
    bool table_full = false;            ///< or would have, had there been room
    bool flooded = false;               ///< or would have, had fewer calls begun just now
    bool references_call = false;       ///< it has a Replaces, Join or Target-Dialog
    bool knows_referenced_call = false; ///< and the call that it names is remembered in this pool

    /// It was to be remembered, and is not.
    [[nodiscard]] bool is_lost() const noexcept { return table_full || flooded; }
};

/// What steering reads and, for workers, writes.
struct SteerView {
    const Snapshot& snapshot;
    CallTable calls; ///< no table: nothing is remembered, and generations alone decide
    CallTime now;
    std::uint32_t* budget = nullptr; ///< calls that may yet begin to be remembered; null: all
    bool dry_run = false;            ///< it is decided alike, and nothing changes: for `explain`
    bool is_between = false; ///< of two pools: what one does not remember may be the other's
};

/// How a message for a VIP ends before it is steered: keep-alives, non-SIP, a defect, no Call-ID, a
/// VIP switched off. Empty: it is steered.
[[nodiscard]] std::optional<Outcome> admit_message(const Vip& vip,
                                                   const SipDigest& digest) noexcept;

/// The keyed hash of the message's Call-ID, with which steer() begins: fetch what it leads to
/// ahead.
[[nodiscard]] std::uint64_t steering_hash(const Pool& pool, const SipDigest& digest) noexcept;

[[nodiscard]] constexpr std::uint32_t slot_of(std::uint64_t hash) noexcept {
    return static_cast<std::uint32_t>(hash & (kSlots - 1));
}

/// Whether the slot's owner is all there is to know: no change has moved it, and no call of it is
/// elsewhere.
[[nodiscard]] inline bool is_settled(const Pool& pool, std::uint32_t slot) noexcept {
    return !pool.always_looks_up && !(pool.unsettled && pool.unsettled->contains(slot)) &&
           !(pool.marks && pool.marks->any() && pool.marks->contains(slot));
}

/// Decides by the hash of the message's key, and remembers what docs/steering.md says is to be
/// remembered.
/// `received`: the same message; without it there is no other key and no other call, and what its
/// digest left for later (Want::Later) counts as absent.
[[nodiscard]] Steering steer(const SteerView& view,
                             PoolId pool,
                             const SipDigest& digest,
                             std::uint64_t hash,
                             const ReceivedMessage& received = {}) noexcept;

/// For a VIP, which may have a pool before (Vip::previous): calls that are known in one of both
/// stay there; what else belongs to a call began in the one before (Vip::owns_untracked: in its
/// own); what begins goes to the one before until the VIP has moved, and from then on to its own,
/// if anybody takes it there. `hash`: of the VIP's own pool.
[[nodiscard]] Steering steer_vip(const SteerView& view,
                                 VipId vip,
                                 const SipDigest& digest,
                                 std::uint64_t hash,
                                 const ReceivedMessage& received = {}) noexcept;

/// A message that a nat backend sends to a VIP of a nat pool, in a call with another backend or
/// with itself: to the backend that the call is at, or from there to the one that began it.
/// Nobody is known at the other end: Rejected, or BackendToVip for what has no answer.
[[nodiscard]] Steering steer_backend_call(const SteerView& view,
                                          VipId vip,
                                          const SipDigest& digest,
                                          std::uint64_t hash,
                                          const ReceivedMessage& received,
                                          BackendId sender) noexcept;

/// A request that a nat backend sends to somebody outside: what comes to its VIP in the same call
/// goes to it from now on. `hash`: of the sender's pool. The answer's `backend` means nothing.
Steering note_outgoing(const SteerView& view,
                       PoolId pool,
                       const SipDigest& digest,
                       std::uint64_t hash,
                       const ReceivedMessage& received,
                       BackendId sender) noexcept;

/// Whether answers of the pool's nat backends are to be read for hear_answer(): something may be
/// remembered there.
[[nodiscard]] inline bool hears_answers(const Pool& pool) noexcept {
    return pool.always_looks_up || pool.unsettled || (pool.marks && pool.marks->any());
}

/// A final answer of a nat backend: what was refused is remembered no longer, what was granted for
/// as long as the answer says.
void hear_answer(const SteerView& view,
                 PoolId pool,
                 const SipDigest& digest,
                 const ReceivedMessage& received,
                 BackendId sender) noexcept;

/// An answer of a nat backend to a request that was steered to it: what is final ends the work that
/// the request was. For pools whose picker counts that.
void note_answer(const SteerView& view,
                 PoolId pool,
                 const SipDigest& digest,
                 const ReceivedMessage& received) noexcept;

} // namespace viaduct
