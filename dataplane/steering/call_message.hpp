// SPDX-License-Identifier: Apache-2.0
//
// call_message: a message as its remembered call sees it, and the fields that distinguish branches
// and dialogs.
//
// In:    one message of a call, read completely or with kWantForCalls.
// Out:   method, branch and dialog. A field is read when it is first needed, and once.
// Cost:  CSeq for responses; else nothing until a field is requested.
// Spec:  RFC 3261 §8.1.1.7 (branch), §12 (dialog).
#pragma once

#include "viaduct/sip/digest.hpp"
#include "viaduct/snapshot.hpp"
#include "viaduct/steering/keys.hpp"
#include "viaduct/steering/steer.hpp"

namespace viaduct {

/// A message as its call sees it.
struct CallMessage {
    const CallLifetimes& lifetimes;
    const SipDigest& digest;         ///< complete, or read with kWantForCalls
    const ReceivedMessage& received; ///< in the second case with the payload
    MessageRole role;
    CallTime now;
    CallTable calls{}; ///< where branches and dialogs of the call of `hash` are noted
    std::uint64_t hash = 0;
    bool is_backends = false;  ///< a nat backend sent it
    bool answers_pass = false; ///< responses are read, so grants become known
};

/// Distinguishes a branch or dialog from others: the bits of a Note, and those of Call::dialog.
struct Mark {
    std::uint16_t what = 0;
    std::uint8_t few = 0; ///< 0: none, a tag or the branch is missing
};

/// The hash of a branch or tag, for mark_of().
[[nodiscard]] std::uint64_t mark_hash(std::string_view text) noexcept;

[[nodiscard]] constexpr Mark mark_of(std::uint64_t sum) noexcept {
    const auto what = static_cast<std::uint16_t>(sum * 0x9e3779b97f4a7c15U >> 40 & Note::kMask);
    return {what, Note::few_of(what)};
}

[[nodiscard]] inline Mark branch_mark(const CallMessage& message) noexcept {
    const std::string_view branch = top_via_branch(message.digest, message.received.payload);
    return branch.empty() ? Mark{} : mark_of(mark_hash(branch));
}

/// The mark of its dialog, whichever side sent it (RFC 3261 §12).
[[nodiscard]] inline Mark dialog_mark(const CallMessage& message) noexcept {
    const DialogTags tags = dialog_tags(message.digest, message.received.payload);
    if (tags.from.empty() || tags.to.empty()) return {};
    return mark_of(mark_hash(tags.from) + mark_hash(tags.to));
}

/// The fields of a message that depend on the state of its call. Each is read when it is first
/// needed, and once.
class MessageFields {
public:
    explicit MessageFields(const CallMessage& of) noexcept
        : message(of), is_request_(of.digest.kind != PayloadKind::Response),
          method_(is_request_ ? of.digest.method
                              : cseq_of(of.digest, of.received.payload).value_or(CSeq{}).method) {}

    [[nodiscard]] bool is_request() const noexcept { return is_request_; }
    /// Of the request, or of the request that it answers.
    [[nodiscard]] Method method() const noexcept { return method_; }
    [[nodiscard]] bool has_to_tag() const noexcept { return message.digest.has_to_tag; }
    [[nodiscard]] std::uint16_t status() const noexcept { return message.digest.status; }
    [[nodiscard]] bool is_success() const noexcept {
        return !is_request_ && status() >= 200 && status() < 300;
    }
    [[nodiscard]] bool is_final_refusal() const noexcept { return !is_request_ && status() >= 300; }

    [[nodiscard]] Mark branch() noexcept {
        if (!branch_) branch_ = branch_mark(message);
        return *branch_;
    }
    [[nodiscard]] Mark dialog() noexcept {
        if (!dialog_) dialog_ = dialog_mark(message);
        return *dialog_;
    }
    /// The note of its branch, as it was before this message.
    [[nodiscard]] std::optional<Note::Kind> branch_note() noexcept {
        constexpr auto kBranches = CallTable::NoteClass::Branches;
        if (!branch_note_)
            branch_note_ = message.calls.noted(message.hash, kBranches, branch().what, message.now);
        return *branch_note_;
    }

    const CallMessage& message;

private:
    const bool is_request_;
    const Method method_;
    std::optional<Mark> branch_;
    std::optional<Mark> dialog_;
    std::optional<std::optional<Note::Kind>> branch_note_;
};

} // namespace viaduct
