// SPDX-License-Identifier: Apache-2.0
#include "paired.hpp"

#include <algorithm>
#include <iterator>

namespace viaduct::bench {

double quantile_of(std::span<const double> values, double quantile) {
    std::vector<double> sorted(values.begin(), values.end());
    std::ranges::sort(sorted);
    const double at = quantile * static_cast<double>(sorted.size() - 1);
    const auto below = static_cast<std::size_t>(at);
    const std::size_t above = std::min(below + 1, sorted.size() - 1);
    return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

std::vector<Pair> undisturbed(std::span<const Pair> pairs) {
    std::vector<Pair> kept;
    std::ranges::copy_if(
        pairs, std::back_inserter(kept), [](const Pair& pair) { return !pair.is_interrupted; });
    return kept;
}

Comparison compare(std::span<const Pair> pairs) {
    const std::vector<Pair> kept = undisturbed(pairs);
    Comparison made;
    made.pairs = kept.size();
    made.dropped = pairs.size() - kept.size();
    if (kept.empty()) return made;
    std::vector<double> base;
    std::vector<double> current;
    std::vector<double> ratios;
    for (const Pair& pair : kept) {
        base.push_back(pair.base_ns);
        current.push_back(pair.new_ns);
        ratios.push_back(pair.base_ns / pair.new_ns);
    }
    made.base_ns = quantile_of(base, 0.5);
    made.new_ns = quantile_of(current, 0.5);
    made.ratio = quantile_of(ratios, 0.5);
    made.low = quantile_of(ratios, 0.1);
    made.high = quantile_of(ratios, 0.9);
    return made;
}

} // namespace viaduct::bench
