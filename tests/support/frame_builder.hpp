// SPDX-License-Identifier: Apache-2.0
//
// frame_builder: Ethernet frames for tests:
// `frame().ipv4("192.0.2.1", vip).udp(5060, 5060).sip(invite().call_id("a@b")).build()`.
//
// By default a frame is correct in every length and checksum. Checksums are computed in full here,
// by the plain definition (RFC 1071), so that they verify the incremental ones.
#pragma once

#include "message_builder.hpp"

#include "viaduct/net.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace viaduct::test {

using Bytes = std::vector<std::byte>;

inline constexpr std::string_view kClientMac = "02:00:00:00:00:c1"; ///< default source
inline constexpr std::string_view kPort0Mac = "02:00:00:00:00:01";  ///< default destination

[[nodiscard]] inline Bytes bytes_of(std::string_view text) {
    const auto bytes = std::as_bytes(std::span(text));
    return {bytes.begin(), bytes.end()};
}
[[nodiscard]] inline Ipv4Addr ip(std::string_view text) {
    const auto address = parse_ipv4(text);
    if (!address) std::abort();
    return *address;
}
[[nodiscard]] inline std::string dotted(Be32 address) {
    return std::to_string(address.bytes[0]) + "." + std::to_string(address.bytes[1]) + "." +
           std::to_string(address.bytes[2]) + "." + std::to_string(address.bytes[3]);
}
[[nodiscard]] inline MacAddr mac(std::string_view text) {
    const auto address = parse_mac(text);
    if (!address) std::abort();
    return *address;
}
template <typename Header>
[[nodiscard]] Header header_at(std::span<const std::byte> frame, std::size_t offset) {
    Header header;
    if (offset + sizeof(Header) > frame.size()) std::abort();
    std::memcpy(static_cast<void*>(&header), frame.data() + offset, sizeof(Header));
    return header;
}

/// The one's-complement sum of 16-bit words, folded; an odd last byte is padded (RFC 1071).
[[nodiscard]] inline std::uint16_t internet_sum(std::span<const std::byte> bytes,
                                                std::uint64_t sum = 0) {
    for (std::size_t i = 0; i < bytes.size(); ++i)
        sum += std::to_integer<std::uint64_t>(bytes[i]) << (i % 2 == 0 ? 8 : 0);
    while (sum > 0xffff)
        sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint16_t>(sum);
}

/// Return the sum that a receiver of an untagged frame computes: 0xffff when the checksum is right.
[[nodiscard]] inline std::uint16_t received_ip_sum(std::span<const std::byte> frame) {
    const auto header_bytes = std::to_integer<std::size_t>(frame[14] & std::byte{0x0f}) * 4;
    return internet_sum(frame.subspan(14, header_bytes));
}
[[nodiscard]] inline std::uint16_t received_udp_sum(std::span<const std::byte> frame) {
    const auto header = header_at<Ipv4Header>(frame, 14);
    const std::size_t at = 14 + std::size_t{header.version_ihl & 0x0fU} * 4;
    const std::uint16_t length = header_at<UdpHeader>(frame, at).length.host();
    const std::uint64_t pseudo = internet_sum(frame.subspan(14 + 12, 8)) + kIpProtocolUdp + length;
    return internet_sum(frame.subspan(at, length), pseudo);
}

class FrameBuilder {
public:
    FrameBuilder& macs(std::string_view source, std::string_view destination) {
        ether_.source = mac(source);
        ether_.destination = mac(destination);
        return *this;
    }
    /// Adds a VLAN tag; the first call makes the outermost one.
    FrameBuilder& vlan(std::uint16_t id, std::uint16_t ether_type = kEtherTypeVlan) {
        tags_.push_back({ether_type, id});
        return *this;
    }
    FrameBuilder& ether_type(std::uint16_t type) { return ether_type_ = type, *this; }

    FrameBuilder& ipv4(std::string_view source, std::string_view destination) {
        has_ip_ = true;
        source_ = ip(source);
        destination_ = ip(destination);
        return *this;
    }
    /// The size must be a multiple of four bytes.
    FrameBuilder& ip_options(Bytes options) { return ip_options_ = std::move(options), *this; }
    FrameBuilder& ttl(std::uint8_t value) { return ttl_ = value, *this; }
    FrameBuilder& protocol(std::uint8_t value) { return protocol_ = value, *this; }
    FrameBuilder& dont_fragment() { return flags_fragment_ = 0x4000, *this; }
    FrameBuilder& fragment(std::uint16_t offset_units, bool more) {
        flags_fragment_ = static_cast<std::uint16_t>(offset_units | (more ? 0x2000 : 0));
        return *this;
    }
    /// Set wrong header fields. The IP checksum is right for the resulting header.
    FrameBuilder& version_ihl(std::uint8_t value) { return version_ihl_ = value, *this; }
    FrameBuilder& total_length(std::uint16_t value) { return total_length_ = value, *this; }
    FrameBuilder& udp_length(std::uint16_t value) { return udp_length_ = value, *this; }
    /// Make a checksum wrong by `by` (one's complement).
    FrameBuilder& wrong_ip_checksum(std::uint16_t by) { return ip_error_ = by, *this; }
    FrameBuilder& wrong_udp_checksum(std::uint16_t by) { return udp_error_ = by, *this; }
    FrameBuilder& no_udp_checksum() { return udp_checksum_ = 0, *this; }

