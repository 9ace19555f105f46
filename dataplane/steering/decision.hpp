// SPDX-License-Identifier: Apache-2.0
//
// decision: one message's way through the rules of one pool (docs/steering.md).
//
// In:    a snapshot, the table of calls, a message that was admitted.
// Out:   the backend or why there is none, and what of the call is remembered.
// Cost:  a lookup in the table of calls where the slot is not settled; a full reading where another
//        key or call may be named.
#pragma once

#include "steering/call_state.hpp"
#include "steering/registration.hpp"

#include "viaduct/steering/steer.hpp"

#include <cstdint>
#include <optional>

namespace viaduct {

/// Of one message; decide(), bind() or go_back() is called once.
class Decision {
public:
    Decision(const SteerView& view,
             const Pool& pool,
             const SipDigest& digest,
             const ReceivedMessage& received,
             Steering& result) noexcept
        : view_(view), pool_(pool), digest_(digest), received_(received), result_(result) {}

    /// `keeps_unknown`: so is what belongs to a call whose beginning was not seen, on every slot.
    void decide(std::uint64_t hash, bool keeps_unknown = false) noexcept;
    /// The call of this key is at that backend, whatever the slots say. One that is `beside` is
    /// only found by who looks for it there.
    void bind(std::uint64_t hash, BackendId backend, bool beside) noexcept;
    /// An answer that this backend has sent to what was asked in a call: it may be all that is
    /// known of what becomes of it.
    /// `by_key`: the hash is not of its Call-ID.
    void hear(std::uint64_t hash, BackendId sender, bool by_key) noexcept;
    /// To whom the backend that the call is at sends: the one that began it.
    void go_back(std::uint64_t hash, BackendId sender) noexcept;

private:
    [[nodiscard]] CallTable calls() const noexcept { return view_.calls; }
    [[nodiscard]] bool writes() const noexcept { return !view_.dry_run; }
    [[nodiscard]] bool is_settled() const noexcept {
        return !result_.is_unsettled && !result_.is_marked;
    }
    /// Neither a response nor an ACK has one (RFC 3261 §17).
    [[nodiscard]] bool has_answer() const noexcept {
        return digest_.kind == PayloadKind::Request && digest_.method != Method::Ack;
    }
    [[nodiscard]] bool is_unsettled(std::uint32_t slot) const noexcept {
        return pool_.unsettled && pool_.unsettled->contains(slot);
    }
    [[nodiscard]] bool is_marked(std::uint32_t slot) const noexcept {
        return pool_.marks && pool_.marks->any() && pool_.marks->contains(slot);
    }
    /// What a message that begins something has besides its Call-ID. What follows in a dialog has
    /// none of it: it needs a table in which the call is remembered.
    void read_more() noexcept;
    /// To the owner of the call that is named; false: nobody knows it, or it is dead.
    [[nodiscard]] bool go_to_referenced() noexcept;
    /// By the key: where its address is registered, else by its slot.
    [[nodiscard]] bool go_by_key() noexcept;
    /// Whether it is a NOTIFY outside of any dialog, as of waiting messages: it goes by its key.
    [[nodiscard]] bool is_unsolicited() const noexcept;
    /// An answer to a request that did not go by its Call-ID, or by another one than goes now: to
    /// the backend that the request went to, for that may have sent it on.
    [[nodiscard]] bool go_to_asker() noexcept;
    /// So that go_to_asker() finds it, for as long as the request may be repeated.
    void await_answer() noexcept;
    /// Whether its Call-ID alone says all of it, now and when it is repeated.
    [[nodiscard]] bool is_by_hash() const noexcept;
    void look_up() noexcept;
    /// A phone registers again under its Call-ID for as long as it lives: it leaves a backend that
    /// is to be empty, when another one takes it.
    [[nodiscard]] bool moves_on() const noexcept;
    /// Whether this message may go to that backend.
    [[nodiscard]] bool takes(BackendId id) const noexcept;
    [[nodiscard]] BackendId old_owner() const noexcept;
    /// Whether a call of which nothing is remembered is found by more than its slot from now on.
    [[nodiscard]] bool keeps_unknown() const noexcept;
    /// Whether the call that was found is one to follow, and does not begin anew.
    [[nodiscard]] bool goes_on() const noexcept {
        return result_.call && !begins_anew(message(), *result_.call);
    }
    void go(BackendId backend, SteerRule rule) noexcept {
        result_.backend = backend;
        result_.rule = rule;
    }
    /// The answer to a REGISTER that went by its address.
    void hear_registrar(BackendId sender) noexcept;
    void go_now(SteerRule rule) noexcept;
    void pick_new() noexcept;
    void follow_dead_owner(BackendId owner) noexcept;
    /// Binds the call to the backend this message goes to, unless another worker has just bound it.
    void remember(SteerRule rule) noexcept;
    /// Keeps the loads by which calls are dealt out.
    void count(const std::optional<Call>& before, const Call& after) noexcept;
    /// So that later messages look for the call though their slot is settled.
    void mark() noexcept;
    void touch(Call seen) noexcept;
    [[nodiscard]] CallMessage message() const noexcept {
        return {pool_.lifetimes,
                digest_,
                received_,
                result_.role,
                view_.now,
                view_.calls,
                result_.hash,
                is_backends_,
                answers_pass()};
    }
    [[nodiscard]] bool answers_pass() const noexcept;
    [[nodiscard]] Call after_this(Call call, bool fresh) const noexcept;

    const SteerView& view_;
    const Pool& pool_;
    const SipDigest& digest_;
    const ReceivedMessage& received_;
    std::optional<std::uint64_t> key_;        ///< of what begins a dialog by another key
    std::optional<std::uint64_t> referenced_; ///< the call that it names
    std::optional<Registration> registers_;   ///< what a REGISTER by another key asks for
    std::uint64_t call_id_hash_ = 0;
    bool by_key_ = false;      ///< another key takes the place of the Call-ID
    bool is_heard_ = false;    ///< the answer to the REGISTER passes, and is read
    bool is_beside_ = false;   ///< what is remembered is no slot's
    bool is_backends_ = false; ///< a nat backend has sent it
    bool keeps_unknown_ = false;
    bool has_budget_ = true; ///< and counts among the calls that may yet begin
    Steering& result_;
};

} // namespace viaduct
