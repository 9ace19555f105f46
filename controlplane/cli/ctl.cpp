// SPDX-License-Identifier: Apache-2.0
//
// viaductctl: the thin client of the control socket.
//
// In:    a verb and its arguments; for `explain VIP` also a SIP message on standard input.
// Out:   the answer on standard output and exit 0, or the reason on standard error and exit 1.
// Cost:  one connection, at most 10 s.
//
// It knows no verb except `explain`: all words go to viaductd unchanged, which checks them.

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <poll.h>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kTimeLimit{10};
constexpr std::size_t kMaxMessage = 65'535; ///< longest UDP payload

constexpr const char* kHelp =
    "Usage: viaductctl [--socket PATH] [--json] VERB...\n"
    "\n"
    "Shows and changes the state of a running viaductd.\n"
    "  viaductctl help                    lists every verb\n"
    "  viaductctl show backends           state of every backend\n"
    "  viaductctl explain VIP CALL-ID     where a call goes, and why\n"
    "  viaductctl explain VIP < message   where a SIP message goes (--source ADDRESS: its sender)\n"
    "\n"
    "  --socket PATH  control socket of viaductd (/run/viaduct/viaduct.sock)\n"
    "  --json         print one JSON object\n"
    "  --version      print the version\n"
    "  --help         print this help\n"
    "\n"
    "Exit status 0, or 1 with the reason on standard error.\n";

/// The text after "viaductctl: ".
struct Failure : std::runtime_error {
    using std::runtime_error::runtime_error;
};

std::string read_message() {
    std::string message;
    char buffer[4096];
    while (message.size() <= kMaxMessage) {
        const ssize_t got = read(STDIN_FILENO, buffer, sizeof buffer);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) throw Failure(std::string("cannot read standard input: ") + strerror(errno));
        if (got == 0) break;
        message.append(buffer, static_cast<std::size_t>(got));
    }
    if (message.empty())
        throw Failure("explain needs a Call-ID, or a SIP message on standard input");
    if (message.size() > kMaxMessage)
        throw Failure("standard input is longer than the largest UDP message (65,535 bytes)");
    return message;
}

/// Encodes as in RFC 4648 §4.
std::string to_base64(std::string_view bytes) {
    constexpr std::string_view kAlphabet =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    for (std::size_t i = 0; i < bytes.size(); i += 3) {
        std::uint32_t bits = 0;
        const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
        for (std::size_t j = 0; j < 3; ++j)
            bits = bits << 8 | (j < count ? static_cast<unsigned char>(bytes[i + j]) : 0U);
        for (std::size_t j = 0; j < 4; ++j)
            out += j <= count ? kAlphabet[(bits >> (18 - 6 * j)) & 0x3f] : '=';
    }
    return out;
}

std::string request_line(std::vector<std::string> words, bool json) {
    if (!words.empty() && words[0] == "--") words.erase(words.begin());
    if (words.empty()) throw Failure("no verb given; see viaductctl help");
    const bool has_source = words.size() == 4 && words[2] == "--source";
    if (words[0] == "explain" && (words.size() == 2 || has_source) && isatty(STDIN_FILENO) == 0)
        words.insert(words.begin() + 2, {"--message-base64", to_base64(read_message())});
    std::string line = json ? "json" : "";
    for (const std::string& word : words) {
        const bool odd = std::any_of(
            word.begin(), word.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
        if (odd) throw Failure("an argument contains a control character");
        line.append(line.empty() ? "" : " ").append(word);
    }
    return line + "\n";
}

int connect_to(const std::string& path) {
    const auto fail = [&](const char* reason) {
        return Failure("cannot reach viaductd at " + path + ": " + reason +
                       "; is it running? see --socket");
    };
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) throw fail("the path is too long");
    std::copy(path.begin(), path.end(), address.sun_path);
    const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) throw fail(strerror(errno));
    timeval limit{}; // connect() waits while the server's backlog is full
    limit.tv_sec = kTimeLimit.count();
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    sockaddr generic[(sizeof address + sizeof(sockaddr) - 1) / sizeof(sockaddr)]{};
    std::memcpy(generic, &address, sizeof address);
    if (connect(fd, generic, sizeof address) != 0)
        throw fail(errno == EAGAIN ? "viaductd does not accept the connection" : strerror(errno));
    return fd;
}

/// Sends the line, closes the sending side, and reads until viaductd closes.
std::string exchange(int fd, const std::string& line) {
    const auto deadline = Clock::now() + kTimeLimit;
    std::size_t sent = 0;
    std::string out;
    while (true) {
        const auto left =
            std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
        if (left <= 0) throw Failure("viaductd did not answer within 10 s");
        pollfd ready{fd, static_cast<short>(sent < line.size() ? POLLIN | POLLOUT : POLLIN), 0};
        if (poll(&ready, 1, static_cast<int>(left)) <= 0) continue;
        if ((ready.revents & POLLOUT) != 0) {
            const ssize_t took =
                send(fd, line.data() + sent, line.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
            // viaductd may have refused us without reading; its answer says why.
            sent = took >= 0                           ? sent + static_cast<std::size_t>(took)
                   : errno == EAGAIN || errno == EINTR ? sent
                                                       : line.size();
            if (sent == line.size()) shutdown(fd, SHUT_WR);
        }
        char buffer[16 * 1024];
        const ssize_t got = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
        if (got > 0) out.append(buffer, static_cast<std::size_t>(got));
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) continue;
        if (got <= 0) return out;
    }
}

/// Prints the answer without its last line, which holds the result.
void print_answer(std::string answer) {
    if (answer.ends_with('\n')) answer.pop_back();
    const std::size_t before = answer.rfind('\n');
    const std::size_t last = before == std::string::npos ? 0 : before + 1;
    const std::string end = answer.substr(last);
    if (end.starts_with("ERR ")) throw Failure(end.substr(4));
    if (end != "OK") throw Failure("viaductd closed the connection before the end of its answer");
    const std::size_t written = std::fwrite(answer.data(), 1, last, stdout);
    if (written != last || std::fflush(stdout) != 0)
        throw Failure(std::string("cannot write the answer: ") + strerror(errno));
}

} // namespace

int main(int argc, char** argv) {
    try {
        CLI::App app;
        std::string path = "/run/viaduct/viaduct.sock";
        bool json = false;
        app.add_option("--socket", path);
        app.add_flag("--json", json);
        app.set_version_flag("--version", "viaductctl " VIADUCT_VERSION);
        app.set_help_flag("--help");
        app.allow_extras(); // the verb's words, unchanged: a Call-ID may start with '-' or '['
        app.parse(argc, argv);
        const std::string line = request_line(app.remaining(), json);
        const int fd = connect_to(path);
        const std::string answer = exchange(fd, line);
        close(fd);
        print_answer(answer);
        return 0;
    } catch (const CLI::CallForHelp&) {
        std::fputs(kHelp, stdout);
        return 0;
    } catch (const CLI::CallForVersion& version) {
        std::printf("%s\n", version.what());
        return 0;
    } catch (const CLI::ParseError& problem) {
        std::fprintf(stderr, "viaductctl: %s; see viaductctl --help\n", problem.what());
    } catch (const std::exception& problem) {
        std::fprintf(stderr, "viaductctl: %s\n", problem.what());
    }
    return 1;
}
