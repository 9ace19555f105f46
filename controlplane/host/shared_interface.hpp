// SPDX-License-Identifier: Apache-2.0
//
// shared_interface: addresses that the host has beside the twins and that keep the twins' from
// working.
//
// In:    the kernel's addresses by netlink. Out: one sentence each: what, where, what to do.
#pragma once

#include "host/netlink.hpp"
#include "host/twin.hpp"

#include <optional>
#include <string>
#include <vector>

namespace viaduct {

struct Objection {
    std::string text;
    bool is_fatal = false; ///< what the twin is for cannot work; else something else does not
    Ipv4Addr address;      ///< that the host has there
};

/// What is wrong with the address of an RTM_NEWADDR message; nothing, for most.
[[nodiscard]] std::optional<Objection> objection_to(const nlmsghdr* message,
                                                    const std::vector<Twin>& twins,
                                                    const std::vector<TwinPort>& ports);

/// Whether a twin is to have the address that none has so far.
[[nodiscard]] bool
is_new(Ipv4Addr address, const std::vector<Twin>& wanted, const std::vector<Twin>& now);

/// All that there are now. A kernel that does not tell has none.
[[nodiscard]] std::vector<Objection>
objections(Netlink& netlink, const std::vector<Twin>& twins, const std::vector<TwinPort>& ports);

} // namespace viaduct
