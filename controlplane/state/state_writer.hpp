// SPDX-License-Identifier: Apache-2.0
//
// state_writer: reads the state file at start, and writes it when its content has changed.
//
// Writes are at least kBetween and at most kFreshness apart (the file dates the health of
// backends); one more follows at a clean end. A separate thread waits for the disk.
#pragma once

#include "files.hpp"
#include "state/state_file.hpp"

#include <cstdint>
#include <string>

namespace viaduct {

struct StateAtStart {
    KeptState kept;      ///< only a new lineage when no file was usable
    bool is_new = true;  ///< no file was usable
    std::string refusal; ///< why an existing file is not used; empty: it is used, or there was none
};

/// Reads `folder`/state.json. A file that cannot be used is refused with one line in the log and
/// set aside as state.json.refused, because the secret may be wrong and not the file.
[[nodiscard]] StateAtStart
read_state(const std::string& folder, const Config& config, const SteeringSecret& secret);

class StateWriter {
public:
    static constexpr std::chrono::seconds kBetween{1};
    static constexpr std::chrono::seconds kFreshness{15};

    /// Keeps references to both. Writes at once: a table of calls must never have ids that no file
    /// explains.
    StateWriter(const std::string& folder,
                const SteeringSecret& secret,
                std::uint64_t lineage,
                const PoolModel& model,
                const Publisher& publisher);
    ~StateWriter(); ///< writes a last time
    StateWriter(const StateWriter&) = delete;
    StateWriter& operator=(const StateWriter&) = delete;

    void tick(TimePoint now);
    /// Writes without delay. Call when backends got new ids, before any call is remembered with
    /// them. Returns the error; empty: success.
    std::string write_now();

private:
    [[nodiscard]] std::string text() const;
    void complain(const std::string& complaint);

    std::string path_;
    SteeringSecret secret_;
    std::uint64_t lineage_;
    const PoolModel& model_;
    const Publisher& publisher_;
    std::uint64_t model_written_ = 0;
    std::uint64_t snapshot_written_ = 0;
    TimePoint written_{};
    std::string complaint_; ///< logged last
    Errand errand_;
};

} // namespace viaduct
