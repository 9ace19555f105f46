// SPDX-License-Identifier: Apache-2.0
//
// call_table_backup: a copy of the table of calls in the state folder. It survives a reboot; the
// mapped file does not.
//
// Made every kBetween by a separate thread, and once more when the workers have stopped. Holds the
// words in use, in pieces, each with a keyed checksum over everything before it. Deadlines are
// converted by the wall clock. A copy that does not fit or is damaged is not used at all.
#pragma once

#include "calls/call_table_file.hpp"
#include "files.hpp"
#include "loop.hpp"

#include "viaduct/snapshot.hpp"

#include <chrono>
#include <cstdint>
#include <string>

namespace viaduct {

class CallTableBackup {
public:
    using WallTime = std::chrono::system_clock::time_point;
    static constexpr std::chrono::seconds kBetween{60};

    /// Keeps a reference to the store, which must outlive it.
    CallTableBackup(const std::string& folder,
                    const SteeringSecret& secret,
                    std::uint64_t lineage,
                    CallTableFile& store);

    [[nodiscard]] const std::string& path() const noexcept { return path_; }
    /// Loads the copy into an empty table that no thread uses yet. Returns why it is not used;
    /// empty: it is used, or there is none.
    [[nodiscard]] std::string load(WallTime wall = std::chrono::system_clock::now());
    /// Writes the copy, with a pause of `rest` between pieces. Throws Error when it cannot be
    /// written.
    void save(WallTime wall = std::chrono::system_clock::now(),
              std::chrono::milliseconds rest = {}) const;

    void tick(TimePoint now);
    /// Writes the last copy. Call when the workers have stopped. Errors are logged.
    void end();

private:
    void complain(const std::string& complaint);

    std::string path_;
    SteeringSecret secret_;
    std::uint64_t lineage_;
    CallTableFile& store_;
    TimePoint next_{};
    std::string complaint_; ///< logged last
    Errand errand_;
};

} // namespace viaduct
