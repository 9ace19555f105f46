// SPDX-License-Identifier: Apache-2.0
//
// worst: the message that has become dearest, out of thousands.
#pragma once

#include "hostile_shapes.hpp"
#include "loads.hpp"
#include "turns.hpp"

#include <string>
#include <vector>

namespace viaduct::bench {

struct Worst {
    std::string message;
    std::vector<Pair> pairs;            ///< of that message, undisturbed
    std::vector<std::string> differing; ///< messages of which the builds decide differently
};

/// Measures each message by itself, read (kAbDigest) or as 32 frames of one burst (kAbHash). Those
/// that seem to have lost most are measured again, and again longer, so that what else the machine
/// did cannot make one the worst.
[[nodiscard]] Worst find_worst(Library& base,
                               Library& current,
                               AbKind kind,
                               const std::vector<test::NamedMessage>& messages);

} // namespace viaduct::bench
