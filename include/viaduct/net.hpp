// SPDX-License-Identifier: Apache-2.0
//
// net: addresses, and the headers of packets.
//
// Values in network order have types of their own (Be16, Be32, alignment 1); host order is a plain
// integer. These types are the only conversion. Header structs have alignment 1 and can be laid
// over a frame.
// Spec:  RFC 791 (IPv4), RFC 768 (UDP), IEEE 802.3 and 802.1Q (Ethernet).
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>
#include <type_traits>

namespace viaduct {

/// The plain number behind a small index type (`PoolId`, `BackendId`, ...).
template <typename Id>
requires std::is_enum_v<Id>
[[nodiscard]] constexpr std::size_t index(Id id) noexcept {
    return static_cast<std::size_t>(id);
}

enum class PortId : std::uint8_t {};
/// A segment: the stations that a frame reaches without a router. Addresses, neighbours, routes and
/// MTU belong to a link; queues and counters to a port.
enum class LinkId : std::uint8_t {};
enum class WorkerId : std::uint8_t {};
enum class VipId : std::uint16_t {};
enum class PoolId : std::uint16_t {};
enum class BackendId : std::uint16_t {}; ///< numbered over all pools; stable while the process runs

inline constexpr std::size_t kMaxPorts = 16;
inline constexpr std::size_t kMaxLinks = kMaxPorts;
inline constexpr std::size_t kMaxWorkers = 64;
inline constexpr std::size_t kMaxBackends = 4096; ///< over all pools

/// The link of untagged frames of a port. Every port has one, of the same number.
[[nodiscard]] constexpr LinkId link_of(PortId port) noexcept {
    return static_cast<LinkId>(port);
}
[[nodiscard]] constexpr PortId port_of(LinkId link) noexcept {
    return static_cast<PortId>(link);
}

/// 16 bits in network order, as in a packet.
struct Be16 {
    std::array<std::uint8_t, 2> bytes{};

    Be16() = default;
    explicit constexpr Be16(std::uint16_t host_order) noexcept
        : bytes{static_cast<std::uint8_t>(host_order >> 8),
                static_cast<std::uint8_t>(host_order & 0xff)} {}
    [[nodiscard]] constexpr std::uint16_t host() const noexcept {
        return static_cast<std::uint16_t>((bytes[0] << 8) | bytes[1]);
    }
    bool operator==(const Be16&) const = default;
};

/// 32 bits in network order, as in a packet.
struct Be32 {
    std::array<std::uint8_t, 4> bytes{};

    Be32() = default;
    explicit constexpr Be32(std::uint32_t host_order) noexcept
        : bytes{static_cast<std::uint8_t>(host_order >> 24),
                static_cast<std::uint8_t>((host_order >> 16) & 0xff),
                static_cast<std::uint8_t>((host_order >> 8) & 0xff),
                static_cast<std::uint8_t>(host_order & 0xff)} {}
    [[nodiscard]] constexpr std::uint32_t host() const noexcept {
        return (std::uint32_t{bytes[0]} << 24) | (std::uint32_t{bytes[1]} << 16) |
               (std::uint32_t{bytes[2]} << 8) | bytes[3];
    }
    bool operator==(const Be32&) const = default;
};

struct MacAddr {
    std::array<std::uint8_t, 6> bytes{};

    [[nodiscard]] constexpr bool is_multicast() const noexcept { return (bytes[0] & 1) != 0; }
    /// Compares two words: the default operator calls memcmp for six bytes.
    constexpr bool operator==(const MacAddr& other) const noexcept {
        if (std::is_constant_evaluated()) return bytes == other.bytes;
        std::uint32_t first = 0;
        std::uint32_t other_first = 0;
        std::uint16_t last = 0;
        std::uint16_t other_last = 0;
        std::memcpy(&first, bytes.data(), sizeof(first));
        std::memcpy(&other_first, other.bytes.data(), sizeof(first));
        std::memcpy(&last, bytes.data() + sizeof(first), sizeof(last));
        std::memcpy(&other_last, other.bytes.data() + sizeof(first), sizeof(last));
        return ((first ^ other_first) | (std::uint32_t{last} ^ other_last)) == 0;
    }
};

struct Ipv4Addr {
    std::uint32_t value = 0; ///< host order

    auto operator<=>(const Ipv4Addr&) const = default;
};

struct Ipv4Prefix {
    Ipv4Addr address;        ///< may have host bits, as in "198.51.100.2/24"
    std::uint8_t length = 0; ///< 0..32

