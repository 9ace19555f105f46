// SPDX-License-Identifier: Apache-2.0
//
// Registrars that share nothing: what is asked for an address goes to where it is registered; and
// answers to what went by another key than the Call-ID.
#include "message_builder.hpp"
#include "own_table.hpp"
#include "steer_by.hpp"
#include "steering/registration.hpp"
#include "valid_snapshot.hpp"
#include "world.hpp"

#include "viaduct/steering/keys.hpp"
#include "viaduct/steering/steer.hpp"

#include <gtest/gtest.h>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace viaduct::test {

namespace {

std::span<const std::byte> bytes_of(const std::string& text) {
    return std::as_bytes(std::span(text));
}

constexpr std::array kBackends{kB1, kB2, kB3};

/// A pool whose slots move from one backend to the next with each change().
struct Site {
    explicit Site(KeyType type = KeyType::Aor) {
        pool().lifetimes.silence = 900;
        pool().lifetimes.transaction = 3;
        pool().lifetimes.unit_seconds = 15;
        pool().marks = std::make_shared<SlotMarks>();
        pool().transaction_hash = hash_prefix(here.snapshot.secret, 0x1111, KeyType::Transaction);
        if (type == KeyType::CallId) return;
        const KeyType hashed = type == KeyType::From ? KeyType::Aor : type;
        auto keys = std::make_shared<PoolKeys>();
        keys->by_method.fill({type, hash_prefix(here.snapshot.secret, 0x1111, hashed), "X-Tenant"});
        pool().keys = std::move(keys);
        pool().tracking = Tracking::Keys;
    }
    [[nodiscard]] Pool& pool() { return here.snapshot.pools[index(kProxies)]; }

    Steering send(const std::string& message) {
        const SipDigest digest = read_digest(bytes_of(message), {.want = kWantForCalls});
        const SteerView view{here.snapshot, table, now};
        const ReceivedMessage received{bytes_of(message), ip("192.0.2.7")};
        expect_valid(here.snapshot);
        const Steering said = would_steer(view, kProxies, digest, received);
        const Steering done =
            steer(view, kProxies, digest, steering_hash(pool(), digest), received);
        EXPECT_EQ(said.backend, done.backend) << message;
        EXPECT_EQ(said.rule == SteerRule::Registered, done.rule == SteerRule::Registered);
        return done;
    }
    /// Every slot is its next backend's; a long announced change has switched.
    void change() {
        auto next = std::make_shared<SlotTable>(*pool().slots);
        for (BackendId& owner : *next)
            owner = kBackends[(index(owner) + 1) % kBackends.size()];
        auto unsettled = std::make_shared<Unsettled>();
        unsettled->bits.fill(~std::uint64_t{0});
        unsettled->old = pool().slots;
        pool().unsettled = std::move(unsettled);
        pool().slots = std::move(next);
    }
    void drain(BackendId id) { here.snapshot.backends[index(id)].is_evacuating = true; }
    /// Units for which an address is remembered; -1: it is not.
    [[nodiscard]] int left(const std::string& user) {
        const std::string message = request_for(user, "OPTIONS").text();
        const auto key = key_hash(pool().keys->by_method[0], {bytes_of(message), ip("192.0.2.7")});
        const auto call = table.find(*key, now);
        return call ? call->deadline.left(now) : -1;
    }
    static MessageBuilder request_for(const std::string& user, const std::string& method) {
        return MessageBuilder(method + " sip:" + user + "@example.com SIP/2.0", method)
            .set("To", "<sip:" + user + "@example.com>")
            .call_id(method + " of " + user);
    }
    /// What that backend answers to the user's REGISTER.
    void hear(const std::string& user,
              BackendId from,
              int status,
              const std::string& method = "REGISTER",
              const std::string& contact = {}) {
        MessageBuilder message("SIP/2.0 " + std::to_string(status) + " So", method);
        message.set("To", "<sip:" + user + "@example.com>;tag=registrar")
            .call_id(method + " of " + user);
        if (!contact.empty()) message.set("Contact", contact);
        const std::string answer = message.text();
        const SipDigest digest = read_digest(bytes_of(answer), {.want = kWantForCalls});
        hear_answer({here.snapshot, table, now}, kProxies, digest, {bytes_of(answer), {}}, from);
    }
    Steering registers(const std::string& user,
                       const std::string& contact = "<sip:u@192.0.2.7>",
                       const std::string& expires = "3600") {
        return send(
            request_for(user, "REGISTER").set("Contact", contact).set("Expires", expires).text());
    }

