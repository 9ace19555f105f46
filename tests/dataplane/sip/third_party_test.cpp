// SPDX-License-Identifier: Apache-2.0
//
// third_party: messages of RFC 4475, PROTOS, other projects and real captures give the Call-ID that
// their tables state, through the reader at every scan level and through `viaductd replay`.
#include "both_ways.hpp"
#include "capture.hpp"
#include "cli/text.hpp"
#include "digests.hpp"
#include "guarded.hpp"
#include "third_party.hpp"
#include "world.hpp"

#include "viaduct/steering/steer.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <set>
#include <sys/wait.h>

namespace viaduct::test {
namespace {

constexpr std::size_t kLargestPayload = 65'507; // that one IPv4 packet holds behind a UDP header

constexpr const char* kConfig = R"([[port]]
name = "p0"
device = "net_af_packet0,iface=lb0"
addresses = ["198.51.100.2/24"]
[[vip]]
name = "strict"
address = "198.51.100.10"
pool = "proxies"
[[vip]]
name = "lenient"
address = "198.51.100.11"
pool = "proxies"
lenient = true
[[pool]]
name = "proxies"
[[pool.backend]]
name = "b1"
address = "198.51.100.21"
)";

struct ReadVip {
    const char* address;
    ReadRules rules;
};
constexpr ReadVip kVips[] = {{"198.51.100.10", {Want::Nothing, false}},
                             {"198.51.100.11", {Want::Nothing, true}}};

/// Messages the table of the captures does not list: of the unknown method INVITE1, and one on the
/// UDP port of another protocol. All else it does not list is no SIP and has no Call-ID.
const std::map<std::string, std::string> kLeftOut{
    {"snort3_demo__binder_user_defined_method.pcap frame 1",
     "3c47690ab239-44b0xxy6evus@192-168-1-48"},
    {"snort3_demo__reputation_ipv4.pcap frame 1", "3c47690ab239-44b0xxy6evus@192-168-1-48"},
    {"snort3_demo__gtpingtp.pcap frame 2", "3c47690ab239-44b0xxy6evus@192-168-1-48"}};

class ThirdParty : public ::testing::Test {
protected:
    void SetUp() override {
        if (!std::ifstream(folder_ + "/pcap/ORACLE.tsv"))
            GTEST_SKIP() << "skipped: corpus not found (looked in " << folder_ << ")";
    }

    /// Drops what no single UDP datagram can hold, and says how many.
    static std::vector<Sample> sendable(std::vector<Sample> samples) {
        const std::size_t before = samples.size();
        std::erase_if(samples,
                      [](const Sample& one) { return one.payload.size() > kLargestPayload; });
        std::size_t stated = 0;
        for (const Sample& one : samples)
            stated += one.call_id.has_value();
        std::printf("%zu payloads, %zu of them with a stated Call-ID; %zu larger than %zu bytes\n",
                    samples.size(),
                    stated,
                    before - samples.size(),
                    kLargestPayload);
        return samples;
    }

    static void expect_reader_agrees(const std::vector<Sample>& samples) {
        for (const Sample& sample : samples)
            for (const ScanLevel level : levels())
                for (const ReadVip& vip : kVips) {
                    const auto at_end = guarded(sample.payload);
                    const SipDigest digest = read_digest_at(level, at_end, vip.rules);
                    if (sample.call_id) {
                        EXPECT_EQ(escaped(digest.call_id), escaped(*sample.call_id))
                            << sample.name << " at level " << name_of(level);
                    }
                    const auto at_start = guarded_start(sample.payload);
                    EXPECT_TRUE(
                        same(digest, at_end, read_digest_at(level, at_start, vip.rules), at_start))
                        << sample.name;
                    ReadRules all = vip.rules;
                    all.want = Want::Everything;
                    EXPECT_EQ(read_digest_at(level, at_start, all).call_id, digest.call_id)
                        << sample.name;
                }
    }

