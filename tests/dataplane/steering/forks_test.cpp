// SPDX-License-Identifier: Apache-2.0
//
// forks: a proxy in front tries several callees under one Call-ID, all through the VIP. What counts
// is what lives: a call whose every branch failed is none, one that was answered ends with its BYE.
// Only what clients send is seen, unless a test says otherwise (RFC 3261 §16.7, §17.1.1.3).
#include "site.hpp"

#include <algorithm>
#include <cmath>
#include <gtest/gtest.h>
#include <random>
#include <string>
#include <vector>

namespace viaduct::test {

namespace {

struct ForkSite : Site {
    ForkSite() : Site(SteerBy::LeastCalls) {
        CallLifetimes& lives = here.snapshot.pools[index(kProxies)].lifetimes;
        lives.ringing = 13;
        lives.transaction = 3;
        lives.unit_seconds = 15;
    }
    [[nodiscard]] std::uint64_t calls() const {
        return load(0).calls() + load(1).calls() + load(2).calls();
    }
};

/// One forked call and what its client side sends.
struct Fork {
    Fork(ForkSite& at, std::string call_id, int count) : site(at), id(std::move(call_id)) {
        for (int i = 0; i < count; ++i)
            branches.push_back("z9hG4bK-" + id + "-" + std::to_string(i));
    }
    Steering send(Method method, const std::string& branch, const std::string& to_tag) {
        SipDigest digest = Site::message(method, id, !to_tag.empty());
        digest.to_tag = to_tag;
        digest.top_via_branch = branch;
        return site.send(digest);
    }
    void invite(std::size_t branch) { send(Method::Invite, branches[branch], ""); }
    void invite_all() {
        for (std::size_t i = 0; i < branches.size(); ++i)
            invite(i);
    }
    void refused(std::size_t branch) {
        send(Method::Ack, branches[branch], "busy-" + id + std::to_string(branch));
    }
    void answered(const std::string& tag) {
        send(Method::Ack, "z9hG4bK-ack-" + id + std::to_string(++acks), tag);
    }
    void bye(const std::string& tag) {
        send(Method::Bye, "z9hG4bK-bye-" + id + std::to_string(++acks), tag);
    }
    [[nodiscard]] std::optional<Call> now() {
        const SipDigest digest = Site::message(Method::Invite, id);
        const Pool& pool = site.here.snapshot.pools[index(kProxies)];
        return site.table.find(steering_hash(pool, digest), CallTime(5));
    }

