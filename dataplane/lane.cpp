// SPDX-License-Identifier: Apache-2.0
#include "lane.hpp"

#include "sip/text.hpp"
#include "steering/hash_lanes.hpp"
#include "steering/known_call.hpp"

#include "viaduct/prefetch.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <utility>

namespace viaduct {

namespace {

constexpr std::size_t kHeaderBytes = sizeof(EtherHeader) + sizeof(Ipv4Header) + sizeof(UdpHeader);
/// A frame that the lane gives up after hashing is hashed again, so its Call-ID must not be long.
constexpr std::size_t kLongestCallId = 255;

template <typename Word> Word word_at(const std::byte* bytes) noexcept {
    return sip_text::load_word<Word>(reinterpret_cast<const char*>(bytes));
}
std::uint16_t be16_at(const std::byte* bytes) noexcept {
    return reinterpret_cast<const Be16*>(bytes)->host();
}

/// Eight bytes that must be equal, of a header; the word that masks what may differ.
struct Pattern {
    std::uint64_t value;
    std::uint64_t mask;

    [[nodiscard]] std::uint64_t differs(const std::byte* bytes) const noexcept {
        return (word_at<std::uint64_t>(bytes) ^ value) & mask;
    }
};
consteval Pattern pattern(std::array<std::uint8_t, 8> value, std::array<std::uint8_t, 8> mask) {
    return {std::bit_cast<std::uint64_t>(value), std::bit_cast<std::uint64_t>(mask)};
}

constexpr std::size_t kTypeOffset = 12;
/// From the EtherType on: IPv4, no options.
constexpr Pattern kTypeAndVersion =
    pattern({0x08, 0x00, 0x45, 0, 0, 0, 0, 0}, {0xff, 0xff, 0xff, 0, 0, 0, 0, 0});
/// From the flags on: neither more fragments nor an offset; UDP.
constexpr Pattern kFlagsAndProtocol =
    pattern({0, 0, 0, kIpProtocolUdp, 0, 0, 0, 0}, {0x3f, 0xff, 0, 0xff, 0, 0, 0, 0});
constexpr std::size_t kFlagsOffset = sizeof(EtherHeader) + 6;
constexpr std::size_t kTotalLengthOffset = sizeof(EtherHeader) + 2;
constexpr std::size_t kDestinationOffset = sizeof(EtherHeader) + 16;
constexpr std::size_t kUdpOffset = sizeof(EtherHeader) + sizeof(Ipv4Header);
constexpr std::size_t kUdpLengthOffset = kUdpOffset + 4;

/// Whether these bytes are Ethernet, IPv4 without options or fragments, and UDP, with lengths that
/// fit, for this link.
bool is_plain(const std::byte* bytes, std::size_t length, const LinkView& link) noexcept {
    if (length < kHeaderBytes) [[unlikely]]
        return false;
    const auto& ether = *reinterpret_cast<const EtherHeader*>(bytes);
    const std::size_t total = be16_at(bytes + kTotalLengthOffset);
    const std::size_t udp = be16_at(bytes + kUdpLengthOffset);
    // Without branches: all of these hold nearly always.
    const unsigned is_here =
        unsigned{link.any_destination} |
        (unsigned{ether.destination == link.mac} & unsigned{ether.source != link.mac});
    const unsigned is_udp = unsigned{(kTypeAndVersion.differs(bytes + kTypeOffset) |
                                      kFlagsAndProtocol.differs(bytes + kFlagsOffset)) == 0};
    const unsigned lengths_fit = unsigned{total + sizeof(EtherHeader) <= length} &
                                 unsigned{udp >= sizeof(UdpHeader)} &
                                 unsigned{udp + sizeof(Ipv4Header) <= total};
    return (is_here & is_udp & lengths_fit) != 0;
}

/// Whether a frame that is not plain may be for a VIP all the same, and have a message that is
/// steered: fragments and tagged frames are not.
bool has_ip_options(const std::byte* bytes, std::size_t length) noexcept {
    constexpr std::byte kWithoutOptions{0x45};
    return length >= kHeaderBytes && be16_at(bytes + kTypeOffset) == kEtherTypeIpv4 &&
           bytes[sizeof(EtherHeader)] != kWithoutOptions;
}

/// The destination address and UDP port as one word, in the order of the packet.
std::uint64_t destination_at(const std::byte* bytes) noexcept {
    return std::uint64_t{word_at<std::uint32_t>(bytes + kDestinationOffset)} << 16U |
           word_at<std::uint16_t>(bytes + kUdpOffset + 2);
}

/// How the lane finds the backend of a packet of a client.
enum class LaneWay : std::uint8_t {
    None,  ///< it does not: the stages do
    Slot,  ///< by the slot of its Call-ID, if that is settled
    Calls, ///< by the table of calls
};

/// Where packets of one destination go.
struct LaneVip {
    std::uint64_t destination; ///< of its packets: destination_at()
    VipId id;
    LaneWay way;
    const Vip* vip;   ///< not with None
    const Pool* pool; ///< not with None
};

LaneWay way_of(const Vip& vip, const Pool& pool) noexcept {
    if (!vip.enabled || vip.previous || !pool.health_known || info_of(pool.mode).returns_through_us)
        return LaneWay::None;
    const Want want = vip.read_rules.want;
    if (want == Want::CallReference && pool.slots && !pool.always_looks_up()) return LaneWay::Slot;
    if (want == kWantForCalls && pool.tracks_all_calls() && !pool.keys) return LaneWay::Calls;
    return LaneWay::None;
}

LaneVip find_vip(const Snapshot& snapshot, const std::byte* bytes) noexcept {
    const auto& ip = *reinterpret_cast<const Ipv4Header*>(bytes + sizeof(EtherHeader));
    const auto& udp = *reinterpret_cast<const UdpHeader*>(bytes + kUdpOffset);
    LaneVip found{destination_at(bytes), {}, LaneWay::None, nullptr, nullptr};
    const auto id = snapshot.vip_by_endpoint.find(
        {Ipv4Addr{ip.destination.host()}, udp.destination_port.host()});
    if (!id) return found;
    found.id = VipId{*id};
    found.vip = &snapshot.vips[*id];
    found.pool = &snapshot.pools[index(found.vip->pool)];
    found.way = way_of(*found.vip, *found.pool);
    return found;
}

/// Writes the frame that leaves. False: the next hop is not known, or the frame does not fit.
bool send(const PipelineView& view, Frame& frame, BackendId backend) noexcept {
    if (index(backend) >= view.snapshot.backends.size()) return false;
    const Egress& egress = view.snapshot.backends[index(backend)].egress;
    if (egress.edits_l3 || index(egress.hop) >= view.next_hops.hops.size()) return false;
    const NextHop& hop = view.next_hops.hops[index(egress.hop)];
    if (!hop.mac || index(hop.link) >= view.links.size()) return false;
    const LinkView& link = view.links[index(hop.link)];
    if (frame.length > link.max_frame_bytes) return false;
    frame.set_macs(*hop.mac, link.mac);
    frame.target = {frame.claim.pool, backend, false};
    frame.exit.tx_port = link.port;
    return true;
}

constexpr FrameSet set_of(std::size_t at) noexcept {
    return FrameSet{1} << at;
}

/// The frames of a burst on their way through the lane.
class Lane {
public:
    Lane(const PipelineView& view, Burst& burst) noexcept : view_(view), burst_(burst) {}

