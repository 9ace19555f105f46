// SPDX-License-Identifier: Apache-2.0
#include "wire/classify.hpp"

namespace viaduct {

namespace {

constexpr std::uint16_t kFragmentBits = 0x3fff; // more-fragments flag and offset, RFC 791 §3.1
constexpr std::uint16_t kFragmentOffset = 0x1fff;

/// Finds the outcome of a tagged frame: packets for a VIP have their own, other frames are punted.
Outcome classify_tagged(const Snapshot& snapshot, Frame& frame, std::uint16_t ether_type) noexcept {
    std::size_t offset = sizeof(EtherHeader);
    while (ether_type == kEtherTypeVlan || ether_type == kEtherTypeQinq) {
        if (frame.length < offset + sizeof(VlanTag)) return Outcome::BadFrame;
        ether_type = frame.header_at<VlanTag>(offset).ether_type.host();
        offset += sizeof(VlanTag);
    }
    if (ether_type != kEtherTypeIpv4 || frame.length < offset + sizeof(Ipv4Header))
        return Outcome::Punted;
    const auto& ip = frame.header_at<Ipv4Header>(offset);
    const bool for_vip =
        snapshot.vip_addresses.find({Ipv4Addr{ip.destination.host()}, 0}).has_value();
    return for_vip && ip.protocol == kIpProtocolUdp ? Outcome::Vlan : Outcome::Punted;
}

/// Handles an ICMP error. If it quotes a probe it is a report about its backend; `udp_offset` is
/// then that of the quoted packet.
Outcome classify_icmp(const Snapshot& snapshot,
                      Frame& frame,
                      std::size_t offset,
                      std::size_t bytes) noexcept {
    constexpr std::uint8_t kUnreachable = 3;
    constexpr std::uint8_t kTimeExceeded = 11;
    constexpr std::uint8_t kParameterProblem = 12;
    const std::size_t quoted_offset = offset + sizeof(IcmpHeader);
    if (bytes < sizeof(IcmpHeader) + sizeof(Ipv4Header)) return Outcome::Punted;
    const std::uint8_t type = frame.header_at<IcmpHeader>(offset).type;
    if (type != kUnreachable && type != kTimeExceeded && type != kParameterProblem)
        return Outcome::Punted;
    const auto& quoted = frame.header_at<Ipv4Header>(quoted_offset);
    const std::size_t header_bytes = std::size_t{quoted.version_ihl & 0x0fU} * 4;
    if (quoted.protocol != kIpProtocolUdp || header_bytes < sizeof(Ipv4Header) ||
        bytes < sizeof(IcmpHeader) + header_bytes + sizeof(UdpHeader))
        return Outcome::Punted;
    const auto& udp = frame.header_at<UdpHeader>(quoted_offset + header_bytes);
    if (!snapshot.probe_endpoints.find({Ipv4Addr{quoted.source.host()}, udp.source_port.host()}))
        return Outcome::Punted;
    frame.leg = Leg::ProbeReply;
    frame.udp_offset = static_cast<std::uint16_t>(quoted_offset + header_bytes);
    return Outcome::ProbeAnswer;
}

/// Determines the leg of a whole UDP datagram between these endpoints, or the outcome of foreign
/// traffic.
std::optional<Outcome>
find_owner(const Snapshot& snapshot, Endpoint source, Endpoint destination, Frame& frame) noexcept {
    auto sender = snapshot.nat_backends.find(source);
    if (!sender) sender = snapshot.nat_backends.find({source.address, 0});

    if (const auto vip = snapshot.vip_by_endpoint.find(destination)) {
        frame.vip = VipId{*vip};
        frame.pool = snapshot.vips[*vip].pool;
        // Backends of a dsr-l2 pool answer their callers directly.
        const auto is_nat = [&](PoolId pool) {
            return info_of(snapshot.pools[index(pool)].mode).returns_through_us;
        };
        const std::optional<PoolId> previous = snapshot.vips[*vip].previous;
        const bool nat = is_nat(*frame.pool) || (previous && is_nat(*previous));
        frame.leg = sender && nat ? Leg::BackendToVip : Leg::ClientToVip;
        if (sender && nat) frame.backend = BackendId{*sender};
        return std::nullopt;
    }
    if (snapshot.probe_endpoints.find(destination)) { // from any address, for health to report
        frame.leg = Leg::ProbeReply;
        frame.is_stranger = !snapshot.probe_sources.find({source.address, 0});
        return std::nullopt;
    }
    if (!sender || snapshot.own_addresses.find({destination.address, 0}) ||
        snapshot.vip_addresses.find({destination.address, 0}))
        return Outcome::Punted;
    frame.leg = Leg::BackendToClient;
    frame.backend = BackendId{*sender};
    frame.pool = snapshot.backends[*sender].pool;
    frame.vip = snapshot.pools[index(*frame.pool)].nat_vip;
    return frame.vip ? std::nullopt : std::optional(Outcome::Punted);
}

} // namespace

std::optional<Outcome>
classify(const Snapshot& snapshot, const PortView& port, Frame& frame) noexcept {
    if (frame.length < sizeof(EtherHeader)) return Outcome::BadFrame;
    const auto& ether = frame.header_at<EtherHeader>(0);
    if (!port.any_destination) {
        if (ether.source == port.mac) return Outcome::OwnSource;
        if (ether.destination != port.mac)
            return ether.destination.is_multicast() ? Outcome::Punted : Outcome::ForeignMac;
    }
    const std::uint16_t ether_type = ether.ether_type.host();
    if (ether_type == kEtherTypeVlan || ether_type == kEtherTypeQinq)
        return classify_tagged(snapshot, frame, ether_type);
    if (ether_type != kEtherTypeIpv4) return Outcome::Punted;

    const std::size_t ip_bytes = frame.length - Frame::kIpOffset;
    if (ip_bytes < sizeof(Ipv4Header)) return Outcome::BadIp;
    const auto& ip = frame.header_at<Ipv4Header>(Frame::kIpOffset);
    const std::size_t header_bytes = std::size_t{ip.version_ihl & 0x0fU} * 4;
    const std::size_t total_bytes = ip.total_length.host();
    if (ip.version_ihl >> 4 != 4 || header_bytes < sizeof(Ipv4Header) ||
        total_bytes < header_bytes || total_bytes > ip_bytes)
        return Outcome::BadIp;
    const std::uint16_t fragment = ip.flags_fragment.host() & kFragmentBits;
    const std::size_t udp_offset = Frame::kIpOffset + header_bytes;
    const Ipv4Addr source{ip.source.host()};
    const Ipv4Addr destination{ip.destination.host()};
    if (ip.protocol == kIpProtocolIcmp && fragment == 0 &&
        snapshot.own_addresses.find({destination, 0}))
        return classify_icmp(snapshot, frame, udp_offset, total_bytes - header_bytes);
    if (ip.protocol != kIpProtocolUdp) return Outcome::Punted;

    if (fragment != 0) [[unlikely]] {
        const bool is_own = snapshot.own_addresses.find({destination, 0}).has_value();
        if (snapshot.vip_addresses.find({destination, 0}) ||
            (snapshot.nat_addresses.find({source, 0}) && !is_own))
            return Outcome::Fragment;
        // Of a fragmented probe response only the first fragment is needed.
        if (!is_own || (fragment & kFragmentOffset) != 0) return Outcome::Punted;
    }
    const std::size_t udp_bytes = total_bytes - header_bytes;
    if (udp_bytes < sizeof(UdpHeader)) return fragment != 0 ? Outcome::Punted : Outcome::BadUdp;
    const auto& udp = frame.header_at<UdpHeader>(udp_offset);
    std::size_t datagram_bytes = udp.length.host();
    if (fragment != 0) [[unlikely]] {
        if (!snapshot.probe_endpoints.find({destination, udp.destination_port.host()}))
            return Outcome::Punted;
        datagram_bytes = udp_bytes;
    }
    if (datagram_bytes < sizeof(UdpHeader) || datagram_bytes > udp_bytes) return Outcome::BadUdp;

    frame.udp_offset = static_cast<std::uint16_t>(udp_offset);
    frame.payload_length = static_cast<std::uint16_t>(datagram_bytes - sizeof(UdpHeader));
    return find_owner(snapshot,
                      {source, udp.source_port.host()},
                      {destination, udp.destination_port.host()},
                      frame);
}

} // namespace viaduct
