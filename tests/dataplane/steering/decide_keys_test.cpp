// SPDX-License-Identifier: Apache-2.0
//
// What docs/steering.md says of keys, of registrations that are remembered under them, and of the
// way back of responses, against decide() for every combination of facts.
#include "steer_facts.hpp"
#include "steering/decide.hpp"

#include <array>
#include <gtest/gtest.h>
#include <string>

namespace viaduct::test {

namespace {

/// Whether the request is noted at the chosen backend, so that its response finds the way back.
bool awaits(const Facts& facts, const Choice& choice) {
    return choice.backend && awaits_answer(facts, *choice.backend);
}

using Asks = Registration::Asks;

constexpr BackendId kOfCall{10};
constexpr BackendId kCurrent{20};
constexpr BackendId kRegistered{50};
constexpr BackendId kKeyOwner{60};
constexpr BackendId kAsked{80};
constexpr BackendId kElsewhere{99};

Facts request(Method method, MessageRole role) {
    Facts facts{};
    facts.health_known = facts.has_table = facts.is_request = true;
    facts.method = method;
    facts.role = role;
    facts.now = kCurrent;
    return facts;
}

std::string at(const Facts& facts) {
    return std::string(name_of(facts.slot_state)) + ", life " +
           std::to_string(static_cast<int>(facts.call_life)) + ", evacuated " +
           std::to_string(facts.is_evacuated) + ", heard " + std::to_string(facts.is_heard()) +
           ", asks " +
           (facts.registers() ? std::to_string(static_cast<int>(facts.registers()->asks)) : "-");
}

} // namespace

/// "The call is remembered under its Call-ID wherever the Call-ID alone would lead elsewhere."
TEST(DecideByKey, RemembersACallWhereItsCallIdLeadsElsewhere) {
    for (const SlotState of_call_id : kSlotStates)
        for (const SlotState of_key : kSlotStates)
            for (const bool same_owner : kBools)
                for (const bool tracks_all : kBools)
                    for (const bool is_registered : kBools) {
                        Facts facts = request(Method::Invite, MessageRole::Initial);
                        facts.slot_state = of_call_id;
                        facts.tracks_all_calls = tracks_all;
                        facts.other().key =
                            KeyFacts{1, of_key, same_owner ? kCurrent : kKeyOwner, {}};
                        if (is_registered)
                            facts.other().key->registered = Owner{kRegistered, BackendLife::Serves};
                        const Choice choice = decide(facts);
                        EXPECT_EQ(choice.rule,
                                  is_registered ? SteerRule::Registered : SteerRule::Key);
                        EXPECT_EQ(choice.backend,
                                  is_registered ? kRegistered : *facts.key()->owner);
                        const bool call_id_is_enough = of_call_id == SlotState::Settled &&
                                                       of_key != SlotState::Moved && same_owner &&
                                                       !tracks_all && !is_registered;
                        EXPECT_EQ(choice.write,
                                  call_id_is_enough ? Write::Nothing : Write::Remember);
                        EXPECT_FALSE(awaits(facts, choice)) << "it has later messages";
                    }
}

/// "A binding stays where it is until it ends. [...] When a backend drains, is removed or gets
/// weight 0, each binding moves with the next REGISTER that refreshes it. A REGISTER that removes
/// contacts, or only queries them, goes to the backend that has them. When a backend is down, its
/// REGISTERs and calls go to the current owner of the slot." In nat the answer decides.
TEST(DecideRegister, StaysWhereItsBindingIsUntilThatMustGo) {
    for (const Asks asks : {Asks::Nothing, Asks::ToBind, Asks::ToRemove, Asks::ToRemoveAll})
        for (const SlotState state : kSlotStates)
            for (const BackendLife life : kLives)
                for (const bool evacuated : kBools)
                    for (const bool heard : kBools)
                        for (const bool accepted : kBools)
                            for (const bool has_current : kBools) {
                                Facts facts = request(Method::Register, MessageRole::Initial);
                                facts.by_key = true;
                                facts.other().registers = Registration{asks, 60, 1};
                                facts.other().is_heard = heard;
                                facts.slot_state = state;
                                facts.call = call_at(
                                    kOfCall, accepted ? CallState::SoftState : CallState::Refused);
                                facts.call_life = life;
                                facts.is_evacuated = evacuated && accepted;
                                if (!has_current) facts.now.reset();
                                const bool leaves =
                                    facts.is_evacuated && asks == Asks::ToBind && has_current;
                                const bool nowhere_else =
                                    !has_current && facts.is_evacuated && asks == Asks::ToBind;
                                const Choice choice = decide(facts);
                                if (nowhere_else || (!leaves && life == BackendLife::Serves)) {
                                    EXPECT_EQ(choice.backend, kOfCall) << at(facts);
                                    EXPECT_EQ(choice.rule, SteerRule::Registered) << at(facts);
                                    EXPECT_EQ(choice.write, Write::Touch) << at(facts);
                                    continue;
                                }
                                EXPECT_EQ(choice.backend.has_value(), has_current) << at(facts);
                                EXPECT_EQ(choice.backend.value_or(kCurrent), kCurrent);
                                const bool rebinds =
                                    has_current && asks == Asks::ToBind && !(heard && accepted);
                                EXPECT_EQ(choice.write, rebinds ? Write::Remember : Write::Nothing)
                                    << at(facts);
                            }
}

/// A REGISTER of an address that is not known: only one that binds is remembered.
TEST(DecideRegister, OfAnUnknownAddressIsRememberedIfItBinds) {
    for (const Asks asks : {Asks::Nothing, Asks::ToBind, Asks::ToRemove, Asks::ToRemoveAll})
        for (const SlotState state : kSlotStates)
            for (const bool heard : kBools) {
                Facts facts = request(Method::Register, MessageRole::Initial);
                facts.by_key = true;
                facts.other().registers = Registration{asks, 60, 1};
                facts.other().is_heard = heard;
                facts.slot_state = state;
                const Choice choice = decide(facts);
                EXPECT_EQ(choice.backend, kCurrent) << at(facts);
                EXPECT_EQ(choice.rule,
                          state == SlotState::Settled ? SteerRule::Settled : SteerRule::Now);
                EXPECT_EQ(choice.write, asks == Asks::ToBind ? Write::Remember : Write::Nothing)
                    << at(facts);
            }
}

/// "Other publications for an address do not change where it is registered."
TEST(DecidePublish, BindsOnlyAnAddressThatIsNotKnown) {
    for (const bool is_known : kBools) {
        Facts facts = request(Method::Publish, MessageRole::Initial);
        facts.by_key = true;
        facts.slot_state = SlotState::Moved;
        if (is_known) facts.call = call_at(kOfCall, CallState::SoftState);
        facts.call_life = BackendLife::Dead;
        const Choice choice = decide(facts);
        EXPECT_EQ(choice.backend, kCurrent);
        EXPECT_EQ(choice.write, is_known ? Write::Nothing : Write::Remember);
    }
}

/// "Answers return to the backend that forwarded the request."
TEST(DecideWayBack, NotesARequestByKeyWhoseCallIdLeadsElsewhere) {
    for (const bool is_asked_once : kBools)
        for (const int leads_to : {0, 1, 2}) {
            Facts facts = request(Method::Message, MessageRole::Standalone);
            facts.by_key = true;
            facts.way_back.is_needed = is_asked_once;
            if (leads_to == 1) facts.way_back.call_id_owner = kElsewhere;
            if (leads_to == 2) facts.way_back.call_id_owner = kCurrent;
            EXPECT_EQ(awaits(facts, decide(facts)), is_asked_once && leads_to != 2);
            facts.now.reset();
            EXPECT_FALSE(awaits(facts, decide(facts))) << "it goes nowhere";
        }
}

/// A retransmission of a standalone request goes where it went first, unless that is down.
TEST(DecideWayBack, SendsARequestThatIsRepeatedWhereItWentFirst) {
    for (const SlotState state : {SlotState::Settled, SlotState::Moved})
        for (const bool between : kBools)
            for (const bool was_sent : kBools)
                for (const BackendLife life : kLives) {
                    Facts facts = request(Method::Options, MessageRole::Standalone);
                    facts.slot_state = state;
                    facts.is_between = between;
                    facts.way_back.is_needed = true;
                    if (was_sent) facts.way_back.asked = call_at(kAsked, CallState::PendingRequest);
                    facts.way_back.asked_life = life;
                    const bool is_again = was_sent && life == BackendLife::Serves;
                    const Choice choice = decide(facts);
                    EXPECT_EQ(choice.backend, is_again ? kAsked : kCurrent);
                    EXPECT_EQ(choice.rule == SteerRule::Remembered, is_again);
                    EXPECT_EQ(awaits(facts, choice), !is_again);
                    EXPECT_EQ(choice.write, Write::Nothing);
                }
}

/// Its response goes to the backend that was asked; when that is down, as on_dead_owner says.
TEST(DecideWayBack, LeadsAResponseToTheAsker) {
    for (const BackendLife life : kLives)
        for (const bool shared : kBools) {
            Facts facts = request(Method::Other, MessageRole::InCall);
            facts.is_request = false;
            facts.is_response = true;
            facts.slot_state = SlotState::Moved;
            facts.shared_state = shared;
            facts.call = call_at(kAsked, CallState::PendingRequest);
            facts.call_life = life;
            facts.asker = Owner{kAsked, life};
            const Choice choice = decide(facts);
            const bool takes =
                life == BackendLife::Serves || (life == BackendLife::Silent && !shared);
            EXPECT_EQ(choice.rule, takes ? SteerRule::Asker : SteerRule::DeadOwner);
            if (shared && !takes)
                EXPECT_EQ(choice.backend, kCurrent);
            else if (life == BackendLife::Disabled)
                EXPECT_EQ(choice.refusal, Outcome::DeadOwner);
            else
                EXPECT_EQ(choice.backend, kAsked);
            EXPECT_FALSE(awaits(facts, choice));
        }
}

/// "Where its later messages will be looked for": the owner by hash; in a moved slot the one in the
/// oldest generation.
TEST(DecideLost, StartsACallWhereItsLaterMessagesWillGo) {
    constexpr BackendId kOldest{30};
    for (const SlotState state : kSlotStates)
        for (const BackendLife life : kLives)
            for (const bool has_current : kBools)
                for (std::size_t i = 0; i < count_of<SteerRule>(); ++i) {
                    const auto rule = static_cast<SteerRule>(i);
                    Facts facts = request(Method::Invite, MessageRole::Initial);
                    facts.slot_state = state;
                    if (!has_current) facts.now.reset();
                    const bool starts = rule == SteerRule::Now || rule == SteerRule::Chosen ||
                                        rule == SteerRule::Key || rule == SteerRule::Referenced ||
                                        rule == SteerRule::Registered;
                    const bool to_oldest = state == SlotState::Moved && life == BackendLife::Serves;
                    const Choice chosen = go(kElsewhere, rule);
                    const Choice lost = decide_lost(facts, chosen, {kOldest, life});
                    EXPECT_EQ(lost.backend,
                              !starts       ? kElsewhere
                              : to_oldest   ? kOldest
                              : has_current ? kCurrent
                                            : kElsewhere);
                    facts.other().registers = Registration{Asks::ToBind, 60, 1};
                    EXPECT_EQ(decide_lost(facts, chosen, {kOldest, life}), chosen);
                }
}

} // namespace viaduct::test