    FrameBuilder& udp(std::uint16_t source_port, std::uint16_t destination_port) {
        has_udp_ = true;
        source_port_ = source_port;
        destination_port_ = destination_port;
        return *this;
    }
    FrameBuilder& sip(const MessageBuilder& message) { return payload(message.text()); }
    FrameBuilder& payload(std::string_view text) { return payload_ = bytes_of(text), *this; }
    FrameBuilder& payload(Bytes bytes) { return payload_ = std::move(bytes), *this; }
    /// Adds bytes after the IP packet, as Ethernet pads short frames.
    FrameBuilder& trailer(std::size_t bytes) { return trailer_ = bytes, *this; }

    /// Keeps only the first bytes of the frame.
    FrameBuilder& cut(std::size_t bytes) { return cut_ = bytes, *this; }

    [[nodiscard]] Bytes build() const {
        Bytes l4 = has_udp_ ? udp_datagram() : payload_;
        if (has_ip_) l4 = ip_packet(l4);
        Bytes all;
        append(all, ether_.destination);
        append(all, ether_.source);
        for (const Tag& tag : tags_) {
            append(all, Be16(tag.ether_type));
            append(all, Be16(tag.id));
        }
        append(all, Be16(ether_type_));
        all.insert(all.end(), l4.begin(), l4.end());
        all.resize(all.size() + trailer_, std::byte{0xee});
        if (cut_) all.resize(std::min(all.size(), *cut_));
        return all;
    }

private:
    struct Tag {
        std::uint16_t ether_type;
        std::uint16_t id;
    };
    template <typename Value> static void append(Bytes& bytes, const Value& value) {
        const auto* first = reinterpret_cast<const std::byte*>(&value);
        bytes.insert(bytes.end(), first, first + sizeof(Value));
    }
    [[nodiscard]] static std::uint16_t off_by(std::uint16_t checksum, std::uint16_t error) {
        const std::uint32_t sum = std::uint32_t{checksum} + error;
        return static_cast<std::uint16_t>((sum & 0xffff) + (sum >> 16));
    }

    [[nodiscard]] Bytes udp_datagram() const {
        UdpHeader header;
        header.source_port = Be16(source_port_);
        header.destination_port = Be16(destination_port_);
        const auto right_length = static_cast<std::uint16_t>(sizeof(header) + payload_.size());
        header.length = Be16(udp_length_.value_or(right_length));
        header.checksum = Be16(0);
        Bytes datagram;
        append(datagram, header);
        datagram.insert(datagram.end(), payload_.begin(), payload_.end());
        const std::uint64_t pseudo = (std::uint64_t{source_.value} >> 16) +
                                     (source_.value & 0xffff) + (destination_.value >> 16) +
                                     (destination_.value & 0xffff) + protocol_ + right_length;
        const auto sum = static_cast<std::uint16_t>(~internet_sum(datagram, pseudo));
        const std::uint16_t sent = off_by(sum == 0 ? std::uint16_t{0xffff} : sum, udp_error_);
        header.checksum = Be16(udp_checksum_.value_or(sent));
        std::memcpy(datagram.data(), static_cast<const void*>(&header), sizeof(header));
        return datagram;
    }

    [[nodiscard]] Bytes ip_packet(const Bytes& content) const {
        const std::size_t header_bytes = sizeof(Ipv4Header) + ip_options_.size();
        Ipv4Header header{};
        header.version_ihl =
            version_ihl_.value_or(static_cast<std::uint8_t>(0x40 | (header_bytes / 4)));
        header.tos = 0x68; // AF31, often used for SIP
        header.total_length =
            Be16(total_length_.value_or(static_cast<std::uint16_t>(header_bytes + content.size())));
        header.identification = Be16(0x1c46);
        header.flags_fragment = Be16(flags_fragment_);
        header.ttl = ttl_;
        header.protocol = protocol_;
        header.source = Be32(source_.value);
        header.destination = Be32(destination_.value);
        Bytes packet;
        append(packet, header);
        packet.insert(packet.end(), ip_options_.begin(), ip_options_.end());
        const auto sum = static_cast<std::uint16_t>(~internet_sum(packet));
        header.checksum = Be16(off_by(sum, ip_error_));
        std::memcpy(packet.data(), static_cast<const void*>(&header), sizeof(header));
        packet.insert(packet.end(), content.begin(), content.end());
        return packet;
    }

    EtherHeader ether_{mac(kPort0Mac), mac(kClientMac), Be16(0)};
    std::vector<Tag> tags_;
    std::uint16_t ether_type_ = kEtherTypeIpv4;
    bool has_ip_ = false;
    Ipv4Addr source_;
    Ipv4Addr destination_;
    Bytes ip_options_;
    std::uint8_t ttl_ = 64;
    std::uint8_t protocol_ = kIpProtocolUdp;
    std::uint16_t flags_fragment_ = 0;
    std::optional<std::uint8_t> version_ihl_;
    std::optional<std::uint16_t> total_length_;
    std::uint16_t ip_error_ = 0;
    bool has_udp_ = false;
    std::uint16_t source_port_ = 0;
    std::uint16_t destination_port_ = 0;
    std::optional<std::uint16_t> udp_length_;
    std::optional<std::uint16_t> udp_checksum_;
    std::uint16_t udp_error_ = 0;
    Bytes payload_;
    std::size_t trailer_ = 0;
    std::optional<std::size_t> cut_;
};

/// Returns a frame from the client's MAC to port 0.
[[nodiscard]] inline FrameBuilder frame() {
    return {};
}

} // namespace viaduct::test
