// SPDX-License-Identifier: Apache-2.0
//
// call_sweeper: what the control plane does with the table of calls while workers use it.
//
// In:    the table, by any number of workers at once; the published snapshot.
// Out:   calls past their deadline are forgotten, counts of calls per backend, slots whose mark is
//        not needed any more.
// Cost:  a piece a tick; a pass over 10,000,000 calls takes some 30 ms of CPU.
#pragma once

#include "loop.hpp"
#include "publish/publish.hpp"

#include "viaduct/snapshot.hpp"
#include "viaduct/steering/call_table.hpp"

#include <array>
#include <cstdint>
#include <vector>

namespace viaduct {

/// How many calls a backend has, by what is remembered.
struct CallCounts {
    std::uint64_t ringing = 0;
    std::uint64_t answered = 0;
    std::uint64_t lasting = 0;
    std::uint64_t ended = 0;   ///< kept for late messages only
    std::uint64_t failed = 0;  ///< refused, and not tried again so far; or asked once by a backend
    std::uint64_t silent = 0;  ///< began to ring, and nothing was heard for longer than calls ring
    std::uint64_t unknown = 0; ///< their beginning was not seen: perhaps a stranger made them up
    std::uint64_t open = 0;    ///< requests that are not answered yet, where they are counted
    std::uint64_t work = 0;    ///< of those, in quarters

    /// Calls and registrations that live. As many as `failed` more may: one in 14 answered calls is
    /// taken for a refused one until its next message.
    [[nodiscard]] std::uint64_t active() const noexcept { return ringing + answered + lasting; }
};

/// Goes over the table again and again, a piece a tick: forgets what is past, counts, and finds the
/// slots that need their mark no more.
class CallSweeper {
public:
    CallSweeper(CallTable table, Publisher& publisher) : table_(table), publisher_(publisher) {}

    void tick(CallTime now, TimePoint clock);
    /// Begins anew: pools and backends have changed.
    void restart() noexcept { phase_ = Phase::Idle, next_pass_ = {}; }
    /// Before the first packet, over a table that another process left: marks the slots of all
    /// calls that are not where the hash says, so that they are looked for.
    void mark_kept(CallTime now);
    /// As of the last whole pass.
    [[nodiscard]] const std::array<CallCounts, kMaxBackends>& counts() const noexcept {
        return counts_;
    }
    /// As the last tick was told.
    [[nodiscard]] CallTime now() const noexcept { return now_; }
    [[nodiscard]] const CallTable& table() const noexcept { return table_; }
    /// Words in use, of table.words().
    [[nodiscard]] std::uint64_t used() const noexcept { return used_; }
    [[nodiscard]] std::uint64_t passes() const noexcept { return passes_; }
    /// Whether the last whole pass found no call of the backend, in whatever state.
    [[nodiscard]] bool found_none(BackendId id) const noexcept;

private:
    enum class Phase : std::uint8_t { Idle, Grace, Sweep };
    void begin();
    void begin_counting();
    void sweep_piece(CallTime now);
    void end(TimePoint clock);
    /// Then the call is forgotten.
    [[nodiscard]] static bool is_nobody(const Snapshot& snapshot, BackendId id);
    [[nodiscard]] bool is_silent(const Snapshot& snapshot, const Call& call) const;

    CallTable table_;
    Publisher& publisher_;
    CallTime now_;
    Phase phase_ = Phase::Idle;
    TimePoint next_pass_{};
    std::uint64_t grace_ = 0;
    std::size_t next_bucket_ = 0;
    std::vector<std::vector<bool>>
        found_; ///< by PoolId and slot: calls that are not where the hash says
    std::vector<BackendLoad::Numbers> unseen_before_; ///< by BackendId: when the pass began
    std::array<CallCounts, kMaxBackends> counting_{};
    std::array<CallCounts, kMaxBackends> counts_{};
    std::uint64_t counting_used_ = 0;
    std::uint64_t used_ = 0;
    std::uint64_t passes_ = 0;
};

} // namespace viaduct
