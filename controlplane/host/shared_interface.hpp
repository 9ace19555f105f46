// SPDX-License-Identifier: Apache-2.0
//
// shared_interface: finds addresses of the host outside the twins that keep the twins' addresses
// from working.
//
// In:    the kernel's addresses by netlink.
// Out:   one sentence per address: what, where, what to do.
#pragma once

#include "host/netlink.hpp"
#include "host/twin.hpp"

#include <optional>
#include <string>
#include <vector>

namespace viaduct {

struct Objection {
    std::string text;
    bool is_fatal = false; ///< the twin's address cannot work; false: the other address cannot
    Ipv4Addr address;      ///< the host's address there
};

/// Returns what is wrong with the address of an RTM_NEWADDR message; usually nothing.
[[nodiscard]] std::optional<Objection> objection_to(const nlmsghdr* message,
                                                    const std::vector<Twin>& twins,
                                                    const std::vector<TwinPort>& ports);

/// Whether a twin will get an address that no twin has so far.
[[nodiscard]] bool
is_new(Ipv4Addr address, const std::vector<Twin>& wanted, const std::vector<Twin>& now);

/// Returns all current objections; empty when the kernel cannot list its addresses.
[[nodiscard]] std::vector<Objection>
objections(Netlink& netlink, const std::vector<Twin>& twins, const std::vector<TwinPort>& ports);

} // namespace viaduct
