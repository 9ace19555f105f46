// SPDX-License-Identifier: Apache-2.0
//
// links: what happens to ports on the outside: their links, and stations that use our addresses.
//
// In:    the data plane's word on links, asked for now and then; what HostNetwork has heard.
// Out:   an event per change; the twins' carrier follows the links (follow_links()), so that
//        routing and VRRP daemons notice.
// Cost:  a look asks every device once, at most some hundred microseconds.
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
    /// look(), when kPeriod has passed since the last one or `has_news`.
    void tick(TimePoint now, bool has_news);

private:
    const Config& config_;
    PoolModel& model_;
    std::vector<std::optional<std::string>>
        lacks_; ///< by PortId: empty text: up; nothing: not seen
    TimePoint looked_{};
};

/// "02:00:00:00:00:21 (backend b1 of pool proxies)".
[[nodiscard]] std::string describe(const OtherStation& station, const PoolModel& model);

/// An event for each.
void record_news(const std::vector<AddressNews>& all, const Config& config, PoolModel& model);

} // namespace viaduct
