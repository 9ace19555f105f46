// SPDX-License-Identifier: Apache-2.0
#include "capture.hpp"
#include "steering/rate_limit.hpp"
#include "world.hpp"

#include "viaduct/error.hpp"
#include "viaduct/replay.hpp"

#include <algorithm>
#include <csignal>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <numeric>
#include <random>
#include <string>
#include <sys/resource.h>
#include <sys/stat.h>
#include <vector>

namespace viaduct::test {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;
constexpr std::int64_t kStart = 1'700'000'000 * kSecond;

/// What replay() said of a frame, kept beyond the callback.
struct Told {
    std::uint64_t number;
    Outcome outcome;
    std::optional<VipId> vip;
    std::optional<PoolId> pool;
    std::optional<BackendId> backend;
    std::string call_id;

    bool operator==(const Told&) const = default;
};

struct Replayed {
    ReplayTotals totals;
    std::vector<Told> told;
};

Replayed run(const ReplayControl& control,
             const std::string& in,
             const std::string& out,
             const World& here,
             std::uint32_t mtu = 1500) {
    Replayed all;
    all.totals = replay(control, here.next_hops, mtu, in, out, [&](const ReplayFrame& one) {
        all.told.push_back(
            {one.number, one.outcome, one.vip, one.pool, one.backend, std::string(one.call_id)});
    });
    return all;
}

/// The world as it is, whatever the time.
ReplayControl still(const World& here) {
    return [&here](std::chrono::nanoseconds) {
        return ReplayMoment{here.snapshot, here.calls, CallTime(1)};
    };
}

Replayed run(const std::string& in,
             const std::string& out,
             const World& here = world(),
             std::uint32_t mtu = 1500) {
    return run(still(here), in, out, here, mtu);
}

/// The one line replay() refuses with; fails when it does not.
std::string error_of(const std::string& in, const std::string& out) {
    try {
        run(in, out);
    } catch (const Error& error) {
        EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos);
        return error.what();
    }
    ADD_FAILURE() << "replay took " << in;
    return {};
}

void expect_conserved(const ReplayTotals& totals, std::size_t frames, const std::string& out) {
    EXPECT_EQ(totals.received, frames);
    EXPECT_EQ(std::accumulate(totals.outcomes.begin(), totals.outcomes.end(), std::uint64_t{0}),
              frames);
    EXPECT_EQ(totals.sent,
              totals.outcomes[index(Outcome::Forwarded)] +
                  totals.outcomes[index(Outcome::Returned)]);
    EXPECT_EQ(read_capture(out).size(), totals.sent);
}

