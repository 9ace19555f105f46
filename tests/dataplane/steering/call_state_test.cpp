// SPDX-License-Identifier: Apache-2.0
//
// call_state: what becomes of a remembered call with its messages, with its backend, and with what
// strangers send.
#include "message_builder.hpp"
#include "site.hpp"
#include "steer_by.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <gtest/gtest.h>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace viaduct::test {

namespace {

TEST(DeadOwner, RequestsGoWhereNewCallsGoAndResponsesToWhoAsked) {
    for (const bool shared : {false, true}) {
        Site site(SteerBy::RoundRobin);
        Pool& pool = site.here.snapshot.pools[index(kProxies)];
        pool.shared_state = shared;
        const std::string id = dealt_against_the_hash(site);
        const Steering begun = site.begin(id);
        site.here.snapshot.backends[index(*begun.backend)].life = BackendLife::Dead;
        SipDigest response = Site::message(Method::Other, id, true);
        response.kind = PayloadKind::Response;
        response.status = 200;
        response.cseq = CSeq{1, Method::Invite};
        const Steering answered = site.send(response);
        EXPECT_EQ(answered.rule, SteerRule::DeadOwner);
        EXPECT_EQ(answered.backend == begun.backend, !shared);
        const Steering asked = site.send(Site::message(Method::Update, id, true));
        EXPECT_EQ(asked.backend, (*pool.slots)[begun.slot]);
    }
}

TEST(DeadOwner, OfASharedStateIsLeftAtOnceWhateverIsSaid) {
    for (const OnDeadOwner what :
         {OnDeadOwner::Resteer, OnDeadOwner::Keep, OnDeadOwner::Drop, OnDeadOwner::Reject}) {
        Site site(SteerBy::RoundRobin);
        Pool& pool = site.here.snapshot.pools[index(kProxies)];
        pool.shared_state = true;
        pool.on_dead_owner = what;
        const std::string id = dealt_against_the_hash(site);
        const BackendId owner = site.begin(id).backend.value();
        BackendLife& life = site.here.snapshot.backends[index(owner)].life;
        life = BackendLife::Silent;
        const Steering moved = site.send(Site::message(Method::Update, id, true));
        ASSERT_TRUE(moved.backend);
        EXPECT_NE(moved.backend, owner);
        life = BackendLife::Serves;
        EXPECT_EQ(site.send(Site::message(Method::Update, id, true)).backend, moved.backend);
    }
}

TEST(DeadOwner, GetsNothingWhenItIsDisabledWhateverIsSaid) {
    for (const OnDeadOwner what : {OnDeadOwner::Resteer, OnDeadOwner::Keep}) {
        Site site(SteerBy::RoundRobin);
        site.here.snapshot.pools[index(kProxies)].on_dead_owner = what;
        const std::string id = dealt_against_the_hash(site);
        const BackendId owner = site.begin(id).backend.value();
        SipDigest response = Site::message(Method::Other, id, true);
        response.kind = PayloadKind::Response;
        response.status = 200;
        response.cseq = CSeq{1, Method::Invite};
        BackendLife& life = site.here.snapshot.backends[index(owner)].life;
        life = BackendLife::Dead;
        EXPECT_EQ(site.send(response).backend, owner);
        life = BackendLife::Disabled;
        EXPECT_EQ(site.send(response).refusal, Outcome::DeadOwner);
        EXPECT_FALSE(site.send(response).backend);
        EXPECT_NE(site.send(Site::message(Method::Update, id, true)).backend, owner);
    }
}

/// A proxy forks an INVITE, one branch is answered, the backend is down, and another branch
/// repeats.
TEST(DeadOwner, KeepsAnAnsweredCallOfWhichAnotherBranchComes) {
    Site site(SteerBy::RoundRobin);
    const std::string id = dealt_against_the_hash(site);
    const BackendId owner = site.begin(id).backend.value();
    const auto send = [&](Method method, std::string_view branch) {
        SipDigest digest = Site::message(method, id, method != Method::Invite);
        digest.top_via_branch = branch;
        return site.send(digest).backend;
    };
    send(Method::Invite, "z9hG4bK-late");
    send(Method::Ack, "z9hG4bK-ack");
    BackendLife& life = site.here.snapshot.backends[index(owner)].life;
    life = BackendLife::Silent;
    EXPECT_EQ(send(Method::Invite, "z9hG4bK-late"), owner) << "it may be a pause";
    life = BackendLife::Dead;
    EXPECT_NE(send(Method::Invite, "z9hG4bK-late"), owner);
    life = BackendLife::Serves;
    EXPECT_EQ(send(Method::Bye, "z9hG4bK-bye"), owner) << "the call is where it was";
}

/// Its refreshes go elsewhere while its backend is dead, and back there when that returns.
TEST(DeadOwner, IsRememberedForAsLongAsItsCallSpeaks) {
    constexpr std::uint16_t kSilence = 100;
    Site site(SteerBy::RoundRobin);
    site.here.snapshot.pools[index(kProxies)].lifetimes.silence = kSilence;
    const std::string id = dealt_against_the_hash(site);
    const BackendId owner = site.begin(id).backend.value();
    static_cast<void>(site.send(Site::message(Method::Ack, id, true)));
    site.here.snapshot.backends[index(owner)].life = BackendLife::Dead;
    for (int i = 0; i < 3; ++i) {
        site.time = site.time.after(kSilence - 1);
        EXPECT_NE(site.send(Site::message(Method::Update, id, true)).backend, owner);
    }
    site.here.snapshot.backends[index(owner)].life = BackendLife::Serves;
    EXPECT_EQ(site.send(Site::message(Method::Update, id, true)).backend, owner);
}

TEST(Registration, LeavesABackendThatIsToBeEmptyWhenItIsRefreshed) {
    for (const SteerBy by : {SteerBy::Hash, SteerBy::RoundRobin}) {
        Site site(SteerBy::RoundRobin);
        if (by == SteerBy::Hash) site.here.snapshot.pools[index(kProxies)].picker.reset();
        std::vector<std::string> phones;
        for (int i = 0; i < 60; ++i) {
            const std::string id = "phone-" + std::to_string(i);
            if (site.send(Site::message(Method::Register, id)).backend == kB1) phones.push_back(id);
        }
        ASSERT_FALSE(phones.empty());
        const auto refreshed = [&](const std::string& id) {
            return site.send(Site::message(Method::Register, id)).backend.value();
        };
        for (const std::string& id : phones)
            EXPECT_EQ(refreshed(id), kB1);
        // As it is behind the switch of a drain.
        site.here.snapshot.backends[index(kB1)].is_evacuating = true;
        auto slots = std::make_shared<SlotTable>(*site.here.snapshot.pools[index(kProxies)].slots);
        std::ranges::replace(*slots, kB1, kB2);
        site.here.snapshot.pools[index(kProxies)].slots = std::move(slots);
        std::erase_if(site.picker->members, [](const auto& one) { return one.id == kB1; });
        site.picker->sequence = {0, 1};
        for (const std::string& id : phones) {
            const BackendId now = refreshed(id);
            EXPECT_NE(now, kB1);
            EXPECT_EQ(refreshed(id), now) << "repeated, or with credentials";
        }
        EXPECT_EQ(site.load(0).all(), 0U);
    }
}

TEST(CallLife, ACallOfTwoDialogsGoesOnWhenOneOfThemEnds) {
    Site site(SteerBy::RoundRobin);
    int still = 0;
    constexpr int kCalls = 200;
    for (int i = 0; i < kCalls; ++i) {
        const std::string id = "forked-" + std::to_string(i);
        const auto in_dialog = [&](Method method, std::string_view to_tag) {
            SipDigest digest = Site::message(method, id, true);
            digest.to_tag = to_tag;
            digest.top_via_branch = "z9hG4bK-inside"; // of an ACK to a success
            return site.send(digest);
        };
        const std::string one = "callee-" + std::to_string(i);
        const std::string another = "other-" + std::to_string(i);
        static_cast<void>(site.begin(id));
        static_cast<void>(in_dialog(Method::Ack, one));
        static_cast<void>(in_dialog(Method::Bye, another));
        const Steering after = in_dialog(Method::Info, one);
        ASSERT_TRUE(after.call);
        still += after.call->state == CallState::Answered ? 1 : 0;
        static_cast<void>(in_dialog(Method::Bye, one));
        EXPECT_EQ(in_dialog(Method::Bye, one).call.value().state, CallState::Ended);
    }
    // Dialogs are told apart by 14 values.
    EXPECT_GT(still, kCalls * 3 / 4);
    EXPECT_LT(still, kCalls);
}

TEST(CallLife, WhatAStrangerMakesUpIsNoAnsweredCall) {
    Site site(SteerBy::RoundRobin);
    // On a slot that a change moved, or nothing were remembered of it (strangers_test.cpp).
    auto unsettled = std::make_shared<Unsettled>();
    unsettled->old = site.here.snapshot.pools[index(kProxies)].slots;
    unsettled->bits.fill(~std::uint64_t{0});
    site.here.snapshot.pools[index(kProxies)].unsettled = unsettled;
    for (const Method method : {Method::Ack, Method::Info, Method::Update, Method::Invite}) {
        const std::string id = "made-up-" + std::to_string(static_cast<int>(method));
        static_cast<void>(site.send(Site::message(method, id, true)));
        for (int more = 0; more < 3; ++more) {
            const auto known = site.send(Site::message(Method::Info, id, true)).call;
            ASSERT_TRUE(known);
            EXPECT_EQ(known->state, CallState::Unknown) << "and makes room";
        }
        static_cast<void>(site.send(Site::message(Method::Bye, id, true)));
        static_cast<void>(site.send(Site::message(Method::Info, id, true)));
        EXPECT_EQ(site.send(Site::message(Method::Info, id, true)).call->state, CallState::Unknown);
        EXPECT_EQ(site.load(0).all() + site.load(1).all() + site.load(2).all(), 0U);
        EXPECT_EQ(site.send(Site::message(Method::Invite, id)).rule, SteerRule::Remembered);
        EXPECT_EQ(site.load(0).calls() + site.load(1).calls() + site.load(2).calls(), 1U)
            << "it begins";
        static_cast<void>(site.send(Site::message(Method::Bye, id, true)));
    }
    site.here.snapshot.pools[index(kProxies)].unsettled = nullptr;
    // What is known to be answered stays so where it is re-homed.
    Pool& pool = site.here.snapshot.pools[index(kProxies)];
    pool.shared_state = true;
    const std::string id = dealt_against_the_hash(site);
    const BackendId owner = site.begin(id).backend.value();
    static_cast<void>(site.send(Site::message(Method::Info, id, true))); // answered
    site.here.snapshot.backends[index(owner)].life = BackendLife::Dead;
    static_cast<void>(site.send(Site::message(Method::Info, id, true)));
    const auto moved = site.send(Site::message(Method::Info, id, true)).call;
    EXPECT_NE(moved->backend, owner);
    EXPECT_EQ(moved->state, CallState::Answered);
}

/// Both change the word of the call; the BYE is what counts.
TEST(CallLife, AByeThatMeetsAnotherMessageOfItsCallEndsIt) {
    Site site(SteerBy::RoundRobin);
    constexpr int kCalls = 50'000;
    std::atomic<int> begun{0};
    const auto meet = [&](int round) {
        ++begun;
        for (int looks = 0; begun.load() < 2 * (round + 1); ++looks)
            if (looks > 1'000) std::this_thread::yield();
    };
    const auto id_of = [](int call) { return "both-" + std::to_string(call); };
    for (int i = 0; i < kCalls; ++i)
        static_cast<void>(site.begin(id_of(i)));
    std::thread other([&] {
        for (int i = 0; i < kCalls; ++i) {
            const std::string id = id_of(i);
            const SipDigest info = Site::message(Method::Info, id, true);
            meet(i);
            static_cast<void>(site.send(info));
        }
    });
    for (int i = 0; i < kCalls; ++i) {
        const std::string id = id_of(i);
        const SipDigest bye = Site::message(Method::Bye, id, true);
        meet(i);
        static_cast<void>(site.send(bye));
    }
    other.join();
    int living = 0;
    for (int i = 0; i < kCalls; ++i) {
        const std::string id = id_of(i);
        const SipDigest asked = Site::message(Method::Bye, id, true);
        living += would_steer(site.view(), kProxies, asked).call->state != CallState::Ended;
    }
    EXPECT_EQ(living, 0) << "of " << kCalls;
}

/// Its second INVITE is another try (RFC 3261 §22.2), whatever few bits of branches say.
TEST(CallLife, AChallengedCallThatIsAnsweredLives) {
    Site site(SteerBy::RoundRobin);
    constexpr int kCalls = 1'000;
    int living = 0;
    for (int i = 0; i < kCalls; ++i) {
        const std::string id = "challenged-" + std::to_string(i);
        const auto send = [&](Method method, const std::string& branch, bool inside) {
            SipDigest digest = Site::message(method, id, inside);
            digest.top_via_branch = branch;
            return site.send(digest);
        };
        const std::string number = std::to_string(i);
        static_cast<void>(send(Method::Invite, "z9hG4bK-first-" + number, false));
        static_cast<void>(send(Method::Ack, "z9hG4bK-first-" + number, true)); // to the 401
        static_cast<void>(send(Method::Invite, "z9hG4bK-second-" + number, false));
        static_cast<void>(send(Method::Ack, "z9hG4bK-third-" + number, true)); // to the 200
        living += send(Method::Info, "z9hG4bK-" + number, true).call->state == CallState::Answered;
    }
    EXPECT_GT(living, kCalls * 9 / 10) << "but for the 14th that docs/steering.md tells of";
}

/// One ACK in 14 to an answer looks like one to a failure; what refreshes the session says better.
TEST(CallLife, AnUpdateOfACallThatWasTakenForRefusedSaysThatItLives) {
    Site site(SteerBy::LeastCalls);
    int taken_for_refused = 0;
    constexpr int kCalls = 500;
    for (int i = 0; i < kCalls; ++i) {
        const std::string id = "update-" + std::to_string(i);
        const auto send = [&](Method method, const std::string& branch) {
            SipDigest digest = Site::message(method, id, method != Method::Invite);
            const std::string of_this_call = "z9hG4bK" + branch + id;
            digest.top_via_branch = of_this_call;
            return site.send(digest);
        };
        static_cast<void>(send(Method::Invite, "invite"));
        static_cast<void>(send(Method::Update, "early"));
        static_cast<void>(send(Method::Ack, "ack"));
        const Steering update = send(Method::Update, "update"); // sees what was before it
        taken_for_refused += update.call->state == CallState::Refused ? 1 : 0;
        ASSERT_EQ(send(Method::Info, "info").call->state, CallState::Answered) << i;
    }
    EXPECT_GT(taken_for_refused, 0);
    EXPECT_EQ(site.load(0).calls() + site.load(1).calls() + site.load(2).calls(), kCalls);
}

/// In nat the legs of a proxy pass here, too, under the same Call-ID.
TEST(CallLife, ARefusedCallThroughAProxyIsNoLivingOne) {
    Site site(SteerBy::LeastCalls);
    for (Picker::Member& member : site.picker->members)
        member.max_calls = 50;
    for (int i = 0; i < 500; ++i) {
        const std::string id = "refused-" + std::to_string(i);
        const auto of = [&](Method method, std::string_view branch) {
            SipDigest digest = Site::message(method, id, method == Method::Ack);
            digest.top_via_branch = branch;
            return digest;
        };
        const std::string client = "z9hG4bK-client-" + id;
        const std::string proxy = "z9hG4bK-proxy-" + id;
        const Steering first = site.send(of(Method::Invite, client));
        ASSERT_TRUE(first.backend) << i;
        const auto goes_out = [&](const SipDigest& digest) {
            const std::uint64_t hash =
                steering_hash(site.here.snapshot.pools[index(kProxies)], digest);
            static_cast<void>(
                note_outgoing(site.view(), kProxies, digest, hash, {}, *first.backend));
        };
        goes_out(of(Method::Invite, proxy));
        goes_out(of(Method::Ack, proxy)); // to a 486 from outside
        static_cast<void>(site.send(of(Method::Ack, client)));
        EXPECT_EQ(site.send(Site::message(Method::Ack, id, true)).call->state, CallState::Refused);
    }
    EXPECT_EQ(site.load(0).calls() + site.load(1).calls() + site.load(2).calls(), 0U);
}

/// Any request or response of a few calls from `first_call` on, with a few dialogs and branches.
std::string any_message(std::mt19937_64& random, std::uint64_t first_call) {
    constexpr std::array kMethods{"INVITE",
                                  "INVITE",
                                  "ACK",
                                  "ACK",
                                  "BYE",
                                  "CANCEL",
                                  "PRACK",
                                  "UPDATE",
                                  "INFO",
                                  "NOTIFY",
                                  "SUBSCRIBE",
                                  "REFER",
                                  "REGISTER",
                                  "OPTIONS"};
    constexpr std::array kStatus{100, 180, 200, 401, 486};
    const std::string method = kMethods[random() % kMethods.size()];
    MessageBuilder message = random() % 3 == 0
                                 ? response(kStatus[random() % kStatus.size()], "Reason")
                                 : request(method);
    message.cseq("1 " + method)
        .call_id("call-" + std::to_string(first_call + random() % 4))
        .from("<sip:alice@example.org>;tag=from" + std::to_string(random() % 2))
        .via("SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK" + std::to_string(random() % 3));
    if (random() % 3 == 0)
        message.to("<sip:bob@example.org>");
    else
        message.to_tag("to" + std::to_string(random() % 2));
    if (random() % 8 == 0) message.without(random() % 2 == 0 ? "Via" : "From");
    return (random() % 8 == 0 ? "\r\n" : "") + message.text();
}

// Workers read tags, branch and CSeq only where they are compared.
TEST(CallLife, IsTheSameWhetherAMessageIsReadAtOnceOrLater) {
    std::mt19937_64 random(11);
    std::array<Site, 2> sites{Site(SteerBy::LeastTransactions), Site(SteerBy::LeastTransactions)};
    for (Site& site : sites)
        site.picker->work.fill(4);
    std::map<CallState, int> seen;
    int work_done = 0;
    for (int i = 0; i < 20'000; ++i) {
        const auto first_call = static_cast<std::uint64_t>(i) / 10; // so that many ring yet
        const std::string text = any_message(random, first_call);
        const auto bytes = std::as_bytes(std::span(text));
        const ReceivedMessage received{bytes, {}};
        std::array<std::optional<Call>, 2> calls;
        const auto all_work = [&] {
            std::uint64_t all = 0;
            for (std::uint16_t backend = 0; backend < 3; ++backend)
                all += sites[1].load(backend).work();
            return all;
        };
        const std::uint64_t before = all_work();
        for (std::size_t late = 0; late < 2; ++late) {
            Site& site = sites[late];
            const SipDigest digest =
                read_digest(bytes, {.want = late == 0 ? Want::Everything : kWantForCalls});
            const Pool& pool = site.here.snapshot.pools[index(kProxies)];
            const std::uint64_t hash = steering_hash(pool, digest);
            const Steering steering = steer(site.view(), kProxies, digest, hash, received);
            if (digest.kind == PayloadKind::Response)
                note_answer(site.view(), kProxies, digest, received);
            ASSERT_TRUE(steering.backend);
            calls[late] = site.table.find(hash, site.view().now);
        }
        ASSERT_EQ(calls[0], calls[1]) << text;
        if (calls[0]) ++seen[calls[0]->state];
        work_done += all_work() < before ? 1 : 0;
        for (std::uint16_t backend = 0; backend < 3; ++backend)
            ASSERT_EQ(sites[0].load(backend).work(), sites[1].load(backend).work()) << text;
    }
    for (const CallState state :
         {CallState::Ringing, CallState::Answered, CallState::Ended, CallState::Refused})
        EXPECT_GT(seen[state], 100) << name_of(state);
    EXPECT_GT(work_done, 100);
}

} // namespace

} // namespace viaduct::test
