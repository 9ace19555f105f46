// SPDX-License-Identifier: Apache-2.0
//
// The real viaductctl against a real control socket: exit status, standard output, standard error.
#include "local_client.hpp"

#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <sys/wait.h>

namespace viaduct::test {
namespace {

struct Finished {
    int exit_status = -1;
    std::string out;
    std::string err;
};

std::string read_and_remove(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::string text{std::istreambuf_iterator<char>(file), {}};
    unlink(path.c_str());
    return text;
}

/// Runs viaductctl with `input` as its standard input while the desk serves.
Finished
run(ServedDesk& served, std::vector<std::string> arguments, const std::string& input = "") {
    const std::string base = served.folder.path();
    std::ofstream(base + "/in", std::ios::binary) << input;
    const pid_t child = fork();
    if (child == 0) {
        if (freopen((base + "/in").c_str(), "r", stdin) == nullptr ||
            freopen((base + "/out").c_str(), "w", stdout) == nullptr ||
            freopen((base + "/err").c_str(), "w", stderr) == nullptr)
            _exit(99);
        std::string program = VIADUCTCTL;
        std::vector<char*> argv{program.data()};
        for (std::string& argument : arguments)
            argv.push_back(argument.data());
        argv.push_back(nullptr);
        execv(VIADUCTCTL, argv.data());
        _exit(98);
    }
    int status = 0;
    EXPECT_TRUE(served.run_until([&] { return waitpid(child, &status, WNOHANG) == child; }));
    unlink((base + "/in").c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1,
            read_and_remove(base + "/out"),
            read_and_remove(base + "/err")};
}

Finished ask(ServedDesk& served, std::vector<std::string> words, const std::string& input = "") {
    words.insert(words.begin(), {"--socket", served.folder.socket()});
    return run(served, words, input);
}

TEST(Ctl, PrintsTheAnswerWithoutItsOkLine) {
    ServedDesk served;
    const Finished result = ask(served, {"show", "backends"});
    EXPECT_EQ(result.exit_status, 0);
    EXPECT_EQ(result.out + "OK\n", served.desk.ask("show backends"));
    EXPECT_EQ(result.err, "");
}

TEST(Ctl, PrintsOneObjectWithJson) {
    ServedDesk served;
    for (const std::vector<std::string>& words :
         {std::vector<std::string>{"--json", "show", "pools"}, {"show", "pools", "--json"}}) {
        const Finished result = ask(served, words);
        EXPECT_EQ(result.exit_status, 0);
        EXPECT_EQ(nlohmann::ordered_json::parse(result.out), served.desk.ask_json("show pools"));
    }
}

TEST(Ctl, GivesTheReasonOnStandardErrorAndExitsWithOne) {
    ServedDesk served;
    const Finished result = ask(served, {"drain", "proxies", "b9"});
    EXPECT_EQ(result.exit_status, 1);
    EXPECT_EQ(result.out, "");
    EXPECT_EQ(result.err,
              "viaductctl: unknown backend \"b9\" in pool \"proxies\"; backends: b1, b2, b3\n");
    for (const std::vector<std::string>& words : {std::vector<std::string>{"--socket"},
                                                  {"--frobnicate"},
                                                  {},
                                                  {"drain", "a\nshutdown", "b"}}) {
        const Finished bad = words.size() == 1 ? run(served, words) : ask(served, words);
        EXPECT_EQ(bad.exit_status, 1);
        EXPECT_EQ(bad.out, "");
        EXPECT_TRUE(bad.err.starts_with("viaductctl: ")) << bad.err;
    }
}

TEST(Ctl, SaysWhereItLookedWhenNobodyAnswers) {
    ServedDesk served;
    const Finished result =
        run(served, {"--socket", served.folder.path() + "/none", "show", "pools"});
    EXPECT_EQ(result.exit_status, 1);
    EXPECT_EQ(result.err,
              "viaductctl: cannot reach viaductd at " + served.folder.path() +
                  "/none: No such file or directory; is it running? see --socket\n");
}

TEST(Ctl, ExplainsACallIdOfAnyShape) {
    ServedDesk served;
    for (const std::string call_id :
         {"a@192.0.2.1", "-h@x", "[a,b]", "{}", "%%", "--json2", "\"q\""}) {
        const Finished result = ask(served, {"--json", "explain", "sip", call_id});
        ASSERT_EQ(result.exit_status, 0) << result.err;
        EXPECT_EQ(nlohmann::ordered_json::parse(result.out)["call_id"], call_id);
    }
}

TEST(Ctl, ExplainsAMessageOnStandardInput) {
    ServedDesk served;
    for (std::size_t padding = 0; padding < 3; ++padding) {
        const std::string message = "OPTIONS sip:x SIP/2.0\r\nCall-ID: \xfe"
                                    "call\r\n\r\n" +
                                    std::string(padding, '\0');
        const Finished result = ask(served, {"--json", "explain", "sip"}, message);
        ASSERT_EQ(result.exit_status, 0) << result.err;
        const auto object = nlohmann::ordered_json::parse(result.out);
        EXPECT_EQ(object["call_id"],
                  "\xc3\xbe"
                  "call");
        EXPECT_EQ(object["backend"],
                  served.desk.ask_json("explain sip \xfe"
                                       "call")["backend"]);
    }
}

TEST(Ctl, TakesTheLongestMessageThatUdpCanCarryAndNoLonger) {
    ServedDesk served;
    std::string message = "OPTIONS sip:x SIP/2.0\r\nCall-ID: long\r\n\r\n";
    message.resize(65'535, 'b');
    EXPECT_EQ(ask(served, {"explain", "sip"}, message).exit_status, 0);
    EXPECT_EQ(ask(served, {"explain", "sip"}, message + "b").exit_status, 1);
    EXPECT_EQ(ask(served, {"explain", "sip"}, "").exit_status, 1);
}

TEST(Ctl, HelpsAndNamesItsVersion) {
    ServedDesk served;
    const Finished help = run(served, {"--help"});
    EXPECT_EQ(help.exit_status, 0);
    EXPECT_TRUE(help.out.starts_with("Usage: viaductctl"));
    const Finished version = run(served, {"--version"});
    EXPECT_EQ(version.exit_status, 0);
    EXPECT_EQ(version.out, "viaductctl " VIADUCT_VERSION "\n");
}

} // namespace
} // namespace viaduct::test
