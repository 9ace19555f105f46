// SPDX-License-Identifier: Apache-2.0
//
// worst_message: which of many messages costs a reader most a byte.
//
// Each message is read again and again; the fastest of several rounds counts, so that what else the
// machine does cannot make one the worst. The dearest are measured anew, longer. A message counts
// as at least 512 bytes, or the fixed cost of the shortest would decide.
#pragma once

#include "hostile_shapes.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace viaduct::test {

inline constexpr std::size_t kMinCountedBytes = 512;

struct ByteCost {
    const NamedMessage* message = nullptr;
    double ns_per_byte = 0;
};

/// The fastest of `rounds` rounds of at least `round_ns` each.
template <typename Read>
[[nodiscard]] double
ns_per_byte(const Read& read, const std::string& text, int rounds, double round_ns) {
    using Clock = std::chrono::steady_clock;
    const auto bytes = std::as_bytes(std::span(text));
    const auto time = [&](std::size_t times) {
        const auto began = Clock::now();
        for (std::size_t i = 0; i < times; ++i)
            read(bytes);
        return std::chrono::duration<double, std::nano>(Clock::now() - began).count();
    };
    std::size_t times = 1;
    while (time(times) < round_ns)
        times *= 2;
    double best = time(times);
    for (int i = 1; i < rounds; ++i)
        best = std::min(best, time(times));
    return best / static_cast<double>(times) /
           static_cast<double>(std::max(text.size(), kMinCountedBytes));
}

/// The dearest `count` messages, dearest first. `messages` must outlive the answer.
template <typename Read>
[[nodiscard]] std::vector<ByteCost>
dearest(const Read& read, const std::vector<NamedMessage>& messages, std::size_t count) {
    const auto dearer = [](const ByteCost& a, const ByteCost& b) {
        return a.ns_per_byte > b.ns_per_byte;
    };
    std::vector<ByteCost> costs;
    for (const NamedMessage& message : messages)
        costs.push_back({&message, ns_per_byte(read, message.text, 3, 10'000)});
    std::sort(costs.begin(), costs.end(), dearer);
    costs.resize(std::min(costs.size(), count * 3)); // some may be there by bad luck
    for (ByteCost& cost : costs)
        cost.ns_per_byte = ns_per_byte(read, cost.message->text, 15, 50'000);
    std::sort(costs.begin(), costs.end(), dearer);
    costs.resize(std::min(costs.size(), count));
    return costs;
}

/// The median over `messages`, each measured alone as dearest() does.
template <typename Read>
[[nodiscard]] double typical_ns_per_byte(const Read& read,
                                         const std::vector<std::string>& messages) {
    std::vector<double> costs;
    for (const std::string& message : messages)
        costs.push_back(ns_per_byte(read, message, 15, 50'000));
    std::nth_element(costs.begin(), costs.begin() + costs.size() / 2, costs.end());
    return costs[costs.size() / 2];
}

} // namespace viaduct::test
