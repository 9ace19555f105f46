// SPDX-License-Identifier: Apache-2.0
#include "machine.hpp"

#include <array>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <sys/utsname.h>
#include <unistd.h>

namespace viaduct::bench {

namespace {

std::string trimmed(std::string text) {
    text.erase(text.find_last_not_of(" \t\r\n\"") + 1);
    text.erase(0, text.find_first_not_of(" \t\r\n\""));
    return text;
}

/// What follows the first `separator` in the first line of `path` that begins with `key`.
std::string value_in(const char* path, const std::string& key, char separator) {
    std::ifstream file(path);
    for (std::string line; std::getline(file, line);)
        if (line.starts_with(key) && line.find(separator) != std::string::npos)
            return trimmed(line.substr(line.find(separator) + 1));
    return {};
}

std::string line_of(const std::string& path) {
    std::ifstream file(path);
    std::string line;
    std::getline(file, line);
    return trimmed(line);
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

/// "L1d 48K, L2 1024K, L3 32768K" of CPU 0.
std::string caches() {
    std::string all;
    for (int i = 0; i < 8; ++i) {
        const std::string folder =
            "/sys/devices/system/cpu/cpu0/cache/index" + std::to_string(i) + "/";
        const std::string level = line_of(folder + "level");
        const std::string type = line_of(folder + "type");
        if (level.empty() || type == "Instruction") continue;
        all += (all.empty() ? "L" : ", L") + level + (type == "Data" ? "d " : " ") +
               line_of(folder + "size");
    }
    return all;
}

} // namespace

std::string cpu_model() {
    const auto cpu = [](const char* key) { return value_in("/proc/cpuinfo", key, ':'); };
    std::string name = cpu("model name");
    if (name.empty()) return "unknown";
    const std::string family = cpu("cpu family");
    const std::string model = cpu("model\t");
    if (!family.empty()) name += " (family " + family + ", model " + model + ")";
    return name;
}

double cycles_per_ns() {
    return std::strtod(value_in("/proc/cpuinfo", "cpu MHz", ':').c_str(), nullptr) / 1'000;
}

std::vector<std::pair<std::string, std::string>> machine_facts() {
    std::vector<std::pair<std::string, std::string>> facts;
    const auto add = [&](const char* name, std::string value) {
        if (!value.empty()) facts.emplace_back(name, std::move(value));
    };
    add("cpu", cpu_model());
    add("cores", std::to_string(::sysconf(_SC_NPROCESSORS_ONLN)));
    add("mhz", value_in("/proc/cpuinfo", "cpu MHz", ':'));
    add("caches", caches());
    const double kilobytes =
        std::strtod(value_in("/proc/meminfo", "MemTotal", ':').c_str(), nullptr);
    std::array<char, 32> memory{};
    std::snprintf(memory.data(), memory.size(), "%.1f GiB", kilobytes / 1024 / 1024);
    add("memory", memory.data());
    add("hypervisor",
        value_in("/proc/cpuinfo", "flags", ':').find(" hypervisor") != std::string::npos
            ? "yes: a virtual machine"
            : "none seen");
    utsname kernel{};
    if (::uname(&kernel) == 0) add("kernel", kernel.release);
    add("os", value_in("/etc/os-release", "PRETTY_NAME", '='));
#if defined(__clang__)
    add("compiler", __VERSION__);
#else
    add("compiler", std::string("GCC ") + __VERSION__);
#endif
    return facts;
}

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
