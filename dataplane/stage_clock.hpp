// SPDX-License-Identifier: Apache-2.0
//
// stage_clock: charges a worker's TSC ticks to the stage that used them, in a build with
// -Dstage_tsc=true. In other builds it does nothing and costs nothing.
//
// One stamp costs some 20 ticks. It does not wait for earlier instructions to finish, so a few
// ticks of a stage can be charged to the next one; over many bursts the sum is right.
#pragma once

#include "viaduct/counters.hpp"

#include <array>
#include <cstdint>

namespace viaduct {

class StageClock {
public:
    /// Charges all ticks since the last charge to this stage.
    void charge(Stage stage) noexcept {
        if constexpr (kStageTsc) {
            const std::uint64_t now = stamp();
            ticks_[static_cast<std::size_t>(stage)] += now - last_;
            last_ = now;
        }
    }

    /// Ends a round of the worker's loop. Adds its charges to the counters, or discards them after
    /// an idle round, in which no stage worked.
    void end_round(bool busy, WorkerCounters& counters) noexcept {
        if constexpr (kStageTsc) {
            charge(Stage::Rest);
            for (std::size_t i = 0; busy && i < kStageCount; ++i)
                counters.stage_tsc[i].add(ticks_[i]);
            ticks_.fill(0);
        }
    }

private:
    static std::uint64_t stamp() noexcept {
#ifdef VIADUCT_STAGE_TSC
        return __builtin_ia32_rdtsc();
#else
        return 0;
#endif
    }

    std::array<std::uint64_t, kStageCount> ticks_{};
    std::uint64_t last_ = 0;
};

} // namespace viaduct
