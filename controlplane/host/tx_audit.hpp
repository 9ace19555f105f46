// SPDX-License-Identifier: Apache-2.0
//
// tx_audit: whether the ports have sent what their queues took.
//
// In:    what we gave to a port's queues, and what its driver counts as sent or failed.
// Out:   how many frames vanished in between. A driver may claim queues that its chip does not
//        serve: they take frames and send none, and count nothing.
// Cost:  once a second, a few numbers a port.
#pragma once

#include "viaduct/dataplane.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace viaduct {

class TxAudit {
public:
    /// Frames may wait in a queue, and counters of a device come late: so many seconds.
    static constexpr std::size_t kPatience = 3;

    /// Once a second. A line for the log about each port where losses begin.
    [[nodiscard]] std::vector<std::string> tick(const std::vector<PortState>& ports);
    /// Frames given to the port's queues kPatience ago that it has neither sent nor counted as
    /// errors.
    [[nodiscard]] std::uint64_t lost(std::size_t port) const noexcept;

private:
    struct Watched {
        std::array<std::uint64_t, kPatience> given{}; ///< of the last seconds, in turn
        std::size_t seconds = 0;                      ///< since the link is up
        std::uint64_t carried = 0;                    ///< lost before that
        std::uint64_t excused = 0;                    ///< missing, and perhaps not lost
        bool is_anew = false;                         ///< the link was down before
        std::uint64_t lost = 0;
        bool is_told = false;
    };
    std::vector<Watched> ports_; ///< by PortId
};

} // namespace viaduct
