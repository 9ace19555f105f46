// SPDX-License-Identifier: Apache-2.0
#include "site.hpp"
#include "steer_by.hpp"
#include "world.hpp"

#include "viaduct/steering/picker.hpp"
#include "viaduct/steering/steer.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <gtest/gtest.h>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

namespace viaduct::test {

namespace {

std::map<BackendId, int> deal(Site& site, int calls) {
    std::map<BackendId, int> dealt;
    for (int i = 0; i < calls; ++i)
        ++dealt[site.begin("call-" + std::to_string(i)).backend.value()];
    return dealt;
}

} // namespace

TEST(RoundRobin, DealsCallsOutInTurnByWeight) {
    Site site(SteerBy::RoundRobin, {3, 2, 1});
    const auto dealt = deal(site, 600);
    EXPECT_EQ(dealt.at(kB1), 300);
    EXPECT_EQ(dealt.at(kB2), 200);
    EXPECT_EQ(dealt.at(kB3), 100);
}

TEST(RoundRobin, KeepsEveryMessageOfACallAtItsBackend) {
    Site site(SteerBy::RoundRobin);
    std::map<std::string, BackendId> owners;
    for (int i = 0; i < 1'000; ++i) {
        const std::string id = "kept-" + std::to_string(i);
        const Steering first = site.begin(id);
        EXPECT_EQ(first.rule, SteerRule::Chosen);
        EXPECT_TRUE(first.remembered);
        owners[id] = first.backend.value();
    }
    for (const auto& [id, owner] : owners)
        for (const Method method : {Method::Invite, Method::Ack, Method::Update, Method::Bye}) {
            const bool inside = method != Method::Invite;
            const Steering steering = site.send(Site::message(method, id, inside));
            EXPECT_EQ(steering.backend, owner);
            EXPECT_EQ(steering.rule, SteerRule::Remembered);
        }
}

TEST(Flood, KeepsWhatIsKnownAndSendsTheRestByHash) {
    Site site(SteerBy::RoundRobin);
    std::uint32_t budget = 30;
    const auto send = [&](const SipDigest& digest) {
        const Pool& pool = site.here.snapshot.pools[index(kProxies)];
        return steer({site.here.snapshot, site.table, CallTime(5), &budget},
                     kProxies,
                     digest,
                     steering_hash(pool, digest));
    };
    std::map<std::string, BackendId> owners;
    unsigned flooded = 0;
    for (int i = 0; i < 300; ++i) {
        const std::string id = "flood-" + std::to_string(i);
        const Steering first = send(Site::message(Method::Invite, id));
        owners[id] = first.backend.value();
        flooded += first.flooded;
        EXPECT_EQ(first.remembered, i < 30);
        EXPECT_EQ(first.rule, i < 30 ? SteerRule::Chosen : SteerRule::Now);
        EXPECT_FALSE(first.table_full);
    }
    EXPECT_EQ(flooded, 270U);
    for (const auto& [id, owner] : owners)
        for (const Method method : {Method::Invite, Method::Ack, Method::Bye})
            EXPECT_EQ(send(Site::message(method, id, method != Method::Invite)).backend, owner);
    budget = 1; // it is over
    EXPECT_TRUE(send(Site::message(Method::Invite, "later")).remembered);
    EXPECT_EQ(budget, 0U);
}

/// What follows belongs to a call that nobody knows, and goes to the owner before the change.
TEST(Flood, DoesNotSplitCallsOfSlotsThatAChangeMoved) {
    for (const bool by_hash : {true, false}) {
        Site site(SteerBy::RoundRobin);
        Pool& pool = site.here.snapshot.pools[index(kProxies)];
        if (by_hash) pool.picker.reset();
        auto unsettled = std::make_shared<Unsettled>();
        auto old = std::make_shared<SlotTable>(*pool.slots);
        std::rotate(
            old->begin(), old->begin() + 1, old->end()); // most slots were another backend's
        unsettled->old = old;
        unsettled->bits.fill(~std::uint64_t{0});
        pool.unsettled = unsettled;
        std::uint32_t budget = 0;
        const auto send = [&](const SipDigest& digest) {
            return steer({site.here.snapshot, site.table, CallTime(5), &budget},
                         kProxies,
                         digest,
                         steering_hash(pool, digest));
        };
        for (int i = 0; i < 1'000; ++i) {
            const std::string id = "split-" + std::to_string(i);
            const Steering first = send(Site::message(Method::Invite, id));
            ASSERT_TRUE(first.flooded);
            EXPECT_EQ(first.backend, (*old)[first.slot]);
            for (const Method method : {Method::Ack, Method::Cancel, Method::Bye})
                ASSERT_EQ(send(Site::message(method, id, true)).backend, first.backend);
            ASSERT_EQ(send(Site::message(Method::Invite, id)).backend, first.backend);
        }
        // Those whose owner is dead are the present one's.
        site.here.snapshot.backends[index(kB1)].life = BackendLife::Dead;
        for (int i = 0; i < 100; ++i) {
            const std::string id = "dead-" + std::to_string(i);
            const Steering first = send(Site::message(Method::Invite, id));
            if ((*old)[first.slot] != kB1) continue;
            EXPECT_EQ(first.backend, (*pool.slots)[first.slot]);
            EXPECT_EQ(send(Site::message(Method::Ack, id, true)).backend, first.backend);
        }
    }
}

TEST(RoundRobin, PassesOverWhoHasItsLimitAndRefusesWhenAllHave) {
    Site site(SteerBy::RoundRobin);
    site.picker->members[0].max_calls = 5;
    site.picker->members[1].max_calls = 7;
    site.picker->members[2].max_calls = 9;
    const auto dealt = deal(site, 21);
    EXPECT_EQ(dealt.at(kB1), 5);
    EXPECT_EQ(dealt.at(kB2), 7);
    EXPECT_EQ(dealt.at(kB3), 9);
    const Steering refused = site.begin("one too many");
    EXPECT_FALSE(refused.backend);
    EXPECT_EQ(refused.refusal, Outcome::OverLimit);
    EXPECT_FALSE(refused.remembered);
    EXPECT_TRUE(site.begin("call-0").backend) << "known calls go on";
    // One ends: there is room for one.
    const Steering bye = site.send(Site::message(Method::Bye, "call-3", true));
    const Steering next = site.begin("its successor");
    EXPECT_EQ(next.backend, bye.backend);
    EXPECT_FALSE(site.begin("another").backend);
}

TEST(RoundRobin, SaysNoBackendWhereThereIsNone) {
    Site site(SteerBy::RoundRobin, {});
    EXPECT_EQ(site.begin("a").refusal, Outcome::NoBackend);
}

TEST(LeastCalls, LevelsLoadsByWeight) {
    for (const std::size_t count : {3U, 5U}) {
        std::vector<unsigned> weights{100, 200, 100, 100, 500};
        weights.resize(count);
        Site site(SteerBy::LeastCalls, weights);
        unsigned sum = 0;
        for (const unsigned weight : weights)
            sum += weight;
        site.add_backends(std::max(count, site.here.snapshot.backends.size()));
        for (Backend& backend : site.here.snapshot.backends)
            backend.life = BackendLife::Serves;
        auto dealt = deal(site, static_cast<int>(sum));
        for (std::uint16_t i = 0; i < count; ++i)
            EXPECT_NEAR(dealt[BackendId{i}], static_cast<int>(weights[i]), 1) << i;
    }
}

TEST(LeastCalls, FillsTheEmptyOneFirst) {
    Site site(SteerBy::LeastCalls);
    site.load(0).set({100, 0}, {});
    site.load(1).set({100, 0}, {});
    const auto dealt = deal(site, 100);
    EXPECT_EQ(dealt.at(kB3), 100);
}

TEST(LeastCalls, KeepsManyBackendsNearlyLevelByTwoChoices) {
    constexpr std::size_t kCount = 100;
    const std::vector<unsigned> weights(kCount, 1);
    Site site(SteerBy::LeastCalls, weights);
    site.add_backends(kCount);
    auto dealt = deal(site, 10'000);
    EXPECT_EQ(dealt.size(), kCount);
    for (const auto& [id, calls] : dealt) // by chance alone the largest would have about 127
        EXPECT_NEAR(calls, 100, 8) << index(id);
}

TEST(LeastCalls, FindsTheOnlyOneOfManyWithRoom) {
    constexpr std::size_t kCount = 100;
    Site site(SteerBy::LeastCalls, std::vector<unsigned>(kCount, 1));
    site.add_backends(kCount);
    for (std::size_t i = 0; i < kCount; ++i) {
        site.picker->members[i].max_calls = 10;
        site.load(static_cast<std::uint16_t>(i)).set({i == 77 ? 9U : 10U, 0}, {});
    }
    EXPECT_EQ(site.begin("last place").backend, BackendId{77});
    EXPECT_EQ(site.begin("none").refusal, Outcome::OverLimit);
}

TEST(Loads, CountWhatLivesAndNothingElse) {
    Site site(SteerBy::RoundRobin, {1});
    BackendLoad& load = site.load(0);
    static_cast<void>(site.begin("a"));
    static_cast<void>(site.begin("a")); // repeated
    EXPECT_EQ(load.calls(), 1U);
    static_cast<void>(site.send(Site::message(Method::Register, "r")));
    static_cast<void>(site.send(Site::message(Method::Options, "o")));
    EXPECT_EQ(load.calls(), 1U);
    EXPECT_EQ(load.all(), 2U);
    // Refused (the ACK has the branch of its INVITE), tried again, answered, over.
    static_cast<void>(site.send(Site::message(Method::Ack, "a", true)));
    EXPECT_EQ(load.calls(), 0U);
    SipDigest again = Site::message(Method::Invite, "a");
    again.top_via_branch = "z9hG4bK-2";
    const Steering retried = site.send(again);
    EXPECT_EQ(retried.rule, SteerRule::Remembered) << "the nonce lives where the first try went";
    EXPECT_EQ(load.calls(), 1U);
    SipDigest ack = Site::message(Method::Ack, "a", true);
    ack.top_via_branch = "z9hG4bK-77";
    static_cast<void>(site.send(ack));
    EXPECT_EQ(load.calls(), 1U);
    for (int i = 0; i < 3; ++i)
        static_cast<void>(site.send(Site::message(Method::Bye, "a", true)));
    EXPECT_EQ(load.calls(), 0U);
    EXPECT_EQ(load.all(), 1U);
}

TEST(Loads, FollowACallThatMovesToAnotherBackend) {
    Site site(SteerBy::RoundRobin);
    const BackendId first = site.begin("a").backend.value();
    site.here.snapshot.backends[index(first)].life = BackendLife::Dead;
    site.picker->members.erase(site.picker->members.begin() +
                               static_cast<std::ptrdiff_t>(index(first)));
    site.picker->sequence = {0, 1};
    const Steering moved = site.begin("a");
    ASSERT_TRUE(moved.backend);
    EXPECT_NE(moved.backend, first);
    EXPECT_EQ(site.load(static_cast<std::uint16_t>(index(first))).calls(), 0U);
    EXPECT_EQ(site.load(static_cast<std::uint16_t>(index(*moved.backend))).calls(), 1U);
}

namespace {

/// A site whose backends answer, as a test says.
struct AnsweringSite : Site {
    explicit AnsweringSite(SteerBy by) : Site(by) {
        picker->work.fill(4);
        if (by == SteerBy::LeastWork) picker->work[static_cast<std::size_t>(Method::Invite)] = 7;
        Pool& pool = here.snapshot.pools[index(kProxies)];
        pool.transaction_hash = hash_prefix(here.snapshot.secret, 0x1111, KeyType::Transaction);
        pool.lifetimes.ringing = 13;
        pool.lifetimes.transaction = 3;
    }
    Steering ask(Method method, const std::string& call, const std::string& branch) {
        SipDigest digest = message(method, call, method == Method::Bye);
        digest.top_via_branch = branch;
        return send(digest);
    }
    void answer(Method method, std::uint16_t status, const std::string& branch) {
        SipDigest digest;
        digest.kind = PayloadKind::Response;
        digest.status = status;
        digest.cseq = CSeq{1, method};
        digest.top_via_branch = branch;
        note_answer(view(), kProxies, digest, {});
    }
    [[nodiscard]] std::uint64_t work() const {
        return load(0).work() + load(1).work() + load(2).work();
    }
};

} // namespace

TEST(LeastTransactions, SendsWhatBeginsToTheOneThatHasAnsweredMost) {
    AnsweringSite site(SteerBy::LeastTransactions);
    std::map<BackendId, std::string> last;
    for (int i = 0; i < 30; ++i) {
        const std::string id = "lt-" + std::to_string(i);
        last[site.ask(Method::Invite, id, "z" + id).backend.value()] = "z" + id;
    }
    for (std::uint16_t id = 0; id < 3; ++id)
        EXPECT_EQ(site.load(id).work(), 10U * 4);
    site.answer(Method::Invite, 180, last[kB2]);
    EXPECT_EQ(site.load(1).work(), 10U * 4) << "it rings: it has more to say";
    site.answer(Method::Invite, 486, last[kB2]);
    EXPECT_EQ(site.load(1).work(), 9U * 4);
    site.answer(Method::Invite, 486, last[kB2]);
    EXPECT_EQ(site.load(1).work(), 9U * 4) << "repeated";
    EXPECT_EQ(site.ask(Method::Invite, "next", "z-next").backend, kB2);
    EXPECT_EQ(site.ask(Method::Invite, "next", "z-next").backend, kB2);
    EXPECT_EQ(site.load(1).work(), 10U * 4) << "counted once";
}

TEST(LeastTransactions, CountsWhatIsInsideCallsAndNoAcks) {
    AnsweringSite site(SteerBy::LeastTransactions);
    const BackendId owner = site.ask(Method::Invite, "c", "z1").backend.value();
    site.answer(Method::Invite, 200, "z1");
    EXPECT_EQ(site.work(), 0U);
    static_cast<void>(site.ask(Method::Ack, "c", "z2"));
    EXPECT_EQ(site.work(), 0U);
    static_cast<void>(site.ask(Method::Invite, "d", "z3"));
    static_cast<void>(site.ask(Method::Cancel, "d", "z3"));
    EXPECT_EQ(site.work(), 2U * 4) << "a CANCEL has the branch of its INVITE";
    site.answer(Method::Cancel, 200, "z3");
    site.answer(Method::Invite, 487, "z3");
    EXPECT_EQ(site.work(), 0U);
    EXPECT_EQ(site.ask(Method::Bye, "c", "z4").backend, owner);
    EXPECT_EQ(site.work(), 4U);
}

TEST(LeastWork, CountsAnInviteForMore) {
    AnsweringSite site(SteerBy::LeastWork);
    // b1 gets an INVITE, the others an OPTIONS each; the next OPTIONS is for one of them.
    const BackendId first = site.ask(Method::Invite, "i", "z1").backend.value();
    std::map<BackendId, unsigned> asked;
    for (int i = 0; i < 4; ++i) {
        const std::string id = "s" + std::to_string(i);
        ++asked[site.ask(Method::Subscribe, id, "z" + id).backend.value()];
    }
    EXPECT_EQ(site.load(static_cast<std::uint16_t>(index(first))).work(), 7U + 4U * asked[first]);
    EXPECT_EQ(asked[first], 0U) << "7 + 4 is more than 4 + 4";
}

TEST(LeastWork, IsWhatAModelSays) {
    AnsweringSite site(SteerBy::LeastWork);
    std::mt19937_64 random(9);
    std::map<std::string, std::pair<Method, BackendId>> open;
    std::array<std::uint64_t, 3> model{};
    const auto cost = [](Method method) { return method == Method::Invite ? 7U : 4U; };
    for (int step = 0; step < 20'000; ++step) {
        if (random() % 2 == 0 || open.empty()) {
            const Method method = random() % 2 == 0 ? Method::Invite : Method::Register;
            const std::string id = std::to_string(step);
            const BackendId to = site.ask(method, id, "z" + id).backend.value();
            open["z" + id] = {method, to};
            model[index(to)] += cost(method);
        } else {
            auto one = std::next(open.begin(), static_cast<std::ptrdiff_t>(random() % open.size()));
            const bool is_final = random() % 3 != 0;
            site.answer(one->second.first, is_final ? 200 : 100, one->first);
            if (!is_final) continue;
            model[index(one->second.second)] -= cost(one->second.first);
            open.erase(one);
        }
        for (std::uint16_t id = 0; id < 3; ++id)
            ASSERT_EQ(site.load(id).work(), model[id]) << step;
    }
    EXPECT_GT(open.size(), 0U);
}

TEST(Loads, AreWhatThePassFoundAndWhatCameBehindIt) {
    BackendLoads loads;
    BackendLoad& load = loads[3];
    constexpr auto kBehind = SeenByPass::No;
    constexpr auto kAhead = SeenByPass::Yes;
    for (int i = 0; i < 10; ++i)
        load.change(LoadKind::None, LoadKind::Call, kBehind);
    const auto before = load.unseen();
    load.change(LoadKind::None, LoadKind::Call, kAhead); // the pass finds it, too
    load.change(LoadKind::None, LoadKind::Call, kBehind);
    EXPECT_EQ(load.calls(), 12U);
    load.set({8, 3, 0}, before); // the BYEs of three of the ten were lost
    EXPECT_EQ(load.calls(), 9U);
    EXPECT_EQ(load.all(), 12U);
    load.change(LoadKind::None, LoadKind::Call, kBehind);
    load.change(LoadKind::Other, LoadKind::None, kBehind);
    EXPECT_EQ(load.calls(), 10U);
    EXPECT_EQ(load.all(), 12U);
    for (int i = 0; i < 20; ++i)
        load.change(LoadKind::Call, LoadKind::None, kBehind);
    EXPECT_EQ(load.calls(), 0U) << "never below nothing";
}

TEST(Loads, TellWhatAPassHasBehindIt) {
    BackendLoads loads;
    EXPECT_EQ(loads.is_seen(0), SeenByPass::Yes);
    loads.reaches(64);
    EXPECT_EQ(loads.is_seen(0), SeenByPass::No);
    EXPECT_EQ(loads.is_seen(64), SeenByPass::Yes);
}

TEST(Loads, AddUpWhateverWorkersDoAtOnce) {
    Site site(SteerBy::RoundRobin);
    constexpr int kEach = 20'000;
    std::vector<std::thread> workers;
    workers.reserve(4);
    for (int w = 0; w < 4; ++w)
        workers.emplace_back([&, w] {
            for (int i = 0; i < kEach; ++i) {
                const std::string id = std::to_string(w / 2) + "/" + std::to_string(i);
                static_cast<void>(site.begin(id)); // two workers begin each
                if (i % 2 == 0) static_cast<void>(site.send(Site::message(Method::Bye, id, true)));
            }
        });
    for (std::thread& worker : workers)
        worker.join();
    std::uint64_t counted = 0;
    site.table.sweep(0, site.table.buckets(), CallTime(5), [&](std::size_t, const Call& call) {
        counted += load_of(call.state) == LoadKind::Call ? 1 : 0;
        return true;
    });
    std::uint64_t loads = 0;
    for (std::uint16_t i = 0; i < 3; ++i)
        loads += site.load(i).calls();
    EXPECT_EQ(loads, counted);
}

/// Each is dealt to the next backend, and one of both was first.
TEST(Stateful, WorkersThatBeginOneCallAtOnceSendItToOneBackend) {
    Site site(SteerBy::RoundRobin);
    constexpr int kCalls = 20'000;
    std::atomic<int> begun{0};
    std::array<std::vector<std::optional<BackendId>>, 2> went;
    const auto work = [&](std::size_t self) {
        for (int i = 0; i < kCalls; ++i) {
            const std::string id = "at-once-" + std::to_string(i);
            const SipDigest digest = Site::message(Method::Invite, id);
            ++begun;
            for (int looks = 0; begun.load() < 2 * (i + 1); ++looks)
                if (looks > 1'000) std::this_thread::yield();
            went[self].push_back(site.send(digest).backend);
        }
    };
    std::thread other([&] { work(1); });
    work(0);
    other.join();
    EXPECT_EQ(went[0], went[1]);
}

TEST(Stateful, SteersByHashWhatItCannotRemember) {
    Site site(SteerBy::RoundRobin);
    site.table = {};
    for (int i = 0; i < 100; ++i) {
        const std::string id = "unremembered-" + std::to_string(i);
        const Steering first = site.begin(id);
        ASSERT_TRUE(first.backend);
        EXPECT_EQ(first.backend, (*site.here.snapshot.pools[index(kProxies)].slots)[first.slot]);
        EXPECT_EQ(site.send(Site::message(Method::Bye, id, true)).backend, first.backend);
    }
}

TEST(Stateful, SendsRepeatedOneShotsToOneBackend) {
    Site site(SteerBy::RoundRobin);
    for (int i = 0; i < 50; ++i) {
        const std::string id = "message-" + std::to_string(i);
        const Steering first = site.send(Site::message(Method::Message, id));
        EXPECT_FALSE(first.remembered);
        EXPECT_EQ(site.send(Site::message(Method::Message, id)).backend, first.backend);
    }
}

TEST(Stateful, ExplainsWithoutTakingATurn) {
    Site site(SteerBy::RoundRobin);
    const SipDigest digest = Site::message(Method::Invite, "asked");
    const Steering said = would_steer(site.view(), kProxies, digest);
    EXPECT_EQ(would_steer(site.view(), kProxies, digest).backend, said.backend);
    EXPECT_EQ(site.send(digest).backend, said.backend);
    EXPECT_EQ(site.load(static_cast<std::uint16_t>(index(*said.backend))).calls(), 1U);
}

} // namespace viaduct::test
