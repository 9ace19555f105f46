// SPDX-License-Identifier: Apache-2.0
//
// both_ways: sends frames through the pipeline with and without the lane.
#pragma once

#include "frame_builder.hpp"
#include "pipeline.hpp"

#include "viaduct/snapshot.hpp"

#include <memory>
#include <optional>
#include <vector>

namespace viaduct::test {

/// All that a worker and replay use of a frame afterwards.
struct Left {
    bool sent = false;
    Outcome outcome = Outcome::Internal; ///< also that of a frame whose port accepts it
    PortId tx_port{};
    std::optional<VipId> vip;
    std::optional<PoolId> pool;
    std::optional<BackendId> backend;
    Bytes bytes;

    bool operator==(const Left&) const = default;
};

struct LeftBurst {
    std::vector<Left> frames;
    std::vector<std::uint8_t> order; ///< of those to send
    std::uint32_t remembered = 0;

    bool operator==(const LeftBurst&) const = default;
};

using Way = void (*)(const PipelineView&, Burst&) noexcept;

/// Runs the frames as one burst. Each gets memory of its own size.
[[nodiscard]] inline LeftBurst
leave(Way way, const PipelineView& view, std::vector<Bytes> frames, PortId rx_port = PortId{0}) {
    const auto burst = std::make_unique<Burst>();
    burst->count = frames.size();
    for (std::size_t at = 0; at < frames.size(); ++at) {
        frames[at].shrink_to_fit();
        const auto length = static_cast<std::uint32_t>(frames[at].size());
        set_frame(*burst, at, frames[at].data(), length, rx_port);
    }
    way(view, *burst);
    LeftBurst left;
    left.frames.resize(frames.size());
    left.remembered = burst->calls.remembered;
    for (std::size_t i = 0; i < burst->live_count; ++i) {
        left.order.push_back(burst->live[i]);
        left.frames[burst->live[i]].sent = true;
    }
    for (std::size_t at = 0; at < frames.size(); ++at) {
        const Frame& frame = burst->frames[at];
        Left& one = left.frames[at];
        one.outcome = one.sent ? sent_outcome(frame) : burst->outcomes[at];
        if (one.sent) one.tx_port = frame.exit.tx_port;
        one.vip = frame.claim.vip;
        one.pool = frame.pool();
        one.backend = frame.backend();
        one.bytes.assign(frame.bytes, frame.bytes + frame.length);
    }
    return left;
}

} // namespace viaduct::test