    /// Every payload as a frame to a VIP whose packets the lane may take.
    static void expect_lane_agrees(const std::vector<Sample>& samples) {
        World here = world();
        for (LinkView& link : here.links)
            link.max_frame_bytes = 65'600;
        for (const Sample& sample : samples) {
            const std::vector<Bytes> frames{
                frame().ipv4(kClient, kDsrVip).udp(5060, 5060).payload(sample.payload).build()};
            EXPECT_EQ(run(run_pipeline, here.view(), frames), run(run_stages, here.view(), frames))
                << sample.name;
        }
    }

    /// Every payload as a frame to every VIP, through the real viaductd.
    void expect_replay_agrees(const std::vector<Sample>& samples) {
        std::vector<Captured> frames;
        for (const Sample& sample : samples)
            for (const ReadVip& vip : kVips)
                frames.push_back({0,
                                  frame()
                                      .ipv4("192.0.2.9", vip.address)
                                      .udp(5060, 5060)
                                      .payload(sample.payload)
                                      .build()});
        const TemporaryFolder folder;
        std::ofstream(folder / "lb.toml") << kConfig;
        write_pcap(folder / "in.pcap", frames);
        const std::string command = std::string(VIADUCTD) + " replay --json --frames --config " +
                                    folder / "lb.toml" + " --in " + folder / "in.pcap" + " --out " +
                                    folder / "out.pcap" + " >" + folder / "stdout";
        const int status = std::system(command.c_str());
        ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << command;

        const auto told = nlohmann::json::parse(file_text(folder / "stdout")).at("frames");
        const std::vector<Captured> sent = read_capture(folder / "out.pcap");
        ASSERT_EQ(told.size(), frames.size());
        std::size_t at = 0;
        std::size_t forwarded = 0;
        std::map<std::string, std::size_t> outcomes;
        for (const Sample& sample : samples)
            for (const ReadVip& vip : kVips) {
                const auto& entry = told[at++];
                const SipDigest digest = read_digest(guarded(sample.payload), vip.rules);
                const auto call_id = entry["call_id"].is_null()
                                         ? std::string()
                                         : entry["call_id"].get<std::string>();
                const auto outcome = entry["outcome"].get<std::string>();
                EXPECT_EQ(call_id, to_utf8(digest.call_id)) << sample.name;
                EXPECT_EQ(outcome,
                          name_of(admit_message(Vip{}, digest).value_or(Outcome::Forwarded)))
                    << sample.name;
                ++outcomes[outcome];
                if (outcome != "forwarded") continue;
                ASSERT_LT(forwarded, sent.size());
                const Bytes& bytes = sent[forwarded++].bytes;
                EXPECT_TRUE(
                    std::ranges::equal(std::span(bytes).subspan(42), bytes_of(sample.payload)))
                    << sample.name << " was changed on its way";
            }
        EXPECT_EQ(forwarded, sent.size());
        for (const auto& [outcome, count] : outcomes)
            std::printf("%8zu %s\n", count, outcome.c_str());
    }

    void expect_agreement(std::vector<Sample> samples) {
        samples = sendable(std::move(samples));
        expect_reader_agrees(samples);
        expect_lane_agrees(samples);
        expect_replay_agrees(samples);
    }