    World here = world();
    OwnTable own;
    CallTable table = own.table;
    CallTime now{7};
};

std::vector<std::string> some_users(int count = 30) {
    std::vector<std::string> users;
    for (int i = 0; i < count; ++i)
        users.push_back("user" + std::to_string(i));
    return users;
}

Registration read(const std::vector<std::string>& lines) {
    MessageBuilder message = request("REGISTER");
    for (const std::string& line : lines)
        message.line(line);
    return read_registration(bytes_of(message.text()));
}

/// As a proxy that got it, and sent it on, is answered.
std::string answer_to(const std::string& method, const std::string& call_id, int status = 200) {
    return MessageBuilder("SIP/2.0 " + std::to_string(status) + " Well", method)
        .line_before("Via: SIP/2.0/UDP 198.51.100.10;branch=z9hG4bKproxy")
        .to_tag("phone")
        .call_id(call_id)
        .text();
}

} // namespace

TEST(Register, AsksForWhatItsContactsSay) {
    using Asks = Registration::Asks;
    EXPECT_EQ(read({}).asks, Asks::Nothing);
    EXPECT_EQ(read({"Expires: 600"}).asks, Asks::Nothing);
    EXPECT_EQ(read({"Contact: *", "Expires: 0"}).asks, Asks::ToRemoveAll);
    EXPECT_EQ(read({"Contact: <sip:a@192.0.2.1>"}).seconds, 3600U);
    EXPECT_EQ(read({"m: <sip:a@192.0.2.1>", "Expires: 600"}).seconds, 600U);
    EXPECT_EQ(read({"m: <sip:a@192.0.2.1>", "Expires: soon"}).seconds, 3600U);
    EXPECT_EQ(read({"m: <sip:a@192.0.2.1>;expires=60, <sip:b@192.0.2.1>;expires=90"}).seconds, 90U);
    EXPECT_EQ(read({"m: <sip:a@192.0.2.1>", "Expires: 0"}).asks, Asks::ToRemove);
    EXPECT_EQ(read({"m: <sip:a@192.0.2.1>;expires=0", "Expires: 600"}).asks, Asks::ToRemove);
    const Registration both = read({"m: <sip:a@192.0.2.1>;expires=0, <sip:b@192.0.2.1>"});
    EXPECT_EQ(both.asks, Asks::ToBind);
    EXPECT_EQ(both.contact, read({"m: sip:b@192.0.2.1"}).contact) << "of those that stay";
    EXPECT_EQ(read_registration({}).asks, Asks::Nothing);
}

TEST(Registered, IsFoundThroughEveryChangeByAllThatAsksForIt) {
    for (const KeyType type : {KeyType::Aor, KeyType::From, KeyType::Header, KeyType::Source}) {
        Site site(type);
        for (const std::string& user : some_users()) {
            const auto message = [&](const std::string& method) {
                return Site::request_for(user, method)
                    .set("From", "<sip:" + user + "@example.com>;tag=1")
                    .set("X-Tenant", user);
            };
            const Steering first =
                site.send(message("REGISTER").set("Contact", "<sip:u@192.0.2.7>").text());
            ASSERT_TRUE(first.backend);
            for (int changes = 0; changes < 3; ++changes) {
                site.change();
                for (const std::string method : {"INVITE",
                                                 "MESSAGE",
                                                 "SUBSCRIBE",
                                                 "OPTIONS",
                                                 "PUBLISH",
                                                 "REFER",
                                                 "NOTIFY",
                                                 "DONATE"}) {
                    const Steering asked = site.send(
                        message(method).call_id(method + user + std::to_string(changes)).text());
                    EXPECT_EQ(asked.backend, first.backend) << method << " of " << user;
                    EXPECT_EQ(asked.rule, SteerRule::Registered) << method;
                }
            }
        }
    }
}

