// SPDX-License-Identifier: Apache-2.0
#include "steering/between.hpp"

#include "steering/commit.hpp"
#include "steering/decide.hpp"
#include "steering/facts.hpp"
#include "steering/look_up.hpp"
#include "steering/registration.hpp"

namespace viaduct {

namespace {

/// What one of the two pools would do with the message.
class Side {
public:
    Side(const SteerView& view,
         PoolId pool,
         const SipDigest& digest,
         std::uint64_t hash,
         const ReceivedMessage& received) noexcept
        : in_(view, pool, digest, received), facts_(look_up(in_, hash)) {
        if (asks_picker(facts_)) facts_.pick = ask_picker(in_, facts_.hash, true);
        choice_ = decide(facts_);
    }

    [[nodiscard]] const Facts& facts() const noexcept { return facts_; }
    [[nodiscard]] const Choice& choice() const noexcept { return choice_; }
    [[nodiscard]] bool has_backend() const noexcept { return choice_.backend.has_value(); }

    /// Whether the call is known. A call that has ended starts again like any other.
    [[nodiscard]] bool is_known() const noexcept {
        return facts_.call &&
               !(facts_.role == MessageRole::Initial && facts_.call->state == CallState::Ended);
    }
    /// Whether the message refreshes a registration that is remembered here, so that the phone,
    /// which does so indefinitely, can be moved to the other pool.
    [[nodiscard]] bool is_refreshed() const noexcept {
        if (!is_known() || !refreshes(in_.digest, facts_.role, *facts_.call)) return false;
        const auto payload = in_.received.payload;
        return payload.empty() || read_registration(payload).asks == Registration::Asks::ToBind;
    }
    /// Steers the message in this pool.
    Steering take() noexcept {
        if (asks_picker(facts_) && has_backend() && !in_.view.dry_run) {
            facts_.pick = ask_picker(in_, facts_.hash, false);
            choice_ = decide(facts_);
        }
        return commit(in_, facts_, choice_);
    }
    void forget() const noexcept {
        CallTable calls = in_.view.calls;
        calls.forget(facts_.hash, *facts_.call);
    }

private:
    SteerInput in_;
    Facts facts_;
    Choice choice_;
};

/// Steers a message that starts a call or is standalone. `moves_on`: it takes its registration from
/// the previous pool to the current one.
Steering start_between(const Vip& vip, bool moves_on, Side& current, Side& previous) noexcept {
    if (!vip.has_moved)
        if (const Steering old = previous.take(); old.backend) return old;
    // A call that no backend of the current pool takes, or that could not be remembered there, goes
    // where unknown calls go.
    const Steering now = current.take();
    if (moves_on && now.remembered) // else it would be found there when the VIP moves back
        previous.forget();
    if (now.backend && (vip.owns_untracked || !now.is_lost())) return now;
    const Steering old = previous.take();
    return old.backend ? old : now;
}

} // namespace

Steering steer_between(const SteerView& of,
                       const Vip& vip,
                       const SipDigest& digest,
                       std::uint64_t hash,
                       const ReceivedMessage& received) noexcept {
    SteerView view = of;
    view.is_between = true;
    Side current(view, vip.pool, digest, hash, received);
    if (current.is_known()) return current.take();
    const Pool& before = view.snapshot.pools[index(*vip.previous)];
    Side previous(view, *vip.previous, digest, steering_hash(before, digest), received);
    const bool is_in_call = current.facts().role == MessageRole::InCall;
    // Once the VIP has moved, registrations move with their next refresh. And new calls do not wait
    // for a pool that has no backends left.
    const bool moves_on = vip.has_moved && current.has_backend() && previous.is_refreshed();
    if (previous.is_known() && !moves_on && (previous.has_backend() || is_in_call))
        return previous.take();
    Side& of_unknown = vip.owns_untracked ? current : previous;
    if (is_in_call) return of_unknown.take();
    if (current.facts().referenced()) {
        if (current.facts().referenced()->is_known) return current.take();
        // All calls that started in the other pool are remembered there.
        if (const Steering named = of_unknown.take(); named.backend) return named;
    }
    // New calls for an address that is registered in either pool.
    if (current.choice().rule == SteerRule::Registered) return current.take();
    if (previous.choice().rule == SteerRule::Registered && !previous.facts().call &&
        previous.has_backend())
        return previous.take();
    return start_between(vip, moves_on, current, previous);
}

} // namespace viaduct
