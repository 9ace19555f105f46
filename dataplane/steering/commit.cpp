// SPDX-License-Identifier: Apache-2.0
#include "steering/commit.hpp"

#include "steering/call_state.hpp"
#include "steering/look_up.hpp"
#include "steering/registration.hpp"

#include "viaduct/steering/picker.hpp"

namespace viaduct {

namespace {

/// Retries after losing a compare-and-swap race.
constexpr int kTries = 4;

/// Call::dialog of a PendingRequest that leads responses: not the value of a method.
constexpr std::uint8_t kLeadsAnswers = Call::kSeveralDialogs;

/// One entry of the table.
class Entry {
public:
    Entry(const SteerInput& in, std::uint64_t hash, bool is_other_side) noexcept
        : in_(in), hash_(hash), is_other_side_(is_other_side), calls_(in.view.calls) {}

    [[nodiscard]] std::optional<Call> find() const noexcept {
        return calls_.find(hash_, in_.view.now);
    }
    [[nodiscard]] CallTable::Remembered add(const Call& fresh) noexcept {
        return calls_.remember(hash_, fresh, in_.view.now);
    }
    [[nodiscard]] bool update(const Call& seen, const Call& wanted) noexcept {
        return calls_.update(hash_, seen, wanted);
    }
    /// Replaces `seen` by what a message makes of it: `after(call)`.
    template <typename After> void touch(Call seen, After after) noexcept;
    /// Updates the loads that the picker uses.
    void count(const std::optional<Call>& before, const Call& after) noexcept;
    /// Marks the slot, so that later messages look the call up though the slot is settled.
    void mark(BackendId backend) noexcept;

private:
    const SteerInput& in_;
    std::uint64_t hash_;
    bool is_other_side_;
    CallTable calls_;
};

template <typename After> void Entry::touch(Call seen, After after) noexcept {
    const BackendId backend = seen.backend;
    for (int tries = 0; tries < kTries; ++tries) {
        const Call wanted = after(seen);
        if (wanted == seen) return;
        if (update(seen, wanted)) {
            count(seen, wanted);
            break;
        }
        // Another worker has just applied another message of the call: apply this one on top.
        const std::optional<Call> now = find();
        if (!now || now->backend != backend) break;
        seen = *now;
    }
    mark(backend);
}

void Entry::count(const std::optional<Call>& before, const Call& after) noexcept {
    if (!in_.pool.picker) return;
    BackendLoads& loads = *in_.pool.picker->loads;
    const SeenByPass seen = loads.is_seen(calls_.first_bucket(hash_));
    const LoadKind from = before ? load_of(before->state) : LoadKind::None;
    if (before && before->backend == after.backend) {
        loads[index(after.backend)].change(from, load_of(after.state), seen);
        return;
    }
    if (before) loads[index(before->backend)].change(from, LoadKind::None, seen);
    loads[index(after.backend)].change(LoadKind::None, load_of(after.state), seen);
}

void Entry::mark(BackendId backend) noexcept {
    const Pool& pool = in_.pool;
    if (!pool.marks || is_other_side_) return;
    const std::uint32_t slot = slot_of(hash_);
    const bool by_hash = pool.slots && (*pool.slots)[slot] == backend;
    if (!by_hash) pool.marks->mark(slot);
}

/// What the entry is after the message. `fresh`: it is remembered for the first time, or starts
/// again.
Call after_message(const SteerInput& in, const Facts& facts, Call call, bool fresh) noexcept {
    const CallLifetimes& lifetimes = in.pool.lifetimes;
    if (facts.registers()) {
        take_registration(
            *facts.registers(), lifetimes, in.view.now, fresh, facts.is_heard(), call);
        return call;
    }
    Call after = call;
    apply(message_to_call(in, facts), fresh, after);
    if (!facts.by_key || fresh) return after;
    // Other publications for an address do not end its registration.
    if (call.deadline.left(in.view.now) < after.deadline.left(in.view.now))
        call.deadline = after.deadline;
    return call;
}

/// Binds a call to the backend of its message, unless another worker has just bound it.
class Binding {
public:
    Binding(const SteerInput& in, const Facts& facts, Steering& result) noexcept
        : in_(in), facts_(facts), entry_(in, facts.hash, facts.is_other_side), result_(result) {}

    /// Its owner is down, or it had ended.
    void rebind() noexcept;
    void add() noexcept;

private:
    /// Goes where another worker has just bound the call.
    void follow(const Call& bound) noexcept {
        if (!takes(facts_, life_of(in_, bound.backend))) return;
        result_.backend = bound.backend;
        result_.rule = SteerRule::Remembered;
    }
    /// Starts the call where its later messages will go.
    void lose() noexcept {
        const Owner old = old_owner(in_, facts_.slot, facts_.slot_state);
        const Choice lost = decide_lost(facts_, go(*result_.backend, result_.rule), old);
        result_.backend = lost.backend;
        result_.rule = lost.rule;
    }
    /// The entry that binds the call to the chosen backend.
    [[nodiscard]] Call fresh() const noexcept {
        const bool goes_on_elsewhere = facts_.call && facts_.role == MessageRole::InCall &&
                                       facts_.call->state != CallState::Unknown;
        Call before = facts_.call.value_or(Call{});
        before.backend = *result_.backend;
        return after_message(in_, facts_, before, !goes_on_elsewhere);
    }

