// SPDX-License-Identifier: Apache-2.0
//
// admit: may this message go on? Keep-alives, non-SIP, defects, missing Call-ID, disabled VIPs
// end here.
#pragma once

#include "frame.hpp"

#include "viaduct/snapshot.hpp"

namespace viaduct {

/// Empty: steer it. What a nat backend sends always goes on: judging it is the client's business.
[[nodiscard]] std::optional<Outcome> admit(const Snapshot& snapshot, const Frame& frame) noexcept;

} // namespace viaduct
