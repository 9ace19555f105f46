// SPDX-License-Identifier: Apache-2.0
//
// probe: builds one health probe as a whole frame, on the same path as the pool's traffic.
//
// In:    where from, where to, and the identifiers that tie the answer to it.
// Out:   the OPTIONS request, and Ethernet, IPv4 and UDP around it with both checksums.
// Cost:  one getrandom(2) and two allocations a probe; control thread only.
// Spec:  RFC 3261 §11 (OPTIONS), §8.1.1 (what a request must hold), §17.1.1.3 (branch);
//        RFC 3581 §3 (rport); RFC 791 §3.1, RFC 768, RFC 1071 (checksums).
#include "health/probe.hpp"

#include "viaduct/error.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <cstring>
#include <span>
#include <sys/random.h>

namespace viaduct {
namespace {

std::string hex(std::span<const std::uint8_t> bytes) {
    static constexpr char kDigits[] = "0123456789abcdef";
    std::string text;
    text.reserve(bytes.size() * 2);
    for (const std::uint8_t byte : bytes) {
        text += kDigits[byte >> 4];
        text += kDigits[byte & 0xf];
    }
    return text;
}

/// Sum of 16-bit words, an odd last byte padded with zero (RFC 1071 §1). 64 bits never overflow
/// here.
std::uint64_t sum_words(std::span<const std::byte> bytes) {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < bytes.size(); ++i)
        sum += std::to_integer<std::uint64_t>(bytes[i]) << (i % 2 == 0 ? 8 : 0);
    return sum;
}

Be16 fold(std::uint64_t sum) {
    while ((sum >> 16) != 0)
        sum = (sum & 0xffff) + (sum >> 16);
    return Be16{static_cast<std::uint16_t>(~sum & 0xffff)};
}

template <typename Header> std::span<const std::byte> bytes_of(const Header& header) {
    return std::as_bytes(std::span{&header, 1});
}

} // namespace

ProbeIds make_probe_ids() {
    std::array<std::uint8_t, 48> random; // 128 bits each for Call-ID, branch and tag
    std::size_t have = 0;
    while (have < random.size()) {
        const ssize_t got = getrandom(random.data() + have, random.size() - have, 0);
        if (got > 0)
            have += static_cast<std::size_t>(got);
        else if (errno != EINTR)
            throw Error(std::string{"the kernel gives no random numbers for probes (getrandom: "} +
                        std::strerror(errno) + "); is a seccomp filter in the way?");
    }
    const std::span<const std::uint8_t> all{random};
    return {hex(all.subspan(0, 16)), "z9hG4bK" + hex(all.subspan(16, 16)), hex(all.subspan(32))};
}

std::string build_options(const ProbeFrame& probe, const ProbeIds& ids, std::uint32_t cseq) {
    const std::string own = to_string(probe.source);
    const std::string uri = probe.uri.empty() ? "sip:" + to_string(probe.destination) : probe.uri;
    std::string text;
    text.reserve(512);
    text += "OPTIONS " + uri + " SIP/2.0\r\n";
    text += "Via: SIP/2.0/UDP " + own + ";rport;branch=" + ids.branch + "\r\n";
    text += "Max-Forwards: 70\r\n";
    text += "From: <sip:viaduct@" + own + ">;tag=" + ids.from_tag + "\r\n";
    text += "To: <" + uri + ">\r\n";
    text += "Call-ID: " + ids.call_id + "\r\n";
    text += "CSeq: " + std::to_string(cseq) + " OPTIONS\r\n";
    text += "Contact: <sip:viaduct@" + own + ">\r\n";
    text += "Accept: application/sdp\r\n";
    text += "User-Agent: Viaduct/" VIADUCT_VERSION "\r\n";
    text += "Content-Length: 0\r\n\r\n";
    return text;
}

std::vector<std::byte> build_frame(const ProbeFrame& probe, const std::string& payload) {
    const std::size_t udp_length = sizeof(UdpHeader) + payload.size();
    const std::size_t ip_length = sizeof(Ipv4Header) + udp_length;
    assert(ip_length <= 0xffff);

    const EtherHeader ether{probe.destination_mac, probe.source_mac, Be16{kEtherTypeIpv4}};
    Ipv4Header ip{};
    ip.version_ihl = 0x45;
    ip.total_length = Be16{static_cast<std::uint16_t>(ip_length)};
    ip.flags_fragment = Be16{0x4000}; // DF; then the identification may stay 0 (RFC 6864 §4.1)
    ip.ttl = 64;
    ip.protocol = kIpProtocolUdp;
    ip.source = Be32{probe.source.address.value};
    ip.destination = Be32{probe.destination.address.value};
    ip.checksum = fold(sum_words(bytes_of(ip)));

    UdpHeader udp{Be16{probe.source.udp_port},
                  Be16{probe.destination.udp_port},
                  Be16{static_cast<std::uint16_t>(udp_length)},
                  Be16{}};
    // The pseudo header is both addresses, the protocol and the length once more (RFC 768).
    udp.checksum =
        fold(sum_words(bytes_of(ip.source)) + sum_words(bytes_of(ip.destination)) + kIpProtocolUdp +
             udp_length + sum_words(bytes_of(udp)) + sum_words(std::as_bytes(std::span{payload})));
    if (udp.checksum == Be16{0}) udp.checksum = Be16{0xffff}; // 0 says "no checksum" (RFC 768)

    std::vector<std::byte> frame(sizeof ether + ip_length);
    auto end = frame.begin();
    const auto append = [&end](std::span<const std::byte> bytes) {
        end = std::copy(bytes.begin(), bytes.end(), end);
    };
    append(bytes_of(ether));
    append(bytes_of(ip));
    append(bytes_of(udp));
    append(std::as_bytes(std::span{payload}));
    return frame;
}

} // namespace viaduct
