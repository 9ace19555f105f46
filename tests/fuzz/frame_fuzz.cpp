// SPDX-License-Identifier: Apache-2.0
//
// frame_fuzz: any frame through the whole pipeline.
//
// In:    16 control bytes: who sends to whom, odd headers, up to four bytes of the frame to change;
//        then the UDP payload, or the whole frame when control byte 0 says so.
// Laws:  every frame ends in one outcome, or is live and has a port; equal frames end alike; what
//        is not sent is unchanged; dsr-l2 changes nothing but the MACs, nat neither payload nor
//        length, and a right checksum stays right; the backend follows from the Call-ID alone.
#include "both_ways.hpp"
#include "fuzz_input.hpp"
#include "steer_by.hpp"
#include "world.hpp"

#include "viaduct/steering/steer.hpp"

#include <memory>

namespace viaduct::fuzz {

namespace {

using test::Bytes;

constexpr std::size_t kControlBytes = 16;
constexpr std::size_t kPatches = 4;

template <std::size_t Count>
std::string_view chosen(const std::array<std::string_view, Count>& from, unsigned by) {
    return from[by % Count];
}

Bytes frame_from(std::span<const std::uint8_t> control, std::string_view payload) {
    static constexpr std::array<std::string_view, 7> kSources{test::kClient,
                                                              "203.0.113.21",
                                                              test::kNeighbour,
                                                              "198.51.100.21",
                                                              "203.0.113.22",
                                                              test::kDsrVip,
                                                              "203.0.113.77"};
    static constexpr std::array<std::string_view, 7> kDestinations{test::kDsrVip,
                                                                   test::kNatVip,
                                                                   test::kClient,
                                                                   test::kOwnAddress,
                                                                   "203.0.113.77",
                                                                   "198.51.100.98",
                                                                   "203.0.113.21"};
    static constexpr std::array<std::uint16_t, 4> kUdpPorts{
        5060, test::kNatUdpPort, test::kProbeUdpPort, 40'000};
    if ((control[0] & 0x80) != 0) return test::bytes_of(payload);

    test::FrameBuilder builder;
    const unsigned odd = control[2];
    builder.ipv4(chosen(kSources, control[0]), chosen(kDestinations, control[1]))
        .udp(kUdpPorts[control[3] & 3], kUdpPorts[control[3] >> 2 & 3]);
    builder.macs(test::kClientMac, (control[3] & 0x10) != 0 ? test::kPort1Mac : test::kPort0Mac);
    builder.payload(payload.substr(0, 65'507));
    if ((odd & 1) != 0) builder.no_udp_checksum();
    if ((odd & 2) != 0) builder.ttl(control[3] >> 5);
    if ((odd & 4) != 0) builder.ip_options(Bytes(4, std::byte{1}));
    if ((odd & 8) != 0) builder.vlan(100);
    if ((odd & 16) != 0) builder.fragment(0, true);
    if ((odd & 32) != 0) builder.trailer(7);
    if ((odd & 64) != 0) builder.udp_length(static_cast<std::uint16_t>(payload.size() / 2));
    if ((odd & 128) != 0) builder.cut(payload.size());
    Bytes frame = builder.build();
    for (std::size_t i = 0; i < kPatches && !frame.empty(); ++i) {
        const auto patch = control.subspan(4 + 3 * i, 3);
        const std::size_t at = patch[0] | std::size_t{patch[1]} << 8;
        if (at != 0 && at < frame.size()) frame[at] = std::byte{patch[2]}; // 0: no change
    }
    return frame;
}

void check_ended(Outcome outcome) {
    require(outcome < kNoOutcome, "a frame that is not live has an outcome");
    require(outcome != Outcome::Internal, "no branch that cannot happen is taken");
    require(outcome != Outcome::Forwarded && outcome != Outcome::Returned &&
                outcome != Outcome::TxFull && outcome != Outcome::PuntLimited,
            "only a worker knows that a frame was sent");
}

/// A checksum's two zeros are one.
bool alike(std::uint16_t before, std::uint16_t after) {
    return before == after || (before % 0xffff == 0 && after % 0xffff == 0);
}

void check_sent(const test::World& world, Frame& frame, const Bytes& before, const Bytes& after) {
    require(index(frame.exit.tx_port) < world.links.size(), "a live frame has a port to leave by");
    if (frame.target.reply) {
        require(frame.exit.tx_port == frame.rx_port,
                "an answer leaves by where its request came from");
        require(after.size() <= before.size(), "nobody gets more than they sent");
        require(test::received_ip_sum(after) == 0xffff && test::received_udp_sum(after) == 0xffff,
                "an answer's checksums are right");
        return;
    }
    require(frame.claim.vip && frame.pool() && frame.backend(),
            "a live frame has VIP, pool and backend");
    const Snapshot& snapshot = world.snapshot;
    const Backend& backend = snapshot.backends[index(*frame.backend())];
    require(backend.pool == *frame.pool(), "the backend is one of the pool's");
    if (frame.claim.leg == Leg::ClientToVip) {
        require(frame.digest.kind != PayloadKind::KeepAlive &&
                    frame.digest.kind != PayloadKind::Stun,
                "keep-alives and STUN are not forwarded");
        require(!frame.digest.call_id.empty(), "only what has a Call-ID is forwarded");
        require(lies_in(frame.digest.call_id, view_of(frame.payload())),
                "the Call-ID lies in the payload");
        require(test::would_steer({snapshot, {}, {}}, *frame.pool(), frame.digest).backend ==
                    frame.backend(),
                "the backend follows from the Call-ID alone");
    }
    const auto same_from = [&](std::size_t at) {
        return std::equal(before.begin() + static_cast<std::ptrdiff_t>(at),
                          before.end(),
                          after.begin() + static_cast<std::ptrdiff_t>(at),
                          after.end());
    };
    constexpr std::size_t kMacBytes = 12;
    if (snapshot.pools[index(*frame.pool())].mode == ForwardMode::DsrL2) {
        require(same_from(kMacBytes), "dsr-l2 changes nothing but the MACs");
        return;
    }
    require(same_from(frame.layout.l4_offset() + sizeof(UdpHeader)),
            "nat does not change the payload");
    require(alike(test::received_ip_sum(before), test::received_ip_sum(after)),
            "nat keeps the IP checksum as right as it was");
    const auto udp = test::header_at<UdpHeader>(after, frame.layout.l4_offset());
    if (udp.checksum != Be16(0))
        require(alike(test::received_udp_sum(before), test::received_udp_sum(after)),
                "nat keeps the UDP checksum as right as it was");
}

} // namespace

} // namespace viaduct::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace viaduct;
    using namespace viaduct::fuzz;
    if (size < kControlBytes) return 0;
    static const test::World world = test::world();
    const std::span control(data, kControlBytes);
    const std::string_view payload(reinterpret_cast<const char*>(data) + kControlBytes,
                                   size - kControlBytes);
    const Bytes before = frame_from(control, payload);

    constexpr std::size_t kCopies = 2;
    std::array<Bytes, kCopies> frames{before, before};
    static Burst burst;
    burst.outcomes.fill(kNoOutcome);
    burst.count = kCopies;
    const PortId rx_port{static_cast<std::uint8_t>((control[3] & 0x10) != 0 ? 1 : 0)};
    for (std::size_t i = 0; i < kCopies; ++i) {
        frames[i].shrink_to_fit(); // so that one byte too far is seen
        set_frame(
            burst, i, frames[i].data(), static_cast<std::uint32_t>(frames[i].size()), rx_port);
    }
    run_pipeline(world.view(), burst);
    require(test::run(run_pipeline, world.view(), {before}, rx_port) ==
                test::run(run_stages, world.view(), {before}, rx_port),
            "the lane does what the stages do");

    require(burst.live_count == 0 || burst.live_count == kCopies, "equal frames end alike");
    require(burst.count == kCopies &&
                (burst.frames[0].length == before.size() || burst.frames[0].target.reply),
            "no frame is lost and none changes its length");
    require(frames[0] == frames[1] && burst.frames[0].backend() == burst.frames[1].backend() &&
                burst.frames[0].exit.tx_port == burst.frames[1].exit.tx_port,
            "equal frames are treated alike");
    if (burst.live_count == 0) {
        require(burst.outcomes[0] == burst.outcomes[1], "equal frames have one outcome");
        check_ended(burst.outcomes[0]);
        require(frames[0] == before, "what is not sent is not changed");
    } else {
        frames[0].resize(burst.frames[0].length); // an answer is shorter
        check_sent(world, burst.frames[0], before, frames[0]);
    }
    return 0;
}

extern "C" std::size_t
LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size, unsigned seed) {
    return viaduct::fuzz::mutate_input(viaduct::fuzz::kControlBytes, data, size, max_size, seed);
}
