// SPDX-License-Identifier: Apache-2.0
#include "wire/rewrite.hpp"

#include "wire/answer.hpp"

namespace viaduct {

namespace {

struct Hop {
    PortId port{};
    Ipv4Addr address;
    const MacAddr* mac = nullptr;
};

Hop backend_hop(const Snapshot& snapshot, const NextHops& next_hops, BackendId backend) noexcept {
    const HopId id = snapshot.backends[index(backend)].hop;
    if (index(id) >= next_hops.hops.size()) return {}; // published before its hop: unresolved
    const NextHop& hop = next_hops.hops[index(id)];
    return {hop.port, hop.address, hop.mac ? &*hop.mac : nullptr};
}

std::optional<Hop> client_hop(const NextHops& next_hops, PortId from, Ipv4Addr client) noexcept {
    const Route* route = next_hops.route_to(client);
    if (route == nullptr) return std::nullopt;
    const std::optional<HopId> by = next_hops.gateway_from(from, *route);
    if (!by) return Hop{route->port, client, next_hops.neighbours.find(route->port, client)};
    if (index(*by) >= next_hops.hops.size()) return Hop{route->port, client, nullptr};
    const NextHop& gateway = next_hops.hops[index(*by)];
    return Hop{gateway.port, gateway.address, gateway.mac ? &*gateway.mac : nullptr};
}

/// Remembers the MAC of a client on the link for the response. Most clients come through a gateway.
void note_client(const NextHops& next_hops, const Frame& frame, const Clients& clients) noexcept {
    const auto& ether = *reinterpret_cast<const EtherHeader*>(frame.bytes);
    const auto& ip = *reinterpret_cast<const Ipv4Header*>(frame.bytes + Frame::kIpOffset);
    const std::optional<HopId> gateway = next_hops.port_gateways[index(frame.rx_port)];
    if (gateway && index(*gateway) < next_hops.hops.size() &&
        next_hops.hops[index(*gateway)].mac == ether.source)
        return;
    const Ipv4Addr client{ip.source.host()};
    if (clients.macs->knows(frame.rx_port, client, ether.source, clients.now)) return;
    const Route* route = next_hops.route_to(client);
    if (route == nullptr || route->gateway || route->port != frame.rx_port) return;
    if (!ether.source.is_multicast())
        clients.macs->note(frame.rx_port, client, ether.source, clients.now);
}

/// Replaces an address and a UDP port, and updates both checksums.
void translate(Frame& frame, Be32& address, Be16& udp_port, Endpoint to) noexcept {
    auto& ip = frame.header_at<Ipv4Header>(Frame::kIpOffset);
    auto& udp = frame.header_at<UdpHeader>(frame.udp_offset);
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

std::optional<Outcome> rewrite(const Snapshot& snapshot,
                               const NextHops& next_hops,
                               std::span<const PortView> ports,
                               Frame& frame,
                               const Clients& clients) noexcept {
    if (frame.is_rejected) {
        const bool done = index(frame.rx_port) < ports.size() &&
                          answer_gone(snapshot, ports[index(frame.rx_port)], frame);
        if (done) return std::nullopt;
        return frame.leg == Leg::BackendToVip ? Outcome::BackendToVip : Outcome::DeadOwner;
    }
    if (!frame.backend || !frame.pool || !frame.vip) return Outcome::Internal;
    const ForwardModeInfo& mode = info_of(snapshot.pools[index(*frame.pool)].mode);
    auto& ip = frame.header_at<Ipv4Header>(Frame::kIpOffset);

    Hop hop;
    if (frame.leg == Leg::BackendToClient) {
        const auto found = client_hop(
            next_hops, snapshot.vips[index(*frame.vip)].port, Ipv4Addr{ip.destination.host()});
        if (!found) return Outcome::NoRoute;
        hop = *found;
    } else {
        hop = backend_hop(snapshot, next_hops, *frame.backend);
    }
    if (index(hop.port) >= ports.size()) return Outcome::Internal;
    frame.tx_port = hop.port;
    frame.next_hop = hop.address;
    if (mode.decrements_ttl && ip.ttl <= 1) return Outcome::TtlExpired;
    const PortView& port = ports[index(hop.port)];
    if (frame.length > port.max_frame_bytes) return Outcome::TooBig;
    const MacAddr* mac = hop.mac;
    std::optional<MacAddr> met;
    if (mac == nullptr && frame.leg == Leg::BackendToClient && clients.macs != nullptr) {
        met = clients.macs->find(hop.port, hop.address, clients.now);
        frame.is_guess = met.has_value();
        if (met) mac = &*met;
    }
    if (mac == nullptr && next_hops.fallback) mac = &*next_hops.fallback;
    if (mac == nullptr) return Outcome::NextHopUnresolved;

    if (mode.returns_through_us && frame.leg == Leg::ClientToVip && clients.macs != nullptr)
        note_client(next_hops, frame, clients);
    auto& ether = frame.header_at<EtherHeader>(0);
    ether.destination = *mac;
    ether.source = port.mac;
    if (mode.decrements_ttl) decrement_ttl(ip);
    auto& udp = frame.header_at<UdpHeader>(frame.udp_offset);
    // A called backend must answer through us, so it sees the calling backend as the VIP.
    if (mode.returns_through_us &&
        (frame.leg == Leg::BackendToClient || frame.leg == Leg::BackendToVip))
        translate(frame, ip.source, udp.source_port, snapshot.vips[index(*frame.vip)].endpoint);
    if (!mode.backend_owns_vip && frame.leg != Leg::BackendToClient)
        translate(frame,
                  ip.destination,
                  udp.destination_port,
                  snapshot.backends[index(*frame.backend)].endpoint);
    return std::nullopt;
}

} // namespace viaduct
