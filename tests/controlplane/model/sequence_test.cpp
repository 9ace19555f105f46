// SPDX-License-Identifier: Apache-2.0
#include "model/sequence.hpp"

#include "viaduct/snapshot.hpp"

#include <gtest/gtest.h>
#include <map>

namespace viaduct::test {

namespace {

std::map<std::uint16_t, std::size_t> counts(const std::vector<std::uint16_t>& sequence) {
    std::map<std::uint16_t, std::size_t> found;
    for (const std::uint16_t place : sequence)
        ++found[place];
    return found;
}

} // namespace

TEST(Sequence, IsEmptyForNoWeights) {
    EXPECT_TRUE(weighted_sequence({}).empty());
}

TEST(Sequence, IsAsShortAsTheProportionsAllow) {
    EXPECT_EQ(weighted_sequence({100, 100, 100}), (std::vector<std::uint16_t>{0, 1, 2}));
    EXPECT_EQ(weighted_sequence({1000}), (std::vector<std::uint16_t>{0}));
    EXPECT_EQ(weighted_sequence({50, 100}).size(), 3U);
}

TEST(Sequence, SpreadsTurnsEvenly) {
    // Any stretch of it has each place as often as its weight says, give or take two.
    const std::vector<unsigned> weights{7, 1, 3, 5};
    const auto sequence = weighted_sequence(weights);
    ASSERT_EQ(sequence.size(), 16U);
    for (std::size_t from = 0; from < 16; ++from)
        for (std::size_t length = 1; length <= 16; ++length) {
            std::vector<std::size_t> found(4);
            for (std::size_t i = 0; i < length; ++i)
                ++found[sequence[(from + i) % 16]];
            for (std::size_t place = 0; place < 4; ++place)
                EXPECT_NEAR(static_cast<double>(found[place]),
                            static_cast<double>(length * weights[place]) / 16,
                            2);
        }
}

TEST(Sequence, StaysWithinItsBoundAndForgetsNobody) {
    std::vector<unsigned> weights(200, 997);
    weights[5] = 1;
    weights[6] = 499;
    const auto sequence = weighted_sequence(weights);
    EXPECT_LE(sequence.size(), kSlots);
    auto found = counts(sequence);
    EXPECT_EQ(found.size(), 200U);
    EXPECT_NEAR(static_cast<double>(found[6]), static_cast<double>(found[0]) / 2, 3);
    EXPECT_GE(found[5], 1U);
}

TEST(Sequence, TakesTheMostBackends) {
    std::vector<unsigned> weights;
    for (unsigned i = 0; i < kMaxBackends; ++i)
        weights.push_back(1 + i % 1000);
    const auto sequence = weighted_sequence(weights);
    EXPECT_LE(sequence.size(), kSlots);
    EXPECT_EQ(counts(sequence).size(), kMaxBackends);
}

} // namespace viaduct::test
