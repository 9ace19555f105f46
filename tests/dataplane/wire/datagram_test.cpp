// SPDX-License-Identifier: Apache-2.0
#include "frame_builder.hpp"

#include "viaduct/datagram.hpp"

#include <cstdint>
#include <gtest/gtest.h>
#include <random>

namespace viaduct::test {
namespace {

DatagramHeaders headers() {
    return {.source_mac = mac("02:00:00:00:00:01"),
            .destination_mac = mac("02:00:00:00:00:02"),
            .source = {ip("198.51.100.2"), 5070},
            .destination = {ip("203.0.113.21"), 5060}};
}

TEST(Datagram, IsWhatAReceiverTakesForRightAtEverySize) {
    std::mt19937 random(1);
    for (std::size_t size = 0; size < 300; ++size) {
        Bytes bytes(kUdpHeadersSize + size);
        for (std::byte& byte : bytes)
            byte = static_cast<std::byte>(random());
        const Bytes payload(bytes.begin() + kUdpHeadersSize, bytes.end());
        DatagramHeaders wanted = headers();
        wanted.source.address.value = static_cast<std::uint32_t>(random());
        wanted.tos = static_cast<std::uint8_t>(random());
        wanted.identification = Be16(static_cast<std::uint16_t>(random()));
        write_headers(bytes, wanted);
        ASSERT_EQ(received_ip_sum(bytes), 0xffff) << size;
        ASSERT_EQ(received_udp_sum(bytes), 0xffff) << size;
        const auto ip_header = header_at<Ipv4Header>(bytes, 14);
        const auto udp = header_at<UdpHeader>(bytes, 34);
        ASSERT_EQ(ip_header.total_length.host(), 28 + size);
        ASSERT_EQ(udp.length.host(), 8 + size);
        ASSERT_EQ(ip_header.source.host(), wanted.source.address.value);
        ASSERT_EQ(ip_header.tos, wanted.tos);
        ASSERT_TRUE(std::equal(payload.begin(), payload.end(), bytes.begin() + kUdpHeadersSize));
    }
}

TEST(Datagram, NeverSaysThatItHasNoChecksum) {
    Bytes bytes(kUdpHeadersSize + 2);
    write_headers(bytes, headers());
    const Be16 checksum = header_at<UdpHeader>(bytes, 34).checksum;
    // With its own checksum in the payload the sum of all is 0xffff, and the checksum would be 0.
    bytes[kUdpHeadersSize] = static_cast<std::byte>(checksum.bytes[0]);
    bytes[kUdpHeadersSize + 1] = static_cast<std::byte>(checksum.bytes[1]);
    write_headers(bytes, headers());
    EXPECT_EQ(header_at<UdpHeader>(bytes, 34).checksum.host(), 0xffff);
    EXPECT_EQ(received_udp_sum(bytes), 0xffff);
}

TEST(Datagram, FitsTheLargestUdpPayload) {
    Bytes bytes(kUdpHeadersSize + 65'507, std::byte{0xff});
    write_headers(bytes, headers());
    EXPECT_EQ(received_ip_sum(bytes), 0xffff);
    EXPECT_EQ(received_udp_sum(bytes), 0xffff);
}

} // namespace
} // namespace viaduct::test
