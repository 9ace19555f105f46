// SPDX-License-Identifier: Apache-2.0
//
// The control socket under clients that are quick, slow, many, mad or strangers.
#include "local_client.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <list>
#include <sys/wait.h>

namespace viaduct::test {
namespace {

constexpr uid_t kStranger = 65'534;

std::size_t count_of(std::string_view text, std::string_view part) {
    std::size_t count = 0;
    for (std::size_t at = text.find(part); at != std::string_view::npos;
         at = text.find(part, at + 1))
        ++count;
    return count;
}

bool answers(ServedDesk& served, LocalClient& client) {
    const std::size_t before = client.heard().size();
    client.send("show version\n");
    return served.run_until([&] { return client.heard().size() > before; }) &&
           client.heard().ends_with("\nOK\n");
}

TEST(CliServer, AnswersRequestsOfOneConnectionInOrder) {
    ServedDesk served;
    LocalClient client(served.folder.socket());
    std::string requests;
    for (int i = 0; i < 100; ++i)
        requests +=
            "explain sip call-" + std::to_string(i) + "\n" + (i % 10 == 0 ? "nonsense\n" : "");
    ASSERT_EQ(client.send(requests), requests.size());
    ASSERT_TRUE(served.run_until([&] {
        return count_of(client.heard(), "\nOK\n") == 100 && count_of(client.heard(), "ERR ") == 10;
    }));
    std::size_t at = 0;
    for (int i = 0; i < 100; ++i) {
        at = client.heard().find("call-" + std::to_string(i) + "\n", at);
        ASSERT_NE(at, std::string::npos) << i;
    }
    EXPECT_FALSE(client.closed());
}

TEST(CliServer, AnswersAClientThatHasShutItsSideAndThenCloses) {
    ServedDesk served;
    LocalClient client(served.folder.socket());
    client.send("show pools\njson show pools\n");
    client.end();
    ASSERT_TRUE(served.run_until([&] { return client.closed(); }));
    EXPECT_EQ(count_of(client.heard(), "\nOK\n"), 2U);
}

TEST(CliServer, PutsTogetherALineThatComesInPieces) {
    ServedDesk served;
    LocalClient client(served.folder.socket());
    for (const char c : std::string_view("show pools\n")) {
        EXPECT_EQ(client.heard(), "");
        client.send({&c, 1});
        int turns = 0;
        EXPECT_TRUE(served.run_until([&] { return ++turns > 1; }));
    }
    EXPECT_TRUE(served.run_until([&] { return client.heard().ends_with("\nOK\n"); }));
}

TEST(CliServer, DoesNotRunHalfALine) {
    ServedDesk served;
    LocalClient client(served.folder.socket());
    client.send("drain proxies b1");
    client.end();
    ASSERT_TRUE(served.run_until([&] { return client.closed(); }));
    EXPECT_EQ(client.heard(), "ERR the request does not end with a line feed\n");
    EXPECT_EQ(served.desk.model.backend(BackendId{0}).admin, Admin::Enabled);
}

TEST(CliServer, RefusesAnEndlessLineAndStaysSmall) {
    ServedDesk served;
    LocalClient client(served.folder.socket());
    LocalClient other(served.folder.socket());
    const std::string piece(64 * 1024, 'x');
    std::size_t sent = 0;
    ASSERT_TRUE(served.run_until([&] {
        if (sent < 64 * 1024 * 1024 && !client.broken()) sent += client.send(piece);
        return client.closed();
    }));
    EXPECT_LT(sent, 4 * CliServer::kMaxLine) << "it stopped reading";
    EXPECT_EQ(client.heard(), "ERR the request is longer than 98304 bytes\n");
    EXPECT_TRUE(answers(served, other));
}

TEST(CliServer, TakesALineOfTheGreatestLengthAndNoByteMore) {
    for (const std::size_t extra : {0U, 1U}) {
        ServedDesk served;
        LocalClient client(served.folder.socket());
        std::string line = "explain sip ";
        line.resize(CliServer::kMaxLine + extra, 'c');
        line += '\n';
        std::size_t sent = 0;
        ASSERT_TRUE(served.run_until([&] {
            sent += client.send(std::string_view(line).substr(sent));
            return client.heard().ends_with("OK\n") || client.closed();
        }));
        EXPECT_EQ(client.heard().starts_with("ERR "), extra == 1);
    }
}

TEST(CliServer, AnswersGarbageWithErrors) {
    ServedDesk served;
    LocalClient client(served.folder.socket());
    std::string garbage;
    for (int i = 0; i < 2560; ++i)
        garbage += static_cast<char>(i * 31 % 256);
    const std::size_t lines = count_of(garbage, "\n");
    client.send(garbage + "\nshow version\n");
    client.end();
    ASSERT_TRUE(served.run_until([&] { return client.closed(); }));
    EXPECT_EQ(count_of(client.heard(), "ERR "), lines + 1);
    EXPECT_EQ(count_of(client.heard(), "OK\n"), 1U);
}

TEST(CliServer, ReadsNoMoreFromAClientThatTakesNoAnswers) {
    ServedDesk served;
    LocalClient mad(served.folder.socket());
    LocalClient sane(served.folder.socket());
    const std::string request = "json show backends\n";
    std::size_t requests = 0;
    std::size_t stuck = 0;
    ASSERT_TRUE(served.run_until([&] { // until nothing more goes in, many turns long
        const bool took = mad.send(request) != 0;
        requests += took ? 1 : 0;
        stuck = took ? 0 : stuck + 1;
        return stuck > 20;
    }));
    EXPECT_GT(requests, 10U);
    EXPECT_TRUE(answers(served, sane));

    served.server->close_idle(Clock::now() + CliServer::kUnreadLimit + std::chrono::seconds(1));
    ASSERT_TRUE(served.run_until([&] { return mad.closed(); }));
    EXPECT_LT(count_of(mad.heard(), "\nOK\n"), requests);
    EXPECT_FALSE(sane.closed());
    EXPECT_TRUE(answers(served, sane)) << "the quiet but sane one has its full minute";
}

TEST(CliServer, ClosesAClientThatAsksNothing) {
    ServedDesk served;
    LocalClient idle(served.folder.socket());
    LocalClient drip(served.folder.socket());
    drip.send("show ver");
    LocalClient probe(served.folder.socket());
    ASSERT_TRUE(answers(served, probe));
    served.server->close_idle(Clock::now() + CliServer::kIdleLimit - std::chrono::seconds(10));
    EXPECT_FALSE(idle.closed());
    drip.send("s"); // bytes that make no request buy no time
    ASSERT_TRUE(answers(served, probe));
    served.server->close_idle(Clock::now() + CliServer::kIdleLimit + std::chrono::seconds(1));
    EXPECT_TRUE(idle.closed());
    EXPECT_TRUE(drip.closed());
}

TEST(CliServer, SurvivesClientsThatVanishInTheMiddle) {
    ServedDesk served;
    for (int i = 0; i < 200; ++i) {
        LocalClient client(served.folder.socket());
        client.send(i % 2 == 0 ? "show backends\nshow pools\nshow" : "");
        int turns = 0;
        if (i % 3 == 0) {
            ASSERT_TRUE(served.run_until([&] { return ++turns > 0; }));
        }
    }
    LocalClient client(served.folder.socket());
    EXPECT_TRUE(answers(served, client));
}

TEST(CliServer, SaysTooManyClientsAndServesAgainWhenOneLeaves) {
    ServedDesk served;
    std::list<LocalClient> clients;
    for (std::size_t i = 0; i < CliServer::kMaxClients; ++i) {
        clients.emplace_back(served.folder.socket());
        ASSERT_TRUE(answers(served, clients.back())) << i;
    }
    LocalClient late(served.folder.socket());
    ASSERT_TRUE(served.run_until([&] { return late.closed(); }));
    EXPECT_EQ(late.heard(), "ERR too many clients\n");
    EXPECT_TRUE(answers(served, clients.front()));

    clients.pop_back();
    LocalClient next(served.folder.socket());
    EXPECT_TRUE(answers(served, next));
}

/// What a client under another user id hears when it says `line`; needs root.
std::string ask_as_stranger(ServedDesk& served, const std::string& line) {
    int ends[2];
    if (pipe(ends) != 0) return "no pipe";
    const pid_t child = fork();
    if (child == 0) {
        std::string heard;
        if (setgid(kStranger) == 0 && setuid(kStranger) == 0) {
            const int fd = connect_to(served.folder.socket());
            char buffer[4096];
            ssize_t got = send(fd, line.data(), line.size(), MSG_NOSIGNAL);
            shutdown(fd, SHUT_WR);
            while ((got = recv(fd, buffer, sizeof buffer, 0)) > 0)
                heard.append(buffer, static_cast<std::size_t>(got));
        }
        _exit(write(ends[1], heard.data(), heard.size()) < 0 ? 1 : 0);
    }
    close(ends[1]);
    int status = 0;
    EXPECT_TRUE(served.run_until([&] { return waitpid(child, &status, WNOHANG) == child; }));
    char buffer[4096];
    const ssize_t got = read(ends[0], buffer, sizeof buffer);
    close(ends[0]);
    return {buffer, static_cast<std::size_t>(std::max<ssize_t>(got, 0))};
}

TEST(CliServer, LetsAnotherUserLookButNotChange) {
    if (geteuid() != 0) GTEST_SKIP() << "becomes another user: needs root";
    ServedDesk served;
    EXPECT_TRUE(ask_as_stranger(served, "show version\n").ends_with("\nOK\n"));
    EXPECT_EQ(ask_as_stranger(served, "drain proxies b1\n"),
              "ERR only root and admins (daemon) may do this; you are uid 65534\n");
}

TEST(CliServer, KeepsPlacesThatStrangersCannotTake) {
    if (geteuid() != 0) GTEST_SKIP() << "becomes another user: needs root";
    ServedDesk served;
    std::list<LocalClient> clients;
    for (std::size_t i = 0; i < CliServer::kMaxClients - CliServer::kReservedClients; ++i) {
        clients.emplace_back(served.folder.socket());
        ASSERT_TRUE(answers(served, clients.back())) << i;
    }
    EXPECT_EQ(ask_as_stranger(served, "show version\n"), "ERR too many clients\n");
    LocalClient own(served.folder.socket());
    EXPECT_TRUE(answers(served, own));
}

TEST(CliServer, AnswersShutdownBeforeItStops) {
    ServedDesk served;
    LocalClient client(served.folder.socket());
    client.send("json shutdown\n");
    int turns = 0;
    EXPECT_FALSE(served.run_until([&] { return ++turns > 2000; })) << "the verb stops the loop";
    EXPECT_TRUE(client.heard().ends_with("OK\n"));
    served.server.reset();
    EXPECT_TRUE(client.heard().starts_with("{\"stopping\":true"));
    EXPECT_TRUE(client.closed());
}

TEST(CliServer, MakesItsFolderLetsEveryoneConnectAndRemovesTheSocket) {
    TemporaryFolder folder;
    const std::string inner = folder.path() + "/run";
    const mode_t mask = umask(0077);
    Loop loop;
    {
        CliServer server(inner + "/v.sock", loop);
        struct stat status {};
        ASSERT_EQ(stat(inner.c_str(), &status), 0);
        EXPECT_EQ(status.st_mode & 0777U, 0755U);
        ASSERT_EQ(stat((inner + "/v.sock").c_str(), &status), 0);
        EXPECT_EQ(status.st_mode & 0777U, 0666U);
    }
    umask(mask);
    EXPECT_EQ(access((inner + "/v.sock").c_str(), F_OK), -1);
    EXPECT_EQ(rmdir(inner.c_str()), 0);
}

std::string problem_with(const std::string& path) {
    Loop loop;
    try {
        CliServer server(path, loop);
    } catch (const Error& problem) {
        return problem.what();
    }
    return {};
}

TEST(CliServer, LeavesASocketToTheLivingProcessThatHoldsIt) {
    ServedDesk served;
    EXPECT_EQ(problem_with(served.folder.socket()),
              "socket " + served.folder.socket() + " is in use by a running process (pid " +
                  std::to_string(getpid()) + "); stop it or set control.socket");
    LocalClient client(served.folder.socket());
    EXPECT_TRUE(answers(served, client)) << "still there";
}

TEST(CliServer, ReplacesWhatADeadProcessLeft) {
    TemporaryFolder folder;
    Loop loop;
    auto first = std::make_unique<CliServer>(folder.socket(), loop);
    ASSERT_EQ(link(folder.socket().c_str(), (folder.path() + "/kept").c_str()), 0);
    first.reset();
    ASSERT_EQ(rename((folder.path() + "/kept").c_str(), folder.socket().c_str()), 0);
    EXPECT_EQ(connect_to(folder.socket()), -1) << "stale";
    EXPECT_EQ(problem_with(folder.socket()), "");
}

TEST(CliServer, DoesNotRemoveASocketThatIsNotItsOwnAnyMore) {
    TemporaryFolder folder;
    Loop loop;
    auto first = std::make_unique<CliServer>(folder.socket(), loop);
    ASSERT_EQ(unlink(folder.socket().c_str()), 0);
    CliServer second(folder.socket(), loop);
    first.reset();
    EXPECT_EQ(access(folder.socket().c_str(), F_OK), 0);
}

TEST(CliServer, NamesWhatIsInTheWay) {
    TemporaryFolder folder;
    EXPECT_NE(problem_with(folder.path()).find("is not a socket; remove it"), std::string::npos);
    EXPECT_NE(problem_with(folder.path() + "/no/such/v.sock").find("set control.socket"),
              std::string::npos);
    EXPECT_NE(problem_with("/tmp/" + std::string(200, 'x')).find("control.socket"),
              std::string::npos);
    EXPECT_EQ(access(folder.path().c_str(), F_OK), 0);
}

} // namespace
} // namespace viaduct::test
