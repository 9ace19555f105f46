// SPDX-License-Identifier: Apache-2.0
#include "steering/call_state.hpp"

#include <algorithm>
#include <cstring>

namespace viaduct {

namespace {

std::uint64_t hash_of(std::string_view text) noexcept {
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
    if (text.size() >= sizeof(word)) { // the last eight bytes, which may overlap those read before
        std::memcpy(&word, text.data() + text.size() - sizeof(word), sizeof(word));
    } else {
        word = 0;
        for (std::size_t i = 0; i < left; ++i)
            word = word << 8 | static_cast<std::uint8_t>(at[i]);
    }
    add();
    return sum;
}

/// Distinguishes a branch or dialog from others: the bits of a Note, and those of Call::dialog.
struct Mark {
    std::uint16_t what = 0;
    std::uint8_t few = 0; ///< 0: none, a tag or the branch is missing

    static Mark of(std::uint64_t sum) noexcept {
        const auto what = static_cast<std::uint16_t>(sum * 0x9e3779b97f4a7c15U >> 40 & Note::kMask);
        return {what, Note::few_of(what)};
    }
};

/// Applies one message to one call.
class Taking {
public:
    Taking(const CallMessage& message, bool fresh, Call& call) noexcept
        : message_(message), fresh_(fresh), call_(call), calls_(message.calls),
          is_request_(message.digest.kind != PayloadKind::Response),
          method_(is_request_
                      ? message.digest.method
                      : cseq_of(message.digest, message.received.payload).value_or(CSeq{}).method) {
    }

    void run() noexcept;

private:
    // ---- lifetimes, in units of CallTime

    [[nodiscard]] std::uint16_t left() const noexcept {
        return static_cast<std::uint16_t>(std::max(0, call_.deadline.left(message_.now)));
    }
    [[nodiscard]] std::uint16_t once() const noexcept { return message_.lifetimes.once(); }
    /// `max_call`: calls are forgotten this long after their first message, active or not.
    [[nodiscard]] std::uint16_t of_a_call(bool begins) const noexcept {
        const CallLifetimes& lives = message_.lifetimes;
        if (lives.cap == 0) return lives.silence;
        return begins ? lives.cap : left();
    }
    [[nodiscard]] std::uint16_t of_an_unknown(bool begins) const noexcept {
        const bool may_last = asks_to_last() || method_ == Method::Notify;
        return may_last ? message_.lifetimes.silence : of_a_call(begins);
    }
    [[nodiscard]] std::uint16_t of_seconds(std::uint32_t seconds) const noexcept {
        return message_.lifetimes.of_seconds(seconds);
    }
    void keep_for(std::uint16_t units) noexcept { call_.deadline = message_.now.after(units); }
    void keep_at_least(std::uint16_t units) noexcept { keep_for(std::max(left(), units)); }

    // ---- properties of the message

    [[nodiscard]] bool has_to_tag() const noexcept { return message_.digest.has_to_tag; }
    [[nodiscard]] bool is_final_refusal() const noexcept {
        return !is_request_ && message_.digest.status >= 300;
    }
    [[nodiscard]] bool is_success() const noexcept {
        return !is_request_ && message_.digest.status >= 200 && message_.digest.status < 300;
    }
    /// Whether it requests soft state (REGISTER, SUBSCRIBE, ...), or answers such a request.
    [[nodiscard]] bool asks_to_last() const noexcept {
        return method_ == Method::Register || method_ == Method::Subscribe ||
               method_ == Method::Publish ||
               (method_ == Method::Refer && !(is_request_ && has_to_tag()));
    }
    [[nodiscard]] Mark branch() const noexcept {
        const std::string_view branch = top_via_branch(message_.digest, message_.received.payload);
        return branch.empty() ? Mark{} : Mark::of(hash_of(branch));
    }
    /// The mark of its dialog, whichever side sent it (RFC 3261 §12).
    [[nodiscard]] Mark dialog() const noexcept {
        const DialogTags tags = dialog_tags(message_.digest, message_.received.payload);
        if (tags.from.empty() || tags.to.empty()) return {};
        return Mark::of(hash_of(tags.from) + hash_of(tags.to));
    }
    [[nodiscard]] bool ends_subscription() const noexcept {
        return is_request_ && ends_a_subscription(message_.received.payload);
    }

