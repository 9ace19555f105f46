// SPDX-License-Identifier: Apache-2.0
//
// carrier_mix: what a carrier's balancer receives, for captures: messages of whole calls, mingled.
//
// Of the Call-IDs 70 % are calls (INVITE, 180, 200, ACK, BYE, 200), 15 % registrations (REGISTER,
// 200) and 15 % questions of a peer whether we live (OPTIONS, 200). The messages of a call share
// its Call-ID and tags, an answer has the Vias of its request, half of the calls are ended by the
// callee. Where fewer messages are wanted than the calls have, chance says which are left out, so
// with one message a Call-ID each of a call's six kinds has 11.7 % of them, and each of the other
// four 7.5 %. Senders, spellings and fields as in sip_mix.hpp; 300 to 1,400 bytes.
// The same numbers give the same messages on every machine.
#pragma once

#include "sip_mix.hpp"

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace viaduct::test {

inline constexpr std::size_t kCarrierMinBytes = 300;
inline constexpr std::size_t kCarrierMaxBytes = 1'400;

struct CarrierMixRequest {
    std::size_t calls = 1'000;    ///< distinct Call-IDs
    std::size_t messages = 1'000; ///< at least one for each Call-ID, some 4.8 times as many at most
    std::size_t bytes = 0;        ///< of every message; 0: as they come
    bool requests_only = false;
};

class CarrierMix : private SipMix {
public:
    /// Shuffled; fewer than were asked for when the calls have no more.
    [[nodiscard]] std::vector<MixMessage> make_all(const CarrierMixRequest& request) {
        bytes_ = request.bytes;
        std::vector<MixMessage> messages;
        std::vector<Story> stories;
        std::vector<std::pair<std::size_t, MixKind>> left; // the first is an index of stories
        while (stories.size() < request.calls) {           // one message of each
            Story story = begin();
            if (request.requests_only)
                std::erase_if(story.kinds, [](MixKind kind) { return !is_request(kind); });
            shuffle(story.kinds);
            bool added = false;
            while (!story.kinds.empty() && !added) {
                added = add(messages, story, story.kinds.back());
                story.kinds.pop_back();
            }
            if (!added) continue;
            for (const MixKind kind : story.kinds)
                left.emplace_back(stories.size(), kind);
            stories.push_back(std::move(story));
        }
        shuffle(left);
        for (const auto& [story, kind] : left) {
            if (messages.size() >= request.messages) break;
            (void)add(messages, stories[story], kind);
        }
        shuffle(messages);
        return messages;
    }

private:
    /// One Call-ID: the transactions it consists of and the messages that can be made of them.
    struct Story {
        std::vector<MixKind> kinds;
        Thread first; ///< INVITE, REGISTER or OPTIONS
        Thread ack;
        Thread bye;
        std::string to_tag;
    };

    template <typename Value> void shuffle(std::vector<Value>& values) {
        for (std::size_t i = values.size(); i > 1; --i)
            std::swap(values[i - 1], values[below(i)]);
    }

    /// Messages that chance alone would seldom make as short as that.
    [[nodiscard]] bool small() const { return bytes_ != 0 && bytes_ < 400; }
    [[nodiscard]] std::vector<std::string> vias() {
        std::vector<std::string> values;
        for (std::uint32_t left = small() ? 1 : 1 + below(3); left > 0; --left)
            values.push_back(via());
        return values;
    }

    [[nodiscard]] Story begin() {
        const std::uint32_t roll = below(100);
        Story story;
        if (roll < 70)
            story.kinds = {MixKind::Invite,
                           MixKind::Ringing,
                           MixKind::Ok,
                           MixKind::Ack,
                           MixKind::Bye,
                           MixKind::ByeOk};
        else if (roll < 85)
            story.kinds = {MixKind::Register, MixKind::RegisterOk};
        else
            story.kinds = {MixKind::Options, MixKind::OptionsOk};
        story.first.call_id = call_id();
        story.first.from = name_address() + tag();
        story.first.to = name_address();
        story.first.cseq = 1 + below(300);
        story.first.vias = vias();
        story.to_tag = tag();
        story.ack = story.first;
        story.ack.to += story.to_tag;
        story.ack.vias = vias();
        story.bye = story.ack;
        story.bye.vias = vias();
        ++story.bye.cseq;
        if (one_in(2)) { // the callee hangs up, who counts for himself
            std::swap(story.bye.from, story.bye.to);
            story.bye.cseq = 1 + below(300);
        }
        return story;
    }

    [[nodiscard]] static Thread thread_of(const Story& story, MixKind kind) {
        if (kind == MixKind::Ack) return story.ack;
        if (kind == MixKind::Bye || kind == MixKind::ByeOk) return story.bye;
        Thread thread = story.first;
        if (!is_request(kind)) thread.to += story.to_tag;
        return thread;
    }

    /// False: it does not come out in the right size.
    [[nodiscard]] bool add(std::vector<MixMessage>& messages, const Story& story, MixKind kind) {
        std::string text = sized(kind, thread_of(story, kind));
        if (text.empty()) return false;
        messages.push_back({kind, std::move(text)});
        return true;
    }

    /// Empty when chance does not give one of the right size soon.
    [[nodiscard]] std::string sized(MixKind kind, const Thread& thread) {
        for (int tries = 0; tries < 20; ++tries) {
            std::string text = make(kind, &thread);
            if (bytes_ != 0) text = padded(text);
            if (text.size() >= kCarrierMinBytes && text.size() <= kCarrierMaxBytes) return text;
        }
        return {};
    }

    /// To bytes_, by a last attribute of the SDP or a last header field, if a quarter is enough.
    [[nodiscard]] std::string padded(const std::string& text) {
        if (text.size() == bytes_) return text;
        if (text.size() > bytes_ || text.size() < bytes_ - bytes_ / 4) return {};
        constexpr std::string_view kEmptyLine = "\r\n\r\n";
        const std::size_t end = text.find(kEmptyLine);
        const std::string head = text.substr(0, end); // its last line is Content-Length
        std::string body = text.substr(end + kEmptyLine.size());
        const std::size_t value = head.rfind(' ') + 1;
        const std::size_t line = head.rfind("\r\n") + 2;
        const std::string_view name = body.empty() ? "User-to-User: " : "a=key-mgmt:mikey ";
        const std::size_t missing = bytes_ - text.size();
        if (missing < name.size() + 3) return {};
        const std::string filler = std::string(name) + base64(missing - name.size() - 2) + "\r\n";
        if (body.empty()) return text.substr(0, line) + filler + text.substr(line);
        body += filler;
        std::string result = head.substr(0, value) + std::to_string(body.size());
        result += kEmptyLine;
        result += body;
        return result.size() == bytes_ ? result : ""; // the length has one digit more
    }

    std::size_t bytes_ = 0;
};

} // namespace viaduct::test
