// SPDX-License-Identifier: Apache-2.0
//
// totals: sums of the workers' counters, and how busy the workers are.
//
// In:    counter blocks that workers go on writing.
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

/// Sums over all workers.
[[nodiscard]] Totals read_totals();
[[nodiscard]] std::uint64_t forwarded_to(BackendId id);
[[nodiscard]] std::uint64_t returned_from(BackendId id);

/// How busy each worker was in the last whole second.
class LoadMeter {
public:
    /// Once a second.
    void tick();
    /// 0 to 1; empty until there was a whole second.
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
