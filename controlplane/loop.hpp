// SPDX-License-Identifier: Apache-2.0
//
// loop: epoll, timers and signals of the control thread. Everything in controlplane/ runs on it.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <vector>

namespace viaduct {

using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;

class Loop {
public:
    using OnReady = std::function<void(std::uint32_t epoll_events)>;
    using OnTick = std::function<void(TimePoint now)>;

    Loop(); ///< throws Error when the kernel gives no epoll
    ~Loop();
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;

    /// Calls `on_ready` whenever `fd` has one of `epoll_events` (EPOLLIN, EPOLLOUT). The fd stays
    /// its owner's; a callback may watch, change or forget any fd, its own too.
    void watch(int fd, std::uint32_t epoll_events, OnReady on_ready);
    void change(int fd, std::uint32_t epoll_events);
    void forget(int fd);

    /// Calls `on_tick` about every `period`; late ticks are not made up for.
    void every(std::chrono::milliseconds period, OnTick on_tick);

    /// Blocks `signals` in this thread and calls `on_signal` from run() when one arrives.
    void on_signals(const std::vector<int>& signals, std::function<void(int signal)> on_signal);

    void run(); ///< until stop()
    void stop() noexcept { stopping_ = true; }

private:
    struct Ticker {
        std::chrono::milliseconds period;
        TimePoint due;
        OnTick on_tick;
    };
    int epoll_ = -1;
    int signals_ = -1;
    bool stopping_ = false;
    std::map<int, std::shared_ptr<OnReady>> watched_;
    std::vector<Ticker> tickers_;
};

} // namespace viaduct
