// SPDX-License-Identifier: Apache-2.0
//
// sequence: weights -> order of turns for round-robin. Pure, in integer arithmetic alone.
#pragma once

#include <cstdint>
#include <vector>

namespace viaduct {

/// Returns a sequence with each place as often as its weight says, spread evenly: no place gets two
/// calls in a row while another still waits for its share. It has at most kSlots entries. A longer
/// one is cut in proportion, which rounds the smallest weights, to 1 at least. Empty for no
/// weights.
[[nodiscard]] std::vector<std::uint16_t> weighted_sequence(const std::vector<unsigned>& weights);

} // namespace viaduct
