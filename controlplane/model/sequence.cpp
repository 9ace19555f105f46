// SPDX-License-Identifier: Apache-2.0
#include "model/sequence.hpp"

#include "viaduct/snapshot.hpp"

#include <algorithm>
#include <numeric>
#include <queue>

namespace viaduct {

namespace {

/// Returns the same proportions in the smallest numbers, with a sum of at most kSlots. Weights are
/// > 0.
std::vector<std::uint64_t> reduced(const std::vector<unsigned>& weights) {
    std::uint64_t divisor = weights.front();
    for (const unsigned weight : weights)
        divisor = std::gcd(divisor, std::uint64_t{weight});
    std::vector<std::uint64_t> counts;
    std::uint64_t sum = 0;
    for (const unsigned weight : weights) {
        counts.push_back(weight / divisor);
        sum += counts.back();
    }
    if (sum <= kSlots) return counts;
    const std::uint64_t room = kSlots - counts.size(); // for counts rounded up to 1
    for (std::uint64_t& count : counts)
        count = std::max<std::uint64_t>(1, count * room / sum);
    return counts;
}

/// The next turn of a place, due at (2 * had + 1) / (2 * count) of the sequence.
struct Turn {
    std::uint16_t place;
    std::uint64_t had;
    std::uint64_t count;
    bool operator<(const Turn& other) const noexcept { // a heap returns the largest first
        const std::uint64_t mine = (2 * had + 1) * other.count;
        const std::uint64_t theirs = (2 * other.had + 1) * count;
        return mine != theirs ? mine > theirs : place > other.place;
    }
};

} // namespace

std::vector<std::uint16_t> weighted_sequence(const std::vector<unsigned>& weights) {
    std::vector<std::uint16_t> sequence;
    if (weights.empty()) return sequence;
    const std::vector<std::uint64_t> counts = reduced(weights);
    std::priority_queue<Turn> turns;
    for (std::size_t i = 0; i < counts.size(); ++i)
        turns.push({static_cast<std::uint16_t>(i), 0, counts[i]});
    while (!turns.empty()) {
        Turn turn = turns.top();
        turns.pop();
        sequence.push_back(turn.place);
        if (++turn.had < turn.count) turns.push(turn);
    }
    return sequence;
}

} // namespace viaduct
