// SPDX-License-Identifier: Apache-2.0
//
// publish: model and configuration -> Snapshot -> workers.
#pragma once

#include "config.hpp"
#include "kernel.hpp"
#include "pool.hpp"
#include "table.hpp"

#include "viaduct/snapshot.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace viaduct {

class Publisher {
public:
    /// `probe_udp_port` 0: nothing is taken for an answer to a probe (replay).
    Publisher(const Config& config, const SteeringSecret& secret, std::uint16_t probe_udp_port);

    /// Builds a whole new snapshot of the model. Tables of pools whose eligible set is as before
    /// are shared with the last one.
    [[nodiscard]] std::unique_ptr<const Snapshot> build(const PoolModel& model);

    /// What was built last, kept for `explain` and `show`; null before the first build().
    [[nodiscard]] const Snapshot* current() const noexcept { return current_.get(); }
    /// Of the table in force; "-" when nothing is eligible.
    [[nodiscard]] const std::string& digest(PoolId pool) const;

private:
    struct PoolTable {
        std::vector<Candidate> candidates;
        std::shared_ptr<const SlotTable> slots;
        std::string digest = "-";
    };
    const Config& config_;
    SteeringSecret secret_;
    std::uint16_t probe_udp_port_;
    std::vector<PoolTable> tables_; ///< by PoolId
    std::uint64_t number_ = 0;
    std::unique_ptr<const Snapshot> current_;
};

} // namespace viaduct
