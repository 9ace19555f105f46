// SPDX-License-Identifier: Apache-2.0
//
// One event, one line; nothing foreign reaches the terminal; systemd hears what it is told.
#include "log.hpp"

#include "viaduct/error.hpp"

#include <array>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <gtest/gtest.h>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace viaduct::test {

namespace {

/// A datagram socket bound to `name`, which may begin with '\0'.
int bind_socket(const std::string& name) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, name.data(), name.size());
    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    if (bind(fd, reinterpret_cast<const sockaddr*>(&address), size) != 0) return -1;
    return fd;
}

std::string receive(int fd) {
    std::array<char, 256> buffer{};
    const ssize_t got = recv(fd, buffer.data(), buffer.size(), 0);
    return got < 0 ? "(nothing)" : std::string(buffer.data(), static_cast<std::size_t>(got));
}

} // namespace

TEST(Log, EscapesWhatATerminalWouldObey) {
    EXPECT_EQ(printable("b1@198.51.100.21"), "b1@198.51.100.21");
    EXPECT_EQ(printable("a\r\n\x1b[2J\x7f\xc3"), "a\\x0d\\x0a\\x1b[2J\\x7f\\xc3");
    EXPECT_EQ(printable(std::string(1, '\0')), "\\x00");
    EXPECT_EQ(printable(std::string(64, 'a')), std::string(64, 'a'));
    EXPECT_EQ(printable(std::string(65, 'a')), std::string(64, 'a') + "...");
}

TEST(Log, WritesOneLineFromItsLevelOn) {
    testing::internal::CaptureStderr();
    start_log("warning");
    spdlog::info("quiet");
    spdlog::warn("loud");
    const std::string text = testing::internal::GetCapturedStderr();
    EXPECT_EQ(text.find("quiet"), std::string::npos) << text;
    // 2025-01-31T09:30:00.125+01:00 warning loud
    ASSERT_GT(text.size(), 11U);
    EXPECT_EQ(text[10], 'T') << text;
    EXPECT_TRUE(text.ends_with(" warning loud\n")) << text;
    EXPECT_EQ(text.find('\x1b'), std::string::npos) << text;
    EXPECT_EQ(text.find('\n'), text.size() - 1) << text;
}

TEST(Log, KnowsFourLevels) {
    for (const char* level : {"debug", "info", "warning", "error"})
        EXPECT_NO_THROW(start_log(level));
    EXPECT_THROW(start_log("loud"), Error);
}

TEST(Log, TellsSystemdByPathAndByAbstractName) {
    std::string folder = testing::TempDir() + "viaduct-log-XXXXXX";
    ASSERT_NE(mkdtemp(folder.data()), nullptr);
    const std::string path = folder + "/notify";
    const int by_path = bind_socket(path);
    const std::string abstract = "viaduct-log-test-" + std::to_string(getpid());
    const int by_name = bind_socket('\0' + abstract);
    ASSERT_GE(by_path, 0);
    ASSERT_GE(by_name, 0);
    setenv("NOTIFY_SOCKET", path.c_str(), 1);
    notify_systemd("READY=1");
    EXPECT_EQ(receive(by_path), "READY=1");
    setenv("NOTIFY_SOCKET", ('@' + abstract).c_str(), 1);
    notify_systemd("STOPPING=1");
    EXPECT_EQ(receive(by_name), "STOPPING=1");
    EXPECT_EQ(receive(by_path), "(nothing)");
    close(by_path);
    close(by_name);
    unlink(path.c_str());
    rmdir(folder.c_str());
}

TEST(Log, GoesOnWithoutSystemd) {
    for (const std::string& path : {std::string(),
                                    std::string("relative"),
                                    std::string("/nowhere/notify"),
                                    "/" + std::string(500, 'a')}) {
        setenv("NOTIFY_SOCKET", path.c_str(), 1);
        notify_systemd("READY=1");
    }
    unsetenv("NOTIFY_SOCKET");
    notify_systemd("READY=1");
}

} // namespace viaduct::test
