// SPDX-License-Identifier: Apache-2.0
//
// first_line: determines from the first line of a payload whether it is a request, a response, or
// not SIP.
//
// Spec:  RFC 3261 §7.1, §7.2; RFC 5626 §3.5.1, §4.4.1; RFC 5389 §6.
#pragma once

#include "viaduct/sip/digest.hpp"

#include <cstddef>
#include <string_view>

namespace viaduct {

/// Fills in kind, method and status. `text`: `whole` without leading empty lines; its first line
/// feed is at `line_feed`. False: nothing else needs to be read.
[[nodiscard]] bool read_first_line(std::string_view whole,
                                   std::string_view text,
                                   std::size_t line_feed,
                                   SipDigest& digest) noexcept;

} // namespace viaduct
