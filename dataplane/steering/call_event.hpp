// SPDX-License-Identifier: Apache-2.0
//
// call_event: what a message means to its call, as far as the state of the call makes it necessary
// to know.
//
// In:    one message, and the call before it.
// Out:   a CallEvent, a column of the transition table (call_transitions.hpp).
// Cost:  a table look-up; inline, because it is less than a function call. The branch and tags of
//        an ACK and the Subscription-State of a NOTIFY are read only in the states in which they
//        make a difference.
// Spec:  RFC 3261 §12, §15, §17.1.1.3; RFC 6665 §4.4.1; docs/steering.md.
#pragma once

#include "steering/call_message.hpp"

#include "viaduct/closed_set.hpp"

#include <array>

namespace viaduct {

/// "Inside": with a To-tag.
enum class CallEvent : std::uint8_t {
    Invite,            ///< an INVITE outside a dialog
    InDialogRequest,   ///< inside: INVITE, INFO, REFER, OPTIONS, MESSAGE, or an unknown method
    Update,            ///< an UPDATE inside; early dialogs have it as well (RFC 3311)
    OtherRequest,      ///< PRACK; UPDATE or INFO outside; an ACK to a success or a failure
    Ack,               ///< an ACK that is not known to be to a failure
    Refusal,           ///< a final failure response to an INVITE, or the ACK to one
    Bye,               ///< a BYE
    ByeResponse,       ///< a response to a BYE
    Cancel,            ///< a CANCEL
    StandaloneRequest, ///< outside: OPTIONS, MESSAGE, or an unknown method
    SoftStateRequest,  ///< outside: REGISTER, SUBSCRIBE, PUBLISH or REFER
    SoftStateRefresh,  ///< inside: REGISTER, SUBSCRIBE or PUBLISH
    Notify,            ///< a NOTIFY
    NotifyTerminated,  ///< a NOTIFY that ends its subscription
    Provisional,       ///< a provisional response to an INVITE
    Success,           ///< a 2xx response to an INVITE
    SoftStateSuccess,  ///< a 2xx response to REGISTER, SUBSCRIBE, PUBLISH or REFER
    SoftStateResponse, ///< any other response to them
    NotifyResponse,    ///< a response to a NOTIFY
    OtherResponse,     ///< a response to any other request
};

/// In place of a state: the call is not known yet, or starts again. No CallState has this value.
inline constexpr CallState kNewCall{1};
static_assert(!is_enumerator<kNewCall>());

namespace call_events {

using enum CallEvent;

/// The events of a request. ACK and NOTIFY depend on the state of the call as well.
struct RequestEvents {
    Method method;
    CallEvent outside; ///< without To-tag
    CallEvent inside;  ///< with To-tag
};

/// The events of a response to it.
struct ResponseEvents {
    Method method;
    CallEvent success; ///< 2xx
    CallEvent refusal; ///< any other final response
    CallEvent other;
};

// clang-format off
inline constexpr std::array<RequestEvents, count_of<Method>()> kOfRequests{{
    {Method::Other,     StandaloneRequest, InDialogRequest},
    {Method::Invite,    Invite,            InDialogRequest},
    {Method::Ack,       Ack,               Ack},
    {Method::Bye,       Bye,               Bye},
    {Method::Cancel,    Cancel,            Cancel},
    {Method::Register,  SoftStateRequest,  SoftStateRefresh},
    {Method::Options,   StandaloneRequest, InDialogRequest},
    {Method::Prack,     OtherRequest,      OtherRequest},
    {Method::Subscribe, SoftStateRequest,  SoftStateRefresh},
    {Method::Notify,    Notify,            Notify},
    {Method::Publish,   SoftStateRequest,  SoftStateRefresh},
    {Method::Info,      OtherRequest,      InDialogRequest},
    {Method::Refer,     SoftStateRequest,  InDialogRequest},
    {Method::Message,   StandaloneRequest, InDialogRequest},
    {Method::Update,    OtherRequest,      Update},
}};

// There is no response to ACK: one that is made up counts like the ACK.
inline constexpr std::array<ResponseEvents, count_of<Method>()> kOfResponses{{
    {Method::Other,     OtherResponse,     OtherResponse,      OtherResponse},
    {Method::Invite,    Success,           Refusal,            Provisional},
    {Method::Ack,       Ack,               Ack,                Ack},
    {Method::Bye,       ByeResponse,       ByeResponse,        ByeResponse},
    {Method::Cancel,    OtherResponse,     OtherResponse,      OtherResponse},
    {Method::Register,  SoftStateSuccess,  SoftStateResponse,  SoftStateResponse},
    {Method::Options,   OtherResponse,     OtherResponse,      OtherResponse},
    {Method::Prack,     OtherResponse,     OtherResponse,      OtherResponse},
    {Method::Subscribe, SoftStateSuccess,  SoftStateResponse,  SoftStateResponse},
    {Method::Notify,    NotifyResponse,    NotifyResponse,     NotifyResponse},
    {Method::Publish,   SoftStateSuccess,  SoftStateResponse,  SoftStateResponse},
    {Method::Info,      OtherResponse,     OtherResponse,      OtherResponse},
    {Method::Refer,     SoftStateSuccess,  SoftStateResponse,  SoftStateResponse},
    {Method::Message,   OtherResponse,     OtherResponse,      OtherResponse},
    {Method::Update,    OtherResponse,     OtherResponse,      OtherResponse},
}};
// clang-format on
static_assert(rows_in_order(kOfRequests, &RequestEvents::method));
static_assert(rows_in_order(kOfResponses, &ResponseEvents::method));

/// Whether the branch of the ACK is one that was, or may have been, refused (RFC 3261 §17.1.1.3).
inline bool acknowledges_refusal(MessageFields& fields, std::uint8_t dialog) noexcept {
    return fields.branch_note() || fields.branch().few == dialog;
}

inline CallEvent event_of_ack(MessageFields& fields, CallState from, std::uint8_t dialog) noexcept {
    switch (from) {
    case CallState::Ringing:
        if (acknowledges_refusal(fields, dialog)) return Refusal;
        // Where not all branches are noted, any ACK may be to a refusal.
        return dialog == Call::kSeveralDialogs ? OtherRequest : Ack;
    case CallState::Refused:
        if (!fields.is_request()) return OtherResponse;
        return acknowledges_refusal(fields, dialog) ? Refusal : Ack;
    case CallState::Answered:
    case CallState::Ended:
        if (fields.dialog().few == dialog || fields.dialog().few == 0) return Ack;
        return fields.branch().few != 0 && fields.branch_note() ? Refusal : Ack;
    case CallState::Unknown:
        return fields.is_request() ? Ack : OtherResponse;
    case CallState::SoftState:
    case CallState::PendingRequest:
        break;
    }
    return Ack;
}

/// Whether it matters in this state that a NOTIFY ends its subscription. call_transitions.hpp
/// checks that it is so in no other.
constexpr bool reads_subscription_state(CallState from) noexcept {
    return from == kNewCall || from == CallState::SoftState;
}

inline CallEvent event_of_notify(const MessageFields& fields, CallState from) noexcept {
    // Without a known subscription it is a request like any other of a backend.
    if (from == kNewCall && fields.message.is_backends) return StandaloneRequest;
    if (!reads_subscription_state(from)) return Notify;
    return ends_a_subscription(fields.message.received.payload) ? NotifyTerminated : Notify;
}

/// The event, as far as it does not depend on the state of the call.
inline CallEvent event_of(const MessageFields& fields) noexcept {
    const auto method = static_cast<std::size_t>(fields.method());
    if (fields.is_request())
        return fields.has_to_tag() ? kOfRequests[method].inside : kOfRequests[method].outside;
    if (fields.is_success()) return kOfResponses[method].success;
    return fields.is_final_refusal() ? kOfResponses[method].refusal : kOfResponses[method].other;
}

} // namespace call_events

/// `from`, `dialog`: of the call before the message.
[[nodiscard]] inline CallEvent
event_of(MessageFields& fields, CallState from, std::uint8_t dialog) noexcept {
    const CallEvent event = call_events::event_of(fields);
    if (event == CallEvent::Ack) return call_events::event_of_ack(fields, from, dialog);
    if (event == CallEvent::Notify) return call_events::event_of_notify(fields, from);
    return event;
}

} // namespace viaduct
