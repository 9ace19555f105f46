// SPDX-License-Identifier: Apache-2.0
//
// punt: the thread that owns the TAP twins: what is not ours to the kernel, what the kernel sends
// back to the ports.
//
// Workers never touch a TAP: it costs a system call a frame. They hand mbufs over by rings, one per
// worker and direction, and never wait; this thread does the system calls.
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
    /// Creates one TAP interface per port (down, no address). Throws Error naming the port; then
    /// none is left.
    PuntThread(const std::vector<PortRequest>& ports, std::size_t workers, rte_mempool* mempool);
    ~PuntThread(); ///< stops the thread and removes the interfaces
    PuntThread(const PuntThread&) = delete;
    PuntThread& operator=(const PuntThread&) = delete;

    void start();

    /// Control: where the workers' rings stand, and whether all that was in them then was taken
    /// out.
    [[nodiscard]] std::vector<std::uint32_t> marks() const;
    [[nodiscard]] bool has_passed(const std::vector<std::uint32_t>& marks) const noexcept;
    /// How often the thread has been through its rings: what it had taken out is with the kernel.
    [[nodiscard]] std::uint64_t rounds() const noexcept {
        return rounds_.load(std::memory_order_acquire);
    }

    /// Control: what the kernel's programs see of the port's link.
    void set_carrier(std::size_t port, bool on) noexcept;

    /// Producer: that worker. The mbuf's `port` field holds the PortId. It is freed here.
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
