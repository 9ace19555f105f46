// SPDX-License-Identifier: Apache-2.0
#include "worst.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>

namespace viaduct::bench {

namespace {

using namespace std::chrono_literals;

struct Round {
    std::size_t messages; ///< that take part: the worst of the round before
    Plan plan;
};
constexpr std::array kRounds{Round{std::size_t(-1), {5, 20e3, 50ms}},
                             Round{512, {15, 50e3, 100ms}},
                             Round{32, {41, 200e3, 1s}},
                             Round{4, {201, 200e3, 3s}}};

struct Candidate {
    const test::NamedMessage* message;
    std::vector<Pair> pairs;
    double speedup; ///< none measured: as if it were the worst, so that it is measured again
};

} // namespace

Worst find_worst(Library& base,
                 Library& current,
                 AbKind kind,
                 const std::vector<test::NamedMessage>& messages) {
    Worst worst;
    Turns turns(base, current);
    std::vector<Candidate> candidates;
    for (const test::NamedMessage& message : messages)
        candidates.push_back({&message, {}, 0});
    for (const Round& round : kRounds) {
        candidates.resize(std::min(candidates.size(), round.messages));
        for (Candidate& candidate : candidates) {
            Load load(candidate.message->name, kind);
            load.add(candidate.message->text);
            if (kind != kAbDigest) load.fill_burst();
            load.in_order();
            const AbLoad view = load.view();
            base.prepare(view);
            current.prepare(view);
            candidate.pairs = turns.measure_anyway(round.plan);
            candidate.speedup = compare(candidate.pairs).ratio;
            if (&round == &kRounds.front() && !turns.agree())
                worst.differing.push_back(load.name());
            base.release(); // the load does not outlive this
            current.release();
        }
        std::ranges::sort(candidates, {}, &Candidate::speedup);
    }
    for (const Candidate& candidate : candidates) {
        worst.pairs = candidate.pairs;
        worst.message = candidate.message->name;
        if (!undisturbed(worst.pairs).empty()) break;
    }
    return worst;
}

} // namespace viaduct::bench