    // ---- transitions

    void begin() noexcept;
    void take_unknown() noexcept;
    void take_invite() noexcept;
    void take_cancel() noexcept;
    void take_ack() noexcept;
    void take_bye() noexcept;
    void take_notify() noexcept;
    void take_asking() noexcept;
    void ask() noexcept;
    void take_answer_to_asking() noexcept;
    /// For an INVITE without To-tag that was refused; by the response, or an ACK of its branch.
    bool refuse(const Mark& branch) noexcept;
    void answer() noexcept;

    // ---- branches and dialogs in addition to the one in the call's word

    /// Dialog of an Ended call that was Unknown, and is again when a message of it is seen.
    static constexpr std::uint8_t kWasUnknown = Call::kSeveralDialogs;
    static constexpr auto kBranches = CallTable::NoteClass::Branches;
    static constexpr auto kDialogs = CallTable::NoteClass::Dialogs;
    bool note(Note::Kind kind, std::uint16_t what, std::uint16_t units) noexcept {
        return calls_.note(message_.hash, {kind, what}, message_.now.after(units), message_.now);
    }
    [[nodiscard]] std::optional<Note::Kind> noted(CallTable::NoteClass of,
                                                  const Mark& mark) const noexcept {
        return calls_.noted(message_.hash, of, mark.what, message_.now);
    }
    /// True for this exact branch, false for one with the same few bits.
    [[nodiscard]] bool is_noted(const Mark& branch) const noexcept {
        const auto kind = noted(kBranches, branch);
        return kind && *kind != Note::Kind::FewBranches;
    }
    [[nodiscard]] std::optional<Note> any(Note::Kind kind) const noexcept {
        return calls_.any_note(message_.hash, kind, message_.now);
    }

