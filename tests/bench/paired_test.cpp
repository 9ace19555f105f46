// SPDX-License-Identifier: Apache-2.0
#include "ab/paired.hpp"

#include <gtest/gtest.h>
#include <vector>

namespace viaduct::bench {
namespace {

TEST(Quantile, LiesBetweenTheTwoNearestValues) {
    const std::vector<double> values{50, 10, 40, 20, 30};
    EXPECT_DOUBLE_EQ(quantile_of(values, 0), 10);
    EXPECT_DOUBLE_EQ(quantile_of(values, 0.1), 14);
    EXPECT_DOUBLE_EQ(quantile_of(values, 0.5), 30);
    EXPECT_DOUBLE_EQ(quantile_of(values, 0.9), 46);
    EXPECT_DOUBLE_EQ(quantile_of(values, 1), 50);
    EXPECT_DOUBLE_EQ(quantile_of(std::vector<double>{7}, 0.9), 7);
}

TEST(Comparison, TakesTheRatioWithinEachPair) {
    // The machine is half as fast in every second pair. New takes half of base's time in each.
    const std::vector<Pair> pairs{{100, 50}, {200, 100}, {100, 50}, {200, 100}};
    const Comparison made = compare(pairs);
    EXPECT_DOUBLE_EQ(made.ratio, 2);
    EXPECT_DOUBLE_EQ(made.low, 2);
    EXPECT_DOUBLE_EQ(made.high, 2);
    EXPECT_EQ(made.pairs, 4U);
    EXPECT_EQ(made.dropped, 0U);
}

TEST(Comparison, IsNotMovedByAFewOddPairs) {
    std::vector<Pair> pairs(19, Pair{110, 100});
    pairs.push_back({110, 10'000});
    pairs.push_back({11'000, 100});
    const Comparison made = compare(pairs);
    EXPECT_DOUBLE_EQ(made.ratio, 1.1);
    EXPECT_DOUBLE_EQ(made.low, 1.1);
    EXPECT_DOUBLE_EQ(made.high, 1.1);
    EXPECT_DOUBLE_EQ(made.base_ns, 110);
    EXPECT_DOUBLE_EQ(made.new_ns, 100);
}

TEST(Comparison, SpreadIsWithoutTheOuterTenths) {
    std::vector<Pair> pairs;
    for (int i = 0; i <= 10; ++i)
        pairs.push_back({100.0 + i, 100});
    const Comparison made = compare(pairs);
    EXPECT_DOUBLE_EQ(made.low, 1.01);
    EXPECT_DOUBLE_EQ(made.ratio, 1.05);
    EXPECT_DOUBLE_EQ(made.high, 1.09);
}

TEST(Comparison, DropsInterruptedPairs) {
    const std::vector<Pair> pairs{{100, 50}, {100, 900, true}, {120, 60}, {900, 50, true}};
    const Comparison made = compare(pairs);
    EXPECT_EQ(made.pairs, 2U);
    EXPECT_EQ(made.dropped, 2U);
    EXPECT_DOUBLE_EQ(made.ratio, 2);
    EXPECT_DOUBLE_EQ(made.high, 2);
    const std::vector<Pair> kept = undisturbed(pairs);
    ASSERT_EQ(kept.size(), 2U);
    EXPECT_DOUBLE_EQ(kept[1].base_ns, 120);
}

TEST(Comparison, OfNothingButInterruptedPairsSaysNothing) {
    const std::vector<Pair> pairs{{100, 50, true}};
    const Comparison made = compare(pairs);
    EXPECT_EQ(made.pairs, 0U);
    EXPECT_EQ(made.dropped, 1U);
    EXPECT_DOUBLE_EQ(made.ratio, 0);
}

} // namespace
} // namespace viaduct::bench
