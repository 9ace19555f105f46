// SPDX-License-Identifier: Apache-2.0
#include "viaduct/steer.hpp"

#include "hash.hpp"

#include <algorithm>
#include <cstring>

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

MessageRole role_of(const SipDigest& digest) noexcept {
    if (digest.kind == PayloadKind::Response || digest.has_to_tag) return MessageRole::Belongs;
    switch (digest.method) {
    case Method::Invite:
    case Method::Subscribe:
    case Method::Refer:
    case Method::Register:
    case Method::Publish:
        return MessageRole::Starter;
    case Method::Ack:
    case Method::Cancel:
    case Method::Bye:
    case Method::Prack:
    case Method::Update:
    case Method::Info:
    case Method::Notify:
        return MessageRole::Belongs;
    case Method::Options:
    case Method::Message:
    case Method::Other:
        break;
    }
    return MessageRole::OneShot;
}

std::uint64_t steering_hash(const Pool& pool, const SipDigest& digest) noexcept {
    return hash_key(pool.call_id_hash, digest.call_id);
}

namespace {

/// A few bits of a text, 1 to 14: what Call::dialog holds.
std::uint8_t few_bits(std::uint64_t word) noexcept {
    return static_cast<std::uint8_t>(1 + (word * 0x9e3779b97f4a7c15U >> 40) % 14);
}
std::uint64_t sum_of(std::string_view text) noexcept {
    constexpr std::uint64_t kFactor = 0x9e3779b97f4a7c15U;
    std::uint64_t sum = text.size();
    const char* at = text.data();
    std::size_t left = text.size();
    std::uint64_t word = 0;
    const auto add = [&] { sum = (sum ^ word) * kFactor, sum ^= sum >> 32; };
    for (; left > sizeof(word); at += sizeof(word), left -= sizeof(word)) {
        std::memcpy(&word, at, sizeof(word));
        add();
    }
    if (text.size() >= sizeof(word)) { // the last eight, whatever of them was there before
        std::memcpy(&word, text.data() + text.size() - sizeof(word), sizeof(word));
    } else {
        word = 0;
        for (std::size_t i = 0; i < left; ++i)
            word = word << 8 | static_cast<std::uint8_t>(at[i]);
    }
    add();
    return sum;
}
/// Of the dialog a message is in, whichever side sent it (RFC 3261 §12); 0: a tag is missing.
std::uint8_t dialog_of(const SipDigest& digest) noexcept {
    if (digest.from_tag.empty() || digest.to_tag.empty()) return 0;
    return few_bits(sum_of(digest.from_tag) + sum_of(digest.to_tag));
}

/// One message's way through the rules.
class Decision {
public:
    Decision(const SteerView& view,
             const Pool& pool,
             const SipDigest& digest,
             const Arrival& arrival,
             bool writes,
             Steering& result) noexcept
        : snapshot_(view.snapshot), calls_(view.calls), now_(view.now), budget_(view.budget),
          pool_(pool), digest_(digest), arrival_(arrival), writes_(writes), result_(result) {}

