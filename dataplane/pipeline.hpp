// SPDX-License-Identifier: Apache-2.0
//
// pipeline: READ FIRST. Runs a burst through the stages; each packet ends in one Outcome.
//
//   decode  where are the headers?  -> bad_frame, own_source, foreign_mac, bad_ip, bad_udp, punted
//   claim   whose is it?            -> punted, vlan, fragment, probe_answer
//   digest  what does it say?       (decides nothing)
//   admit   is it steered?          -> keepalive, not_sip, ambiguous_call_id, probe_answer, ...
//   steer   which backend?          -> health_unknown, no_backend, over_limit, dead_owner; or a
//   reply route   which hop, does it fit? -> no_route, ttl_expired, too_big, next_hop_unresolved
//   edit    which SIP bytes change? -> dead_owner, backend_to_vip (a reply cannot be made)
//   emit    writes the headers      (cannot fail)
//
// stages/stages.hpp says what each stage reads and writes; stages/NAME.cpp is its code, Stage::NAME
// its column in `show workers`. The common packet passes them by a shorter way, lane.hpp. Each
// stage runs over the whole burst before the next one starts, so that its code and the memory it
// prefetched for the next stage are in the cache.
#pragma once

#include "frame.hpp"
#include "stages/stages.hpp"

#include <cstddef>
#include <cstdint>

namespace viaduct {

/// Clears frame `at` of the burst and gives it these bytes. Call it for each frame of each burst.
void set_frame(
    Burst& burst, std::size_t at, std::byte* bytes, std::uint32_t length, PortId rx_port) noexcept;

/// Runs `burst.count` frames through all stages. Afterwards `live` holds the frames to send, each
/// on its exit.tx_port, with its bytes and length; every other frame has its outcome in `outcomes`.
void run_pipeline(const PipelineView& view, Burst& burst) noexcept;

/// The same without the lane, with the same results; for tests.
void run_stages(const PipelineView& view, Burst& burst) noexcept;

/// The outcome of a live frame after its port accepted it.
[[nodiscard]] constexpr Outcome sent_outcome(const Frame& frame) noexcept {
    return frame.target.reply ? Outcome::Rejected : info_of(frame.claim.leg).sent;
}

} // namespace viaduct
