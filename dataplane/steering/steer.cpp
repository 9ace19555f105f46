// SPDX-License-Identifier: Apache-2.0
#include "viaduct/steering/steer.hpp"

#include "steering/decision.hpp"
#include "steering/hash.hpp"

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

/// The hash of a transaction: its branch (RFC 3261 §17.1.3), and its method, because a CANCEL has
/// the branch of its INVITE. Empty: it has no branch (older than RFC 3261), and is not counted.
std::optional<std::uint64_t>
transaction_hash(const Pool& pool, std::string_view branch, Method method) noexcept {
    if (branch.empty()) return std::nullopt;
    const std::uint64_t hash = hash_key(pool.transaction_hash, branch);
    return hash + static_cast<std::uint64_t>(method) * 0x9e3779b97f4a7c15U;
}

/// Counts a request that its backend has to answer. A retransmission is already counted.
void note_request(const SteerView& view,
                  const SipDigest& digest,
                  const ReceivedMessage& received,
                  const Steering& steering) noexcept {
    const Pool& pool = view.snapshot.pools[index(steering.pool)];
    if (view.dry_run || !steering.backend) return;
    if (!pool.picker || !pool.picker->counts_work()) return;
    if (digest.kind != PayloadKind::Request || digest.method == Method::Ack) return;
    if (view.budget != nullptr && *view.budget == 0) return;
    const std::string_view branch = top_via_branch(digest, received.payload);
    const auto hash = transaction_hash(pool, branch, digest.method);
    if (!hash) return;
    CallTable calls = view.calls;
    const CallLifetimes& lives = pool.lifetimes;
    const std::uint16_t units = digest.method == Method::Invite ? lives.ringing : lives.transaction;
    const Call open{*steering.backend,
                    CallState::PendingRequest,
                    static_cast<std::uint8_t>(digest.method),
                    view.now.after(units)};
    if (calls.remember(*hash, open, view.now).result != CallTable::Result::Added) return;
    const Picker& picker = *pool.picker;
    (*picker.loads)[index(open.backend)].add_work(
        picker.work[static_cast<std::size_t>(digest.method)],
        picker.loads->is_seen(calls.first_bucket(*hash)));
}

Steering decide(const SteerView& view,
                PoolId pool,
                const SipDigest& digest,
                std::uint64_t hash,
                const ReceivedMessage& received,
                bool keeps_unknown = false) noexcept {
    Steering result;
    result.pool = pool;
    const Pool& by = view.snapshot.pools[index(pool)];
    Decision(view, by, digest, received, result).decide(hash, keeps_unknown);
    return result;
}

/// Whether the call is known. A call that has ended starts again like any other.
bool is_known(const Steering& steering) noexcept {
    return steering.call &&
           !(steering.role == MessageRole::Initial && steering.call->state == CallState::Ended);
}

/// Decides between the current and the previous pool of a VIP. While there are two, each remembers
/// all its calls.
Steering decide_between(const SteerView& of,
                        const Vip& vip,
                        const SipDigest& digest,
                        std::uint64_t hash,
                        const ReceivedMessage& received) noexcept {
    SteerView view = of;
    view.is_between = true;
    SteerView asking = view;
    asking.dry_run = true;
    const auto in_new = [&](const SteerView& by) {
        return decide(by, vip.pool, digest, hash, received, true);
    };
    const auto in_old = [&](const SteerView& by) {
        const Pool& pool = view.snapshot.pools[index(*vip.previous)];
        return decide(by, *vip.previous, digest, steering_hash(pool, digest), received, true);
    };
    const Steering would = in_new(asking);
    if (is_known(would)) return in_new(view);
    const Steering known = in_old(asking);
    // A phone refreshes indefinitely: once the VIP has moved, in the current pool. And new calls do
    // not wait for a pool that has no backends left.
    const bool moves_on = is_known(known) && vip.has_moved && would.backend &&
                          refreshes(digest, known.role, *known.call) &&
                          (received.payload.empty() ||
                           read_registration(received.payload).asks == Registration::Asks::ToBind);
    if (is_known(known) && !moves_on && (known.backend || would.role == MessageRole::InCall))
        return in_old(view);
    const auto where_unknown = [&] { return vip.owns_untracked ? in_new(view) : in_old(view); };
    if (would.role == MessageRole::InCall) return where_unknown();
    if (would.knows_referenced_call) return in_new(view);
    if (would.references_call) // all calls that started in the other pool are remembered there
        if (const Steering named = where_unknown(); named.backend) return named;
    // New calls for an address that is registered in either pool.
    if (would.rule == SteerRule::Registered) return in_new(view);
    if (known.rule == SteerRule::Registered && !known.call && known.backend) return in_old(view);
    if (!vip.has_moved)
        if (const Steering old = in_old(view); old.backend) return old;
    // A call that no backend of the current pool takes, or that could not be remembered there, goes
    // where unknown calls go.
    const Steering now = would.backend ? in_new(view) : would;
    if (moves_on && now.remembered) { // otherwise it would be found there when the VIP moves back
        CallTable calls = view.calls;
        calls.forget(known.hash, *known.call);
    }
    if (now.backend && (vip.owns_untracked || !now.is_lost())) return now;
    const Steering old = in_old(view);
    return old.backend ? old : now;
}

