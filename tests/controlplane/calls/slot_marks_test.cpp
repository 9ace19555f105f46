// SPDX-License-Identifier: Apache-2.0
//
// A slot that is marked is seen to be, by every worker, whatever the control plane is doing.
#include "viaduct/snapshot.hpp"

#include <atomic>
#include <gtest/gtest.h>
#include <memory>
#include <thread>
#include <vector>

namespace viaduct::test {

namespace {

void sweep(SlotMarks& marks, const std::vector<bool>& found) {
    marks.begin_sweep();
    marks.end_sweep(found);
}

} // namespace

TEST(SlotMarks, StayWhereTheSweepFindsACall) {
    const auto marks = std::make_unique<SlotMarks>();
    EXPECT_FALSE(marks->any());
    marks->mark(7);
    marks->mark(65'535);
    std::vector<bool> found(kSlots);
    found[7] = true;
    sweep(*marks, found);
    EXPECT_TRUE(marks->any());
    EXPECT_TRUE(marks->contains(7));
    EXPECT_FALSE(marks->contains(65'535));
    sweep(*marks, std::vector<bool>(kSlots));
    EXPECT_FALSE(marks->contains(7));
    EXPECT_FALSE(marks->any());
    marks->mark(7);
    EXPECT_TRUE(marks->any());
}

TEST(SlotMarks, ThatAreMadeDuringASweepOutliveIt) {
    const auto marks = std::make_unique<SlotMarks>();
    marks->mark(7);
    marks->begin_sweep();
    marks->mark(7);
    marks->mark(8);
    marks->end_sweep(std::vector<bool>(kSlots));
    EXPECT_TRUE(marks->any() && marks->contains(7) && marks->contains(8));
}

TEST(SlotMarks, AreInSightOfOtherThreadsAllTheTimeThatASweepTakes) {
    const auto marks = std::make_unique<SlotMarks>();
    std::vector<bool> found(kSlots);
    found[300] = true;
    marks->mark(300);
    std::atomic<bool> is_over{false};
    std::atomic<std::uint64_t> looks{0};
    std::atomic<std::uint64_t> missed{0};
    std::thread worker([&] {
        while (!is_over.load(std::memory_order_relaxed)) {
            if (!marks->any() || !marks->contains(300)) ++missed;
            ++looks;
        }
    });
    for (unsigned i = 0; i < 300 || looks < 100'000; ++i)
        sweep(*marks, found);
    is_over = true;
    worker.join();
    EXPECT_EQ(missed, 0U) << "of " << looks;
}

/// As workers do: what is marked in a burst is looked for in the next, and a sweep ends only when
/// every worker has ended the burst in which it began.
TEST(SlotMarks, ThatThreadsMakeDuringASweepAreSeenAtOnce) {
    const auto marks = std::make_unique<SlotMarks>();
    std::atomic<bool> is_over{false};
    std::atomic<std::uint64_t> made{0};
    std::atomic<std::uint64_t> missed{0};
    std::thread worker([&] {
        for (std::uint32_t slot = 0; !is_over.load(); slot = (slot + 1) & (kSlots - 1)) {
            marks->mark(slot);
            if (!marks->any() || !marks->contains(slot)) ++missed;
            ++made;
        }
    });
    const std::vector<bool> none(kSlots);
    for (unsigned i = 0; i < 300; ++i) {
        marks->begin_sweep();
        const std::uint64_t before = made;
        while (made - before < 2)
            std::this_thread::yield();
        marks->end_sweep(none);
    }
    is_over = true;
    worker.join();
    EXPECT_EQ(missed, 0U) << "of " << made;
}

} // namespace viaduct::test
