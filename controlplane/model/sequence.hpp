// SPDX-License-Identifier: Apache-2.0
//
// sequence: weights -> whose turn it is, for round-robin. Pure, in integer arithmetic alone.
#pragma once

#include <cstdint>
#include <vector>

namespace viaduct {

/// Each place as often as its weight says, spread evenly: nobody gets two calls running while
/// another still waits for its share. At most kSlots long: what is longer is cut in proportion,
/// and then the smallest weights are rounded, to 1 at least. Empty for no weights.
[[nodiscard]] std::vector<std::uint16_t> weighted_sequence(const std::vector<unsigned>& weights);

} // namespace viaduct
