// SPDX-License-Identifier: Apache-2.0
//
// state_writer: reads the state file at start, and writes it whenever what it holds has changed.
//
// Written a second after the last time at the earliest, every kFreshness at the latest (it dates
// the health of backends), and at a clean end. A thread of its own waits for the disk.
#pragma once

#include "files.hpp"
#include "state/state_file.hpp"

#include <cstdint>
#include <string>

namespace viaduct {

struct StateAtStart {
    KeptState kept;      ///< nothing but a new lineage when there was no file to use
    bool is_new = true;  ///< it is so
    std::string refusal; ///< why a file that was there is not used; empty: it is, or there was none
};

/// Reads `folder`/state.json. What cannot be used is refused with one line in the log, and set
/// aside as state.json.refused: the secret may be the wrong one, not the file.
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
    ~StateWriter(); ///< writes for the last time
    StateWriter(const StateWriter&) = delete;
    StateWriter& operator=(const StateWriter&) = delete;

    void tick(TimePoint now);
    /// Without delay: when backends got new ids, before any call is remembered with them.
    /// Returns what went wrong; empty: nothing.
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
    std::string complaint_; ///< said last
    Errand errand_;
};

} // namespace viaduct
