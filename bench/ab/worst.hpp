// SPDX-License-Identifier: Apache-2.0
//
// worst: the message that lost most against the base, out of thousands.
#pragma once

#include "hostile_shapes.hpp"
#include "loads.hpp"
#include "turns.hpp"

#include <string>
#include <vector>

namespace viaduct::bench {

struct Worst {
    std::string message;
    std::vector<Pair> pairs;            ///< of that message
    std::vector<std::string> differing; ///< messages about which the builds decide differently
};

/// Measures each message by itself, read (kAbDigest) or as 32 frames of one burst (kAbHash). The
/// slowest are measured again in longer rounds, so that an interruption cannot make a message the
/// worst.
[[nodiscard]] Worst find_worst(Library& base,
                               Library& current,
                               AbKind kind,
                               const std::vector<test::NamedMessage>& messages);

} // namespace viaduct::bench
