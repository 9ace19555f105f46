// SPDX-License-Identifier: Apache-2.0
#include "steering/rate_limit.hpp"

#include <gtest/gtest.h>
#include <random>
#include <thread>
#include <vector>

namespace viaduct::test {

namespace {

constexpr std::uint64_t kSecond = 2'000'000'000;

} // namespace

TEST(RateLimit, GivesAllOfItToWhoeverAsks) {
    for (const std::uint32_t a_second : {1U, 7U, 1'000U, 1'000'000U}) {
        RateLimit limit;
        std::mt19937_64 random(a_second);
        std::uint64_t now = 100 * kSecond;
        std::uint64_t taken = 0;
        const std::uint64_t first = limit.take(~0U, a_second, now, kSecond);
        EXPECT_EQ(first, a_second) << "what a second saves up";
        for (int i = 0; i < 100'000; ++i) { // some 10 s, at odd moments
            now += random() % (kSecond / 5'000);
            taken +=
                limit.take(static_cast<std::uint32_t>(1 + random() % 300), a_second, now, kSecond);
        }
        const double seconds = static_cast<double>(now - 100 * kSecond) / kSecond;
        EXPECT_LE(static_cast<double>(taken), seconds * a_second + 1) << a_second;
        EXPECT_GE(static_cast<double>(taken), seconds * a_second * 0.999 - 1) << a_second;
    }
}

TEST(RateLimit, TakesBackWhatWasNotNeeded) {
    RateLimit limit;
    const std::uint64_t now = 100 * kSecond;
    EXPECT_EQ(limit.take(300, 1'000, now, kSecond), 300U);
    limit.give_back(200, 1'000, kSecond);
    EXPECT_EQ(limit.take(5'000, 1'000, now, kSecond), 900U);
    EXPECT_EQ(limit.take(5'000, 1'000, now, kSecond), 0U);
    EXPECT_EQ(limit.take(5'000, 1'000, now - 1'000, kSecond), 0U) << "of a CPU that is behind";
}

TEST(RateLimit, SavesUpNoMoreThanASecond) {
    RateLimit limit;
    EXPECT_EQ(limit.take(10, 10, 100 * kSecond, kSecond), 10U);
    EXPECT_EQ(limit.take(100, 10, 1'000 * kSecond, kSecond), 10U);
    limit.give_back(10, 10, kSecond);
    EXPECT_EQ(limit.take(100, 10, 1'000 * kSecond, kSecond), 10U);
    EXPECT_EQ(limit.take(100, 10, kSecond / 2, kSecond), 0U);
}

TEST(RateLimit, IsOneForAllThreads) {
    constexpr std::uint32_t kLimit = 50'000;
    RateLimit limit;
    std::atomic<std::uint64_t> taken{0};
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < 4; ++i)
        threads.emplace_back([&limit, &taken, i] {
            for (std::uint64_t step = 0; step < 20'000; ++step) { // two seconds
                const std::uint64_t now = 100 * kSecond + step * (kSecond / 10'000);
                const std::uint32_t got = limit.take(16, kLimit, now, kSecond);
                const std::uint32_t unused = got * (i % 2);
                if (unused > 0) limit.give_back(unused, kLimit, kSecond);
                taken += got - unused;
            }
        });
    for (std::thread& thread : threads)
        thread.join();
    EXPECT_LE(taken, 3U * kLimit);
    EXPECT_GT(taken, 0U);
}

} // namespace viaduct::test