    const CallMessage& message_;
    const bool fresh_;
    Call& call_;
    CallTable calls_;
    const bool is_request_;
    const Method method_;
};

void Taking::run() noexcept {
    if (fresh_) {
        begin();
        return;
    }
    if (call_.state == CallState::Unknown) {
        take_unknown();
        return;
    }
    if (method_ == Method::Notify) {
        take_notify();
        return;
    }
    if (asks_to_last()) {
        take_asking();
        return;
    }
    if (call_.state == CallState::Refused &&
        (message_.role == MessageRole::Standalone || (!is_request_ && method_ != Method::Invite))) {
        if (is_request_) keep_at_least(once()); // standalone request of a backend, and its response
        return;
    }
    if (call_.state == CallState::SoftState) { // a call inside a subscription is not counted
        if (call_.dialog == Call::kLastingGranted) keep_at_least(message_.lifetimes.silence);
        return;
    }
    keep_for(of_a_call(false));
    switch (method_) {
    case Method::Invite:
        take_invite();
        return;
    case Method::Ack:
        take_ack();
        return;
    case Method::Bye:
        take_bye();
        return;
    case Method::Cancel:
        take_cancel();
        return;
    case Method::Update: // early dialogs have it as well (RFC 3311), but not a refused call
        if (call_.state != CallState::Refused) return;
        break;
    case Method::Prack:
    case Method::Register:
    case Method::Subscribe:
    case Method::Publish:
    case Method::Notify:
        return;
    case Method::Refer:
    case Method::Info:
    case Method::Options:
    case Method::Message:
    case Method::Other:
        break;
    }
    if (has_to_tag() && is_request_) answer();
}

/// The first message that is seen of the call.
void Taking::begin() noexcept {
    call_.dialog = 0;
    if (message_.role == MessageRole::Standalone ||
        (method_ == Method::Notify && message_.is_backends)) {
        // A standalone request of a backend, or its NOTIFY without a known subscription: remembered
        // for its response only.
        call_.state = CallState::Refused;
        keep_for(once());
        return;
    }
    if (message_.role == MessageRole::Initial) {
        if (method_ != Method::Invite) {
            ask();
            return;
        }
        call_.state = CallState::Ringing;
        call_.dialog = branch().few;
        keep_for(of_a_call(true));
        return;
    }
    // The start was not seen. The message may be forged, so the call does not count as load.
    call_.state = CallState::Unknown;
    call_.dialog = message_.is_backends ? Call::kUnknownSaid : Call::kUnknownToAll;
    if (method_ == Method::Bye || (method_ == Method::Notify && ends_subscription()))
        keep_for(once());
    else
        keep_for(of_an_unknown(true));
}

void Taking::take_unknown() noexcept {
    // The backend does not know the call (RFC 5057 §5.1): it was forged, or is over.
    const bool is_denied =
        !is_request_ && (message_.digest.status == 481 || message_.digest.status == 408);
    if (is_denied && call_.dialog == Call::kUnknownToAll) {
        keep_for(std::min(left(), once()));
        return;
    }
    if (message_.is_backends && (is_request_ || is_success())) call_.dialog = Call::kUnknownSaid;
    if (!is_request_) {
        if (method_ != Method::Subscribe || !is_success()) return;
        call_.state = CallState::SoftState; // its backend confirms it
        call_.dialog = Call::kLastingAsked;
        take_answer_to_asking();
        return;
    }
    if (message_.role == MessageRole::Initial) {
        begin();
        return;
    }
    if (message_.role == MessageRole::Standalone || method_ == Method::Notify) {
        keep_at_least(once());
        return;
    }
    keep_for(of_an_unknown(false));
    if (method_ == Method::Cancel) take_cancel();
    if (method_ != Method::Bye) return;
    call_.state = CallState::Ended;
    call_.dialog = kWasUnknown;
}

// ---- calls

void Taking::take_invite() noexcept {
    if (!is_request_) {
        if (is_success())
            answer();
        else if (is_final_refusal())
            refuse(branch());
        return;
    }
    if (has_to_tag()) {
        answer();
        return;
    }
    const Mark mine = branch();
    switch (call_.state) {
    case CallState::Refused: // a new attempt, unless it is a late copy of a refused branch
        if (mine.few != 0 && is_noted(mine)) return;
        call_.state = CallState::Ringing;
        if (call_.dialog != Call::kSeveralDialogs) call_.dialog = mine.few;
        return;
    case CallState::Ringing:  // a fork or a retransmission: cannot be told apart
    case CallState::Answered: // a late branch: its failure is not that of a second dialog
        break;
    case CallState::Unknown:
    case CallState::Ended:
    case CallState::SoftState:
    case CallState::PendingRequest:
        return;
    }
    if (mine.few == 0 || is_noted(mine)) return;
    // In nat the backend's own legs pass as well; only those of clients decide the state.
    const auto kind = message_.is_backends ? Note::Kind::PastBranch : Note::Kind::Branch;
    const bool has_room = note(kind, mine.what, message_.lifetimes.ringing + 1U);
    // The failure of a branch that is not noted cannot be told from an ACK to a success.
    if (!has_room && call_.state == CallState::Ringing && mine.few != call_.dialog)
        call_.dialog = Call::kSeveralDialogs;
}

bool Taking::refuse(const Mark& branch) noexcept {
    const std::optional<Note::Kind> before = noted(kBranches, branch);
    const bool rings = call_.state == CallState::Ringing || call_.state == CallState::Refused;
    const bool is_first = rings && branch.few == call_.dialog;
    if (!before && !is_first) return false;
    if (before == Note::Kind::PastBranch || before == Note::Kind::FewBranches) return true;
    if (branch.few != 0) note(Note::Kind::PastBranch, branch.what, once());
    if (!rings) return true;
    const bool has_others = any(Note::Kind::Branch).has_value();
    if (is_first) call_.dialog = 0;
    // It may have been another branch with the same few bits; then the first can still fail.
    if (is_first && has_others)
        note(Note::Kind::FewBranches, branch.few, message_.lifetimes.ringing + 1U);
    if (call_.dialog == 0 && !has_others) call_.state = CallState::Refused;
    return true;
}

/// A CANCEL has the branch of its INVITE (RFC 3261 §9.1), which may have passed before the call was
/// remembered: the failure that follows must not count as an answer.
void Taking::take_cancel() noexcept {
    if (!is_request_) return;
    const Mark mine = branch();
    const bool is_first = call_.state == CallState::Ringing && mine.few == call_.dialog;
    if (mine.few == 0 || is_first || noted(kBranches, mine)) return;
    note(Note::Kind::PastBranch, mine.what, once());
}

void Taking::take_ack() noexcept {
    switch (call_.state) {
    case CallState::Ringing:
    case CallState::Refused: {
        // An ACK to a failure has its INVITE's branch (RFC 3261 §17.1.1.3), and does not change a
        // refused call. Where not all branches are noted, any ACK may be one of these.
        const bool says_nothing =
            call_.state == CallState::Refused || call_.dialog == Call::kSeveralDialogs;
        if (!refuse(branch()) && !says_nothing) answer();
        return;
    }
    case CallState::Answered:
    case CallState::Ended: {
        const Mark mine = dialog();
        if (mine.few == call_.dialog || mine.few == 0) {
            answer();
            return;
        }
        const Mark branch_of = branch();
        if (branch_of.few == 0 || !refuse(branch_of)) answer();
        return;
    }
    case CallState::Unknown:
    case CallState::SoftState:
    case CallState::PendingRequest:
        break;
    }
    answer();
}

/// A message inside a dialog was seen.
void Taking::answer() noexcept {
    if (call_.state == CallState::Answered && call_.dialog == Call::kSeveralDialogs) return;
    if (call_.state == CallState::Ended && call_.dialog == kWasUnknown) {
        call_.state = CallState::Unknown;
        call_.dialog = Call::kUnknownToAll;
        return;
    }
    const Mark mine = dialog();
    if (call_.state == CallState::Ended && mine.few == call_.dialog) return; // late
    if ((call_.state == CallState::Answered || call_.state == CallState::Ended) && mine.few != 0 &&
        mine.few != call_.dialog && noted(kDialogs, mine) == Note::Kind::PastDialog)
        return; // late as well
    if (call_.state == CallState::Answered && call_.dialog != 0) {
        if (mine.few == 0 || mine.few == call_.dialog) return;
        if (!note(Note::Kind::Dialog, mine.what, of_a_call(false)))
            call_.dialog = Call::kSeveralDialogs;
        return;
    }
    // It is unknown which branch was answered: the failure of any is not a second dialog's.
    const bool is_lost = call_.dialog == Call::kSeveralDialogs;
    const bool has_others = any(Note::Kind::Branch) || any(Note::Kind::PastBranch);
    if (call_.state == CallState::Ringing && call_.dialog != 0 && (is_lost || has_others))
        note(Note::Kind::FewBranches, call_.dialog, message_.lifetimes.ringing + 1U);
    call_.state = CallState::Answered;
    call_.dialog = mine.few;
}

/// With several dialogs a BYE ends only one (RFC 3261 §15, forks: §12).
void Taking::take_bye() noexcept {
    const Mark mine = dialog();
    const bool is_another = call_.state == CallState::Answered && call_.dialog != 0 &&
                            mine.few != 0 && mine.few != call_.dialog;
    if (is_another) {
        note(Note::Kind::PastDialog, mine.what, once());
        return;
    }
    if (call_.state == CallState::Answered && mine.few != 0 && any(Note::Kind::Dialog)) {
        note(Note::Kind::PastDialog, mine.what, once());
        if (const std::optional<Note> next = any(Note::Kind::Dialog)) {
            call_.dialog = Note::few_of(next->what);
            return;
        }
    }
    if (call_.state == CallState::Ended && call_.dialog == kWasUnknown) return;
    call_.state = CallState::Ended;
    call_.dialog = mine.few;
}

// ---- soft state

void Taking::take_notify() noexcept {
    if (call_.state == CallState::SoftState) {
        if (!ends_subscription()) return;
        call_.state = CallState::Ended; // RFC 6665 §4.4.1; further subscriptions stay found
        call_.dialog = 0;
        return;
    }
    if (call_.state == CallState::Ended) return;
    if (call_.state != CallState::Refused)
        keep_for(of_a_call(false));
    else if (is_request_)
        keep_at_least(once());
}

/// A soft-state request: kept for the time it asks for; where responses pass, once granted.
void Taking::ask() noexcept {
    const bool was_lasting = !fresh_ && call_.state == CallState::SoftState;
    const bool says_how_long = method_ != Method::Refer && !message_.received.payload.empty();
    const std::uint32_t seconds = says_how_long ? asked_seconds(message_.received.payload) : 0;
    const bool ends = says_how_long && seconds == 0;
    const std::uint16_t asked = says_how_long ? of_seconds(seconds) : message_.lifetimes.silence;
    const bool was_granted = was_lasting && call_.dialog != Call::kLastingAsked;
    // A refresh that comes later than requests are repeated shows that it was accepted before.
    const bool comes_back = was_lasting && (has_to_tag() || asked - left() > once());
    call_.state = CallState::SoftState;
    if (message_.answers_pass) {
        if (was_granted)
            keep_at_least(once());
        else
            keep_for(once());
        call_.dialog = ends          ? Call::kLastingEnding
                       : was_granted ? Call::kLastingGranted
                                     : Call::kLastingAsked;
        return;
    }
    keep_for(says_how_long || !was_lasting ? asked : left());
    call_.dialog = was_granted || comes_back ? Call::kLastingGranted : Call::kLastingAsked;
}

void Taking::take_answer_to_asking() noexcept {
    if (is_success()) {
        const auto granted = granted_seconds(message_.received.payload);
        if (method_ == Method::Refer)
            keep_for(message_.lifetimes.silence);
        else if (granted)
            keep_for(of_seconds(*granted));
        else if (call_.dialog == Call::kLastingAsked)
            keep_for(of_seconds(kUsualExpires));
        else if (call_.dialog == Call::kLastingEnding)
            keep_for(std::min(left(), once()));
        call_.dialog = Call::kLastingGranted;
    } else if (is_final_refusal() && call_.dialog == Call::kLastingAsked) {
        call_.state = CallState::Refused; // it may be asked again, with credentials
        call_.dialog = 0;
        keep_for(once());
    }
}

void Taking::take_asking() noexcept {
    // A call that an INVITE started goes on, whatever else is requested in it.
    const bool is_calls = call_.state == CallState::Ringing || call_.state == CallState::Answered ||
                          (call_.state == CallState::Refused && has_to_tag());
    if (is_calls)
        keep_for(of_a_call(false));
    else if (is_request_)
        ask();
    else if (call_.state == CallState::SoftState)
        take_answer_to_asking();
}

} // namespace

bool begins_anew(const CallMessage& message, const Call& call) noexcept {
    if (message.role != MessageRole::Initial || call.state != CallState::Ended) return false;
    if (message.digest.method != Method::Invite) return true;
    const std::string_view branch = top_via_branch(message.digest, message.received.payload);
    if (branch.empty()) return true;
    return !message.calls.noted(
        message.hash, CallTable::NoteClass::Branches, Mark::of(hash_of(branch)).what, message.now);
}

void apply(const CallMessage& message, bool fresh, Call& call) noexcept {
    Taking(message, fresh, call).run();
}

} // namespace viaduct
