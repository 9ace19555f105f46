// SPDX-License-Identifier: Apache-2.0
//
// event: what workers tell the control plane, as fixed-size records in one ring per worker.
//
// A worker never waits: when its ring is full the record is dropped and counted (events_lost).
#pragma once

#include "viaduct/net.hpp"

#include <algorithm>
#include <array>
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

enum class EventKind : std::uint8_t {
    ProbeAnswer, ///< a SIP response reached the probe endpoint
    NextHopMiss, ///< a packet wanted a next hop whose MAC is not known
};

struct Event {
    EventKind kind{};
    PortId port{};            ///< where it arrived, or would have left
    std::uint16_t status = 0; ///< ProbeAnswer: SIP status code
    MacAddr source_mac;       ///< ProbeAnswer: who sent the frame
    std::uint16_t reserved = 0;
    Endpoint source;          ///< ProbeAnswer
    Endpoint destination;     ///< ProbeAnswer: our endpoint. NextHopMiss: address to resolve
    ShortText<63> call_id;    ///< ProbeAnswer
    ShortText<63> branch;     ///< ProbeAnswer: of the top Via
    std::uint64_t rx_tsc = 0; ///< when the worker took it from the port, in TSC ticks
};
static_assert(std::is_trivially_copyable_v<Event> && sizeof(Event) % 4 == 0,
              "events travel through rte_ring_elem");

} // namespace viaduct
