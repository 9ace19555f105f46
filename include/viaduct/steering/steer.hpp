// SPDX-License-Identifier: Apache-2.0
//
// steer: chooses the backend of a message, so that a call stays where it started.
//
// The decision is a function of the message, the snapshot and what is remembered of its call, which
// all workers share. On a slot that no change has moved it depends on message and secret only, so
// that every balancer with the same configuration decides the same (RFC 3261 §16.11). The workers
// and `explain` call the same function. docs/steering.md has the rules and why they hold.
#pragma once

#include "viaduct/counters.hpp"
#include "viaduct/sip/digest.hpp"
#include "viaduct/snapshot.hpp"
#include "viaduct/steering/slot_state.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace viaduct {

/// Keyed 64-bit hash (SipHash-1-3) over group, key type and key: without the secret a sender cannot
/// aim at a slot. hash_prefix() hashes once what all keys of a pool share.
[[nodiscard]] HashPrefix
hash_prefix(const SteeringSecret& secret, std::uint64_t group, KeyType type) noexcept;
[[nodiscard]] std::uint64_t hash_key(const HashPrefix& prefix, std::string_view key) noexcept;

/// The same keyed hash over plain bytes; used for names of pools and backends.
[[nodiscard]] std::uint64_t hash_bytes(const SteeringSecret& secret,
                                       std::string_view bytes) noexcept;

/// The role of a message in its call, by method and tags.
enum class MessageRole : std::uint8_t {
    Initial,    ///< INVITE, SUBSCRIBE, REFER, REGISTER, PUBLISH without To-tag: starts a call
    Standalone, ///< any other request without To-tag that is not an in-call message
    InCall,     ///< all with a To-tag; ACK, CANCEL, BYE, PRACK, UPDATE, INFO, NOTIFY; responses
};
[[nodiscard]] MessageRole role_of(const SipDigest& digest) noexcept;

/// Why a message goes where it goes.
enum class SteerRule : std::uint8_t {
    Settled,    ///< all generations name the same owner of the slot
    Now,        ///< new call: the owner in the newest generation
    Old,        ///< in-call message of an unknown call: the owner in the oldest generation
    Remembered, ///< its call is remembered
    DeadOwner,  ///< the owner is down: as `on_dead_owner` says
    Chosen,     ///< new call: by turn or by load (`steering`)
    Key,        ///< new call: by another key than the Call-ID (`key`)
    Referenced, ///< new call that references another call: to the backend of that call
    Caller,     ///< from a nat backend to a VIP: to the other side of the call, or to itself
    Registered, ///< its key is remembered: to the backend where its address is registered
    Asker,      ///< response whose Call-ID leads elsewhere: to the sender of the request
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
    PoolId pool{}; ///< the pool that decided: the VIP's current or previous one
    std::uint64_t hash = 0;
    std::uint32_t slot = 0;              ///< 0..kSlots-1
    std::optional<BackendId> backend;    ///< empty: see `refusal`
    Outcome refusal = Outcome::Internal; ///< why there is no backend: HealthUnknown, NoBackend, ...
    SteerRule rule = SteerRule::Settled;
    MessageRole role = MessageRole::Standalone;
    SlotState slot_state = SlotState::Settled;
    std::optional<Call> call; ///< what was remembered before this message
    bool remembered = false;  ///< this message added or rebound the entry
    bool table_full = false;  ///< an entry was needed, but the table is full
    bool flooded = false;     ///< an entry was needed, but call starts are limited

    /// True when the call should be remembered but could not be.
    [[nodiscard]] bool is_lost() const noexcept { return table_full || flooded; }
};

/// What steering reads and, in workers, writes.
struct SteerView {
    const Snapshot& snapshot;
    CallTable calls; ///< without a table nothing is remembered, and generations alone decide
    CallTime now;
    std::uint32_t* budget = nullptr; ///< how many more new calls may be remembered; null: no limit
    bool dry_run = false;            ///< decide the same way, but change nothing: for `explain`
    bool is_between = false;         ///< the VIP has two pools: either may remember a call
};

/// The outcome of a message for a VIP that is not steered: keep-alives, non-SIP, a defect, no
/// Call-ID, a disabled VIP. Empty: it is steered.
[[nodiscard]] std::optional<Outcome> admit_message(const Vip& vip,
                                                   const SipDigest& digest) noexcept;

/// The keyed hash of the message's Call-ID, the input of steer(). Compute it early to prefetch what
/// it leads to.
[[nodiscard]] std::uint64_t steering_hash(const Pool& pool, const SipDigest& digest) noexcept;

[[nodiscard]] constexpr std::uint32_t slot_of(std::uint64_t hash) noexcept {
    return static_cast<std::uint32_t>(hash & (kSlots - 1));
}

/// Decides by the hash of the message's key, and remembers what docs/steering.md says. `received`:
/// the same message. Without it other keys and referenced calls are ignored, and what the digest
/// left for later (Want::Later) counts as absent.
[[nodiscard]] Steering steer(const SteerView& view,
                             PoolId pool,
                             const SipDigest& digest,
                             std::uint64_t hash,
                             const ReceivedMessage& received = {}) noexcept;

/// Like steer(), for a VIP that may have a previous pool (Vip::previous). Calls that are known in
/// one of the two pools stay there. In-call messages of unknown calls go to the previous pool, or
/// with Vip::owns_untracked to the current one. New calls go to the previous pool until the VIP has
/// moved, then to the current one if a backend there takes them. `hash`: of the VIP's current pool.
[[nodiscard]] Steering steer_vip(const SteerView& view,
                                 VipId vip,
                                 const SipDigest& digest,
                                 std::uint64_t hash,
                                 const ReceivedMessage& received = {}) noexcept;

/// Steers a message that a nat backend sends to a VIP of a nat pool, in a call with another backend
/// or with itself: to the backend of the call, or from there back to the one that started it. If
/// the other side is unknown: Rejected, or BackendToVip for messages that have no reply.
[[nodiscard]] Steering steer_backend_call(const SteerView& view,
                                          VipId vip,
                                          const SipDigest& digest,
                                          std::uint64_t hash,
                                          const ReceivedMessage& received,
                                          BackendId sender) noexcept;

/// Notes a request that a nat backend sends to an outside address: what arrives at its VIP in the
/// same call goes to this backend from now on. `hash`: of the sender's pool. The `backend` of the
/// result has no meaning.
Steering note_outgoing(const SteerView& view,
                       PoolId pool,
                       const SipDigest& digest,
                       std::uint64_t hash,
                       const ReceivedMessage& received,
                       BackendId sender) noexcept;

/// Whether responses of the pool's nat backends must be passed to hear_answer(), because the pool
/// may remember calls.
[[nodiscard]] inline bool hears_answers(const Pool& pool) noexcept {
    return !is_settled(pool);
}

/// Applies a final response of a nat backend: a refused request is forgotten, a granted one is
/// remembered for as long as the response says.
void hear_answer(const SteerView& view,
                 PoolId pool,
                 const SipDigest& digest,
                 const ReceivedMessage& received,
                 BackendId sender) noexcept;

/// Applies a response of a nat backend to a request that was steered to it: a final response takes
/// that request's work off the load. For pools whose picker counts work.
void note_answer(const SteerView& view,
                 PoolId pool,
                 const SipDigest& digest,
                 const ReceivedMessage& received) noexcept;

} // namespace viaduct