    const SteerInput& in_;
    const Facts& facts_;
    Entry entry_;
    Steering& result_;
};

void Binding::rebind() noexcept {
    const Call bound = fresh();
    result_.remembered = entry_.update(*facts_.call, bound);
    if (result_.remembered) {
        entry_.count(facts_.call, bound);
        entry_.mark(bound.backend);
    } else if (const auto other = entry_.find()) {
        follow(*other);
    }
}

void Binding::add() noexcept {
    const Call added = fresh();
    // A flood must not evict known calls: while it lasts nothing new is remembered. Calls that may
    // be forged evict nothing, and do not use the budget of new calls. Nor do calls of backends: no
    // client's message gets here, and no hash would lead back.
    std::uint32_t* const budget = facts_.is_backends ? nullptr : in_.view.budget;
    result_.flooded = budget != nullptr && *budget == 0;
    CallTable::Remembered got;
    if (!result_.flooded) got = entry_.add(added);
    result_.table_full = !result_.flooded && got.result == CallTable::Result::Full;
    result_.remembered = got.result == CallTable::Result::Added;
    if (got.result == CallTable::Result::Found) follow(got.call);
    if (result_.is_lost()) lose();
    if (!result_.remembered) return;
    if (budget != nullptr && added.state != CallState::Unknown) --*budget;
    entry_.count(std::nullopt, added);
    entry_.mark(added.backend);
    // A CANCEL names a branch, which can be noted now that the call has an entry.
    if (facts_.method == Method::Cancel)
        static_cast<void>(after_message(in_, facts_, added, false));
}

} // namespace

PickerAnswer ask_picker(const SteerInput& in, std::uint64_t hash, bool dry_run) noexcept {
    const Picker& picker = *in.pool.picker;
    return {pick(picker, hash, dry_run), !picker.members.empty()};
}

void touch(const SteerInput& in, const Facts& facts) noexcept {
    if (facts.by_key && facts.role == MessageRole::Standalone) return;
    Entry(in, facts.hash, facts.is_other_side).touch(*facts.call, [&](const Call& seen) {
        return after_message(in, facts, seen, false);
    });
}

void touch_call(const SteerInput& in,
                std::uint64_t hash,
                MessageRole role,
                const Call& call) noexcept {
    const CallMessage message{in.pool.lifetimes,
                              in.digest,
                              in.received,
                              role,
                              in.view.now,
                              in.view.calls,
                              hash,
                              false,
                              info_of(in.pool.mode).returns_through_us};
    Entry(in, hash, false).touch(call, [&](Call seen) {
        apply(message, false, seen);
        return seen;
    });
}

void remember(const SteerInput& in, const Facts& facts, Steering& result) noexcept {
    if (!facts.has_table) return;
    Binding binding(in, facts, result);
    if (facts.call)
        binding.rebind();
    else
        binding.add();
}

void await_answer(const SteerInput& in, const Facts& facts, BackendId backend) noexcept {
    if (in.view.budget != nullptr && *in.view.budget == 0) return;
    CallTable calls = in.view.calls;
    std::optional<std::uint64_t> hash = facts.way_back.hash;
    std::optional<Call> known = facts.way_back.asked;
    if (facts.by_key) {
        hash = answer_hash(in, facts.call_id_hash);
        if (!hash) return;
        known = find(in, *hash);
    }
    const Call open{backend,
                    CallState::PendingRequest,
                    kLeadsAnswers,
                    in.view.now.after(in.pool.lifetimes.once())};
    if (known)
        static_cast<void>(calls.update(*hash, *known, open));
    else
        static_cast<void>(calls.remember(*hash, open, in.view.now));
}

void commit_registrars_answer(const SteerInput& in, const Facts& facts, BackendId sender) noexcept {
    const Call known = *facts.call;
    // The backend that accepts it owns it: the earlier one drains, or was down.
    const bool moves = in.digest.status < 300 && known.state == CallState::SoftState;
    if (in.view.dry_run || (known.backend != sender && !moves)) return;
    Call heard = known;
    heard.backend = sender;
    take_registrars_answer(
        in.digest.status, in.received.payload, in.pool.lifetimes, in.view.now, heard);
    Entry entry(in, facts.hash, facts.is_other_side);
    if (heard == known || !entry.update(known, heard)) return;
    entry.count(known, heard);
    entry.mark(sender);
}

} // namespace viaduct