TEST(Registered, MovesFromABackendThatDrainsWithItsNextRefreshAndNotSooner) {
    Site site;
    for (const std::string& user : some_users()) {
        site.here.snapshot.backends[index(kB1)].is_evacuating = false;
        const BackendId before = site.registers(user).backend.value();
        site.change();
        site.drain(before);
        const auto asked = [&] { return site.send(Site::request_for(user, "INVITE").text()); };
        EXPECT_EQ(asked().backend, before);
        // What does not bind goes to where the contacts are, and takes nothing away from there.
        EXPECT_EQ(site.send(Site::request_for(user, "REGISTER").text()).backend, before);
        EXPECT_EQ(site.registers(user, "<sip:another@192.0.2.9>", "0").backend, before);
        EXPECT_EQ(site.send(Site::request_for(user, "MESSAGE").text()).backend, before);
        const Steering moved = site.registers(user);
        EXPECT_NE(moved.backend, before);
        EXPECT_EQ(site.send(Site::request_for(user, "MESSAGE").text()).backend, moved.backend);
        site.here.snapshot.backends[index(before)].is_evacuating = false;
        EXPECT_EQ(site.registers(user).backend, moved.backend) << "and stays there";
    }
}

TEST(Registered, OnOneThatDiesItGoesToTheNextWithItsRefresh) {
    Site site;
    const BackendId before = site.registers("alice").backend.value();
    site.change();
    Backend& dead = site.here.snapshot.backends[index(before)];
    dead.life = BackendLife::Silent;
    const auto asked = [&] {
        return site.send(Site::request_for("alice", "MESSAGE").text()).backend;
    };
    EXPECT_NE(asked(), before) << "what begins does not wait";
    dead.life = BackendLife::Serves;
    EXPECT_EQ(asked(), before) << "it was a pause";
    dead.life = BackendLife::Dead;
    const auto after = site.registers("alice").backend;
    EXPECT_NE(after, before);
    dead.life = BackendLife::Serves;
    EXPECT_EQ(asked(), after);
}

TEST(Registered, IsFoundWhereNobodyTakesNewCalls) {
    Site site;
    const BackendId at = site.registers("alice").backend.value();
    site.pool().slots = nullptr;
    auto unsettled = std::make_shared<Unsettled>();
    unsettled->bits.fill(~std::uint64_t{0});
    site.pool().unsettled = std::move(unsettled);
    for (const char* const method : {"INVITE", "MESSAGE", "REGISTER"})
        EXPECT_EQ(site.send(Site::request_for("alice", method).text()).backend, at) << method;
}

TEST(Registered, IsRememberedForAsLongAsAnyOfItsContacts) {
    constexpr int kOver = 3 + 1; // one transaction
    Site site;
    EXPECT_EQ(site.left("alice"), -1);
    site.send(Site::request_for("alice", "REGISTER").text());
    EXPECT_EQ(site.left("alice"), -1) << "it asked only";
    site.registers("alice", "<sip:a@192.0.2.7>", "0");
    EXPECT_EQ(site.left("alice"), -1) << "there was nothing to take away";

    site.registers("alice", "<sip:a@192.0.2.7>", "1800");
    EXPECT_EQ(site.left("alice"), 1800 / 15 + kOver);
    site.registers("alice", "<sip:a@192.0.2.7>", "600");
    EXPECT_EQ(site.left("alice"), 600 / 15 + kOver) << "its only contact";
    for (const char* const method : {"MESSAGE", "OPTIONS", "INVITE", "PUBLISH"})
        site.send(Site::request_for("alice", method).set("Expires", "60").text());
    EXPECT_EQ(site.left("alice"), 600 / 15 + kOver) << "no other request changes that";
    site.registers("alice", "<sip:a@192.0.2.7>", "0");
    EXPECT_EQ(site.left("alice"), kOver);

    site.registers("bob", "<sip:desk@192.0.2.7>", "1800");
    site.registers("bob", "<sip:mobile@192.0.2.8>", "60");
    EXPECT_EQ(site.left("bob"), 1800 / 15 + kOver) << "that of the other one";
    site.registers("bob", "<sip:mobile@192.0.2.8>", "0");
    EXPECT_EQ(site.left("bob"), 1800 / 15 + kOver);
    site.registers("bob", "*", "0");
    EXPECT_EQ(site.left("bob"), kOver) << "all are gone";

    site.registers("carol", "<sip:a@192.0.2.7>;expires=60, <sip:b@192.0.2.7>;expires=1800");
    EXPECT_EQ(site.left("carol"), 1800 / 15 + kOver);
    site.registers("dave", "<sip:a@192.0.2.7>", "4000000000");
    EXPECT_EQ(site.left("dave"), 900) << "no longer than call_lifetime";
}

