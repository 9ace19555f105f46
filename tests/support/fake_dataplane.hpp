// SPDX-License-Identifier: Apache-2.0
//
// fake_dataplane: replaces the real data plane in control-plane tests.
//
// A test sets what the control plane will read (counters, ports, events, the clock) and checks what
// it did (frames injected, snapshots published). One per process; reset() between tests.
#pragma once

#include "viaduct/dataplane.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

namespace viaduct::test {

struct InjectedFrame {
    PortId port{};
    std::vector<std::byte> bytes;
};

struct FakeDataplane {
    std::vector<std::unique_ptr<WorkerCounters>> workers; ///< add() to them as a worker would
    std::vector<unsigned> cpus;                           ///< by WorkerId
    std::vector<PortState> ports;
    std::deque<Event> events; ///< next_event() takes from the front
    std::uint64_t tsc_hz = 1'000'000'000;
    std::uint64_t tsc_now = 0;

    bool inject_fails = false; ///< as if the ring were full
    std::vector<InjectedFrame> injected;

    std::unique_ptr<const Snapshot> snapshot; ///< published last
    std::unique_ptr<const NextHops> next_hops;
    unsigned snapshots_published = 0;
    unsigned next_hops_published = 0;
    unsigned reclaims = 0;
    bool running = false;

    /// Restores the initial state, with `worker_total` workers on the CPUs 1, 2, ... and no port.
    void reset(std::size_t worker_total = 2);
};

/// Returns the instance used by the functions of viaduct/dataplane.hpp.
[[nodiscard]] FakeDataplane& fake_dataplane();

} // namespace viaduct::test
