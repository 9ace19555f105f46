// SPDX-License-Identifier: Apache-2.0
//
// call_trial: a remembered call in a chosen state, the messages of each event, and what one of them
// changes.
#pragma once

#include "message_builder.hpp"
#include "own_table.hpp"
#include "steering/call_event.hpp"
#include "steering/call_state.hpp"

#include <gtest/gtest.h>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace viaduct::test {

inline constexpr std::uint64_t kHash = 0x123456789abcdefU;
inline constexpr CallTime kNow{100};
inline constexpr int kSilence = 900;
inline constexpr int kMaxCall = 500;
inline constexpr int kOnce = 4;      // one transaction
inline constexpr int kAskedFor = 44; // 600 s in units of 15 s, and one transaction
// Names of branches and tags. Their marks differ in the few bits as well.
inline constexpr std::string_view kFirst = "first-0", kSecond = "second-0",
                                  kCanceled = "canceled-2", kOther = "other-1",
                                  kFailed = "failed-0";

// ---- messages

inline MessageBuilder
with(MessageBuilder message, std::string_view branch, std::string_view to_tag) {
    message.via("SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK-" + std::string(branch));
    if (to_tag.empty()) return message.to("<sip:bob@example.org>");
    return message.to_tag(std::string(to_tag));
}
inline std::string
asks(const std::string& method, std::string_view branch, std::string_view to_tag) {
    return with(request(method), branch, to_tag).set("Expires", "600").text();
}
inline std::string
answers(int status, const std::string& method, std::string_view branch, std::string_view to_tag) {
    return with(response(status, "Reason"), branch, to_tag)
        .cseq("1 " + method)
        .set("Expires", "600")
        .text();
}
inline std::string notifies(const std::string& state) {
    return with(request("NOTIFY"), kOther, kFirst).set("Subscription-State", state).text();
}

inline std::vector<std::string> each(std::initializer_list<const char*> methods,
                                     std::string_view to_tag) {
    std::vector<std::string> all;
    for (const char* method : methods)
        all.push_back(asks(method, kOther, to_tag));
    return all;
}
inline std::vector<std::string> each_answer(int status,
                                            std::initializer_list<const char*> methods) {
    std::vector<std::string> all;
    for (const char* method : methods)
        all.push_back(answers(status, method, kOther, kFirst));
    return all;
}

/// Messages of an event in a state. An answered or ended call has the dialog kFirst.
inline std::vector<std::string> messages(CallEvent event, std::optional<CallState> from) {
    using enum CallEvent;
    const bool talks = from == CallState::Answered || from == CallState::Ended;
    const std::string_view tag = talks ? kSecond : kFirst;
    const std::string_view bye = from == CallState::Ended ? kSecond : kFirst;
    switch (event) {
    case Invite:
        return {asks("INVITE", kSecond, "")};
    case InDialogRequest:
        return each({"INVITE", "INFO", "REFER", "OPTIONS", "MESSAGE", "PUNISH"}, tag);
    case Update:
        return {asks("UPDATE", kOther, tag)};
    case OtherRequest:
        return {asks("PRACK", kOther, tag), asks("UPDATE", kOther, ""), asks("INFO", kOther, "")};
    case Ack:
        return {asks("ACK", kOther, tag)};
    case Refusal:
        if (talks || from == CallState::Ringing || from == CallState::Refused)
            return {answers(486, "INVITE", kFirst, tag), asks("ACK", kFirst, tag)};
        return {answers(481, "INVITE", kFirst, tag), answers(486, "INVITE", kFirst, tag)};
    case Bye:
        return {asks("BYE", kOther, bye)};
    case ByeResponse:
        return {answers(200, "BYE", kOther, bye), answers(481, "BYE", kOther, bye)};
    case Cancel:
        return {asks("CANCEL", kCanceled, "")};
    case StandaloneRequest:
        return each({"OPTIONS", "MESSAGE", "PUNISH"}, "");
    case SoftStateRequest:
        return each({"REGISTER", "SUBSCRIBE", "PUBLISH"}, "");
    case SoftStateRefresh:
        return each({"REGISTER", "SUBSCRIBE", "PUBLISH"}, kFirst);
    case Notify:
        return {notifies("active")};
    case NotifyTerminated:
        return {notifies("terminated")};
    case Provisional:
        return {answers(180, "INVITE", kFirst, kFirst), answers(100, "INVITE", kFirst, "")};
    case Success:
        return {answers(200, "INVITE", kFirst, tag)};
    case SoftStateSuccess:
        if (from == CallState::Unknown) return each_answer(200, {"SUBSCRIBE"});
        return each_answer(200, {"REGISTER", "SUBSCRIBE", "PUBLISH"});
    case SoftStateResponse:
        return {answers(401, "REGISTER", kOther, kFirst),
                answers(481, "SUBSCRIBE", kOther, kFirst),
                answers(100, "REFER", kOther, "")};
    case NotifyResponse:
        return {answers(200, "NOTIFY", kOther, kFirst), answers(481, "NOTIFY", kOther, kFirst)};
    case OtherResponse:
        return {answers(200, "INFO", kOther, kFirst), answers(408, "OPTIONS", kOther, kFirst)};
    }
    return {};
}

