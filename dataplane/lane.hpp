// SPDX-License-Identifier: Apache-2.0
//
// lane: a shorter way for the common packet. It comes from a client to a VIP whose pool changes
// MACs only, and its next hop is known. The pool steers by hash and the slot is settled, or it
// remembers all calls.
//
// The lane decides what the stages would decide, and fills in the same groups of the frame as far
// as anything reads them. It is shorter because it takes the properties of a VIP from its last
// packet, and does several stages in one loop. At the first thing that is not common it leaves the
// frame to the stages, together with what it has found out.
//
// The table of calls changes in the order of arrival: once a frame is left to the stages that may
// change the table, the lane steers none of the later frames of the burst by it.
#pragma once

#include "stages/stages.hpp"

#include <cstdint>

namespace viaduct {

/// Sets of frames of a burst: bit i is frame i.
using FrameSet = std::uint32_t;
static_assert(kMaxBurst <= 32);

/// No frame is in two sets.
struct LaneResult {
    FrameSet sent = 0;     ///< to send, as after emit
    FrameSet digested = 0; ///< for admit: decode, claim and digest have been done
    FrameSet steered = 0;  ///< for route: they have a target
    FrameSet ended = 0;    ///< they have an outcome
};

/// Frames in no set are as before.
[[nodiscard]] LaneResult run_lane(const PipelineView& view, Burst& burst) noexcept;

} // namespace viaduct