/// Where answers pass: a challenge, credentials that are wrong, no answer at all, and right ones.
TEST(Registered, IsBoundByItsAnswerWhereThatIsHeard) {
    constexpr int kOnce = 3 + 1;
    Site site;
    set_mode(site.here.snapshot, kProxies, ForwardMode::Nat);
    const auto hear = [&](BackendId from, int status, const std::string& method = "REGISTER") {
        site.hear("alice", from, status, method);
    };
    for (int tries = 0; tries < 3; ++tries) {
        const BackendId at = site.registers("alice").backend.value();
        EXPECT_EQ(site.left("alice"), kOnce) << "nobody has accepted it";
        hear(at, 100);
        hear(at, 489, "PUBLISH");
        hear(kBackends[(index(at) + 1) % 3], 403);
        if (tries > 0) hear(at, tries == 1 ? 401 : 403);
        EXPECT_EQ(site.left("alice"), kOnce) << tries;
        EXPECT_EQ(site.send(Site::request_for("alice", "INVITE").text()).backend, at);
    }
    const BackendId at = site.registers("alice").backend.value();
    hear(at, 200);
    EXPECT_EQ(site.left("alice"), 3600 / 15 + kOnce);
    site.registers("alice");
    hear(at, 401);
    EXPECT_EQ(site.left("alice"), 3600 / 15 + kOnce) << "a challenge ends no living binding";
    site.registers("alice", "<sip:u@192.0.2.7>", "60");
    site.hear("alice", at, 200, "REGISTER", "<sip:u@192.0.2.7>;expires=7200");
    EXPECT_EQ(site.left("alice"), 7200 / 15 + kOnce) << "as granted, and not as asked";
}

/// A stranger without its password sends a REGISTER for an address whose backend drains, or is
/// down.
TEST(Registered, LeavesItsBackendOnlyForOneThatAcceptsIt) {
    for (const bool dies : {false, true}) {
        Site site;
        set_mode(site.here.snapshot, kProxies, ForwardMode::Nat);
        const auto asked = [&] {
            return site.send(Site::request_for("alice", "MESSAGE").text()).backend;
        };
        const BackendId before = site.registers("alice").backend.value();
        site.hear("alice", before, 200);
        site.change();
        Backend& leaves = site.here.snapshot.backends[index(before)];
        if (dies)
            leaves.life = BackendLife::Dead;
        else
            site.drain(before);
        const BackendId next = site.registers("alice", "<sip:stranger@192.0.2.66>").backend.value();
        EXPECT_NE(next, before);
        site.hear("alice", next, 401);
        leaves.life = BackendLife::Serves;
        EXPECT_EQ(asked(), before) << dies;

        if (dies) leaves.life = BackendLife::Dead;
        EXPECT_EQ(site.registers("alice").backend, next);
        leaves.is_evacuating = false; // meanwhile
        leaves.life = BackendLife::Serves;
        site.hear("alice", next, 200);
        EXPECT_EQ(asked(), next) << dies;
        EXPECT_EQ(site.registers("alice").backend, next) << "and stays there";
    }
}

/// Anybody can send a REGISTER: what nobody is known to have accepted takes nothing away.
TEST(Registered, ThatCameBackIsForgottenByNoOtherRegister) {
    Site site;
    const BackendId at = site.registers("alice").backend.value();
    site.now = CallTime(7 + 100);
    site.registers("alice");
    const int left = site.left("alice");
    site.registers("alice", "*", "0");
    site.registers("alice", "<sip:u@192.0.2.7>", "0");
    site.registers("alice", "<sip:u@192.0.2.7>", "1");
    EXPECT_EQ(site.left("alice"), left);
    site.change();
    EXPECT_EQ(site.send(Site::request_for("alice", "INVITE").text()).backend, at);
}

/// The others of a source or tenant have contacts of their own.
TEST(Registered, UnderAKeyOfManyNobodyRemovesAll) {
    Site site(KeyType::Source);
    const BackendId at = site.registers("alice").backend.value();
    site.registers("bob", "<sip:bob@192.0.2.7>");
    site.registers("alice", "*", "0");
    site.now = CallTime(7 + 100);
    site.change();
    EXPECT_EQ(site.send(Site::request_for("anybody", "INVITE").text()).backend, at);
}

