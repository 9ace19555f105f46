// SPDX-License-Identifier: Apache-2.0
//
// call_transitions: every cell of the table of transitions in docs/steering.md: real messages are
// applied to a call in that state, and state, mark, deadline and notes must be what the words say.
#include "call_trial.hpp"
#include "page_table.hpp"

#include <algorithm>
#include <array>
#include <gtest/gtest.h>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace viaduct::test {

namespace {

// ---- the table in the documentation

const std::vector<PageRow>& documented() {
    static const std::vector<PageRow> rows =
        page_table(VIADUCT_STEERING_PAGE, "| message | not known |");
    return rows;
}

/// Empty for "not known".
std::optional<CallState> state_named(std::string_view name) {
    for (const CallState state : {CallState::Unknown,
                                  CallState::Ringing,
                                  CallState::Answered,
                                  CallState::Ended,
                                  CallState::SoftState,
                                  CallState::Refused,
                                  CallState::PendingRequest})
        if (name_of(state) == name) return state;
    return std::nullopt;
}

/// The words of a cell.
struct Words {
    explicit Words(const std::string& cell) {
        std::istringstream in(cell);
        for (std::string word; in >> word;) {
            if (word.ends_with(',')) word.pop_back();
            if (const auto state = state_named(word))
                next = state;
            else
                all.insert(word);
        }
    }
    [[nodiscard]] bool has(const std::string& word) const { return all.contains(word); }
    std::optional<CallState> next;
    std::set<std::string> all;
};

// ---- what the words promise

CallState expected_state(const Words& words, const Trial& trial) {
    const bool is_refused = trial.digest.status >= 300 && !trial.conditions.was_accepted;
    if (words.has("refused") && is_refused) return CallState::Refused;
    return words.next.value_or(trial.before.state);
}

int expected_left(const Words& words, const Trial& trial) {
    const Conditions& now = trial.conditions;
    const int for_call = now.has_max_call ? now.left : kSilence;
    const bool is_denied =
        (trial.digest.status == 481 || trial.digest.status == 408) && !now.was_accepted;
    if (words.has("new")) return now.has_max_call ? kMaxCall : kSilence;
    if (words.has("call")) return for_call;
    if (words.has("silence")) return kSilence;
    if (words.has("once")) return kOnce;
    if (words.has("once+")) return std::max(now.left, kOnce);
    if (words.has("accepted")) return now.was_accepted ? kSilence : now.left;
    if (words.has("granted")) return kAskedFor;
    if (words.has("denied")) return is_denied ? std::min(now.left, kOnce) : now.left;
    if (words.has("refused") && expected_state(words, trial) == CallState::Refused) return kOnce;
    if (!words.has("asked")) return now.left;
    if (!now.answers_pass) return kAskedFor;
    const bool is_granted = trial.from == CallState::SoftState && now.was_accepted;
    return is_granted ? std::max(now.left, kOnce) : kOnce;
}

/// The mark of soft state after a request. kAskedFor is later than requests are repeated.
std::uint8_t expected_soft_mark(const Trial& trial) {
    const Conditions& now = trial.conditions;
    const bool was_known = trial.from == CallState::SoftState;
    const bool is_granted = was_known && (now.was_accepted || !now.answers_pass);
    return is_granted ? Call::kSoftStateGranted : Call::kSoftStateRequested;
}

std::uint8_t expected_mark(const Words& words, const Trial& trial) {
    const bool is_success = trial.digest.status >= 200 && trial.digest.status < 300;
    const bool is_request = trial.digest.kind == PayloadKind::Request;
    const CallState state = expected_state(words, trial);
    if (words.has("asked")) return expected_soft_mark(trial);
    if (words.has("granted")) return Call::kSoftStateGranted;
    if (words.has("refused") && state == CallState::Refused) return 0;
    if (!words.next) {
        const bool is_confirmed = trial.from == CallState::Unknown &&
                                  trial.conditions.is_backends && (is_request || is_success);
        return is_confirmed ? Call::kBackendConfirmed : trial.before.dialog;
    }
    switch (state) {
    case CallState::Unknown:
        return trial.conditions.is_backends ? Call::kBackendConfirmed : Call::kUnconfirmed;
    case CallState::Ringing:
        return branch_mark(trial.message()).few;
    case CallState::Answered:
        return dialog_mark(trial.message()).few;
    case CallState::Ended:
        if (trial.from == CallState::Unknown) return Call::kSeveralDialogs;
        return trial.from == CallState::SoftState ? 0 : dialog_mark(trial.message()).few;
    case CallState::SoftState:
    case CallState::Refused:
    case CallState::PendingRequest:
        break;
    }
    return 0;
}

/// Only what the words say is noted, and it is.
void check_notes(const Words& words, const Trial& trial) {
    using enum CallTable::NoteClass;
    Trial same(trial.conditions, trial.text);
    same.start(trial.from);
    const Mark branch = branch_mark(trial.message());
    const Mark dialog = dialog_mark(trial.message());
    std::optional<Note::Kind> of_branch = same.noted(Branches, branch);
    std::optional<Note::Kind> of_dialog;
    if (words.has("+branch"))
        of_branch = trial.conditions.is_backends ? Note::Kind::PastBranch : Note::Kind::Branch;
    if (words.has("−branch")) of_branch = Note::Kind::PastBranch;
    if (words.has("+dialog")) of_dialog = Note::Kind::Dialog;
    // The note of all branches with the same few bits as the first.
    if (words.has("+open") && branch.few == trial.before.dialog)
        of_branch = Note::Kind::FewBranches;
    EXPECT_EQ(trial.noted(Branches, branch), of_branch);
    EXPECT_EQ(trial.noted(Dialogs, dialog), of_dialog);
    const auto open = trial.own.table.any_note(kHash, Note::Kind::FewBranches, kNow);
    EXPECT_EQ(open.has_value(), words.has("+open"));
}

/// Where the end of a subscription makes no difference, it is not read.
CallEvent read_as(CallEvent event, CallState from) {
    const bool is_read = from == kNewCall || from == CallState::SoftState;
    return event == CallEvent::NotifyTerminated && !is_read ? CallEvent::Notify : event;
}

void check_cell(const std::string& cell, CallEvent event, std::optional<CallState> from) {
    const Words words(cell);
    for (const std::string& text : messages(event, from))
        for (unsigned bits = 0; bits < 32; ++bits) {
            const Conditions conditions{(bits & 1) != 0,
                                        (bits & 2) != 0,
                                        (bits & 4) != 0,
                                        (bits & 8) != 0,
                                        (bits & 16) != 0 ? 10 : 2};
            // Without a known call it is another event, which the documentation has below.
            const bool is_notify =
                event == CallEvent::Notify || event == CallEvent::NotifyTerminated;
            if (conditions.is_backends && !from && is_notify) continue;
            Trial trial(conditions, text);
            trial.start(from);
            const CallMessage message = trial.message();
            MessageFields fields(message);
            const CallState state = from.value_or(kNewCall);
            ASSERT_EQ(event_of(fields, state, trial.call.dialog), read_as(event, state)) << text;
            trial.run();
            ASSERT_EQ(trial.call.state, expected_state(words, trial)) << text;
            ASSERT_EQ(trial.call.deadline.left(kNow), expected_left(words, trial)) << text;
            ASSERT_EQ(trial.call.dialog, expected_mark(words, trial)) << text;
            check_notes(words, trial);
        }
}

} // namespace

