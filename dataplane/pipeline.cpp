// SPDX-License-Identifier: Apache-2.0
#include "pipeline.hpp"

#include "classify.hpp"
#include "policy.hpp"
#include "rewrite.hpp"

#include "viaduct/steer.hpp"

namespace viaduct {

namespace {

constexpr std::size_t kCacheLine = 64;
/// Lines of payload fetched ahead of parsing: the Call-ID of most messages lies in them.
constexpr std::size_t kPayloadLines = 6;

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

/// Fills in what later stages need of the message. Of a nat backend's they need nothing.
void parse(const Snapshot& snapshot, Frame& frame) noexcept {
    // Probes go out with a Call-ID and a branch that nobody else knows: an answer has to match
    // both.
    constexpr ReadRules kProbeRules{Want::TopVia | Want::FirstLine, true};
    switch (frame.origin) {
    case Origin::Client:
        read_digest(frame.payload(), snapshot.vips[index(*frame.vip)].read_rules, frame.digest);
        break;
    case Origin::ProbeTarget:
        read_digest(frame.payload(), kProbeRules, frame.digest);
        break;
    case Origin::NatBackend:
        break;
    }
}

/// First all hashes of the burst, then what they lead to: so it is fetched side by side.
void hash_keys(const PipelineView& view,
               const Burst& burst,
               std::array<std::uint64_t, kMaxBurst>& hashes) noexcept {
    for (std::size_t i = 0; i < burst.live_count; ++i) {
        const Frame& frame = burst.frames[burst.live[i]];
        if (frame.origin != Origin::Client) continue;
        const Pool& pool = view.snapshot.pools[index(*frame.pool)];
        const std::uint64_t hash = steering_hash(pool, frame.digest);
        hashes[burst.live[i]] = hash;
        const std::uint32_t slot = slot_of(hash);
        if (pool.slots) __builtin_prefetch(pool.slots->data() + slot);
        if (!is_settled(pool, slot)) view.calls.prefetch(hash);
    }
}

std::optional<Outcome>
choose_backend(const PipelineView& view, Burst& burst, Frame& frame, std::uint64_t hash) noexcept {
    if (frame.origin != Origin::Client) return std::nullopt;
    const Pool& pool = view.snapshot.pools[index(*frame.pool)];
    frame.slot = slot_of(hash);
    const bool settled = pool.has_verdict && pool.slots && is_settled(pool, frame.slot);
    if (settled && !may_name_call(frame.payload())) [[likely]] {
        frame.backend = (*pool.slots)[frame.slot]; // as steer() has it
        return std::nullopt;
    }
    if (settled) frame.digest = read_digest(frame.payload()); // so far only for its Call-ID
    const Ipv4Addr source{frame.header_at<Ipv4Header>(Frame::kIpOffset).source.host()};
    const Steering steering =
        steer_vip(view.steering(), *frame.vip, frame.digest, hash, {frame.payload(), source});
    frame.pool = steering.pool;
    frame.slot = steering.slot;
    frame.backend = steering.backend;
    burst.calls.remembered += steering.remembered ? 1 : 0;
    burst.calls.table_full += steering.table_full ? 1 : 0;
    if (!steering.backend) return steering.refusal;
    return std::nullopt;
}

void prefetch_payload(const Frame& frame) noexcept {
    const std::span<const std::byte> payload = frame.payload();
    for (std::size_t line = 0; line < kPayloadLines && line * kCacheLine < payload.size(); ++line)
        __builtin_prefetch(payload.data() + line * kCacheLine);
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

void run_pipeline(const PipelineView& view, Burst& burst) noexcept {
    const Snapshot& snapshot = view.snapshot;
    for (std::size_t i = 0; i < burst.count; ++i)
        burst.live[i] = static_cast<std::uint8_t>(i);
    burst.live_count = burst.count;
    burst.calls = {};
    burst.clock.charge(Stage::Rest);

    run_stage(burst, Stage::Classify, [&](Frame& frame) noexcept {
        const auto end = classify(snapshot, view.ports[index(frame.rx_port)], frame);
        if (!end && frame.origin != Origin::NatBackend) prefetch_payload(frame);
        return end;
    });
    run_stage(burst, Stage::Parse, [&](Frame& frame) noexcept {
        parse(snapshot, frame);
        return std::optional<Outcome>{};
    });
    run_stage(burst, Stage::Admit, [&](Frame& frame) noexcept { return admit(snapshot, frame); });
    std::array<std::uint64_t, kMaxBurst> hashes;
    hash_keys(view, burst, hashes);
    run_stage(burst, Stage::Steer, [&](Frame& frame) noexcept {
        const auto at = static_cast<std::size_t>(&frame - burst.frames.data());
        return choose_backend(view, burst, frame, hashes[at]);
    });
    run_stage(burst, Stage::Rewrite, [&](Frame& frame) noexcept {
        return rewrite(snapshot, view.next_hops, view.ports, frame);
    });
}

} // namespace viaduct