TEST(Registered, CostsAPoolThatSteersByCallIdNothing) {
    Site site(KeyType::CallId);
    for (const std::string& user : some_users()) {
        EXPECT_FALSE(site.registers(user).remembered);
        for (const char* const method : {"MESSAGE", "OPTIONS", "PUBLISH"})
            EXPECT_FALSE(site.send(Site::request_for(user, method).text()).remembered);
    }
    std::size_t used = 0;
    site.table.copy(0, site.table.buckets(), [&](std::uint64_t, std::uint64_t) { ++used; });
    EXPECT_EQ(used, 0U);
}

/// Then a registration, and what asks for it, go by the hash.
TEST(Registered, InAFloodGoesToWhereItIsLookedFor) {
    Site site;
    site.change();
    std::uint32_t budget = 0;
    for (const std::string& user : some_users()) {
        const auto send = [&](const std::string& message) {
            const SipDigest digest = read_digest(bytes_of(message), {.want = kWantForCalls});
            const SteerView view{site.here.snapshot, site.table, site.now, &budget};
            return steer(view,
                         kProxies,
                         digest,
                         steering_hash(site.pool(), digest),
                         {bytes_of(message), ip("192.0.2.7")});
        };
        const Steering registered =
            send(Site::request_for(user, "REGISTER").set("Contact", "<sip:u@192.0.2.7>").text());
        EXPECT_TRUE(registered.flooded);
        EXPECT_EQ(send(Site::request_for(user, "MESSAGE").text()).backend, registered.backend);
    }
}

