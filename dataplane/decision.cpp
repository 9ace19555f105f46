// SPDX-License-Identifier: Apache-2.0
#include "decision.hpp"

#include "viaduct/stateful.hpp"

namespace viaduct {

namespace {

/// So often a word that others change meanwhile is looked at again.
constexpr int kTries = 4;

} // namespace

void Decision::decide(std::uint64_t hash) noexcept {
    result_.hash = hash;
    result_.slot = slot_of(hash);
    result_.role = role_of(digest_);
    if (result_.role != MessageRole::Belongs) read_more();
    if (!pool_.has_verdict) {
        result_.call = calls().find(result_.hash, view_.now);
        result_.refusal = Outcome::NoVerdict;
        return;
    }
    result_.is_unsettled = is_unsettled(result_.slot);
    result_.is_marked = is_marked(result_.slot);
    const bool asks = pool_.remembers_all || key_ || named_;
    if (is_settled() && !asks) [[likely]]
        go_now(SteerRule::Settled);
    else
        look_closer();
}

void Decision::bind(std::uint64_t hash, BackendId backend, bool beside) noexcept {
    is_beside_ = beside;
    has_budget_ = false; // no stranger gets here, and no hash would lead back
    result_.hash = hash;
    result_.slot = slot_of(hash);
    result_.role = role_of(digest_);
    result_.is_unsettled = is_unsettled(result_.slot);
    result_.is_marked = is_marked(result_.slot);
    const bool by_hash = pool_.slots && (*pool_.slots)[result_.slot] == backend;
    if (by_hash && is_settled() && !pool_.remembers_all && !beside) return;
    result_.call = calls().find(hash, view_.now);
    const bool begins_anew = result_.role == MessageRole::Starter && result_.call &&
                             result_.call->state == CallState::Ended;
    if (result_.call && !begins_anew && takes(result_.call->backend)) {
        if (result_.call->backend == backend) touch(*result_.call);
        return;
    }
    go(backend, SteerRule::Caller);
    remember(SteerRule::Caller);
}

void Decision::go_back(std::uint64_t hash, BackendId sender) noexcept {
    result_.role = role_of(digest_);
    const std::optional<Call> caller = calls().find(hash, view_.now);
    const bool belongs = result_.role == MessageRole::Belongs;
    if (belongs && caller) {
        go(caller->backend, SteerRule::Caller);
        if (takes(caller->backend)) return;
        result_.backend.reset();
        result_.refusal = Outcome::DeadOwner;
    } else if (belongs) {
        result_.backend.reset();
        result_.refusal = Outcome::BackendToVip;
    } else { // it calls itself
        go(sender, SteerRule::Caller);
    }
}

void Decision::read_more() noexcept {
    const bool begins_dialog = digest_.method == Method::Invite ||
                               digest_.method == Method::Subscribe ||
                               digest_.method == Method::Refer;
    if (begins_dialog && !calls().exists()) return;
    if (begins_dialog && digest_.may_refer && may_name_call(arrival_.payload)) {
        const std::string_view other = named_call(arrival_.payload);
        if (!other.empty()) named_ = hash_key(pool_.call_id_hash, other);
        result_.names_call = named_.has_value();
        result_.knows_named = named_ && calls().find(*named_, view_.now);
    }
    if (!pool_.keys) return;
    const KeyRule& rule = pool_.keys->by_method[static_cast<std::size_t>(digest_.method)];
    const std::optional<std::uint64_t> key = key_hash(rule, arrival_);
    if (!key) return;
    if (begins_dialog) {
        key_ = key;
        return;
    }
    // Nothing follows that knows only the Call-ID: the key is all there is.
    result_.hash = *key;
    result_.slot = slot_of(*key);
}

bool Decision::go_to_named() noexcept {
    if (!named_) return false;
    const std::uint32_t slot = slot_of(*named_);
    const bool moved = is_unsettled(slot);
    std::optional<BackendId> owner;
    if (const auto other = calls().find(*named_, view_.now))
        owner = other->backend;
    else if (pool_.dealer)
        return false; // a call that is not remembered is none
    else if (moved && pool_.unsettled->old)
        owner = (*pool_.unsettled->old)[slot];
    else if (pool_.slots)
        owner = (*pool_.slots)[slot];
    if (!owner || !takes(*owner)) return false;
    go(*owner, SteerRule::Named);
    return true;
}

bool Decision::go_by_key() noexcept {
    if (!key_ || !pool_.slots) return false;
    const std::uint32_t slot = slot_of(*key_);
    result_.rule = SteerRule::Key;
    result_.backend = (*pool_.slots)[slot];
    if (is_unsettled(slot) || is_marked(slot))
        if (const auto known = calls().find(*key_, view_.now); known && takes(known->backend))
            result_.backend = known->backend;
    return true;
}

bool Decision::is_by_hash() const noexcept {
    if (pool_.remembers_all || result_.rule != SteerRule::Key || !is_settled()) return false;
    return !is_unsettled(slot_of(*key_)) && pool_.slots &&
           (*pool_.slots)[result_.slot] == *result_.backend;
}

void Decision::look_closer() noexcept {
    const bool starter = result_.role == MessageRole::Starter;
    result_.call = calls().find(result_.hash, view_.now);
    // A call that has ended begins anew like any other.
    const bool leaves = result_.call && moves_on();
    if (result_.call && !(starter && result_.call->state == CallState::Ended) && !leaves) {
        if (takes(result_.call->backend)) {
            go(result_.call->backend, SteerRule::Remembered);
            touch(*result_.call);
            return;
        }
        if (result_.role == MessageRole::Belongs) {
            follow_dead_owner(result_.call->backend);
            return;
        }
    }
    if (result_.role != MessageRole::Belongs) {
        // What leaves nothing behind goes by hash: repeated, it must go there again.
        const bool chooses = starter && pool_.dealer && calls().exists();
        if (!go_to_named() && !go_by_key()) {
            if (chooses)
                choose_new();
            else
                go_now(SteerRule::Now);
        }
        if (!result_.backend && leaves) { // all others are full
            go(result_.call->backend, SteerRule::Remembered);
            touch(*result_.call);
            return;
        }
        if (starter && result_.backend && !is_by_hash()) remember(result_.rule);
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
    if (result_.backend) remember(result_.rule);
}

bool Decision::moves_on() const noexcept {
    const Call& call = *result_.call;
    return refreshes(digest_, result_.role, call) &&
           index(call.backend) < view_.snapshot.backends.size() &&
           view_.snapshot.backends[index(call.backend)].is_to_be_empty;
}

bool Decision::takes(BackendId id) const noexcept {
    if (index(id) >= view_.snapshot.backends.size()) return false;
    switch (view_.snapshot.backends[index(id)].life) {
    case BackendLife::Serves:
        return true;
    case BackendLife::Silent: // new calls do not wait for it
        return result_.role == MessageRole::Belongs && !pool_.shared_state;
    case BackendLife::Dead:
    case BackendLife::Disabled:
        break;
    }
    return false;
}

BackendId Decision::old_owner() const noexcept {
    if (result_.is_unsettled && pool_.unsettled->old) return (*pool_.unsettled->old)[result_.slot];
    return pool_.slots ? (*pool_.slots)[result_.slot] : kNoBackend;
}

void Decision::go_now(SteerRule rule) noexcept {
    result_.rule = rule;
    result_.refusal = Outcome::NoBackend;
    if (pool_.slots) result_.backend = (*pool_.slots)[result_.slot];
}

void Decision::choose_new() noexcept {
    result_.rule = SteerRule::Chosen;
    result_.backend = choose(*pool_.dealer, result_.hash, writes());
    result_.refusal = pool_.dealer->members.empty() ? Outcome::NoBackend : Outcome::OverLimit;
}

void Decision::follow_dead_owner(BackendId owner) noexcept {
    const bool is_disabled = index(owner) >= view_.snapshot.backends.size() ||
                             view_.snapshot.backends[index(owner)].life == BackendLife::Disabled;
    // Where any backend may go on with it, no call is lost with its own.
    switch (pool_.shared_state ? OnDeadOwner::Resteer : pool_.on_dead_owner) {
    case OnDeadOwner::Resteer:
        // Whoever else gets a response does not know what it answers. It may be back already.
        if (digest_.kind == PayloadKind::Response && !pool_.shared_state) {
            if (is_disabled) break;
            go(owner, SteerRule::DeadOwner);
            return;
        }
        go_now(SteerRule::DeadOwner);
        // Backends that share what they know of calls: it lives on where it goes now.
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
    // Neither a response nor an ACK has an answer (RFC 3261 §17).
    const bool has_answer = digest_.kind == PayloadKind::Request && digest_.method != Method::Ack;
    result_.refusal = pool_.on_dead_owner == OnDeadOwner::Reject && has_answer ? Outcome::Rejected
                                                                               : Outcome::DeadOwner;
}

void Decision::remember(SteerRule rule) noexcept {
    if (!writes() || !calls().exists()) return;
    Call fresh = after_this({*result_.backend, CallState::Ringing, 0, view_.now}, true);
    if (result_.call) { // its owner is dead, or it had ended
        if (result_.role == MessageRole::Belongs && fresh.state == CallState::Ringing) {
            fresh.state = result_.call->state; // it goes on elsewhere
            fresh.dialog = result_.call->dialog;
        }
        result_.remembered = calls().update(result_.hash, *result_.call, fresh);
        if (result_.remembered) {
            count(result_.call, fresh);
            mark();
        } else if (const auto bound = calls().find(result_.hash, view_.now);
                   bound && takes(bound->backend)) {
            go(bound->backend, SteerRule::Remembered); // by another worker, just now
        }
        return;
    }
    // A flood must not push out what is known: nothing new is, until it is over.
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
        if (budget != nullptr) --*budget;
        count(std::nullopt, fresh);
        mark();
    }
    // What cannot be remembered begins where what follows will go, which belongs to a call that
    // nobody knows.
    const bool begins = rule == SteerRule::Now || rule == SteerRule::Chosen ||
                        rule == SteerRule::Key || rule == SteerRule::Named;
    if (!result_.is_lost() || !begins) return;
    const BackendId old = old_owner();
    if (result_.is_unsettled && takes(old))
        go(old, SteerRule::Old);
    else
        go_now(SteerRule::Now);
}

void Decision::count(const std::optional<Call>& before, const Call& after) noexcept {
    if (!pool_.dealer) return;
    BackendLoads& loads = *pool_.dealer->loads;
    const LoadKind from = before ? load_of(before->state) : LoadKind::None;
    if (before && before->backend == after.backend) {
        loads[index(after.backend)].change(from, load_of(after.state));
        return;
    }
    if (before) loads[index(before->backend)].change(from, LoadKind::None);
    loads[index(after.backend)].change(LoadKind::None, load_of(after.state));
}

void Decision::mark() noexcept {
    const bool by_hash = pool_.slots && (*pool_.slots)[result_.slot] == *result_.backend;
    if (pool_.marks && !by_hash && !is_beside_) pool_.marks->mark(result_.slot);
}

void Decision::touch(Call seen) noexcept {
    if (!writes()) return;
    for (int tries = 0; tries < kTries; ++tries) {
        const Call wanted = after_this(seen, false);
        if (wanted == seen) return;
        if (calls().update(result_.hash, seen, wanted)) {
            count(seen, wanted);
            break;
        }
        // Another message of the call was just seen by another worker: this one counts, too.
        const std::optional<Call> now = calls().find(result_.hash, view_.now);
        if (!now || now->backend != seen.backend) break;
        seen = *now;
    }
    mark();
}

} // namespace viaduct
