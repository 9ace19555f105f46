// SPDX-License-Identifier: Apache-2.0
//
// strangers: what somebody makes up, and what was asked and refused, counts for nothing, is soon
// forgotten, and touches neither living calls nor new ones.
#include "message_builder.hpp"
#include "site.hpp"
#include "steer_by.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace viaduct::test {

namespace {

constexpr std::uint64_t kNow = 5;

struct Crowd : Site {
    explicit Crowd(ForwardMode mode = ForwardMode::DsrL2) : Site(SteerBy::LeastCalls) {
        set_mode(here.snapshot, kProxies, mode);
        pool().lifetimes.ringing = 13;
        pool().lifetimes.transaction = 3;
        pool().lifetimes.unit_seconds = 15;
        for (Picker::Member& member : picker->members)
            member.max_calls = 1'000;
    }
    Pool& pool() { return here.snapshot.pools[index(kProxies)]; }
    /// As a change leaves them: every slot had another owner.
    void unsettle() {
        auto unsettled = std::make_shared<Unsettled>();
        auto old = std::make_shared<SlotTable>(*pool().slots);
        std::rotate(old->begin(), old->begin() + 1, old->end());
        unsettled->old = old;
        unsettled->bits.fill(~std::uint64_t{0});
        pool().unsettled = unsettled;
    }
    void use_small_table(std::size_t words) {
        own = OwnTable(words);
        table = own.table;
    }
    [[nodiscard]] SteerView seen_at(std::uint64_t now, std::uint32_t* budget = nullptr) const {
        return {here.snapshot, table, CallTime(now), budget};
    }
    Steering
    hear(const std::string& text, std::uint64_t now = kNow, std::uint32_t* left = nullptr) {
        const auto bytes = std::as_bytes(std::span(text));
        const SipDigest digest = read_digest(bytes);
        return steer(
            seen_at(now, left), kProxies, digest, steering_hash(pool(), digest), {bytes, {}});
    }
    void goes_out(const std::string& text, BackendId from) {
        const auto bytes = std::as_bytes(std::span(text));
        const SipDigest digest = read_digest(bytes);
        static_cast<void>(note_outgoing(
            seen_at(kNow), kProxies, digest, steering_hash(pool(), digest), {bytes, {}}, from));
    }
    void answers(const std::string& text, BackendId from) {
        const auto bytes = std::as_bytes(std::span(text));
        hear_answer(seen_at(kNow), kProxies, read_digest(bytes), {bytes, {}}, from);
    }
    [[nodiscard]] std::optional<Call> known(const std::string& id, std::uint64_t now = kNow) {
        SipDigest digest;
        digest.call_id = id;
        return table.find(steering_hash(pool(), digest), CallTime(now));
    }
    [[nodiscard]] int left(const std::string& id) {
        const auto call = known(id);
        return call ? call->deadline.left(CallTime(kNow)) : -1;
    }
    [[nodiscard]] std::uint64_t calls() const {
        return load(0).calls() + load(1).calls() + load(2).calls();
    }
    [[nodiscard]] std::uint64_t words(std::uint64_t now) {
        std::uint64_t words = 0;
        table.sweep(0, table.buckets(), CallTime(now), [&](std::size_t, const Call&) {
            ++words;
            return true;
        });
        return words;
    }
};

MessageBuilder made(const std::string& method, const std::string& id) {
    return request(method).call_id(id).cseq("1 " + method);
}
MessageBuilder answered(std::uint16_t status, const std::string& method, const std::string& id) {
    return response(status, "Reason").call_id(id).cseq("1 " + method);
}

const std::vector<std::string> kInDialog{"INVITE",
                                         "ACK",
                                         "BYE",
                                         "CANCEL",
                                         "PRACK",
                                         "UPDATE",
                                         "INFO",
                                         "NOTIFY",
                                         "MESSAGE",
                                         "OPTIONS",
                                         "REFER",
                                         "SUBSCRIBE",
                                         "PUBLISH",
                                         "REGISTER",
                                         "BREW"};

} // namespace

