// SPDX-License-Identifier: Apache-2.0
//
// decision: applies the rules of one pool to one message (docs/steering.md).
//
// In:    a snapshot, the table of calls, a message that was admitted.
// Out:   the backend or why there is none, and what is remembered of the call.
// Cost:  a lookup in the table of calls where the slot is not settled; a full reading where another
//        key or a referenced call is possible.
#pragma once

#include "steering/call_state.hpp"
#include "steering/registration.hpp"

#include "viaduct/steering/steer.hpp"

#include <cstdint>
#include <optional>

namespace viaduct {

/// One decision about one message; call decide(), bind(), hear() or go_back() once.
class Decision {
public:
    Decision(const SteerView& view,
             const Pool& pool,
             const SipDigest& digest,
             const ReceivedMessage& received,
             Steering& result) noexcept
        : view_(view), pool_(pool), digest_(digest), received_(received), result_(result) {}

    /// Steers a message. `keeps_unknown`: unknown calls are remembered on every slot, not
    /// only on moved ones.
    void decide(std::uint64_t hash, bool keeps_unknown = false) noexcept;
    /// Remembers that the call of this key is at `backend`, whatever the slots say. `beside`: the
    /// entry is for the other side of a call, and marks no slot.
    void bind(std::uint64_t hash, BackendId backend, bool beside) noexcept;
    /// Applies a response that this backend has sent; it may be the only news of the call's state.
    /// `by_key`: the hash is not the one of its Call-ID.
    void hear(std::uint64_t hash, BackendId sender, bool by_key) noexcept;
    /// Steers a message from the backend of the call back to the backend that started it.
    void go_back(std::uint64_t hash, BackendId sender) noexcept;

private:
    [[nodiscard]] CallTable calls() const noexcept { return view_.calls; }
    [[nodiscard]] bool writes() const noexcept { return !view_.dry_run; }
    [[nodiscard]] bool is_settled() const noexcept {
        return result_.slot_state == SlotState::Settled;
    }
    /// Responses and ACKs have no answer (RFC 3261 §17).
    [[nodiscard]] bool has_answer() const noexcept {
        return digest_.kind == PayloadKind::Request && digest_.method != Method::Ack;
    }
    [[nodiscard]] bool is_moved() const noexcept { return result_.slot_state == SlotState::Moved; }
    [[nodiscard]] SlotState state_of(std::uint32_t slot) const noexcept {
        return slot_state(pool_, slot);
    }
    /// Reads the keys and references of a message besides its Call-ID. Later messages of a dialog
    /// do not have them, so their calls need a table to be remembered in.
    void read_more() noexcept;
    /// Steers to the owner of the referenced call; false: it is unknown, or its backend is down.
    [[nodiscard]] bool go_to_referenced() noexcept;
    /// Steers by the key: to where its address is registered, else by its slot.
    [[nodiscard]] bool go_by_key() noexcept;
    /// Whether it is a NOTIFY outside of any dialog (such as for waiting messages): it is steered
    /// by its key.
    [[nodiscard]] bool is_unsolicited() const noexcept;
    /// Steers the response to a request that was not steered by its Call-ID, or is steered
    /// differently now: to the backend that got the request, because it may have sent it on.
    [[nodiscard]] bool go_to_asker() noexcept;
    /// Remembers the request for go_to_asker(), for as long as it may be repeated.
    void await_answer() noexcept;
    /// Whether the Call-ID alone leads to the same backend, now and on retransmission.
    [[nodiscard]] bool is_by_hash() const noexcept;
    void look_up() noexcept;
    /// Whether a registration leaves its backend. A phone refreshes under the same Call-ID
    /// indefinitely, so it moves away from a backend that is to be emptied when another one takes
    /// it.
    [[nodiscard]] bool moves_on() const noexcept;
    /// Whether this message may go to that backend.
    [[nodiscard]] bool takes(BackendId id) const noexcept;
    [[nodiscard]] BackendId old_owner() const noexcept;
    /// Whether an unknown call is remembered from now on.
    [[nodiscard]] bool keeps_unknown() const noexcept;
    /// Whether the call that was found continues, and does not start again.
    [[nodiscard]] bool goes_on() const noexcept {
        return result_.call && !begins_anew(message(), *result_.call);
    }
    void go(BackendId backend, SteerRule rule) noexcept {
        result_.backend = backend;
        result_.rule = rule;
    }
    /// Applies the response to a REGISTER that was steered by its address.
    void hear_registrar(BackendId sender) noexcept;
    void go_now(SteerRule rule) noexcept;
    void pick_new() noexcept;
    void follow_dead_owner(BackendId owner) noexcept;
    /// Binds the call to the backend of this message, unless another worker has just bound it.
    void remember(SteerRule rule) noexcept;
    /// Updates the loads that the picker uses.
    void count(const std::optional<Call>& before, const Call& after) noexcept;
    /// Marks the slot, so that later messages look the call up though the slot is settled.
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
    std::optional<std::uint64_t> key_;        ///< of a new dialog, if not by its Call-ID
    std::optional<std::uint64_t> referenced_; ///< the referenced call
    std::optional<Registration> registers_;   ///< what a REGISTER by another key asks for
    std::uint64_t call_id_hash_ = 0;
    bool by_key_ = false;      ///< another key replaces the Call-ID
    bool is_heard_ = false;    ///< the response to the REGISTER passes, and is read
    bool is_beside_ = false;   ///< an entry for the other side of a call; of no slot
    bool is_backends_ = false; ///< a nat backend sent it
    bool keeps_unknown_ = false;
    bool has_budget_ = true; ///< it counts against the budget of new calls
    Steering& result_;
};

} // namespace viaduct
