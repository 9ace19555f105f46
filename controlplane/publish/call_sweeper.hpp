// SPDX-License-Identifier: Apache-2.0
//
// call_sweeper: the control plane's passes over the table of calls while workers use it.
//
// In:    the table, written by any number of workers at once; the published snapshot.
// Out:   calls past their deadline are forgotten, calls are counted per backend, and marks that are
//        not needed any more are removed.
// Cost:  one piece per tick; a pass over 10,000,000 calls takes about 30 ms of CPU.
#pragma once

#include "loop.hpp"
#include "publish/publish.hpp"

#include "viaduct/snapshot.hpp"
#include "viaduct/steering/call_table.hpp"

#include <array>
#include <cstdint>
#include <vector>

namespace viaduct {

/// Numbers of remembered calls of a backend.
struct CallCounts {
    std::uint64_t ringing = 0;
    std::uint64_t answered = 0;
    std::uint64_t lasting = 0;
    std::uint64_t ended = 0;   ///< kept for late messages only
    std::uint64_t failed = 0;  ///< refused and not tried again so far, or asked once by a backend
    std::uint64_t silent = 0;  ///< ringing, and silent for longer than a call may ring
    std::uint64_t unknown = 0; ///< start not seen: possibly forged
    std::uint64_t open = 0;    ///< unanswered requests, in pools that count them
    std::uint64_t work = 0;    ///< work of these, in quarters

    /// Returns the calls in progress and registrations. Up to `failed` more may be in progress,
    /// because one in 14 answered calls counts as refused until its next message.
    [[nodiscard]] std::uint64_t active() const noexcept { return ringing + answered + lasting; }
};

/// Sweeps the table again and again, one piece per tick: forgets calls past their deadline, counts
/// the others, and finds slots that need no mark any more.
class CallSweeper {
public:
    CallSweeper(CallTable table, Publisher& publisher) : table_(table), publisher_(publisher) {}

    void tick(CallTime now, TimePoint clock);
    /// Starts again, because pools or backends have changed.
    void restart() noexcept { phase_ = Phase::Idle, next_pass_ = {}; }
    /// Marks the slots of all calls that are not at the slot's owner, so that workers look them up.
    /// Call before the first packet, for a table that another process left.
    void mark_kept(CallTime now);
    /// From the last complete pass.
    [[nodiscard]] const std::array<CallCounts, kMaxBackends>& counts() const noexcept {
        return counts_;
    }
    /// The time given to the last tick().
    [[nodiscard]] CallTime now() const noexcept { return now_; }
    [[nodiscard]] const CallTable& table() const noexcept { return table_; }
    /// Words in use, out of table.words().
    [[nodiscard]] std::uint64_t used() const noexcept { return used_; }
    [[nodiscard]] std::uint64_t passes() const noexcept { return passes_; }
    /// Whether the last complete pass found no call of the backend, in any state.
    [[nodiscard]] bool found_none(BackendId id) const noexcept;

private:
    enum class Phase : std::uint8_t { Idle, Grace, Sweep };
    void begin();
    void begin_counting();
    void sweep_piece(CallTime now);
    void end(TimePoint clock);
    /// Whether the id is not in use; its calls are forgotten.
    [[nodiscard]] static bool is_nobody(const Snapshot& snapshot, BackendId id);
    [[nodiscard]] bool is_silent(const Snapshot& snapshot, const Call& call) const;

    CallTable table_;
    Publisher& publisher_;
    CallTime now_;
    Phase phase_ = Phase::Idle;
    TimePoint next_pass_{};
    std::uint64_t grace_ = 0;
    std::size_t next_bucket_ = 0;
    std::vector<std::vector<bool>> found_; ///< by PoolId and slot: calls not at the owner
    std::vector<BackendLoad::Numbers> unseen_before_; ///< by BackendId: when the pass started
    std::array<CallCounts, kMaxBackends> counting_{};
    std::array<CallCounts, kMaxBackends> counts_{};
    std::uint64_t counting_used_ = 0;
    std::uint64_t used_ = 0;
    std::uint64_t passes_ = 0;
};

} // namespace viaduct
