// SPDX-License-Identifier: Apache-2.0
//
// probe: builds a health probe as a complete frame, on the same path as the pool's traffic.
//
// In:    source, destination, and the identifiers that tie the answer to the probe.
// Out:   the OPTIONS request with Ethernet, IPv4 and UDP headers and both checksums.
// Cost:  one getrandom(2) and two allocations per probe; control thread only.
// Spec:  RFC 3261 §11 (OPTIONS), §8.1.1 (mandatory headers), §17.1.1.3 (branch); RFC 3581 §3
//        (rport); RFC 791 §3.1, RFC 768, RFC 1071 (checksums).
#include "health/probe.hpp"

#include "viaduct/datagram.hpp"
#include "viaduct/error.hpp"

#include <array>
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

} // namespace

ProbeIds make_probe_ids() {
    std::array<std::uint8_t, 48> random; // 128 bits each for Call-ID, branch and tag
    std::size_t have = 0;
    while (have < random.size()) {
        const ssize_t got = getrandom(random.data() + have, random.size() - have, 0);
        if (got > 0)
            have += static_cast<std::size_t>(got);
        else if (errno != EINTR)
            throw Error(
                std::string{"cannot get random numbers for probes from the kernel (getrandom: "} +
                std::strerror(errno) + "); does a seccomp filter block it?");
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
    std::vector<std::byte> frame(kUdpHeadersSize + payload.size());
    std::memcpy(frame.data() + kUdpHeadersSize, payload.data(), payload.size());
    write_headers(frame,
                  {.source_mac = probe.source_mac,
                   .destination_mac = probe.destination_mac,
                   .source = probe.source,
                   .destination = probe.destination});
    return frame;
}

} // namespace viaduct
