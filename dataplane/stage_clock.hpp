// SPDX-License-Identifier: Apache-2.0
//
// stage_clock: charges a worker's TSC ticks to the stage that used them, in a build with
// -Dstage_tsc=true. In any other it does nothing and costs nothing.
//
// A stamp of its own costs some 20 ticks. It does not wait for what was begun before it, so a few
// ticks of a stage can show in the next one; over many bursts the sum is right.
#pragma once

#include "viaduct/counters.hpp"

#include <array>
#include <cstdint>

namespace viaduct {

class StageClock {
public:
    /// All ticks since the last charge were this stage's.
    void charge(Stage stage) noexcept {
        if constexpr (kStageTsc) {
            const std::uint64_t now = stamp();
            ticks_[static_cast<std::size_t>(stage)] += now - last_;
            last_ = now;
        }
    }

    /// Ends a round of the worker's loop: adds what was charged in it to the counters, or forgets
    /// it, as no stage worked in an idle round.
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
