// SPDX-License-Identifier: Apache-2.0
//
// punt: the thread that owns the TAP twins. It gives foreign traffic to the kernel, and frames from
// the kernel to the ports.
//
// Workers never touch a TAP: it costs a system call a frame. They pass mbufs through rings, one per
// worker and direction, and never wait; this thread makes the system calls.
#pragma once

#include "viaduct/dataplane.hpp"

#include <rte_mempool.h>
#include <rte_ring.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

namespace viaduct {

class PuntThread {
public:
    /// Creates one TAP interface per port (down, no address). Throws Error naming the port, and
    /// then leaves none.
    PuntThread(const std::vector<PortRequest>& ports, std::size_t workers, rte_mempool* mempool);
    ~PuntThread(); ///< stops the thread and removes the interfaces
    PuntThread(const PuntThread&) = delete;
    PuntThread& operator=(const PuntThread&) = delete;

    void start();

    /// marks(): the current positions of the workers' rings; has_passed(): whether everything
    /// before them was taken out. Control only.
    [[nodiscard]] std::vector<std::uint32_t> marks() const;
    [[nodiscard]] bool has_passed(const std::vector<std::uint32_t>& marks) const noexcept;
    /// The number of passes over the rings: what was taken out before the last pass is with the
    /// kernel.
    [[nodiscard]] std::uint64_t rounds() const noexcept {
        return rounds_.load(std::memory_order_acquire);
    }

    /// Sets the carrier of the port's twin, which programs see as the link. Control only.
    void set_carrier(std::size_t port, bool on) noexcept;

    /// Producer: that worker. The mbuf's `port` field holds the PortId. The punt thread frees the
    /// mbuf.
    [[nodiscard]] rte_ring* to_kernel(std::size_t worker) const { return to_kernel_[worker]; }
    /// Consumer: the one worker that serves this port's kernel traffic.
    [[nodiscard]] rte_ring* from_kernel(std::size_t port) const { return from_kernel_[port]; }

private:
    void run();
    bool drain(rte_ring* ring);
    void take_from_kernel(std::size_t port);
    void close_all() noexcept;

    rte_mempool* mempool_;
    std::vector<int> taps_;                // by PortId
    std::vector<rte_ring*> to_kernel_;     // by WorkerId
    std::vector<rte_ring*> from_kernel_;   // by PortId
    std::atomic<bool> stopping_{false};    // writer: control; reader: this thread, relaxed
    std::atomic<std::uint64_t> rounds_{0}; // writer: this thread; reader: control
    std::thread thread_;
};

} // namespace viaduct
