// SPDX-License-Identifier: Apache-2.0
//
// tx_audit: checks that the ports have sent what their queues accepted.
//
// In:    the frames given to a port's queues, and those that its driver counts as sent or failed.
// Out:   the number of frames lost in between. A driver may claim queues that its chip does not
//        serve: they accept frames, send none, and count nothing.
// Cost:  a few numbers per port, once a second.
#pragma once

#include "viaduct/dataplane.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace viaduct {

class TxAudit {
public:
    /// Seconds allowed for frames that wait in a queue, and for late counters of a device.
    static constexpr std::size_t kPatience = 3;

    /// Call once a second. Returns a log line for each port where losses start.
    [[nodiscard]] std::vector<std::string> tick(const std::vector<PortState>& ports);
    /// Returns the frames given to the port's queues at least kPatience ago that it has neither
    /// sent nor counted as errors.
    [[nodiscard]] std::uint64_t lost(std::size_t port) const noexcept;

private:
    struct Watched {
        std::array<std::uint64_t, kPatience> given{}; ///< in the last kPatience seconds, as a ring
        std::size_t seconds = 0;                      ///< since the link came up
        std::uint64_t carried = 0;                    ///< lost before that
        std::uint64_t excused = 0;                    ///< missing, but perhaps not lost
        bool is_anew = false;                         ///< the link was down before
        std::uint64_t lost = 0;
        bool is_told = false;
    };
    std::vector<Watched> ports_; ///< by PortId
};

} // namespace viaduct
