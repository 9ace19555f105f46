// SPDX-License-Identifier: Apache-2.0
//
// replay: a capture in, a capture and the outcome of every frame out.
//
// The real stages, with no port, no root and no huge pages, and a table of calls that remembers
// what the capture began. All frames enter on the first port; any destination MAC is accepted; what
// is punted is counted and not written.
#pragma once

#include "viaduct/counters.hpp"
#include "viaduct/snapshot.hpp"

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace viaduct {

/// The MAC replay gives a port, 02:00:00:00:fe:NN by its number: the source of what leaves there.
[[nodiscard]] constexpr MacAddr replay_port_mac(PortId port) noexcept {
    return {{0x02, 0, 0, 0, 0xfe, static_cast<std::uint8_t>(index(port))}};
}

/// What became of one frame of the capture. The view is valid during the callback only.
struct ReplayFrame {
    std::uint64_t number = 0; ///< 1 for the first frame of the capture
    Outcome outcome{};
    std::optional<VipId> vip;
    std::optional<PoolId> pool;
    std::optional<BackendId> backend; ///< chosen, or the sender of a packet from a backend
    std::string_view call_id;         ///< as in the message; empty: none
};

struct ReplayTotals {
    std::uint64_t received = 0; ///< frames of the capture = sum of outcomes
    std::uint64_t sent = 0;     ///< frames written
    std::uint64_t cut = 0;      ///< frames that the capture holds a part of only
    std::array<std::uint64_t, kOutcomeCount> outcomes{};
};

/// What workers are given: valid until the next moment.
struct ReplayMoment {
    const Snapshot& snapshot;
    CallTable calls{};
    CallTime now{};
};
/// What the control plane does meanwhile. Asked before each frame; `at` is the latest time stamp so
/// far, since 1970: a frame that was captured out of order turns nothing back.
using ReplayControl = std::function<ReplayMoment(std::chrono::nanoseconds at)>;

/// `in` may be libpcap or pcapng with Ethernet frames of up to 262,144 bytes; `out` is libpcap with
/// the time stamps of `in`, to the nanosecond when `in` has them. `out` appears only when the whole
/// capture was read; an earlier file of that name is replaced, also when it is `in`. `mtu` bounds
/// what is sent. `on_frame` is called once per frame in order; it may be empty. Throws Error when a
/// file cannot be read or written, naming it.
ReplayTotals replay(const ReplayControl& control,
                    const NextHops& next_hops,
                    std::uint32_t mtu,
                    const std::string& in,
                    const std::string& out,
                    const std::function<void(const ReplayFrame&)>& on_frame);

} // namespace viaduct