FrameBuilder to_vip(const std::string& call_id = "a@b") {
    return frame().ipv4(kClient, kDsrVip).udp(40'000, 5060).sip(invite().call_id(call_id));
}
FrameBuilder from_n1() {
    return frame()
        .ipv4("203.0.113.21", kClient)
        .udp(kNatUdpPort, 40'000)
        .sip(response(200, "OK").call_id("n@1"));
}
std::vector<Captured> captured(const std::vector<FrameBuilder>& frames) {
    std::vector<Captured> all;
    for (const FrameBuilder& one : frames)
        all.push_back({kStart + static_cast<std::int64_t>(all.size()) * 20'000'000, one.build()});
    return all;
}
std::string port_mac(std::size_t port) {
    return "02:00:00:00:fe:0" + std::to_string(port);
}

class Replay : public ::testing::Test {
protected:
    TemporaryFolder folder_;
    std::string in_ = folder_ / "in.pcap";
    std::string out_ = folder_ / "out.pcap";
};

TEST_F(Replay, WritesWhatWouldBeSentInOrderWithItsTimeStamps) {
    World here = world();
    here.deal_slots(kProxies, {kB3});
    const auto in = captured({to_vip("1@x"), frame().ether_type(0x0806), from_n1(), to_vip("2@x")});
    write_pcap(in_, in);
    const Replayed all = run(in_, out_, here);
    expect_conserved(all.totals, 4, out_);

    const auto out = read_capture(out_);
    ASSERT_EQ(out.size(), 3U);
    const auto at_b3 = [](const std::string& call_id) {
        return to_vip(call_id).macs(port_mac(0), "02:00:00:00:01:03").build();
    };
    EXPECT_EQ(out[0], (Captured{in[0].nanoseconds, at_b3("1@x")}));
    EXPECT_EQ(out[1].nanoseconds, in[2].nanoseconds);
    EXPECT_EQ(out[1].bytes,
              frame()
                  .macs(port_mac(0), kGatewayMac)
                  .ipv4(kNatVip, kClient)
                  .ttl(63)
                  .udp(5060, 40'000)
                  .sip(response(200, "OK").call_id("n@1"))
                  .build());
    EXPECT_EQ(out[2], (Captured{in[3].nanoseconds, at_b3("2@x")}));
}

TEST_F(Replay, TellsOfEveryFrameInOrder) {
    World here = world();
    here.deal_slots(kProxies, {kB1});
    here.snapshot.vips[index(kNattedVip)].enabled = false;
    write_pcap(in_,
               captured({to_vip("1@x"),
                         frame().ether_type(0x86dd),
                         from_n1(),
                         to_vip().ipv4(kClient, kNatVip).sip(bye().call_id("off@x")),
                         to_vip().payload("\r\n"),
                         to_vip()
                             .ipv4("203.0.113.21", kNatVip)
                             .udp(kNatUdpPort, 5060)
                             .sip(bye().call_id("a@b"))}));
    const std::vector<Told> expected{
        {1, Outcome::Forwarded, kSipVip, kProxies, kB1, "1@x"},
        {2, Outcome::Punted, std::nullopt, std::nullopt, std::nullopt, ""},
        {3, Outcome::Returned, kNattedVip, kInside, kN1, "n@1"},
        {4, Outcome::VipDisabled, kNattedVip, kInside, std::nullopt, "off@x"},
        {5, Outcome::KeepAlive, kSipVip, kProxies, std::nullopt, ""},
        {6, Outcome::VipDisabled, kNattedVip, kInside, kN1, "a@b"}};
    EXPECT_EQ(run(in_, out_, here).told, expected);
}

TEST_F(Replay, TellsTheCallIdOfEveryMessageThatHasAReadableOne) {
    World here = world();
    here.deal_slots(kProxies, {kB1});
    here.deal_slots(kInside, {kN1});
    here.snapshot.vips[index(kNattedVip)].read_rules = {Want::Nothing, true, 16};
    const auto two = invite().call_id("first@x").line("i: second@x");
    auto many = invite().call_id("early@x");
    for (int line = 0; line < 300; ++line)
        many.line("X: x");
    write_pcap(in_,
               captured({to_vip().sip(two),
                         to_vip().sip(many),
                         to_vip().sip(invite().first_line("GET / HTTP/1.1").call_id("http@x")),
                         to_vip().sip(two).ipv4(kClient, kNatVip),
                         from_n1().sip(two),
                         to_vip()
                             .sip(bye().call_id("first@x").line("i: second@x"))
                             .ipv4("203.0.113.21", kNatVip)
                             .udp(kNatUdpPort, 5060)}));
    const auto told = run(in_, out_, here).told;
    ASSERT_EQ(told.size(), 6U);
    const auto expect = [&](std::size_t at, Outcome outcome, const std::string& call_id) {
        EXPECT_EQ(name_of(told[at].outcome), name_of(outcome)) << at;
        EXPECT_EQ(told[at].call_id, call_id) << at;
    };
    expect(0, Outcome::AmbiguousCallId, "first@x");
    expect(1, Outcome::TooManyHeaderLines, "early@x");
    expect(2, Outcome::Forwarded, "http@x"); // what its first line is worth the backend knows
    expect(3, Outcome::Forwarded, "first@x");
    expect(4, Outcome::Returned, "first@x");
    expect(5, Outcome::Rejected, "first@x");
}

TEST_F(Replay, TakesAnyDestinationMac) {
    write_pcap(in_,
               captured({to_vip().macs(kClientMac, "02:00:00:00:00:77"),
                         to_vip().macs(kClientMac, "ff:ff:ff:ff:ff:ff"),
                         to_vip().macs(port_mac(0), "00:00:00:00:00:00")}));
    EXPECT_EQ(run(in_, out_).totals.outcomes[index(Outcome::Forwarded)], 3U);
}

TEST_F(Replay, LeavesByThePortOfTheNextHop) {
    World here = world();
    for (NextHop& hop : here.next_hops.hops)
        hop.link = LinkId{5};
    write_pcap(in_, captured({to_vip()}));
    run(in_, out_, here);
    EXPECT_EQ(header_at<EtherHeader>(read_capture(out_).at(0).bytes, 0).source, mac(port_mac(5)));
    EXPECT_EQ(replay_port_mac(PortId{5}), mac(port_mac(5)));
}

TEST_F(Replay, ConservesWhateverTheCaptureHolds) {
    std::mt19937 random(99);
    for (const std::size_t count : {1U, 31U, 32U, 33U, 64U, 1000U}) {
        std::vector<Captured> frames;
        for (std::size_t i = 0; i < count; ++i) {
            Bytes bytes = to_vip(std::to_string(i)).build();
            if (i % 3 == 1) bytes.resize(random() % bytes.size());
            if (i % 3 == 2)
                for (auto change = random() % 9; change > 0; --change)
                    bytes[random() % bytes.size()] = static_cast<std::byte>(random());
            frames.push_back({kStart + static_cast<std::int64_t>(i) * kSecond, bytes});
        }
        write_pcap(in_, frames);
        const Replayed all = run(in_, out_);
        expect_conserved(all.totals, count, out_);
        ASSERT_EQ(all.told.size(), count);
        std::array<std::uint64_t, kOutcomeCount> told{};
        for (std::size_t i = 0; i < count; ++i) {
            EXPECT_EQ(all.told[i].number, i + 1);
            ++told[index(all.told[i].outcome)];
        }
        EXPECT_EQ(told, all.totals.outcomes);
    }
}

TEST_F(Replay, NeedsNobodyToTell) {
    write_pcap(in_, captured({to_vip()}));
    const World here = world();
    EXPECT_EQ(replay(still(here), here.next_hops, 1500, in_, out_, nullptr).sent, 1U);
}

/// A pool that deals out in turn, and remembers what it dealt.
void deal_in_turn(World& here) {
    auto picker = std::make_shared<Picker>();
    picker->by = SteerBy::RoundRobin;
    picker->members = {{kB1, 1}, {kB2, 1}, {kB3, 1}};
    picker->sequence = {0, 1, 2};
    picker->turn = std::make_shared<std::atomic<std::uint64_t>>(0);
    picker->loads = std::make_shared<BackendLoads>();
    Pool& pool = here.snapshot.pools[index(kProxies)];
    pool.picker = std::move(picker);
    pool.marks = std::make_shared<SlotMarks>();
    pool.tracking = Tracking::AllCalls;
    pool.lifetimes = {100, 0, 20, 4, 0};
    here.snapshot.vips[index(kSipVip)].read_rules.want = kWantForCalls;
    here.give_call_table();
}

TEST_F(Replay, RemembersWhatTheCaptureBegan) {
    World here = world();
    deal_in_turn(here);
    std::vector<FrameBuilder> frames;
    for (const char* call : {"1@x", "2@x", "3@x", "4@x"})
        frames.push_back(to_vip(call));
    for (const char* call : {"4@x", "2@x", "1@x", "3@x"})
        frames.push_back(to_vip().sip(bye().call_id(call)));
    write_pcap(in_, captured(frames));
    std::vector<std::optional<BackendId>> backends;
    for (const Told& one : run(in_, out_, here).told)
        backends.push_back(one.backend);
    EXPECT_EQ(backends,
              (std::vector<std::optional<BackendId>>{kB1, kB2, kB3, kB1, kB1, kB2, kB1, kB3}));
}

TEST_F(Replay, DecidesAsAWorkerDoesWhateverComes) {
    std::mt19937 random(7);
    std::vector<FrameBuilder> frames;
    const auto one_of = [&](auto&&... those) {
        const std::array all{std::string(those)...};
        return all[random() % all.size()];
    };
    for (int i = 0; i < 2000; ++i) {
        const std::string method =
            one_of("INVITE", "ACK", "BYE", "REGISTER", "OPTIONS", "SUBSCRIBE", "NOTIFY", "CANCEL");
        MessageBuilder message = request(method).call_id(std::to_string(random() % 300) + "@x");
        message.via("SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK" + std::to_string(random() % 900));
        if (random() % 2 == 0) message.to_tag(one_of("a", "b"));
        if (method == "INVITE" && random() % 4 == 0)
            message.line("Replaces: " + std::to_string(random() % 300) +
                         "@x;to-tag=a;from-tag=1928301774");
        if (method == "REGISTER") message.line("Expires: " + one_of("0", "60", "3600"));
        frames.push_back(to_vip().sip(message));
        if (random() % 5 == 0) frames.back().ipv4(kClient, kNatVip);
        if (random() % 9 == 0) frames.push_back(from_n1().sip(message));
    }
    write_pcap(in_, captured(frames));
    World here = world();
    deal_in_turn(here);
    here.snapshot.calls_a_second = 20;
    const Replayed replayed = run(in_, out_, here);

    World live = world();
    deal_in_turn(live);
    live.snapshot.calls_a_second = 20;
    RateLimit limit;
    std::int64_t at = kStart;
    for (LinkView& link : live.links)
        link.any_destination = true;
    const auto burst = std::make_unique<Burst>();
    for (std::size_t i = 0; i < frames.size(); ++i, at += 20'000'000) {
        Bytes bytes = frames[i].build();
        set_frame(*burst, 0, bytes.data(), static_cast<std::uint32_t>(bytes.size()), PortId{0});
        burst->count = 1;
        std::uint32_t budget = limit.take(1, 20, static_cast<std::uint64_t>(at), kSecond);
        PipelineView view = live.view();
        view.budget = &budget;
        run_pipeline(view, *burst);
        if (budget > 0) limit.give_back(budget, 20, kSecond);
        ASSERT_EQ(replayed.told[i].backend, burst->frames[0].backend()) << i;
        const Outcome outcome =
            burst->live_count > 0 ? sent_outcome(burst->frames[0]) : burst->outcomes[0];
        ASSERT_EQ(replayed.told[i].outcome, outcome) << i;
    }
}

TEST_F(Replay, TellsTheTimeOfTheCaptureWhichNeverGoesBack) {
    const World here = world();
    const std::vector<std::int64_t> stamps{
        kStart, kStart + kSecond, kStart + kSecond / 2, 0, kStart + 3 * kSecond};
    std::vector<Captured> frames;
    for (const std::int64_t stamp : stamps)
        frames.push_back({stamp, to_vip().build()});
    for (const int precision : {PCAP_TSTAMP_PRECISION_MICRO, PCAP_TSTAMP_PRECISION_NANO}) {
        write_pcap(in_, frames, precision);
        std::vector<std::int64_t> told;
        run(
            [&](std::chrono::nanoseconds at) {
                told.push_back(at.count());
                return still(here)(at);
            },
            in_,
            out_,
            here);
        EXPECT_EQ(told,
                  (std::vector<std::int64_t>{kStart,
                                             kStart + kSecond,
                                             kStart + kSecond,
                                             kStart + kSecond,
                                             kStart + 3 * kSecond}));
        EXPECT_EQ(read_capture(out_)[3].nanoseconds, 0) << "what is sent keeps its own stamp";
    }
}

TEST_F(Replay, CountsFramesThatTheCaptureCut) {
    write_pcap(in_, captured({to_vip("1@x"), to_vip("2@x"), to_vip("3@x")}));
    EXPECT_EQ(run(in_, out_).totals.cut, 0U);
    Bytes bytes = read_file(in_);
    constexpr std::size_t kFileHeader = 24;
    constexpr std::size_t kWireLength = kFileHeader + 12; // of the first frame
    bytes[kWireLength + 1] = std::byte{0x7f};
    write_file(in_, bytes);
    EXPECT_EQ(run(in_, out_).totals.cut, 1U);
}

TEST_F(Replay, DecidesAlikeEveryTime) {
    std::vector<FrameBuilder> frames;
    for (int i = 0; i < 100; ++i)
        frames.push_back(to_vip(std::to_string(i)));
    write_pcap(in_, captured(frames));
    const Replayed first = run(in_, out_);
    const Bytes written = read_file(out_);
    const Replayed again = run(in_, out_);
    EXPECT_EQ(first.told, again.told);
    EXPECT_EQ(written, read_file(out_));
}

TEST_F(Replay, KeepsMicrosecondsAndNanosecondsOfTheInput) {
    const std::vector<Captured> in{{kStart + 123'456'000, to_vip("1").build()},
                                   {kStart + kSecond + 999'999'999, to_vip("2").build()}};
    write_pcap(in_, in);
    run(in_, out_);
    EXPECT_EQ(read_capture(out_)[0].nanoseconds, kStart + 123'456'000);
    EXPECT_EQ(read_file(out_)[0], std::byte{0xd4}) << "a microsecond file stays one";

    write_pcap(in_, in, PCAP_TSTAMP_PRECISION_NANO);
    run(in_, out_);
    EXPECT_EQ(read_capture(out_)[0].nanoseconds, in[0].nanoseconds);
    EXPECT_EQ(read_capture(out_)[1].nanoseconds, in[1].nanoseconds);
}

TEST_F(Replay, ReadsPcapng) {
    const std::vector<Captured> in{{kStart + 7, to_vip("1").build()},
                                   {kStart + 8, Bytes(5)},
                                   {kStart + 999'999'999, to_vip("22").build()}};
    write_pcapng(in_, in);
    expect_conserved(run(in_, out_).totals, 3, out_);
    const auto out = read_capture(out_);
    ASSERT_EQ(out.size(), 2U);
    EXPECT_EQ(out[0].nanoseconds, in[0].nanoseconds);
    EXPECT_EQ(out[1].nanoseconds, in[2].nanoseconds);
}

TEST_F(Replay, SendsTheLongestDatagramWhereTheMtuAllows) {
    const auto longest = to_vip().sip(invite().body(std::string(65'000, 'x')));
    const std::size_t rest = 65'549 - longest.build().size();
    const auto whole = to_vip().sip(invite().body(std::string(65'000 + rest, 'x')));
    ASSERT_EQ(whole.build().size(), 65'549U); // 14 + 65,535
    write_pcap(in_, captured({whole, to_vip()}));

    EXPECT_EQ(run(in_, out_).told[0].outcome, Outcome::TooBig);
    EXPECT_EQ(run(in_, out_, world(), 65'534).told[0].outcome, Outcome::TooBig);
    EXPECT_EQ(run(in_, out_, world(), 65'535).told[0].outcome, Outcome::Forwarded);
    EXPECT_EQ(read_capture(out_).at(0).bytes.size(), 65'549U);
    EXPECT_EQ(read_capture(out_).size(), 2U);
}

TEST_F(Replay, TakesFramesOfAnyCapturedLength) {
    auto huge = to_vip();
    huge.trailer(262'144 - huge.build().size());
    write_pcap(in_, {{kStart, huge.build()}, {kStart, {}}, {kStart, to_vip().build()}});
    const Replayed all = run(in_, out_);
    expect_conserved(all.totals, 3, out_);
    EXPECT_EQ(all.told[0].outcome, Outcome::TooBig);
    EXPECT_EQ(all.told[1].outcome, Outcome::BadFrame);
}

TEST_F(Replay, MakesAnEmptyCaptureOfAnEmptyOne) {
    write_pcap(in_, {});
    expect_conserved(run(in_, out_).totals, 0, out_);
}

TEST_F(Replay, NamesWhatItCannotRead) {
    write_file(folder_ / "text", bytes_of("this is no capture at all\n"));
    write_file(folder_ / "empty", {});
    for (const std::string name : {"missing", "text", "empty", "."}) {
        const std::string text = error_of(folder_ / name, out_);
        EXPECT_NE(text.find(folder_ / name), std::string::npos) << text;
    }
    EXPECT_EQ(folder_.names(), (std::vector<std::string>{"empty", "text"}));
}

TEST_F(Replay, NamesALinkTypeThatIsNotEthernet) {
    write_pcap(in_, {}, PCAP_TSTAMP_PRECISION_MICRO, DLT_LINUX_SLL);
    const std::string text = error_of(in_, out_);
    EXPECT_NE(text.find(in_), std::string::npos) << text;
    EXPECT_NE(text.find("LINUX_SLL"), std::string::npos) << text;
    EXPECT_EQ(folder_.names(), std::vector<std::string>{"in.pcap"});
}

TEST_F(Replay, LeavesNothingOfATruncatedCapture) {
    std::vector<FrameBuilder> frames(40, to_vip());
    for (const bool pcapng : {false, true}) {
        if (pcapng)
            write_pcapng(in_, captured(frames));
        else
            write_pcap(in_, captured(frames));
        Bytes bytes = read_file(in_);
        for (const std::size_t cut : {1U, 9U, 100U}) {
            bytes.resize(bytes.size() - cut);
            write_file(in_, bytes);
            const std::string text = error_of(in_, out_);
            EXPECT_NE(text.find(in_), std::string::npos) << text;
            EXPECT_NE(text.find("truncated"), std::string::npos) << text;
            EXPECT_EQ(folder_.names(), std::vector<std::string>{"in.pcap"});
        }
    }
    write_file(out_, bytes_of("earlier"));
    error_of(in_, out_);
    EXPECT_EQ(read_file(out_), bytes_of("earlier")); // a failed run leaves the last good result
}

TEST_F(Replay, NamesWhatItCannotWrite) {
    write_pcap(in_, captured({to_vip()}));
    for (const std::string& out : {folder_ / "no/such/folder.pcap", folder_ / "."}) {
        const std::string text = error_of(in_, out);
        EXPECT_NE(text.find(out), std::string::npos) << text;
    }
    EXPECT_EQ(folder_.names(), std::vector<std::string>{"in.pcap"});
}

TEST_F(Replay, LeavesNothingWhenTheOutputDoesNotFit) {
    write_pcap(in_, captured(std::vector<FrameBuilder>(100, to_vip())));
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
    const auto action = std::signal(SIGXFSZ, SIG_IGN); // then write() fails, as on a full disk
    const rlimit small{4096, before.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
    const std::string text = error_of(in_, out_);
    ::setrlimit(RLIMIT_FSIZE, &before);
    std::signal(SIGXFSZ, action);
    EXPECT_NE(text.find(out_), std::string::npos) << text;
    EXPECT_EQ(folder_.names(), std::vector<std::string>{"in.pcap"});
}

TEST_F(Replay, ReplacesTheOutputAlsoWhenItIsTheInput) {
    write_file(out_, Bytes(100'000));
    write_pcap(in_, captured({to_vip(), to_vip()}));
    expect_conserved(run(in_, out_).totals, 2, out_);
    expect_conserved(run(in_, in_).totals, 2, in_);
    EXPECT_EQ(read_file(in_), read_file(out_));

    ASSERT_EQ(::symlink("in.pcap", (folder_ / "link").c_str()), 0);
    expect_conserved(run(in_, folder_ / "link").totals, 2, in_);
    EXPECT_EQ(folder_.names(), (std::vector<std::string>{"in.pcap", "link", "out.pcap"}));
}

TEST_F(Replay, WritesThroughAPipeInsteadOfReplacingIt) {
    write_pcap(in_, captured({to_vip()}));
    const std::string pipe = folder_ / "pipe";
    ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
    const int reader = ::open(pipe.c_str(), O_RDONLY | O_NONBLOCK);
    run(in_, out_);
    run(in_, pipe);
    Bytes bytes(4096);
    const ssize_t got = ::read(reader, bytes.data(), bytes.size());
    ::close(reader);
    ASSERT_GT(got, 0);
    bytes.resize(static_cast<std::size_t>(got));
    EXPECT_EQ(bytes, read_file(out_));
    struct stat now {};
    EXPECT_TRUE(::stat(pipe.c_str(), &now) == 0 && S_ISFIFO(now.st_mode));
}

} // namespace
} // namespace viaduct::test