Steering decide_for(const SteerView& view,
                    VipId vip_id,
                    const SipDigest& digest,
                    std::uint64_t hash,
                    const ReceivedMessage& received) noexcept {
    const Vip& vip = view.snapshot.vips[index(vip_id)];
    if (vip.previous) [[unlikely]]
        return decide_between(view, vip, digest, hash, received);
    return decide(view, vip.pool, digest, hash, received);
}

/// The hash of a second entry of a call: the backend that started it through the VIP.
constexpr std::uint64_t caller_hash(std::uint64_t hash) noexcept {
    return (hash ^ hash >> 32) * 0xd6e8feb86659fd93U;
}

} // namespace

Steering steer(const SteerView& view,
               PoolId pool,
               const SipDigest& digest,
               std::uint64_t hash,
               const ReceivedMessage& received) noexcept {
    const Steering result = decide(view, pool, digest, hash, received);
    note_request(view, digest, received, result);
    return result;
}

Steering steer_vip(const SteerView& view,
                   VipId vip,
                   const SipDigest& digest,
                   std::uint64_t hash,
                   const ReceivedMessage& received) noexcept {
    const Steering result = decide_for(view, vip, digest, hash, received);
    note_request(view, digest, received, result);
    return result;
}

Steering steer_backend_call(const SteerView& view,
                            VipId vip,
                            const SipDigest& digest,
                            std::uint64_t hash,
                            const ReceivedMessage& received,
                            BackendId sender) noexcept {
    Steering result = decide_for(view, vip, digest, hash, received);
    if (!result.backend) return result;
    const Pool& pool = view.snapshot.pools[index(result.pool)];
    const std::uint64_t caller = caller_hash(steering_hash(pool, digest));
    if (*result.backend == sender)
        Decision(view, pool, digest, received, result).go_back(caller, sender);
    note_request(view, digest, received, result);
    if (digest.kind != PayloadKind::Request || !result.backend) return result;
    // Whichever side sends the request, the call is in progress at both.
    const BackendId began = result.rule == SteerRule::Caller ? *result.backend : sender;
    Steering noted;
    Decision(view, pool, digest, received, noted).bind(caller, began, true);
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
    Steering result;
    result.pool = pool;
    Decision(view, view.snapshot.pools[index(pool)], digest, received, result)
        .bind(hash, sender, false);
    return result;
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
    Steering heard;
    Decision(view, pool, digest, received, heard).hear(hash, sender, by_key);
}

void note_answer(const SteerView& view,
                 PoolId pool_id,
                 const SipDigest& digest,
                 const ReceivedMessage& received) noexcept {
    const Pool& pool = view.snapshot.pools[index(pool_id)];
    if (digest.status < 200 || !pool.picker) return;
    const std::optional<CSeq> cseq = cseq_of(digest, received.payload);
    if (!cseq) return;
    const auto hash =
        transaction_hash(pool, top_via_branch(digest, received.payload), cseq->method);
    if (!hash) return;
    CallTable calls = view.calls;
    const std::optional<Call> open = calls.find(*hash, view.now);
    if (!open || open->state != CallState::PendingRequest || !calls.forget(*hash, *open)) return;
    BackendLoads& loads = *pool.picker->loads;
    loads[index(open->backend)].take_work(
        pool.picker->work[open->dialog % pool.picker->work.size()],
        loads.is_seen(calls.first_bucket(*hash)));
}

} // namespace viaduct
