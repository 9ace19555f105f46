// SPDX-License-Identifier: Apache-2.0
//
// The real viaductd where it needs no network: replay, --check and --reference. Exit status,
// standard output, standard error and the capture written.
#include "capture.hpp"

#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <set>
#include <sys/stat.h>
#include <sys/wait.h>

namespace viaduct::test {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kConfig = R"([[port]]
name = "p0"
device = "net_af_packet0,iface=lb0"
addresses = ["198.51.100.2/24", "203.0.113.2/24"]
gateway = "198.51.100.1"

[[vip]]
name = "sip"
address = "198.51.100.10"
pool = "proxies"

[[vip]]
name = "core"
address = "198.51.100.11"
pool = "inside"

[[pool]]
name = "proxies"
[[pool.backend]]
name = "b1"
address = "198.51.100.21"

[[pool]]
name = "inside"
mode = "nat"
[[pool.backend]]
name = "n1"
address = "203.0.113.21"
)";

struct Finished {
    int exit_status = -1;
    std::string out;
    std::string err;
};

std::string text_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

class ReplayCommand : public ::testing::Test {
protected:
    ReplayCommand() { std::ofstream(config_) << kConfig; }

    Finished run(std::vector<std::string> arguments) {
        const std::string out = folder_ / "stdout";
        const std::string err = folder_ / "stderr";
        const pid_t child = fork();
        if (child == 0) {
            if (freopen(out.c_str(), "w", stdout) == nullptr ||
                freopen(err.c_str(), "w", stderr) == nullptr)
                _exit(99);
            arguments.insert(arguments.begin(), VIADUCTD);
            std::vector<char*> argv;
            for (std::string& argument : arguments)
                argv.push_back(argument.data());
            argv.push_back(nullptr);
            execv(VIADUCTD, argv.data());
            _exit(98);
        }
        int status = 0;
        EXPECT_EQ(waitpid(child, &status, 0), child);
        return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, text_of(out), text_of(err)};
    }
    Finished replay(const std::vector<std::string>& more) {
        std::vector<std::string> arguments{
            "replay", "--config", config_, "--in", in_, "--out", out_};
        arguments.insert(arguments.end(), more.begin(), more.end());
        return run(arguments);
    }
    /// The one object on standard output, which is one line.
    Json replayed(const std::vector<std::string>& more) {
        const Finished result = replay(more);
        EXPECT_EQ(result.exit_status, 0) << result.err;
        EXPECT_EQ(result.err, "");
        EXPECT_EQ(result.out.find('\n'), result.out.size() - 1);
        return Json::parse(result.out);
    }
    void write(const std::vector<FrameBuilder>& frames) {
        std::vector<Captured> all;
        for (const FrameBuilder& one : frames)
            all.push_back({1'700'000'000'000'000'000 + std::ssize(all) * 1'000'000, one.build()});
        write_pcap(in_, all);
    }
    [[nodiscard]] static bool exists(const std::string& path) {
        struct stat status {};
        return ::stat(path.c_str(), &status) == 0;
    }

    TemporaryFolder folder_;
    std::string config_ = folder_ / "lb.toml";
    std::string in_ = folder_ / "in.pcap";
    std::string out_ = folder_ / "out.pcap";
};

FrameBuilder to_vip(const MessageBuilder& message) {
    return frame().ipv4("192.0.2.9", "198.51.100.10").udp(5060, 5060).sip(message);
}
/// One of each kind: forwarded, punted, no Call-ID, an answer of a nat backend, noise.
std::vector<FrameBuilder> one_of_each() {
    return {to_vip(invite().call_id("first@x")),
            frame().ether_type(0x0806),
            to_vip(invite().without("Call-ID")),
            frame()
                .ipv4("203.0.113.21", "192.0.2.9")
                .udp(5060, 5060)
                .sip(response(200, "OK").call_id("back@x")),
            to_vip(invite()).payload("\r\n")};
}

