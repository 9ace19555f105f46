// SPDX-License-Identifier: Apache-2.0
#include "stages/stages.hpp"

namespace viaduct::stages {

namespace {

/// Handles ICMP. An error that quotes a probe of ours is a report about its backend.
Outcome claim_icmp(const Snapshot& snapshot, Frame& frame, Ipv4Addr destination) noexcept {
    constexpr std::uint8_t kUnreachable = 3;
    constexpr std::uint8_t kTimeExceeded = 11;
    constexpr std::uint8_t kParameterProblem = 12;
    const std::size_t bytes = frame.layout.payload_len;
    if (frame.layout.fragment != Fragment::Whole ||
        !snapshot.own_addresses.find({destination, 0}) ||
        bytes < sizeof(IcmpHeader) + sizeof(Ipv4Header))
        return Outcome::Punted;
    const std::size_t offset = frame.layout.l4_offset();
    const std::uint8_t type = frame.header_at<IcmpHeader>(offset).type;
    if (type != kUnreachable && type != kTimeExceeded && type != kParameterProblem)
        return Outcome::Punted;
    const std::size_t quoted_offset = offset + sizeof(IcmpHeader);
    const auto& quoted = frame.header_at<Ipv4Header>(quoted_offset);
    const std::size_t header_bytes = std::size_t{quoted.version_ihl & 0x0fU} * 4;
    if (quoted.protocol != kIpProtocolUdp || header_bytes < sizeof(Ipv4Header) ||
        bytes < sizeof(IcmpHeader) + header_bytes + sizeof(UdpHeader))
        return Outcome::Punted;
    const auto& udp = frame.header_at<UdpHeader>(quoted_offset + header_bytes);
    if (!snapshot.probe_endpoints.find({Ipv4Addr{quoted.source.host()}, udp.source_port.host()}))
        return Outcome::Punted;
    frame.claim.leg = Leg::ProbeReply;
    frame.claim.quoted_offset = static_cast<std::uint16_t>(quoted_offset);
    return Outcome::ProbeAnswer;
}

/// Ends a fragment, except the first one of a reply to a probe: no more is needed of that.
std::optional<Outcome> claim_fragment(const Snapshot& snapshot,
                                      const Frame& frame,
                                      Ipv4Addr source,
                                      Ipv4Addr destination) noexcept {
    const bool is_own = snapshot.own_addresses.find({destination, 0}).has_value();
    if (snapshot.vip_addresses.find({destination, 0}) ||
        (snapshot.nat_addresses.find({source, 0}) && !is_own))
        return Outcome::Fragment;
    if (!is_own || frame.layout.l4_len == 0) return Outcome::Punted;
    const auto& udp = frame.header_at<UdpHeader>(frame.layout.l4_offset());
    if (!snapshot.probe_endpoints.find({destination, udp.destination_port.host()}))
        return Outcome::Punted;
    return std::nullopt;
}

/// Determines the leg of a datagram between these endpoints.
std::optional<Outcome> claim_datagram(const Snapshot& snapshot,
                                      Claim& claim,
                                      Endpoint source,
                                      Endpoint destination) noexcept {
    auto sender = snapshot.nat_backends.find(source);
    if (!sender) sender = snapshot.nat_backends.find({source.address, 0});

    if (const auto vip = snapshot.vip_by_endpoint.find(destination)) {
        claim.vip = VipId{*vip};
        claim.pool = snapshot.vips[*vip].pool;
        // Backends of a pool whose responses do not pass here answer their callers directly.
        const auto is_nat = [&](PoolId pool) {
            return info_of(snapshot.pools[index(pool)].mode).returns_through_us;
        };
        const std::optional<PoolId> previous = snapshot.vips[*vip].previous;
        const bool nat = sender && (is_nat(*claim.pool) || (previous && is_nat(*previous)));
        claim.leg = nat ? Leg::BackendToVip : Leg::ClientToVip;
        if (nat) claim.sender = BackendId{*sender};
        return std::nullopt;
    }
    if (snapshot.probe_endpoints.find(destination)) { // from any address, for health to report
        claim.leg = Leg::ProbeReply;
        claim.is_stranger = !snapshot.probe_sources.find({source.address, 0});
        return std::nullopt;
    }
    if (!sender || snapshot.own_addresses.find({destination.address, 0}) ||
        snapshot.vip_addresses.find({destination.address, 0}))
        return Outcome::Punted;
    claim.leg = Leg::BackendToClient;
    claim.sender = BackendId{*sender};
    claim.pool = snapshot.backends[*sender].pool;
    claim.vip = snapshot.pools[index(*claim.pool)].nat_vip;
    return claim.vip ? std::nullopt : std::optional(Outcome::Punted);
}

} // namespace

std::optional<Outcome> claim(const PipelineView& view, Frame& frame) noexcept {
    const Snapshot& snapshot = view.snapshot;
    const auto& ip = frame.header_at<Ipv4Header>(frame.layout.l2_len);
    const Ipv4Addr source{ip.source.host()};
    const Ipv4Addr destination{ip.destination.host()};
    if (frame.layout.vlan_tags > 0) [[unlikely]] {
        const bool for_vip = snapshot.vip_addresses.find({destination, 0}).has_value();
        return for_vip && ip.protocol == kIpProtocolUdp ? Outcome::Vlan : Outcome::Punted;
    }
    if (frame.layout.protocol == kIpProtocolIcmp) [[unlikely]]
        return claim_icmp(snapshot, frame, destination);
    if (frame.layout.fragment != Fragment::Whole) [[unlikely]]
        if (const auto end = claim_fragment(snapshot, frame, source, destination)) return end;
    const auto& udp = frame.header_at<UdpHeader>(frame.layout.l4_offset());
    return claim_datagram(snapshot,
                          frame.claim,
                          {source, udp.source_port.host()},
                          {destination, udp.destination_port.host()});
}

} // namespace viaduct::stages
