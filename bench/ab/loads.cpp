// SPDX-License-Identifier: Apache-2.0
#include "loads.hpp"

#include "carrier_mix.hpp"
#include "frame_builder.hpp"
#include "invites.hpp"
#include "sip_mix.hpp"

#include "viaduct/sip/digest.hpp"

#include <algorithm>
#include <numeric>
#include <random>
#include <stdexcept>

namespace viaduct::bench {

namespace {

constexpr std::size_t kHeaders = 42; // Ethernet, IPv4, UDP

/// As tests/support/world.hpp has them in every tree.
constexpr std::string_view kClient = "192.0.2.7";
constexpr std::string_view kVip = "198.51.100.10";
constexpr std::byte kBackends{1};   ///< fifth byte of the MAC address of every backend of the pool
constexpr std::byte kOwnsNoCall{3}; ///< last byte of the one that FullTable gives no call
constexpr std::size_t kInvites = 1'000;
constexpr std::size_t kMixed = 512;
constexpr std::size_t kPermutations = 128; ///< too many for a branch predictor to learn

void replace(std::string& text, std::string_view part, std::string_view by) {
    if (part.empty()) throw std::logic_error("a message of the mix lacks a tag or Call-ID");
    text.replace(static_cast<std::size_t>(part.data() - text.data()), part.size(), by);
}

/// Makes a message of the mix one of a numbered call and of the dialog that its table knows.
std::string numbered(std::string text) {
    constexpr ReadRules kRules{.want = Want::Tags};
    const auto read = [&] { return read_digest(std::as_bytes(std::span(text)), kRules); };
    replace(text, read().call_id, test::kNumberedCallId);
    replace(text, read().from_tag, test::kDialogFromTag);
    replace(text, read().to_tag, test::kDialogToTag);
    return text;
}

Load invites() {
    Load made("hash, 1000 INVITEs", kAbHash);
    for (std::size_t i = 0; i < kInvites; ++i)
        made.add(test::make_invite(i));
    made.in_order();
    return made;
}

Load carrier_mix() {
    Load made("hash, carrier mix in random order", kAbHash);
    for (const test::MixMessage& message :
         test::CarrierMix().make_all({.calls = kMixed, .messages = kMixed}))
        made.add(message.text);
    made.in_random_order();
    return made;
}

Load known_calls(std::uint64_t calls) {
    Load made("stateful, INVITEs of " + std::to_string(calls) + " calls", kAbCalls);
    made.set_calls(calls);
    for (std::size_t i = 0; i < 1'024; ++i)
        made.add(test::make_reinvite(i));
    made.in_order();
    return made;
}

/// 200, ACK and BYE with its 200 as the mix has them, and as many INVITEs inside the dialog.
Load mixed_messages(std::uint64_t calls) {
    Load made("stateful, mixed messages of " + std::to_string(calls) + " calls", kAbCalls);
    made.set_calls(calls);
    std::size_t invites = 0;
    for (const test::MixMessage& message :
         test::CarrierMix().make_all({.calls = 4 * kMixed, .messages = 4 * kMixed})) {
        if (made.size() == kMixed) break;
        switch (message.kind) {
        case test::MixKind::Invite:
            made.add(test::make_reinvite(invites++));
            break;
        case test::MixKind::Ok:
        case test::MixKind::Ack:
        case test::MixKind::Bye:
        case test::MixKind::ByeOk:
            made.add(numbered(message.text));
            break;
        case test::MixKind::Register:
        case test::MixKind::Ringing:
        case test::MixKind::RegisterOk:
        case test::MixKind::Options:
        case test::MixKind::OptionsOk:
            break;
        }
    }
    made.in_random_order();
    return made;
}

Load single_messages() {
    Load made("digest and hash", kAbDigest);
    for (const test::MixMessage& message : test::sip_mix(1'000))
        made.add(message.text);
    made.in_order();
    return made;
}

} // namespace

void Load::add(std::string_view message) {
    if (kind_ == kAbDigest)
        items_.push_back(test::bytes_of(message));
    else
        items_.push_back(
            test::frame().ipv4(kClient, kVip).udp(5060, 5060).payload(message).build());
    if (kind_ != kAbCalls) return;
    const std::size_t at = message.find(test::kNumberedCallId);
    if (at == std::string_view::npos) throw std::logic_error("not a message of a numbered call");
    number_at_.push_back(kHeaders + at);
}

void Load::fill_burst() {
    items_.resize(kAbUnit, items_.back());
}

void Load::in_order() {
    order_.resize(items_.size());
    std::iota(order_.begin(), order_.end(), 0U);
}

void Load::in_random_order() {
    items_.resize(items_.size() / kAbUnit * kAbUnit);
    std::vector<std::uint32_t> round(items_.size());
    std::iota(round.begin(), round.end(), 0U);
    std::mt19937 random; // with its default seed: the same order for all
    for (std::size_t i = 0; i < kPermutations; ++i) {
        for (std::size_t left = round.size(); left > 1;
             --left) // as std::shuffle, but everywhere the same
            std::swap(round[left - 1], round[random() % left]);
        order_.insert(order_.end(), round.begin(), round.end());
    }
}

AbLoad Load::view() {
    data_.clear();
    sizes_.clear();
    numbers_.clear();
    for (std::size_t i = 0; i < items_.size(); ++i) {
        data_.push_back(items_[i].data());
        sizes_.push_back(static_cast<std::uint32_t>(items_[i].size()));
        if (kind_ == kAbCalls) numbers_.push_back(items_[i].data() + number_at_[i]);
    }
    return {kind_,
            static_cast<std::uint32_t>(items_.size()),
            data_.data(),
            sizes_.data(),
            numbers_.data(),
            test::kNumberedCallId.data(),
            calls_,
            order_.data(),
            static_cast<std::uint32_t>(order_.size())};
}

std::size_t Load::astray() const {
    if (kind_ == kAbDigest) return 0;
    return static_cast<std::size_t>(std::ranges::count_if(items_, [&](const auto& frame) {
        return frame[4] != kBackends || (kind_ == kAbCalls && frame[5] == kOwnsNoCall);
    }));
}

std::vector<Load> make_loads(std::uint64_t calls) {
    std::vector<Load> made;
    made.push_back(invites());
    made.push_back(carrier_mix());
    made.push_back(known_calls(calls));
    made.push_back(mixed_messages(calls));
    made.push_back(single_messages());
    return made;
}

} // namespace viaduct::bench