/// Those who registered again stay; strangers push out each other, and neither calls nor them.
TEST(Registered, StaysThroughAFloodOfRegistrationsAndSoDoCalls) {
    Site site;
    const OwnTable small(CallTable::kMinWords);
    site.table = small.table;
    std::vector<BackendId> at;
    const std::vector<std::string> users = some_users(60);
    for (int round = 0; round < 2; ++round) {
        site.now = CallTime(7 + 100U * static_cast<unsigned>(round)); // they come back
        for (const std::string& user : users) {
            const Steering registered = site.registers(user);
            if (round == 0) at.push_back(registered.backend.value());
        }
    }
    site.change(); // calls are remembered from now on
    std::vector<BackendId> calls;
    const auto inside = [&](int call, const std::string& method) {
        return site.send(MessageBuilder(method + " sip:u@192.0.2.7 SIP/2.0", method)
                             .call_id("call " + std::to_string(call))
                             .to_tag("phone")
                             .text());
    };
    for (int i = 0; i < 60; ++i) {
        const std::string id = "call " + std::to_string(i);
        calls.push_back(
            site.send(Site::request_for("somebody", "INVITE").call_id(id).text()).backend.value());
        inside(i, "ACK");
    }
    for (int i = 0; i < 20'000; ++i)
        for (const char* contact : {"<sip:x@192.0.2.9>", "<sip:x@192.0.2.9>", "<sip:y@192.0.2.9>"})
            site.registers("stranger-" + std::to_string(i), contact, "86400");
    for (std::size_t i = 0; i < users.size(); ++i)
        EXPECT_EQ(site.send(Site::request_for(users[i], "MESSAGE").text()).backend, at[i]) << i;
    for (int i = 0; i < 60; ++i)
        EXPECT_EQ(inside(i, "BYE").backend, calls[static_cast<std::size_t>(i)]) << i;
    EXPECT_TRUE(site.send(Site::request_for(users[0], "INVITE").call_id("new").text()).remembered);
}

TEST(Answers, ReachTheBackendThatSentTheRequestOn) {
    for (const KeyType type : {KeyType::Aor,
                               KeyType::From,
                               KeyType::RequestUriUser,
                               KeyType::Source,
                               KeyType::Header,
                               KeyType::CallId})
        for (const bool changes : {false, true}) {
            Site site(type);
            for (const std::string& user : some_users())
                for (const std::string method : {"OPTIONS",
                                                 "MESSAGE",
                                                 "REGISTER",
                                                 "PUBLISH",
                                                 "INVITE",
                                                 "SUBSCRIBE",
                                                 "REFER",
                                                 "NOTIFY",
                                                 "DONATE"}) {
                    const std::string id = method + "-" + user;
                    const Steering asked = site.send(Site::request_for(user, method)
                                                         .set("From", "<sip:" + user + "@e>;tag=1")
                                                         .set("X-Tenant", user)
                                                         .set("Contact", "<sip:u@192.0.2.7>")
                                                         .call_id(id)
                                                         .text());
                    for (const int status : {100, 180, 200, 200, 486})
                        EXPECT_EQ(site.send(answer_to(method, id, status)).backend, asked.backend)
                            << method << " by key type " << static_cast<int>(type)
                            << (changes ? " after a change" : "");
                    if (changes && user == "user7") site.change();
                }
        }
}

/// One Call-ID for all that a phone sends: each request has answers of its own, and no later one is
/// led astray.
TEST(Answers, OfRequestsWithOneCallIdAreToldApart) {
    Site site;
    struct Sent {
        std::string method;
        unsigned cseq;
        std::optional<BackendId> backend;
    };
    std::vector<Sent> all;
    unsigned cseq = 0;
    for (const std::string& user : some_users())
        for (const std::string method : {"REGISTER", "MESSAGE", "OPTIONS", "REGISTER"}) {
            const auto message = [&](const std::string& call_id) {
                return Site::request_for(user, method)
                    .set("Contact", "<sip:u@192.0.2.7>")
                    .call_id(call_id)
                    .cseq(std::to_string(cseq) + " " + method)
                    .text();
            };
            ++cseq;
            const Steering by_key = site.send(message("one of its own " + user));
            const Steering sent = site.send(message("one for all"));
            EXPECT_EQ(sent.backend, by_key.backend) << user << " " << method;
            all.push_back({method, cseq, sent.backend});
        }
    for (const Sent& one : all)
        EXPECT_EQ(site.send(MessageBuilder("SIP/2.0 200 OK", one.method)
                                .call_id("one for all")
                                .cseq(std::to_string(one.cseq) + " " + one.method)
                                .to_tag("phone")
                                .text())
                      .backend,
                  one.backend)
            << one.cseq;
    // A call under that Call-ID is one like any other.
    const Steering invite =
        site.send(Site::request_for("user3", "INVITE").call_id("one for all").text());
    EXPECT_EQ(invite.backend, all[3 * 4].backend);
    EXPECT_EQ(site.send(MessageBuilder("BYE sip:u@192.0.2.7 SIP/2.0", "BYE")
                            .call_id("one for all")
                            .to_tag("phone")
                            .text())
                  .backend,
              invite.backend);
}

TEST(Answers, AreWaitedForOneTransaction) {
    Site site;
    int led = 0;
    for (const std::string& user : some_users()) {
        const std::string id = "m-" + user;
        site.send(Site::request_for(user, "MESSAGE").call_id(id).text());
        const Steering answered = site.send(answer_to("MESSAGE", id));
        led += answered.rule == SteerRule::Asker;
    }
    EXPECT_GT(led, 10) << "two of three";
    EXPECT_LT(led, 30) << "those that their Call-ID leads need no memory";
    site.now = CallTime(7 + 3 + 2);
    for (const std::string& user : some_users())
        EXPECT_NE(site.send(answer_to("MESSAGE", "m-" + user)).rule, SteerRule::Asker);
}

TEST(Answers, ToABackendThatIsDownGoToNoOther) {
    Site site;
    for (const std::string& user : some_users()) {
        const std::string id = "m-" + user;
        const BackendId asked =
            site.send(Site::request_for(user, "MESSAGE").call_id(id).text()).backend.value();
        site.here.snapshot.backends[index(asked)].life = BackendLife::Silent;
        EXPECT_EQ(site.send(answer_to("MESSAGE", id)).backend, asked);
        site.here.snapshot.backends[index(asked)].life = BackendLife::Serves;
    }
}

TEST(Answers, ARequestThatIsRepeatedAcrossASwitchGoesWhereItWentFirst) {
    Site site(KeyType::CallId);
    site.change();
    for (const std::string& user : some_users()) {
        const std::string message = Site::request_for(user, "MESSAGE").text();
        const auto first = site.send(message).backend;
        auto switched = site.pool().slots;
        site.change();
        EXPECT_EQ(site.send(message).backend, first);
        site.pool().slots = switched;
    }
}

} // namespace viaduct::test
