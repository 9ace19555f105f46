// SPDX-License-Identifier: Apache-2.0
//
// generation: the sets of backends that took new calls, now and recently, and the slots in which
// they differ.
//
// In:    what the model wants: the eligible backends and the lost ones.
// Out:   the table of new calls, and the slots whose calls may have started at another backend.
// How:   A planned change is announced first, for t_settle. In this time workers remember new calls
//        in slots that will move, so that retransmissions stay at their backend (RFC 3261 §16.11:
//        64*T1). There is one announcement at a time; further changes are gathered into the next
//        one. A failed backend is replaced at once. A replaced set stays in memory for
//        call_lifetime. See docs/steering.md.
// Cost:  Control thread. A change costs one table (about 0.2 ms per backend) and one pass over the
//        tables in memory.
#pragma once

#include "loop.hpp"
#include "model/table.hpp"

#include "viaduct/snapshot.hpp"

#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace viaduct {

/// A set of backends that takes, took or will take new calls.
struct Generation {
    std::uint64_t number = 0; ///< counts from 1 in each pool
    std::vector<Candidate> candidates;
    TableKind kind = TableKind::Rendezvous; ///< how its table is filled
    /// Backends lost since this was planned. Only their slots are divided among the candidates: a
    /// Maglev table built without them would also move slots of the other backends.
    std::vector<Candidate> lost{};
    std::shared_ptr<const SlotTable> table; ///< null: no candidates
    std::string digest = "-";
    TimePoint since; ///< when it started to take new calls; announced: when it will
    std::optional<TimePoint> replaced; ///< empty: current or announced
    std::string reason; ///< "first health results", "announced change", "b1 is lost", ...
};

/// The generations of one pool.
class Generations {
public:
    static constexpr std::size_t kMost = 64;

    struct Times {
        std::chrono::milliseconds t_settle{40'000};
        std::chrono::seconds call_lifetime{4 * 3600};
    };
    struct Wish {
        std::vector<Candidate> eligible; ///< backends that may take new calls
        std::vector<BackendId> lost;     ///< down, disabled or removed: no new calls from now on
        bool at_once = false;            ///< do not announce (`--now`)
    };

    Generations(const Times& times,
                const SteeringSecret& secret,
                TableKind table = TableKind::Rendezvous)
        : times_(times), secret_(secret), table_(table) {}

    /// Sets what the model wants from now on. Returns whether slots() or unsettled() changed.
    bool want(Wish wish, TimePoint now);
    /// Switches when an announced change is due; forgets generations replaced longer than
    /// call_lifetime ago.
    bool tick(TimePoint now);
    /// Whether tick() would forget a generation.
    [[nodiscard]] bool has_old(TimePoint now) const;
    void set_times(const Times& times) { times_ = times; }
    /// Used for tables announced from now on.
    void set_table(TableKind table) { table_ = table; }

    /// Owners of new calls; null: no backend takes any.
    [[nodiscard]] std::shared_ptr<const SlotTable> slots() const;
    /// Null when every slot is settled.
    [[nodiscard]] std::shared_ptr<const Unsettled> unsettled() const { return unsettled_; }
    /// Number of slots that are not settled, 0..kSlots.
    [[nodiscard]] std::size_t unsettled_slots() const noexcept { return unsettled_count_; }
    [[nodiscard]] const std::string& digest() const;

    /// Oldest first; the last one takes new calls. Empty before the first want().
    [[nodiscard]] const std::deque<Generation>& all() const noexcept { return generations_; }
    [[nodiscard]] const std::optional<Generation>& announced() const noexcept { return announced_; }
    /// Candidates of the announced generation, otherwise of the current one. May be empty.
    [[nodiscard]] std::vector<Candidate> promised() const;
    /// Whether another change waits until the announced one is done.
    [[nodiscard]] bool has_gathered() const;
    /// Number of generations dropped early because kMost were in memory; an older one covers for
    /// each.
    [[nodiscard]] std::uint64_t capped() const noexcept { return capped_; }

    /// Number of slots whose owner of new calls would differ from the announced table (current
    /// table if nothing is announced).
    [[nodiscard]] std::size_t would_move(const std::vector<Candidate>& eligible,
                                         TableKind table) const;

    /// Whether a generation in memory or the announced one contains this backend.
    [[nodiscard]] bool has(BackendId backend) const;

    /// Restores what another process had in memory: generations oldest first, without tables, the
    /// last one current; and the announced one. Call only before the first want().
    void restore(std::vector<Generation> generations,
                 std::optional<Generation> announced,
                 TimePoint now);

private:
    /// `next` needs candidates, kind and lost only.
    void switch_to(Generation next, std::string reason, TimePoint now);
    void announce(std::vector<Candidate> candidates, TimePoint now);
    void fill(Generation& generation) const;
    void find_unsettled();
    /// Whether these candidates would give the same generation now.
    [[nodiscard]] bool is(const Generation& generation,
                          const std::vector<Candidate>& candidates) const;

    Times times_;
    SteeringSecret secret_;
    TableKind table_;
    std::deque<Generation> generations_;
    std::optional<Generation> announced_;
    std::vector<Candidate> wanted_;
    std::shared_ptr<const Unsettled> unsettled_;
    std::size_t unsettled_count_ = 0;
    std::uint64_t number_ = 0;
    std::uint64_t capped_ = 0;
};

} // namespace viaduct
