// SPDX-License-Identifier: Apache-2.0
#include "loop.hpp"

#include "viaduct/error.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <string>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include <utility>

namespace viaduct {

namespace {

sigset_t set_of(const std::vector<int>& signals) {
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : signals)
        sigaddset(&set, signal);
    return set;
}

} // namespace

void block_signals(const std::vector<int>& signals) {
    const sigset_t set = set_of(signals);
    sigprocmask(SIG_BLOCK, &set, nullptr);
}

Loop::Loop() : epoll_(epoll_create1(EPOLL_CLOEXEC)) {
    if (epoll_ < 0) throw Error(std::string("cannot create an epoll: ") + std::strerror(errno));
}

Loop::~Loop() {
    if (signals_ >= 0) close(signals_);
    close(epoll_);
}

void Loop::watch(int fd, std::uint32_t epoll_events, OnReady on_ready) {
    watched_[fd] = std::make_shared<OnReady>(std::move(on_ready));
    epoll_event event{};
    event.events = epoll_events;
    event.data.fd = fd;
    if (epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) != 0)
        throw Error(std::string("cannot watch a file descriptor: ") + std::strerror(errno));
}

void Loop::change(int fd, std::uint32_t epoll_events) {
    epoll_event event{};
    event.events = epoll_events;
    event.data.fd = fd;
    epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &event);
}

void Loop::forget(int fd) {
    epoll_ctl(epoll_, EPOLL_CTL_DEL, fd, nullptr);
    watched_.erase(fd);
}

Ticker Loop::every(std::chrono::milliseconds period, OnTick on_tick) {
    const std::uint64_t id = next_timer_++;
    timers_[id] = {period, Clock::now() + period, std::make_shared<OnTick>(std::move(on_tick))};
    return {*this, id};
}

Ticker::~Ticker() {
    if (loop_ != nullptr) loop_->timers_.erase(id_);
}

void Loop::on_signals(const std::vector<int>& signals, std::function<void(int)> on_signal) {
    block_signals(signals);
    const sigset_t set = set_of(signals);
    signals_ = signalfd(signals_, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (signals_ < 0) throw Error(std::string("cannot receive signals: ") + std::strerror(errno));
    watch(signals_, EPOLLIN, [this, call = std::move(on_signal)](std::uint32_t) {
        signalfd_siginfo info{};
        while (read(signals_, &info, sizeof(info)) == static_cast<ssize_t>(sizeof(info)))
            call(static_cast<int>(info.ssi_signo));
    });
}

void Loop::run() {
    stopping_ = false;
    while (!stopping_) {
        std::array<epoll_event, 64> events{};
        const int count =
            epoll_wait(epoll_, events.data(), static_cast<int>(events.size()), wait_ms());
        for (int i = 0; i < count && !stopping_; ++i) {
            const epoll_event& event = events[static_cast<std::size_t>(i)];
            const auto found = watched_.find(event.data.fd);
            if (found == watched_.end()) continue; // forgotten by an earlier callback
            const auto keep_alive = found->second;
            (*keep_alive)(event.events);
        }
        run_timers();
    }
}

int Loop::wait_ms() const {
    if (timers_.empty()) return -1;
    const auto due = [](const auto& timer) { return timer.second.due; };
    const TimePoint next = due(*std::ranges::min_element(timers_, {}, due));
    const auto wait = std::chrono::ceil<std::chrono::milliseconds>(next - Clock::now());
    return static_cast<int>(std::clamp<std::int64_t>(wait.count(), 0, 60'000));
}

void Loop::run_timers() {
    const TimePoint now = Clock::now();
    for (auto at = timers_.begin(); at != timers_.end() && !stopping_;) {
        const std::uint64_t id = at->first;
        Timer& timer = at->second;
        if (timer.due <= now) {
            timer.due = std::max(timer.due + timer.period, now);
            const auto keep_alive = timer.on_tick;
            (*keep_alive)(now);
        }
        at = timers_.upper_bound(id); // the callback may have stopped any timer
    }
}

} // namespace viaduct