TEST(CallTransitions, AreThoseOfTheDocumentation) {
    ASSERT_EQ(documented().size(), 1 + count_of<CallEvent>());
    const std::vector<std::string>& states = documented().front().cells;
    const std::set<std::string> names(states.begin(), states.end());
    constexpr auto kFirstState = static_cast<std::size_t>(kFirstCallState);
    constexpr std::size_t kStates = 2 + count_of<CallState, kFirstState>(); // unknown, not known
    EXPECT_EQ(names.size(), kStates);
    for (std::size_t event = 0; event < count_of<CallEvent>(); ++event) {
        const PageRow& row = documented()[1 + event];
        ASSERT_EQ(row.cells.size(), states.size()) << row.message;
        for (std::size_t column = 0; column < states.size(); ++column) {
            SCOPED_TRACE(row.message + ", " + states[column] + ": " + row.cells[column]);
            const auto from = state_named(states[column]);
            ASSERT_EQ(from.has_value(), states[column] != "not known");
            check_cell(row.cells[column], static_cast<CallEvent>(event), from);
        }
    }
}

/// Messages that do not change the state although another message of the same event does.
TEST(CallTransitions, AreNotMadeByMessagesOfOtherBranchesAndDialogs) {
    struct Exception {
        CallState state;
        std::string text;
        std::optional<std::pair<Note::Kind, Mark>> known;
    };
    using enum CallState;
    const auto open = std::pair(Note::Kind::Branch, Trial::mark(kSecond));
    const auto past = std::pair(Note::Kind::PastDialog, Trial::mark(kOther, kSecond));
    for (const Exception& one : {
             Exception{Answered, asks("BYE", kOther, kSecond), {}},
             Exception{Answered, answers(200, "BYE", kOther, kSecond), {}},
             Exception{Ended, asks("INFO", kOther, kFirst), {}},
             Exception{Ended, asks("INFO", kOther, kSecond), past},
             Exception{Ended, asks("ACK", kOther, kSecond), past},
             Exception{Ended, answers(200, "INVITE", kOther, kSecond), past},
             Exception{Ringing, asks("ACK", kFirst, kFirst), open},
             Exception{Ringing, answers(486, "INVITE", kSecond, kFirst), open},
             Exception{Ringing, answers(486, "INVITE", kOther, kFirst), {}},
             Exception{Refused, asks("INVITE", kFirst, ""), {}},
             Exception{Unknown, answers(200, "REGISTER", kOther, kFirst), {}},
         }) {
        Trial trial({}, one.text);
        trial.start(one.state);
        if (one.known) trial.note(one.known->first, one.known->second);
        trial.run();
        EXPECT_EQ(trial.call.state, one.state) << name_of(one.state) << "\n" << one.text;
    }
}

