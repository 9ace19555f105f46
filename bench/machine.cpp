// SPDX-License-Identifier: Apache-2.0
#include "machine.hpp"

#include <array>
#include <cstdio>
#include <ctime>

namespace viaduct::bench {

namespace {

std::string trimmed(std::string text) {
    text.erase(text.find_last_not_of(" \t\r\n\"") + 1);
    text.erase(0, text.find_first_not_of(" \t\r\n\""));
    return text;
}

/// What `command` prints, trimmed; empty when it fails.
std::string output_of(const char* command) {
    std::FILE* pipe = ::popen(command, "r");
    if (pipe == nullptr) return {};
    std::string output;
    std::array<char, 256> part{};
    while (std::fgets(part.data(), part.size(), pipe) != nullptr)
        output += part.data();
    return ::pclose(pipe) == 0 ? trimmed(output) : std::string{};
}

} // namespace

std::string commit_of_tree() {
    std::string commit = output_of("git rev-parse HEAD 2>/dev/null");
    if (commit.empty()) return "unknown";
    const std::string changed =
        output_of("git status --porcelain --untracked-files=no -- "
                  "':/' ':(top,exclude)bench/report' "
                  "':(top,exclude)bench/baseline.json' ':(top,exclude)*.md' 2>/dev/null");
    return changed.empty() ? commit : commit + "-dirty";
}

std::string now_utc() {
    const std::time_t now = std::time(nullptr);
    std::tm parts{};
    ::gmtime_r(&now, &parts);
    std::array<char, 32> made{};
    std::strftime(made.data(), made.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
    return made.data();
}

} // namespace viaduct::bench
