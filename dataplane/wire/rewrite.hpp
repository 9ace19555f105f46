// SPDX-License-Identifier: Apache-2.0
//
// rewrite: turns the frame in place into the one that leaves, and chooses its port.
//
// dsr-l2: both MACs, no IP or SIP byte. nat: addresses, UDP ports, TTL. Checksums are updated
// incrementally, so that a wrong one stays wrong and an absent UDP checksum stays absent.
// Spec:  RFC 1624 (incremental update), RFC 768 (zero checksum), RFC 1812 §5.3.1 (TTL).
#pragma once

#include "frame.hpp"
#include "wire/client_macs.hpp"

#include "viaduct/next_hops.hpp"
#include "viaduct/snapshot.hpp"

#include <span>

namespace viaduct {

/// The table of client MACs, and the time on the clock that ClientMacs requires.
struct Clients {
    ClientMacs* macs = nullptr;
    std::uint32_t now = 0;
};

/// Empty: send it on frame.tx_port. With any outcome the frame's bytes are unchanged. With
/// `NextHopUnresolved`, and where `is_guess`, tx_port and next_hop name the hop to resolve.
[[nodiscard]] std::optional<Outcome> rewrite(const Snapshot& snapshot,
                                             const NextHops& next_hops,
                                             std::span<const PortView> ports,
                                             Frame& frame,
                                             const Clients& clients = {}) noexcept;

/// One's-complement checksum after `from` became `to` (RFC 1624, equation 3).
[[nodiscard]] constexpr std::uint16_t
updated_checksum(std::uint16_t checksum, std::uint16_t from, std::uint16_t to) noexcept {
    std::uint32_t sum = static_cast<std::uint16_t>(~checksum);
    sum += static_cast<std::uint16_t>(~from);
    sum += to;
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint16_t>(~sum);
}

} // namespace viaduct
