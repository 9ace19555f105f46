// SPDX-License-Identifier: Apache-2.0
//
// generation: which sets of backends took new calls, now and lately, and what each slot's callers
// are owed.
//
// In:    what the model wants: who may take new calls, and who is lost.
// Out:   the table of new calls, and the slots whose calls may have begun elsewhere.
// How:   a planned change is announced first, for t_settle: workers remember what begins in slots
//        that will move, so that repeated requests stay (RFC 3261 §16.11: 64*T1). One announcement
//        at a time; what is wanted meanwhile is gathered into the next one. A death switches at
//        once. A set that was replaced stays in memory for call_lifetime. docs/steering.md.
// Cost:  control thread; a change costs one table (about 0.2 ms a backend) and one pass over the
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

/// One set of backends that takes, took or will take new calls.
struct Generation {
    std::uint64_t number = 0; ///< counts from 1 in each pool
    std::vector<Candidate> candidates;
    TableKind kind = TableKind::Rendezvous; ///< how its table is filled
    /// Lost since that was planned: their slots, and no others, are dealt out among the candidates.
    /// A table of Maglev's without them would move slots of the living, too.
    std::vector<Candidate> lost{};
    std::shared_ptr<const SlotTable> table; ///< null: nobody
    std::string digest = "-";
    TimePoint since;                   ///< took new calls from then on; announced: will
    std::optional<TimePoint> replaced; ///< empty: it takes them now, or will
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
        std::vector<Candidate> eligible; ///< who may take new calls
        std::vector<BackendId> lost; ///< down, disabled, gone: may take none from this moment on
        bool at_once = false;        ///< do not announce (`--now`)
    };

    Generations(const Times& times,
                const SteeringSecret& secret,
                TableKind table = TableKind::Rendezvous)
        : times_(times), secret_(secret), table_(table) {}

    /// What the model wants from now on. Returns whether slots() or unsettled() changed.
    bool want(Wish wish, TimePoint now);
    /// Switches when an announced change is due, and forgets what is older than call_lifetime.
    bool tick(TimePoint now);
    /// Whether tick() would forget one.
    [[nodiscard]] bool has_old(TimePoint now) const;
    void set_times(const Times& times) { times_ = times; }
    /// Of what is announced from now on.
    void set_table(TableKind table) { table_ = table; }

    /// Owners of new calls; null: nobody may take any.
    [[nodiscard]] std::shared_ptr<const SlotTable> slots() const;
    /// Null: every slot is settled.
    [[nodiscard]] std::shared_ptr<const Unsettled> unsettled() const { return unsettled_; }
    /// How many slots are not settled: 0..kSlots.
    [[nodiscard]] std::size_t unsettled_slots() const noexcept { return unsettled_count_; }
    [[nodiscard]] const std::string& digest() const;

    /// Oldest first; the last one takes new calls. Empty before the first want().
    [[nodiscard]] const std::deque<Generation>& all() const noexcept { return generations_; }
    [[nodiscard]] const std::optional<Generation>& announced() const noexcept { return announced_; }
    /// Who takes new calls, or will as announced; empty: nobody.
    [[nodiscard]] std::vector<Candidate> promised() const;
    /// Whether another change waits for the announced one to be done.
    [[nodiscard]] bool has_gathered() const;
    /// Generations that an older one stands for, because there were kMost.
    [[nodiscard]] std::uint64_t capped() const noexcept { return capped_; }

    /// What a change would move: slots whose new calls go elsewhere once it is done than they would
    /// without it, as announced.
    [[nodiscard]] std::size_t would_move(const std::vector<Candidate>& eligible,
                                         TableKind table) const;

    /// Whether any generation in memory, or the announced one, has this backend.
    [[nodiscard]] bool has(BackendId backend) const;

    /// Takes up what another process had in memory: generations oldest first, without tables, the
    /// last of them the present one; and what was announced. Only before the first want().
    void restore(std::vector<Generation> generations,
                 std::optional<Generation> announced,
                 TimePoint now);

private:
    /// `next`: its candidates, kind and lost.
    void switch_to(Generation next, std::string reason, TimePoint now);
    void announce(std::vector<Candidate> candidates, TimePoint now);
    void fill(Generation& generation) const;
    void find_unsettled();
    /// Whether the generation is what would be made of these candidates now.
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
