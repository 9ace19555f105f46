// SPDX-License-Identifier: Apache-2.0
//
// lane: a shorter way for the common packet. It comes from a client, its VIP's pool steers by hash
// and changes MACs only, its slot is settled and its next hop is known.
//
// The lane decides what the stages would decide, and fills in the same groups of the frame as far
// as anything reads them. It is shorter because it takes the properties of a VIP from its last
// packet, and does several stages in one loop. At the first thing that is not common it leaves the
// frame to the stages, together with what it has found out.
#pragma once

#include "stages/stages.hpp"

#include <cstdint>

namespace viaduct {

/// Sets of frames of a burst: bit i is frame i.
using FrameSet = std::uint32_t;
static_assert(kMaxBurst <= 32);

struct LaneResult {
    FrameSet sent = 0;     ///< to send, as after emit
    FrameSet digested = 0; ///< for admit: decode, claim and digest have been done
};

/// Frames in neither set are as before.
[[nodiscard]] LaneResult run_lane(const PipelineView& view, Burst& burst) noexcept;

} // namespace viaduct
