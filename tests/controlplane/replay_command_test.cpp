// SPDX-License-Identifier: Apache-2.0
//
// The real viaductd where it needs no network: replay, --check and --reference. Exit status,
// standard output, standard error and the capture written.
#include "capture.hpp"

#include <fstream>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
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
