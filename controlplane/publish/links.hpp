// SPDX-License-Identifier: Apache-2.0
//
// links: the state of the ports' links, and stations that use our addresses.
//
// In:    the link state, which the data plane is asked for periodically; news from HostNetwork.
// Out:   an event per change. The twins' carrier follows the links (follow_links()), so that
//        routing and VRRP daemons notice.
// Cost:  each look asks every device once, a few hundred microseconds at most.
#pragma once

#include "host/host_network.hpp"
#include "loop.hpp"
#include "model/pool.hpp"

#include <optional>
#include <string>
#include <vector>

namespace viaduct {

class LinkWatch {
public:
    static constexpr std::chrono::milliseconds kPeriod{200};

    LinkWatch(const Config& config, PoolModel& model) : config_(config), model_(model) {}

    void look();
    /// Calls look() when kPeriod has passed since the last one, or `has_news`.
    void tick(TimePoint now, bool has_news);

private:
    const Config& config_;
    PoolModel& model_;
    /// Why the link is down, by PortId; "": up; empty: not seen.
    std::vector<std::optional<std::string>> lacks_;
    TimePoint looked_{};
};

/// Returns e.g. "02:00:00:00:00:21 (backend b1 of pool proxies)".
[[nodiscard]] std::string describe(const OtherStation& station, const PoolModel& model);

/// Records an event for each.
void record_news(const std::vector<AddressNews>& all, const Config& config, PoolModel& model);

} // namespace viaduct
