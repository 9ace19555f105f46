// SPDX-License-Identifier: Apache-2.0
//
// pipeline: READ FIRST. The way of a burst through the stages; each packet ends in one Outcome.
//
//   classify  whose is it?          -> punted, foreign_mac, bad_ip, fragment, ...
//   parse     the SIP fields        (decides nothing)
//   admit     may it go on?         -> keepalive, not_sip, ambiguous_call_id, ...
//   steer     call -> backend       -> health_unknown, no_backend, dead_owner
//   rewrite   the frame that leaves -> too_big, next_hop_unresolved, ttl_expired, ...
//
// Each stage runs over the whole burst before the next begins, so that its code and the memory it
// prefetched for the next stage are warm.
#pragma once

#include "frame.hpp"
#include "wire/rewrite.hpp"

#include "viaduct/next_hops.hpp"
#include "viaduct/snapshot.hpp"
#include "viaduct/steering/steer.hpp"

#include <span>

namespace viaduct {

/// What the stages read. Valid for one burst: a worker takes it anew for the next one.
struct PipelineView {
    const Snapshot& snapshot;
    const NextHops& next_hops;
    std::span<const PortView> ports; ///< by PortId
    CallTable calls{};               ///< no table: nothing is remembered
    CallTime now{};
    std::uint32_t* budget = nullptr; ///< as SteerView has it
    Clients clients{};               ///< none: nobody's MAC is remembered

    [[nodiscard]] SteerView steering() const noexcept { return {snapshot, calls, now, budget}; }
};

/// Makes frame `at` of the burst ready for run_pipeline().
void set_frame(
    Burst& burst, std::size_t at, std::byte* bytes, std::uint32_t length, PortId rx_port) noexcept;

/// Runs `burst.count` frames through all stages. Afterwards `live` holds the frames to send, each
/// by its tx_port; every other frame has its outcome in `outcomes`.
void run_pipeline(const PipelineView& view, Burst& burst) noexcept;

/// The outcome of a live frame once its port took it.
[[nodiscard]] constexpr Outcome sent_outcome(const Frame& frame) noexcept {
    if (frame.is_rejected) return Outcome::Rejected;
    return frame.leg == Leg::BackendToClient ? Outcome::Returned : Outcome::Forwarded;
}

} // namespace viaduct
