// SPDX-License-Identifier: Apache-2.0
#include "stages/stages.hpp"

namespace viaduct::stages {

namespace {

constexpr std::uint16_t kMoreFragments = 0x2000; // RFC 791 §3.1
constexpr std::uint16_t kFragmentOffset = 0x1fff;
constexpr std::uint8_t kMaxVlanTags = 2; // QinQ

bool is_tag(std::uint16_t ether_type) noexcept {
    return ether_type == kEtherTypeVlan || ether_type == kEtherTypeQinq;
}

std::optional<Outcome>
decode_udp(const std::byte* udp, std::size_t udp_bytes, Layout& layout) noexcept {
    if (layout.fragment == Fragment::Later) return std::nullopt;
    const bool is_whole = layout.fragment == Fragment::Whole;
    if (udp_bytes < sizeof(UdpHeader))
        return is_whole ? std::optional(Outcome::BadUdp) : std::nullopt;
    std::size_t datagram_bytes = reinterpret_cast<const UdpHeader*>(udp)->length.host();
    if (!is_whole) datagram_bytes = udp_bytes; // the rest is in later fragments
    if (datagram_bytes < sizeof(UdpHeader) || datagram_bytes > udp_bytes) return Outcome::BadUdp;
    layout.l4_len = sizeof(UdpHeader);
    layout.payload_len = static_cast<std::uint16_t>(datagram_bytes - sizeof(UdpHeader));
    return std::nullopt;
}

std::optional<Outcome>
decode_ipv4(const std::byte* bytes, std::size_t ip_bytes, Layout& layout) noexcept {
    if (ip_bytes < sizeof(Ipv4Header)) return Outcome::BadIp;
    const auto& ip = *reinterpret_cast<const Ipv4Header*>(bytes);
    const std::size_t header_bytes = std::size_t{ip.version_ihl & 0x0fU} * 4;
    const std::size_t total_bytes = ip.total_length.host();
    if (ip.version_ihl >> 4 != 4 || header_bytes < sizeof(Ipv4Header) ||
        total_bytes < header_bytes || total_bytes > ip_bytes)
        return Outcome::BadIp;
    layout.l3_len = static_cast<std::uint16_t>(header_bytes);
    layout.protocol = ip.protocol;
    const std::uint16_t fragment = ip.flags_fragment.host();
    if ((fragment & (kMoreFragments | kFragmentOffset)) != 0) [[unlikely]]
        layout.fragment = (fragment & kFragmentOffset) != 0 ? Fragment::Later : Fragment::First;
    const std::size_t l4_bytes = total_bytes - header_bytes;
    if (ip.protocol == kIpProtocolUdp) [[likely]]
        return decode_udp(bytes + header_bytes, l4_bytes, layout);
    if (ip.protocol != kIpProtocolIcmp) return Outcome::Punted;
    layout.payload_len = static_cast<std::uint16_t>(l4_bytes);
    return std::nullopt;
}

} // namespace

std::optional<Outcome> decode(const PipelineView& view, Frame& frame) noexcept {
    const std::size_t length = frame.length;
    if (length < sizeof(EtherHeader)) return Outcome::BadFrame;
    const std::byte* const bytes = frame.bytes;
    const auto& ether = *reinterpret_cast<const EtherHeader*>(bytes);
    const LinkView& link = view.links[index(link_of(frame.rx_port))];
    if (!link.any_destination) {
        if (ether.source == link.mac) return Outcome::OwnSource;
        if (ether.destination != link.mac)
            return ether.destination.is_multicast() ? Outcome::Punted : Outcome::ForeignMac;
    }
    std::size_t l2_len = sizeof(EtherHeader);
    std::uint16_t ether_type = ether.ether_type.host();
    while (is_tag(ether_type))
        [[unlikely]] {
            if (++frame.layout.vlan_tags > kMaxVlanTags) return Outcome::Punted;
            if (length < l2_len + sizeof(VlanTag)) return Outcome::BadFrame;
            ether_type = reinterpret_cast<const VlanTag*>(bytes + l2_len)->ether_type.host();
            l2_len += sizeof(VlanTag);
        }
    if (ether_type != kEtherTypeIpv4) return Outcome::Punted;
    frame.layout.l2_len = static_cast<std::uint16_t>(l2_len);
    return decode_ipv4(bytes + l2_len, length - l2_len, frame.layout);
}

} // namespace viaduct::stages
