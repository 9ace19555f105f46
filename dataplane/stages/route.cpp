// SPDX-License-Identifier: Apache-2.0
#include "stages/stages.hpp"

namespace viaduct::stages {

namespace {

/// A station on a link; `mac` is null while the kernel does not know it.
struct Hop {
    LinkId link{};
    Ipv4Addr address;
    const MacAddr* mac = nullptr;
};

Hop hop_of(const NextHops& next_hops, HopId id, LinkId link, Ipv4Addr address) noexcept {
    if (index(id) >= next_hops.hops.size()) return {link, address, nullptr}; // not published yet
    const NextHop& hop = next_hops.hops[index(id)];
    return {hop.link, hop.address, hop.mac ? &*hop.mac : nullptr};
}

std::optional<Hop> client_hop(const NextHops& next_hops, LinkId from, Ipv4Addr client) noexcept {
    const Route* route = next_hops.route_to(client);
    if (route == nullptr) return std::nullopt;
    const std::optional<HopId> gateway = next_hops.gateway_from(from, *route);
    if (!gateway) return Hop{route->link, client, next_hops.neighbours.find(route->link, client)};
    return hop_of(next_hops, *gateway, route->link, client);
}

/// Remembers the MAC of a client on the link for the response. Most clients come through a gateway.
void note_client(const NextHops& next_hops, const Frame& frame, const Clients& clients) noexcept {
    const auto& ether = frame.header_at<EtherHeader>(0);
    const auto& ip = frame.header_at<Ipv4Header>(frame.layout.l2_len);
    const LinkId link = link_of(frame.rx_port);
    const std::optional<HopId> gateway = next_hops.link_gateways[index(link)];
    if (gateway && index(*gateway) < next_hops.hops.size() &&
        next_hops.hops[index(*gateway)].mac == ether.source)
        return;
    const Ipv4Addr client{ip.source.host()};
    if (clients.macs->knows(link, client, ether.source, clients.now)) return;
    const Route* route = next_hops.route_to(client);
    if (route == nullptr || route->gateway || route->link != link) return;
    if (!ether.source.is_multicast()) clients.macs->note(link, client, ether.source, clients.now);
}

/// Finds the MAC of the hop: as the kernel knows it, else as the client has just sent from it.
std::optional<Outcome>
resolve(const PipelineView& view, const Hop& hop, bool is_client, Exit& exit) noexcept {
    if (hop.mac != nullptr) [[likely]] {
        exit.mac = *hop.mac;
        return std::nullopt;
    }
    if (is_client && view.clients.macs != nullptr)
        if (const auto met = view.clients.macs->find(hop.link, hop.address, view.clients.now)) {
            exit.mac = *met;
            exit.is_guess = true;
            return std::nullopt;
        }
    if (!view.next_hops.fallback) return Outcome::NextHopUnresolved;
    exit.mac = *view.next_hops.fallback;
    return std::nullopt;
}

} // namespace

std::optional<Outcome> route(const PipelineView& view, Frame& frame) noexcept {
    Exit& exit = frame.exit;
    if (frame.target.reply) [[unlikely]] { // back to where it came from
        exit.tx_port = frame.rx_port;
        return std::nullopt;
    }
    if (!frame.target.backend || !frame.claim.vip) return Outcome::Internal;
    const Snapshot& snapshot = view.snapshot;
    if (index(*frame.target.backend) >= snapshot.backends.size()) return Outcome::NoBackend;
    const LegInfo& leg = info_of(frame.claim.leg);
    const Egress& egress = snapshot.backends[index(*frame.target.backend)].egress;
    const auto& ip = frame.header_at<Ipv4Header>(frame.layout.l2_len);
    exit.egress = &egress;

    Hop hop;
    if (leg.goes_to_backend) [[likely]] {
        hop = hop_of(view.next_hops, egress.hop, {}, {});
    } else {
        const auto found = client_hop(view.next_hops,
                                      snapshot.vips[index(*frame.claim.vip)].link,
                                      Ipv4Addr{ip.destination.host()});
        if (!found) return Outcome::NoRoute;
        hop = *found;
    }
    if (index(hop.link) >= view.links.size()) return Outcome::Internal;
    const LinkView& link = view.links[index(hop.link)];
    exit.link = hop.link;
    exit.tx_port = link.port;
    exit.next_hop = hop.address;
    if (egress.decrements_ttl && ip.ttl <= 1) return Outcome::TtlExpired;
    if (frame.length > link.max_frame_bytes) return Outcome::TooBig;
    if (const auto end = resolve(view, hop, !leg.goes_to_backend, exit)) return end;
    if (egress.returns_through_us && leg.comes_from_client && view.clients.macs != nullptr)
        note_client(view.next_hops, frame, view.clients);
    return std::nullopt;
}

} // namespace viaduct::stages
