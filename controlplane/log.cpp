// SPDX-License-Identifier: Apache-2.0
//
// log: the only logger, text made safe for it, and the datagram to systemd.
//
// Out:   lines such as `2025-01-31T09:30:00.125+0100 info ready`.
// Spec:  sd_notify(3) for NOTIFY_SOCKET.
#include "log.hpp"

#include "viaduct/error.hpp"

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <spdlog/sinks/stdout_sinks.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace viaduct {

void start_log(const std::string& level) {
    const auto threshold = spdlog::level::from_str(level);
    if (threshold == spdlog::level::off) // the result of from_str for any other word
        throw Error("log level \"" + printable(level) + "\" must be debug, info, warning or error");
    auto logger = std::make_shared<spdlog::logger>(
        "viaductd", std::make_shared<spdlog::sinks::stderr_sink_st>());
    logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l %v");
    logger->set_level(threshold);
    logger->flush_on(threshold);
    spdlog::set_default_logger(std::move(logger));
}

void set_log_level(const std::string& level) {
    const auto threshold = spdlog::level::from_str(level);
    spdlog::default_logger()->set_level(threshold);
    spdlog::default_logger()->flush_on(threshold);
}

std::string printable(std::string_view text) {
    constexpr std::size_t kMax = 64;
    constexpr std::string_view kHex = "0123456789abcdef";
    std::string safe;
    for (const char c : text.substr(0, kMax)) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte >= 0x20 && byte < 0x7f) {
            safe += c;
        } else {
            safe += "\\x";
            safe += kHex[byte >> 4];
            safe += kHex[byte & 0xf];
        }
    }
    return text.size() > kMax ? safe + "..." : safe;
}

void notify_systemd(std::string_view state) noexcept {
    const char* path = std::getenv("NOTIFY_SOCKET");
    if (path == nullptr || (path[0] != '/' && path[0] != '@')) return;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::size_t length = std::strlen(path);
    if (length >= sizeof address.sun_path) return;
    std::memcpy(address.sun_path, path, length);
    if (path[0] == '@') address.sun_path[0] = '\0'; // abstract socket: the length ends the name
    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return;
    // A failure cannot be reported: systemd then reaches its own time limit and logs that.
    (void)sendto(fd,
                 state.data(),
                 state.size(),
                 MSG_NOSIGNAL,
                 reinterpret_cast<const sockaddr*>(&address),
                 static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length));
    close(fd);
}

} // namespace viaduct
