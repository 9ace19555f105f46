// SPDX-License-Identifier: Apache-2.0
#include "totals.hpp"

#include "viaduct/dataplane.hpp"

#include <cstddef>
#include <utility>

namespace viaduct {

namespace {

template <typename Visit> void for_each_worker(Visit visit) {
    for (std::size_t i = 0; i < worker_count(); ++i)
        visit(read_counters(static_cast<WorkerId>(i)));
}

} // namespace

Totals read_totals() {
    Totals totals;
    for_each_worker([&](const WorkerCounters& counters) {
        for (std::size_t i = 0; i < kOutcomeCount; ++i)
            totals.outcomes[i] += counters.outcomes[i].read();
        for (std::size_t i = 0; i < kWorkerCounterCount; ++i)
            totals.values[i] += counters.values[i].read();
    });
    return totals;
}

std::uint64_t forwarded_to(BackendId id) {
    std::uint64_t sum = 0;
    for_each_worker(
        [&](const WorkerCounters& counters) { sum += counters.forwarded[index(id)].read(); });
    return sum;
}

std::uint64_t returned_from(BackendId id) {
    std::uint64_t sum = 0;
    for_each_worker(
        [&](const WorkerCounters& counters) { sum += counters.returned[index(id)].read(); });
    return sum;
}

void LoadMeter::tick() {
    earlier_ = std::exchange(later_, Sample{tsc_now(), {}});
    for_each_worker([this](const WorkerCounters& counters) {
        later_.busy.push_back(counters[WorkerCounter::BusyTsc].read());
    });
}

std::optional<double> LoadMeter::busy_share(WorkerId worker) const {
    if (index(worker) >= earlier_.busy.size() || later_.tsc <= earlier_.tsc) return std::nullopt;
    const std::uint64_t busy = later_.busy[index(worker)] - earlier_.busy[index(worker)];
    return std::min(1.0,
                    static_cast<double>(busy) / static_cast<double>(later_.tsc - earlier_.tsc));
}

} // namespace viaduct
