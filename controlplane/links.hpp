// SPDX-License-Identifier: Apache-2.0
//
// links: whether each port's link is up, told to whoever asks and to whoever should know.
//
// In:    the data plane's word, asked for now and then. Out: an event per change; the twins'
//        carrier follows (follow_links()), so that routing and VRRP daemons notice.
// Cost:  a look asks every device once, at most some hundred microseconds.
#pragma once

#include "loop.hpp"
#include "pool.hpp"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace viaduct {

class LinkWatch {
public:
    static constexpr std::chrono::milliseconds kPeriod{200};

    /// `on_up` hears of each link that has come up again, or for the first time.
    LinkWatch(const Config& config, PoolModel& model, std::function<void(PortId)> on_up)
        : config_(config), model_(model), on_up_(std::move(on_up)) {}

    void look();
    /// look(), when kPeriod has passed since the last one or `has_news`.
    void tick(TimePoint now, bool has_news);

private:
    const Config& config_;
    PoolModel& model_;
    std::function<void(PortId)> on_up_;
    std::vector<std::optional<std::string>>
        lacks_; ///< by PortId: empty text: up; nothing: not seen
    TimePoint looked_{};
};

} // namespace viaduct
