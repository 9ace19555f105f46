// SPDX-License-Identifier: Apache-2.0
//
// loop: epoll, timers and signals of the control thread. Everything in controlplane/ runs on it.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <utility>
#include <vector>

namespace viaduct {

using Clock = std::chrono::steady_clock;
using TimePoint = Clock::time_point;

/// Holds these signals back for Loop::on_signals, in this thread and in threads that it starts.
void block_signals(const std::vector<int>& signals);

class Loop;

/// A running timer of a Loop, which must outlive it; the timer stops when this is destroyed.
class [[nodiscard]] Ticker {
public:
    Ticker() = default;
    Ticker(Ticker&& other) noexcept : loop_(std::exchange(other.loop_, nullptr)), id_(other.id_) {}
    Ticker& operator=(Ticker&& other) noexcept {
        std::swap(loop_, other.loop_);
        std::swap(id_, other.id_);
        return *this;
    }
    ~Ticker();

private:
    friend class Loop;
    Ticker(Loop& loop, std::uint64_t id) noexcept : loop_(&loop), id_(id) {}
    Loop* loop_ = nullptr;
    std::uint64_t id_ = 0;
};

class Loop {
public:
    using OnReady = std::function<void(std::uint32_t epoll_events)>;
    using OnTick = std::function<void(TimePoint now)>;

    Loop(); ///< throws Error when the kernel refuses an epoll
    ~Loop();
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;

    /// Calls `on_ready` whenever `fd` has one of `epoll_events` (EPOLLIN, EPOLLOUT). The owner
    /// keeps the fd. A callback may watch, change or forget any fd, including its own.
    void watch(int fd, std::uint32_t epoll_events, OnReady on_ready);
    void change(int fd, std::uint32_t epoll_events);
    void forget(int fd);

    /// Calls `on_tick` about every `period` while the returned Ticker exists; missed ticks are not
    /// repeated. A callback may start and stop any timer, including its own.
    Ticker every(std::chrono::milliseconds period, OnTick on_tick);

    /// Blocks `signals` (block_signals()) and calls `on_signal` from run() when one arrives.
    void on_signals(const std::vector<int>& signals, std::function<void(int signal)> on_signal);

    void run(); ///< until stop()
    void stop() noexcept { stopping_ = true; }

private:
    friend class Ticker;
    struct Timer {
        std::chrono::milliseconds period;
        TimePoint due;
        std::shared_ptr<OnTick> on_tick;
    };
    [[nodiscard]] int wait_ms() const;
    void run_timers();

    int epoll_ = -1;
    int signals_ = -1;
    bool stopping_ = false;
    std::map<int, std::shared_ptr<OnReady>> watched_;
    std::map<std::uint64_t, Timer> timers_; ///< by the id of the Ticker
    std::uint64_t next_timer_ = 0;
};

} // namespace viaduct
