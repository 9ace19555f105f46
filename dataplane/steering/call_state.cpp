// SPDX-License-Identifier: Apache-2.0
#include "steering/call_state.hpp"

#include "steering/call_transitions.hpp"

#include <algorithm>

namespace viaduct {

namespace {

/// Applies one message to one call.
class CallUpdate {
public:
    CallUpdate(const CallMessage& message, Call& call) noexcept : fields_(message), call_(call) {}

    void run(bool fresh) noexcept {
        const CallState from = fresh ? kNewCall : call_.state;
        const Transition& cell = transition(from, event_of(fields_, from, call_.dialog));
        if (cell.deadline == DeadlineChange::ForCall)
            keep_for(of_a_call());
        else
            change(cell.deadline);
        if (cell.action != CallAction::NoAction && !act(cell.action)) return;
        if (cell.mark != MarkChange::KeepMark) change(cell.mark);
        call_.state = cell.next;
    }

private:
    void change(DeadlineChange deadline) noexcept;
    void change(MarkChange mark) noexcept;
    /// False: what the cell says of state and mark does not apply.
    bool act(CallAction action) noexcept;

    [[nodiscard]] const CallMessage& message() const noexcept { return fields_.message; }

    // ---- lifetimes, in units of CallTime

    [[nodiscard]] std::uint16_t left() const noexcept {
        return static_cast<std::uint16_t>(std::max(0, call_.deadline.left(message().now)));
    }
    [[nodiscard]] std::uint16_t once() const noexcept { return message().lifetimes.once(); }
    /// `max_call`: calls are forgotten this long after their first message, active or not.
    [[nodiscard]] std::uint16_t of_a_call() const noexcept {
        return message().lifetimes.cap == 0 ? message().lifetimes.silence : left();
    }
    [[nodiscard]] std::uint16_t of_a_new_call() const noexcept {
        const CallLifetimes& lives = message().lifetimes;
        return lives.cap == 0 ? lives.silence : lives.cap;
    }
    void keep_for(std::uint16_t units) noexcept { call_.deadline = message().now.after(units); }
    void keep_at_least(std::uint16_t units) noexcept { keep_for(std::max(left(), units)); }

    // ---- actions

    void note_branch() noexcept;
    void note_canceled_branch() noexcept;
    void note_open_branches() noexcept;
    bool refuse_branch() noexcept;
    void note_late_refusal() noexcept;
    bool try_again() noexcept;
    bool add_dialog() noexcept;
    bool end_dialog() noexcept;
    bool reopen() noexcept;
    void deny_unknown() noexcept;
    void confirm_or_deny() noexcept;
    bool confirm_subscription() noexcept;
    struct Asked;
    [[nodiscard]] Asked asked() const noexcept;
    void request_soft_state() noexcept;
    void refresh_soft_state() noexcept;
    void grant_soft_state() noexcept;
    bool refuse_soft_state() noexcept;

    // ---- branches and dialogs in addition to the one in the call's word

    /// Dialog of an Ended call that was Unknown, and is again when a message of it is seen.
    static constexpr std::uint8_t kEndedUnknownCall = Call::kSeveralDialogs;
    bool note(Note::Kind kind, std::uint16_t what, std::uint16_t units) noexcept {
        CallTable calls = message().calls;
        return calls.note(message().hash, {kind, what}, message().now.after(units), message().now);
    }
    [[nodiscard]] bool is_past_dialog(const Mark& dialog) const noexcept {
        constexpr auto kDialogs = CallTable::NoteClass::Dialogs;
        return message().calls.noted(message().hash, kDialogs, dialog.what, message().now) ==
               Note::Kind::PastDialog;
    }
    /// True for this exact branch, false for one with the same few bits.
    [[nodiscard]] bool is_branch_noted() noexcept {
        const auto kind = fields_.branch_note();
        return kind && *kind != Note::Kind::FewBranches;
    }
    [[nodiscard]] std::optional<Note> any(Note::Kind kind) const noexcept {
        return message().calls.any_note(message().hash, kind, message().now);
    }

