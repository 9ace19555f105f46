// SPDX-License-Identifier: Apache-2.0
#include "steering/commit.hpp"

#include "steering/call_state.hpp"
#include "steering/registration.hpp"

#include "viaduct/steering/picker.hpp"

namespace viaduct {

namespace {

/// Retries after losing a compare-and-swap race.
constexpr int kTries = 4;

/// Call::dialog of a PendingRequest that leads responses: not the value of a method.
constexpr std::uint8_t kLeadsAnswers = Call::kSeveralDialogs;

/// Carries out one choice.
class Commit {
public:
    Commit(const SteerInput& in, const Facts& facts, Steering& result) noexcept
        : in_(in), facts_(facts), calls_(in.view.calls), result_(result) {}

    /// Applies the message to the entry of its call.
    void touch() noexcept;
    /// Binds the call to the backend of this message, unless another worker has just bound it.
    void remember(const Choice& choice) noexcept;
    /// Notes the request for its response, for as long as it may be repeated.
    void await_answer() noexcept;
    void take_registrars_answer(BackendId sender) noexcept;

private:
    void rebind() noexcept;
    void add(const Choice& choice) noexcept;
    void go(BackendId backend, SteerRule rule) noexcept {
        result_.backend = backend;
        result_.rule = rule;
    }
    [[nodiscard]] std::optional<Call> find(std::uint64_t hash) const noexcept {
        return calls_.find(hash, in_.view.now);
    }
    [[nodiscard]] bool takes(const Call& call) const noexcept {
        return viaduct::takes(facts_, life_of(in_, call.backend));
    }
    /// Goes where another worker has just bound the call.
    void follow(const Call& bound) noexcept {
        if (takes(bound)) go(bound.backend, SteerRule::Remembered);
    }
    /// The budget of new calls; null: unlimited. Backends are not limited: no client's message gets
    /// here, and no hash would lead back.
    [[nodiscard]] std::uint32_t* budget() const noexcept {
        return facts_.is_backends ? nullptr : in_.view.budget;
    }
    /// The entry that binds the call to this backend.
    [[nodiscard]] Call bound_to(BackendId backend) const noexcept;
    [[nodiscard]] Call after_this(Call call, bool fresh) const noexcept;
    /// Updates the loads that the picker uses.
    void count(const std::optional<Call>& before, const Call& after) noexcept;
    /// Marks the slot, so that later messages look the call up though the slot is settled.
    void mark(BackendId backend) noexcept;

