// SPDX-License-Identifier: Apache-2.0
#include "host/tx_audit.hpp"

#include <algorithm>
#include <utility>

namespace viaduct {

std::vector<std::string> TxAudit::tick(const std::vector<PortState>& ports) {
    std::vector<std::string> lines;
    ports_.resize(ports.size());
    for (std::size_t i = 0; i < ports.size(); ++i) {
        const PortState& port = ports[i];
        Watched& watched = ports_[i];
        if (!port.no_link.empty() || !port.counts_sent) {
            watched.carried = watched.lost;
            watched.seconds = 0;
            watched.is_anew = true;
            continue;
        }
        std::uint64_t& earlier = watched.given[watched.seconds % kPatience];
        if (watched.seconds++ >= kPatience) {
            const std::uint64_t accounted = port.sent + port.tx_errors;
            const std::uint64_t missing = earlier > accounted ? earlier - accounted : 0;
            // Frames given to a device without a link may be dropped, and counted elsewhere.
            if (std::exchange(watched.is_anew, false)) watched.excused = missing;
            watched.lost = watched.carried + missing - std::min(watched.excused, missing);
        }
        earlier = port.given;
        if (watched.lost > 0 && !watched.is_told)
            lines.push_back("port " + port.name + ": " + std::to_string(watched.lost) +
                            " frame(s) that its TX queues accepted were neither sent nor counted "
                            "as errors (tx_lost in show ports); with several workers, the driver " +
                            port.driver +
                            " may claim more queues than its device serves: try "
                            "dataplane.workers = 1");
        watched.is_told = watched.lost > 0;
    }
    return lines;
}

std::uint64_t TxAudit::lost(std::size_t port) const noexcept {
    return port < ports_.size() ? ports_[port].lost : 0;
}

} // namespace viaduct