// ---- a call in a state

struct Conditions {
    bool has_max_call = false;
    bool is_backends = false;
    bool answers_pass = false;
    bool was_accepted = false; ///< lasting; unknown: its backend has sent something
    int left = 0;
};

struct Trial {
    Trial(const Conditions& now, std::string of) : conditions(now), text(std::move(of)) {
        if (now.has_max_call) lives.cap = kMaxCall;
    }
    [[nodiscard]] CallMessage message() const {
        return {lives,
                digest,
                received,
                role_of(digest),
                kNow,
                own.table,
                kHash,
                conditions.is_backends,
                conditions.answers_pass};
    }
    /// Of a branch, or with a tag of a dialog.
    static Mark mark(std::string_view branch, std::string_view to_tag = {}) {
        const Trial trial({}, asks("INVITE", branch, to_tag));
        return to_tag.empty() ? branch_mark(trial.message()) : dialog_mark(trial.message());
    }
    void note(Note::Kind kind, const Mark& of) {
        ASSERT_TRUE(own.table.note(kHash, {kind, of.what}, kNow.after(9), kNow));
    }
    [[nodiscard]] std::optional<Note::Kind> noted(CallTable::NoteClass of, const Mark& mark) const {
        return own.table.noted(kHash, of, mark.what, kNow);
    }
    /// Puts the call in a state, as one branch and one dialog of it leave it.
    void start(std::optional<CallState> state) {
        from = state;
        call.state = state.value_or(CallState::Answered);
        call.deadline = kNow.after(static_cast<std::uint16_t>(conditions.left));
        if (!state) call.dialog = mark(kFailed).few; // of what was there before
        if (state == CallState::Unknown)
            call.dialog = conditions.was_accepted ? Call::kBackendConfirmed : Call::kUnconfirmed;
        if (state == CallState::SoftState)
            call.dialog =
                conditions.was_accepted ? Call::kSoftStateGranted : Call::kSoftStateRequested;
        if (state == CallState::Ringing) {
            call.dialog = mark(kFirst).few;
            note(Note::Kind::PastBranch, mark(kFailed));
        }
        if (state == CallState::Answered || state == CallState::Ended)
            call.dialog = mark(kOther, kFirst).few;
        if (state == CallState::PendingRequest) call.dialog = mark(kFailed).few;
        if (state == CallState::Answered || state == CallState::Ended ||
            state == CallState::Refused || state == CallState::PendingRequest)
            note(Note::Kind::Branch, mark(kFirst));
    }
    void run() {
        before = call;
        apply(message(), !from, call);
    }

    const Conditions conditions;
    const std::string text;
    const std::span<const std::byte> bytes = std::as_bytes(std::span(text));
    const SipDigest digest = read_digest(bytes, {.want = kWantForCalls});
    const ReceivedMessage received{bytes, {}};
    CallLifetimes lives{kSilence, 0, 13, 3, 15};
    OwnTable own{CallTable::kMinWords};
    std::optional<CallState> from;
    Call before, call;
};

} // namespace viaduct::test
