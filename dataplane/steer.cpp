// SPDX-License-Identifier: Apache-2.0
#include "viaduct/steer.hpp"

#include "hash.hpp"

namespace viaduct {

HashPrefix hash_prefix(const SteeringSecret& secret, std::uint64_t group, KeyType type) noexcept {
    SipHash13 hash(secret);
    hash.add(group);
    hash.add(static_cast<std::uint64_t>(type));
    return hash.prefix();
}

std::uint64_t hash_key(const HashPrefix& prefix, std::string_view key) noexcept {
    constexpr std::uint64_t kPrefixBytes = 16; // group and key type
    return SipHash13(prefix, kPrefixBytes).finish(key);
}

std::uint64_t hash_bytes(const SteeringSecret& secret, std::string_view bytes) noexcept {
    return SipHash13(secret).finish(bytes);
}

std::optional<Outcome> admit_message(const Vip& vip, const SipDigest& digest) noexcept {
    switch (digest.kind) {
    case PayloadKind::KeepAlive:
        return Outcome::KeepAlive;
    case PayloadKind::Stun:
        return Outcome::Stun;
    case PayloadKind::NotSip: // with a Call-ID: a message with a broken first line
        if (digest.call_id.empty()) return Outcome::NotSip;
        break;
    case PayloadKind::Request:
    case PayloadKind::Response:
    case PayloadKind::Unread:
        break;
    }
    switch (digest.defect) {
    case Defect::TooManyHeaderLines:
        return Outcome::TooManyHeaderLines;
    case Defect::AmbiguousCallId:
        return Outcome::AmbiguousCallId;
    case Defect::None:
        break;
    }
    if (digest.call_id.empty()) return Outcome::NoCallId;
    if (!vip.enabled) return Outcome::VipDisabled;
    return std::nullopt;
}

Steering steer(const Snapshot& snapshot, PoolId pool_id, std::string_view call_id) noexcept {
    const Pool& pool = snapshot.pools[index(pool_id)];
    Steering result;
    result.slot = static_cast<std::uint32_t>(hash_key(pool.call_id_hash, call_id) & (kSlots - 1));
    if (!pool.has_verdict)
        result.refusal = Outcome::NoVerdict;
    else if (!pool.slots)
        result.refusal = Outcome::NoBackend;
    else
        result.backend = (*pool.slots)[result.slot];
    return result;
}

} // namespace viaduct
