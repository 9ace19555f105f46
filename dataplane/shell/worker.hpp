// SPDX-License-Identifier: Apache-2.0
//
// worker: one thread, one loop: rx burst -> pipeline -> tx burst. Its own code makes no system
// call, takes no lock, writes no log and allocates nothing; the port's driver may.
#pragma once

#include "frame.hpp"
#include "steering/rate_limit.hpp"
#include "wire/client_macs.hpp"

#include "viaduct/dataplane.hpp"

#include <rte_mbuf.h>
#include <rte_rcu_qsbr.h>
#include <rte_ring.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <vector>

namespace viaduct {

/// State that all workers share. Created before they start, freed after they have stopped.
struct WorkerShared {
    std::vector<LinkView> links;        ///< by LinkId; constant
    std::vector<std::uint16_t> ethdevs; ///< by PortId; constant
    rte_rcu_qsbr* qsbr = nullptr;
    std::atomic<bool> stopping{false};               // writer: control; reader: workers, relaxed
    std::atomic<const Snapshot*> snapshot{nullptr};  // writer: control (publish); reader: workers
    std::atomic<const NextHops*> next_hops{nullptr}; // writer: control (publish); reader: workers
    CallTable calls;                                 // set before the workers start
    std::atomic<std::uint16_t> call_time{0};         // writer: control; reader: workers, relaxed
    RateLimit new_calls;                             ///< rate of calls added to the table
    ClientMacs clients;                              // writers and readers: workers
};

/// Everything one worker owns. One cache-aligned object per worker, used by its thread only, except
/// the other ends of the rings and the reader of the counters, named below.
struct alignas(64) Worker {
    struct RxQueue {
        PortId port{};
        std::uint16_t ethdev = 0;
        std::uint16_t queue = 0;
    };
    struct KernelQueue {
        PortId port{};
        rte_ring* ring = nullptr;
    };

    WorkerId id{};
    unsigned cpu = 0;
    WorkerShared* shared = nullptr;
    std::vector<RxQueue> rx_queues;
    std::vector<KernelQueue> from_kernel; ///< producer: punt thread
    rte_ring* to_kernel = nullptr;        ///< consumer: punt thread
    rte_ring* inject = nullptr;           ///< producer: control
    rte_ring* events = nullptr;           ///< consumer: control; elements are Event
    std::uint64_t punt_tokens = 0;        ///< how many more frames may be punted now
    std::uint64_t punt_refilled_tsc = 0;
    std::uint64_t tsc_per_punt = 1;
    std::uint64_t tsc_per_second = 1;
    unsigned client_clock_shift = 0; ///< TSC ticks to the clock of ClientMacs
    std::uint64_t miss_told_tsc = 0; ///< when reported misses are earned, as in RateLimit
    std::uint64_t odd_told_tsc = 0;  ///< the same for replies that do not look like ours
    std::uint64_t tsc_per_miss = 0;  ///< ticks between two events of either kind, on average
    Burst burst;
    WorkerCounters counters;              // reader: control, relaxed
    std::array<Counter, kMaxPorts> given; ///< by PortId: frames a queue accepted; as `counters`

    /// Runs until shared->stopping. Called on the worker's lcore.
    void run() noexcept;

private:
    struct TxBatch {
        std::array<rte_mbuf*, kMaxBurst> mbufs;
        std::array<std::uint8_t, kMaxBurst> frames; ///< positions in the burst
        std::uint16_t count = 0;
    };
    void process(const RxQueue& queue,
                 rte_mbuf** mbufs,
                 std::uint16_t count,
                 std::uint64_t rx_tsc) noexcept;
    void finish_unsent(const RxQueue& queue, rte_mbuf** mbufs, std::uint64_t rx_tsc) noexcept;
    void transmit(rte_mbuf** mbufs) noexcept;
    void send_batch(PortId port, TxBatch& batch) noexcept;
    [[nodiscard]] Outcome punt(PortId port, rte_mbuf* mbuf, std::uint64_t tsc) noexcept;
    void emit_event(const Frame& frame, Outcome outcome, std::uint64_t rx_tsc) noexcept;
    [[nodiscard]] bool may_tell(std::uint64_t& told_tsc, std::uint64_t rx_tsc) const noexcept;
    std::uint16_t forward_ring(rte_ring* ring, WorkerCounter sent, WorkerCounter unsent) noexcept;
};

} // namespace viaduct