TEST(CallTransitions, OfAnAnsweredCallWithoutADialogTakeTheFirstOne) {
    for (const std::string& text : {asks("INFO", kOther, kSecond),
                                    asks("ACK", kOther, kSecond),
                                    answers(200, "INVITE", kOther, kSecond)}) {
        Trial trial({}, text);
        trial.start(CallState::Answered);
        trial.call.dialog = 0;
        trial.run();
        EXPECT_EQ(trial.call.state, CallState::Answered);
        EXPECT_EQ(trial.call.dialog, Trial::mark(kOther, kSecond).few);
    }
}

TEST(CallTransitions, AreTestedWithMarksThatDiffer) {
    std::set<int> few{0, Call::kUnconfirmed, Call::kBackendConfirmed, Call::kSoftStateEnding};
    const std::size_t fixed = few.size();
    for (const std::string_view branch : {kFirst, kSecond, kCanceled, kOther, kFailed})
        few.insert(Trial::mark(branch).few);
    for (const std::string_view tag : {kFirst, kSecond})
        few.insert(Trial::mark(kOther, tag).few);
    EXPECT_EQ(few.size(), fixed + 7);
}

TEST(CallTransitions, OfAnUnknownCallThatEndedLeadBackToUnknown) {
    const auto after = [](const std::string& text) {
        Trial trial({}, text);
        trial.start(CallState::Ended);
        trial.call.dialog = Call::kSeveralDialogs;
        trial.run();
        return trial.call;
    };
    EXPECT_EQ(after(asks("BYE", kOther, kFirst)).state, CallState::Ended);
    EXPECT_EQ(after(asks("BYE", kOther, kFirst)).dialog, Call::kSeveralDialogs);
    EXPECT_EQ(after(answers(200, "BYE", kOther, kFirst)).dialog, Call::kSeveralDialogs);
    EXPECT_EQ(after(asks("INFO", kOther, kFirst)).state, CallState::Unknown);
    EXPECT_EQ(after(asks("INFO", kOther, kFirst)).dialog, Call::kUnconfirmed);
}

TEST(CallTransitions, OfABackendsNotifyWithoutSubscriptionAreForItsAnswerOnly) {
    for (const char* state : {"active", "terminated"}) {
        Trial trial({.is_backends = true}, notifies(state));
        trial.start(std::nullopt);
        trial.run();
        EXPECT_EQ(trial.call.state, CallState::Refused);
        EXPECT_EQ(trial.call.deadline.left(kNow), kOnce);
    }
}

} // namespace viaduct::test
