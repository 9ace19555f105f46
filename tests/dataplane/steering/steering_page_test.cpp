// SPDX-License-Identifier: Apache-2.0
//
// steering_page: the table of initial requests, standalone requests and in-call messages in
// docs/steering.md. Every message that a row names is steered in settled and moved slots, with and
// without a remembered call.
#include "digests.hpp"
#include "page_table.hpp"
#include "world.hpp"

#include "viaduct/steering/steer.hpp"

#include <gtest/gtest.h>
#include <memory>
#include <string>
#include <vector>

namespace viaduct::test {
namespace {

constexpr CallTime kNow{5};
constexpr std::array kAllMethods{Method::Invite,
                                 Method::Ack,
                                 Method::Bye,
                                 Method::Cancel,
                                 Method::Prack,
                                 Method::Subscribe,
                                 Method::Notify,
                                 Method::Register,
                                 Method::Options,
                                 Method::Publish,
                                 Method::Info,
                                 Method::Refer,
                                 Method::Message,
                                 Method::Update,
                                 Method::Other};
static_assert(kAllMethods.size() == count_of<Method>());

struct Named {
    std::string name;
    SipDigest digest;
};

/// The messages that the first cell of a row names.
std::vector<Named> messages_of(const PageRow& row) {
    const auto names = [&](const std::string& what) {
        return row.message.find(what) != std::string::npos;
    };
    const bool in_call = names("in-call message");
    std::vector<Named> all;
    for (const Method method : kAllMethods) {
        const std::string name = name_of(method);
        const bool is_named = method == Method::Other ? names("unknown methods") : names(name);
        if (is_named) all.push_back({name, request_digest(method, "")});
        if (in_call && names("everything with a To-tag"))
            all.push_back({name + " with To-tag", request_digest(method, "", true)});
    }
    if (names("all responses")) {
        SipDigest response = request_digest(Method::Other, "", true);
        response.kind = PayloadKind::Response;
        response.status = 200;
        all.push_back({"200", response});
    }
    return all;
}

/// Half of the slots have moved: from the backend that `old_of()` says.
struct MovedPool {
    MovedPool() {
        auto unsettled = std::make_shared<Unsettled>();
        unsettled->bits.fill(0x5555'5555'5555'5555U);
        auto old = std::make_shared<SlotTable>();
        for (std::uint32_t slot = 0; slot < kSlots; ++slot)
            (*old)[slot] = old_of(slot);
        unsettled->old = std::move(old);
        pool().unsettled = std::move(unsettled);
        pool().marks = std::make_shared<SlotMarks>();
        pool().lifetimes.silence = 900;
        here.give_call_table();
    }
    Pool& pool() { return here.snapshot.pools[index(kProxies)]; }
    [[nodiscard]] BackendId now_of(std::uint32_t slot) const {
        return (*here.snapshot.pools[index(kProxies)].slots)[slot];
    }
    [[nodiscard]] BackendId old_of(std::uint32_t slot) const { return after(now_of(slot)); }
    /// Neither the current owner nor the oldest.
    [[nodiscard]] BackendId third_of(std::uint32_t slot) const { return after(old_of(slot)); }

    Steering steer(const SipDigest& digest) {
        const std::uint64_t hash = steering_hash(pool(), digest);
        return viaduct::steer({here.snapshot, here.calls, kNow}, kProxies, digest, hash);
    }
    [[nodiscard]] bool is_empty() const {
        for (const CallTable::Word& word : here.own_calls->words)
            if (word.load() != 0) return false;
        return true;
    }

    World here = world();

private:
    static BackendId after(BackendId id) {
        return BackendId{static_cast<std::uint16_t>((index(id) + 1) % 3)};
    }
};

/// Steers the message in a slot of that kind. Returns what is wrong.
class Steered {
public:
    Steered(const Named& message, bool moved) : digest_(message.digest) {
        for (int i = 0;; ++i) {
            call_id_ = "call-" + std::to_string(i);
            digest_.call_id = call_id_;
            hash_ = steering_hash(pool_.pool(), digest_);
            if (pool_.pool().unsettled->contains(slot()) == moved) break;
        }
    }
    void remember(CallState state) {
        static_cast<void>(pool_.here.calls.remember(
            hash_, {pool_.third_of(slot()), state, 0, kNow.after(50)}, kNow));
    }
    Steering go() { return pool_.steer(digest_); }
    [[nodiscard]] std::uint32_t slot() const { return slot_of(hash_); }
    [[nodiscard]] std::optional<Call> call() { return pool_.here.calls.find(hash_, kNow); }
    MovedPool& pool() { return pool_; }

private:
    MovedPool pool_;
    SipDigest digest_;
    std::string call_id_;
    std::uint64_t hash_ = 0;
};

void expect_settled(const Named& message, const std::string& cell) {
    ASSERT_EQ(cell, "the owner");
    Steered steered(message, false);
    steered.remember(CallState::Answered); // it is not looked up
    EXPECT_EQ(steered.go().backend, steered.pool().now_of(steered.slot()));
    Steered fresh(message, false);
    EXPECT_EQ(fresh.go().backend, fresh.pool().now_of(fresh.slot()));
    EXPECT_TRUE(fresh.pool().is_empty());
}

void expect_moved(const Named& message, const std::string& cell) {
    const auto says = [&](const std::string& what) { return cell.find(what) != std::string::npos; };
    ASSERT_TRUE(says("the backend of the remembered call; if there is none, "));
    for (const CallState state : {CallState::Ringing, CallState::Answered, CallState::SoftState}) {
        Steered known(message, true);
        known.remember(state);
        EXPECT_EQ(known.go().backend, known.pool().third_of(known.slot())) << name_of(state);
    }
    Steered fresh(message, true);
    const Steering steering = fresh.go();
    ASSERT_NE(says("the current owner"), says("the owner in the **oldest** generation"));
    EXPECT_EQ(steering.backend,
              says("the current owner") ? fresh.pool().now_of(fresh.slot())
                                        : fresh.pool().old_of(fresh.slot()));
    if (says("and the call is remembered")) {
        ASSERT_TRUE(fresh.call());
        EXPECT_NE(fresh.call()->state, CallState::Unknown);
    } else if (says("which is remembered for the answer")) {
        EXPECT_FALSE(fresh.call());
        EXPECT_FALSE(fresh.pool().is_empty()) << "the request is noted for its answer";
    } else {
        ASSERT_TRUE(says("remembered as one whose start was not seen (`unknown`)"));
        const bool is_excepted = message.name == "NOTIFY" && says("Not by a NOTIFY without To-tag");
        ASSERT_EQ(fresh.call().has_value(), !is_excepted);
        if (is_excepted) return;
        EXPECT_EQ(fresh.call()->state, CallState::Unknown);
    }
}

TEST(SteeringPage, SaysWhereEveryMessageGoes) {
    const std::vector<PageRow> rows =
        page_table(VIADUCT_STEERING_PAGE, "| message | settled slot | moved slot |");
    ASSERT_EQ(rows.size(), 4U);
    std::size_t messages = 0;
    for (std::size_t i = 1; i < rows.size(); ++i)
        for (const Named& message : messages_of(rows[i])) {
            SCOPED_TRACE(message.name + " in the row of " + rows[i].message);
            expect_settled(message, rows[i].cells.at(0));
            expect_moved(message, rows[i].cells.at(1));
            if (HasFatalFailure()) return;
            ++messages;
        }
    // Every method once without a To-tag and once with it, and a response.
    EXPECT_EQ(messages, 2 * kAllMethods.size() + 1);
}

} // namespace
} // namespace viaduct::test
