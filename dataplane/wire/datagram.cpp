// SPDX-License-Identifier: Apache-2.0
#include "viaduct/datagram.hpp"

#include <cassert>
#include <cstring>

namespace viaduct {

namespace {

constexpr std::size_t kIpOffset = sizeof(EtherHeader);
constexpr std::size_t kUdpOffset = kIpOffset + sizeof(Ipv4Header);
/// The source and destination addresses, which are adjacent in an IPv4 header.
constexpr std::size_t kAddressesOffset = 12;
constexpr std::size_t kAddressesSize = 8;

/// The sum of 16-bit words; an odd last byte is padded with zero (RFC 1071 §1). No sum of a
/// datagram overflows 32 bits.
std::uint32_t sum_of(std::span<const std::byte> bytes) noexcept {
    std::uint32_t sum = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i)
        sum += std::to_integer<std::uint32_t>(bytes[i]) << (i % 2 == 0 ? 8U : 0U);
    return sum;
}

std::uint16_t checksum_of(std::uint32_t sum) noexcept {
    while (sum >> 16 != 0)
        sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint16_t>(~sum & 0xffff);
}

template <typename Header>
void put(std::span<std::byte> frame, std::size_t offset, const Header& header) noexcept {
    std::memcpy(frame.data() + offset, &header, sizeof(header));
}

} // namespace

void write_headers(std::span<std::byte> frame, const DatagramHeaders& headers) noexcept {
    assert(frame.size() >= kUdpHeadersSize && frame.size() - kIpOffset <= 0xffff);
    const auto ip_size = static_cast<std::uint16_t>(frame.size() - kIpOffset);
    const auto udp_size = static_cast<std::uint16_t>(frame.size() - kUdpOffset);

    put(frame, 0, EtherHeader{headers.destination_mac, headers.source_mac, Be16(kEtherTypeIpv4)});
    Ipv4Header ip{.version_ihl = 0x45,
                  .tos = headers.tos,
                  .total_length = Be16(ip_size),
                  .identification = headers.identification,
                  .flags_fragment = Be16(0x4000), // DF
                  .ttl = 64,
                  .protocol = kIpProtocolUdp,
                  .checksum = Be16(0),
                  .source = Be32(headers.source.address.value),
                  .destination = Be32(headers.destination.address.value)};
    put(frame, kIpOffset, ip);
    ip.checksum = Be16(checksum_of(sum_of(frame.subspan(kIpOffset, sizeof(ip)))));
    put(frame, kIpOffset, ip);

    UdpHeader udp{
        Be16(headers.source.udp_port), Be16(headers.destination.udp_port), Be16(udp_size), Be16(0)};
    put(frame, kUdpOffset, udp);
    // The pseudo header consists of both addresses, the protocol and the length again.
    const std::uint16_t sum =
        checksum_of(sum_of(frame.subspan(kIpOffset + kAddressesOffset, kAddressesSize)) +
                    kIpProtocolUdp + udp_size + sum_of(frame.subspan(kUdpOffset)));
    udp.checksum = Be16(sum == 0 ? std::uint16_t{0xffff} : sum); // 0 means "no checksum"
    put(frame, kUdpOffset, udp);
}

} // namespace viaduct
