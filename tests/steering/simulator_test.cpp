// SPDX-License-Identifier: Apache-2.0
//
// 1,000,000 messages by default, fewer where sanitizers make them slow; VIADUCT_SIMULATED_MESSAGES
// for more, VIADUCT_SIMULATED_SEED for one of the ten seeds alone.
#include "sanitized.hpp"
#include "simulator.hpp"

#include <gtest/gtest.h>

namespace viaduct::test {

namespace {

std::uint64_t number_in(const char* variable, std::uint64_t otherwise) {
    const char* const text = std::getenv(variable);
    return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

std::uint64_t wanted_messages() {
    constexpr std::uint64_t kUsual = kIsSanitized ? 100'000 : 1'000'000;
    return number_in("VIADUCT_SIMULATED_MESSAGES", kUsual);
}

} // namespace

TEST(Simulator, NorWhereCallsAreDealtOutOrTheTableIsAnotherOne) {
    SimulatorOptions options;
    options.messages = wanted_messages() / 10;
    options.seed = 100;
    const auto expect_law = [&](const char* what) {
        const SimulatorResult result = Simulator(options).run();
        EXPECT_EQ(result.wrong, 0U) << what << "\n" << result.first_wrong;
        EXPECT_EQ(result.undecided, 0U) << what << "\n" << result.first_wrong;
        EXPECT_EQ(result.unequal, 0U) << what;
        EXPECT_GT(result.changes, 0U);
    };
    options.table = TableKind::Maglev;
    expect_law("maglev");
    options.key = {KeyType::Source, {}};
    expect_law("another key");
    options.key = {};
    options.steering = SteerBy::RoundRobin;
    expect_law("round-robin");
    options.mode = ForwardMode::Nat;
    options.steering = SteerBy::LeastCalls;
    expect_law("least-calls");
}

/// Generations end while calls that began in them go on, now and then a word in each.
TEST(Simulator, NorWhenTheGenerationThatItBeganInIsForgotten) {
    SimulatorOptions options;
    options.messages = wanted_messages() / 10;
    options.call_lifetime = std::chrono::minutes(20);
    options.refresh = 350; // one may get lost
    options.seconds_between_changes = 120;
    const auto expect_law = [&](std::uint64_t seed, const char* what) {
        options.seed = seed;
        const SimulatorResult result = Simulator(options).run();
        EXPECT_EQ(result.wrong, 0U) << what << "\n" << result.first_wrong;
        EXPECT_EQ(result.undecided, 0U) << what << "\n" << result.first_wrong;
        EXPECT_EQ(result.unequal, 0U) << what;
        EXPECT_GT(result.remembered, 0U) << what;
    };
    expect_law(200, "call_lifetime");
    expect_law(201, "another seed");
    // Of 64 generations the second goes, long before a call_lifetime has passed.
    options.seconds_between_changes = 30;
    options.call_lifetime = std::chrono::hours(4); // longer than any of these calls
    options.refresh = 0;
    expect_law(203, "many changes");
    options.max_call = std::chrono::hours(4);
    expect_law(202, "max_call");
}

/// Of pools that count: when all calls have ended none is counted.
TEST(Simulator, CountsAreTrue) {
    SimulatorOptions options;
    options.messages = wanted_messages() / 40;
    options.counts = true;
    const auto expect_law = [&](std::uint64_t seed, const char* what) {
        options.seed = seed;
        const SimulatorResult result = Simulator(options).run();
        EXPECT_EQ(result.wrong, 0U) << what << "\n" << result.first_wrong;
        EXPECT_EQ(result.undecided, 0U) << what << "\n" << result.first_wrong;
        EXPECT_EQ(result.left, 0U) << what << ": calls are counted that have ended";
        EXPECT_EQ(result.load, 0U) << what << ": and are a load";
        EXPECT_GT(result.most, 0U) << what << ": or nothing was counted";
        EXPECT_GT(result.forks, 0U) << what;
        EXPECT_GT(result.made_up, 0U) << what;
        EXPECT_GT(result.changes, 0U) << what;
    };
    options.count_calls = true;
    expect_law(300, "hash");
    options.count_calls = false;
    options.steering = SteerBy::LeastCalls;
    expect_law(301, "least-calls");
    options.mode = ForwardMode::Nat;
    expect_law(302, "least-calls, nat");
    options.steering = SteerBy::RoundRobin;
    options.max_call = std::chrono::hours(4);
    expect_law(303, "round-robin, nat, max_call");
}

TEST(Simulator, NoLivingCallLeavesItsBackend) {
    constexpr std::uint64_t kSeeds = 10;
    std::uint64_t messages = 0;
    std::uint64_t remembered = 0;
    std::uint64_t changes = 0;
    std::uint64_t restarts = 0;
    std::uint64_t reloads = 0;
    std::uint64_t transfers = 0;
    std::uint64_t resteered = 0;
    std::uint64_t outgoing = 0;
    std::uint64_t twins = 0;
    const std::uint64_t only = number_in("VIADUCT_SIMULATED_SEED", 0);
    const std::uint64_t runs = only == 0 ? kSeeds : 1;
    for (std::uint64_t seed = 1; seed <= kSeeds; ++seed) {
        if (only != 0 && seed != only) continue;
        SimulatorOptions options;
        options.seed = seed;
        options.count_calls = seed == 1;
        options.tiers = seed == 2 || seed == 3;
        options.failback = seed == 2;
        options.mode = seed % 2 == 0 ? ForwardMode::Nat : ForwardMode::DsrL2;
        options.messages = wanted_messages() / kSeeds;
        const SimulatorResult result = Simulator(options).run();
        EXPECT_EQ(result.wrong, 0U) << "seed " << seed << "\n" << result.first_wrong;
        EXPECT_EQ(result.undecided, 0U) << "seed " << seed << "\n" << result.first_wrong;
        EXPECT_EQ(result.unequal, 0U) << "seed " << seed;
        messages += result.messages;
        remembered += result.remembered;
        changes += result.changes;
        restarts += result.restarts;
        reloads += result.reloads;
        transfers += result.transfers;
        resteered += result.resteered;
        outgoing += result.outgoing;
        twins += result.twins;
    }
    EXPECT_GT(changes, runs) << "else nothing was tried";
    EXPECT_GT(remembered, 0U);
    EXPECT_GT(restarts, 0U);
    EXPECT_GT(reloads, 0U);
    EXPECT_GT(transfers, 0U);
    EXPECT_GT(resteered, 0U) << "pauses of more than 64*T1";
    EXPECT_GT(outgoing, 0U);
    EXPECT_GT(twins, runs) << "second balancers";
    std::printf("%llu messages, %llu changes, %llu reloads among them, %llu restarts, %llu calls "
                "remembered, %llu transfers, %llu begun by backends\n",
                static_cast<unsigned long long>(messages),
                static_cast<unsigned long long>(changes),
                static_cast<unsigned long long>(reloads),
                static_cast<unsigned long long>(restarts),
                static_cast<unsigned long long>(remembered),
                static_cast<unsigned long long>(transfers),
                static_cast<unsigned long long>(outgoing));
}

/// Or the law above would hold whatever the code does.
TEST(Simulator, WithoutATableOfCallsTheLawIsBroken) {
    SimulatorOptions options;
    options.messages = 100'000;
    options.remembers = false;
    EXPECT_GT(Simulator(options).run().wrong, 0U);
}

} // namespace viaduct::test
