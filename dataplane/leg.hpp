// SPDX-License-Identifier: Apache-2.0
//
// leg: the directions in which messages pass, and what each stage does with them.
//
// Claim finds the leg of a frame. All other stages use the columns of its row and never compare
// legs (scripts/check.sh).
#pragma once

#include "viaduct/closed_set.hpp"
#include "viaduct/counters.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

namespace viaduct {

enum class Leg : std::uint8_t {
    ClientToVip,
    BackendToClient, ///< nat: returns through Viaduct
    BackendToVip,    ///< nat: a backend calls a VIP
    ProbeReply,
};

/// How much of a message the digest stage reads.
enum class Reads : std::uint8_t {
    ByVip, ///< what the VIP's rules name
    Whole, ///< all that steering may need
    Heard, ///< the same, for requests and for final responses that the pool applies; else nothing
    Identity, ///< Call-ID, status and topmost Via, which only the sender of a probe knows
};

/// How the backend of a message is chosen.
enum class Steered : std::uint8_t {
    ByVip,   ///< by the VIP's pool
    ByOther, ///< by the other side of the backend's call
    Noted,   ///< not: its destination is known. A request is remembered for what follows it
    Never,
};

struct LegInfo {
    Leg leg;
    Reads reads;
    bool is_admitted; ///< the VIP's rules may end the message (admit_message)
    Steered steered;
    bool leaves_from_vip;   ///< where the backend's egress says so: the source becomes the VIP
    bool goes_to_backend;   ///< by the backend's egress; otherwise by the route to its destination
    bool comes_from_client; ///< its MAC is remembered for responses that leave before ARP answers
    Outcome sent;           ///< when a port has accepted it
    Outcome unanswered;     ///< a request that is refused, but cannot be answered
};

inline constexpr std::array<LegInfo, count_of<Leg>()> kLegs{{
    {.leg = Leg::ClientToVip,
     .reads = Reads::ByVip,
     .is_admitted = true,
     .steered = Steered::ByVip,
     .leaves_from_vip = false,
     .goes_to_backend = true,
     .comes_from_client = true,
     .sent = Outcome::Forwarded,
     .unanswered = Outcome::DeadOwner},
    {.leg = Leg::BackendToClient,
     .reads = Reads::Heard,
     .is_admitted = false, // the client has to judge it
     .steered = Steered::Noted,
     .leaves_from_vip = true,
     .goes_to_backend = false,
     .comes_from_client = false,
     .sent = Outcome::Returned,
     .unanswered = Outcome::DeadOwner},
    {.leg = Leg::BackendToVip,
     .reads = Reads::Whole,
     .is_admitted = true,
     .steered = Steered::ByOther,
     // The called backend must answer through us, so it sees the calling backend as the VIP.
     .leaves_from_vip = true,
     .goes_to_backend = true,
     .comes_from_client = false,
     .sent = Outcome::Forwarded,
     .unanswered = Outcome::BackendToVip},
    {.leg = Leg::ProbeReply,
     .reads = Reads::Identity,
     .is_admitted = false,
     .steered = Steered::Never,
     .leaves_from_vip = false,
     .goes_to_backend = false,
     .comes_from_client = false,
     .sent = Outcome::Internal,
     .unanswered = Outcome::Internal},
}};
static_assert(rows_in_order(kLegs, &LegInfo::leg));

[[nodiscard]] constexpr const LegInfo& info_of(Leg leg) noexcept {
    return kLegs[static_cast<std::size_t>(leg)];
}

} // namespace viaduct