    const SteerInput& in_;
    const Facts& facts_;
    CallTable calls_;
    Steering& result_;
};

void Commit::touch() noexcept {
    if (facts_.by_key && facts_.role == MessageRole::Standalone) return;
    Call seen = *facts_.call;
    const BackendId backend = seen.backend;
    for (int tries = 0; tries < kTries; ++tries) {
        const Call wanted = after_this(seen, false);
        if (wanted == seen) return;
        if (calls_.update(facts_.hash, seen, wanted)) {
            count(seen, wanted);
            break;
        }
        // Another worker has just applied another message of the call: apply this one on top.
        const std::optional<Call> now = find(facts_.hash);
        if (!now || now->backend != backend) break;
        seen = *now;
    }
    mark(backend);
}

void Commit::remember(const Choice& choice) noexcept {
    if (!facts_.has_table) return;
    if (facts_.call) // its owner is down, or it had ended
        rebind();
    else
        add(choice);
}

void Commit::rebind() noexcept {
    const Call fresh = bound_to(*result_.backend);
    result_.remembered = calls_.update(facts_.hash, *facts_.call, fresh);
    if (result_.remembered) {
        count(facts_.call, fresh);
        mark(fresh.backend);
    } else if (const auto bound = find(facts_.hash)) {
        follow(*bound);
    }
}

void Commit::add(const Choice& choice) noexcept {
    const Call fresh = bound_to(*result_.backend);
    // A flood must not evict known calls: while it lasts nothing new is remembered. Calls that may
    // be forged evict nothing, and do not use the budget of new calls.
    std::uint32_t* const left = budget();
    result_.flooded = left != nullptr && *left == 0;
    CallTable::Remembered got;
    if (!result_.flooded) got = calls_.remember(facts_.hash, fresh, in_.view.now);
    result_.table_full = !result_.flooded && got.result == CallTable::Result::Full;
    result_.remembered = got.result == CallTable::Result::Added;
    if (got.result == CallTable::Result::Found) follow(got.call);
    if (result_.is_lost()) {
        const Choice lost = decide_lost(facts_, choice, old_owner(in_, facts_));
        result_.backend = lost.backend;
        result_.refusal = lost.refusal;
        result_.rule = lost.rule;
    }
    if (!result_.remembered) return;
    if (left != nullptr && fresh.state != CallState::Unknown) --*left;
    count(std::nullopt, fresh);
    mark(fresh.backend);
    // A CANCEL names a branch, which can be noted now that the call has an entry.
    if (facts_.method == Method::Cancel) static_cast<void>(after_this(fresh, false));
}

Call Commit::bound_to(BackendId backend) const noexcept {
    const bool goes_on_elsewhere = facts_.call && facts_.role == MessageRole::InCall &&
                                   facts_.call->state != CallState::Unknown;
    Call before = facts_.call.value_or(Call{});
    before.backend = backend;
    return after_this(before, !goes_on_elsewhere);
}

Call Commit::after_this(Call call, bool fresh) const noexcept {
    if (facts_.registers) {
        take_registration(
            *facts_.registers, in_.pool.lifetimes, in_.view.now, fresh, facts_.is_heard, call);
        return call;
    }
    Call after = call;
    apply(message_to_call(in_, facts_), fresh, after);
    if (!facts_.by_key || fresh) return after;
    // Other publications for an address do not end its registration.
    if (call.deadline.left(in_.view.now) < after.deadline.left(in_.view.now))
        call.deadline = after.deadline;
    return call;
}

void Commit::await_answer() noexcept {
    if (in_.view.budget != nullptr && *in_.view.budget == 0) return;
    std::optional<std::uint64_t> hash = facts_.answer_hash;
    std::optional<Call> known = facts_.asked;
    if (facts_.by_key) {
        hash = answer_hash(in_, facts_.call_id_hash);
        if (!hash) return;
        known = find(*hash);
    }
    const Call open{*result_.backend,
                    CallState::PendingRequest,
                    kLeadsAnswers,
                    in_.view.now.after(in_.pool.lifetimes.once())};
    if (known)
        static_cast<void>(calls_.update(*hash, *known, open));
    else
        static_cast<void>(calls_.remember(*hash, open, in_.view.now));
}

void Commit::take_registrars_answer(BackendId sender) noexcept {
    const Call known = *facts_.call;
    // The backend that accepts it owns it: the earlier one drains, or was down.
    const bool moves = in_.digest.status < 300 && known.state == CallState::SoftState;
    if (known.backend != sender && !moves) return;
    Call heard = known;
    heard.backend = sender;
    viaduct::take_registrars_answer(
        in_.digest.status, in_.received.payload, in_.pool.lifetimes, in_.view.now, heard);
    if (heard == known || !calls_.update(facts_.hash, known, heard)) return;
    count(known, heard);
    mark(sender);
}

void Commit::count(const std::optional<Call>& before, const Call& after) noexcept {
    if (!in_.pool.picker) return;
    BackendLoads& loads = *in_.pool.picker->loads;
    const SeenByPass seen = loads.is_seen(calls_.first_bucket(facts_.hash));
    const LoadKind from = before ? load_of(before->state) : LoadKind::None;
    if (before && before->backend == after.backend) {
        loads[index(after.backend)].change(from, load_of(after.state), seen);
        return;
    }
    if (before) loads[index(before->backend)].change(from, LoadKind::None, seen);
    loads[index(after.backend)].change(LoadKind::None, load_of(after.state), seen);
}

void Commit::mark(BackendId backend) noexcept {
    const Pool& pool = in_.pool;
    const bool by_hash = pool.slots && (*pool.slots)[facts_.slot] == backend;
    if (pool.marks && !by_hash && !facts_.is_other_side) pool.marks->mark(facts_.slot);
}

} // namespace

void ask_picker(const SteerInput& in, bool dry_run, Facts& facts) noexcept {
    facts.picked = pick(*in.pool.picker, facts.hash, dry_run);
    facts.has_members = !in.pool.picker->members.empty();
}

Steering commit(const SteerInput& in, const Facts& facts, const Choice& choice) noexcept {
    Steering result;
    result.pool = in.pool_id;
    result.hash = facts.hash;
    result.slot = facts.slot;
    result.backend = choice.backend;
    result.refusal = choice.refusal;
    result.rule = choice.rule;
    result.role = facts.role;
    result.slot_state = facts.slot_state;
    result.call = facts.call;
    if (in.view.dry_run) return result;
    Commit commit(in, facts, result);
    switch (choice.write) {
    case Write::Nothing:
        break;
    case Write::Touch:
        commit.touch();
        break;
    case Write::Remember:
        commit.remember(choice);
        break;
    }
    // The backend may be another one now.
    if (result.backend && awaits_answer(facts, *result.backend)) commit.await_answer();
    return result;
}

void commit_registrars_answer(const SteerInput& in, const Facts& facts, BackendId sender) noexcept {
    if (in.view.dry_run) return;
    Steering unused;
    Commit(in, facts, unused).take_registrars_answer(sender);
}

} // namespace viaduct