    ForkSite& site;
    std::string id;
    std::vector<std::string> branches;
    int acks = 0;
};

constexpr int kCalls = 300; // so that few bits of branches and of tags are equal in many

} // namespace

class Forks : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(OfBranches, Forks, testing::Values(2, 3, 5, 12));

TEST_P(Forks, CountNoMoreWhenEveryBranchFailed) {
    ForkSite site;
    std::mt19937 random(1);
    for (int i = 0; i < kCalls; ++i) {
        Fork fork(site, "busy-" + std::to_string(i), GetParam());
        fork.invite_all();
        if (i % 3 == 0) fork.invite_all(); // repeated
        std::vector<std::size_t> order(fork.branches.size());
        for (std::size_t at = 0; at < order.size(); ++at)
            order[at] = at;
        std::ranges::shuffle(order, random);
        for (const std::size_t branch : order) {
            fork.refused(branch);
            if (i % 2 == 0) fork.refused(branch); // its 486 was repeated
        }
        ASSERT_NE(fork.now()->state, CallState::Answered) << i;
    }
    // Two calls of twelve branches may lie in the same lines, with no room for all of them.
    EXPECT_LE(site.calls(), GetParam() == 12 ? 2U : 0U);
}

TEST_P(Forks, RingUntilTheLastBranchHasFailed) {
    ForkSite site;
    int ringing = 0;
    for (int i = 0; i < kCalls; ++i) {
        Fork fork(site, "hunt-" + std::to_string(i), GetParam());
        fork.invite_all();
        for (std::size_t branch = 1; branch < fork.branches.size(); ++branch)
            fork.refused(branch);
        ringing += fork.now()->state == CallState::Ringing ? 1 : 0;
        fork.refused(0);
        ASSERT_EQ(fork.now()->state, CallState::Refused) << i;
    }
    // One branch in 14 is taken for the first.
    const double others = GetParam() - 1;
    EXPECT_GT(ringing, kCalls * std::pow(13.0 / 14, others) * 0.85);
}

TEST_P(Forks, EndWithTheByeOfTheBranchThatWasAnswered) {
    ForkSite site;
    for (int i = 0; i < kCalls; ++i) {
        Fork fork(site, "answered-" + std::to_string(i), GetParam());
        fork.invite_all();
        if (i % 4 == 0) fork.invite_all();
        if (i % 5 == 0) fork.refused(0);
        const std::string callee = "callee-" + std::to_string(i);
        fork.answered(callee);
        for (const std::string& branch : fork.branches)
            fork.send(Method::Cancel, branch, "");
        for (std::size_t branch = 0; branch + 1 < fork.branches.size(); ++branch) {
            fork.refused(branch); // 487
            if (i % 2 == 0) fork.refused(branch);
        }
        if (i % 3 == 0) fork.answered(callee); // its 200 was repeated
        fork.bye(callee);
        if (i % 2 == 0) fork.bye(callee);
        ASSERT_EQ(fork.now()->state, CallState::Ended) << i;
        if (i % 2 == 0) fork.refused(0); // late
        ASSERT_EQ(fork.now()->state, CallState::Ended) << i;
    }
    EXPECT_EQ(site.calls(), 0U);
}

/// Where an ACK says so at once, but for those that docs/steering.md tells of.
TEST_P(Forks, AreCallsAsSoonAsOneBranchIsAnswered) {
    ForkSite site;
    int answered = 0;
    for (int i = 0; i < kCalls; ++i) {
        Fork fork(site, "lives-" + std::to_string(i), GetParam());
        fork.invite_all();
        fork.answered("callee");
        answered += fork.now()->state == CallState::Answered ? 1 : 0;
        fork.send(Method::Info, "z9hG4bK-info", "callee");
        ASSERT_EQ(fork.now()->state, CallState::Answered);
    }
    EXPECT_GT(answered, kCalls * 8 / 10);
    EXPECT_EQ(site.calls(), static_cast<std::uint64_t>(kCalls));
}

TEST_P(Forks, ThatAreAllAnsweredEndWithTheLastBye) {
    ForkSite site;
    int living = 0;
    for (int i = 0; i < kCalls; ++i) {
        // Of more dialogs not all are noted: such a call is kept rather than ended too early.
        Fork fork(site, "all-" + std::to_string(i), std::min(GetParam(), 5));
        fork.invite_all();
        std::vector<std::string> callees;
        for (std::size_t at = 0; at < fork.branches.size(); ++at) {
            callees.push_back("callee-" + fork.id + std::to_string(at));
            fork.answered(callees.back());
        }
        if (i % 2 == 0) std::ranges::reverse(callees);
        for (std::size_t at = 0; at + 1 < callees.size(); ++at) {
            fork.bye(callees[at]);
            if (i % 3 == 0) fork.bye(callees[at]);
        }
        living += fork.now()->state == CallState::Answered ? 1 : 0;
        fork.bye(callees.back());
        ASSERT_EQ(fork.now()->state, CallState::Ended) << i;
    }
    EXPECT_GT(living, kCalls / 3) << "dialogs are told apart by 14 values";
    EXPECT_EQ(site.calls(), 0U);
}

TEST(Forks, InTurnWithEachTryRefusedCountForNothing) {
    ForkSite site;
    for (int i = 0; i < kCalls; ++i) {
        Fork fork(site, "turn-" + std::to_string(i), 6);
        for (std::size_t branch = 0; branch < 6; ++branch) {
            fork.invite(branch);
            if (branch > 0) fork.refused(branch - 1); // canceled meanwhile, or its 401 once more
        }
        fork.refused(5);
        fork.refused(4);
        ASSERT_EQ(fork.now()->state, CallState::Refused) << i;
    }
    EXPECT_EQ(site.calls(), 0U);
}

/// Its INVITE went by before anything was remembered, on a slot that a change moves.
TEST(Forks, ACanceledBranchThatNobodySawBeginIsKnownByItsCancel) {
    ForkSite site;
    auto unsettled = std::make_shared<Unsettled>();
    unsettled->old = site.here.snapshot.pools[index(kProxies)].slots;
    unsettled->bits.fill(~std::uint64_t{0});
    site.here.snapshot.pools[index(kProxies)].unsettled = unsettled;
    for (int i = 0; i < kCalls; ++i) {
        Fork fork(site, "before-" + std::to_string(i), 2);
        fork.send(Method::Cancel, fork.branches[0], "");
        fork.invite(1);
        fork.refused(0);
        fork.refused(1);
        ASSERT_EQ(fork.now()->state, CallState::Refused) << i;
    }
    EXPECT_EQ(site.calls(), 0U);
}

/// A branch that times out, or whose ACK is lost, has no ACK at all.
TEST(Forks, WithABranchThatNobodyHearsOfCountNoLongerThanTheyRing) {
    ForkSite site;
    Fork fork(site, "silent", 3);
    fork.invite_all();
    fork.refused(0);
    fork.refused(2);
    EXPECT_EQ(fork.now()->state, CallState::Ringing) << "which the pass over the table ends";
}

/// In nat the legs of a proxy behind the VIP pass, too.
TEST(Forks, ByAProxyBehindTheVipCountForNothingWhenTheClientIsRefused) {
    ForkSite site;
    set_mode(site.here.snapshot, kProxies, ForwardMode::Nat);
    for (int i = 0; i < kCalls; ++i) {
        Fork fork(site, "behind-" + std::to_string(i), 1);
        fork.invite(0);
        const BackendId backend = fork.now()->backend;
        const auto goes_out = [&](Method method, int leg, const std::string& to_tag) {
            SipDigest digest = Site::message(method, fork.id, !to_tag.empty());
            digest.to_tag = to_tag;
            const std::string branch = "z9hG4bK-out-" + std::to_string(i) + std::to_string(leg);
            digest.top_via_branch = branch;
            const std::uint64_t hash =
                steering_hash(site.here.snapshot.pools[index(kProxies)], digest);
            static_cast<void>(note_outgoing(site.view(), kProxies, digest, hash, {}, backend));
        };
        for (int leg = 0; leg < 3; ++leg)
            goes_out(Method::Invite, leg, "");
        for (int leg = 0; leg < 2; ++leg) // the third phone is dead
            goes_out(Method::Ack, leg, "busy" + std::to_string(leg));
        if (i % 2 == 0) {
            fork.refused(0);
            ASSERT_EQ(fork.now()->state, CallState::Refused) << i;
            continue;
        }
        fork.answered("callee");
        goes_out(Method::Ack, 9, "callee");
        goes_out(Method::Ack, 2, "canceled");
        fork.bye("callee");
        goes_out(Method::Bye, 10, "callee");
        ASSERT_EQ(fork.now()->state, CallState::Ended) << i;
    }
    EXPECT_EQ(site.calls(), 0U);
}

/// Then nothing says which ACK is one to a success.
TEST(Forks, WhoseBranchesFindNoRoomAreNotTakenForAnswered) {
    ForkSite site;
    site.own = OwnTable(CallTable::kMinWords);
    site.table = site.own.table;
    std::mt19937_64 random(1);
    const Call answered{kB1, CallState::Answered, 3, CallTime(900)};
    std::vector<Fork> forks;
    for (int i = 0; i < 50; ++i) {
        for (int others = 0; others < 9; ++others) // living calls beside them
            static_cast<void>(site.table.remember(random(), answered, CallTime(5)));
        forks.emplace_back(site, "crowded-" + std::to_string(i), 8);
        forks.back().invite(0);
    }
    int crowded = 0;
    for (Fork& fork : forks) {
        if (!fork.now()) continue; // it made room for one of those
        fork.invite_all();
        for (std::size_t branch = 0; branch < fork.branches.size(); ++branch)
            fork.refused(branch);
        ASSERT_NE(fork.now()->state, CallState::Answered);
        crowded += fork.now()->dialog == Call::kSeveralDialogs ? 1 : 0;
    }
    EXPECT_GT(crowded, 10);
}

/// Else their refusals would be taken for answers.
TEST(Forks, KeepWhatIsKnownOfTheirBranchesWhenNewCallsNeedRoom) {
    ForkSite site;
    site.own = OwnTable(CallTable::kMinWords);
    site.table = site.own.table;
    std::vector<Fork> forks;
    for (int i = 0; i < 40; ++i) {
        forks.emplace_back(site, "forked-" + std::to_string(i), 4);
        forks.back().invite_all();
    }
    for (int i = 0; i < 5'000; ++i)
        Fork(site, "new-" + std::to_string(i), 1).invite(0);
    int living = 0;
    for (Fork& fork : forks) {
        if (!fork.now()) continue; // it rang, and has made room
        ++living;
        for (std::size_t branch = 0; branch < fork.branches.size(); ++branch)
            fork.refused(branch);
        ASSERT_NE(fork.now()->state, CallState::Answered) << fork.id;
    }
    EXPECT_GT(living, 0);
}

/// Whatever few bits its branch has.
TEST(Forks, ATryAfterAllHaveFailedIsACallAgain) {
    ForkSite site;
    int answered = 0;
    for (int i = 0; i < kCalls; ++i) {
        Fork fork(site, "again-" + std::to_string(i), 2);
        fork.invite_all();
        fork.refused(0);
        fork.refused(1);
        ASSERT_EQ(fork.now()->state, CallState::Refused) << i;
        fork.send(Method::Invite, "z9hG4bK-voicemail-" + std::to_string(i), "");
        ASSERT_EQ(fork.now()->state, CallState::Ringing) << i;
        fork.answered("voicemail");
        answered += fork.now()->state == CallState::Answered ? 1 : 0;
        fork.bye("voicemail");
        ASSERT_EQ(fork.now()->state, CallState::Ended) << i;
    }
    EXPECT_GT(answered, kCalls * 3 / 4);
    EXPECT_EQ(site.calls(), 0U);
}

/// A late INVITE of a branch is no new call.
TEST(Forks, DoNotBeginAnewWithALateBranch) {
    ForkSite site;
    for (int i = 0; i < 50; ++i) {
        Fork fork(site, "late-" + std::to_string(i), 3);
        fork.invite_all();
        fork.answered("callee");
        fork.bye("callee");
        fork.invite(1);
        fork.invite(2);
        ASSERT_EQ(fork.now()->state, CallState::Ended);
    }
    EXPECT_EQ(site.calls(), 0U);
}

} // namespace viaduct::test
