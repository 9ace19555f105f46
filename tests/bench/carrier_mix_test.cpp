// SPDX-License-Identifier: Apache-2.0
#include "carrier_mix.hpp"

#include "viaduct/sip/digest.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <map>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace viaduct::test {
namespace {

SipDigest digest_of(const MixMessage& message) {
    return read_digest(std::as_bytes(std::span(message.text)));
}

std::set<std::string> call_ids(const std::vector<MixMessage>& messages) {
    std::set<std::string> ids;
    for (const MixMessage& message : messages)
        ids.emplace(digest_of(message).call_id);
    return ids;
}

TEST(CarrierMix, HasAsManyMessagesAndCallIdsAsAskedFor) {
    const auto one_each = CarrierMix().make_all({.calls = 500, .messages = 500});
    EXPECT_EQ(one_each.size(), 500U);
    EXPECT_EQ(call_ids(one_each).size(), 500U);
    const auto four_each = CarrierMix().make_all({.calls = 500, .messages = 2'000});
    EXPECT_EQ(four_each.size(), 2'000U);
    EXPECT_EQ(call_ids(four_each).size(), 500U);
}

TEST(CarrierMix, EveryMessageIsReadAsWhatItIs) {
    for (const MixMessage& message : CarrierMix().make_all({.calls = 500, .messages = 2'000})) {
        const SipDigest digest = digest_of(message);
        EXPECT_EQ(digest.kind,
                  is_request(message.kind) ? PayloadKind::Request : PayloadKind::Response);
        EXPECT_EQ(digest.defect, Defect::None) << message.text;
        EXPECT_TRUE(digest.cseq.has_value()) << message.text;
        EXPECT_EQ(digest.has_to_tag,
                  message.kind != MixKind::Invite && message.kind != MixKind::Register &&
                      message.kind != MixKind::Options)
            << message.text;
        EXPECT_GE(message.text.size(), kCarrierMinBytes);
        EXPECT_LE(message.text.size(), kCarrierMaxBytes);
    }
}

TEST(CarrierMix, HasEveryKindInItsShare) {
    std::map<MixKind, int> count;
    for (const MixMessage& message : CarrierMix().make_all({.calls = 5'000, .messages = 5'000}))
        ++count[message.kind];
    ASSERT_EQ(count.size(), 10U);
    for (const auto& [kind, number] : count) {
        const bool of_a_call = kind != MixKind::Register && kind != MixKind::RegisterOk &&
                               kind != MixKind::Options && kind != MixKind::OptionsOk;
        EXPECT_NEAR(number, of_a_call ? 583 : 375, 80) << static_cast<int>(kind);
    }
}

TEST(CarrierMix, AnAnswerHasTheViaOfItsRequest) {
    std::map<std::string, std::string> branch_of_invite;
    const auto messages = CarrierMix().make_all({.calls = 500, .messages = 2'000});
    for (const MixMessage& message : messages)
        if (message.kind == MixKind::Invite) {
            const SipDigest digest = digest_of(message);
            branch_of_invite.emplace(digest.call_id, digest.top_via_branch);
        }
    int answers = 0;
    for (const MixMessage& message : messages) {
        const SipDigest digest = digest_of(message);
        const auto invite = branch_of_invite.find(std::string(digest.call_id));
        if (message.kind != MixKind::Ringing || invite == branch_of_invite.end()) continue;
        EXPECT_EQ(digest.top_via_branch, invite->second);
        ++answers;
    }
    EXPECT_GT(answers, 100);
}

TEST(CarrierMix, MakesEveryMessageAsLongAsAskedFor) {
    for (const std::size_t bytes : {500U, 1'400U})
        for (const MixMessage& message :
             CarrierMix().make_all({.calls = 100, .messages = 100, .bytes = bytes})) {
            EXPECT_EQ(message.text.size(), bytes);
            EXPECT_EQ(digest_of(message).defect, Defect::None);
            const std::size_t body = message.text.find("\r\n\r\n") + 4;
            const std::string head = message.text.substr(0, body - 4);
            EXPECT_EQ(head.substr(head.rfind(' ') + 1), std::to_string(bytes - body));
        }
}

TEST(CarrierMix, LeavesAnswersOutWhenAsked) {
    const auto messages =
        CarrierMix().make_all({.calls = 200, .messages = 300, .requests_only = true});
    EXPECT_EQ(messages.size(), 300U);
    EXPECT_EQ(call_ids(messages).size(), 200U);
    for (const MixMessage& message : messages)
        EXPECT_TRUE(is_request(message.kind));
}

TEST(CarrierMix, IsTheSameEveryTime) {
    const auto first = CarrierMix().make_all({.calls = 100, .messages = 200});
    const auto second = CarrierMix().make_all({.calls = 100, .messages = 200});
    EXPECT_TRUE(std::equal(
        first.begin(), first.end(), second.begin(), second.end(), [](const auto& a, const auto& b) {
            return a.text == b.text;
        }));
}

} // namespace
} // namespace viaduct::test