    LaneResult run() noexcept {
        take();
        burst_.clock.charge(Stage::Claim);
        read();
        burst_.clock.charge(Stage::Digest);
        hash_keys(std::span(jobs_).first(count_), hashes_.data());
        prefetch_owners();
        burst_.clock.charge(Stage::Admit);
        if (!has_calls_) [[likely]] {
            for (std::size_t i = 0; i < count_; ++i)
                send_settled(i);
            burst_.clock.charge(Stage::Emit);
        } else {
            for (std::size_t i = 0; i < count_; ++i)
                vips_[i]->way == LaneWay::Slot ? send_settled(i) : steer_call(i);
            burst_.clock.charge(Stage::Steer);
        }
        result_.digested &= ~(result_.sent | result_.steered | result_.ended);
        return result_;
    }

private:
    /// Takes the frames with plain headers for a VIP, and prefetches their payload.
    void take() noexcept {
        const LaneVip* vip = nullptr; // of the frame before
        LaneVip* next = known_.data();
        for (std::size_t at = 0; at < burst_.count; ++at) {
            Frame& frame = burst_.frames[at];
            const std::byte* const bytes = frame.bytes;
            const LinkView& link = view_.links[index(link_of(frame.rx_port))];
            if (!is_plain(bytes, frame.length, link)) [[unlikely]] {
                leave(at);
                if (has_ip_options(bytes, frame.length)) marked_from_ = std::min(marked_from_, at);
                continue;
            }
            if (vip == nullptr || destination_at(bytes) != vip->destination) [[unlikely]] {
                *next = find_vip(view_.snapshot, bytes);
                vip = next++;
            }
            if (vip->way == LaneWay::None) [[unlikely]] {
                leave(at);
                continue;
            }
            has_calls_ = has_calls_ || vip->way == LaneWay::Calls;
            const auto payload =
                static_cast<std::uint16_t>(be16_at(bytes + kUdpLengthOffset) - sizeof(UdpHeader));
            frame.layout = {.l2_len = sizeof(EtherHeader),
                            .l3_len = sizeof(Ipv4Header),
                            .l4_len = sizeof(UdpHeader),
                            .payload_len = payload,
                            .protocol = kIpProtocolUdp};
            frame.claim.vip = vip->id; // the leg is the first one, from a client
            frame.claim.pool = vip->vip->pool;
            frame.prefetch_payload();
            vips_[count_] = vip;
            taken_[count_++] = static_cast<std::uint8_t>(at);
        }
    }

