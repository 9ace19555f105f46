// SPDX-License-Identifier: Apache-2.0
#include "steering/decision.hpp"

#include "viaduct/steering/picker.hpp"

#include <algorithm>
#include <array>
#include <cstring>

namespace viaduct {

namespace {

static_assert(count_of<MessageRole>() == 3, "decide(), look_up() and takes() know three");

/// Retries after losing a compare-and-swap race.
constexpr int kTries = 4;

/// Call::dialog of a PendingRequest that leads responses: not the value of a method.
constexpr std::uint8_t kLeadsAnswers = Call::kSeveralDialogs;

/// Methods after which, once the request was sent on, only responses follow.
bool is_asked_once(Method method) noexcept {
    switch (method) {
    case Method::Register:
    case Method::Publish:
    case Method::Options:
    case Method::Message:
    case Method::Notify:
    case Method::Other:
        return true;
    case Method::Invite:
    case Method::Ack:
    case Method::Bye:
    case Method::Cancel:
    case Method::Prack:
    case Method::Subscribe:
    case Method::Info:
    case Method::Refer:
    case Method::Update:
        break;
    }
    return false;
}

/// The hash of a transaction; a proxy keeps Call-ID and CSeq (RFC 3261 §16.6).
std::uint64_t answer_hash(const Pool& pool, std::uint64_t call_id_hash, const CSeq& cseq) noexcept {
    std::array<char, sizeof(call_id_hash) + sizeof(cseq.number) + 1> key{};
    std::memcpy(key.data(), &call_id_hash, sizeof(call_id_hash));
    std::memcpy(key.data() + sizeof(call_id_hash), &cseq.number, sizeof(cseq.number));
    key.back() = static_cast<char>(cseq.method);
    return hash_key(pool.transaction_hash, {key.data(), key.size()});
}

} // namespace

void Decision::decide(std::uint64_t hash, bool keeps_unknown) noexcept {
    keeps_unknown_ = keeps_unknown;
    result_.hash = call_id_hash_ = hash;
    result_.slot = slot_of(hash);
    result_.role = role_of(digest_);
    if (result_.role == MessageRole::InCall && is_unsolicited())
        result_.role = MessageRole::Standalone;
    if (result_.role != MessageRole::InCall) read_more();
    if (!pool_.health_known) {
        result_.call = calls().find(result_.hash, view_.now);
        result_.refusal = Outcome::HealthUnknown;
        return;
    }
    result_.slot_state = state_of(result_.slot);
    if (digest_.kind == PayloadKind::Response && go_to_asker()) return;
    const bool asks = pool_.tracks_all_calls || key_ || referenced_ || registers_;
    if (is_settled() && !asks) [[likely]]
        go_now(SteerRule::Settled);
    else
        look_up();
    await_answer();
}

void Decision::bind(std::uint64_t hash, BackendId backend, bool beside) noexcept {
    is_beside_ = beside;
    is_backends_ = true;
    has_budget_ = false; // no client's message gets here, and no hash would lead back
    result_.hash = hash;
    result_.slot = slot_of(hash);
    result_.role = role_of(digest_);
    result_.slot_state = state_of(result_.slot);
    const bool by_hash = pool_.slots && (*pool_.slots)[result_.slot] == backend;
    if (by_hash && is_settled() && !pool_.tracks_all_calls && !beside) return;
    if (digest_.kind == PayloadKind::Request && is_asked_once(digest_.method) && !beside)
        if (const auto cseq = cseq_of(digest_, received_.payload))
            if (const auto asker = calls().find(answer_hash(pool_, hash, *cseq), view_.now);
                asker && asker->state == CallState::PendingRequest && asker->backend == backend)
                return; // a client's request that is sent on: its responses are led back already
    result_.call = calls().find(hash, view_.now);
    // The backend's own message overrides an entry that may be forged.
    const bool is_made_up = result_.call && result_.call->state == CallState::Unknown &&
                            result_.call->dialog == Call::kUnknownToAll &&
                            result_.call->backend != backend;
    if (goes_on() && !is_made_up && takes(result_.call->backend)) {
        if (result_.call->backend != backend) return;
        go(backend, SteerRule::Caller);
        touch(*result_.call);
        return;
    }
    go(backend, SteerRule::Caller);
    remember(SteerRule::Caller);
}

void Decision::hear(std::uint64_t hash, BackendId sender, bool by_key) noexcept {
    is_backends_ = true;
    result_.hash = hash;
    result_.slot = slot_of(hash);
    result_.role = role_of(digest_);
    result_.call = calls().find(hash, view_.now);
    if (!result_.call) return;
    if (by_key) {
        hear_registrar(sender);
        return;
    }
    if (result_.call->backend != sender) return;
    go(sender, SteerRule::Remembered);
    switch (result_.call->state) {
    case CallState::Ringing:
    case CallState::Refused:
    case CallState::SoftState:
    case CallState::Unknown:
        touch(*result_.call);
        return;
    case CallState::Answered: // a response in it does not change its state
    case CallState::Ended:
    case CallState::PendingRequest:
        return;
    }
}

void Decision::hear_registrar(BackendId sender) noexcept {
    const Call known = *result_.call;
    // The backend that accepts it owns it: the earlier one drains, or was down.
    const bool moves = digest_.status < 300 && known.state == CallState::SoftState;
    if (!writes() || (known.backend != sender && !moves)) return;
    Call heard = known;
    heard.backend = sender;
    take_registrars_answer(digest_.status, received_.payload, pool_.lifetimes, view_.now, heard);
    if (heard == known || !calls().update(result_.hash, known, heard)) return;
    go(sender, SteerRule::Registered);
    count(known, heard);
    mark();
}

/// Not for entries by key, which other requests share, nor for those with is_beside_.
bool Decision::answers_pass() const noexcept {
    return info_of(pool_.mode).returns_through_us && !by_key_ && !is_beside_;
}

void Decision::go_back(std::uint64_t hash, BackendId sender) noexcept {
    result_.role = role_of(digest_);
    const std::optional<Call> caller = calls().find(hash, view_.now);
    const bool belongs = result_.role == MessageRole::InCall;
    if (belongs && caller) {
        go(caller->backend, SteerRule::Caller);
        if (takes(caller->backend)) return;
        // No other backend can continue the call, so it is refused instead of steered to a new one.
        const bool is_dropped = pool_.on_dead_owner == OnDeadOwner::Drop;
        result_.backend.reset();
        result_.refusal = has_answer() && !is_dropped ? Outcome::Rejected : Outcome::DeadOwner;
    } else if (belongs) {
        result_.backend.reset();
        result_.refusal = has_answer() ? Outcome::Rejected : Outcome::BackendToVip;
    } else { // it calls itself
        go(sender, SteerRule::Caller);
    }
}

void Decision::read_more() noexcept {
    const bool begins_dialog = digest_.method == Method::Invite ||
                               digest_.method == Method::Subscribe ||
                               digest_.method == Method::Refer;
    if (begins_dialog && !calls().exists()) return;
    if (begins_dialog && digest_.may_reference_call && may_reference_call(received_.payload)) {
        const std::string_view other = referenced_call(received_.payload);
        if (!other.empty()) referenced_ = hash_key(pool_.call_id_hash, other);
        result_.references_call = referenced_.has_value();
        result_.knows_referenced_call = referenced_ && calls().find(*referenced_, view_.now);
    }
    if (!pool_.keys) return;
    const KeyRule& rule = pool_.keys->by_method[static_cast<std::size_t>(digest_.method)];
    const std::optional<std::uint64_t> key = key_hash(rule, received_);
    if (!key) return;
    if (begins_dialog) {
        key_ = key;
        return;
    }
    // No later message has only the Call-ID: the key replaces it.
    by_key_ = true;
    result_.hash = *key;
    result_.slot = slot_of(*key);
    if (digest_.method != Method::Register || !calls().exists()) return;
    registers_ = read_registration(received_.payload);
    is_heard_ = info_of(pool_.mode).returns_through_us && is_in_answers(rule.type);
    // Other registrations of the same sender or header may have further contacts.
    const bool is_address = rule.type == KeyType::Aor || rule.type == KeyType::From;
    if (registers_->asks == Registration::Asks::ToRemoveAll && !is_address)
        registers_->asks = Registration::Asks::Nothing;
}

bool Decision::is_unsolicited() const noexcept {
    if (!pool_.keys || digest_.kind != PayloadKind::Request || digest_.method != Method::Notify ||
        digest_.has_to_tag)
        return false;
    const KeyRule& rule = pool_.keys->by_method[static_cast<std::size_t>(Method::Notify)];
    return rule.type != KeyType::CallId && !calls().find(result_.hash, view_.now) &&
           key_hash(rule, received_);
}

bool Decision::go_to_asker() noexcept {
    if (!pool_.keys && !is_moved() && !view_.is_between) return false;
    const std::optional<CSeq> cseq = cseq_of(digest_, received_.payload);
    if (!cseq || !is_asked_once(cseq->method)) return false;
    const auto asker = calls().find(answer_hash(pool_, call_id_hash_, *cseq), view_.now);
    if (!asker || asker->state != CallState::PendingRequest) return false;
    result_.call = asker;
    go(asker->backend, SteerRule::Asker);
    if (takes(asker->backend)) return true;
    result_.backend.reset();
    follow_dead_owner(asker->backend);
    return true;
}

void Decision::await_answer() noexcept {
    if (!result_.backend || digest_.kind != PayloadKind::Request ||
        result_.role == MessageRole::InCall || !is_asked_once(digest_.method) || !calls().exists())
        return;
    if (by_key_) { // not needed where the Call-ID leads to the same backend
        const std::uint32_t slot = slot_of(call_id_hash_);
        if (pool_.slots && (*pool_.slots)[slot] == *result_.backend &&
            state_of(slot) == SlotState::Settled && !view_.is_between)
            return;
    } else if (result_.role != MessageRole::Standalone || result_.call ||
               (!is_moved() && !view_.is_between)) {
        return; // remembered by its Call-ID, or the same backend in any case
    }
    const std::optional<CSeq> cseq = cseq_of(digest_, received_.payload);
    if (!cseq) return;
    const std::uint64_t hash = answer_hash(pool_, call_id_hash_, *cseq);
    const auto known = calls().find(hash, view_.now);
    // A retransmission goes where it went first; by another key it may pass two backends.
    if (known && !by_key_ && takes(known->backend)) {
        go(known->backend, SteerRule::Remembered);
        return;
    }
    if (!writes() || (view_.budget != nullptr && *view_.budget == 0)) return;
    const Call open{*result_.backend,
                    CallState::PendingRequest,
                    kLeadsAnswers,
                    view_.now.after(pool_.lifetimes.once())};
    if (known)
        static_cast<void>(calls().update(hash, *known, open));
    else
        static_cast<void>(calls().remember(hash, open, view_.now));
}

bool Decision::go_to_referenced() noexcept {
    if (!referenced_) return false;
    const std::uint32_t slot = slot_of(*referenced_);
    const bool moved = state_of(slot) == SlotState::Moved;
    std::optional<BackendId> owner;
    if (const auto other = calls().find(*referenced_, view_.now))
        owner = other->backend;
    else if (pool_.picker)
        return false; // a referenced call that is not remembered does not exist
    else if (moved && pool_.unsettled->old)
        owner = (*pool_.unsettled->old)[slot];
    else if (pool_.slots)
        owner = (*pool_.slots)[slot];
    if (!owner || !takes(*owner)) return false;
    go(*owner, SteerRule::Referenced);
    return true;
}

bool Decision::go_by_key() noexcept {
    if (!key_) return false;
    const std::uint32_t slot = slot_of(*key_);
    if (state_of(slot) != SlotState::Settled || pool_.tracks_all_calls || !pool_.slots)
        if (const auto known = calls().find(*key_, view_.now); known && takes(known->backend)) {
            go(known->backend, SteerRule::Registered);
            return true;
        }
    if (!pool_.slots) return false;
    go((*pool_.slots)[slot], SteerRule::Key);
    return true;
}

bool Decision::is_by_hash() const noexcept {
    if (pool_.tracks_all_calls || result_.rule != SteerRule::Key || !is_settled()) return false;
    return state_of(slot_of(*key_)) != SlotState::Moved && pool_.slots &&
           (*pool_.slots)[result_.slot] == *result_.backend;
}

void Decision::look_up() noexcept {
    result_.call = calls().find(result_.hash, view_.now);
    // A further or late branch of an answered call does not start a new one.
    if (result_.role == MessageRole::Initial && digest_.method == Method::Invite && result_.call &&
        result_.call->state == CallState::Answered)
        result_.role = MessageRole::InCall;
    const bool starter = result_.role == MessageRole::Initial;
    // A call that has ended starts again like any other.
    const bool leaves = result_.call && moves_on();
    if (goes_on() && !leaves) {
        if (takes(result_.call->backend)) {
            go(result_.call->backend, by_key_ ? SteerRule::Registered : SteerRule::Remembered);
            touch(*result_.call);
            return;
        }
        if (result_.role == MessageRole::InCall) {
            // The call is updated although its backend gets nothing: it is still known when the
            // backend returns, and does not count if it has ended by then.
            if (!pool_.shared_state) {
                go(result_.call->backend, SteerRule::DeadOwner);
                touch(*result_.call);
                result_.backend.reset();
            }
            follow_dead_owner(result_.call->backend);
            return;
        }
    }
    if (result_.role != MessageRole::InCall) {
        // Requests that leave no entry go by hash: a retransmission must go to the same backend.
        const bool chooses = starter && pool_.picker && calls().exists();
        if (!go_to_referenced() && !go_by_key()) {
            if (chooses)
                pick_new();
            else
                go_now(registers_ && is_settled() ? SteerRule::Settled : SteerRule::Now);
        }
        if (!result_.backend && leaves) { // all others are full
            go(result_.call->backend, by_key_ ? SteerRule::Registered : SteerRule::Remembered);
            touch(*result_.call);
            return;
        }
        // Other publications for an address do not change where it is registered.
        const bool binds =
            registers_ ? registers_->asks == Registration::Asks::ToBind : !by_key_ || !result_.call;
        // A client must not move a registration by itself: where the response passes, that decides.
        const bool waits = is_heard_ && result_.call && result_.call->state == CallState::SoftState;
        if (starter && result_.backend && binds && !waits && !is_by_hash()) remember(result_.rule);
        return;
    }
    const BackendId old = old_owner();
    if (old != kNoBackend && !takes(old)) {
        follow_dead_owner(old);
        return;
    }
    if (old == kNoBackend) {
        go_now(SteerRule::Now);
    } else {
        go(old, is_settled() ? SteerRule::Settled : SteerRule::Old);
    }
    if (result_.backend && keeps_unknown()) remember(result_.rule);
}

bool Decision::keeps_unknown() const noexcept {
    // A settled slot leads to the same backend every time, so forged messages add no entries.
    if (!is_moved() && !keeps_unknown_) return false;
    // No message follows a NOTIFY without To-tag.
    return digest_.method != Method::Notify || digest_.has_to_tag;
}

bool Decision::moves_on() const noexcept {
    const Call& call = *result_.call;
    // Requests that remove or query contacts go where the contacts are.
    if (registers_ && registers_->asks != Registration::Asks::ToBind) return false;
    return refreshes(digest_, result_.role, call) &&
           index(call.backend) < view_.snapshot.backends.size() &&
           view_.snapshot.backends[index(call.backend)].is_evacuating;
}

bool Decision::takes(BackendId id) const noexcept {
    if (index(id) >= view_.snapshot.backends.size()) return false;
    switch (view_.snapshot.backends[index(id)].life) {
    case BackendLife::Serves:
        return true;
    case BackendLife::Silent: // new calls do not wait for it
        return result_.role == MessageRole::InCall && !pool_.shared_state;
    case BackendLife::Dead:
    case BackendLife::Disabled:
        break;
    }
    return false;
}

BackendId Decision::old_owner() const noexcept {
    if (is_moved() && pool_.unsettled->old) return (*pool_.unsettled->old)[result_.slot];
    return pool_.slots ? (*pool_.slots)[result_.slot] : kNoBackend;
}

void Decision::go_now(SteerRule rule) noexcept {
    result_.rule = rule;
    result_.refusal = Outcome::NoBackend;
    if (pool_.slots) result_.backend = (*pool_.slots)[result_.slot];
}

void Decision::pick_new() noexcept {
    result_.rule = SteerRule::Chosen;
    result_.backend = pick(*pool_.picker, result_.hash, !writes());
    result_.refusal = pool_.picker->members.empty() ? Outcome::NoBackend : Outcome::OverLimit;
}

void Decision::follow_dead_owner(BackendId owner) noexcept {
    const bool is_disabled = index(owner) >= view_.snapshot.backends.size() ||
                             view_.snapshot.backends[index(owner)].life == BackendLife::Disabled;
    // Backends with shared state: any of them can continue the call.
    switch (pool_.shared_state ? OnDeadOwner::Resteer : pool_.on_dead_owner) {
    case OnDeadOwner::Resteer:
        // No other backend knows the request of a response. The owner may be back already.
        if (digest_.kind == PayloadKind::Response && !pool_.shared_state) {
            if (is_disabled) break;
            go(owner, SteerRule::DeadOwner);
            return;
        }
        go_now(SteerRule::DeadOwner);
        // With shared state the call continues at its new backend.
        if (pool_.shared_state && result_.backend) remember(SteerRule::DeadOwner);
        return;
    case OnDeadOwner::Keep:
        if (is_disabled) break;
        go(owner, SteerRule::DeadOwner);
        return;
    case OnDeadOwner::Drop:
    case OnDeadOwner::Reject:
        break;
    }
    result_.rule = SteerRule::DeadOwner;
    const bool is_rejected = pool_.on_dead_owner == OnDeadOwner::Reject && has_answer();
    result_.refusal = is_rejected ? Outcome::Rejected : Outcome::DeadOwner;
}

void Decision::remember(SteerRule rule) noexcept {
    if (!writes() || !calls().exists()) return;
    const bool goes_on_elsewhere = result_.call && result_.role == MessageRole::InCall &&
                                   result_.call->state != CallState::Unknown;
    Call before = result_.call.value_or(Call{});
    before.backend = *result_.backend;
    const Call fresh = after_this(before, !goes_on_elsewhere);
    if (result_.call) { // its owner is down, or it had ended
        result_.remembered = calls().update(result_.hash, *result_.call, fresh);
        if (result_.remembered) {
            count(result_.call, fresh);
            mark();
        } else if (const auto bound = calls().find(result_.hash, view_.now);
                   bound && takes(bound->backend)) {
            go(bound->backend, SteerRule::Remembered); // another worker has just remembered it
        }
        return;
    }
    // A flood must not evict known calls: while it lasts nothing new is remembered. Calls that may
    // be forged evict nothing, and do not use the budget of new calls.
    std::uint32_t* const budget = has_budget_ ? view_.budget : nullptr;
    result_.flooded = budget != nullptr && *budget == 0;
    const CallTable::Remembered got = result_.flooded
                                          ? CallTable::Remembered{}
                                          : calls().remember(result_.hash, fresh, view_.now);
    result_.table_full = !result_.flooded && got.result == CallTable::Result::Full;
    result_.remembered = got.result == CallTable::Result::Added;
    if (got.result == CallTable::Result::Found && takes(got.call.backend)) {
        go(got.call.backend, SteerRule::Remembered);
        return;
    }
    result_.rule = rule;
    if (result_.remembered) {
        if (budget != nullptr && fresh.state != CallState::Unknown) --*budget;
        count(std::nullopt, fresh);
        mark();
        // A CANCEL names a branch, which can be noted now that the call has an entry.
        if (digest_.method == Method::Cancel) static_cast<void>(after_this(fresh, false));
    }
    // A call that cannot be remembered starts where its later messages will go, which are then
    // in-call messages of an unknown call.
    const bool begins = rule == SteerRule::Now || rule == SteerRule::Chosen ||
                        rule == SteerRule::Key || rule == SteerRule::Referenced ||
                        rule == SteerRule::Registered;
    if (!result_.is_lost() || !begins) return;
    if (registers_) return; // requests for its address will not find it, and go to the same backend
    const BackendId old = old_owner();
    if (is_moved() && takes(old))
        go(old, SteerRule::Old);
    else
        go_now(SteerRule::Now);
}

void Decision::count(const std::optional<Call>& before, const Call& after) noexcept {
    if (!pool_.picker) return;
    BackendLoads& loads = *pool_.picker->loads;
    const SeenByPass seen = loads.is_seen(calls().first_bucket(result_.hash));
    const LoadKind from = before ? load_of(before->state) : LoadKind::None;
    if (before && before->backend == after.backend) {
        loads[index(after.backend)].change(from, load_of(after.state), seen);
        return;
    }
    if (before) loads[index(before->backend)].change(from, LoadKind::None, seen);
    loads[index(after.backend)].change(LoadKind::None, load_of(after.state), seen);
}

void Decision::mark() noexcept {
    const bool by_hash = pool_.slots && (*pool_.slots)[result_.slot] == *result_.backend;
    if (pool_.marks && !by_hash && !is_beside_) pool_.marks->mark(result_.slot);
}

Call Decision::after_this(Call call, bool fresh) const noexcept {
    if (registers_) {
        take_registration(*registers_, pool_.lifetimes, view_.now, fresh, is_heard_, call);
        return call;
    }
    Call after = call;
    apply(message(), fresh, after);
    if (!by_key_ || fresh) return after;
    // Other publications for an address do not end its registration.
    if (call.deadline.left(view_.now) < after.deadline.left(view_.now))
        call.deadline = after.deadline;
    return call;
}

void Decision::touch(Call seen) noexcept {
    if (!writes() || (by_key_ && result_.role == MessageRole::Standalone)) return;
    for (int tries = 0; tries < kTries; ++tries) {
        const Call wanted = after_this(seen, false);
        if (wanted == seen) return;
        if (calls().update(result_.hash, seen, wanted)) {
            count(seen, wanted);
            break;
        }
        // Another worker has just applied another message of the call: apply this one on top.
        const std::optional<Call> now = calls().find(result_.hash, view_.now);
        if (!now || now->backend != seen.backend) break;
        seen = *now;
    }
    mark();
}

} // namespace viaduct
