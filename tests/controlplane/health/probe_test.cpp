// SPDX-License-Identifier: Apache-2.0
//
// What a probe must be on the wire: a whole, legal OPTIONS in a frame whose sums are right.
#include "health/probe.hpp"

#include "viaduct/sip/digest.hpp"

#include <algorithm>
#include <cstring>
#include <gtest/gtest.h>
#include <map>
#include <random>
#include <set>
#include <span>

namespace viaduct::test {
namespace {

const ProbeFrame kProbe{.source_mac = *parse_mac("02:00:00:00:00:02"),
                        .destination_mac = *parse_mac("02:00:00:00:01:01"),
                        .source = {*parse_ipv4("198.51.100.2"), 40'000},
                        .destination = {*parse_ipv4("198.51.100.10"), 5060},
                        .uri = {}};
const ProbeIds kIds{"0123456789abcdef0123456789abcdef", "z9hG4bK00ff", "feed"};

/// A SIP message cut at its line ends; fails the test where the text breaks RFC 3261 §7.
struct SipText {
    std::string first_line;
    std::map<std::string, std::string> fields;
    std::string body;

    explicit SipText(const std::string& text) {
        std::size_t at = 0;
        for (bool first = true;; first = false) {
            const std::size_t end = text.find("\r\n", at);
            if (end == std::string::npos) {
                ADD_FAILURE() << "no empty line ends the header:\n" << text;
                return;
            }
            const std::string line = text.substr(at, end - at);
            at = end + 2;
            if (line.empty()) break;
            EXPECT_EQ(line.find_first_of("\r\n"), std::string::npos) << line;
            if (first) {
                first_line = line;
                continue;
            }
            const std::size_t colon = line.find(": ");
            if (colon == std::string::npos) {
                ADD_FAILURE() << "no header field: " << line;
                continue;
            }
            EXPECT_TRUE(fields.emplace(line.substr(0, colon), line.substr(colon + 2)).second)
                << "twice: " << line;
        }
        body = text.substr(at);
    }
};

unsigned byte_at(const std::vector<std::byte>& bytes, std::size_t at) {
    return std::to_integer<unsigned>(bytes.at(at));
}
unsigned word_at(const std::vector<std::byte>& bytes, std::size_t at) {
    return byte_at(bytes, at) * 256 + byte_at(bytes, at + 1);
}

/// Receiver's check of RFC 1071: with the checksum field included the sum must be all ones. Adds
/// with end-around carry word by word, unlike the code under test.
unsigned ones_sum(const std::vector<std::byte>& bytes, std::size_t from, std::size_t to) {
    unsigned sum = 0;
    for (std::size_t i = from; i < to; i += 2) {
        sum += i + 1 < to ? word_at(bytes, i) : byte_at(bytes, i) * 256;
        if (sum > 0xffff) sum -= 0xffff;
    }
    return sum;
}

void expect_right_sums(const std::vector<std::byte>& frame) {
    EXPECT_EQ(ones_sum(frame, 14, 34), 0xffffU) << "IPv4 header";
    std::vector<std::byte> udp(frame.begin() + 26, frame.begin() + 34); // both addresses
    udp.insert(udp.end(), {std::byte{0}, std::byte{17}, frame[38], frame[39]});
    udp.insert(udp.end(), frame.begin() + 34, frame.end());
    EXPECT_EQ(ones_sum(udp, 0, udp.size()), 0xffffU) << "UDP of " << frame.size() << " bytes";
    EXPECT_NE(word_at(frame, 40), 0U) << "0 would mean no checksum";
}

bool is_hex128(const std::string& text) {
    return text.size() == 32 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

TEST(Probe, HasIdentifiersOf128RandomBitsOfItsOwn) {
    std::set<std::string> seen;
    std::set<char> first_digits;
    for (int i = 0; i < 1000; ++i) {
        const ProbeIds ids = make_probe_ids();
        EXPECT_TRUE(is_hex128(ids.call_id)) << ids.call_id;
        EXPECT_TRUE(is_hex128(ids.from_tag)) << ids.from_tag;
        ASSERT_EQ(ids.branch.substr(0, 7), "z9hG4bK"); // RFC 3261 §8.1.1.7
        EXPECT_TRUE(is_hex128(ids.branch.substr(7))) << ids.branch;
        seen.insert({ids.call_id, ids.from_tag, ids.branch.substr(7)});
        first_digits.insert(ids.call_id.front());
    }
    EXPECT_EQ(seen.size(), 3000U);
    EXPECT_EQ(first_digits.size(), 16U); // by chance false once in 10^27 runs
}

TEST(Probe, HoldsWhatARequestMustHold) {
    const SipText sip(build_options(kProbe, kIds, 7));
    EXPECT_EQ(sip.first_line, "OPTIONS sip:198.51.100.10:5060 SIP/2.0");
    const std::map<std::string, std::string> expected{
        {"Via", "SIP/2.0/UDP 198.51.100.2:40000;rport;branch=z9hG4bK00ff"},
        {"Max-Forwards", "70"},
        {"From", "<sip:viaduct@198.51.100.2:40000>;tag=feed"},
        {"To", "<sip:198.51.100.10:5060>"}, // no tag: it belongs to no dialog
        {"Call-ID", "0123456789abcdef0123456789abcdef"},
        {"CSeq", "7 OPTIONS"},
        {"Contact", "<sip:viaduct@198.51.100.2:40000>"},
        {"Accept", "application/sdp"},
        {"User-Agent", "Viaduct/" VIADUCT_VERSION},
        {"Content-Length", "0"},
    };
    EXPECT_EQ(sip.fields, expected);
    EXPECT_EQ(sip.body, "");
}

TEST(Probe, CanBeReadByOurOwnWorkers) {
    const std::string text = build_options(kProbe, kIds, 7);
    const SipDigest digest = read_digest(std::as_bytes(std::span{text}));
    EXPECT_EQ(digest.kind, PayloadKind::Request);
    EXPECT_EQ(digest.method, Method::Options);
    EXPECT_EQ(digest.call_id, kIds.call_id);
    EXPECT_EQ(digest.top_via_branch, kIds.branch);
    EXPECT_EQ(digest.cseq, (CSeq{7, Method::Options}));
    EXPECT_FALSE(digest.has_to_tag);
}

TEST(Probe, AsksForTheUriThatIsConfigured) {
    ProbeFrame probe = kProbe;
    probe.uri = "sip:ping@registrar.example;transport=udp";
    const SipText sip(build_options(probe, kIds, 1));
    EXPECT_EQ(sip.first_line, "OPTIONS sip:ping@registrar.example;transport=udp SIP/2.0");
    EXPECT_EQ(sip.fields.at("To"), "<sip:ping@registrar.example;transport=udp>");
    EXPECT_EQ(sip.fields.at("From"), "<sip:viaduct@198.51.100.2:40000>;tag=feed");
}

TEST(Probe, LeavesInAnOrdinaryFrame) {
    const std::string sip = build_options(kProbe, kIds, 1);
    const std::vector<std::byte> frame = build_frame(kProbe, sip);
    ASSERT_EQ(frame.size(), 42 + sip.size());
    EXPECT_EQ(std::memcmp(frame.data(), kProbe.destination_mac.bytes.data(), 6), 0);
    EXPECT_EQ(std::memcmp(frame.data() + 6, kProbe.source_mac.bytes.data(), 6), 0);
    EXPECT_EQ(word_at(frame, 12), 0x0800U);
    EXPECT_EQ(byte_at(frame, 14), 0x45U);
    EXPECT_EQ(word_at(frame, 16), frame.size() - 14);
    EXPECT_EQ(word_at(frame, 20), 0x4000U) << "do not fragment, no fragment";
    EXPECT_EQ(byte_at(frame, 22), 64U);
    EXPECT_EQ(byte_at(frame, 23), 17U);
    EXPECT_EQ(word_at(frame, 26) << 16 | word_at(frame, 28), kProbe.source.address.value);
    EXPECT_EQ(word_at(frame, 30) << 16 | word_at(frame, 32), kProbe.destination.address.value);
    EXPECT_EQ(word_at(frame, 34), 40'000U);
    EXPECT_EQ(word_at(frame, 36), 5060U);
    EXPECT_EQ(word_at(frame, 38), frame.size() - 34);
    EXPECT_EQ(std::memcmp(frame.data() + 42, sip.data(), sip.size()), 0);
    expect_right_sums(frame);
}

TEST(Probe, HasRightSumsForAnyAddressAndAnyPayload) {
    std::mt19937 random(1);
    for (int i = 0; i < 2000; ++i) {
        ProbeFrame probe = kProbe;
        probe.source = {Ipv4Addr{static_cast<std::uint32_t>(random())},
                        static_cast<std::uint16_t>(random())};
        probe.destination = {Ipv4Addr{static_cast<std::uint32_t>(random())},
                             static_cast<std::uint16_t>(random())};
        std::string payload(random() % 1473, '\0');
        std::generate(payload.begin(), payload.end(), [&] { return static_cast<char>(random()); });
        expect_right_sums(build_frame(probe, payload));
    }
}

TEST(Probe, WritesAUdpSumOfZeroAsAllOnes) {
    // Among all payloads of two bytes one makes the sum come out as zero.
    unsigned all_ones = 0;
    for (unsigned value = 0; value < 0x10000; ++value) {
        const std::vector<std::byte> frame =
            build_frame(kProbe, {static_cast<char>(value >> 8), static_cast<char>(value & 0xff)});
        ASSERT_NE(word_at(frame, 40), 0U);
        if (word_at(frame, 40) == 0xffff) {
            ++all_ones;
            expect_right_sums(frame);
        }
    }
    EXPECT_GE(all_ones, 1U);
}

} // namespace
} // namespace viaduct::test
