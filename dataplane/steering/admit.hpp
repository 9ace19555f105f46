// SPDX-License-Identifier: Apache-2.0
//
// admit: decides whether a message is steered. Keep-alives, non-SIP, defects, messages without
// Call-ID and disabled VIPs finish here.
#pragma once

#include "frame.hpp"

#include "viaduct/snapshot.hpp"

namespace viaduct {

/// The outcome, or empty: steer the message. Messages of nat backends are always admitted: the
/// client has to judge them.
[[nodiscard]] std::optional<Outcome> admit(const Snapshot& snapshot, const Frame& frame) noexcept;

} // namespace viaduct
