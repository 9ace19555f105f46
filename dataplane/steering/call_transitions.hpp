// SPDX-License-Identifier: Apache-2.0
//
// call_transitions: what each event changes in a call, by the state of the call.
//
// How:   a table with one cell for each state and event. A cell names the next state, mark and
//        deadline; an action does what these cannot express, and may set them itself.
//        docs/steering.md has the same table in words, and call_transitions_test compares the two.
// Cost:  one look-up.
// Spec:  docs/steering.md.
#pragma once

#include "steering/call_event.hpp"

#include "viaduct/closed_set.hpp"

#include <array>

namespace viaduct {

/// What becomes of Call::dialog.
enum class MarkChange : std::uint8_t {
    KeepMark,
    NoMark,      ///< zero: no branch or dialog; of soft state: granted
    OfBranch,    ///< the branch of the message
    OfDialog,    ///< the dialog of the message
    OfSender,    ///< of an unknown call: whether a client or a backend sent the message
    IfConfirmed, ///< of an unknown call: confirmed, if a backend sent the message
    WasUnknown,  ///< of an ended call: it was unknown
};

/// What becomes of Call::deadline.
enum class DeadlineChange : std::uint8_t {
    KeepDeadline,
    ForNewCall,         ///< `max_call`, or else `call_lifetime`
    ForCall,            ///< with `max_call` as before, or else `call_lifetime`
    ForSilence,         ///< `call_lifetime`, also with `max_call`
    SilenceIfGranted,   ///< at least `call_lifetime`, if the soft state is granted
    ForTransaction,     ///< one transaction
    AtLeastTransaction, ///< at least one transaction
};

/// What else the message changes. "Unless": then state and mark do not change as the cell says.
enum class CallAction : std::uint8_t {
    NoAction,
    NoteBranch,          ///< notes the branch of a further INVITE
    NoteCanceledBranch,  ///< notes the branch that is canceled, if it is not known
    NoteOpenBranches,    ///< notes that branches of an answered call may still fail
    RefuseBranch,        ///< notes a failed branch; unless others ring, or it is not known
    NoteLateRefusal,     ///< notes a failed branch of a call that does not ring
    TryAgain,            ///< unless it is a late copy of a refused INVITE
    AddDialog,           ///< notes a further dialog; unless a dialog of the call is known
    EndDialog,           ///< notes the end of a dialog; unless others go on
    Reopen,              ///< unless it is a late message of an ended dialog, or was unknown
    EndKnown,            ///< unless it was unknown
    DenyUnknown,         ///< leaves one transaction if the backend does not know the call
    ConfirmOrDeny,       ///< the same; confirms the call if a backend sends a success
    ConfirmSubscription, ///< as GrantSoftState; unless it answers no SUBSCRIBE
    RequestSoftState,    ///< sets mark and deadline as the request and the forwarding mode say
    RefreshSoftState,    ///< the same for soft state that is known
    GrantSoftState,      ///< sets the deadline that is granted
    RefuseSoftState,     ///< leaves one transaction; unless it was granted, or is provisional
};

/// One cell of the table.
struct Transition {
    CallEvent on;
    CallState next;
    MarkChange mark;
    DeadlineChange deadline; ///< changes before the action
    CallAction action;
};

/// The cells of one state, or of kNewCall.
struct StateTransitions {
    CallState from;
    std::array<Transition, count_of<CallEvent>()> cells;
};

inline constexpr std::size_t kTransitionRows =
    static_cast<std::size_t>(kFirstCallState) +
    count_of<CallState, static_cast<std::size_t>(kFirstCallState)>();

namespace transitions {

using enum CallEvent;
using enum CallState;
using enum MarkChange;
using enum DeadlineChange;
using enum CallAction;

// clang-format off
inline constexpr std::array<StateTransitions, kTransitionRows> kRows{{
    {Unknown, {{
        {Invite,            Ringing,        OfBranch,    ForNewCall,         NoAction},
        {InDialogRequest,   Unknown,        IfConfirmed, ForCall,            NoAction},
        {Update,            Unknown,        IfConfirmed, ForCall,            NoAction},
        {OtherRequest,      Unknown,        IfConfirmed, ForCall,            NoAction},
        {Ack,               Unknown,        IfConfirmed, ForCall,            NoAction},
        {Refusal,           Unknown,        KeepMark,    KeepDeadline,       DenyUnknown},
        {Bye,               Ended,          WasUnknown,  ForCall,            NoAction},
        {ByeResponse,       Unknown,        KeepMark,    KeepDeadline,       ConfirmOrDeny},
        {Cancel,            Unknown,        IfConfirmed, ForCall,            NoteCanceledBranch},
        {StandaloneRequest, Unknown,        IfConfirmed, AtLeastTransaction, NoAction},
        {SoftStateRequest,  SoftState,      KeepMark,    KeepDeadline,       RequestSoftState},
        {SoftStateRefresh,  Unknown,        IfConfirmed, ForSilence,         NoAction},
        {Notify,            Unknown,        IfConfirmed, AtLeastTransaction, NoAction},
        {NotifyTerminated,  Unknown,        IfConfirmed, AtLeastTransaction, NoAction},
        {Provisional,       Unknown,        KeepMark,    KeepDeadline,       NoAction},
        {Success,           Unknown,        IfConfirmed, KeepDeadline,       NoAction},
        {SoftStateSuccess,  SoftState,      NoMark,      KeepDeadline,       ConfirmSubscription},
        {SoftStateResponse, Unknown,        KeepMark,    KeepDeadline,       DenyUnknown},
        {NotifyResponse,    Unknown,        KeepMark,    KeepDeadline,       ConfirmOrDeny},
        {OtherResponse,     Unknown,        KeepMark,    KeepDeadline,       ConfirmOrDeny},
    }}},
    {kNewCall, {{
        {Invite,            Ringing,        OfBranch,    ForNewCall,         NoAction},
        {InDialogRequest,   Unknown,        OfSender,    ForNewCall,         NoAction},
        {Update,            Unknown,        OfSender,    ForNewCall,         NoAction},
        {OtherRequest,      Unknown,        OfSender,    ForNewCall,         NoAction},
        {Ack,               Unknown,        OfSender,    ForNewCall,         NoAction},
        {Refusal,           Unknown,        OfSender,    ForNewCall,         NoAction},
        {Bye,               Unknown,        OfSender,    ForTransaction,     NoAction},
        {ByeResponse,       Unknown,        OfSender,    ForTransaction,     NoAction},
        {Cancel,            Unknown,        OfSender,    ForNewCall,         NoAction},
        {StandaloneRequest, Refused,        NoMark,      ForTransaction,     NoAction},
        {SoftStateRequest,  SoftState,      KeepMark,    KeepDeadline,       RequestSoftState},
        {SoftStateRefresh,  Unknown,        OfSender,    ForSilence,         NoAction},
        {Notify,            Unknown,        OfSender,    ForSilence,         NoAction},
        {NotifyTerminated,  Unknown,        OfSender,    ForTransaction,     NoAction},
        {Provisional,       Unknown,        OfSender,    ForNewCall,         NoAction},
        {Success,           Unknown,        OfSender,    ForNewCall,         NoAction},
        {SoftStateSuccess,  Unknown,        OfSender,    ForSilence,         NoAction},
        {SoftStateResponse, Unknown,        OfSender,    ForSilence,         NoAction},
        {NotifyResponse,    Unknown,        OfSender,    ForSilence,         NoAction},
        {OtherResponse,     Unknown,        OfSender,    ForNewCall,         NoAction},
    }}},
    {Ringing, {{
        {Invite,            Ringing,        KeepMark,    ForCall,            NoteBranch},
        {InDialogRequest,   Answered,       OfDialog,    ForCall,            NoteOpenBranches},
        {Update,            Ringing,        KeepMark,    ForCall,            NoAction},
        {OtherRequest,      Ringing,        KeepMark,    ForCall,            NoAction},
        {Ack,               Answered,       OfDialog,    ForCall,            NoteOpenBranches},
        {Refusal,           Refused,        NoMark,      ForCall,            RefuseBranch},
        {Bye,               Ended,          OfDialog,    ForCall,            NoAction},
        {ByeResponse,       Ended,          OfDialog,    ForCall,            NoAction},
        {Cancel,            Ringing,        KeepMark,    ForCall,            NoteCanceledBranch},
        {StandaloneRequest, Ringing,        KeepMark,    ForCall,            NoAction},
        {SoftStateRequest,  Ringing,        KeepMark,    ForCall,            NoAction},
        {SoftStateRefresh,  Ringing,        KeepMark,    ForCall,            NoAction},
        {Notify,            Ringing,        KeepMark,    ForCall,            NoAction},
        {NotifyTerminated,  Ringing,        KeepMark,    ForCall,            NoAction},
        {Provisional,       Ringing,        KeepMark,    ForCall,            NoAction},
        {Success,           Answered,       OfDialog,    ForCall,            NoteOpenBranches},
        {SoftStateSuccess,  Ringing,        KeepMark,    ForCall,            NoAction},
        {SoftStateResponse, Ringing,        KeepMark,    ForCall,            NoAction},
        {NotifyResponse,    Ringing,        KeepMark,    ForCall,            NoAction},
        {OtherResponse,     Ringing,        KeepMark,    ForCall,            NoAction},
    }}},
    {Answered, {{
        {Invite,            Answered,       KeepMark,    ForCall,            NoteBranch},
        {InDialogRequest,   Answered,       OfDialog,    ForCall,            AddDialog},
        {Update,            Answered,       KeepMark,    ForCall,            NoAction},
        {OtherRequest,      Answered,       KeepMark,    ForCall,            NoAction},
        {Ack,               Answered,       OfDialog,    ForCall,            AddDialog},
        {Refusal,           Answered,       KeepMark,    ForCall,            NoteLateRefusal},
        {Bye,               Ended,          OfDialog,    ForCall,            EndDialog},
        {ByeResponse,       Ended,          OfDialog,    ForCall,            EndDialog},
        {Cancel,            Answered,       KeepMark,    ForCall,            NoteCanceledBranch},
        {StandaloneRequest, Answered,       KeepMark,    ForCall,            NoAction},
        {SoftStateRequest,  Answered,       KeepMark,    ForCall,            NoAction},
        {SoftStateRefresh,  Answered,       KeepMark,    ForCall,            NoAction},
        {Notify,            Answered,       KeepMark,    ForCall,            NoAction},
        {NotifyTerminated,  Answered,       KeepMark,    ForCall,            NoAction},
        {Provisional,       Answered,       KeepMark,    ForCall,            NoAction},
        {Success,           Answered,       OfDialog,    ForCall,            AddDialog},
        {SoftStateSuccess,  Answered,       KeepMark,    ForCall,            NoAction},
        {SoftStateResponse, Answered,       KeepMark,    ForCall,            NoAction},
        {NotifyResponse,    Answered,       KeepMark,    ForCall,            NoAction},
        {OtherResponse,     Answered,       KeepMark,    ForCall,            NoAction},
    }}},
    {Ended, {{
        {Invite,            Ended,          KeepMark,    ForCall,            NoAction},
        {InDialogRequest,   Answered,       OfDialog,    ForCall,            Reopen},
        {Update,            Ended,          KeepMark,    ForCall,            NoAction},
        {OtherRequest,      Ended,          KeepMark,    ForCall,            NoAction},
        {Ack,               Answered,       OfDialog,    ForCall,            Reopen},
        {Refusal,           Ended,          KeepMark,    ForCall,            NoteLateRefusal},
        {Bye,               Ended,          OfDialog,    ForCall,            EndKnown},
        {ByeResponse,       Ended,          OfDialog,    ForCall,            EndKnown},
        {Cancel,            Ended,          KeepMark,    ForCall,            NoteCanceledBranch},
        {StandaloneRequest, Ended,          KeepMark,    ForCall,            NoAction},
        {SoftStateRequest,  SoftState,      KeepMark,    KeepDeadline,       RequestSoftState},
        {SoftStateRefresh,  SoftState,      KeepMark,    KeepDeadline,       RequestSoftState},
        {Notify,            Ended,          KeepMark,    KeepDeadline,       NoAction},
        {NotifyTerminated,  Ended,          KeepMark,    KeepDeadline,       NoAction},
        {Provisional,       Ended,          KeepMark,    ForCall,            NoAction},
        {Success,           Answered,       OfDialog,    ForCall,            Reopen},
        {SoftStateSuccess,  Ended,          KeepMark,    KeepDeadline,       NoAction},
        {SoftStateResponse, Ended,          KeepMark,    KeepDeadline,       NoAction},
        {NotifyResponse,    Ended,          KeepMark,    KeepDeadline,       NoAction},
        {OtherResponse,     Ended,          KeepMark,    ForCall,            NoAction},
    }}},
    {SoftState, {{
        {Invite,            SoftState,      KeepMark,    SilenceIfGranted,   NoAction},
        {InDialogRequest,   SoftState,      KeepMark,    SilenceIfGranted,   NoAction},
        {Update,            SoftState,      KeepMark,    SilenceIfGranted,   NoAction},
        {OtherRequest,      SoftState,      KeepMark,    SilenceIfGranted,   NoAction},
        {Ack,               SoftState,      KeepMark,    SilenceIfGranted,   NoAction},
        {Refusal,           SoftState,      KeepMark,    SilenceIfGranted,   NoAction},
        {Bye,               SoftState,      KeepMark,    SilenceIfGranted,   NoAction},
        {ByeResponse,       SoftState,      KeepMark,    SilenceIfGranted,   NoAction},
        {Cancel,            SoftState,      KeepMark,    SilenceIfGranted,   NoAction},
        {StandaloneRequest, SoftState,      KeepMark,    SilenceIfGranted,   NoAction},
        {SoftStateRequest,  SoftState,      KeepMark,    KeepDeadline,       RefreshSoftState},
        {SoftStateRefresh,  SoftState,      KeepMark,    KeepDeadline,       RefreshSoftState},
        {Notify,            SoftState,      KeepMark,    KeepDeadline,       NoAction},
        {NotifyTerminated,  Ended,          NoMark,      KeepDeadline,       NoAction},
        {Provisional,       SoftState,      KeepMark,    SilenceIfGranted,   NoAction},
        {Success,           SoftState,      KeepMark,    SilenceIfGranted,   NoAction},
        {SoftStateSuccess,  SoftState,      NoMark,      KeepDeadline,       GrantSoftState},
        {SoftStateResponse, Refused,        NoMark,      KeepDeadline,       RefuseSoftState},
        {NotifyResponse,    SoftState,      KeepMark,    KeepDeadline,       NoAction},
        {OtherResponse,     SoftState,      KeepMark,    SilenceIfGranted,   NoAction},
    }}},
    {Refused, {{
        {Invite,            Ringing,        OfBranch,    ForCall,            TryAgain},
        {InDialogRequest,   Answered,       OfDialog,    ForCall,            NoAction},
        {Update,            Answered,       OfDialog,    ForCall,            NoAction},
        {OtherRequest,      Refused,        KeepMark,    ForCall,            NoAction},
        {Ack,               Refused,        KeepMark,    ForCall,            NoAction},
        {Refusal,           Refused,        NoMark,      ForCall,            RefuseBranch},
        {Bye,               Ended,          OfDialog,    ForCall,            NoAction},
        {ByeResponse,       Refused,        KeepMark,    KeepDeadline,       NoAction},
        {Cancel,            Refused,        KeepMark,    ForCall,            NoteCanceledBranch},
        {StandaloneRequest, Refused,        KeepMark,    AtLeastTransaction, NoAction},
        {SoftStateRequest,  SoftState,      KeepMark,    KeepDeadline,       RequestSoftState},
        {SoftStateRefresh,  Refused,        KeepMark,    ForCall,            NoAction},
        {Notify,            Refused,        KeepMark,    AtLeastTransaction, NoAction},
        {NotifyTerminated,  Refused,        KeepMark,    AtLeastTransaction, NoAction},
        {Provisional,       Refused,        KeepMark,    ForCall,            NoAction},
        {Success,           Answered,       OfDialog,    ForCall,            NoAction},
        {SoftStateSuccess,  SoftState,      NoMark,      KeepDeadline,       GrantSoftState},
        {SoftStateResponse, Refused,        KeepMark,    KeepDeadline,       NoAction},
        {NotifyResponse,    Refused,        KeepMark,    KeepDeadline,       NoAction},
        {OtherResponse,     Refused,        KeepMark,    KeepDeadline,       NoAction},
    }}},
    {PendingRequest, {{
        {Invite,            PendingRequest, KeepMark,    ForCall,            NoAction},
        {InDialogRequest,   Answered,       OfDialog,    ForCall,            NoAction},
        {Update,            PendingRequest, KeepMark,    ForCall,            NoAction},
        {OtherRequest,      PendingRequest, KeepMark,    ForCall,            NoAction},
        {Ack,               Answered,       OfDialog,    ForCall,            NoAction},
        {Refusal,           PendingRequest, KeepMark,    ForCall,            NoteLateRefusal},
        {Bye,               Ended,          OfDialog,    ForCall,            NoAction},
        {ByeResponse,       Ended,          OfDialog,    ForCall,            NoAction},
        {Cancel,            PendingRequest, KeepMark,    ForCall,            NoteCanceledBranch},
        {StandaloneRequest, PendingRequest, KeepMark,    ForCall,            NoAction},
        {SoftStateRequest,  SoftState,      KeepMark,    KeepDeadline,       RequestSoftState},
        {SoftStateRefresh,  SoftState,      KeepMark,    KeepDeadline,       RequestSoftState},
        {Notify,            PendingRequest, KeepMark,    ForCall,            NoAction},
        {NotifyTerminated,  PendingRequest, KeepMark,    ForCall,            NoAction},
        {Provisional,       PendingRequest, KeepMark,    ForCall,            NoAction},
        {Success,           Answered,       OfDialog,    ForCall,            NoAction},
        {SoftStateSuccess,  PendingRequest, KeepMark,    KeepDeadline,       NoAction},
        {SoftStateResponse, PendingRequest, KeepMark,    KeepDeadline,       NoAction},
        {NotifyResponse,    PendingRequest, KeepMark,    ForCall,            NoAction},
        {OtherResponse,     PendingRequest, KeepMark,    ForCall,            NoAction},
    }}},
}};
// clang-format on

constexpr bool differ(const Transition& one, const Transition& other) noexcept {
    return one.next != other.next || one.mark != other.mark || one.deadline != other.deadline ||
           one.action != other.action;
}

/// Whether each state and each event has its cell, and NOTIFYs are read where cells differ.
consteval bool are_complete() {
    for (std::size_t state = 0; state < kRows.size(); ++state) {
        const StateTransitions& row = kRows[state];
        if (static_cast<std::size_t>(row.from) != state ||
            !rows_in_order(row.cells, &Transition::on))
            return false;
        const Transition& goes_on = row.cells[static_cast<std::size_t>(Notify)];
        const Transition& ends = row.cells[static_cast<std::size_t>(NotifyTerminated)];
        if (differ(goes_on, ends) != call_events::reads_subscription_state(row.from)) return false;
    }
    return true;
}
static_assert(are_complete());

} // namespace transitions

[[nodiscard]] constexpr const Transition& transition(CallState from, CallEvent event) noexcept {
    const StateTransitions& row = transitions::kRows[static_cast<std::size_t>(from)];
    return row.cells[static_cast<std::size_t>(event)];
}

} // namespace viaduct
