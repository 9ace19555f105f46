// SPDX-License-Identifier: Apache-2.0
//
// paired: what pairs of short measurements say about two builds.
//
// A virtual machine changes its speed by a factor of two within seconds. Two chunks of half a
// millisecond, one right after the other, nearly always see the same speed: so the ratio is taken
// within each pair, and its median and quantiles over all pairs.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace viaduct::bench {

struct Pair {
    double base_ns = 0; ///< a packet or message
    double new_ns = 0;
    bool is_interrupted = false; ///< another thread had the CPU meanwhile
};

struct Comparison {
    std::size_t pairs = 0;   ///< that count
    std::size_t dropped = 0; ///< interrupted
    double base_ns = 0;      ///< median
    double new_ns = 0;       ///< median
    double ratio = 0;        ///< base to new: how many times faster new is; median of the pairs
    double low = 0;          ///< a tenth of the ratios is below
    double high = 0;         ///< a tenth of the ratios is above
};

/// Between the two nearest values, in proportion; the median is the quantile 0.5. Of at least one
/// value.
[[nodiscard]] double quantile_of(std::span<const double> values, double quantile);

/// The pairs that were not interrupted, in order.
[[nodiscard]] std::vector<Pair> undisturbed(std::span<const Pair> pairs);

/// All zero when every pair was interrupted.
[[nodiscard]] Comparison compare(std::span<const Pair> pairs);

} // namespace viaduct::bench
