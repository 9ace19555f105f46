// SPDX-License-Identifier: Apache-2.0
//
// steer: a Call-ID and a pool -> the backend that gets the message.
//
// The decision is a function of the message, the secret and the pool's table alone, so every worker
// and every balancer with the same configuration decides alike (RFC 3261 §16.11). The workers and
// `explain` call the same function.
#pragma once

#include "viaduct/counters.hpp"
#include "viaduct/message.hpp"
#include "viaduct/snapshot.hpp"

#include <cstdint>
#include <optional>
#include <string_view>

namespace viaduct {

/// What a key is. Goes into the hash, so that equal texts of different kinds do not collide.
enum class KeyType : std::uint8_t { CallId = 1 };

/// Keyed 64-bit hash (SipHash-1-3) over group, key type and key: no stranger can aim at a slot.
/// What all keys of a pool share is taken in once, by hash_prefix().
[[nodiscard]] HashPrefix
hash_prefix(const SteeringSecret& secret, std::uint64_t group, KeyType type) noexcept;
[[nodiscard]] std::uint64_t hash_key(const HashPrefix& prefix, std::string_view key) noexcept;

/// The same keyed hash over plain bytes; names of pools and backends go through it.
[[nodiscard]] std::uint64_t hash_bytes(const SteeringSecret& secret,
                                       std::string_view bytes) noexcept;

struct Steering {
    std::uint32_t slot = 0;              ///< 0..kSlots-1
    std::optional<BackendId> backend;    ///< empty: see `refusal`
    Outcome refusal = Outcome::Internal; ///< NoVerdict or NoBackend when there is no backend
};

/// How a message for a VIP ends before it is steered: keep-alives, non-SIP, a defect, no Call-ID, a
/// VIP switched off. Empty: it is steered.
[[nodiscard]] std::optional<Outcome> admit_message(const Vip& vip,
                                                   const SipDigest& digest) noexcept;

[[nodiscard]] Steering
steer(const Snapshot& snapshot, PoolId pool, std::string_view call_id) noexcept;

} // namespace viaduct
