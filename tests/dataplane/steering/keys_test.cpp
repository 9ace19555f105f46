// SPDX-License-Identifier: Apache-2.0
//
// Other keys than the Call-ID, and calls that a message names.
#include "guarded.hpp"
#include "message_builder.hpp"
#include "own_table.hpp"
#include "sip/scan.hpp"
#include "steer_by.hpp"
#include "valid_snapshot.hpp"
#include "world.hpp"

#include "viaduct/sip/message.hpp"
#include "viaduct/steering/keys.hpp"
#include "viaduct/steering/steer.hpp"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <functional>
#include <gtest/gtest.h>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>

namespace viaduct::test {

namespace {

std::span<const std::byte> bytes_of(const std::string& text) {
    return std::as_bytes(std::span(text));
}

MessageBuilder made(const std::string& method, const std::string& uri = "sip:bob@example.com") {
    return MessageBuilder(method + " " + uri + " SIP/2.0", method);
}

struct Site {
    Site() {
        pool().lifetimes.silence = 900;
        pool().marks = std::make_shared<SlotMarks>();
    }
    [[nodiscard]] Pool& pool() { return here.snapshot.pools[index(kProxies)]; }

    KeyRule rule(KeyType type, std::string header = {}) {
        const KeyType hashed = type == KeyType::From ? KeyType::Aor : type;
        return {type, hash_prefix(here.snapshot.secret, 0x1111, hashed), std::move(header)};
    }
    void use(KeyType type, std::string header = {}) {
        auto keys = std::make_shared<PoolKeys>();
        keys->by_method.fill(rule(type, std::move(header)));
        pool().keys = std::move(keys);
        pool().tracking = Tracking::Keys;
    }
    Steering send(const std::string& message, std::string_view source = "192.0.2.7") {
        const SipDigest digest = read_digest(bytes_of(message));
        const SteerView view{here.snapshot, table, CallTime(7)};
        const ReceivedMessage received{bytes_of(message), ip(source)};
        expect_valid(here.snapshot);
        const Steering said = would_steer(view, kProxies, digest, received);
        const Steering done =
            steer(view, kProxies, digest, steering_hash(pool(), digest), received);
        EXPECT_EQ(said.backend, done.backend) << message;
        return done;
    }
    [[nodiscard]] BackendId by_slot(std::uint64_t hash) { return (*pool().slots)[slot_of(hash)]; }
    /// All slots but this one are dealt as before; this one is not settled, its old owner is b3.
    void unsettle(std::uint32_t slot) {
        auto unsettled = std::make_shared<Unsettled>();
        auto old = std::make_shared<SlotTable>(*pool().slots);
        (*old)[slot] = kB3;
        unsettled->old = std::move(old);
        unsettled->bits[slot / 64] |= std::uint64_t{1} << (slot % 64);
        pool().unsettled = std::move(unsettled);
    }

