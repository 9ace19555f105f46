// SPDX-License-Identifier: Apache-2.0
#include "classify.hpp"

namespace viaduct {

namespace {

constexpr std::uint16_t kFragmentBits = 0x3fff; // more-fragments flag and offset, RFC 791 §3.1

/// A tagged frame is only looked at to tell "for a VIP" (its own outcome) from "not ours".
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

/// The frame holds a whole UDP datagram between these endpoints: whose is it?
std::optional<Outcome>
find_owner(const Snapshot& snapshot, Endpoint source, Endpoint destination, Frame& frame) noexcept {
    auto sender = snapshot.nat_backends.find(source);
    if (!sender) sender = snapshot.nat_backends.find({source.address, 0});

    if (const auto vip = snapshot.vip_by_endpoint.find(destination)) {
        frame.vip = VipId{*vip};
        frame.pool = snapshot.vips[*vip].pool;
        // Backends of a dsr-l2 pool answer whoever calls themselves.
        const auto is_nat = [&](PoolId pool) {
            return snapshot.pools[index(pool)].mode == ForwardMode::Nat;
        };
        const std::optional<PoolId> previous = snapshot.vips[*vip].previous;
        const bool nat = is_nat(*frame.pool) || (previous && is_nat(*previous));
        frame.origin = sender && nat ? Origin::BackendCall : Origin::Client;
        if (sender && nat) frame.backend = BackendId{*sender};
        return std::nullopt;
    }
    if (snapshot.probe_endpoints.find(destination) &&
        snapshot.probe_sources.find({source.address, 0})) {
        frame.origin = Origin::ProbeTarget;
        return std::nullopt;
    }
    if (!sender || snapshot.own_addresses.find({destination.address, 0}) ||
        snapshot.vip_addresses.find({destination.address, 0}))
        return Outcome::Punted;
    frame.origin = Origin::NatBackend;
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
    if (ip.protocol != kIpProtocolUdp) return Outcome::Punted;

    const Ipv4Addr source{ip.source.host()};
    const Ipv4Addr destination{ip.destination.host()};
    if ((ip.flags_fragment.host() & kFragmentBits) != 0) {
        const bool ours = snapshot.vip_addresses.find({destination, 0}) ||
                          (snapshot.nat_addresses.find({source, 0}) &&
                           !snapshot.own_addresses.find({destination, 0}));
        return ours ? Outcome::Fragment : Outcome::Punted;
    }
    const std::size_t udp_offset = Frame::kIpOffset + header_bytes;
    const std::size_t udp_bytes = total_bytes - header_bytes;
    if (udp_bytes < sizeof(UdpHeader)) return Outcome::BadUdp;
    const auto& udp = frame.header_at<UdpHeader>(udp_offset);
    const std::size_t datagram_bytes = udp.length.host();
    if (datagram_bytes < sizeof(UdpHeader) || datagram_bytes > udp_bytes) return Outcome::BadUdp;

    frame.udp_offset = static_cast<std::uint16_t>(udp_offset);
    frame.payload_length = static_cast<std::uint16_t>(datagram_bytes - sizeof(UdpHeader));
    return find_owner(snapshot,
                      {source, udp.source_port.host()},
                      {destination, udp.destination_port.host()},
                      frame);
}

} // namespace viaduct
