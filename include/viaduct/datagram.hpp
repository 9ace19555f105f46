// SPDX-License-Identifier: Apache-2.0
//
// datagram: lays out a UDP datagram in an Ethernet frame, for frames that Viaduct sends itself:
// health probes and replies.
//
// Spec:  RFC 791 §3.1 (IPv4), RFC 768 (UDP), RFC 1071 (checksums), RFC 6864 §4.1 (identification).
#pragma once

#include "viaduct/net.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

namespace viaduct {

/// Bytes of a frame before its UDP payload: Ethernet, IPv4 without options, UDP.
inline constexpr std::size_t kUdpHeadersSize =
    sizeof(EtherHeader) + sizeof(Ipv4Header) + sizeof(UdpHeader);

struct DatagramHeaders {
    MacAddr source_mac;
    MacAddr destination_mac;
    Endpoint source;
    Endpoint destination;
    std::uint8_t tos = 0; ///< DSCP and ECN
    /// Has no meaning here, because the datagram must not be fragmented.
    Be16 identification{};
};

/// Writes the headers in front of a payload that is already in place, with both checksums. `frame`
/// is the whole frame: kUdpHeadersSize bytes and the payload, at most 65,549 in all.
void write_headers(std::span<std::byte> frame, const DatagramHeaders& headers) noexcept;

} // namespace viaduct
