// SPDX-License-Identifier: Apache-2.0
#include "call_state.hpp"

#include <algorithm>
#include <cstring>

namespace viaduct {

namespace {

/// A few bits of a text, 1 to 14: what Call::dialog holds.
std::uint8_t few_bits(std::uint64_t word) noexcept {
    return static_cast<std::uint8_t>(1 + (word * 0x9e3779b97f4a7c15U >> 40) % 14);
}
std::uint64_t sum_of(std::string_view text) noexcept {
    constexpr std::uint64_t kFactor = 0x9e3779b97f4a7c15U;
    std::uint64_t sum = text.size();
    const char* at = text.data();
    std::size_t left = text.size();
    std::uint64_t word = 0;
    const auto add = [&] { sum = (sum ^ word) * kFactor, sum ^= sum >> 32; };
    for (; left > sizeof(word); at += sizeof(word), left -= sizeof(word)) {
        std::memcpy(&word, at, sizeof(word));
        add();
    }
    if (text.size() >= sizeof(word)) { // the last eight, whatever of them was there before
        std::memcpy(&word, text.data() + text.size() - sizeof(word), sizeof(word));
    } else {
        word = 0;
        for (std::size_t i = 0; i < left; ++i)
            word = word << 8 | static_cast<std::uint8_t>(at[i]);
    }
    add();
    return sum;
}
/// Of the dialog a message is in, whichever side sent it (RFC 3261 §12); 0: a tag is missing.
std::uint8_t dialog_of(const CallMessage& message) noexcept {
    const DialogTags tags = dialog_tags(message.digest, message.arrival.payload);
    if (tags.from.empty() || tags.to.empty()) return 0;
    return few_bits(sum_of(tags.from) + sum_of(tags.to));
}

/// Without a word from it: a registration, subscription or publication lives as long as it asks
/// for, and its NOTIFYs change nothing of that. `max_call` is of calls: they end so long after
/// their first message, whatever comes.
std::uint16_t
silence(const CallMessage& message, const Call& call, Method method, bool fresh) noexcept {
    const CallLifetimes& lives = message.lifetimes;
    const SipDigest& digest = message.digest;
    if (message.role == MessageRole::OneShot && (fresh || call.state == CallState::Failed))
        return std::min<std::uint16_t>(lives.silence, lives.transaction + 1U);
    const auto left = static_cast<std::uint16_t>(std::max(0, call.deadline.left(message.now)));
    const bool answers_one_shot =
        digest.kind == PayloadKind::Response &&
        (method == Method::Options || method == Method::Message || method == Method::Other);
    if (!fresh && call.state == CallState::Failed && answers_one_shot) return left;
    const bool lasts = method == Method::Register || method == Method::Subscribe ||
                       method == Method::Publish || method == Method::Notify ||
                       method == Method::Refer;
    const bool is_refer_in_dialog = method == Method::Refer && digest.has_to_tag;
    const bool is_lasting = fresh ? lasts && !is_refer_in_dialog : call.state == CallState::Lasting;
    if (lives.cap != 0 && !is_lasting) return fresh ? lives.cap : left;
    if (lives.unit_seconds == 0 || !lasts || (!fresh && !is_lasting)) return lives.silence;
    const bool asks =
        digest.kind == PayloadKind::Request && !message.arrival.payload.empty() &&
        (method == Method::Register || method == Method::Subscribe || method == Method::Publish);
    if (asks) {
        const std::uint32_t units = asked_seconds(message.arrival.payload) / lives.unit_seconds;
        return static_cast<std::uint16_t>(
            std::min<std::uint32_t>(lives.silence, units + 1 + lives.transaction));
    }
    return fresh ? lives.silence : left;
}

} // namespace

void take_message(const CallMessage& message, bool fresh, Call& call) noexcept {
    const SipDigest& digest = message.digest;
    const bool request = digest.kind != PayloadKind::Response;
    const Method method =
        request ? digest.method : cseq_of(digest, message.arrival.payload).value_or(CSeq{}).method;
    // Tags and branch are read where they are compared: most messages of a known call need neither.
    const auto branch_bits = [&] {
        const std::string_view branch = top_via_branch(digest, message.arrival.payload);
        return branch.empty() ? std::uint8_t{0} : few_bits(sum_of(branch));
    };
    call.deadline = message.now.after(silence(message, call, method, fresh));

    // What a backend asks once: for its answer alone.
    if (fresh && message.role == MessageRole::OneShot) call.state = CallState::Failed;
    if (method == Method::Invite && message.role == MessageRole::Starter) {
        if (!fresh && call.state != CallState::Ringing && call.state != CallState::Failed) return;
        // Nobody repeats an INVITE that was refused: it is another try. Its branch tells the ACK to
        // its failure from the one to its success.
        call.state = CallState::Ringing;
        call.dialog = branch_bits();
        return;
    }
    const auto answered = [&] { // something inside a dialog was seen
        if (call.state == CallState::Answered && call.dialog == Call::kSeveralDialogs) return;
        const std::uint8_t dialog = dialog_of(message);
        if (call.state == CallState::Ended && dialog == call.dialog) return; // late
        if (call.state != CallState::Answered || call.dialog == 0)
            call.dialog = dialog;
        else if (dialog != 0 && dialog != call.dialog)
            call.dialog = Call::kSeveralDialogs;
        call.state = CallState::Answered;
    };
    // Of a call that nobody knows anybody may send something: it rings until its next message, and
    // so makes room, and is no load for longer than a call rings.
    const bool may_be_made_up = fresh && message.role == MessageRole::Belongs &&
                                method != Method::Bye && method != Method::Notify &&
                                method != Method::Subscribe;
    if (may_be_made_up) return;
    switch (method) {
    case Method::Register:
    case Method::Subscribe:
    case Method::Publish:
    case Method::Notify:
        if (fresh) call.state = CallState::Lasting;
        return;
    case Method::Refer: // inside a dialog it is most often an INVITE's
        if (!digest.has_to_tag) {
            if (fresh) call.state = CallState::Lasting;
            return;
        }
        break;
    case Method::Invite:
        if (!request && (digest.status < 200 || digest.status >= 300)) return;
        answered();
        return;
    case Method::Ack:
        // An ACK to a failure has the branch of its INVITE (RFC 3261 §17.1.1.3).
        if ((call.state == CallState::Ringing || call.state == CallState::Failed) && !fresh &&
            branch_bits() == call.dialog) {
            call.state = CallState::Failed;
            return;
        }
        // Behind a proxy in nat each leg has an ACK of its own to one failure.
        if (call.state == CallState::Failed && !fresh) return;
        answered();
        return;
    case Method::Bye: {
        const std::uint8_t dialog = dialog_of(message);
        // Of several dialogs the first BYE ends one only (RFC 3261 §15, forks: §12).
        const bool another = call.state == CallState::Answered && call.dialog != 0 && dialog != 0 &&
                             dialog != call.dialog;
        if (another) return;
        call.state = CallState::Ended;
        call.dialog = dialog;
        return;
    }
    case Method::Cancel:
    case Method::Prack:
    case Method::Update:
        return;
    case Method::Info:
    case Method::Options:
    case Method::Message:
    case Method::Other:
        break;
    }
    if (digest.has_to_tag && request && call.state != CallState::Lasting) answered();
}

} // namespace viaduct
