// SPDX-License-Identifier: Apache-2.0
//
// turns: measures two builds in turn, in short chunks on one CPU.
#pragma once

#include "library.hpp"
#include "paired.hpp"

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace viaduct::bench {

/// Binds this thread to one CPU: the last one it may use, because interrupts and the work of others
/// prefer the first. Returns its number.
int pin_to_one_cpu();

struct Plan {
    std::size_t pairs = 0;             ///< undisturbed ones
    double chunk_ns = 0;               ///< of base
    std::chrono::milliseconds limit{}; ///< then it ends with what it has
};

class Turns {
public:
    Turns(Library& base, Library& current) : base_(base), current_(current) {}

    /// Measures the load that both have prepared. Both run the same number of units, in chunks that
    /// change places from pair to pair; a chunk begins with a fifth of its units that do not count,
    /// because the other build has used the caches and predictors. Throws std::runtime_error when
    /// the builds decide differently; `name` says on what.
    [[nodiscard]] std::vector<Pair> measure(const Plan& plan, const std::string& name);

    /// Whether both have decided alike since the load was prepared.
    [[nodiscard]] bool agree() { return base_.run(0) == current_.run(0); }

    /// The same without that check.
    [[nodiscard]] std::vector<Pair> measure_anyway(const Plan& plan);

private:
    [[nodiscard]] std::uint64_t units_of(double chunk_ns);
    [[nodiscard]] Pair measure_pair(std::uint64_t units, bool base_first);

    Library& base_;
    Library& current_;
};

} // namespace viaduct::bench
