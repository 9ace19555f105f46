// SPDX-License-Identifier: Apache-2.0
//
// stages: what each stage reads, writes and decides. One file per stage, in the order in which a
// frame passes them.
//
// A stage returns the outcome with which the frame ends, or nothing: the next stage gets it. It
// writes its own group of the Frame only. All input is hostile: lengths are checked before the
// bytes they cover are read.
#pragma once

#include "frame.hpp"
#include "wire/client_macs.hpp"

#include "viaduct/next_hops.hpp"
#include "viaduct/snapshot.hpp"
#include "viaduct/steering/steer.hpp"

#include <optional>
#include <span>

namespace viaduct {

/// What the stages read. Valid for one burst: a worker gets a new one for the next.
struct PipelineView {
    const Snapshot& snapshot;
    const NextHops& next_hops;
    std::span<const LinkView> links; ///< by LinkId
    CallTable calls{};               ///< no table: nothing is remembered
    CallTime now{};
    std::uint32_t* budget = nullptr; ///< as in SteerView
    Clients clients{};               ///< none: no client's MAC is remembered

    [[nodiscard]] SteerView steering() const noexcept { return {snapshot, calls, now, budget}; }
};

namespace stages {

/// Where are the headers? Checks the MACs and every length.
/// Writes `layout`. Ends: bad_frame, own_source, foreign_mac, bad_ip, bad_udp, punted (multicast,
/// not IPv4, neither UDP nor ICMP, or more than two tags). A frame for another station is
/// foreign_mac whatever its IP header is. RFC 791 §3.1, RFC 768, RFC 1122 §3.2.1, IEEE 802.1Q.
[[nodiscard]] std::optional<Outcome> decode(const PipelineView& view, Frame& frame) noexcept;

/// Whose is it? Finds leg, VIP and pool by the endpoints.
/// Writes `claim`. Ends: punted (foreign traffic), vlan, fragment, probe_answer (an ICMP error that
/// quotes a probe).
[[nodiscard]] std::optional<Outcome> claim(const PipelineView& view, Frame& frame) noexcept;

/// What does it say? Reads the SIP fields that its leg and its pool need; decides nothing.
/// Writes `digest`. RFC 3261 §7.
std::optional<Outcome> digest(const PipelineView& view, Frame& frame) noexcept;

/// Is it steered? Ends keep-alives, non-SIP, defects, messages without Call-ID, messages for
/// disabled VIPs and replies to probes. Hashes the Call-ID of all others and prefetches the slot.
/// Writes `key`. Ends: as admit_message(), punted, probe_answer.
[[nodiscard]] std::optional<Outcome> admit(const PipelineView& view, Frame& frame) noexcept;

/// Which backend? By the owner of the slot alone, where that is enough; otherwise by steer_vip()
/// and its siblings, which may write the table of calls.
/// Writes `target`. Ends: health_unknown, no_backend, over_limit, dead_owner, backend_to_vip.
[[nodiscard]] std::optional<Outcome>
steer(const PipelineView& view, Frame& frame, CallCounts& counts) noexcept;

/// Which hop, and does the frame fit? Remembers the MAC of a client on the link.
/// Writes `exit`. Ends: no_backend (the slot has no owner), no_route, ttl_expired, too_big,
/// next_hop_unresolved (tx_port and next_hop name the hop to resolve). No byte has been changed
/// yet.
[[nodiscard]] std::optional<Outcome> route(const PipelineView& view, Frame& frame) noexcept;

/// Which SIP bytes change? Only frames whose sender gets a reply (target.reply): the request
/// becomes "481 No Such Call" in place. It returns through the port and to the MAC that it came
/// from, to its source address and the UDP port by RFC 3581 and RFC 3261 §18.2.2. Nothing is
/// remembered: a retransmission is answered again. The reply is never longer than the request, so
/// it cannot amplify traffic. What it copies: RFC 3261 §8.2.6, §18.2.1. Writes bytes and length.
/// Ends: LegInfo::unanswered, if the request has no readable top Via, From, To, Call-ID or CSeq, or
/// there is no room; the bytes are then unchanged.
[[nodiscard]] std::optional<Outcome> edit(const PipelineView& view, Frame& frame) noexcept;

/// Writes the headers of L4, L3 and L2 as `exit` says. Cannot fail: route has checked everything.
/// Checksums are updated incrementally, so that a wrong one stays wrong and an absent UDP checksum
/// stays absent. RFC 1624, RFC 768 (zero checksum), RFC 1812 §5.3.1 (TTL).
void emit(const PipelineView& view, Frame& frame) noexcept;

} // namespace stages

} // namespace viaduct