void expect_conserved(const Json& object, std::size_t frames, const std::string& out) {
    std::size_t sum = 0;
    for (const auto& [name, count] : object["outcomes"].items())
        sum += count.get<std::size_t>();
    EXPECT_EQ(object["received"], frames);
    EXPECT_EQ(sum, frames);
    EXPECT_EQ(object["sent"], read_capture(out).size());
}

TEST_F(ReplayCommand, CountsEveryFrameOnce) {
    write(one_of_each());
    const Json object = replayed({"--json"});
    expect_conserved(object, 5, out_);
    EXPECT_EQ(object["sent"], 2);
    for (const char* outcome : {"forwarded", "punted", "no_call_id", "returned", "keepalive"})
        EXPECT_EQ(object["outcomes"][outcome], 1) << outcome;
    EXPECT_FALSE(object.contains("frames"));

    const Finished table = replay({});
    EXPECT_EQ(table.exit_status, 0);
    EXPECT_NE(table.out.find("no_call_id"), std::string::npos);
    EXPECT_FALSE(Json::accept(table.out));
}

TEST_F(ReplayCommand, TellsOfEachFrameWithNullWhereNothingIs) {
    write(one_of_each());
    const Json object = replayed({"--json", "--frames"});
    expect_conserved(object, 5, out_);
    const auto entry =
        [](int n, const char* outcome, Json vip, Json pool, Json backend, Json call_id) {
            return Json{{"n", n},
                        {"outcome", outcome},
                        {"vip", std::move(vip)},
                        {"pool", std::move(pool)},
                        {"backend", std::move(backend)},
                        {"call_id", std::move(call_id)}};
        };
    const Json expected = Json::array({
        entry(1, "forwarded", "sip", "proxies", "b1", "first@x"),
        entry(2, "punted", nullptr, nullptr, nullptr, nullptr),
        entry(3, "no_call_id", "sip", "proxies", nullptr, nullptr),
        entry(4, "returned", "core", "inside", "n1", "back@x"), // the sender
        entry(5, "keepalive", "sip", "proxies", nullptr, nullptr),
    });
    EXPECT_EQ(object["frames"], expected);
}

TEST_F(ReplayCommand, TellsTheCallOfADroppedMessage) {
    std::string text = kConfig;
    text.insert(text.find("pool = \"proxies\""), "enabled = false\n");
    std::ofstream(config_) << text;
    write({to_vip(invite().call_id("off@x"))});
    const Json object = replayed({"--json", "--frames"});
    expect_conserved(object, 1, out_);
    EXPECT_EQ(object["sent"], 0);
    EXPECT_EQ(object["frames"][0]["outcome"], "vip_disabled");
    EXPECT_EQ(object["frames"][0]["call_id"], "off@x");
    EXPECT_EQ(object["frames"][0]["backend"], nullptr);
}

TEST_F(ReplayCommand, ReadsMessagesByTheRulesOfTheirVip) {
    const auto two = invite().call_id("first@x").line("i: second@x");
    write({to_vip(two)});
    const Json strict = replayed({"--json", "--frames"});
    EXPECT_EQ(strict["outcomes"]["ambiguous_call_id"], 1);
    EXPECT_EQ(strict["frames"][0]["call_id"], "first@x");
    EXPECT_EQ(strict["sent"], 0);

    std::string text = kConfig;
    text.insert(text.find("pool = \"proxies\""), "lenient = true\n");
    std::ofstream(config_) << text;
    const Json lenient = replayed({"--json", "--frames"});
    EXPECT_EQ(lenient["outcomes"]["forwarded"], 1);
    EXPECT_EQ(lenient["frames"][0]["call_id"], "first@x");
}

