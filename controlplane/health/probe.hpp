// SPDX-License-Identifier: Apache-2.0
//
// probe: builds a health probe as a complete frame, on the same path as the pool's traffic.
//
// dsr-l2: to the backend's MAC with the VIP as destination, so that an answer proves that the
// backend owns the VIP and answers from it. nat: to the backend's address and UDP port.
//
// Spec:  RFC 3261 §11 (OPTIONS), §8.1.1 (mandatory headers), §17.1.1.3 (branch).
#pragma once

#include "config/config.hpp"

#include "viaduct/net.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace viaduct {

/// Identifiers that tie an answer to its probe; 128 random bits each, from the kernel.
struct ProbeIds {
    std::string call_id; ///< 32 hex digits
    std::string branch;  ///< "z9hG4bK" and 32 hex digits
    std::string from_tag;
};
[[nodiscard]] ProbeIds make_probe_ids();

struct ProbeFrame {
    MacAddr source_mac;      ///< the port's own
    MacAddr destination_mac; ///< the backend's or its gateway's
    Endpoint source;         ///< the balancer's own address and probe UDP port
    Endpoint destination;    ///< VIP:port (dsr-l2) or the backend (nat)
    std::string uri;         ///< Request-URI and To; empty: sip:<destination>
};

/// Returns the OPTIONS request: the SIP text only.
[[nodiscard]] std::string
build_options(const ProbeFrame& probe, const ProbeIds& ids, std::uint32_t cseq);
/// Adds Ethernet, IPv4 and UDP headers with both checksums to `payload`.
[[nodiscard]] std::vector<std::byte> build_frame(const ProbeFrame& probe,
                                                 const std::string& payload);

} // namespace viaduct