    World here = world();
    OwnTable own;
    CallTable table = own.table;
};

std::optional<std::uint64_t>
key_of(const std::string& message, KeyType type, std::string header = {}) {
    Site site;
    return key_hash(site.rule(type, std::move(header)), {bytes_of(message), ip("192.0.2.7")});
}

} // namespace

TEST(Keys, TakeEqualAddressesForEqual) {
    const auto aor = [](const std::string& to) {
        return key_of(made("REGISTER").set("To", to).text(), KeyType::Aor);
    };
    const auto expected = aor("<sip:alice@example.com>");
    ASSERT_TRUE(expected);
    EXPECT_EQ(aor("sip:alice@example.com"), expected);
    EXPECT_EQ(aor("\"Alice\" <sips:alice@EXAMPLE.com:5061;transport=udp>;tag=7"), expected);
    EXPECT_EQ(aor("<sip:%61lic%65@example.com>"), expected);
    EXPECT_EQ(aor("<sip:alice:secret@example.com>"), expected);
    EXPECT_NE(aor("<sip:Alice@example.com>"), expected) << "users are case-sensitive";
    EXPECT_NE(aor("<sip:alice@example.org>"), expected);
    EXPECT_NE(aor("<sip:example.com>"), expected);
    EXPECT_TRUE(aor("<tel:+4930123>"));
    EXPECT_NE(aor("<tel:+4930123>"), aor("<tel:+4930124>"));
    EXPECT_FALSE(aor("nonsense"));
}

/// RFC 3966 §4, §5.1.1.
TEST(Keys, TakeEqualNumbersForEqual) {
    const auto aor = [](const std::string& to) {
        return key_of(made("INVITE").set("To", to).text(), KeyType::Aor);
    };
    const auto global = aor("<tel:+12015550111>");
    for (const char* const same : {"<tel:+1-201-555-0111>",
                                   "<tel:+1(201)555.0111>",
                                   "<TEL:+1-201-555-0111;isub=7>",
                                   "<tel:%2B1%2D201-5550%3111>",
                                   "tel:+1-201-5550111",
                                   "<tel:+1-201-555-0111;phone-context=+44>;tag=1"})
        EXPECT_EQ(aor(same), global) << same;
    EXPECT_NE(aor("<tel:12015550111;phone-context=+1>"), global);
    EXPECT_NE(aor("<sip:+12015550111@example.com>"), global);

    const auto local = aor("<tel:555-0111;phone-context=+1-201>");
    for (const char* const same :
         {"<tel:5550111;phone-context=+1201>", "<tel:555.0111;ext=2;Phone-Context=%2B1(201)>"})
        EXPECT_EQ(aor(same), local) << same;
    EXPECT_NE(aor("<tel:5550111;phone-context=+1202>"), local);
    EXPECT_NE(aor("<tel:5550111>"), local);
    EXPECT_EQ(aor("<tel:863-1234;phone-context=Example.COM>"),
              aor("<tel:8631234;phone-context=example.com>"));
    EXPECT_EQ(aor("<tel:*69-AB#;phone-context=x>"), aor("<tel:*69ab#;phone-context=x>"));

    const auto phone = aor("<sip:+12015550111@example.com>");
    for (const char* const same : {"<sip:+1-201-555-0111@example.com;user=phone>",
                                   "<sip:+1.201.555.0111@EXAMPLE.com>",
                                   "<sip:%2b1201555011%31@example.com>",
                                   "<sip:+12015550111;npdi;rn=+1201@example.com;user=phone>"})
        EXPECT_EQ(aor(same), phone) << same;
    EXPECT_NE(aor("<sip:+12015550112@example.com>"), phone);
    EXPECT_NE(aor("<sip:j-doe@example.com>"), aor("<sip:jdoe@example.com>")) << "that is no number";
    EXPECT_NE(aor("<sip:-.-@example.com>"), aor("<sip:@example.com>"));
    EXPECT_EQ(aor("<sip:1234;PHONE-CONTEXT=+1-2@example.com;user=phone>"),
              aor("<sip:12-34;x=y;phone-context=%2B12@example.com>"));
    EXPECT_NE(aor("<sip:1234;phone-context=+1@example.com>"), aor("<sip:1234@example.com>"));
}

TEST(Keys, AreReadAlikeWhereverAnAddressStands) {
    const auto user = [](const std::string& uri) {
        return key_of(made("INVITE", uri).text(), KeyType::RequestUriUser);
    };
    EXPECT_EQ(user("sip:%3112@vip.example"), user("sip:112@vip.example"));
    EXPECT_EQ(user("sip:al%69ce@vip.example"), user("sip:alice@vip.example"));
    EXPECT_NE(user("sip:Alice@vip.example"), user("sip:alice@vip.example"));
    EXPECT_EQ(user("sip:a%4@vip.example"), user("sip:a%4@vip.example")) << "no escape";
    EXPECT_NE(user("sip:a%4@vip.example"), user("sip:a%41@vip.example"));
    EXPECT_EQ(user("sip:+1-201-555-0111@vip.example;user=phone"), user("tel:+12015550111"));
    EXPECT_EQ(user("sip:alice:secret@vip.example"), user("sip:alice@vip.example"));
    const auto from = [](const std::string& value) {
        return key_of(made("INVITE").set("From", value).text(), KeyType::From);
    };
    EXPECT_EQ(from("<tel:+1-201>;tag=1"), from("tel:+1201;tag=2"));
}

/// Hostile ones, too: no byte outside is read, and what is too long is cut.
TEST(Keys, AreReadOfWhateverStandsThere) {
    std::mt19937 random(3);
    const std::string alphabet = "%%%3412aF+-.()*#;;=@:phone-context=tel";
    Site rules;
    for (int round = 0; round < 20'000; ++round) {
        std::string uri = round % 2 == 0 ? "tel:" : "sip:";
        for (auto rest = random() % (round % 50 == 0 ? 2'000 : 40); rest > 0; --rest)
            uri += alphabet[random() % alphabet.size()];
        const std::string text =
            "INVITE " + uri + " SIP/2.0\r\nTo: <" + uri + ">\r\nCall-ID: x\r\n\r\n";
        const auto bytes = guarded(text);
        for (const KeyType type : {KeyType::Aor, KeyType::RequestUriUser}) {
            const KeyRule rule = rules.rule(type);
            std::array<char, 100> key{};
            const std::size_t size = key_text(rule, {bytes, {}}, key);
            EXPECT_LE(size, key.size());
            EXPECT_EQ(size != 0, key_hash(rule, {bytes, {}}).has_value()) << uri;
        }
    }
}

TEST(Keys, FindWhatTheCallerRegistered) {
    EXPECT_EQ(
        key_of(made("REGISTER").set("To", "<sip:a@example.com>").text(), KeyType::Aor),
        key_of(made("INVITE").set("From", "<sip:a@example.com>;tag=1").text(), KeyType::From));
}

TEST(Keys, AreWhatTheirNamesSay) {
    const auto user = [](const std::string& uri) {
        return key_of(made("INVITE", uri).text(), KeyType::RequestUriUser);
    };
    EXPECT_TRUE(user("sip:bob@a.example"));
    EXPECT_EQ(user("sip:bob@a.example"), user("sip:bob@b.example"));
    EXPECT_NE(user("sip:bob@a.example"), user("sip:eve@a.example"));
    EXPECT_FALSE(user("sip:a.example"));
    const auto tenant = [](const std::string& value) {
        return key_of(made("INVITE").set("X-Tenant", value).text(), KeyType::Header, "x-tenant");
    };
    EXPECT_EQ(tenant("red"), tenant("red"));
    EXPECT_NE(tenant("red"), tenant("blue"));
    EXPECT_FALSE(key_of(made("INVITE").text(), KeyType::Header, "x-tenant"));
    EXPECT_TRUE(key_of(made("INVITE").text(), KeyType::Source));
}

TEST(Keys, FallBackToTheCallId) {
    Site site;
    site.use(KeyType::Header, "X-Tenant");
    const std::string message = made("INVITE").text();
    const Steering steering = site.send(message);
    EXPECT_EQ(steering.backend, site.by_slot(steering.hash));
    EXPECT_EQ(steering.rule, SteerRule::Settled);
    EXPECT_FALSE(steering.remembered);
}

TEST(Keys, SendWhatBeginsByKeyAndWhatFollowsAfterIt) {
    Site site;
    site.use(KeyType::From);
    int remembered = 0;
    std::optional<BackendId> of_alice;
    for (int i = 0; i < 100; ++i) {
        const std::string id = "by-key-" + std::to_string(i);
        const auto message = [&](const std::string& method) {
            return made(method).set("Call-ID", id).set("From", "<sip:alice@example.com>;tag=1");
        };
        const Steering first = site.send(message("INVITE").text());
        EXPECT_EQ(first.rule, SteerRule::Key);
        if (!of_alice) of_alice = first.backend;
        EXPECT_EQ(first.backend, of_alice);
        remembered += first.remembered ? 1 : 0;
        const Steering again = site.send(message("INVITE").text());
        EXPECT_EQ(again.backend, first.backend);
        // From the callee, as proxies may change it: no key is the same any more.
        const Steering bye = site.send(made("BYE")
                                           .set("Call-ID", id)
                                           .set("From", "<sip:bob@example.com>;tag=2")
                                           .set("To", "<sip:alice@example.com>;tag=1")
                                           .text());
        EXPECT_EQ(bye.backend, first.backend) << i;
    }
    EXPECT_GT(remembered, 40) << "two of three are not where their Call-ID says";
    EXPECT_LT(remembered, 90) << "the others need no memory";
}

TEST(Keys, KeepRegistrationsTogetherAcrossAChange) {
    Site site;
    site.use(KeyType::Aor);
    const auto message = [](const std::string& method, const std::string& id) {
        return made(method)
            .set("Call-ID", id)
            .set("To", "<sip:carol@example.com>")
            .set("Contact", "<sip:carol@192.0.2.7>")
            .text();
    };
    // Before any change, for it cannot be found out later.
    const Steering registered = site.send(message("REGISTER", "r1"));
    EXPECT_TRUE(registered.remembered);
    EXPECT_EQ(registered.rule, SteerRule::Settled);
    EXPECT_EQ(site.send(message("INVITE", "c1")).backend, registered.backend);
    site.unsettle(registered.slot);
    const Steering refreshed = site.send(message("REGISTER", "r1"));
    EXPECT_EQ(refreshed.backend, registered.backend);
    EXPECT_EQ(refreshed.rule, SteerRule::Registered);
    auto moved = std::make_shared<SlotTable>(*site.pool().slots);
    (*moved)[registered.slot] = *registered.backend == kB1 ? kB2 : kB1;
    site.pool().slots = std::move(moved);
    EXPECT_EQ(site.send(message("REGISTER", "another phone")).backend, registered.backend);
    EXPECT_EQ(site.send(message("INVITE", "c2")).backend, registered.backend);
    EXPECT_EQ(site.send(message("MESSAGE", "m1")).backend, registered.backend);
}

TEST(Expires, IsTheLongestThatIsAskedFor) {
    const auto asked = [](const std::vector<std::string>& lines) {
        MessageBuilder message = made("REGISTER");
        for (const std::string& line : lines)
            message.line(line);
        return asked_seconds(bytes_of(message.text()));
    };
    EXPECT_EQ(asked({}), 3600U);
    EXPECT_EQ(asked({"Expires: 600"}), 600U);
    EXPECT_EQ(asked({"Expires: 0", "Contact: *"}), 0U);
    EXPECT_EQ(asked({"Expires: 600", "Contact: <sip:a@192.0.2.1>;expires=1800"}), 1800U);
    EXPECT_EQ(asked({"m: <sip:a@192.0.2.1>;expires=60, <sip:b@192.0.2.1> ; Expires = 90"}), 90U);
    EXPECT_EQ(asked({"Expires: soon"}), 3600U);
    EXPECT_EQ(asked({"Expires: 99999999999"}), 4'294'967'295U);
}

TEST(Expires, IsHowLongARegistrationIsRemembered) {
    Site site;
    site.pool().tracking = Tracking::AllCalls;
    site.pool().lifetimes.unit_seconds = 15;
    site.pool().lifetimes.transaction = 3;
    const auto send = [&](const std::string& method, const std::string& expires, bool inside) {
        MessageBuilder message = made(method).call_id(method == "REGISTER" ? "r1" : "s1");
        if (!expires.empty()) message.line("Expires: " + expires);
        if (inside) message.to_tag("there");
        site.send(message.text());
    };
    const auto left = [&](const std::string& id) {
        SipDigest digest;
        digest.call_id = id;
        const auto call = site.table.find(steering_hash(site.pool(), digest), CallTime(7));
        return call ? call->deadline.left(CallTime(7)) : -1;
    };
    send("REGISTER", "1800", false);
    EXPECT_EQ(left("r1"), 1800 / 15 + 1 + 3);
    send("REGISTER", "0", false);
    EXPECT_EQ(left("r1"), 1 + 3) << "it ends: what repeats that is still to be sent there";
    send("REGISTER", "4000000000", false);
    EXPECT_EQ(left("r1"), 900) << "no longer than call_lifetime";
    send("SUBSCRIBE", "600", false);
    send("NOTIFY", "", true);
    EXPECT_EQ(left("s1"), 600 / 15 + 1 + 3) << "a NOTIFY makes it no longer and no shorter";
    const auto refer = [&](const std::string& method) {
        site.send(made(method).call_id("in-a-call").to_tag("there").text());
    };
    site.send(made("INVITE").call_id("in-a-call").text());
    refer("REFER"); // of an INVITE's dialog: it lives as long as that
    site.pool().lifetimes.silence = 950;
    refer("UPDATE");
    EXPECT_EQ(left("in-a-call"), 950);
    refer("NOTIFY");
    EXPECT_EQ(left("in-a-call"), 950);
    site.pool().lifetimes.silence = 900;
    send("SUBSCRIBE", "1200", true);
    EXPECT_EQ(left("s1"), 1200 / 15 + 1 + 3);
}

TEST(MaxCall, EndsCallsHoweverLivelyAndNoRegistration) {
    Site site;
    site.pool().tracking = Tracking::AllCalls;
    site.pool().lifetimes.unit_seconds = 15;
    site.pool().lifetimes.transaction = 3;
    site.pool().lifetimes.cap = 100;
    const auto send = [&](std::uint64_t now, const MessageBuilder& builder) {
        const std::string message = builder.text();
        const SipDigest digest = read_digest(bytes_of(message));
        const SteerView view{site.here.snapshot, site.table, CallTime(now)};
        const ReceivedMessage received{bytes_of(message), ip("192.0.2.7")};
        const std::uint64_t hash = steering_hash(site.pool(), digest);
        static_cast<void>(steer(view, kProxies, digest, hash, received));
        const auto call = site.table.find(hash, CallTime(now));
        return call ? call->deadline.left(CallTime(now)) : -1;
    };
    EXPECT_EQ(send(0, made("INVITE").call_id("c")), 100);
    EXPECT_EQ(send(10, made("ACK").call_id("c").to_tag("b")), 90);
    EXPECT_EQ(send(50, made("UPDATE").call_id("c").to_tag("b")), 50);
    EXPECT_EQ(send(60, made("REFER").call_id("c").to_tag("b")), 40);
    EXPECT_EQ(send(61, made("NOTIFY").call_id("c").to_tag("b")), 39);
    EXPECT_EQ(send(101, made("INFO").call_id("c").to_tag("b")), -1) << "as one never seen";
    EXPECT_EQ(send(0, made("REGISTER").call_id("r").set("Expires", "1800")), 124);
    EXPECT_EQ(send(90, made("REGISTER").call_id("r").set("Expires", "1800")), 124);
    EXPECT_EQ(send(180, made("REGISTER").call_id("r").set("Expires", "1800")), 124);
}

TEST(Keys, LeaveDialogsAloneWithoutATable) {
    Site site;
    site.use(KeyType::From);
    site.table = {};
    for (int i = 0; i < 20; ++i) {
        const std::string id = "no-table-" + std::to_string(i);
        const auto invite = site.send(made("INVITE").set("Call-ID", id).text());
        EXPECT_EQ(invite.backend, site.by_slot(invite.hash));
    }
}

TEST(Named, SendsTheCallToTheOwnerOfTheOneItNames) {
    for (const char* const header : {"Replaces", "Join", "Target-Dialog", "REPLACES", "jOIN"}) {
        Site site;
        for (int i = 0; i < 50; ++i) {
            const std::string other = std::string(header) + "other-" + std::to_string(i);
            const std::string id = std::string(header) + "mine-" + std::to_string(i);
            const Steering named = site.send(made("INVITE").set("Call-ID", other).text());
            const std::string message =
                made("INVITE")
                    .set("Call-ID", id)
                    .set(header, other + ";to-tag=a;from-tag=b;local-tag=a;remote-tag=b")
                    .text();
            ASSERT_TRUE(may_reference_call(bytes_of(message))) << message;
            const Steering first = site.send(message);
            EXPECT_EQ(first.backend, named.backend) << message;
            EXPECT_EQ(first.rule, SteerRule::Referenced);
            EXPECT_EQ(site.send(message).backend, named.backend);
            const Steering bye = site.send(
                made("BYE").set("Call-ID", id).set("To", "<sip:b@example.com>;tag=x").text());
            EXPECT_EQ(bye.backend, named.backend) << "what follows";
        }
    }
}

TEST(Named, FollowsACallThatIsRememberedElsewhere) {
    Site site;
    const std::string other = "moved@example.com";
    const std::uint64_t hash = hash_key(site.pool().call_id_hash, other);
    const BackendId elsewhere = site.by_slot(hash) == kB1 ? kB2 : kB1;
    static_cast<void>(site.table.remember(
        hash, {elsewhere, CallState::Answered, 3, CallTime(7).after(900)}, CallTime(7)));
    const std::string message =
        made("INVITE").set("Call-ID", "n").set("Replaces", other + ";to-tag=a;from-tag=b").text();
    EXPECT_EQ(site.send(message).backend, elsewhere);
    site.here.snapshot.backends[index(elsewhere)].life = BackendLife::Dead;
    const std::string later =
        made("INVITE").set("Call-ID", "m").set("Replaces", other + ";to-tag=a;from-tag=b").text();
    EXPECT_NE(site.send(later).backend, elsewhere);
}

TEST(Named, IsForWhatBeginsOnly) {
    Site site;
    const std::string inside = made("INVITE")
                                   .set("Call-ID", "x")
                                   .set("To", "<sip:b@example.com>;tag=7")
                                   .set("Replaces", "other;to-tag=a;from-tag=b")
                                   .text();
    EXPECT_NE(site.send(inside).rule, SteerRule::Referenced);
    const std::string message =
        made("MESSAGE").set("Call-ID", "x").set("Replaces", "other;to-tag=a;from-tag=b").text();
    EXPECT_FALSE(may_reference_call(bytes_of(message)));
}

TEST(Named, WorkersOfASettledPoolSeeIt) {
    World here = world();
    Site site;
    here.snapshot.vips[0].read_rules.want = Want::Nothing;
    const std::string other = "the other@example.com";
    std::string id;
    for (int i = 0; id.empty(); ++i) { // one whose own slot says something else
        const std::string tried = "mine-" + std::to_string(i);
        const auto slot = [&](const std::string& key) {
            return (*here.snapshot.pools[0]
                         .slots)[slot_of(hash_key(here.snapshot.pools[0].call_id_hash, key))];
        };
        if (slot(tried) != slot(other)) id = tried;
    }
    const auto go = [&](const std::string& message) {
        Bytes bytes = frame().ipv4(kClient, kDsrVip).udp(5060, 5060).payload(message).build();
        auto burst = std::make_unique<Burst>();
        burst->count = 1;
        set_frame(*burst, 0, bytes.data(), static_cast<std::uint32_t>(bytes.size()), PortId{0});
        PipelineView view{here.snapshot, here.next_hops, here.links, site.table, CallTime(7)};
        run_pipeline(view, *burst);
        return burst->frames[0].backend();
    };
    here.snapshot.pools[0].lifetimes.silence = 900;
    here.snapshot.pools[0].marks = site.pool().marks;
    const auto owner = go(made("INVITE").set("Call-ID", other).text());
    EXPECT_EQ(go(made("INVITE")
                     .set("Call-ID", id)
                     .set("Replaces", other + ";to-tag=a;from-tag=b")
                     .text()),
              owner);
    EXPECT_EQ(go(made("BYE").set("Call-ID", id).set("To", "<sip:b@e.org>;tag=1").text()), owner);
}

TEST(Named, WorkersOfASettledPoolTellWhatBeginsFromWhatIsInside) {
    World here = world();
    here.snapshot.vips[0].read_rules.want = Want::CallReference;
    const auto go = [&](const std::string& message) {
        Bytes bytes = frame().ipv4(kClient, kDsrVip).udp(5060, 5060).payload(message).build();
        auto burst = std::make_unique<Burst>();
        set_frame(*burst, 0, bytes.data(), static_cast<std::uint32_t>(bytes.size()), PortId{0});
        burst->count = 1;
        here.give_call_table();
        run_pipeline(here.view(), *burst);
        return burst->frames[0].backend();
    };
    for (int i = 0; i < 20; ++i) // with an empty line before it, its first line is read at once
        for (const std::string before : {"", "\r\n"}) {
            const auto message = [&](bool refers) {
                auto made_one =
                    made("INVITE").set("Call-ID", "in-" + std::to_string(i)).to_tag("b");
                if (refers) made_one.set("Replaces", "other;to-tag=a;from-tag=b");
                return before + made_one.text();
            };
            EXPECT_EQ(go(message(true)), go(message(false))) << i;
        }
}

TEST(Named, ReadsNothingOutsideAndMissesNothing) {
    // Every level finds what a plain search finds, wherever it stands, and reads only the text.
    std::mt19937 random(5);
    const std::string alphabet = "\n\n\nrRepjoItTaAR\r -";
    for (int round = 0; round < 10'000; ++round) {
        std::string text = "INVITE sip:b@e SIP/2.0\r\n";
        for (auto rest = random() % 400; rest > 0; --rest)
            text += alphabet[random() % alphabet.size()];
        if (random() % 4 == 0) text += "\nReplaces: a;to-tag=b;from-tag=c";
        const auto bytes = guarded(text);
        for (const ScanLevel level : kScanLevels) {
            if (!has_scan_level(level)) continue;
            const SipDigest digest = read_digest_at(level, bytes, {.want = Want::CallReference});
            EXPECT_TRUE(digest.may_reference_call || referenced_call(bytes).empty())
                << name_of(level) << "\n"
                << text;
        }
    }
    constexpr std::size_t kScanned = 5; // from here on the text is long enough for that scan
    for (std::size_t length = 0; length < 300; ++length) { // wherever in a block it stands
        const std::string filler(length, 'x');
        for (const std::string name : {"Replaces", "join", "TARGET-DIALOG", "Require", "To"}) {
            const std::string text = "INVITE sip:b@e SIP/2.0\r\nX: " + filler + "\r\n" + name +
                                     ": other;to-tag=a;from-tag=b\r\nCall-ID: x\r\n\r\nbody\r\n";
            const auto bytes = guarded(text);
            for (const ScanLevel level : kScanLevels) {
                if (!has_scan_level(level)) continue;
                const SipDigest digest =
                    read_digest_at(level, bytes, {.want = Want::CallReference});
                // Require looks like one of them, except to the scan for the Call-ID.
                const bool is_exact =
                    scan_ops(level).call_id_lines != nullptr && length >= kScanned;
                EXPECT_EQ(digest.may_reference_call,
                          name != "To" && (name != "Require" || !is_exact))
                    << name_of(level) << " " << length;
            }
        }
    }
    for (std::size_t length = 0; length < 200; ++length) {
        const std::string filler(length, 'x');
        const std::string message = "INVITE sip:b@e SIP/2.0\r\nX: " + filler +
                                    "\r\nreplaces: other;to-tag=a;from-tag=b\r\n\r\n";
        EXPECT_TRUE(may_reference_call(bytes_of(message))) << length;
        EXPECT_EQ(referenced_call(bytes_of(message)), "other");
        static_cast<void>(may_reference_call(bytes_of(message).first(length)));
    }
}

TEST(Keys, SpreadCallIdsThatCollideUnderCrc32c) {
    // Two characters a place whose choice changes the sum by a constant: those choices that change
    // it by nothing together make as many collisions as one likes.
    const auto crc32c = [](const std::string& text) {
        std::uint32_t crc = ~0U;
        for (const char c : text) {
            crc ^= static_cast<std::uint8_t>(c);
            for (int bit = 0; bit < 8; ++bit)
                crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78U : 0U);
        }
        return ~crc;
    };
    constexpr std::size_t kPlaces = 56;
    const std::string zeros(kPlaces, '0');
    std::vector<std::pair<std::uint32_t, std::uint64_t>> rows; // what changes, by which places
    std::vector<std::uint64_t> kernel;
    for (std::size_t place = 0; place < kPlaces; ++place) {
        std::string one = zeros;
        one[place] = '1';
        std::uint32_t change = crc32c(zeros) ^ crc32c(one);
        std::uint64_t places = std::uint64_t{1} << place;
        for (const auto& [other, its] : rows)
            if ((change ^ other) < change) change ^= other, places ^= its;
        if (change == 0)
            kernel.push_back(places);
        else
            rows.emplace_back(change, places);
        std::ranges::sort(rows, std::greater{}, [](const auto& row) { return row.first; });
    }
    ASSERT_GE(kernel.size(), 15U);
    constexpr std::size_t kCalls = 20'000;
    World here = world();
    std::map<BackendId, std::size_t> shares;
    std::set<std::uint32_t> slots;
    for (std::size_t i = 0; i < kCalls; ++i) {
        std::uint64_t places = 0;
        for (std::size_t bit = 0; bit < 15; ++bit)
            if ((i >> bit & 1) != 0) places ^= kernel[bit];
        std::string id = zeros;
        for (std::size_t place = 0; place < kPlaces; ++place)
            if ((places >> place & 1) != 0) id[place] = '1';
        ASSERT_EQ(crc32c(id), crc32c(zeros));
        const std::uint64_t hash = hash_key(here.snapshot.pools[0].call_id_hash, id);
        slots.insert(slot_of(hash));
        ++shares[(*here.snapshot.pools[0].slots)[slot_of(hash)]];
    }
    for (const BackendId backend : {kB1, kB2, kB3}) // 6,667 each; standard deviation is 67
        EXPECT_NEAR(static_cast<double>(shares[backend]), kCalls / 3.0, 340);
    EXPECT_NEAR(static_cast<double>(slots.size()), 17'235, 300) << "as of random ones";
}

} // namespace viaduct::test
