// SPDX-License-Identifier: Apache-2.0
//
// "Calls that a backend starts" of docs/steering.md, against the decisions about messages of nat
// backends for every combination of facts.
#include "steer_facts.hpp"
#include "steering/decide.hpp"

#include <array>
#include <gtest/gtest.h>
#include <string>

namespace viaduct::test {

namespace {

constexpr BackendId kSender{1};
constexpr BackendId kOther{2};

bool takes(BackendLife life, MessageRole role) {
    return life == BackendLife::Serves ||
           (life == BackendLife::Silent && role == MessageRole::InCall);
}

Facts sent(MessageRole role, SlotState state, BackendId owner, bool tracks_all, bool other_side) {
    Facts facts{};
    facts.role = role;
    facts.is_request = facts.is_backends = facts.has_table = facts.health_known = true;
    facts.slot_state = state;
    facts.now = owner;
    facts.tracks_all_calls = tracks_all;
    facts.is_other_side = other_side;
    return facts;
}

/// "Each binds its call to that backend, unless the slots lead there anyway." A call that is in
/// progress at another backend stays there, unless its entry may be forged.
void check_outgoing(Facts facts, CallState state, bool is_senders, BackendLife life, bool said) {
    const std::uint8_t mark = said ? Call::kBackendConfirmed : Call::kUnconfirmed;
    facts.call = call_at(is_senders ? kSender : kOther, state, mark);
    facts.call_life = life;
    const bool may_be_forged = state == CallState::Unknown && !said;
    const Choice choice = decide_outgoing(facts, kSender);
    if (takes(life, facts.role) && !is_senders && !may_be_forged) {
        EXPECT_EQ(choice, Choice{}) << "it stays at its backend";
        return;
    }
    EXPECT_EQ(choice.backend, kSender);
    EXPECT_EQ(choice.rule, SteerRule::Caller);
    const bool goes_on = is_senders && takes(life, facts.role);
    EXPECT_EQ(choice.write, goes_on ? Write::Touch : Write::Remember);
}

template <typename Check> void each_outgoing(Check check) {
    for (const MessageRole role : kRoles)
        for (const SlotState state : kSlotStates)
            for (const BackendId owner : {kSender, kOther})
                for (const bool tracks_all : kBools)
                    for (const bool other_side : kBools)
                        check(sent(role, state, owner, tracks_all, other_side));
}

} // namespace

TEST(DecideOutgoing, BindsACallToItsSenderUnlessTheSlotsLeadThere) {
    each_outgoing([](const Facts& facts) {
        const bool leads_there = facts.now == kSender && facts.slot_state == SlotState::Settled &&
                                 !facts.tracks_all_calls && !facts.is_other_side;
        const Choice choice = decide_outgoing(facts, kSender);
        EXPECT_EQ(choice.write, leads_there ? Write::Nothing : Write::Remember);
        EXPECT_EQ(choice.backend.has_value(), !leads_there);
    });
}

TEST(DecideOutgoing, KeepsACallInProgressWhereItIs) {
    each_outgoing([](const Facts& facts) {
        if (slot_leads_to(facts, kSender)) return; // not looked up
        for (const CallState state : kCallStates)
            for (const bool is_senders : kBools)
                for (const BackendLife life : kLives)
                    for (const bool said : kBools)
                        check_outgoing(facts, state, is_senders, life, said);
    });
}

TEST(DecideOutgoing, StartsAnEndedCallAgain) {
    Facts facts =
        sent(MessageRole::Initial, SlotState::Moved, kSender, /*tracks_all=*/false, false);
    facts.call = call_at(kOther, CallState::Ended);
    facts.call_life = BackendLife::Serves;
    facts.starts_again = true;
    EXPECT_EQ(decide_outgoing(facts, kSender).write, Write::Remember);
}

TEST(DecideOutgoing, LeavesAClientsRequestThatIsSentOnAlone) {
    each_outgoing([](Facts facts) {
        facts.asker = Owner{kSender, BackendLife::Serves};
        EXPECT_EQ(decide_outgoing(facts, kSender), Choice{});
    });
}

/// The final response changes what may still change by it, at its own backend only.
TEST(DecideAnswer, AppliesToTheCallsOfItsSender) {
    EXPECT_EQ(decide_answer(Facts{}, kSender), Choice{});
    for (const CallState state : kCallStates)
        for (const bool is_senders : kBools) {
            Facts facts{};
            facts.call = call_at(is_senders ? kSender : kOther, state);
            const bool is_settled = state == CallState::Answered || state == CallState::Ended ||
                                    state == CallState::PendingRequest;
            EXPECT_EQ(decide_answer(facts, kSender).write,
                      is_senders && !is_settled ? Write::Touch : Write::Nothing);
        }
}

/// "Messages from the callee go to the caller"; "answered with 481 when no other end of that call
/// is known, or when the other end is down. In the second case, on_dead_owner = drop ends it as
/// dead_owner instead."
TEST(DecideBack, GoesToTheCallerOrNowhere) {
    for (const MessageRole role : kRoles)
        for (const OnDeadOwner policy :
             {OnDeadOwner::Resteer, OnDeadOwner::Keep, OnDeadOwner::Drop, OnDeadOwner::Reject})
            for (const bool has_answer : kBools)
                for (const bool is_known : kBools)
                    for (const BackendLife life : kLives) {
                        Facts facts{};
                        facts.role = role;
                        facts.is_request = true;
                        facts.method = has_answer ? Method::Info : Method::Ack;
                        facts.on_dead_owner = policy;
                        if (is_known) facts.call = call_at(kOther, CallState::Answered);
                        facts.call_life = life;
                        const Choice choice = decide_back(facts, kSender);
                        EXPECT_EQ(choice.write, Write::Nothing);
                        const bool is_taken = is_known && takes(life, MessageRole::InCall);
                        if (role != MessageRole::InCall) {
                            EXPECT_EQ(choice.backend, kSender) << "it calls itself";
                        } else if (is_taken) {
                            EXPECT_EQ(choice.backend, kOther);
                        } else if (has_answer && (!is_known || policy != OnDeadOwner::Drop)) {
                            EXPECT_EQ(choice.refusal, Outcome::Rejected);
                        } else {
                            EXPECT_EQ(choice.refusal,
                                      is_known ? Outcome::DeadOwner : Outcome::BackendToVip);
                        }
                        EXPECT_EQ(choice.backend.has_value(),
                                  is_taken || role != MessageRole::InCall);
                    }
}

} // namespace viaduct::test
