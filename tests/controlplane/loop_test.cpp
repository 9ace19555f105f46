// SPDX-License-Identifier: Apache-2.0
#include "loop.hpp"

#include <gtest/gtest.h>
#include <optional>
#include <utility>

namespace viaduct::test {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kPeriod{1};

/// Stops the loop after that many ticks.
class LoopTest : public testing::Test {
protected:
    void run_for(int ticks) {
        const Ticker end = loop.every(kPeriod, [&](TimePoint) {
            if (--ticks == 0) loop.stop();
        });
        loop.run();
    }

    Loop loop;
};

TEST_F(LoopTest, ATimerTicksForAsLongAsItsTickerLives) {
    int ticks = 0;
    {
        const Ticker ticker = loop.every(kPeriod, [&](TimePoint) { ++ticks; });
        run_for(5);
        EXPECT_GE(ticks, 4);
    }
    const int before = std::exchange(ticks, 0);
    run_for(5);
    EXPECT_EQ(ticks, 0) << "after " << before;
}

TEST_F(LoopTest, ATickerMayStopItselfAndOthersInItsCallback) {
    int ticks = 0;
    int others = 0;
    std::optional<Ticker> own;
    std::optional<Ticker> other;
    own = loop.every(kPeriod, [&](TimePoint) {
        ++ticks;
        other.reset();
        own.reset(); // what it captured must still be there
        ++ticks;
    });
    other = loop.every(kPeriod, [&](TimePoint) { ++others; });
    run_for(5);
    EXPECT_EQ(ticks, 2);
    EXPECT_EQ(others, 0);
}

TEST_F(LoopTest, AMovedTickerIsTheSameTimer) {
    int ticks = 0;
    Ticker ticker = loop.every(kPeriod, [&](TimePoint) { ++ticks; });
    Ticker moved = std::move(ticker);
    run_for(3);
    EXPECT_GT(ticks, 0);
    { const Ticker gone = std::move(moved); }
    ticks = 0;
    run_for(3);
    EXPECT_EQ(ticks, 0);
}

TEST_F(LoopTest, ATimerThatACallbackStartsTicksToo) {
    int ticks = 0;
    std::optional<Ticker> started;
    const Ticker starter = loop.every(kPeriod, [&](TimePoint) {
        if (!started) started = loop.every(kPeriod, [&](TimePoint) { ++ticks; });
    });
    run_for(6);
    EXPECT_GT(ticks, 0);
}

} // namespace
} // namespace viaduct::test
