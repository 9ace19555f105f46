// SPDX-License-Identifier: Apache-2.0
#include "state/secret.hpp"

#include "files.hpp"

#include "viaduct/error.hpp"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <optional>
#include <sys/random.h>
#include <unistd.h>

namespace viaduct {

namespace {

constexpr std::size_t kHexDigits = 32;

constexpr const char* kRemedy =
    "; set steering.secret, or make control.state a folder that viaductd can write to";

[[noreturn]] void fail(const std::string& what, const std::string& path) {
    throw Error("cannot " + what + " " + path + ": " + std::strerror(errno) + kRemedy);
}

std::optional<SteeringSecret> from_hex(const std::string& text) {
    SteeringSecret secret{};
    if (text.size() < kHexDigits) return std::nullopt;
    for (std::size_t i = 0; i < secret.size(); ++i) {
        unsigned byte = 0;
        if (text.find_first_not_of("0123456789abcdef") < kHexDigits ||
            std::sscanf(text.c_str() + 2 * i, "%2x", &byte) != 1)
            return std::nullopt;
        secret[i] = static_cast<std::uint8_t>(byte);
    }
    return secret;
}

SteeringSecret make_secret(const std::string& path) {
    SteeringSecret secret{};
    if (getrandom(secret.data(), secret.size(), 0) != static_cast<ssize_t>(secret.size()))
        throw Error(std::string("cannot get random bytes from the kernel: ") +
                    std::strerror(errno));
    std::string text;
    for (const std::uint8_t byte : secret) {
        std::array<char, 3> hex{};
        std::snprintf(hex.data(), hex.size(), "%02x", byte);
        text += hex.data();
    }
    text += '\n';
    try {
        NewFile file(path);
        file.write(text);
        file.commit();
    } catch (const Error& error) {
        throw Error(std::string(error.what()) + kRemedy);
    }
    return secret;
}

} // namespace

SteeringSecret kept_secret(const std::string& state) {
    const std::string path = state + "/steering.secret";
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 && errno == ENOENT) return make_secret(path);
    if (fd < 0) fail("read", path);
    std::string text(kHexDigits, '\0');
    const ssize_t length = read(fd, text.data(), text.size());
    close(fd);
    if (length == static_cast<ssize_t>(kHexDigits))
        if (const auto secret = from_hex(text)) return *secret;
    throw Error(path + " does not contain 32 lower-case hex digits; restore it (calls move with "
                       "another secret), or delete it to get a new one");
}

} // namespace viaduct