    void decide(std::uint64_t hash) noexcept {
        result_.hash = hash;
        result_.slot = slot_of(hash);
        result_.role = role_of(digest_);
        if (result_.role != MessageRole::Belongs) read_more();
        if (!pool_.has_verdict) {
            result_.call = calls_.find(result_.hash, now_);
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

    /// The call of this key is at that backend, whatever the slots say. One that is `beside` is
    /// only found by who looks for it there.
    void bind(std::uint64_t hash, BackendId backend, bool beside) noexcept {
        is_beside_ = beside;
        budget_ = nullptr; // no stranger gets here, and no hash would lead back
        result_.hash = hash;
        result_.slot = slot_of(hash);
        result_.role = role_of(digest_);
        result_.is_unsettled = is_unsettled(result_.slot);
        result_.is_marked = is_marked(result_.slot);
        const bool by_hash = pool_.slots && (*pool_.slots)[result_.slot] == backend;
        if (by_hash && is_settled() && !pool_.remembers_all && !beside) return;
        result_.call = calls_.find(hash, now_);
        const bool begins_anew = result_.role == MessageRole::Starter && result_.call &&
                                 result_.call->state == CallState::Ended;
        if (result_.call && !begins_anew && takes(result_.call->backend)) {
            if (result_.call->backend == backend) touch(*result_.call);
            return;
        }
        go(backend, SteerRule::Caller);
        remember(SteerRule::Caller);
    }

    /// To whom the backend that the call is at sends: the one that began it.
    void go_back(std::uint64_t hash, BackendId sender) noexcept {
        result_.role = role_of(digest_);
        const std::optional<Call> caller = calls_.find(hash, now_);
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

private:
    [[nodiscard]] bool is_settled() const noexcept {
        return !result_.is_unsettled && !result_.is_marked;
    }
    [[nodiscard]] bool is_unsettled(std::uint32_t slot) const noexcept {
        return pool_.unsettled && pool_.unsettled->contains(slot);
    }
    [[nodiscard]] bool is_marked(std::uint32_t slot) const noexcept {
        return pool_.marks && pool_.marks->any() && pool_.marks->contains(slot);
    }

    /// What a message that begins something has besides its Call-ID. What follows in a dialog has
    /// none of it: it needs a table in which the call is remembered.
    void read_more() noexcept {
        const bool begins_dialog = digest_.method == Method::Invite ||
                                   digest_.method == Method::Subscribe ||
                                   digest_.method == Method::Refer;
        if (begins_dialog && !calls_.exists()) return;
        if (begins_dialog && digest_.may_refer && may_name_call(arrival_.payload)) {
            const std::string_view other = named_call(arrival_.payload);
            if (!other.empty()) named_ = hash_key(pool_.call_id_hash, other);
            result_.names_call = named_.has_value();
            result_.knows_named = named_ && calls_.find(*named_, now_);
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

    /// To the owner of the call that is named; false: nobody knows it, or it is dead.
    [[nodiscard]] bool go_to_named() noexcept {
        if (!named_) return false;
        const std::uint32_t slot = slot_of(*named_);
        const bool moved = is_unsettled(slot);
        std::optional<BackendId> owner;
        if (const auto other = calls_.find(*named_, now_))
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

    /// By the key: where it is remembered, as a registration may be, else by its slot.
    [[nodiscard]] bool go_by_key() noexcept {
        if (!key_ || !pool_.slots) return false;
        const std::uint32_t slot = slot_of(*key_);
        result_.rule = SteerRule::Key;
        result_.backend = (*pool_.slots)[slot];
        if (is_unsettled(slot) || is_marked(slot))
            if (const auto known = calls_.find(*key_, now_); known && takes(known->backend))
                result_.backend = known->backend;
        return true;
    }
    /// Whether its Call-ID alone says all of it, now and when it is repeated.
    [[nodiscard]] bool is_by_hash() const noexcept {
        if (pool_.remembers_all || result_.rule != SteerRule::Key || !is_settled()) return false;
        return !is_unsettled(slot_of(*key_)) && pool_.slots &&
               (*pool_.slots)[result_.slot] == *result_.backend;
    }

    void look_closer() noexcept {
        const bool starter = result_.role == MessageRole::Starter;
        result_.call = calls_.find(result_.hash, now_);
        // A call that has ended begins anew like any other.
        if (result_.call && !(starter && result_.call->state == CallState::Ended)) {
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
            const bool chooses = starter && pool_.dealer && calls_.exists();
            if (!go_to_named() && !go_by_key()) {
                if (chooses)
                    choose_new();
                else
                    go_now(SteerRule::Now);
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

    /// Whether this message may go to that backend.
    [[nodiscard]] bool takes(BackendId id) const noexcept {
        if (index(id) >= snapshot_.backends.size()) return false;
        switch (snapshot_.backends[index(id)].life) {
        case BackendLife::Serves:
            return true;
        case BackendLife::Silent: // new calls do not wait for it
            return result_.role == MessageRole::Belongs && !pool_.shared_state;
        case BackendLife::Dead:
            break;
        }
        return false;
    }

    [[nodiscard]] BackendId old_owner() const noexcept {
        if (result_.is_unsettled && pool_.unsettled->old)
            return (*pool_.unsettled->old)[result_.slot];
        return pool_.slots ? (*pool_.slots)[result_.slot] : kNoBackend;
    }

    void go(BackendId backend, SteerRule rule) noexcept {
        result_.backend = backend;
        result_.rule = rule;
    }

    void go_now(SteerRule rule) noexcept {
        result_.rule = rule;
        result_.refusal = Outcome::NoBackend;
        if (pool_.slots) result_.backend = (*pool_.slots)[result_.slot];
    }

    void choose_new() noexcept {
        result_.rule = SteerRule::Chosen;
        result_.backend = choose(*pool_.dealer, result_.hash, writes_);
        result_.refusal = pool_.dealer->members.empty() ? Outcome::NoBackend : Outcome::OverLimit;
    }

    void follow_dead_owner(BackendId owner) noexcept {
        switch (pool_.on_dead_owner) {
        case OnDeadOwner::Resteer:
            go_now(SteerRule::DeadOwner);
            // Backends that share what they know of calls: it lives on where it goes now.
            if (pool_.shared_state && result_.backend) remember(SteerRule::DeadOwner);
            return;
        case OnDeadOwner::Keep:
            go(owner, SteerRule::DeadOwner);
            return;
        case OnDeadOwner::Drop:
        case OnDeadOwner::Reject:
            break;
        }
        result_.rule = SteerRule::DeadOwner;
        // Neither a response nor an ACK has an answer (RFC 3261 §17).
        const bool has_answer =
            digest_.kind == PayloadKind::Request && digest_.method != Method::Ack;
        result_.refusal = pool_.on_dead_owner == OnDeadOwner::Reject && has_answer
                              ? Outcome::Rejected
                              : Outcome::DeadOwner;
    }

    /// Binds the call to the backend this message goes to, unless another worker has just bound it.
    void remember(SteerRule rule) noexcept {
        if (!writes_ || !calls_.exists()) return;
        const Call fresh = after_this({*result_.backend, CallState::Ringing, 0, now_}, true);
        if (result_.call) { // its owner is dead, or it had ended
            result_.remembered = calls_.update(result_.hash, *result_.call, fresh);
            if (result_.remembered) {
                count(result_.call, fresh);
                mark();
            } else if (const auto bound = calls_.find(result_.hash, now_);
                       bound && takes(bound->backend)) {
                go(bound->backend, SteerRule::Remembered); // by another worker, just now
            }
            return;
        }
        // A flood must not push out what is known: nothing new is, until it is over.
        result_.flooded = budget_ != nullptr && *budget_ == 0;
        const CallTable::Remembered got =
            result_.flooded ? CallTable::Remembered{} : calls_.remember(result_.hash, fresh, now_);
        result_.table_full = !result_.flooded && got.result == CallTable::Result::Full;
        result_.remembered = got.result == CallTable::Result::Added;
        if (got.result == CallTable::Result::Found && takes(got.call.backend)) {
            go(got.call.backend, SteerRule::Remembered);
            return;
        }
        result_.rule = rule;
        if (result_.remembered) {
            if (budget_ != nullptr) --*budget_;
            count(std::nullopt, fresh);
            mark();
        }
        // What cannot be remembered goes where its repetitions, and what follows, will go.
        const bool by_call_id =
            rule != SteerRule::Chosen && rule != SteerRule::Key && rule != SteerRule::Named;
        if (result_.is_lost() && !by_call_id) go_now(SteerRule::Now);
    }

    /// Keeps the loads by which calls are dealt out.
    void count(const std::optional<Call>& before, const Call& after) noexcept {
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

    /// So that later messages look for the call though their slot is settled.
    void mark() noexcept {
        const bool by_hash = pool_.slots && (*pool_.slots)[result_.slot] == *result_.backend;
        if (pool_.marks && !by_hash && !is_beside_) pool_.marks->mark(result_.slot);
    }

    void touch(const Call& call) noexcept {
        if (!writes_) return;
        const Call wanted = after_this(call, false);
        if (wanted == call) return;
        if (calls_.update(result_.hash, call, wanted)) count(call, wanted);
        mark();
    }

    /// Without a word from it: a registration, subscription or publication lives as long as it asks
    /// for, and its NOTIFYs change nothing of that.
    [[nodiscard]] std::uint16_t
    silence(const Call& call, Method method, bool fresh) const noexcept {
        const CallLifetimes& lives = pool_.lifetimes;
        if (result_.role == MessageRole::OneShot && (fresh || call.state == CallState::Failed))
            return std::min<std::uint16_t>(lives.silence, lives.transaction + 1U);
        const auto left = static_cast<std::uint16_t>(std::max(0, call.deadline.left(now_)));
        const bool answers_one_shot =
            digest_.kind == PayloadKind::Response &&
            (method == Method::Options || method == Method::Message || method == Method::Other);
        if (!fresh && call.state == CallState::Failed && answers_one_shot) return left;
        const bool lasts = method == Method::Register || method == Method::Subscribe ||
                           method == Method::Publish || method == Method::Notify ||
                           method == Method::Refer;
        if (lives.unit_seconds == 0 || !lasts || (!fresh && call.state != CallState::Lasting))
            return lives.silence;
        const bool asks = digest_.kind == PayloadKind::Request && !arrival_.payload.empty() &&
                          (method == Method::Register || method == Method::Subscribe ||
                           method == Method::Publish);
        if (asks) {
            const std::uint32_t units = asked_seconds(arrival_.payload) / lives.unit_seconds;
            return static_cast<std::uint16_t>(
                std::min<std::uint32_t>(lives.silence, units + 1 + lives.transaction));
        }
        return fresh ? lives.silence : left;
    }

    /// What the call is after this message.
    [[nodiscard]] Call after_this(Call call, bool fresh) const noexcept;

    const Snapshot& snapshot_;
    CallTable calls_;
    CallTime now_;
    std::uint32_t* budget_;
    const Pool& pool_;
    const SipDigest& digest_;
    const Arrival& arrival_;
    std::optional<std::uint64_t> key_;   ///< of what begins a dialog by another key
    std::optional<std::uint64_t> named_; ///< the call that it names
    bool writes_;
    bool is_beside_ = false; ///< what is remembered is no slot's
    Steering& result_;
};

Call Decision::after_this(Call call, bool fresh) const noexcept {
    const CallLifetimes& lives = pool_.lifetimes;
    const bool request = digest_.kind != PayloadKind::Response;
    const Method method = request        ? digest_.method
                          : digest_.cseq ? digest_.cseq->method
                                         : Method::Other;
    const auto branch_bits = [&] { // most messages of a known call need neither
        return digest_.top_via_branch.empty() ? std::uint8_t{0}
                                              : few_bits(sum_of(digest_.top_via_branch));
    };
    if (!lives.is_cap || fresh) call.deadline = now_.after(silence(call, method, fresh));

    // What a backend asks once: for its answer alone.
    if (fresh && result_.role == MessageRole::OneShot) call.state = CallState::Failed;
    if (method == Method::Invite && result_.role == MessageRole::Starter) {
        if (!fresh && call.state != CallState::Ringing && call.state != CallState::Failed)
            return call;
        // Its branch tells the ACK to its failure from the one to its success.
        const std::uint8_t branch = branch_bits();
        if (branch != call.dialog) call.state = CallState::Ringing; // another try perhaps
        call.dialog = branch;
        return call;
    }
    const std::uint8_t dialog = dialog_of(digest_);
    const auto answered = [&] { // something inside `dialog` was seen
        if (call.state != CallState::Answered || call.dialog == 0)
            call.dialog = dialog;
        else if (dialog != 0 && dialog != call.dialog)
            call.dialog = Call::kSeveralDialogs;
        call.state = CallState::Answered;
    };
    switch (method) {
    case Method::Register:
    case Method::Subscribe:
    case Method::Publish:
    case Method::Notify:
        if (fresh) call.state = CallState::Lasting;
        return call;
    case Method::Refer: // inside a dialog it is most often an INVITE's
        if (!digest_.has_to_tag) {
            if (fresh) call.state = CallState::Lasting;
            return call;
        }
        break;
    case Method::Invite:
        if (!request && (digest_.status < 200 || digest_.status >= 300)) return call;
        if (call.state != CallState::Ended || dialog != call.dialog) answered();
        return call;
    case Method::Ack:
        // An ACK to a failure has the branch of its INVITE (RFC 3261 §17.1.1.3).
        if ((call.state == CallState::Ringing || call.state == CallState::Failed) && !fresh &&
            branch_bits() == call.dialog) {
            call.state = CallState::Failed;
            return call;
        }
        if (call.state != CallState::Ended || dialog != call.dialog) answered();
        return call;
    case Method::Bye: {
        // Of several dialogs the first BYE ends one only (RFC 3261 §15, forks: §12).
        const bool another = call.state == CallState::Answered && call.dialog != 0 && dialog != 0 &&
                             dialog != call.dialog;
        if (another) return call;
        call.state = CallState::Ended;
        call.dialog = dialog;
        return call;
    }
    case Method::Cancel:
    case Method::Prack:
    case Method::Update:
        return call;
    case Method::Info:
    case Method::Options:
    case Method::Message:
    case Method::Other:
        break;
    }
    if (digest_.has_to_tag && request && call.state != CallState::Lasting &&
        (call.state != CallState::Ended || dialog != call.dialog))
        answered();
    return call;
}

/// Of a transaction: its branch (RFC 3261 §17.1.3), and its method, for a CANCEL has the branch of
/// its INVITE. Empty: it has no branch, as before RFC 3261, and is not counted.
std::optional<std::uint64_t>
transaction_hash(const Pool& pool, const SipDigest& digest, Method method) noexcept {
    if (digest.top_via_branch.empty()) return std::nullopt;
    const std::uint64_t hash = hash_key(pool.transaction_hash, digest.top_via_branch);
    return hash + static_cast<std::uint64_t>(method) * 0x9e3779b97f4a7c15U;
}

/// A request that its backend has to answer. One that is repeated is known already.
void note_request(const SteerView& view,
                  const SipDigest& digest,
                  const Steering& steering) noexcept {
    const Pool& pool = view.snapshot.pools[index(steering.pool)];
    if (!steering.backend || !pool.dealer || !pool.dealer->counts_work()) return;
    if (digest.kind != PayloadKind::Request || digest.method == Method::Ack) return;
    if (view.budget != nullptr && *view.budget == 0) return;
    const auto hash = transaction_hash(pool, digest, digest.method);
    if (!hash) return;
    CallTable calls = view.calls;
    const CallLifetimes& lives = pool.lifetimes;
    const std::uint16_t units = digest.method == Method::Invite ? lives.ringing : lives.transaction;
    const Call open{*steering.backend,
                    CallState::Open,
                    static_cast<std::uint8_t>(digest.method),
                    view.now.after(units)};
    if (calls.remember(*hash, open, view.now).result != CallTable::Result::Added) return;
    const Dealer& dealer = *pool.dealer;
    (*dealer.loads)[index(open.backend)].add_work(
        dealer.work[static_cast<std::size_t>(digest.method)]);
}

Steering decide(const SteerView& view,
                PoolId pool,
                const SipDigest& digest,
                std::uint64_t hash,
                const Arrival& arrival,
                bool writes) noexcept {
    Steering result;
    result.pool = pool;
    const Pool& by = view.snapshot.pools[index(pool)];
    Decision(view, by, digest, arrival, writes, result).decide(hash);
    return result;
}

/// A call that has ended begins anew like any other.
bool is_known(const Steering& steering) noexcept {
    return steering.call &&
           !(steering.role == MessageRole::Starter && steering.call->state == CallState::Ended);
}

/// Between the pool of a VIP and the one before. Each remembers all its calls meanwhile.
Steering decide_between(const SteerView& view,
                        const Vip& vip,
                        const SipDigest& digest,
                        std::uint64_t hash,
                        const Arrival& arrival,
                        bool writes) noexcept {
    const auto in_new = [&](bool really) {
        return decide(view, vip.pool, digest, hash, arrival, really);
    };
    const auto in_old = [&](bool really) {
        const Pool& pool = view.snapshot.pools[index(*vip.previous)];
        return decide(view, *vip.previous, digest, steering_hash(pool, digest), arrival, really);
    };
    const Steering would = in_new(false);
    if (is_known(would)) return in_new(writes);
    if (is_known(in_old(false))) return in_old(writes);
    const auto where_unknown = [&] { return vip.has_unknown ? in_new(writes) : in_old(writes); };
    if (would.role == MessageRole::Belongs) return where_unknown();
    if (would.knows_named) return in_new(writes);
    if (would.names_call) // all that began in the other pool are remembered there
        if (const Steering named = where_unknown(); named.backend) return named;
    if (!vip.has_moved)
        if (const Steering old = in_old(writes); old.backend) return old;
    // What nobody takes there, or nothing could be remembered of, is where the unknown is.
    const Steering now = would.backend ? in_new(writes) : would;
    if (now.backend && (vip.has_unknown || !now.is_lost())) return now;
    const Steering old = in_old(writes);
    return old.backend ? old : now;
}

Steering decide_for(const SteerView& view,
                    VipId vip_id,
                    const SipDigest& digest,
                    std::uint64_t hash,
                    const Arrival& arrival,
                    bool writes) noexcept {
    const Vip& vip = view.snapshot.vips[index(vip_id)];
    if (vip.previous) [[unlikely]]
        return decide_between(view, vip, digest, hash, arrival, writes);
    return decide(view, vip.pool, digest, hash, arrival, writes);
}

/// Of the backend that began a call through the VIP, beside the one it is at: another word.
constexpr std::uint64_t caller_hash(std::uint64_t hash) noexcept {
    return (hash ^ hash >> 32) * 0xd6e8feb86659fd93U;
}

} // namespace

Steering steer(const SteerView& view,
               PoolId pool,
               const SipDigest& digest,
               std::uint64_t hash,
               const Arrival& arrival) noexcept {
    const Steering result = decide(view, pool, digest, hash, arrival, true);
    note_request(view, digest, result);
    return result;
}

Steering would_steer(const SteerView& view,
                     PoolId pool,
                     const SipDigest& digest,
                     const Arrival& arrival) noexcept {
    const std::uint64_t hash = steering_hash(view.snapshot.pools[index(pool)], digest);
    return decide(view, pool, digest, hash, arrival, false);
}

Steering steer_vip(const SteerView& view,
                   VipId vip,
                   const SipDigest& digest,
                   std::uint64_t hash,
                   const Arrival& arrival) noexcept {
    const Steering result = decide_for(view, vip, digest, hash, arrival, true);
    note_request(view, digest, result);
    return result;
}

Steering steer_backend_call(const SteerView& view,
                            VipId vip,
                            const SipDigest& digest,
                            std::uint64_t hash,
                            const Arrival& arrival,
                            BackendId sender) noexcept {
    Steering result = decide_for(view, vip, digest, hash, arrival, true);
    if (!result.backend) return result;
    const Pool& pool = view.snapshot.pools[index(result.pool)];
    const std::uint64_t caller = caller_hash(steering_hash(pool, digest));
    if (*result.backend == sender)
        Decision(view, pool, digest, arrival, true, result).go_back(caller, sender);
    note_request(view, digest, result);
    if (digest.kind != PayloadKind::Request || !result.backend) return result;
    // Whichever end the request comes from, the call lives at both.
    const BackendId began = result.rule == SteerRule::Caller ? *result.backend : sender;
    Steering noted;
    Decision(view, pool, digest, arrival, true, noted).bind(caller, began, true);
    result.remembered = result.remembered || noted.remembered;
    result.table_full = result.table_full || noted.table_full;
    result.flooded = result.flooded || noted.flooded;
    return result;
}

Steering note_outgoing(const SteerView& view,
                       PoolId pool,
                       const SipDigest& digest,
                       std::uint64_t hash,
                       const Arrival& arrival,
                       BackendId sender) noexcept {
    Steering result;
    result.pool = pool;
    Decision(view, view.snapshot.pools[index(pool)], digest, arrival, true, result)
        .bind(hash, sender, false);
    return result;
}

void note_answer(const SteerView& view, PoolId pool_id, const SipDigest& digest) noexcept {
    const Pool& pool = view.snapshot.pools[index(pool_id)];
    if (digest.status < 200 || !digest.cseq || !pool.dealer) return;
    const auto hash = transaction_hash(pool, digest, digest.cseq->method);
    if (!hash) return;
    CallTable calls = view.calls;
    const std::optional<Call> open = calls.find(*hash, view.now);
    if (!open || open->state != CallState::Open || !calls.forget(*hash, *open)) return;
    (*pool.dealer->loads)[index(open->backend)].take_work(
        pool.dealer->work[open->dialog % pool.dealer->work.size()]);
}

Steering would_steer_vip(const SteerView& view,
                         VipId vip,
                         const SipDigest& digest,
                         const Arrival& arrival) noexcept {
    const PoolId pool = view.snapshot.vips[index(vip)].pool;
    const std::uint64_t hash = steering_hash(view.snapshot.pools[index(pool)], digest);
    return decide_for(view, vip, digest, hash, arrival, false);
}

} // namespace viaduct
