// SPDX-License-Identifier: Apache-2.0
#include "pipeline.hpp"

#include "steering/admit.hpp"
#include "wire/classify.hpp"
#include "wire/rewrite.hpp"

#include "viaduct/prefetch.hpp"
#include "viaduct/steering/steer.hpp"

#include <cstring>
#include <string_view>

namespace viaduct {

namespace {

constexpr std::size_t kCacheLine = 64;
/// Cache lines of payload that are prefetched before parsing: in most messages they include the
/// Call-ID.
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

/// Reads everything that steering may need; the VIP's other rules apply.
SipDigest read_all(const Snapshot& snapshot, const Frame& frame) noexcept {
    ReadRules rules = snapshot.vips[index(*frame.vip)].read_rules;
    rules.want = kWantForCalls;
    return read_digest(frame.payload(), rules);
}

/// Whether the payload may be a request. Nearly all messages of nat backends are responses.
bool may_be_request(std::span<const std::byte> payload) noexcept {
    constexpr std::string_view kResponse = "SIP/2.0 ";
    return payload.size() > kResponse.size() &&
           std::memcmp(payload.data(), kResponse.data(), kResponse.size()) != 0;
}

/// Whether a message that is not a request is a final response.
bool is_final_answer(std::span<const std::byte> payload) noexcept {
    constexpr std::size_t kStatus = 8; // after "SIP/2.0 "
    return payload.size() > kStatus && payload[kStatus] >= std::byte{'2'};
}

/// Whether responses of the pool's backends are counted.
bool counts_work(const Snapshot& snapshot, PoolId id) noexcept {
    const Pool& pool = snapshot.pools[index(id)];
    return pool.picker && pool.picker->counts_work();
}

/// Fills in what later stages need of the message. Most responses of nat backends are not read.
void parse(const Snapshot& snapshot, Frame& frame) noexcept {
    // Only Viaduct knows the Call-ID and branch of a probe: a response must match both.
    constexpr ReadRules kProbeRules{Want::TopVia | Want::FirstLine, true};
    switch (frame.leg) {
    case Leg::ClientToVip:
        read_digest(frame.payload(), snapshot.vips[index(*frame.vip)].read_rules, frame.digest);
        break;
    case Leg::ProbeReply:
        read_digest(frame.payload(), kProbeRules, frame.digest);
        break;
    case Leg::BackendToVip:
        frame.digest = read_all(snapshot, frame);
        break;
    case Leg::BackendToClient:
        if (may_be_request(frame.payload()) ||
            (hears_answers(snapshot.pools[index(*frame.pool)]) && is_final_answer(frame.payload())))
            frame.digest = read_all(snapshot, frame);
        break;
    }
}

/// Whether the frame is steered by the table of calls or the slots.
bool is_steered(const Frame& frame) noexcept {
    switch (frame.leg) {
    case Leg::ClientToVip:
    case Leg::BackendToVip:
        return true;
    case Leg::BackendToClient:
        return frame.digest.kind == PayloadKind::Request && !frame.digest.call_id.empty() &&
               frame.digest.defect == Defect::None;
    case Leg::ProbeReply:
        break;
    }
    return false;
}

/// The keyed hashes of a burst, and prefetching of what they lead to: slots as soon as they are
/// known, lines of the table of calls all at once, so that their page walks overlap.
class Keys {
public:
    void add(const Snapshot& snapshot, const Frame& frame, std::size_t at) noexcept {
        const bool is_refused = frame.digest.call_id.empty() || frame.digest.defect != Defect::None;
        if (!is_steered(frame) || is_refused) return; // a flood of these costs nothing more
        const Pool& pool = snapshot.pools[index(*frame.pool)];
        const std::uint64_t hash = steering_hash(pool, frame.digest);
        const std::uint32_t slot = slot_of(hash);
        hashes_[at] = hash;
        if (pool.slots) prefetch(pool.slots->data() + slot);
        if (!is_settled(pool, slot)) looked_up_[count_++] = hash;
    }
    void fetch_calls(const CallTable& calls) const noexcept {
        calls.prefetch(std::span(looked_up_).first(count_));
    }
    /// The hash of a frame that is steered and was admitted.
    [[nodiscard]] std::uint64_t of(std::size_t at) const noexcept { return hashes_[at]; }

private:
    std::array<std::uint64_t, kMaxBurst> hashes_;
    std::array<std::uint64_t, kMaxBurst> looked_up_; ///< those to look up in the table of calls
    std::size_t count_ = 0;
};

std::optional<Outcome> choose_backend(const PipelineView& view,
                                      Burst& burst,
                                      Frame& frame,
                                      const Keys& keys,
                                      std::size_t at) noexcept {
    const auto take_answer = [&](PoolId pool) {
        if (frame.digest.kind == PayloadKind::Response && counts_work(view.snapshot, pool))
            note_answer(view.steering(), pool, frame.digest, {frame.payload(), {}});
    };
    if (frame.leg == Leg::BackendToClient && frame.digest.kind == PayloadKind::Response) {
        take_answer(*frame.pool);
        hear_answer(
            view.steering(), *frame.pool, frame.digest, {frame.payload(), {}}, *frame.backend);
    }
    if (!is_steered(frame)) return std::nullopt;
    const Pool& pool = view.snapshot.pools[index(*frame.pool)];
    const std::uint64_t hash = keys.of(at);
    frame.slot = slot_of(hash);
    const bool settled = pool.health_known && pool.slots && is_settled(pool, frame.slot);
    const bool may_name = frame.digest.may_reference_call && may_reference_call(frame.payload());
    if (frame.leg == Leg::ClientToVip && settled && !may_name) [[likely]] {
        frame.backend = (*pool.slots)[frame.slot]; // the same as steer() would choose
        return std::nullopt;
    }
    const Want read = view.snapshot.vips[index(*frame.vip)].read_rules.want;
    if (frame.leg == Leg::ClientToVip && read != kWantForCalls) // only the Call-ID was read so far
        frame.digest = read_all(view.snapshot, frame);
    const Ipv4Addr source{frame.header_at<Ipv4Header>(Frame::kIpOffset).source.host()};
    const ReceivedMessage received{frame.payload(), source};
    const SteerView by = view.steering();
    const auto steer_frame = [&] {
        switch (frame.leg) {
        case Leg::BackendToClient:
            return note_outgoing(by, *frame.pool, frame.digest, hash, received, *frame.backend);
        case Leg::BackendToVip:
            return steer_backend_call(by, *frame.vip, frame.digest, hash, received, *frame.backend);
        case Leg::ClientToVip:
        case Leg::ProbeReply:
            break;
        }
        return steer_vip(by, *frame.vip, frame.digest, hash, received);
    };
    const Steering steering = steer_frame();
    burst.calls.remembered += steering.remembered ? 1 : 0;
    burst.calls.table_full += steering.table_full ? 1 : 0;
    burst.calls.flooded += steering.flooded ? 1 : 0;
    if (frame.leg == Leg::BackendToClient) return std::nullopt; // its destination is known
    frame.pool = steering.pool;
    frame.slot = steering.slot;
    if (frame.leg == Leg::BackendToVip) take_answer(steering.pool);
    if (steering.backend) {
        // By value: parts that were just stored and are loaded as a whole would wait for the
        // stores.
        frame.backend = *steering.backend;
        return std::nullopt;
    }
    frame.backend.reset();
    frame.is_rejected = steering.refusal == Outcome::Rejected;
    return frame.is_rejected ? std::nullopt : std::optional(steering.refusal);
}

void prefetch_payload(const Frame& frame) noexcept {
    const std::span<const std::byte> payload = frame.payload();
    for (std::size_t line = 0; line < kPayloadLines && line * kCacheLine < payload.size(); ++line)
        prefetch(payload.data() + line * kCacheLine);
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
        if (!end && frame.leg != Leg::BackendToClient) prefetch_payload(frame);
        return end;
    });
    Keys keys;
    const auto place_of = [&](const Frame& frame) {
        return static_cast<std::size_t>(&frame - burst.frames.data());
    };
    run_stage(burst, Stage::Digest, [&](Frame& frame) noexcept {
        parse(snapshot, frame);
        keys.add(snapshot, frame, place_of(frame));
        return std::optional<Outcome>{};
    });
    run_stage(burst, Stage::Admit, [&](Frame& frame) noexcept { return admit(snapshot, frame); });
    keys.fetch_calls(view.calls);
    run_stage(burst, Stage::Steer, [&](Frame& frame) noexcept {
        return choose_backend(view, burst, frame, keys, place_of(frame));
    });
    run_stage(burst, Stage::Rewrite, [&](Frame& frame) noexcept {
        return rewrite(snapshot, view.next_hops, view.ports, frame, view.clients);
    });
}

} // namespace viaduct
