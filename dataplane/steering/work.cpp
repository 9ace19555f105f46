// SPDX-License-Identifier: Apache-2.0
#include "steering/work.hpp"

#include "viaduct/steering/picker.hpp"

namespace viaduct {

namespace {

/// The hash of a transaction: its branch (RFC 3261 §17.1.3), and its method, because a CANCEL has
/// the branch of its INVITE. Empty: it has no branch (older than RFC 3261), and is not counted.
std::optional<std::uint64_t>
transaction_hash(const Pool& pool, std::string_view branch, Method method) noexcept {
    if (branch.empty()) return std::nullopt;
    const std::uint64_t hash = hash_key(pool.transaction_hash, branch);
    return hash + static_cast<std::uint64_t>(method) * 0x9e3779b97f4a7c15U;
}

} // namespace

void count_request(const SteerView& view,
                   const SipDigest& digest,
                   const ReceivedMessage& received,
                   PoolId pool_id,
                   BackendId backend) noexcept {
    const Pool& pool = view.snapshot.pools[index(pool_id)];
    if (digest.kind != PayloadKind::Request || digest.method == Method::Ack) return;
    if (view.budget != nullptr && *view.budget == 0) return;
    const std::string_view branch = top_via_branch(digest, received.payload);
    const auto hash = transaction_hash(pool, branch, digest.method);
    if (!hash) return;
    CallTable calls = view.calls;
    const CallLifetimes& lives = pool.lifetimes;
    const std::uint16_t units = digest.method == Method::Invite ? lives.ringing : lives.transaction;
    const Call open{backend,
                    CallState::PendingRequest,
                    static_cast<std::uint8_t>(digest.method),
                    view.now.after(units)};
    if (calls.remember(*hash, open, view.now).result != CallTable::Result::Added) return;
    const Picker& picker = *pool.picker;
    (*picker.loads)[index(open.backend)].add_work(
        picker.work[static_cast<std::size_t>(digest.method)],
        picker.loads->is_seen(calls.first_bucket(*hash)));
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
