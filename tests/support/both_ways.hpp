// SPDX-License-Identifier: Apache-2.0
//
// both_ways: sends frames through the pipeline with and without the lane.
#pragma once

#include "frame_builder.hpp"
#include "pipeline.hpp"

#include "viaduct/snapshot.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace viaduct::test {

/// All that a worker and replay use of a frame afterwards.
struct FrameResult {
    bool sent = false;
    Outcome outcome = Outcome::Internal; ///< also that of a frame whose port accepts it
    PortId tx_port{};
    LinkId link{};     ///< with next_hop: the station to resolve
    Ipv4Addr next_hop; ///< only of next_hop_unresolved and guesses
    bool is_guess = false;
    std::optional<VipId> vip;
    std::optional<PoolId> pool;
    std::optional<BackendId> backend;
    std::string call_id; ///< not of replies, whose bytes are others
    Bytes bytes;

    bool operator==(const FrameResult&) const = default;
};

struct BurstResult {
    std::vector<FrameResult> frames;
    std::vector<std::uint8_t> order; ///< of those to send
    std::uint32_t remembered = 0;
    std::uint32_t table_full = 0;
    std::uint32_t flooded = 0;

    bool operator==(const BurstResult&) const = default;
};

using Path = void (*)(const PipelineView&, Burst&) noexcept;

/// Runs the frames as one burst. Each gets memory of its own size.
[[nodiscard]] inline BurstResult
run(Path path, const PipelineView& view, std::vector<Bytes> frames, PortId rx_port = PortId{0}) {
    const auto burst = std::make_unique<Burst>();
    burst->count = frames.size();
    for (std::size_t at = 0; at < frames.size(); ++at) {
        frames[at].shrink_to_fit();
        const auto length = static_cast<std::uint32_t>(frames[at].size());
        set_frame(*burst, at, frames[at].data(), length, rx_port);
    }
    path(view, *burst);
    BurstResult result;
    result.frames.resize(frames.size());
    result.remembered = burst->calls.remembered;
    result.table_full = burst->calls.table_full;
    result.flooded = burst->calls.flooded;
    for (std::size_t i = 0; i < burst->live_count; ++i) {
        result.order.push_back(burst->live[i]);
        result.frames[burst->live[i]].sent = true;
    }
    for (std::size_t at = 0; at < frames.size(); ++at) {
        const Frame& frame = burst->frames[at];
        FrameResult& one = result.frames[at];
        one.outcome = one.sent ? sent_outcome(frame) : burst->outcomes[at];
        if (one.sent) one.tx_port = frame.exit.tx_port;
        one.is_guess = frame.exit.is_guess;
        if (one.outcome == Outcome::NextHopUnresolved || one.is_guess) {
            one.link = frame.exit.link;
            one.next_hop = frame.exit.next_hop;
        }
        one.vip = frame.claim.vip;
        one.pool = frame.pool();
        one.backend = frame.backend();
        if (!frame.target.reply) one.call_id = frame.digest.call_id;
        one.bytes.assign(frame.bytes, frame.bytes + frame.length);
    }
    return result;
}

} // namespace viaduct::test