class Strangers : public testing::TestWithParam<std::string> {
protected:
    /// What a stranger sends of a call that nobody knows; "200 INFO": an answer.
    [[nodiscard]] static std::string message(const std::string& id) {
        const std::string what = GetParam();
        if (what.starts_with("200 "))
            return answered(200, what.substr(4), id).to_tag("made-up").text();
        return made(what, id).to_tag("made-up").text();
    }
};
INSTANTIATE_TEST_SUITE_P(Methods, Strangers, testing::ValuesIn(kInDialog));
INSTANTIATE_TEST_SUITE_P(Answers,
                         Strangers,
                         testing::Values("200 INVITE", "200 BYE", "200 NOTIFY", "200 INFO"));

TEST_P(Strangers, LeaveNothingBehindOnASettledSlot) {
    for (const ForwardMode mode : {ForwardMode::DsrL2, ForwardMode::Nat}) {
        Crowd site(mode);
        for (int i = 0; i < 300; ++i)
            for (int again = 0; again < 3; ++again)
                EXPECT_FALSE(site.hear(message("made-up-" + std::to_string(i))).remembered);
        EXPECT_EQ(site.calls(), 0U);
        EXPECT_EQ(site.load(0).all() + site.load(1).all() + site.load(2).all(), 0U);
        EXPECT_EQ(site.words(kNow), 0U);
    }
}

TEST_P(Strangers, AreNoLoadOnASlotThatAChangeMoved) {
    Crowd site;
    site.unsettle();
    const SlotTable& old = *site.pool().unsettled->old;
    for (int i = 0; i < 300; ++i)
        for (int again = 0; again < 3; ++again) {
            const Steering steering = site.hear(message("made-up-" + std::to_string(i)));
            ASSERT_EQ(steering.backend, old[steering.slot]);
        }
    EXPECT_EQ(site.calls(), 0U);
    EXPECT_EQ(site.load(0).all() + site.load(1).all() + site.load(2).all(), 0U);
}