TEST_F(ReplayCommand, PrintsAByteThatIsNotUtf8AsItsNumber) {
    write({to_vip(invite().call_id("a\xff\"@x"))});
    const Finished result = replay({"--json", "--frames"});
    EXPECT_NE(result.out.find(R"("call_id":"a\u00ff\"@x")"), std::string::npos) << result.out;
    EXPECT_EQ(Json::parse(result.out)["frames"][0]["call_id"], "a\xc3\xbf\"@x");
}

TEST_F(ReplayCommand, TakesAnEmptyCapture) {
    write({});
    const Json object = replayed({"--json", "--frames"});
    expect_conserved(object, 0, out_);
    EXPECT_EQ(object["frames"], Json::array());
}

TEST_F(ReplayCommand, RefusesAWrongCaptureWithOneLineAndWritesNothing) {
    const auto refused = [this] {
        const Finished result = replay({"--json", "--frames"});
        EXPECT_EQ(result.exit_status, 1);
        EXPECT_EQ(result.out, "");
        EXPECT_EQ(result.err.find('\n'), result.err.size() - 1) << result.err;
        EXPECT_NE(result.err.find(in_), std::string::npos) << result.err;
        EXPECT_FALSE(exists(out_));
    };
    refused(); // there is none
    std::ofstream(in_) << "this is no capture, but text of some length";
    refused();
    write(one_of_each());
    ASSERT_EQ(::truncate(in_.c_str(), 300), 0);
    refused(); // it breaks off
}

TEST_F(ReplayCommand, FramesWithoutJsonAreRefused) {
    write(one_of_each());
    const Finished result = replay({"--frames"});
    EXPECT_EQ(result.exit_status, 1);
    EXPECT_EQ(result.err, "viaductd: --frames needs --json\n");
    EXPECT_FALSE(exists(out_));
}

// ---- memory: what a viaductd that begins with the capture would do

/// `pools` below one VIP; the pool that serves it is "proxies", of b1, b2 and b3, with these lines.
std::string three_backends(const std::string& lines, const std::string& mode = "dsr-l2") {
    std::string text = R"([[port]]
name = "p0"
device = "net_af_packet0,iface=lb0"
addresses = ["198.51.100.2/24"]
gateway = "198.51.100.1"
[[vip]]
name = "sip"
address = "198.51.100.10"
pool = "proxies"
[[pool]]
name = "proxies"
mode = ")" + mode + "\"\n" +
                       lines + "\n";
    for (const char* number : {"1", "2", "3"})
        text += std::string("[[pool.backend]]\nname = \"b") + number +
                "\"\naddress = \"198.51.100.2" + number + "\"\n";
    return text;
}

class ReplayMemory : public ReplayCommand {
protected:
    void use(const std::string& text) { std::ofstream(config_) << text; }
    /// One frame more, so many seconds behind the last.
    void add(const FrameBuilder& frame, double seconds = 0.02) {
        now_ += static_cast<std::int64_t>(seconds * 1e9);
        frames_.push_back({now_, frame.build()});
    }
    void add(const MessageBuilder& message, double seconds = 0.02) {
        add(to_vip(message), seconds);
    }
    /// Each frame's backend, or its outcome where there is none.
    std::vector<std::string> backends() {
        write_pcap(in_, frames_);
        const Json object = replayed({"--json", "--frames"});
        std::vector<std::string> all;
        for (const Json& one : object["frames"])
            all.push_back(one["backend"].is_null() ? one["outcome"] : one["backend"]);
        return all;
    }

private:
    std::int64_t now_ = 1'700'000'000'000'000'000;
    std::vector<Captured> frames_;
};

using Strings = std::vector<std::string>;

/// To a success: it has a branch of its own.
MessageBuilder ack(const char* call) {
    return request("ACK").call_id(call).to_tag("a6c85cf").via(
        "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKanother");
}

TEST_F(ReplayMemory, RoundRobinGoesOnFromCallToCallAndEachCallStays) {
    use(three_backends("steering = \"round-robin\""));
    for (const char* call : {"1@x", "2@x", "3@x", "4@x", "5@x"})
        add(invite().call_id(call));
    for (const char* call : {"5@x", "1@x", "4@x", "3@x", "2@x"})
        add(bye().call_id(call));
    add(invite().call_id("6@x"));
    EXPECT_EQ(backends(),
              (Strings{"b1", "b2", "b3", "b1", "b2", "b2", "b1", "b1", "b3", "b2", "b3"}));
}

TEST_F(ReplayMemory, LeastCallsKnowsWhoseCallHasEnded) {
    use(three_backends("steering = \"least-calls\""));
    for (const char* call : {"1@x", "2@x", "3@x"}) {
        add(invite().call_id(call));
        add(ack(call));
    }
    add(bye().call_id("2@x"));
    add(invite().call_id("4@x"));
    const Strings all = backends();
    EXPECT_EQ((std::set<std::string>{all[0], all[2], all[4]}.size()), 3U) << "one each";
    EXPECT_EQ(all[7], all[2]) << "where one has ended";
}

TEST_F(ReplayMemory, ACallOutlivesItsCaptureTimeNotMore) {
    std::string text = three_backends("steering = \"least-calls\"\ncall_lifetime = \"10m\"");
    for (std::size_t at = 0; (at = text.find("name = \"b", at)) != std::string::npos; ++at)
        text.insert(at, "max_calls = 1\n"), at += 14;
    use(text);
    for (const char* call : {"1@x", "2@x", "3@x"}) {
        add(invite().call_id(call));
        add(ack(call));
    }
    add(invite().call_id("4@x"), 590); // their BYEs were lost
    add(invite().call_id("5@x"), 20);
    add(invite().call_id("6@x"), 4'000'000); // so late that deadlines have wrapped around
    const Strings all = backends();
    EXPECT_EQ(all[6], "over_limit");
    EXPECT_NE(all[7], "over_limit");
    EXPECT_NE(all[8], "over_limit");
}

TEST_F(ReplayMemory, UsersAreCalledWhereTheyAreRegistered) {
    use(three_backends("key = \"aor\""));
    const auto to = [](int user) { return "<sip:user" + std::to_string(user) + "@example.org>"; };
    for (int user = 0; user < 40; ++user)
        add(request("REGISTER").call_id("r" + std::to_string(user)).to(to(user)));
    for (int user = 0; user < 40; ++user)
        add(invite().call_id("i" + std::to_string(user)).to(to(user)));
    for (int user = 0; user < 40; ++user) // its Call-ID is all that it has in common
        add(bye().call_id("i" + std::to_string(user)).from("<sip:x@y>;tag=1"));
    const Strings all = backends();
    for (std::size_t user = 0; user < 40; ++user) {
        EXPECT_EQ(all[40 + user], all[user]) << user;
        EXPECT_EQ(all[80 + user], all[user]) << user;
    }
    EXPECT_EQ(std::set<std::string>(all.begin(), all.end()).size(), 3U);
}

TEST_F(ReplayMemory, ACallThatNamesAnotherGoesWhereThatIs) {
    use(three_backends("steering = \"round-robin\""));
    for (const char* call : {"1@x", "2@x", "3@x"})
        add(invite().call_id(call));
    add(invite().call_id("4@x").line("Replaces: 2@x;to-tag=a;from-tag=b"));
    add(bye().call_id("4@x"));
    EXPECT_EQ(backends(), (Strings{"b1", "b2", "b3", "b2", "b2"}));
}

TEST_F(ReplayMemory, ABackendsOwnCallComesBackToIt) {
    use(three_backends("", "nat"));
    for (int call = 0; call < 30; ++call) {
        const std::string number = std::to_string(call);
        add(frame()
                .ipv4("198.51.100.2" + std::to_string(1 + call % 3), "192.0.2.9")
                .udp(5060, 5060)
                .sip(invite().call_id(number)));
        add(bye().call_id(number));
    }
    const Strings all = backends();
    for (std::size_t call = 0; call < 30; ++call) {
        EXPECT_EQ(all[2 * call], "b" + std::to_string(1 + call % 3));
        EXPECT_EQ(all[2 * call + 1], all[2 * call]) << call;
    }
}

TEST_F(ReplayMemory, AVipMovesWhenItsAnnouncementIsOver) {
    std::string text = three_backends("t_settle = \"32s\"") +
                       "[[pool]]\nname = \"next\"\n[[pool.backend]]\nname = \"c1\"\n"
                       "address = \"198.51.100.31\"\n";
    text.replace(
        text.find("pool = \"proxies\""), 16, "pool = \"next\"\nprevious_pool = \"proxies\"");
    use(text);
    add(invite().call_id("early@x"));
    add(invite().call_id("later@x"), 31);
    add(invite().call_id("moved@x"), 2);
    add(bye().call_id("early@x"));
    add(bye().call_id("moved@x"));
    add(bye().call_id("unknown@x"));
    const Strings all = backends();
    EXPECT_EQ(all[0].front(), 'b');
    EXPECT_EQ(all[1].front(), 'b');
    EXPECT_EQ(all[2], "c1");
    EXPECT_EQ(all[3], all[0]);
    EXPECT_EQ(all[4], "c1");
    EXPECT_EQ(all[5].front(), 'b') << "it began before";
}

TEST_F(ReplayMemory, SaysThatTheCaptureCutFrames) {
    use(three_backends(""));
    write({to_vip(invite())});
    std::fstream capture(in_, std::ios::in | std::ios::out | std::ios::binary);
    capture.seekp(24 + 12 + 1); // behind the file's header: the second byte of the length
    capture.put('\x7f');
    capture.close();
    const Finished result = replay({"--json"});
    EXPECT_EQ(result.exit_status, 0);
    EXPECT_EQ(Json::parse(result.out)["cut"], 1);
    EXPECT_EQ(result.err,
              "viaductd: 1 of 1 frames in " + in_ +
                  " were truncated by the capture, so calls that start in them are not known here; "
                  "capture whole frames (tcpdump -s 0)\n");
}

TEST_F(ReplayMemory, DoesNotRunOutOfTableInAConfigurationWithTheMostCalls) {
    use(three_backends("steering = \"round-robin\"") + "[steering]\ncalls = 100000000\n");
    add(invite().call_id("1@x"));
    add(invite().call_id("2@x"));
    add(bye().call_id("1@x"));
    EXPECT_EQ(backends(), (Strings{"b1", "b2", "b1"}));
}

TEST_F(ReplayCommand, CheckIsSilentAboutAGoodFile) {
    const Finished result = run({"--check", config_});
    EXPECT_EQ(result.exit_status, 0);
    EXPECT_EQ(result.out + result.err, "");
}

TEST_F(ReplayCommand, CheckNamesFileLineAndColumnOfEachMistake) {
    std::string text = kConfig;
    text.insert(0, "[dataplane]\nworkers = 0\n  colour = 1\n");
    std::ofstream(config_) << text;
    const Finished result = run({"--check", config_});
    EXPECT_EQ(result.exit_status, 1);
    EXPECT_EQ(result.out, "");
    const auto second = result.err.find('\n') + 1;
    EXPECT_TRUE(result.err.starts_with(config_ + ":2:11: ")) << result.err;
    EXPECT_EQ(result.err.find(config_ + ":3:3: "), second) << result.err;
    EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 2) << result.err;
}

TEST_F(ReplayCommand, ReferenceNamesSettingsVerbsAndOutcomes) {
    const Finished result = run({"--reference"});
    EXPECT_EQ(result.exit_status, 0);
    EXPECT_EQ(result.err, "");
    for (const char* word : {"translate_any_port", "explain", "no_call_id"})
        EXPECT_NE(result.out.find(word), std::string::npos) << word;
}

} // namespace
} // namespace viaduct::test
