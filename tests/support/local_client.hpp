// SPDX-License-Identifier: Apache-2.0
//
// local_client: a control socket served by a real loop on the test's thread, and clients that never
// block.
#pragma once

#include "control_desk.hpp"

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

namespace viaduct::test {

/// A folder under /tmp, removed with its socket at the end.
class TemporaryFolder {
public:
    TemporaryFolder() {
        char name[] = "/tmp/viaduct-test-XXXXXX";
        if (mkdtemp(name) == nullptr) std::abort();
        chmod(name, 0755);
        path_ = name;
    }
    ~TemporaryFolder() {
        unlink(socket().c_str());
        rmdir(path_.c_str());
    }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;

    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] std::string socket() const { return path_ + "/control.sock"; }

private:
    std::string path_;
};

/// Returns -1 when it cannot connect.
inline int connect_to(const std::string& path) {
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    sockaddr generic[(sizeof address + sizeof(sockaddr) - 1) / sizeof(sockaddr)]{};
    std::memcpy(generic, &address, sizeof address);
    if (connect(fd, generic, sizeof address) == 0) return fd;
    close(fd);
    return -1;
}

class LocalClient {
public:
    explicit LocalClient(const std::string& path) : fd_(connect_to(path)) {
        if (fd_ < 0) std::abort();
        fcntl(fd_, F_SETFL, O_NONBLOCK);
    }
    ~LocalClient() { close(fd_); }
    LocalClient(const LocalClient&) = delete;
    LocalClient& operator=(const LocalClient&) = delete;

    /// Returns the number of bytes that the kernel took; fewer than given when its buffer is full
    /// or the server has closed.
    std::size_t send(std::string_view bytes) {
        const ssize_t took = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (took < 0 && errno != EAGAIN) broken_ = true;
        return took < 0 ? 0 : static_cast<std::size_t>(took);
    }
    void end() { shutdown(fd_, SHUT_WR); }

    /// Returns everything received so far.
    const std::string& heard() {
        char buffer[4096];
        ssize_t got = 1;
        while (!closed_ && (got = recv(fd_, buffer, sizeof buffer, 0)) > 0)
            heard_.append(buffer, static_cast<std::size_t>(got));
        if (got == 0 || (got < 0 && errno != EAGAIN)) closed_ = true;
        return heard_;
    }
    [[nodiscard]] bool closed() {
        static_cast<void>(heard());
        return closed_;
    }
    [[nodiscard]] bool broken() const { return broken_; } ///< a send failed permanently

private:
    int fd_;
    std::string heard_;
    bool closed_ = false;
    bool broken_ = false;
};

/// A ControlDesk with an open control socket.
struct ServedDesk {
    TemporaryFolder folder;
    ControlDesk desk;
    std::unique_ptr<CliServer> server;

    ServedDesk() {
        desk.all_up();
        server = std::make_unique<CliServer>(folder.socket(), desk.loop);
        server->start(desk.control);
        ticker_ = desk.loop.every(std::chrono::milliseconds(1), [this](TimePoint now) {
            reached_ = until_();
            if (reached_ || now > deadline_) desk.loop.stop();
        });
    }

    /// Runs the loop until `done`, at most 20 s. False: it timed out.
    [[nodiscard]] bool run_until(std::function<bool()> done) {
        until_ = std::move(done);
        deadline_ = Clock::now() + std::chrono::seconds(20);
        reached_ = false;
        desk.loop.run();
        return reached_;
    }

private:
    std::function<bool()> until_ = [] { return true; };
    TimePoint deadline_;
    bool reached_ = false;
    Ticker ticker_;
};

} // namespace viaduct::test
