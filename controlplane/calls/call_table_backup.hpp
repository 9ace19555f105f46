// SPDX-License-Identifier: Apache-2.0
//
// call_table_backup: the table of calls in a file of the state folder, for what the mapped file
// does not outlive: a reboot.
//
// Made every kBetween by a thread of its own, and once more when the workers have stopped. Holds
// the words in use, in pieces with a keyed checksum each over all that stands before; deadlines
// are carried over by the wall clock. What does not fit or is damaged is not used, none of it.
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

    /// Keeps a reference to the store, which outlives it.
    CallTableBackup(const std::string& folder,
                    const SteeringSecret& secret,
                    std::uint64_t lineage,
                    CallTableFile& store);

    [[nodiscard]] const std::string& path() const noexcept { return path_; }
    /// Into an empty table that no thread uses yet. Returns why it is not used; empty: it is, or
    /// there is none.
    [[nodiscard]] std::string load(WallTime wall = std::chrono::system_clock::now());
    /// `rest`: between pieces. Throws Error when it cannot be written.
    void save(WallTime wall = std::chrono::system_clock::now(),
              std::chrono::milliseconds rest = {}) const;

    void tick(TimePoint now);
    /// Once the workers have stopped. What goes wrong is logged.
    void end();

private:
    void complain(const std::string& complaint);

    std::string path_;
    SteeringSecret secret_;
    std::uint64_t lineage_;
    CallTableFile& store_;
    TimePoint next_{};
    std::string complaint_; ///< said last
    Errand errand_;
};

} // namespace viaduct
