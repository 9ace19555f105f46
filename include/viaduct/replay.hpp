// SPDX-License-Identifier: Apache-2.0
//
// replay: reads a capture, writes a capture, and reports the outcome of every frame.
//
// Runs the real stages without ports, root or huge pages, and with a table of calls that remembers
// the calls of the capture. All frames enter on the first port; any destination MAC is accepted;
// punted frames are counted and not written.
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

/// The MAC that replay gives a port, 02:00:00:00:fe:NN by its number: the source of frames that
/// leave there.
[[nodiscard]] constexpr MacAddr replay_port_mac(PortId port) noexcept {
    return {{0x02, 0, 0, 0, 0xfe, static_cast<std::uint8_t>(index(port))}};
}

/// The result of one frame of the capture. The view is valid during the callback only.
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
    std::uint64_t cut = 0;      ///< frames that the capture contains only in part
    std::array<std::uint64_t, kOutcomeCount> outcomes{};
};

/// What the stages use for a frame: valid until the next call.
struct ReplayMoment {
    const Snapshot& snapshot;
    CallTable calls{};
    CallTime now{};
};
/// Plays the control plane. Called before each frame; `at` is the latest time stamp so far, since
/// 1970: a frame that was captured out of order does not move it back.
using ReplayControl = std::function<ReplayMoment(std::chrono::nanoseconds at)>;

/// `in` may be libpcap or pcapng with Ethernet frames of up to 262,144 bytes; `out` is libpcap with
/// the time stamps of `in`, to the nanosecond when `in` has them. `out` appears only when the whole
/// capture was read, and replaces a file of that name, even `in` itself. `mtu` limits the size of
/// frames that are sent. `on_frame` is called once per frame in order; it may be empty. Throws
/// Error with the name of a file that cannot be read or written.
ReplayTotals replay(const ReplayControl& control,
                    const NextHops& next_hops,
                    std::uint32_t mtu,
                    const std::string& in,
                    const std::string& out,
                    const std::function<void(const ReplayFrame&)>& on_frame);

} // namespace viaduct
