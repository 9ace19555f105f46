// SPDX-License-Identifier: Apache-2.0
#include "model/table.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <gtest/gtest.h>
#include <map>
#include <random>
#include <string>
#include <vector>

namespace viaduct::test {

namespace {

constexpr SteeringSecret kSecret{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};

std::vector<Candidate> candidates(std::size_t count, unsigned weight = 100) {
    std::vector<Candidate> made;
    for (std::size_t i = 0; i < count; ++i)
        made.push_back({BackendId{static_cast<std::uint16_t>(i)}, "b" + std::to_string(i), weight});
    return made;
}

std::map<BackendId, std::size_t> shares(const SlotTable& table) {
    std::map<BackendId, std::size_t> counts;
    for (const BackendId id : table)
        ++counts[id];
    return counts;
}

/// Within five standard deviations of what independent draws would give.
void expect_share(std::size_t slots, double share, const std::string& what) {
    const double expected = share * kSlots;
    const double deviation = std::sqrt(kSlots * share * (1 - share));
    EXPECT_NEAR(static_cast<double>(slots), expected, 5 * deviation) << what;
}

} // namespace

TEST(Table, IsAbsentWithoutCandidates) {
    EXPECT_EQ(build_rendezvous({}, kSecret), nullptr);
    EXPECT_EQ(table_digest(nullptr, {}), "-");
}

TEST(Table, GivesTheOnlyCandidateEverySlot) {
    const auto table = build_rendezvous(candidates(1), kSecret);
    EXPECT_TRUE(std::ranges::all_of(*table, [](BackendId id) { return id == BackendId{0}; }));
}

TEST(Table, GivesEqualWeightsEqualShares) {
    for (const std::size_t count : {2U, 3U, 7U, 20U, 100U}) {
        const auto table = build_rendezvous(candidates(count), kSecret);
        for (const auto& [id, slots] : shares(*table))
            expect_share(slots, 1.0 / static_cast<double>(count), std::to_string(count));
        EXPECT_EQ(shares(*table).size(), count);
    }
}

TEST(Table, GivesEachWeightItsShare) {
    std::vector<Candidate> some = candidates(5);
    const std::vector<unsigned> weights{1, 10, 100, 300, 1000};
    double total = 0;
    for (std::size_t i = 0; i < some.size(); ++i) {
        some[i].weight = weights[i];
        total += weights[i];
    }
    auto counts = shares(*build_rendezvous(some, kSecret));
    for (const Candidate& candidate : some)
        expect_share(counts[candidate.id], candidate.weight / total, candidate.name);
}

TEST(Table, MovesOnlyTheSlotsOfTheOneThatLeaves) {
    std::vector<Candidate> some = candidates(6);
    const auto before = build_rendezvous(some, kSecret);
    for (std::size_t gone = 0; gone < 6; ++gone) {
        std::vector<Candidate> rest = some;
        rest.erase(rest.begin() + static_cast<std::ptrdiff_t>(gone));
        const auto after = build_rendezvous(rest, kSecret);
        for (std::size_t slot = 0; slot < kSlots; ++slot) {
            if ((*before)[slot] != some[gone].id) {
                EXPECT_EQ((*after)[slot], (*before)[slot]);
            }
        }
    }
}

TEST(Table, MovesOnlyItsShareToTheOneThatJoins) {
    const auto before = build_rendezvous(candidates(4), kSecret);
    const auto after = build_rendezvous(candidates(5), kSecret);
    std::size_t moved = 0;
    for (std::size_t slot = 0; slot < kSlots; ++slot) {
        if ((*before)[slot] == (*after)[slot]) continue;
        EXPECT_EQ((*after)[slot], BackendId{4}) << "moved between survivors";
        ++moved;
    }
    expect_share(moved, 1.0 / 5, "joined");
}

TEST(Table, MovesSlotsOnlyToTheOneWhoseWeightGrows) {
    std::vector<Candidate> some = candidates(4);
    const auto before = build_rendezvous(some, kSecret);
    some[2].weight = 200;
    const auto after = build_rendezvous(some, kSecret);
    for (std::size_t slot = 0; slot < kSlots; ++slot) {
        if ((*before)[slot] != (*after)[slot]) {
            EXPECT_EQ((*after)[slot], BackendId{2});
        }
    }
}

TEST(Table, DependsOnNamesAndNotOnOrderOrIds) {
    std::vector<Candidate> some = candidates(9);
    const auto table = build_rendezvous(some, kSecret);
    std::mt19937 random(1);
    std::vector<Candidate> other = some;
    std::ranges::shuffle(other, random);
    for (std::size_t i = 0; i < other.size(); ++i) // ids as another balancer may give them
        other[i].id = BackendId{static_cast<std::uint16_t>(100 + i)};
    const auto theirs = build_rendezvous(other, kSecret);
    EXPECT_EQ(table_digest(table.get(), some), table_digest(theirs.get(), other));
    for (std::size_t slot = 0; slot < kSlots; ++slot)
        EXPECT_EQ(some[index((*table)[slot])].name, other[index((*theirs)[slot]) - 100].name);
}

TEST(Table, IsTheSameOnEveryMachine) {
    // From a table that GCC made on x86-64: integer arithmetic leaves no room for another one.
    const std::vector<Candidate> some = candidates(3);
    EXPECT_EQ(table_digest(build_rendezvous(some, kSecret).get(), some), "358a88ed6851063e");
}

TEST(Table, CannotBeForeseenWithoutTheSecret) {
    SteeringSecret other = kSecret;
    other[15] ^= 1;
    const std::vector<Candidate> some = candidates(4);
    const auto mine = build_rendezvous(some, kSecret);
    const auto theirs = build_rendezvous(some, other);
    std::size_t equal = 0;
    for (std::size_t slot = 0; slot < kSlots; ++slot)
        equal += (*mine)[slot] == (*theirs)[slot] ? 1U : 0U;
    expect_share(equal, 0.25, "agreement by chance alone");
    EXPECT_NE(table_digest(mine.get(), some), table_digest(theirs.get(), some));
}

TEST(Maglev, IsAbsentWithoutCandidatesAndWholeWithOne) {
    EXPECT_EQ(build_maglev({}, kSecret), nullptr);
    const auto table = build_maglev(candidates(1), kSecret);
    EXPECT_TRUE(std::ranges::all_of(*table, [](BackendId id) { return id == BackendId{0}; }));
}

TEST(Maglev, GivesEveryShareExactToOneSlot) {
    for (const std::size_t count : {2U, 3U, 7U, 20U, 100U, 500U}) {
        const auto counts = shares(*build_maglev(candidates(count), kSecret));
        EXPECT_EQ(counts.size(), count);
        for (const auto& [id, slots] : counts) {
            EXPECT_GE(slots, kSlots / count);
            EXPECT_LE(slots, kSlots / count + 1);
        }
    }
}

TEST(Maglev, GivesEachWeightItsShareWithinOnePercent) {
    std::vector<Candidate> some = candidates(5);
    const std::vector<unsigned> weights{10, 100, 200, 300, 1000};
    double total = 0;
    for (std::size_t i = 0; i < some.size(); ++i) {
        some[i].weight = weights[i];
        total += weights[i];
    }
    auto counts = shares(*build_maglev(some, kSecret));
    for (const Candidate& candidate : some) {
        const double expected = candidate.weight / total * kSlots;
        EXPECT_NEAR(static_cast<double>(counts[candidate.id]), expected, expected / 100 + 1)
            << candidate.name;
    }
}

TEST(Maglev, MovesLittleMoreThanItsShareWhenOneJoinsOrLeaves) {
    for (const std::size_t count : {4U, 20U, 100U}) {
        const auto few = build_maglev(candidates(count), kSecret);
        const auto more = build_maglev(candidates(count + 1), kSecret);
        std::size_t moved = 0;
        for (std::size_t slot = 0; slot < kSlots; ++slot)
            moved += (*few)[slot] == (*more)[slot] ? 0U : 1U;
        const double share = 1.0 / static_cast<double>(count + 1);
        const double part = static_cast<double>(moved) / kSlots;
        std::printf("maglev, %zu and one more: %.2f %% of the slots move, the share is %.2f %%\n",
                    count,
                    100 * part,
                    100 * share);
        RecordProperty("moved_permille_" + std::to_string(count), static_cast<int>(1000 * part));
        EXPECT_GE(part, share * 0.99);
        EXPECT_LE(part, share + 0.01);
    }
}

TEST(Maglev, DependsOnNamesAndSecretAndNotOnOrderOrIds) {
    std::vector<Candidate> some = candidates(9);
    some[4].weight = 250;
    const auto table = build_maglev(some, kSecret);
    std::mt19937 random(2);
    std::vector<Candidate> other = some;
    std::ranges::shuffle(other, random);
    for (std::size_t i = 0; i < other.size(); ++i)
        other[i].id = BackendId{static_cast<std::uint16_t>(100 + i)};
    const auto theirs = build_maglev(other, kSecret);
    EXPECT_EQ(table_digest(table.get(), some), table_digest(theirs.get(), other));
    SteeringSecret secret = kSecret;
    secret[0] ^= 1;
    EXPECT_NE(table_digest(table.get(), some),
              table_digest(build_maglev(some, secret).get(), some));
}

TEST(Maglev, IsTheSameOnEveryMachine) {
    const std::vector<Candidate> some = candidates(3);
    EXPECT_EQ(table_digest(build_maglev(some, kSecret).get(), some), "fa8e81bb8ba7df4f");
}

} // namespace viaduct::test