/// The table is full of what strangers sent, of every kind, and of 1,000 living calls.
TEST_P(Strangers, TouchNeitherLivingCallsNorNewOnes) {
    for (const bool unsettled : {false, true}) {
        Crowd site;
        site.use_small_table(std::size_t{1} << 12);
        if (unsettled) site.unsettle();
        std::vector<BackendId> owners;
        const auto id_of = [](int call) { return "living-" + std::to_string(call); };
        for (int i = 0; i < 1'000; ++i) {
            owners.push_back(site.hear(made("INVITE", id_of(i)).text()).backend.value());
            if (i % 2 == 0) // the others ring
                site.hear(
                    made("ACK", id_of(i)).to_tag("b").via("SIP/2.0/UDP a;branch=z9hG4bK9").text());
        }
        std::uint32_t budget = 600;
        for (int i = 0; i < 20'000; ++i)
            site.hear(message("made-up-" + std::to_string(i)), kNow, &budget);
        EXPECT_EQ(budget, 600U) << "new calls lose nothing by it";
        EXPECT_EQ(site.calls(), 1'000U);
        for (int i = 0; i < 1'000; ++i) {
            ASSERT_TRUE(site.known(id_of(i))) << i;
            ASSERT_EQ(site.known(id_of(i))->backend, owners[static_cast<std::size_t>(i)]);
        }
        for (int i = 0; i < 600; ++i) {
            const std::string id = "new-" + std::to_string(i);
            const Steering begun = site.hear(made("INVITE", id).text(), kNow, &budget);
            ASSERT_TRUE(begun.remembered) << i;
            ASSERT_EQ(site.hear(made("BYE", id).to_tag("b").text()).backend, begun.backend);
        }
    }
}

TEST(Strangers, WhatABackendDeniesIsForgottenAfterOneTransaction) {
    for (const char* const method : {"INVITE", "INFO", "UPDATE", "OPTIONS", "BREW"}) {
        Crowd site(ForwardMode::Nat);
        site.unsettle();
        const std::string id = std::string("made-up-") + method;
        const BackendId at = site.hear(made(method, id).to_tag("x").text()).backend.value();
        site.answers(answered(481, method, id).to_tag("x").text(), at);
        ASSERT_TRUE(site.known(id)) << method;
        EXPECT_EQ(site.known(id)->dialog, Call::kUnconfirmed) << method;
        EXPECT_LE(site.left(id), site.pool().lifetimes.transaction + 1) << method;

        // What its backend takes part in is kept, refused or not.
        site.hear(made(method, id + "2").to_tag("x").text());
        site.answers(answered(491, method, id + "2").to_tag("x").text(), at);
        EXPECT_GT(site.left(id + "2"), site.pool().lifetimes.transaction + 1) << method;
    }
}

TEST(Strangers, ThatCancelInAFloodLeaveNothing) {
    Crowd site;
    site.unsettle();
    std::uint32_t budget = 0;
    for (int i = 0; i < 100; ++i)
        site.hear(made("CANCEL", "made-up-" + std::to_string(i)).text(), kNow, &budget);
    EXPECT_EQ(site.words(kNow), 0U);
}

/// One backend subscribes at another one, through the VIP.
TEST(Refusals, ASubscriptionBetweenBackendsLastsForWhatItAsks) {
    Crowd site(ForwardMode::Nat);
    const auto sends = [&](BackendId from, const std::string& text, std::uint64_t now) {
        const auto bytes = std::as_bytes(std::span(text));
        const SipDigest digest = read_digest(bytes);
        return steer_backend_call(site.seen_at(now),
                                  VipId{0},
                                  digest,
                                  steering_hash(site.pool(), digest),
                                  {bytes, {}},
                                  from);
    };
    for (int i = 0; i < 20; ++i) {
        const std::string id = "watch-" + std::to_string(i);
        const Steering begun = sends(kB1, made("SUBSCRIBE", id).line("Expires: 3600").text(), kNow);
        ASSERT_TRUE(begun.backend);
        if (*begun.backend == kB1) continue; // it called itself
        sends(*begun.backend,
              answered(200, "SUBSCRIBE", id).to_tag("b").line("Expires: 3600").text(),
              kNow);
        const Steering notified =
            sends(*begun.backend,
                  made("NOTIFY", id).to_tag("a").line("Subscription-State: active").text(),
                  kNow + 60);
        EXPECT_EQ(notified.backend, kB1) << id;
    }
}

/// Message waiting after each REGISTER, though nobody subscribed.
TEST(Strangers, AnUnsolicitedNotifyIsRememberedForItsAnswerAlone) {
    for (const char* const state : {"active", "terminated;reason=noresource", ""})
        for (const bool tagged : {false, true}) {
            Crowd site(ForwardMode::Nat);
            int remembered = 0;
            for (int i = 0; i < 60; ++i) {
                const std::string id = "mwi-" + std::to_string(i);
                MessageBuilder notify = made("NOTIFY", id);
                if (tagged) notify.to_tag("phone");
                if (*state != '\0') notify.line(std::string("Subscription-State: ") + state);
                site.goes_out(notify.text(), kB1);
                ASSERT_LE(site.left(id), 4) << id;
                remembered += site.known(id) ? 1 : 0;
                EXPECT_EQ(site.hear(answered(200, "NOTIFY", id).to_tag("phone").text()).backend,
                          kB1);
                site.goes_out(notify.text(), kB1); // repeated
                ASSERT_LE(site.left(id), 4);
                EXPECT_FALSE(site.hear(made("NOTIFY", "c" + id).text()).remembered);
                ASSERT_EQ(site.left("c" + id), -1);
            }
            EXPECT_EQ(remembered, 60);
            EXPECT_EQ(site.words(kNow + 5), 0U);
        }
}

TEST(Strangers, ANotifyThatTerminatesEndsItsSubscription) {
    Crowd site(ForwardMode::Nat);
    const BackendId owner =
        site.hear(made("SUBSCRIBE", "s").line("Expires: 3600").text()).backend.value();
    site.answers(answered(200, "SUBSCRIBE", "s").to_tag("n").line("Expires: 3600").text(), owner);
    EXPECT_EQ(site.known("s")->state, CallState::SoftState);
    site.goes_out(
        made("NOTIFY", "s").to_tag("a").line("Subscription-State: active;expires=9").text(), owner);
    EXPECT_EQ(site.known("s")->state, CallState::SoftState);
    site.goes_out(made("NOTIFY", "s").to_tag("a").line("Subscription-State: Terminated").text(),
                  owner);
    EXPECT_EQ(site.known("s")->state, CallState::Ended);
    EXPECT_EQ(site.load(0).all() + site.load(1).all() + site.load(2).all(), 0U);
}

class Refusals : public testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Methods,
                         Refusals,
                         testing::Values("REGISTER", "SUBSCRIBE", "PUBLISH", "REFER"));

TEST_P(Refusals, FreeWhatWasAskedWhereAnswersPass) {
    for (const std::uint16_t status :
         std::initializer_list<std::uint16_t>{301, 401, 403, 407, 423, 481, 489, 503, 603}) {
        Crowd site(ForwardMode::Nat);
        const std::string ask = made(GetParam(), "r").line("Expires: 3600").text();
        const BackendId owner = site.hear(ask).backend.value();
        EXPECT_LE(site.left("r"), 4) << "nobody has granted it";
        site.answers(answered(100, GetParam(), "r").text(), owner);
        site.answers(answered(status, GetParam(), "r").to_tag("b").text(), owner);
        EXPECT_EQ(site.known("r")->state, CallState::Refused);
        EXPECT_LE(site.left("r"), 4);
        EXPECT_EQ(site.load(0).all() + site.load(1).all() + site.load(2).all(), 0U);
        // With credentials it goes there again, and is granted.
        EXPECT_EQ(site.hear(ask).backend, owner);
        // A late copy of the refusal passes before the answer.
        site.answers(answered(status, GetParam(), "r").to_tag("b").text(), owner);
        site.answers(answered(200, GetParam(), "r").to_tag("b").line("Expires: 600").text(), owner);
        EXPECT_EQ(site.known("r")->state, CallState::SoftState);
        EXPECT_EQ(site.left("r"), GetParam() == "REFER" ? 900 : 600 / 15 + 1 + 3);
        // A refresh that is refused, or not answered, ends nothing that was granted.
        site.hear(ask);
        site.answers(answered(status, GetParam(), "r").to_tag("b").text(), owner);
        EXPECT_EQ(site.known("r")->state, CallState::SoftState);
        EXPECT_GE(site.left("r"), 600 / 15);
    }
}

TEST_P(Refusals, ByABackendOfSomebodyOutsideAreHeardToo) {
    Crowd site(ForwardMode::Nat);
    const std::string ask = made(GetParam(), "out").line("Expires: 3600").text();
    site.goes_out(ask, kB2);
    EXPECT_LE(site.left("out"), 4);
    EXPECT_EQ(site.hear(answered(403, GetParam(), "out").to_tag("x").text()).backend, kB2);
    EXPECT_EQ(site.known("out")->state, CallState::Refused);
    EXPECT_LE(site.left("out"), 4);
    site.goes_out(ask, kB2);
    site.hear(answered(200, GetParam(), "out").to_tag("x").line("Expires: 3600").text());
    EXPECT_EQ(site.known("out")->state, CallState::SoftState);
    EXPECT_GE(site.left("out"), 3600 / 15);
}

TEST_P(Refusals, LeaveNothingWhereNobodyAnswers) {
    Crowd site(ForwardMode::Nat);
    for (int i = 0; i < 100; ++i)
        site.hear(made(GetParam(), "r" + std::to_string(i)).line("Expires: 3600").text());
    EXPECT_EQ(site.words(kNow + 5), 0U);
}

/// Where answers do not pass it is kept, as it may live, and makes room for what begins.
TEST_P(Refusals, WhereAnswersDoNotPassMakeRoomForCalls) {
    Crowd site;
    site.use_small_table(std::size_t{1} << 12);
    site.hear(made(GetParam(), "r").line("Expires: 3600").text());
    EXPECT_GE(site.left("r"), 3600 / 15);
    for (int i = 0; i < 300; ++i)
        site.hear(made("INVITE", "rings-" + std::to_string(i)).text());
    for (int i = 0; i < 20'000; ++i)
        site.hear(made(GetParam(), "flood-" + std::to_string(i)).line("Expires: 7200").text());
    EXPECT_EQ(site.calls(), 300U);
    for (int i = 0; i < 300; ++i)
        ASSERT_TRUE(site.known("rings-" + std::to_string(i))) << i;
    for (int i = 0; i < 600; ++i)
        ASSERT_TRUE(site.hear(made("INVITE", "new-" + std::to_string(i)).text()).remembered) << i;
    EXPECT_EQ(site.calls(), 900U);
}

TEST(Refusals, OfAnInviteAreHeardThoughNobodyAcknowledgesThem) {
    Crowd site(ForwardMode::Nat);
    for (int i = 0; i < 200; ++i) { // who scans for servers sends no ACK
        const std::string id = "scan-" + std::to_string(i);
        const std::string via = "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK" + id;
        const BackendId owner = site.hear(made("INVITE", id).via(via).text()).backend.value();
        site.answers(answered(403, "INVITE", id).via(via).to_tag("no").text(), owner);
        ASSERT_EQ(site.known(id)->state, CallState::Refused);
    }
    EXPECT_EQ(site.calls(), 0U);
}

/// What an old registrar grants without saying for how long, and what is asked to end.
TEST(Refusals, AGrantIsReadFromTheAnswer) {
    Crowd site(ForwardMode::Nat);
    const auto ask = [&](const std::string& expires) {
        return site.hear(made("REGISTER", "r").line("Expires: " + expires).text()).backend.value();
    };
    const BackendId owner = ask("3600");
    site.answers(answered(200, "REGISTER", "r").text(), owner);
    EXPECT_EQ(site.left("r"), 3600 / 15 + 1 + 3) << "the usual";
    site.answers(answered(200, "REGISTER", "r")
                     .set("Contact", "<sip:a@192.0.2.1>;expires=60, <sip:b@192.0.2.2>;expires=1200")
                     .text(),
                 owner);
    EXPECT_EQ(site.left("r"), 1200 / 15 + 1 + 3);
    ask("0");
    EXPECT_GE(site.left("r"), 1200 / 15) << "it may be refused";
    site.answers(answered(200, "REGISTER", "r").text(), owner);
    EXPECT_LE(site.left("r"), 4);
}

/// A table under living calls: they stay, and their numbers are true.
TEST(FullTable, KeepsItsCallsAndTheirNumbers) {
    Crowd site;
    for (Picker::Member& member : site.picker->members)
        member.max_calls = Picker::kNoLimit;
    site.use_small_table(CallTable::kMinWords);
    const auto id_of = [](int call) { return "living-" + std::to_string(call); };
    const auto ack = [&](const std::string& id) {
        site.hear(made("ACK", id).to_tag("b").via("SIP/2.0/UDP a;branch=z9hG4bKack" + id).text());
        site.hear(made("INFO", id).to_tag("b").text()); // what no few bits leave in doubt
    };
    std::vector<std::pair<std::string, BackendId>> living;
    int full = 0;
    for (int i = 0; i < 3'000; ++i) {
        const Steering begun = site.hear(made("INVITE", id_of(i)).text());
        full += begun.table_full ? 1 : 0;
        if (!begun.remembered) {
            ASSERT_EQ(begun.backend, (*site.pool().slots)[begun.slot]) << "by hash";
            continue;
        }
        living.emplace_back(id_of(i), begun.backend.value());
        ack(id_of(i));
    }
    ASSERT_EQ(living.size(), CallTable::kMinWords) << "all words are calls";
    EXPECT_EQ(full, 3'000 - static_cast<int>(living.size()));
    EXPECT_EQ(site.calls(), living.size());
    for (const std::string& method : kInDialog) // strangers, and what begins
        for (int i = 0; i < 200; ++i) {
            site.hear(made(method, "made-up-" + std::to_string(i)).to_tag("x").text());
            site.hear(made(method, "begins-" + std::to_string(i)).text());
        }
    EXPECT_EQ(site.calls(), living.size());
    for (const auto& [id, owner] : living) {
        ASSERT_EQ(site.known(id)->state, CallState::Answered);
        ASSERT_EQ(site.hear(made("UPDATE", id).to_tag("b").text()).backend, owner);
    }
    for (const auto& [id, owner] : living)
        ASSERT_EQ(site.hear(made("BYE", id).to_tag("b").text()).backend, owner);
    EXPECT_EQ(site.calls(), 0U);
    EXPECT_TRUE(site.hear(made("INVITE", "after").text()).remembered) << "there is room again";
}

} // namespace viaduct::test
