// SPDX-License-Identifier: Apache-2.0
//
// rate_limit: a rate limit shared by all threads (the generic cell rate algorithm, ITU-T I.371).
//
// The state is one word: the time by which all that was taken will have been earned. Each take
// moves it forward, but never past the present.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace viaduct {

class RateLimit {
public:
    /// Returns how many of `wanted` may be taken at a rate of `a_second` (at least 1). What was not
    /// taken accumulates for one second at most. `tsc` may be slightly earlier than another
    /// thread's. Any thread.
    [[nodiscard]] std::uint32_t take(std::uint32_t wanted,
                                     std::uint32_t a_second,
                                     std::uint64_t tsc,
                                     std::uint64_t tsc_per_second) noexcept {
        const std::uint64_t cost = cost_of(a_second, tsc_per_second);
        const std::uint64_t second_ago = tsc > tsc_per_second ? tsc - tsc_per_second : 0;
        std::uint64_t earned = earned_.load(std::memory_order_relaxed);
        for (;;) {
            const std::uint64_t from = std::max(earned, second_ago);
            if (from >= tsc) return 0;
            const std::uint64_t count = std::min<std::uint64_t>(wanted, (tsc - from) / cost);
            if (count == 0) return 0;
            if (earned_.compare_exchange_weak(
                    earned, from + count * cost, std::memory_order_relaxed))
                return static_cast<std::uint32_t>(count);
        }
    }

    /// Returns what was taken and is not needed.
    void
    give_back(std::uint32_t count, std::uint32_t a_second, std::uint64_t tsc_per_second) noexcept {
        earned_.fetch_sub(count * cost_of(a_second, tsc_per_second), std::memory_order_relaxed);
    }

private:
    static std::uint64_t cost_of(std::uint32_t a_second, std::uint64_t tsc_per_second) noexcept {
        return std::max<std::uint64_t>(1, tsc_per_second / a_second);
    }

    std::atomic<std::uint64_t> earned_{0};
};

} // namespace viaduct
