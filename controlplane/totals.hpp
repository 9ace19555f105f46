// SPDX-License-Identifier: Apache-2.0
//
// totals: sums of the workers' counters, and the load of the workers.
//
// In:    counter blocks that workers keep writing.
// Out:   sums that may be a few packets behind.
// Cost:  control thread only; a sum reads one number per worker.
#pragma once

#include "viaduct/counters.hpp"
#include "viaduct/net.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

namespace viaduct {

struct Totals {
    std::array<std::uint64_t, kOutcomeCount> outcomes{};
    std::array<std::uint64_t, kWorkerCounterCount> values{};
};

/// Return sums over all workers.
[[nodiscard]] Totals read_totals();
[[nodiscard]] std::uint64_t forwarded_to(BackendId id);
[[nodiscard]] std::uint64_t returned_from(BackendId id);

/// The load of each worker in the last whole second.
class LoadMeter {
public:
    /// Call once a second.
    void tick();
    /// Returns 0 to 1; empty until a whole second has passed.
    [[nodiscard]] std::optional<double> busy_share(WorkerId worker) const;

private:
    struct Sample {
        std::uint64_t tsc = 0;
        std::vector<std::uint64_t> busy; ///< by WorkerId: BusyTsc
    };
    Sample earlier_;
    Sample later_;
};

} // namespace viaduct
