// SPDX-License-Identifier: Apache-2.0
//
// The rules of docs/steering.md, specified a second time, against decide() for every combination of
// facts. steering_page_test reads the first table of the page itself.
#include "steer_facts.hpp"
#include "steering/decide.hpp"

#include <array>
#include <gtest/gtest.h>
#include <span>
#include <string>
#include <vector>

namespace viaduct::test {

namespace {

static_assert(decide(Facts{}).refusal == Outcome::HealthUnknown, "decide() is a constant function");

// One backend for each place that a message may go to.
constexpr BackendId kOfCall{10};
constexpr BackendId kCurrent{20};
constexpr BackendId kOldest{30};
constexpr BackendId kReferenced{40};
constexpr BackendId kRegistered{50};
constexpr BackendId kKeyOwner{60};
constexpr BackendId kPicked{70};

// ---- the messages

enum class Kind { Invite, Options, Request, Ack, Response };

constexpr std::array kKinds{Kind::Invite, Kind::Options, Kind::Request, Kind::Ack, Kind::Response};

Facts message(Kind kind) {
    Facts facts{};
    facts.health_known = true;
    facts.has_table = true;
    facts.is_request = kind != Kind::Response;
    facts.is_response = kind == Kind::Response;
    facts.has_to_tag = kind == Kind::Request || kind == Kind::Ack || kind == Kind::Response;
    facts.method = kind == Kind::Invite    ? Method::Invite
                   : kind == Kind::Options ? Method::Options
                   : kind == Kind::Ack     ? Method::Ack
                                           : Method::Info;
    facts.role = kind == Kind::Invite    ? MessageRole::Initial
                 : kind == Kind::Options ? MessageRole::Standalone
                                         : MessageRole::InCall;
    return facts;
}

// ---- the specification

/// Whether a backend gets new calls' messages, and those of calls in progress ("A failed backend is
/// replaced at once").
bool may_go(BackendLife life, bool in_call, bool shared_state) {
    if (life == BackendLife::Serves) return true;
    return life == BackendLife::Silent && in_call && !shared_state;
}

enum class Fate { Current, Owner, Dropped, Rejected };

/// The table of `on_dead_owner` (docs/steering.md).
struct DeadOwnerRow {
    OnDeadOwner policy;
    Fate request, ack, response, request_of_disabled, ack_of_disabled, response_of_disabled;
};
constexpr std::array<DeadOwnerRow, kPolicies.size()> kDeadOwnerTable{{
    {OnDeadOwner::Resteer,
     Fate::Current,
     Fate::Current,
     Fate::Owner,
     Fate::Current,
     Fate::Current,
     Fate::Dropped},
    {OnDeadOwner::Keep,
     Fate::Owner,
     Fate::Owner,
     Fate::Owner,
     Fate::Dropped,
     Fate::Dropped,
     Fate::Dropped},
    {OnDeadOwner::Drop,
     Fate::Dropped,
     Fate::Dropped,
     Fate::Dropped,
     Fate::Dropped,
     Fate::Dropped,
     Fate::Dropped},
    {OnDeadOwner::Reject,
     Fate::Rejected,
     Fate::Dropped,
     Fate::Dropped,
     Fate::Rejected,
     Fate::Dropped,
     Fate::Dropped},
}};

Choice to(BackendId backend, SteerRule rule, Write write = Write::Nothing) {
    Choice choice;
    choice.backend = backend;
    choice.rule = rule;
    choice.write = write;
    return choice;
}
Choice none(Outcome why, SteerRule rule, Write write = Write::Nothing) {
    Choice choice;
    choice.refusal = why;
    choice.rule = rule;
    choice.write = write;
    return choice;
}
Choice to_current(const Facts& facts, SteerRule rule, Write write = Write::Nothing) {
    return facts.now ? to(kCurrent, rule, write) : none(Outcome::NoBackend, rule);
}

Choice of_dead_owner(const Facts& facts, BackendId owner, BackendLife life, Write write) {
    constexpr SteerRule kRule = SteerRule::DeadOwner;
    if (facts.shared_state) return to_current(facts, kRule, Write::Remember);
    const DeadOwnerRow& row = kDeadOwnerTable[static_cast<std::size_t>(facts.on_dead_owner)];
    const bool disabled = life == BackendLife::Disabled;
    const Fate fate = facts.is_response ? disabled ? row.response_of_disabled : row.response
                      : facts.method == Method::Ack ? disabled ? row.ack_of_disabled : row.ack
                      : disabled                    ? row.request_of_disabled
                                                    : row.request;
    Choice choice;
    switch (fate) {
    case Fate::Current:
        choice = to_current(facts, kRule);
        break;
    case Fate::Owner:
        choice = to(owner, kRule);
        break;
    case Fate::Dropped:
        choice = none(Outcome::DeadOwner, kRule);
        break;
    case Fate::Rejected:
        choice = none(Outcome::Rejected, kRule);
        break;
    }
    choice.write = write;
    return choice;
}

/// Row "in-call message".
Choice in_call(const Facts& facts) {
    if (facts.call) {
        const BackendLife life = facts.call_life;
        if (may_go(life, true, facts.shared_state))
            return to(kOfCall, SteerRule::Remembered, Write::Touch);
        return of_dead_owner(facts, kOfCall, life, Write::Touch);
    }
    const bool is_kept = facts.slot_state == SlotState::Moved || facts.is_between;
    const Write write = is_kept ? Write::Remember : Write::Nothing;
    if (facts.old.id == kNoBackend) return to_current(facts, SteerRule::Now, write);
    if (!may_go(facts.old.life, true, facts.shared_state))
        return of_dead_owner(facts, kOldest, facts.old.life, Write::Nothing);
    const bool settled = facts.slot_state == SlotState::Settled;
    return to(kOldest, settled ? SteerRule::Settled : SteerRule::Old, write);
}

/// Rows "initial request" and "standalone request", "Calls that name a call", "Keys",
/// "Registrations are remembered" and "Choosing by turn or by load".
Choice new_call(const Facts& facts) {
    const bool is_initial = facts.role == MessageRole::Initial;
    const Write write = is_initial ? Write::Remember : Write::Nothing;
    if (facts.call && !facts.starts_again && may_go(facts.call_life, false, false))
        return to(kOfCall, SteerRule::Remembered, Write::Touch);
    if (facts.referenced() && may_go(facts.referenced()->owner.life, false, false))
        return to(kReferenced, SteerRule::Referenced, write);
    if (facts.key() && facts.key()->registered &&
        may_go(facts.key()->registered->life, false, false))
        return to(kRegistered, SteerRule::Registered, write);
    if (facts.key() && facts.key()->owner) {
        const bool same = facts.now == facts.key()->owner && !facts.tracks_all_calls &&
                          facts.slot_state == SlotState::Settled &&
                          facts.key()->slot_state != SlotState::Moved;
        return to(*facts.key()->owner, SteerRule::Key, same ? Write::Nothing : write);
    }
    if (facts.has_picker && facts.has_table && is_initial) {
        if (facts.pick.backend) return to(kPicked, SteerRule::Chosen, write);
        return none(facts.pick.has_members ? Outcome::OverLimit : Outcome::NoBackend,
                    SteerRule::Chosen);
    }
    return to_current(facts, SteerRule::Now, write);
}

Choice specified(const Facts& facts) {
    const bool looks_up = facts.slot_state != SlotState::Settled || facts.tracks_all_calls ||
                          facts.key() || facts.referenced();
    if (!looks_up) return to_current(facts, SteerRule::Settled); // column "settled slot"
    // Once a branch is answered, an INVITE of another branch is an in-call message.
    const bool is_late_branch =
        facts.method == Method::Invite && facts.call && facts.call->state == CallState::Answered;
    return facts.role == MessageRole::InCall || is_late_branch ? in_call(facts) : new_call(facts);
}

// ---- the combinations

struct Tally {
    std::size_t combinations = 0;
    std::size_t differences = 0;
};

std::string text_of(const Facts& facts, const Choice& choice) {
    const auto backend = [](const std::optional<BackendId>& id) {
        return id ? std::to_string(index(*id)) : std::string("-");
    };
    return "role " + std::to_string(static_cast<int>(facts.role)) + " slot " +
           std::string(name_of(facts.slot_state)) + " call " +
           (facts.call ? std::string(name_of(facts.call->state)) : "-") + " its life " +
           std::to_string(static_cast<int>(facts.call_life)) + " picker " +
           std::to_string(facts.has_picker) + " on_dead_owner " +
           std::to_string(static_cast<int>(facts.on_dead_owner)) + " -> backend " +
           backend(choice.backend) + " refusal " + std::string(name_of(choice.refusal)) + " rule " +
           std::string(name_of(choice.rule)) + " write " +
           std::to_string(static_cast<int>(choice.write));
}

void compare(const Facts& facts, const Choice& wanted, Tally& tally) {
    constexpr std::size_t kShown = 5;
    const Choice got = decide(facts);
    ++tally.combinations;
    const bool same_refusal = wanted.backend || got.refusal == wanted.refusal;
    if (got.backend == wanted.backend && same_refusal && got.rule == wanted.rule &&
        got.write == wanted.write)
        return;
    if (++tally.differences <= kShown)
        ADD_FAILURE() << text_of(facts, got) << "\nspecified: " << text_of(facts, wanted);
}

/// All calls that may be remembered, and none.
std::vector<Facts> with_calls(const Facts& message) {
    std::vector<Facts> all{message};
    for (const CallState state : kCallStates)
        for (const BackendLife life : kLives)
            for (const bool again : kBools) {
                if (again && (state != CallState::Ended || message.role != MessageRole::Initial))
                    continue;
                Facts facts = message;
                facts.call = call_at(kOfCall, state);
                facts.call_life = life;
                facts.starts_again = again;
                facts.role = role_in(facts.call, facts.role, facts.method);
                all.push_back(facts);
            }
    return all;
}

std::vector<Facts> with_references_and_keys(const Facts& base) {
    std::vector<Facts> all;
    constexpr std::size_t kCount = kLives.size();
    for (std::size_t reference = 0; reference <= kCount; ++reference)
        for (std::size_t key = 0; key <= kCount + 1; ++key) {
            Facts facts = base;
            if (reference > 0)
                facts.other().referenced =
                    ReferenceFacts{1, true, {kReferenced, kLives[reference - 1]}};
            if (key > 0) facts.other().key = KeyFacts{2, SlotState::Moved, kKeyOwner, {}};
            if (key > 1) facts.other().key->registered = Owner{kRegistered, kLives[key - 2]};
            all.push_back(facts);
        }
    return all;
}

/// A hash pool, one that counts calls, and pools with a picker that has a backend, full ones or
/// none.
std::vector<Facts> with_pools(const Facts& base) {
    std::vector<Facts> all;
    for (int pool = 0; pool < 5; ++pool) {
        Facts facts = base;
        facts.tracks_all_calls = pool > 0;
        facts.has_picker = pool > 1;
        if (pool == 2) facts.pick.backend = kPicked;
        facts.pick.has_members = pool == 2 || pool == 3;
        all.push_back(facts);
    }
    return all;
}

std::vector<Facts> with_owners(const Facts& base) {
    std::vector<Facts> all;
    for (const bool has_current : kBools)
        for (std::size_t old = 0; old <= kLives.size(); ++old) {
            Facts facts = base;
            if (has_current) facts.now = kCurrent;
            if (old > 0) facts.old = {kOldest, kLives[old - 1]};
            all.push_back(facts);
        }
    return all;
}

std::vector<Facts> with_policies(const Facts& base) {
    std::vector<Facts> all;
    for (const OnDeadOwner policy : kPolicies)
        for (const bool shared : kBools)
            for (const bool between : kBools) {
                Facts facts = base;
                facts.on_dead_owner = policy;
                facts.shared_state = shared;
                facts.is_between = between;
                all.push_back(facts);
            }
    return all;
}

/// Calls `visit` for `base` with each of the lists of variants applied in turn.
template <typename Visit> void each(const Facts& base, Visit visit) {
    visit(base);
}
template <typename Visit, typename First, typename... Rest>
void each(const Facts& base, Visit visit, First first, Rest... rest) {
    for (const Facts& facts : first(base))
        each(facts, visit, rest...);
}

std::vector<Facts> with_slot_states(const Facts& base) {
    std::vector<Facts> all;
    for (const SlotState state : kSlotStates) {
        all.push_back(base);
        all.back().slot_state = state;
    }
    return all;
}

/// Where nothing can be remembered.
std::vector<Facts> without_table(const Facts& base) {
    std::vector<Facts> all{base};
    all.back().has_table = false;
    return all;
}

} // namespace

TEST(Decide, DoesWhatTheTablesSayForEveryCombination) {
    Tally tally;
    for (const Kind kind : kKinds)
        each(
            message(kind),
            [&](const Facts& facts) { compare(facts, specified(facts), tally); },
            with_slot_states,
            with_calls,
            with_references_and_keys,
            with_pools,
            with_owners,
            with_policies);
    EXPECT_EQ(tally.differences, 0U);
    EXPECT_GT(tally.combinations, 10'000'000U);
}

TEST(Decide, DoesTheSameWithoutATable) {
    Tally tally;
    for (const Kind kind : kKinds)
        each(
            message(kind),
            [&](const Facts& facts) { compare(facts, specified(facts), tally); },
            without_table,
            with_slot_states,
            with_pools,
            with_owners,
            with_policies);
    EXPECT_EQ(tally.differences, 0U);
}

TEST(Decide, RefusesEveryMessageUntilHealthIsKnown) {
    for (const Kind kind : kKinds)
        each(
            message(kind),
            [&](Facts facts) {
                facts.health_known = false;
                EXPECT_EQ(decide(facts), none(Outcome::HealthUnknown, SteerRule::Settled));
                EXPECT_FALSE(asks_picker(facts));
            },
            with_slot_states,
            with_calls,
            with_pools);
}

/// The picker takes a turn for a new call, and for no other message.
TEST(Decide, AsksThePickerOnlyForACallThatItPlaces) {
    std::size_t asked = 0;
    for (const Kind kind : kKinds)
        each(
            message(kind),
            [&](const Facts& facts) {
                const bool asks = asks_picker(facts);
                asked += asks ? 1 : 0;
                ASSERT_EQ(asks, decide(facts).rule == SteerRule::Chosen);
            },
            with_slot_states,
            with_calls,
            with_references_and_keys,
            with_pools,
            with_owners);
    EXPECT_GT(asked, 0U);
}

} // namespace viaduct::test
