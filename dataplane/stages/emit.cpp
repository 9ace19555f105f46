// SPDX-License-Identifier: Apache-2.0
#include "stages/stages.hpp"
#include "wire/checksum.hpp"

namespace viaduct::stages {

namespace {

/// Replaces an address and a UDP port, and updates both checksums.
void edit_address(
    Ipv4Header& ip, UdpHeader& udp, Be32& address, Be16& udp_port, Endpoint to) noexcept {
    const std::uint32_t from_address = address.host();
    const std::uint16_t from_port = udp_port.host();
    const auto high = [](std::uint32_t value) { return static_cast<std::uint16_t>(value >> 16); };
    const auto low = [](std::uint32_t value) { return static_cast<std::uint16_t>(value & 0xffff); };

    std::uint16_t sum = ip.checksum.host();
    sum = updated_checksum(sum, high(from_address), high(to.address.value));
    sum = updated_checksum(sum, low(from_address), low(to.address.value));
    ip.checksum = Be16(sum);

    if (udp.checksum != Be16(0)) { // zero: the sender made none (RFC 768); it stays absent
        sum = udp.checksum.host();
        sum = updated_checksum(sum, high(from_address), high(to.address.value));
        sum = updated_checksum(sum, low(from_address), low(to.address.value));
        sum = updated_checksum(sum, from_port, to.udp_port);
        udp.checksum = Be16(sum == 0 ? std::uint16_t{0xffff} : sum);
    }
    address = Be32(to.address.value);
    udp_port = Be16(to.udp_port);
}

void decrement_ttl(Ipv4Header& ip) noexcept {
    const auto word = [&ip] { return static_cast<std::uint16_t>(ip.ttl << 8 | ip.protocol); };
    const std::uint16_t before = word();
    --ip.ttl;
    ip.checksum = Be16(updated_checksum(ip.checksum.host(), before, word()));
}

} // namespace

void emit(const PipelineView& view, Frame& frame) noexcept {
    if (frame.target.reply) [[unlikely]]
        return; // edit has laid out a new datagram
    const Egress& egress = *frame.exit.egress;
    const LegInfo& leg = info_of(frame.claim.leg);
    if (egress.edits_l3) {
        auto& ip = frame.header_at<Ipv4Header>(frame.layout.l2_len);
        auto& udp = frame.header_at<UdpHeader>(frame.layout.l4_offset());
        if (egress.decrements_ttl) decrement_ttl(ip);
        if (egress.returns_through_us && leg.leaves_from_vip)
            edit_address(ip,
                         udp,
                         ip.source,
                         udp.source_port,
                         view.snapshot.vips[index(*frame.claim.vip)].endpoint);
        if (egress.edits_destination && leg.goes_to_backend)
            edit_address(ip, udp, ip.destination, udp.destination_port, egress.destination);
    }
    frame.set_macs(frame.exit.mac, view.links[index(frame.exit.link)].mac);
}

} // namespace viaduct::stages
