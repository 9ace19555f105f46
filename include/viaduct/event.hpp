// SPDX-License-Identifier: Apache-2.0
//
// event: events from the workers to the control plane, as fixed-size records in one ring per
// worker.
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

/// A text cut to what fits; enough for the identifiers that the control plane creates.
template <std::size_t Size> struct ShortText {
    std::array<char, Size> bytes{};
    std::uint8_t length = 0;

    void assign(std::string_view text) noexcept {
        length = static_cast<std::uint8_t>(std::min(text.size(), Size));
        std::copy_n(text.data(), length, bytes.data());
    }
    [[nodiscard]] std::string_view view() const noexcept { return {bytes.data(), length}; }
};

/// The lengths that probe.cpp creates: a response with others does not answer a probe.
inline constexpr std::size_t kProbeCallIdLength = 32;
inline constexpr std::size_t kProbeBranchLength = 39;

enum class EventKind : std::uint8_t {
    ProbeAnswer, ///< a frame that may answer a probe reached the probe endpoint
    ProbeError,  ///< an ICMP error that quotes a probe
    NextHopMiss, ///< a packet needs a next hop whose MAC is not known
};

struct Event {
    EventKind kind{};
    LinkId link{}; ///< where the frame arrived, or would have left
    /// ProbeAnswer: SIP status code; 0: not a SIP response. ProbeError: ICMP type, code.
    std::uint16_t status = 0;
    MacAddr source_mac;             ///< ProbeAnswer: the sender of the frame
    std::uint16_t udp_checksum = 0; ///< ProbeError: the UDP checksum of the probe
    Endpoint source;                ///< ProbeAnswer; ProbeError: the sender of the error
    /// ProbeAnswer: our endpoint. ProbeError: the destination of the probe. NextHopMiss: address to
    /// resolve
    Endpoint destination;
    ShortText<63> call_id;    ///< ProbeAnswer
    ShortText<63> branch;     ///< ProbeAnswer: in the top Via
    std::uint64_t rx_tsc = 0; ///< when the worker received it from the port, in TSC ticks
};
static_assert(std::is_trivially_copyable_v<Event> && sizeof(Event) % 4 == 0,
              "events travel through rte_ring_elem");

} // namespace viaduct