    /// Reads the messages, and keeps the frames whose Call-ID leads to a backend. A message that
    /// references a call may mark a slot, and the frames after it have to see the mark.
    void read() noexcept {
        const std::size_t taken = std::exchange(count_, 0);
        for (std::size_t i = 0; i < taken; ++i) {
            const std::size_t at = taken_[i];
            Frame& frame = burst_.frames[at];
            const LaneVip* const vip = vips_[i];
            read_digest(frame.payload(), vip->vip->read_rules, frame.digest);
            result_.digested |= set_of(at);
            const SipDigest& digest = frame.digest;
            const bool has_plain_call_id = !digest.call_id.empty() &&
                                           digest.call_id.size() <= kLongestCallId &&
                                           digest.defect == Defect::None;
            if (vip->way == LaneWay::Calls) {
                if (!has_plain_call_id || digest.kind == PayloadKind::NotSip) [[unlikely]] {
                    if (!admit_message(*vip->vip, digest)) leave(at);
                    continue;
                }
            } else if (digest.kind != PayloadKind::Unread || !has_plain_call_id ||
                       digest.may_reference_call || at > marked_from_) [[unlikely]] {
                if (digest.may_reference_call) marked_from_ = std::min(marked_from_, at);
                leave(at);
                continue;
            }
            const auto* const end = reinterpret_cast<const char*>(frame.bytes) + frame.length;
            jobs_[count_] = {digest.call_id.data(),
                             static_cast<std::uint32_t>(digest.call_id.size()),
                             static_cast<std::uint32_t>(end - digest.call_id.data()),
                             &vip->pool->call_id_hash};
            vips_[count_] = vip;
            taken_[count_++] = taken_[i];
        }
    }

    /// Lines of the table of calls are fetched all at once, so that their page walks overlap.
    void prefetch_owners() noexcept {
        std::array<std::uint64_t, kMaxBurst> looked_up;
        std::size_t looked_up_count = 0;
        for (std::size_t i = 0; i < count_; ++i)
            if (vips_[i]->way == LaneWay::Slot) [[likely]]
                prefetch(vips_[i]->pool->slots->data() + slot_of(hashes_[i]));
            else
                looked_up[looked_up_count++] = hashes_[i];
        if (looked_up_count != 0) view_.calls.prefetch(std::span(looked_up).first(looked_up_count));
    }

    void send_settled(std::size_t i) noexcept {
        const Pool& pool = *vips_[i]->pool;
        const std::uint32_t slot = slot_of(hashes_[i]);
        if (!is_settled(pool, slot)) [[unlikely]]
            return leave(taken_[i]);
        if (send(view_, burst_.frames[taken_[i]], (*pool.slots)[slot])) [[likely]]
            result_.sent |= set_of(taken_[i]);
    }

    void steer_call(std::size_t i) noexcept {
        const std::uint8_t at = taken_[i];
        if (at > first_left_) return;
        Frame& frame = burst_.frames[at];
        const auto& ip = frame.header_at<Ipv4Header>(sizeof(EtherHeader));
        const PoolId pool = vips_[i]->vip->pool;
        const auto known = follow_known_call(view_.steering(),
                                             pool,
                                             frame.digest,
                                             hashes_[i],
                                             {frame.payload(), Ipv4Addr{ip.source.host()}});
        if (known) [[likely]] {
            frame.target = {pool, known, false};
        } else {
            frame.key = {.hash = hashes_[i],
                         .slot = slot_of(hashes_[i]),
                         .is_steered = true,
                         .is_looked_up = true};
            if (const auto end = stages::steer(view_, frame, burst_.calls)) {
                burst_.outcomes[at] = *end;
                result_.ended |= set_of(at);
                return;
            }
        }
        const bool is_sent = !frame.target.reply && send(view_, frame, *frame.target.backend);
        (is_sent ? result_.sent : result_.steered) |= set_of(at);
    }

    /// Leaves a frame to the stages, which may change the table of calls then.
    void leave(std::size_t at) noexcept { first_left_ = std::min(first_left_, at); }

    const PipelineView& view_;
    Burst& burst_;
    std::size_t count_ = 0;
    std::size_t first_left_ = kMaxBurst;  ///< the frames after it are not steered by the table
    std::size_t marked_from_ = kMaxBurst; ///< the frames after it may be in a slot that it marks
    bool has_calls_ = false;
    // Of the first `count_` frames; not initialised.
    std::array<std::uint8_t, kMaxBurst> taken_; ///< positions in the burst
    std::array<const LaneVip*, kMaxBurst> vips_;
    std::array<HashJob, kMaxBurst> jobs_;
    std::array<std::uint64_t, kMaxBurst> hashes_;
    std::array<LaneVip, kMaxBurst> known_;
    LaneResult result_;
};

} // namespace

LaneResult run_lane(const PipelineView& view, Burst& burst) noexcept {
    return Lane(view, burst).run();
}

} // namespace viaduct