    std::string folder_ = third_party_folder();
};

TEST_F(ThirdParty, EveryMessageOfRfc4475GivesItsCallId) {
    std::vector<Sample> samples;
    for (auto& row : table_rows(folder_ + "/torture/MANIFEST.tsv"))
        samples.push_back(
            {row["file"], file_text(folder_ + "/torture/" + row["file"]), stated(row["call_id"])});
    EXPECT_EQ(samples.size(), 41U);
    expect_agreement(samples);
}

TEST_F(ThirdParty, EveryProtosCaseGivesItsCallIdWhereItIsIntact) {
    std::vector<Sample> samples;
    for (auto& row : table_rows(folder_ + "/protos-c07-sip-r2/INDEX.tsv"))
        for (const char* kind : {".sip", ".cancel.sip"})
            samples.push_back({row["case"] + kind,
                               file_text(folder_ + "/protos-c07-sip-r2/" + row["case"] + kind),
                               stated(row["call_id_if_header_intact"])});
    EXPECT_EQ(samples.size(), 2U * 3018U);
    expect_agreement(samples);
}

TEST_F(ThirdParty, OddMessagesOfOtherProjectsGiveTheirCallId) {
    std::vector<Sample> samples;
    for (auto& row : table_rows(folder_ + "/messages/ORIGINS.tsv")) {
        Sample sample{row["file"],
                      file_text(folder_ + "/messages/" + row["file"]),
                      stated(row["call_id_if_single"])};
        EXPECT_EQ(std::to_string(sample.payload.size()), row["bytes"]) << sample.name;
        if (row["note"] == "whole Ethernet frame") {
            const std::string whole = sample.payload;
            const Held held = held_by(whole, DLT_EN10MB, sample.payload);
            EXPECT_TRUE(held == Held::Udp || held == Held::Tcp) << sample.name;
            samples.push_back({sample.name + " as payload", whole, std::nullopt});
        }
        samples.push_back(std::move(sample));
    }
    EXPECT_GE(samples.size(), 407U);
    expect_agreement(samples);
}

TEST_F(ThirdParty, EveryUdpPayloadOfTheCapturesGivesTheCallIdTheOracleSaw) {
    std::map<std::string, std::map<std::size_t, std::string>> oracle; // file -> frame -> Call-ID
    std::size_t stated_messages = 0;
    std::size_t elsewhere = 0;
    for (auto& row : table_rows(folder_ + "/pcap/ORACLE.tsv")) {
        ++stated_messages;
        if (row["l4"] != "udp")
            ++elsewhere;
        else
            oracle[row["file"]][std::stoul(row["frames"])] = *stated(row["call_id"]);
    }
    std::vector<Sample> samples;
    std::map<Held, std::size_t> frames;
    std::size_t compared = 0;
    for (auto& row : table_rows(folder_ + "/pcap/ORIGINS.tsv")) {
        const std::string& file = row["file"];
        const bool whole =
            each_frame(folder_ + "/pcap/" + file, [&](std::size_t number, auto bytes, int link) {
                Sample sample{file + " frame " + std::to_string(number), {}, std::nullopt};
                const Held held = held_by(bytes, link, sample.payload);
                ++frames[held];
                if (held != Held::Udp) return;
                const auto of_file = oracle.find(file);
                if (of_file != oracle.end() && of_file->second.contains(number)) {
                    sample.call_id = of_file->second.at(number);
                    of_file->second.erase(number);
                    ++compared;
                } else {
                    const auto left_out = kLeftOut.find(sample.name);
                    sample.call_id = left_out == kLeftOut.end() ? "" : left_out->second;
                }
                samples.push_back(std::move(sample));
            });
        EXPECT_TRUE(whole) << file;
    }
    for (const auto& [file, left] : oracle)
        for (const auto& [number, call_id] : left)
            std::printf("not one UDP payload: %s frame %zu\n", file.c_str(), number);
    std::printf("%zu messages in the oracle, %zu compared, %zu of them over TCP\n",
                stated_messages,
                compared,
                elsewhere);
    EXPECT_GT(compared, 0U);
    EXPECT_EQ(compared + elsewhere, stated_messages);
    std::printf("frames: %zu UDP, %zu TCP, %zu fragments, %zu cut, %zu other\n",
                frames[Held::Udp],
                frames[Held::Tcp],
                frames[Held::Fragment],
                frames[Held::Cut],
                frames[Held::Other]);
    expect_agreement(samples);
}

} // namespace
} // namespace viaduct::test
