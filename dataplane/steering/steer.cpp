// SPDX-License-Identifier: Apache-2.0
#include "viaduct/steering/steer.hpp"

#include "steering/between.hpp"
#include "steering/commit.hpp"
#include "steering/decide.hpp"
#include "steering/facts.hpp"
#include "steering/hash.hpp"
#include "steering/look_up.hpp"
#include "steering/work.hpp"

namespace viaduct {

static_assert(kSlots == std::size_t{1} << CallTable::kSlotBits);

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

MessageRole role_of(const SipDigest& digest) noexcept {
    if (digest.kind == PayloadKind::Response || digest.has_to_tag) return MessageRole::InCall;
    switch (digest.method) {
    case Method::Invite:
    case Method::Subscribe:
    case Method::Refer:
    case Method::Register:
    case Method::Publish:
        return MessageRole::Initial;
    case Method::Ack:
    case Method::Cancel:
    case Method::Bye:
    case Method::Prack:
    case Method::Update:
    case Method::Info:
    case Method::Notify:
        return MessageRole::InCall;
    case Method::Options:
    case Method::Message:
    case Method::Other:
        break;
    }
    return MessageRole::Standalone;
}

std::uint64_t steering_hash(const Pool& pool, const SipDigest& digest) noexcept {
    return hash_key(pool.call_id_hash, digest.call_id);
}

namespace {

/// Steers a message by the rules of one pool.
Steering steer_in(const SteerInput& in, std::uint64_t hash) noexcept {
    Facts facts = look_up(in, hash);
    if (asks_picker(facts)) facts.pick = ask_picker(in, facts.hash, in.view.dry_run);
    return commit(in, facts, decide(facts));
}

Steering steer_for(const SteerView& view,
                   VipId vip_id,
                   const SipDigest& digest,
                   std::uint64_t hash,
                   const ReceivedMessage& received) noexcept {
    const Vip& vip = view.snapshot.vips[index(vip_id)];
    if (vip.previous) [[unlikely]]
        return steer_between(view, vip, digest, hash, received);
    return steer_in({view, vip.pool, digest, received}, hash);
}

/// The hash of a second entry of a call: the backend that started it through the VIP.
constexpr std::uint64_t caller_hash(std::uint64_t hash) noexcept {
    return (hash ^ hash >> 32) * 0xd6e8feb86659fd93U;
}

/// Binds the call to a nat backend that has sent a message in it.
Steering
note_sender(const SteerInput& in, std::uint64_t hash, BackendId sender, bool other_side) noexcept {
    const Facts facts = look_up_outgoing(in, hash, sender, other_side);
    return commit(in, facts, decide_outgoing(facts, sender));
}

} // namespace

Steering steer(const SteerView& view,
               PoolId pool,
               const SipDigest& digest,
               std::uint64_t hash,
               const ReceivedMessage& received) noexcept {
    const Steering result = steer_in({view, pool, digest, received}, hash);
    note_request(view, digest, received, result);
    return result;
}

Steering steer_vip(const SteerView& view,
                   VipId vip,
                   const SipDigest& digest,
                   std::uint64_t hash,
                   const ReceivedMessage& received) noexcept {
    const Steering result = steer_for(view, vip, digest, hash, received);
    note_request(view, digest, received, result);
    return result;
}

Steering steer_backend_call(const SteerView& view,
                            VipId vip,
                            const SipDigest& digest,
                            std::uint64_t hash,
                            const ReceivedMessage& received,
                            BackendId sender) noexcept {
    Steering result = steer_for(view, vip, digest, hash, received);
    if (!result.backend) return result;
    const SteerInput in(view, result.pool, digest, received);
    const std::uint64_t caller = caller_hash(steering_hash(in.pool, digest));
    if (*result.backend == sender) {
        const Facts facts = look_up_entry(in, caller);
        const Choice back = decide_back(facts, sender);
        result.backend = back.backend;
        result.refusal = back.refusal;
        result.rule = back.rule;
        result.role = facts.role;
    }
    note_request(view, digest, received, result);
    if (digest.kind != PayloadKind::Request || !result.backend) return result;
    // Whichever side sends the request, the call is in progress at both.
    const BackendId began = result.rule == SteerRule::Caller ? *result.backend : sender;
    const Steering noted = note_sender(in, caller, began, true);
    result.remembered = result.remembered || noted.remembered;
    result.table_full = result.table_full || noted.table_full;
    result.flooded = result.flooded || noted.flooded;
    return result;
}

Steering note_outgoing(const SteerView& view,
                       PoolId pool,
                       const SipDigest& digest,
                       std::uint64_t hash,
                       const ReceivedMessage& received,
                       BackendId sender) noexcept {
    return note_sender({view, pool, digest, received}, hash, sender, false);
}

void hear_answer(const SteerView& view,
                 PoolId pool_id,
                 const SipDigest& digest,
                 const ReceivedMessage& received,
                 BackendId sender) noexcept {
    const Pool& pool = view.snapshot.pools[index(pool_id)];
    if (digest.status < 200 || digest.call_id.empty() || digest.defect != Defect::None) return;
    std::uint64_t hash = steering_hash(pool, digest);
    bool by_key = false;
    if (pool.keys) {
        const Method method = cseq_of(digest, received.payload).value_or(CSeq{}).method;
        const KeyRule& rule = pool.keys->by_method[static_cast<std::size_t>(method)];
        by_key = rule.type != KeyType::CallId &&
                 (method == Method::Register || method == Method::Publish);
        // Publications for an address do not show where it is registered.
        if (by_key && (method == Method::Publish || !is_in_answers(rule.type))) return;
        if (by_key) hash = key_hash(rule, received).value_or(hash);
    }
    const SteerInput in(view, pool_id, digest, received);
    const Facts facts = look_up_entry(in, hash);
    if (!facts.call) return;
    if (by_key)
        commit_registrars_answer(in, facts, sender);
    else
        static_cast<void>(commit(in, facts, decide_answer(facts, sender)));
}

} // namespace viaduct
