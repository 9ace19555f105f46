// SPDX-License-Identifier: Apache-2.0
#include "own_table.hpp"
#include "sanitized.hpp"

#include "viaduct/steering/call_table.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <gtest/gtest.h>
#include <map>
#include <mutex>
#include <random>
#include <thread>
#include <tuple>
#include <unordered_map>
#include <vector>

namespace viaduct::test {

namespace {

/// The word that is not zero; there must be one.
CallTable::Word& only_word(const OwnTable& own) {
    return *std::ranges::find_if(own.words, [](const auto& word) { return word.load() != 0; });
}

constexpr BackendId backend(unsigned number) {
    return static_cast<BackendId>(number);
}
constexpr Call ringing(unsigned number, CallTime deadline) {
    return {backend(number), CallState::Ringing, 0, deadline};
}

/// Hashes of one bucket pair that differ in nothing but their tags, and so share the home bucket.
std::uint64_t in_bucket(std::uint64_t bucket, std::uint64_t tag) {
    constexpr std::uint64_t kRows = std::uint64_t{1} << CallTable::kMinRowBits;
    constexpr std::uint64_t kGroups = kManyWords / CallTable::kBucketWords / kRows;
    constexpr std::uint64_t kShared = (std::uint64_t{1} << CallTable::kSlotBits) / kGroups;
    return tag << 33 | (bucket % kRows) << CallTable::kSlotBits | bucket / kRows * kShared;
}

constexpr CallTime kNow(100);

/// A word of an answered call that no test asks for.
constexpr std::uint64_t kForeignAnswered = 0x7fff'ffff'c000'0000U | 3U << 15 | 900;

} // namespace

TEST(CallTime, KnowsWhatHasPassedAcrossTheWrap) {
    const CallTime late(2040);
    EXPECT_EQ(late.after(20).left(late), 20);
    EXPECT_EQ(late.after(20).left(CallTime(2048 + 13)), -1);
    EXPECT_EQ(late.left(CallTime(2048 + 0)), -8);
    EXPECT_EQ(CallTime(5).after(60'000).left(CallTime(5)), CallTime::kMaxAhead);
}

TEST(CallTable, FindsWhatWasRememberedUntilItsDeadlineHasPassed) {
    OwnTable own;
    const Call call{backend(4095), CallState::SoftState, 9, kNow.after(3)};
    EXPECT_EQ(own.table.remember(42, call, kNow).result, CallTable::Result::Added);
    EXPECT_EQ(own.table.find(42, kNow), call);
    EXPECT_EQ(own.table.find(42, kNow.after(3)), call);
    EXPECT_EQ(own.table.find(42, kNow.after(4)), std::nullopt);
    EXPECT_EQ(own.table.find(43, kNow), std::nullopt);
}

TEST(CallTable, ACallStaysWithItsFirstBackend) {
    OwnTable own;
    static_cast<void>(own.table.remember(7, ringing(1, kNow.after(9)), kNow));
    const auto again = own.table.remember(7, ringing(2, kNow.after(9)), kNow);
    EXPECT_EQ(again.result, CallTable::Result::Found);
    EXPECT_EQ(again.call.backend, backend(1));
    // Once it has passed its deadline the hash is anybody's.
    const CallTime later = kNow.after(10);
    EXPECT_EQ(own.table.remember(7, ringing(2, later.after(1)), later).result,
              CallTable::Result::Added);
    EXPECT_EQ(own.table.find(7, later)->backend, backend(2));
}

TEST(CallTable, UpdatesOnlyWhatIsStillAsItWasSeen) {
    OwnTable own;
    const Call first = ringing(1, kNow.after(9));
    static_cast<void>(own.table.remember(7, first, kNow));
    Call answered = first;
    answered.state = CallState::Answered;
    EXPECT_TRUE(own.table.update(7, first, answered));
    EXPECT_FALSE(own.table.update(7, first, answered));
    EXPECT_EQ(own.table.find(7, kNow), answered);
}

TEST(CallTable, EveryStateHasItsNameAndIsPutBackFromACopy) {
    constexpr std::array kNames{"ringing", "answered", "ended", "lasting", "failed", "open"};
    static_assert(kNames.size() == static_cast<std::size_t>(kLastCallState) -
                                       static_cast<std::size_t>(kFirstCallState) + 1);
    for (std::size_t i = 0; i < kNames.size(); ++i) {
        const auto state = static_cast<CallState>(static_cast<std::size_t>(kFirstCallState) + i);
        EXPECT_EQ(name_of(state), kNames[i]);
        OwnTable from;
        OwnTable to;
        const Call call{backend(9), state, 3, kNow.after(50)};
        static_cast<void>(from.table.remember(7, call, kNow));
        const CallTable::Word& word = only_word(from);
        to.table.put_back(
            static_cast<std::uint64_t>(&word - from.words.data()), word.load(), kNow, kNow, 0);
        EXPECT_EQ(to.table.find(7, kNow), call) << kNames[i];
    }
}

TEST(CallTable, AnEmptyViewFindsNothingAndIsFull) {
    CallTable none;
    EXPECT_FALSE(none.exists());
    none.prefetch(std::array<std::uint64_t, 1>{1});
    EXPECT_EQ(none.find(1, kNow), std::nullopt);
    EXPECT_EQ(none.remember(1, ringing(1, kNow.after(1)), kNow).result, CallTable::Result::Full);
    none.sweep(0, 100, kNow, [](std::size_t, const Call&) { return true; });
}

TEST(CallTable, MakesRoomByTheDeadThenTheEndedThenTheRinging) {
    OwnTable own;
    // Answered calls everywhere but in one bucket: all that can go is there.
    for (std::size_t i = 0; i < own.words.size(); ++i)
        if (i / CallTable::kBucketWords != 5) own.words[i].store(kForeignAnswered);
    std::vector<Call> calls;
    for (std::uint64_t tag = 1; tag <= 8; ++tag) {
        Call call =
            ringing(static_cast<unsigned>(tag), kNow.after(static_cast<std::uint16_t>(tag * 10)));
        call.state = tag <= 2   ? CallState::Ringing
                     : tag <= 4 ? CallState::Ended
                                : CallState::Answered;
        ASSERT_EQ(own.table.remember(in_bucket(5, tag), call, kNow).result,
                  CallTable::Result::Added);
        calls.push_back(call);
    }
    const auto remember = [&](std::uint64_t hash) {
        return own.table.remember(hash, ringing(77, kNow.after(500)), kNow).result;
    };
    EXPECT_EQ(remember(in_bucket(5, 99)), CallTable::Result::Added);
    EXPECT_EQ(own.table.find(in_bucket(5, 3), kNow), std::nullopt)
        << "the Ended one nearest its end";
    EXPECT_EQ(remember(in_bucket(5, 100)), CallTable::Result::Added);
    EXPECT_EQ(own.table.find(in_bucket(5, 4), kNow), std::nullopt) << "the other Ended one";
    EXPECT_EQ(remember(in_bucket(5, 101)), CallTable::Result::Added);
    EXPECT_EQ(own.table.find(in_bucket(5, 1), kNow), std::nullopt) << "the oldest Ringing one";
    for (std::uint64_t tag = 5; tag <= 8; ++tag)
        EXPECT_EQ(own.table.find(in_bucket(5, tag), kNow), calls[tag - 1]) << "answered calls stay";
}

TEST(CallTable, IsFullWhereOnlyAnsweredCallsAre) {
    OwnTable own;
    for (CallTable::Word& word : own.words)
        word.store(kForeignAnswered);
    EXPECT_EQ(own.table.remember(1, ringing(1, kNow.after(1)), kNow).result,
              CallTable::Result::Full);
}

TEST(CallTable, AWordThatAKilledThreadLeftHalfAddedHoldsUpNobody) {
    OwnTable own;
    static_cast<void>(own.table.remember(7, ringing(1, kNow.after(9)), kNow));
    CallTable::Word& word = only_word(own);
    word.store((word.load() & ~(std::uint64_t{7} << 15)) | std::uint64_t{1} << 15);
    EXPECT_EQ(own.table.find(7, kNow), std::nullopt);
    EXPECT_EQ(own.table.remember(7, ringing(2, kNow.after(9)), kNow).result,
              CallTable::Result::Added);
    EXPECT_EQ(own.table.find(7, kNow)->backend, backend(2));
    word.store((word.load() & ~(std::uint64_t{7} << 15)) | std::uint64_t{1} << 15);
    own.table.forget_unfinished();
    EXPECT_EQ(word.load(), 0U);
    word.store(std::uint64_t{99} << 30 | 50); // damaged: of no state
    own.table.forget_unfinished();
    EXPECT_EQ(word.load(), 0U);
}

TEST(CallTable, ASweepForgetsThePastAndWhatTheVisitorRefuses) {
    OwnTable own;
    const auto in_slot = [](std::uint64_t slot, std::uint64_t tag) { return tag << 30 | slot; };
    for (unsigned i = 0; i < 1000; ++i)
        static_cast<void>(
            own.table.remember(in_slot(i * 3, i + 1),
                               ringing(i % 10, kNow.after(static_cast<std::uint16_t>(i % 5))),
                               kNow));
    const CallTime later = kNow.after(2);
    std::size_t seen = 0;
    own.table.sweep(0, own.table.buckets(), later, [&](std::size_t slot, const Call& call) {
        EXPECT_EQ(slot % 3, 0U);
        ++seen;
        return call.backend != backend(4); // its calls have deadline 4
    });
    EXPECT_EQ(seen, 600U);
    for (unsigned i = 0; i < 1000; ++i)
        EXPECT_EQ(own.table.find(in_slot(i * 3, i + 1), kNow).has_value(),
                  i % 5 >= 2 && i % 10 != 4);
}

TEST(CallTable, BothBucketsOfAHashAreOfItsSlot) {
    for (const std::size_t times : {1U, 2U, 8U}) {
        OwnTable own(times * kManyWords);
        std::mt19937_64 random(1);
        for (int i = 0; i < 200'000; ++i)
            static_cast<void>(own.table.remember(random(), ringing(1, kNow.after(9)), kNow));
        std::mt19937_64 again(1);
        std::map<std::uint64_t, unsigned> wanted;
        for (int i = 0; i < 200'000; ++i)
            ++wanted[again() & 0xffff];
        std::map<std::uint64_t, unsigned> found;
        own.table.sweep(0, own.table.buckets(), kNow, [&](std::size_t slot, const Call&) {
            ++found[slot];
            return true;
        });
        EXPECT_EQ(found, wanted) << times;
    }
}

TEST(CallTable, HoldsFiveEighthsOfItsWordsAndRefusesHardlyAny) {
    OwnTable own(2 * kManyWords);
    std::mt19937_64 random(2);
    const Call answered{backend(1), CallState::Answered, 0, kNow.after(100)};
    const std::size_t count = own.words.size() * 5 / 8;
    std::size_t refused = 0;
    for (std::size_t i = 0; i < count; ++i)
        refused += own.table.remember(random(), answered, kNow).result == CallTable::Result::Full;
    EXPECT_LT(refused, count / 50'000) << "of " << count;
}

/// Slots share lines where there are few, and yet each is told by its words.
TEST(CallTable, OfAnySizeKnowsTheSlotOfEachWordAndHoldsFiveEighths) {
    for (std::size_t words = CallTable::kMinWords; words <= 2 * kManyWords; words *= 4) {
        OwnTable own(words);
        ASSERT_EQ(own.table.words(), words);
        std::mt19937_64 random(words);
        std::map<std::uint64_t, unsigned> wanted;
        std::vector<std::uint64_t> hashes;
        std::size_t refused = 0;
        for (std::size_t i = 0; i < std::min<std::size_t>(words, 200'000) * 5 / 8; ++i) {
            const std::uint64_t hash = random();
            const auto number = static_cast<unsigned>(i % kMaxBackends);
            const Call call{backend(number), CallState::Answered, 3, kNow.after(100)};
            if (own.table.remember(hash, call, kNow).result == CallTable::Result::Full) {
                ++refused;
                continue;
            }
            ++wanted[hash & 0xffff];
            ASSERT_EQ(own.table.find(hash, kNow), call);
            hashes.push_back(hash);
        }
        EXPECT_LE(refused, words / 5'000) << words;
        std::map<std::uint64_t, unsigned> found;
        own.table.sweep(0, own.table.buckets(), kNow, [&](std::size_t slot, const Call&) {
            ++found[slot];
            return true;
        });
        EXPECT_EQ(found, wanted) << words;
        own.table.prefetch(hashes);
        OwnTable other(words);
        own.table.copy(0, own.table.buckets(), [&](std::size_t place, std::uint64_t word) {
            other.table.put_back(place, word, kNow, kNow, 0);
        });
        for (const std::uint64_t hash : hashes)
            ASSERT_TRUE(other.table.find(hash, kNow));
    }
}

/// Beside a call, in its lines: told from calls, from each other, and from those of other calls.
TEST(CallTable, NotesWhatACallHasMoreThanOneOf) {
    using Class = CallTable::NoteClass;
    OwnTable own(CallTable::kMinWords);
    std::mt19937_64 random(4);
    for (int round = 0; round < 200; ++round) {
        own.table.clear();
        const std::uint64_t hash = random();
        const std::uint64_t other = random();
        std::ignore = own.table.remember(hash, ringing(1, kNow.after(9)), kNow);
        for (std::uint16_t what = 1; what <= 12; ++what)
            ASSERT_TRUE(own.table.note(hash, {Note::Kind::Branch, what}, kNow.after(what), kNow));
        ASSERT_TRUE(own.table.note(hash, {Note::Kind::Branch, 12}, kNow.after(12), kNow))
            << "again";
        EXPECT_EQ(own.table.find(hash, kNow), ringing(1, kNow.after(9)));
        EXPECT_FALSE(own.table.find(other, kNow));
        EXPECT_EQ(own.table.noted(hash, Class::Branches, 12, kNow), Note::Kind::Branch);
        EXPECT_FALSE(own.table.noted(hash, Class::Branches, 13, kNow));
        EXPECT_FALSE(own.table.noted(hash, Class::Dialogs, 12, kNow));
        EXPECT_FALSE(own.table.noted(other, Class::Branches, 12, kNow));
        EXPECT_FALSE(own.table.noted(hash, Class::Branches, 3, kNow.after(4))) << "it has passed";
        ASSERT_TRUE(own.table.note(hash, {Note::Kind::PastBranch, 12}, kNow.after(1), kNow));
        EXPECT_EQ(own.table.noted(hash, Class::Branches, 12, kNow), Note::Kind::PastBranch);
        EXPECT_EQ(own.table.any_note(hash, Note::Kind::PastBranch, kNow)->what, 12);
        EXPECT_FALSE(own.table.any_note(hash, Note::Kind::Dialog, kNow));
        ASSERT_TRUE(own.table.note(hash, {Note::Kind::FewBranches, 3}, kNow.after(9), kNow));
        EXPECT_EQ(own.table.noted(hash, Class::Branches, 2 + 14 * 9, kNow),
                  Note::Kind::FewBranches);
        EXPECT_EQ(own.table.noted(hash, Class::Branches, 2, kNow), Note::Kind::Branch) << "exactly";
        // Sixteen words, of which fourteen are taken.
        EXPECT_TRUE(own.table.note(hash, {Note::Kind::Dialog, 1}, kNow.after(9), kNow));
        EXPECT_TRUE(own.table.note(hash, {Note::Kind::Dialog, 2}, kNow.after(9), kNow));
        EXPECT_FALSE(own.table.note(hash, {Note::Kind::Dialog, 3}, kNow.after(9), kNow));
        EXPECT_TRUE(own.table.find(hash, kNow)) << "no note makes a call go";
        own.table.forget_unfinished();
        EXPECT_TRUE(own.table.any_note(hash, Note::Kind::Dialog, kNow));
        // But a call that begins finds room: they are the first to pass.
        std::ignore =
            own.table.remember(hash ^ std::uint64_t{1} << 63, ringing(2, kNow.after(9)), kNow);
        EXPECT_TRUE(own.table.find(hash, kNow));
    }
}

/// Random operations against a simple map, with a clock that goes on.
TEST(CallTable, AgreesWithASimpleMap) {
    OwnTable own;
    std::unordered_map<std::uint64_t, Call> model;
    std::mt19937_64 random(3);
    std::vector<std::uint64_t> keys(20'000);
    std::ranges::generate(keys, random);
    std::uint64_t units = 0;
    for (int step = 0; step < 2'000'000; ++step) {
        if (step % 500 == 0) { // a sweep in pieces, at least one pass in 1,024 units
            ++units;
            std::erase_if(model,
                          [&](const auto& entry) { // as the sweep: or the past would come back
                              return entry.second.deadline.left(CallTime(units)) < 0;
                          });
            const std::size_t piece = own.table.buckets() / 256;
            own.table.sweep(units % 256 * piece,
                            piece,
                            CallTime(units),
                            [](std::size_t, const Call&) { return true; });
        }
        const CallTime now(units);
        const std::uint64_t key = keys[random() % keys.size()];
        const auto known = model.find(key);
        const bool alive = known != model.end() && known->second.deadline.left(now) >= 0;
        switch (random() % 3) {
        case 0: {
            const Call fresh = ringing(static_cast<unsigned>(random() % kMaxBackends),
                                       now.after(static_cast<std::uint16_t>(random() % 300)));
            const auto got = own.table.remember(key, fresh, now);
            ASSERT_EQ(got.result, alive ? CallTable::Result::Found : CallTable::Result::Added);
            if (!alive) model[key] = fresh;
            ASSERT_EQ(got.call, model[key]);
            break;
        }
        case 1: {
            const auto got = own.table.find(key, now);
            ASSERT_EQ(got.has_value(), alive);
            if (alive) {
                ASSERT_EQ(*got, known->second);
            }
            break;
        }
        default:
            if (!alive) break;
            Call touched = known->second;
            touched.state = random() % 2 == 0 ? CallState::Answered : CallState::Ended;
            touched.dialog = static_cast<std::uint8_t>(random() % 16);
            touched.deadline = now.after(static_cast<std::uint16_t>(random() % 300));
            ASSERT_TRUE(own.table.update(key, known->second, touched));
            known->second = touched;
        }
    }
}

/// All threads remember the same few calls at the same time, each with a backend of its own, while
/// others touch, end and sweep them: all must be told the same backend for one life of a call.
TEST(CallTable, ThreadsThatRememberAtOnceAgree) {
    constexpr unsigned kThreads = 4;
    constexpr unsigned kRounds = kIsSanitized ? 300 : 3'000;
    constexpr std::size_t kKeys = 64; // of four home buckets: they crowd each other out, too
    OwnTable own;
    std::vector<std::uint64_t> keys;
    for (std::size_t i = 0; i < kKeys; ++i)
        keys.push_back(in_bucket(i % 4, 1000 + i));
    std::array<std::vector<CallTable::Remembered>, kThreads> got;
    std::atomic<unsigned> waiting{0};
    std::atomic<unsigned> round{0};
    std::atomic<bool> stop{false};
    const auto barrier = [&](unsigned at) {
        if (waiting.fetch_add(1) + 1 == kThreads) {
            waiting.store(0);
            round.store(at + 1);
        } else {
            while (round.load() == at)
                std::this_thread::yield();
        }
    };
    std::thread sweeper([&] {
        while (!stop.load())
            own.table.sweep(0, 8, kNow, [](std::size_t, const Call&) { return true; });
    });
    unsigned disagreements = 0;
    unsigned refused = 0;
    unsigned lost = 0;
    std::vector<std::thread> threads;
    for (unsigned self = 0; self < kThreads; ++self) {
        got[self].resize(kKeys);
        threads.emplace_back([&, self] {
            for (unsigned i = 0; i < kRounds; ++i) {
                for (std::size_t key = 0; key < kKeys; ++key) {
                    const std::size_t at = (key + self * (i % 2)) % 16; // 16: they all have room
                    got[self][at] = own.table.remember(
                        keys[at], {backend(self), CallState::Answered, 0, kNow.after(9)}, kNow);
                    if (got[self][at].result == CallTable::Result::Found)
                        own.table.update(keys[at], got[self][at].call, [&] {
                            Call call = got[self][at].call;
                            call.dialog = static_cast<std::uint8_t>((call.dialog + 1) % 16);
                            return call;
                        }());
                }
                barrier(i * 2);
                if (self == 0) {
                    for (std::size_t key = 0; key < 16; ++key) {
                        for (unsigned other = 1; other < kThreads; ++other)
                            disagreements +=
                                got[other][key].call.backend != got[0][key].call.backend;
                        for (unsigned other = 0; other < kThreads; ++other)
                            refused += got[other][key].result == CallTable::Result::Full;
                        const std::optional<Call> call = own.table.find(keys[key], kNow);
                        lost += !call;
                        if (!call) continue;
                        Call passed = *call; // its life is over: the next round begins another
                        passed.deadline = CallTime(kNow.value() - 1);
                        own.table.update(keys[key], *call, passed);
                    }
                }
                barrier(i * 2 + 1);
            }
        });
    }
    for (std::thread& thread : threads)
        thread.join();
    stop.store(true);
    sweeper.join();
    EXPECT_EQ(disagreements, 0U);
    EXPECT_EQ(lost, 0U);
    EXPECT_EQ(refused, 0U);
}

/// One looks for room while the other makes room elsewhere, so that each finds another place for
/// the same call.
TEST(CallTable, ThreadsThatFindRoomInDifferentPlacesAgree) {
    constexpr int kRounds = kIsSanitized ? 20'000 : 200'000;
    OwnTable own;
    const auto answered = [](unsigned number) {
        return Call{backend(number), CallState::Answered, 0, kNow.after(9)};
    };
    const std::uint64_t call = in_bucket(3, 1000);
    // One more in its home bucket sends it to its second one: that is where it is now.
    std::ignore = own.table.remember(in_bucket(3, 2000), answered(7), kNow);
    ASSERT_EQ(own.table.remember(call, answered(7), kNow).result, CallTable::Result::Added);
    std::vector<std::uint64_t> second;
    own.table.copy(0, own.table.buckets(), [&](std::size_t place, std::uint64_t) {
        if (place / CallTable::kBucketWords != 3) second.push_back(place / CallTable::kBucketWords);
    });
    ASSERT_EQ(second.size(), 1U);
    ASSERT_TRUE(own.table.forget(call, answered(7)));
    // Two more in its second bucket make the home bucket the emptier one.
    const std::uint64_t beside[] = {in_bucket(second[0], 3000), in_bucket(second[0], 3004)};
    const auto fill_second = [&] {
        for (const std::uint64_t one : beside)
            std::ignore = own.table.remember(one, answered(7), kNow);
    };
    fill_second();
    int words = 0;
    own.table.copy(second[0], 1, [&](std::size_t, std::uint64_t) { ++words; });
    ASSERT_EQ(words, 2) << "others have to be chosen";

    std::array<CallTable::Remembered, 2> got;
    std::atomic<int> begun{0};
    std::atomic<int> ended{0};
    const auto meet = [](std::atomic<int>& count, int round) {
        ++count;
        for (int i = 0; count.load() < 2 * (round + 1); ++i)
            if (i > 1'000) std::this_thread::yield();
    };
    int disagreements = 0;
    int doubled = 0;
    std::thread other([&] {
        for (int round = 0; round < kRounds; ++round) {
            meet(begun, round);
            for (const std::uint64_t one : beside)
                own.table.forget(one, answered(7));
            got[1] = own.table.remember(call, answered(1), kNow);
            meet(ended, round);
        }
    });
    for (int round = 0; round < kRounds; ++round) {
        fill_second();
        meet(begun, round);
        for (int wait = round % 64; wait > 0; --wait) // the two meet at every moment
            static_cast<void>(begun.load());
        got[0] = own.table.remember(call, answered(0), kNow);
        meet(ended, round);
        disagreements += got[0].call.backend != got[1].call.backend;
        int removed = 0;
        for (const unsigned number : {0U, 1U})
            while (own.table.forget(call, answered(number)))
                ++removed;
        doubled += removed != 1;
    }
    other.join();
    EXPECT_EQ(disagreements, 0);
    EXPECT_EQ(doubled, 0);
}

} // namespace viaduct::test
