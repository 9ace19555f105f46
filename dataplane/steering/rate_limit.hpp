// SPDX-License-Identifier: Apache-2.0
//
// rate_limit: so many things a second, for all threads together.
//
// One word: the moment by which all that was taken will have been earned. Whoever takes moves it
// on, and never past the present (the generic cell rate algorithm, ITU-T I.371).
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

namespace viaduct {

class RateLimit {
public:
    /// Of what `a_second` (at least 1) allows, at most `wanted`. What nobody took in the last
    /// second, and no more, is still there. `tsc` may be a little behind another thread's. Any
    /// thread.
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

    /// What was taken and is not needed.
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
