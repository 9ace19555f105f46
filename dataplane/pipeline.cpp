// SPDX-License-Identifier: Apache-2.0
#include "pipeline.hpp"

#include "lane.hpp"

#include <bit>

namespace viaduct {

namespace {

FrameSet all_of(const Burst& burst) noexcept {
    return static_cast<FrameSet>((std::uint64_t{1} << burst.count) - 1);
}

/// Makes the frames of the set live, in order.
void set_live(Burst& burst, FrameSet frames) noexcept {
    burst.live_count = 0;
    for (; frames != 0; frames &= frames - 1)
        burst.live[burst.live_count++] = static_cast<std::uint8_t>(std::countr_zero(frames));
}

/// Adds frames to the live ones, in order.
void add_live(Burst& burst, FrameSet frames) noexcept {
    if (frames == 0) return;
    for (std::size_t i = 0; i < burst.live_count; ++i)
        frames |= FrameSet{1} << burst.live[i];
    set_live(burst, frames);
}

template <typename Work> void run_stage(Burst& burst, Stage stage, Work work) noexcept {
    std::size_t kept = 0;
    for (std::size_t i = 0; i < burst.live_count; ++i) {
        const std::uint8_t at = burst.live[i];
        if (const std::optional<Outcome> end = work(burst.frames[at]))
            burst.outcomes[at] = *end;
        else
            burst.live[kept++] = at;
    }
    burst.live_count = kept;
    burst.clock.charge(stage);
}

/// Runs the live frames through all stages; those that the lane has digested from admit on, and
/// those that it has steered from route on.
void run_from_decode(const PipelineView& view, Burst& burst, const LaneResult& lane) noexcept {
    run_stage(burst, Stage::Decode, [&](Frame& frame) { return stages::decode(view, frame); });
    run_stage(burst, Stage::Claim, [&](Frame& frame) {
        const auto end = stages::claim(view, frame);
        if (!end && info_of(frame.claim.leg).reads != Reads::Heard) frame.prefetch_payload();
        return end;
    });
    run_stage(burst, Stage::Digest, [&](Frame& frame) { return stages::digest(view, frame); });
    add_live(burst, lane.digested);
    // Lines of the table of calls are fetched all at once, so that their page walks overlap.
    std::array<std::uint64_t, kMaxBurst> looked_up;
    std::size_t looked_up_count = 0;
    run_stage(burst, Stage::Admit, [&](Frame& frame) {
        const auto end = stages::admit(view, frame);
        if (!end && frame.key.is_looked_up) looked_up[looked_up_count++] = frame.key.hash;
        return end;
    });
    view.calls.prefetch(std::span(looked_up).first(looked_up_count));
    bool has_replies = false;
    run_stage(burst, Stage::Steer, [&](Frame& frame) {
        const auto end = stages::steer(view, frame, burst.calls);
        has_replies = has_replies || frame.target.reply;
        return end;
    });
    add_live(burst, lane.steered);
    for (FrameSet left = lane.steered; left != 0; left &= left - 1)
        has_replies = has_replies ||
                      burst.frames[static_cast<std::size_t>(std::countr_zero(left))].target.reply;
    run_stage(burst, Stage::Route, [&](Frame& frame) { return stages::route(view, frame); });
    if (has_replies)
        run_stage(burst, Stage::Edit, [&](Frame& frame) {
            return frame.target.reply ? stages::edit(view, frame) : std::nullopt;
        });
    for (std::size_t i = 0; i < burst.live_count; ++i)
        stages::emit(view, burst.frames[burst.live[i]]);
    burst.clock.charge(Stage::Emit);
}

} // namespace

void set_frame(
    Burst& burst, std::size_t at, std::byte* bytes, std::uint32_t length, PortId rx_port) noexcept {
    Frame& frame = burst.frames[at];
    frame = Frame{};
    frame.bytes = bytes;
    frame.length = length;
    frame.rx_port = rx_port;
}

void run_stages(const PipelineView& view, Burst& burst) noexcept {
    burst.calls = {};
    burst.clock.charge(Stage::Rest);
    set_live(burst, all_of(burst));
    run_from_decode(view, burst, {});
}

void run_pipeline(const PipelineView& view, Burst& burst) noexcept {
    burst.calls = {};
    burst.clock.charge(Stage::Rest);
    const LaneResult lane = run_lane(view, burst);
    const FrameSet all = all_of(burst);
    set_live(burst, all & ~(lane.sent | lane.digested | lane.steered | lane.ended));
    if ((lane.sent | lane.ended) != all) run_from_decode(view, burst, lane);
    add_live(burst, lane.sent);
}

} // namespace viaduct
