// SPDX-License-Identifier: Apache-2.0
//
// event: what workers tell the control plane, as fixed-size records in one ring per worker.
//
// A worker never waits: when its ring is full the record is dropped and counted (events_lost).
#pragma once

#include "viaduct/net.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

namespace viaduct {

/// A text cut to what fits; enough for the identifiers the control plane itself made.
template <std::size_t Size> struct ShortText {
    std::array<char, Size> bytes{};
    std::uint8_t length = 0;

    void assign(std::string_view text) noexcept {
        length = static_cast<std::uint8_t>(std::min(text.size(), Size));
        std::copy_n(text.data(), length, bytes.data());
    }
    [[nodiscard]] std::string_view view() const noexcept { return {bytes.data(), length}; }
};

/// What probe.cpp makes: anything else answers no probe.
inline constexpr std::size_t kProbeCallIdLength = 32;
inline constexpr std::size_t kProbeBranchLength = 39;

enum class EventKind : std::uint8_t {
    ProbeAnswer, ///< what may be an answer reached the probe endpoint
    ProbeError,  ///< an ICMP error that quotes a probe
    NextHopMiss, ///< a packet wanted a next hop whose MAC is not known
};

struct Event {
    EventKind kind{};
    PortId port{}; ///< where it arrived, or would have left
    /// ProbeAnswer: SIP status code; 0: it is no SIP response. ProbeError: ICMP type, code.
    std::uint16_t status = 0;
    MacAddr source_mac;             ///< ProbeAnswer: who sent the frame
    std::uint16_t udp_checksum = 0; ///< ProbeError: of the probe
    Endpoint source;                ///< ProbeAnswer; ProbeError: address that complains
    /// ProbeAnswer: our endpoint. ProbeError: where the probe went. NextHopMiss: address to resolve
    Endpoint destination;
    ShortText<63> call_id;    ///< ProbeAnswer
    ShortText<63> branch;     ///< ProbeAnswer: of the top Via
    std::uint64_t rx_tsc = 0; ///< when the worker took it from the port, in TSC ticks
};
static_assert(std::is_trivially_copyable_v<Event> && sizeof(Event) % 4 == 0,
              "events travel through rte_ring_elem");

} // namespace viaduct