    MessageFields fields_;
    Call& call_;
};

void CallUpdate::change(DeadlineChange deadline) noexcept {
    switch (deadline) {
    case DeadlineChange::KeepDeadline:
        return;
    case DeadlineChange::ForNewCall:
        keep_for(of_a_new_call());
        return;
    case DeadlineChange::ForCall:
        keep_for(of_a_call());
        return;
    case DeadlineChange::ForSilence:
        keep_for(message().lifetimes.silence);
        return;
    case DeadlineChange::SilenceIfGranted:
        if (call_.dialog == Call::kSoftStateGranted) keep_at_least(message().lifetimes.silence);
        return;
    case DeadlineChange::ForTransaction:
        keep_for(once());
        return;
    case DeadlineChange::AtLeastTransaction:
        keep_at_least(once());
        return;
    }
}

void CallUpdate::change(MarkChange mark) noexcept {
    switch (mark) {
    case MarkChange::KeepMark:
        return;
    case MarkChange::NoMark:
        call_.dialog = 0;
        return;
    case MarkChange::OfBranch:
        call_.dialog = fields_.branch().few;
        return;
    case MarkChange::OfDialog:
        call_.dialog = fields_.dialog().few;
        return;
    case MarkChange::OfSender: // the message may be forged, so the call does not count as load
        call_.dialog = message().is_backends ? Call::kBackendConfirmed : Call::kUnconfirmed;
        return;
    case MarkChange::IfConfirmed:
        if (message().is_backends) call_.dialog = Call::kBackendConfirmed;
        return;
    case MarkChange::WasUnknown:
        call_.dialog = kEndedUnknownCall;
        return;
    }
}

bool CallUpdate::act(CallAction action) noexcept {
    switch (action) {
    case CallAction::NoAction:
        return true;
    case CallAction::NoteBranch:
        return note_branch(), true;
    case CallAction::NoteCanceledBranch:
        return note_canceled_branch(), true;
    case CallAction::NoteOpenBranches:
        return note_open_branches(), true;
    case CallAction::RefuseBranch:
        return refuse_branch();
    case CallAction::NoteLateRefusal:
        return note_late_refusal(), true;
    case CallAction::TryAgain:
        return try_again();
    case CallAction::AddDialog:
        return add_dialog();
    case CallAction::EndDialog:
        return end_dialog();
    case CallAction::Reopen:
        return reopen();
    case CallAction::EndKnown:
        return call_.dialog != kEndedUnknownCall;
    case CallAction::DenyUnknown:
        return deny_unknown(), true;
    case CallAction::ConfirmOrDeny:
        return confirm_or_deny(), true;
    case CallAction::ConfirmSubscription:
        return confirm_subscription();
    case CallAction::RequestSoftState:
        return request_soft_state(), true;
    case CallAction::RefreshSoftState:
        return refresh_soft_state(), true;
    case CallAction::GrantSoftState:
        return grant_soft_state(), true;
    case CallAction::RefuseSoftState:
        return refuse_soft_state();
    }
    return true;
}

// ---- branches

/// A fork or a retransmission: they cannot be told apart. Of an answered call a late branch, whose
/// failure is not that of a second dialog.
void CallUpdate::note_branch() noexcept {
    const Mark mine = fields_.branch();
    if (mine.few == 0 || is_branch_noted()) return;
    // In nat the backend's own legs pass as well; only those of clients decide the state.
    const auto kind = message().is_backends ? Note::Kind::PastBranch : Note::Kind::Branch;
    const bool has_room = note(kind, mine.what, message().lifetimes.ringing + 1U);
    // The failure of a branch that is not noted cannot be told from an ACK to a success.
    if (!has_room && call_.state == CallState::Ringing && mine.few != call_.dialog)
        call_.dialog = Call::kSeveralDialogs;
}

/// A CANCEL has the branch of its INVITE (RFC 3261 §9.1), which may have passed before the call was
/// remembered: the failure that follows must not count as an answer.
void CallUpdate::note_canceled_branch() noexcept {
    const Mark mine = fields_.branch();
    const bool is_first = call_.state == CallState::Ringing && mine.few == call_.dialog;
    if (mine.few == 0 || is_first || fields_.branch_note()) return;
    note(Note::Kind::PastBranch, mine.what, once());
}

/// It is unknown which branch was answered: the failure of any is not a second dialog's.
void CallUpdate::note_open_branches() noexcept {
    if (call_.dialog == 0) return;
    const bool is_lost = call_.dialog == Call::kSeveralDialogs;
    if (is_lost || any(Note::Kind::Branch) || any(Note::Kind::PastBranch))
        note(Note::Kind::FewBranches, call_.dialog, message().lifetimes.ringing + 1U);
}

/// Of a call that rings, or was refused.
bool CallUpdate::refuse_branch() noexcept {
    const std::optional<Note::Kind> before = fields_.branch_note();
    const Mark mine = fields_.branch();
    const bool is_first = mine.few == call_.dialog;
    if (!before && !is_first) return false;
    if (before == Note::Kind::PastBranch || before == Note::Kind::FewBranches) return false;
    if (mine.few != 0) note(Note::Kind::PastBranch, mine.what, once());
    const bool has_others = any(Note::Kind::Branch).has_value();
    if (is_first) call_.dialog = 0;
    // It may have been another branch with the same few bits; then the first can still fail.
    if (is_first && has_others)
        note(Note::Kind::FewBranches, mine.few, message().lifetimes.ringing + 1U);
    return call_.dialog == 0 && !has_others;
}

void CallUpdate::note_late_refusal() noexcept {
    const Mark mine = fields_.branch();
    if (fields_.branch_note() == Note::Kind::Branch && mine.few != 0)
        note(Note::Kind::PastBranch, mine.what, once());
}

/// A new attempt, unless it is a late copy of a refused branch.
bool CallUpdate::try_again() noexcept {
    if (fields_.branch().few != 0 && is_branch_noted()) return false;
    if (call_.dialog != Call::kSeveralDialogs) return true;
    call_.state = CallState::Ringing; // its earlier branches are not known either
    return false;
}

// ---- dialogs

/// Where the first dialog is not known, this one is taken for it.
bool CallUpdate::add_dialog() noexcept {
    if (call_.dialog == Call::kSeveralDialogs) return false;
    const Mark mine = fields_.dialog();
    if (mine.few == call_.dialog) return false;
    if (mine.few == 0 || is_past_dialog(mine)) return false;
    if (call_.dialog == 0) return true;
    if (!note(Note::Kind::Dialog, mine.what, of_a_call())) call_.dialog = Call::kSeveralDialogs;
    return false;
}

/// With several dialogs a BYE ends only one (RFC 3261 §15, forks: §12).
bool CallUpdate::end_dialog() noexcept {
    const Mark mine = fields_.dialog();
    if (mine.few == 0) return true;
    const bool is_another = call_.dialog != 0 && mine.few != call_.dialog;
    if (!is_another && !any(Note::Kind::Dialog)) return true;
    note(Note::Kind::PastDialog, mine.what, once());
    if (is_another) return false;
    const std::optional<Note> next = any(Note::Kind::Dialog);
    if (next) call_.dialog = Note::few_of(next->what);
    return !next;
}

bool CallUpdate::reopen() noexcept {
    if (call_.dialog == kEndedUnknownCall) {
        call_.state = CallState::Unknown;
        call_.dialog = Call::kUnconfirmed;
        return false;
    }
    const Mark mine = fields_.dialog();
    if (mine.few == call_.dialog) return false; // late
    return mine.few == 0 || !is_past_dialog(mine);
}

// ---- unknown calls

/// 481 or 408: the backend does not know the call (RFC 5057 §5.1): it was forged, or is over.
void CallUpdate::deny_unknown() noexcept {
    const bool is_denied = fields_.status() == 481 || fields_.status() == 408;
    if (is_denied && call_.dialog == Call::kUnconfirmed) keep_for(std::min(left(), once()));
}

void CallUpdate::confirm_or_deny() noexcept {
    if (!fields_.is_success())
        deny_unknown();
    else if (message().is_backends)
        call_.dialog = Call::kBackendConfirmed;
}

bool CallUpdate::confirm_subscription() noexcept {
    if (fields_.method() != Method::Subscribe) {
        confirm_or_deny();
        return false;
    }
    call_.dialog = Call::kSoftStateRequested;
    grant_soft_state();
    return true;
}

// ---- soft state

/// The lifetime that a request asks for.
struct CallUpdate::Asked {
    bool says = false; ///< the message has been read
    bool ends = false; ///< it asks for the end
    std::uint16_t units = 0;
};

CallUpdate::Asked CallUpdate::asked() const noexcept {
    const std::span<const std::byte> payload = message().received.payload;
    if (fields_.method() == Method::Refer || payload.empty())
        return {.units = message().lifetimes.silence};
    const std::uint32_t seconds = asked_seconds(payload);
    return {true, seconds == 0, message().lifetimes.of_seconds(seconds)};
}

/// Kept for the time it asks for; where responses pass, for one transaction until it is granted.
void CallUpdate::request_soft_state() noexcept {
    const Asked wanted = asked();
    keep_for(message().answers_pass ? once() : wanted.units);
    const bool is_ending = message().answers_pass && wanted.ends;
    call_.dialog = is_ending ? Call::kSoftStateEnding : Call::kSoftStateRequested;
}

void CallUpdate::refresh_soft_state() noexcept {
    const Asked wanted = asked();
    const bool was_granted = call_.dialog != Call::kSoftStateRequested;
    if (message().answers_pass) {
        keep_for(was_granted ? std::max(left(), once()) : once());
        const std::uint8_t same = was_granted ? Call::kSoftStateGranted : Call::kSoftStateRequested;
        call_.dialog = wanted.ends ? Call::kSoftStateEnding : same;
        return;
    }
    // A refresh that comes later than requests are repeated shows that it was accepted before.
    const bool comes_back = fields_.has_to_tag() || wanted.units - left() > once();
    keep_for(wanted.says ? wanted.units : left());
    call_.dialog = was_granted || comes_back ? Call::kSoftStateGranted : Call::kSoftStateRequested;
}

void CallUpdate::grant_soft_state() noexcept {
    if (fields_.method() == Method::Refer) {
        keep_for(message().lifetimes.silence);
        return;
    }
    const auto granted = granted_seconds(message().received.payload);
    if (granted)
        keep_for(message().lifetimes.of_seconds(*granted));
    else if (call_.dialog == Call::kSoftStateRequested)
        keep_for(message().lifetimes.of_seconds(kUsualExpires));
    else if (call_.dialog == Call::kSoftStateEnding)
        keep_for(std::min(left(), once()));
}

/// It may be asked again, with credentials.
bool CallUpdate::refuse_soft_state() noexcept {
    if (!fields_.is_final_refusal() || call_.dialog != Call::kSoftStateRequested) return false;
    keep_for(once());
    return true;
}

} // namespace

bool starts_again(const CallMessage& message, const Call& call) noexcept {
    if (message.role != MessageRole::Initial || call.state != CallState::Ended) return false;
    if (message.digest.method != Method::Invite) return true;
    const Mark branch = branch_mark(message);
    if (branch.few == 0) return true;
    return !message.calls.noted(
        message.hash, CallTable::NoteClass::Branches, branch.what, message.now);
}

void apply(const CallMessage& message, bool fresh, Call& call) noexcept {
    CallUpdate(message, call).run(fresh);
}

} // namespace viaduct
