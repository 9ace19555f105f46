// SPDX-License-Identifier: Apache-2.0
//
// pipeline: READ FIRST. Runs a burst through the stages; each packet ends in one Outcome.
//
//   classify  finds leg, VIP and pool     -> punted, foreign_mac, bad_ip, fragment, ...
//   parse     reads the SIP fields        (decides nothing)
//   admit     stops unusable messages     -> keepalive, not_sip, ambiguous_call_id, ...
//   steer     chooses the backend         -> health_unknown, no_backend, dead_owner
//   rewrite   makes the frame that leaves -> too_big, next_hop_unresolved, ttl_expired, ...
//
// Each stage runs over the whole burst before the next one starts, so that its code and the memory
// it prefetched for the next stage are in the cache.
#pragma once

#include "frame.hpp"
#include "wire/rewrite.hpp"

#include "viaduct/next_hops.hpp"
#include "viaduct/snapshot.hpp"
#include "viaduct/steering/steer.hpp"

#include <span>

namespace viaduct {

/// What the stages read. Valid for one burst: a worker gets a new one for the next.
struct PipelineView {
    const Snapshot& snapshot;
    const NextHops& next_hops;
    std::span<const PortView> ports; ///< by PortId
    CallTable calls{};               ///< no table: nothing is remembered
    CallTime now{};
    std::uint32_t* budget = nullptr; ///< as in SteerView
    Clients clients{};               ///< none: no client's MAC is remembered

    [[nodiscard]] SteerView steering() const noexcept { return {snapshot, calls, now, budget}; }
};

/// Prepares frame `at` of the burst for run_pipeline().
void set_frame(
    Burst& burst, std::size_t at, std::byte* bytes, std::uint32_t length, PortId rx_port) noexcept;

/// Runs `burst.count` frames through all stages. Afterwards `live` holds the frames to send, each
/// on its tx_port; every other frame has its outcome in `outcomes`.
void run_pipeline(const PipelineView& view, Burst& burst) noexcept;

/// The outcome of a live frame after its port accepted it.
[[nodiscard]] constexpr Outcome sent_outcome(const Frame& frame) noexcept {
    if (frame.is_rejected) return Outcome::Rejected;
    return frame.leg == Leg::BackendToClient ? Outcome::Returned : Outcome::Forwarded;
}

} // namespace viaduct