    [[nodiscard]] constexpr std::uint32_t mask() const noexcept {
        return length == 0 ? 0 : ~std::uint32_t{0} << (32 - length);
    }
    [[nodiscard]] constexpr bool contains(Ipv4Addr other) const noexcept {
        return ((address.value ^ other.value) & mask()) == 0;
    }
    bool operator==(const Ipv4Prefix&) const = default;
};

/// An IPv4 address and a UDP port.
struct Endpoint {
    Ipv4Addr address;
    std::uint16_t udp_port = 0; ///< host order

    auto operator<=>(const Endpoint&) const = default;
};

/// Reads "192.0.2.1"; empty for any other text (no leading zeros, no short forms).
[[nodiscard]] constexpr std::optional<Ipv4Addr> parse_ipv4(std::string_view text) noexcept {
    std::uint32_t value = 0;
    std::size_t at = 0;
    for (int octet = 0; octet < 4; ++octet) {
        if (octet > 0) {
            if (at >= text.size() || text[at] != '.') return std::nullopt;
            ++at;
        }
        const std::size_t first = at;
        unsigned number = 0;
        while (at < text.size() && text[at] >= '0' && text[at] <= '9' && at - first < 3)
            number = number * 10 + static_cast<unsigned>(text[at++] - '0');
        const std::size_t digits = at - first;
        if (digits == 0 || number > 255 || (digits > 1 && text[first] == '0')) return std::nullopt;
        value = (value << 8) | number;
    }
    if (at != text.size()) return std::nullopt;
    return Ipv4Addr{value};
}

/// Reads "02:00:00:00:01:01" in either letter case; empty for any other text.
[[nodiscard]] constexpr std::optional<MacAddr> parse_mac(std::string_view text) noexcept {
    constexpr auto kHex = [](char c) -> int {
        if (c >= '0' && c <= '9') return c - '0';
        if (c >= 'a' && c <= 'f') return c - 'a' + 10;
        if (c >= 'A' && c <= 'F') return c - 'A' + 10;
        return -1;
    };
    if (text.size() != 17) return std::nullopt;
    MacAddr mac;
    for (std::size_t i = 0; i < 6; ++i) {
        const int high = kHex(text[i * 3]);
        const int low = kHex(text[i * 3 + 1]);
        if (high < 0 || low < 0 || (i < 5 && text[i * 3 + 2] != ':')) return std::nullopt;
        mac.bytes[i] = static_cast<std::uint8_t>(high * 16 + low);
    }
    return mac;
}

inline constexpr std::uint16_t kEtherTypeIpv4 = 0x0800;
inline constexpr std::uint16_t kEtherTypeVlan = 0x8100; ///< 802.1Q
inline constexpr std::uint16_t kEtherTypeQinq = 0x88a8; ///< 802.1ad
inline constexpr std::uint8_t kIpProtocolIcmp = 1;
inline constexpr std::uint8_t kIpProtocolUdp = 17;

struct EtherHeader {
    MacAddr destination;
    MacAddr source;
    Be16 ether_type;
};
static_assert(sizeof(EtherHeader) == 14 && alignof(EtherHeader) == 1);

struct VlanTag { ///< follows an ether_type of kEtherTypeVlan or kEtherTypeQinq
    Be16 control;
    Be16 ether_type;
};
static_assert(sizeof(VlanTag) == 4 && alignof(VlanTag) == 1);

struct Ipv4Header { ///< without options
    std::uint8_t version_ihl;
    std::uint8_t tos;
    Be16 total_length;
    Be16 identification;
    Be16 flags_fragment; ///< 0x2000 more fragments, 0x1fff offset in 8-byte units
    std::uint8_t ttl;
    std::uint8_t protocol;
    Be16 checksum;
    Be32 source;
    Be32 destination;
};
static_assert(sizeof(Ipv4Header) == 20 && alignof(Ipv4Header) == 1);

struct UdpHeader {
    Be16 source_port;
    Be16 destination_port;
    Be16 length; ///< header and payload
    Be16 checksum;
};
static_assert(sizeof(UdpHeader) == 8 && alignof(UdpHeader) == 1);

struct IcmpHeader { ///< of an error; IP header and 8 bytes of the quoted packet follow (RFC 792)
    std::uint8_t type;
    std::uint8_t code;
    Be16 checksum;
    Be32 rest;
};
static_assert(sizeof(IcmpHeader) == 8 && alignof(IcmpHeader) == 1);

} // namespace viaduct
