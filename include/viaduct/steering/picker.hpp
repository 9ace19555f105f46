// SPDX-License-Identifier: Apache-2.0
//
// picker: chooses the backend of a new call by turn or by load, in pools that do not steer by hash.
//
// In:    what the control plane put into the pool's snapshot, and the load counters that all
//        workers share.
// Out:   a backend below its limit, or none.
// How:   the load of a backend is the count of the last pass over the table of calls, plus and
//        minus what workers changed since. Each pass corrects the count: calls whose BYE was lost
//        or that were evicted are no longer in it. docs/steering.md.
// Cost:  one locked addition when a call starts or ends; pick() reads at most 16 cache lines.
#pragma once

#include "viaduct/closed_set.hpp"
#include "viaduct/net.hpp"
#include "viaduct/sip/digest.hpp"
#include "viaduct/steering/call_table.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

namespace viaduct {

/// How a pool chooses the backend of a new call.
enum class SteerBy : std::uint8_t { Hash, RoundRobin, LeastCalls, LeastTransactions, LeastWork };

inline constexpr std::array<std::string_view, count_of<SteerBy>()> kSteerByNames{
    "hash", "round-robin", "least-calls", "least-transactions", "least-work"};
static_assert(names_all<SteerBy>(kSteerByNames));
[[nodiscard]] constexpr std::string_view name_of(SteerBy by) noexcept {
    return kSteerByNames[static_cast<std::size_t>(by)];
}

/// How the slots of a table are filled.
enum class TableKind : std::uint8_t { Rendezvous, Maglev };

inline constexpr std::array<std::string_view, count_of<TableKind>()> kTableKindNames{"rendezvous",
                                                                                     "maglev"};
static_assert(names_all<TableKind>(kTableKindNames));
[[nodiscard]] constexpr std::string_view name_of(TableKind kind) noexcept {
    return kTableKindNames[static_cast<std::size_t>(kind)];
}

/// How a remembered call counts as load. Call: for `max_calls` and as load; Other: as load only.
enum class LoadKind : std::uint8_t { None, Call, Other };

[[nodiscard]] constexpr LoadKind load_of(CallState state) noexcept {
    switch (state) {
    case CallState::Ringing:
    case CallState::Answered:
        return LoadKind::Call;
    case CallState::SoftState:
        return LoadKind::Other;
    case CallState::Unknown:
    case CallState::Ended:
    case CallState::Refused:
    case CallState::PendingRequest:
        break;
    }
    return LoadKind::None;
}

/// The work of one request of each Method for its backend, in quarters.
using MethodWork = std::array<std::uint8_t, count_of<Method>()>;

/// Whether the pass over the table of calls that is running will still see a change, or has already
/// passed its place.
enum class SeenByPass : std::uint8_t { Yes, No };

/// The load of one backend, on a cache line of its own.
class alignas(64) BackendLoad {
public:
    [[nodiscard]] std::uint64_t calls() const noexcept { return calls_.now(); }
    [[nodiscard]] std::uint64_t all() const noexcept { return calls_.now() + others_.now(); }

    /// Moves one remembered call from one kind to another. Any worker.
    void change(LoadKind from, LoadKind to, SeenByPass seen) noexcept;
    /// The work of the requests that the backend has not answered yet, in quarters. add_work() and
    /// take_work(): any worker.
    [[nodiscard]] std::uint64_t work() const noexcept { return work_.now(); }
    void add_work(std::uint32_t quarters, SeenByPass seen) noexcept;
    void take_work(std::uint32_t quarters, SeenByPass seen) noexcept;

    struct Numbers {
        std::uint32_t calls = 0;
        std::uint32_t others = 0;
        std::uint32_t work = 0;
    };
    /// What earlier passes did not see. Control reads it before a pass.
    [[nodiscard]] Numbers unseen() const noexcept {
        return {calls_.unseen.load(std::memory_order_relaxed),
                others_.unseen.load(std::memory_order_relaxed),
                work_.unseen.load(std::memory_order_relaxed)};
    }
    /// Sets the result of a pass that started when unseen() returned `before`. Control only.
    void set(const Numbers& found, const Numbers& before) noexcept {
        calls_.set(found.calls, before.calls);
        others_.set(found.others, before.others);
        work_.set(found.work, before.work);
    }

private:
    /// Sums wrap around; their true value is below 2^31.
    struct Number {
        std::atomic<std::uint32_t> seen{0};   // writers: workers; readers: all
        std::atomic<std::uint32_t> unseen{0}; // writers: workers; readers: all
        std::atomic<std::uint32_t> base{0};   // writer: control; readers: all

        void add(std::uint32_t amount, SeenByPass by_pass) noexcept {
            (by_pass == SeenByPass::Yes ? seen : unseen)
                .fetch_add(amount, std::memory_order_relaxed);
        }
        [[nodiscard]] std::uint64_t now() const noexcept {
            const auto sum = static_cast<std::int32_t>(base.load(std::memory_order_relaxed) +
                                                       seen.load(std::memory_order_relaxed) +
                                                       unseen.load(std::memory_order_relaxed));
            return sum > 0 ? static_cast<std::uint64_t>(sum) : 0;
        }
        void set(std::uint32_t found, std::uint32_t unseen_before) noexcept {
            base.store(found - unseen_before - seen.load(std::memory_order_relaxed),
                       std::memory_order_relaxed);
        }
    };
    Number calls_;
    Number others_;
    Number work_;
};
static_assert(sizeof(BackendLoad) == 64);

/// The loads of all backends, by BackendId; shared by all snapshots.
class BackendLoads {
public:
    [[nodiscard]] BackendLoad& operator[](std::size_t id) noexcept { return loads_[id]; }
    [[nodiscard]] const BackendLoad& operator[](std::size_t id) const noexcept {
        return loads_[id];
    }
    /// Announces that a pass is about to visit the buckets below `bucket`. 0: a pass will start
    /// after all workers have seen this. Control only.
    void reaches(std::size_t bucket) noexcept { reached_.store(bucket, std::memory_order_relaxed); }
    /// Called by any worker about a word that it has just changed; `first`:
    /// CallTable::first_bucket(). May be wrong while the pass visits that row of buckets: the load
    /// is then off by one until the next pass.
    [[nodiscard]] SeenByPass is_seen(std::size_t first) const noexcept {
        return first < reached_.load(std::memory_order_relaxed) ? SeenByPass::No : SeenByPass::Yes;
    }

private:
    alignas(64) std::atomic<std::size_t> reached_{0}; // writer: control; readers: workers
    std::array<BackendLoad, kMaxBackends> loads_;
};

/// How a pool chooses backends, as of one snapshot.
struct Picker {
    static constexpr std::uint64_t kNoLimit = std::numeric_limits<std::uint64_t>::max();
    struct Member {
        BackendId id{};
        unsigned weight = 1;
        std::uint64_t max_calls = kNoLimit;

        bool operator==(const Member&) const = default;
    };
    /// Up to this many backends are all compared. With more, two that the hash draws are compared:
    /// the less loaded of two is nearly as good as the least of all (Mitzenmacher, 2001), and costs
    /// two cache lines.
    static constexpr std::size_t kMaxScanned = 16;

    SteerBy by = SteerBy::Hash;
    std::vector<Member> members;         ///< the backends that may take new calls
    std::vector<std::uint16_t> sequence; ///< indexes into `members`, repeated by weight
    std::shared_ptr<std::atomic<std::uint64_t>> turn; ///< for round-robin; outlives the snapshot
    std::shared_ptr<BackendLoads> loads;
    MethodWork work{}; ///< for least-transactions and least-work

    /// Whether load means requests without an answer.
    [[nodiscard]] bool counts_work() const noexcept {
        return by == SteerBy::LeastTransactions || by == SteerBy::LeastWork;
    }
    [[nodiscard]] bool is_full(const Member& member) const noexcept {
        return member.max_calls != kNoLimit &&
               (*loads)[index(member.id)].calls() >= member.max_calls;
    }
};

/// The backend for a new call. Empty: all are at their limit, or there is none. With `dry_run`
/// nothing changes (explain).
[[nodiscard]] std::optional<BackendId>
pick(const Picker& picker, std::uint64_t hash, bool dry_run) noexcept;

} // namespace viaduct
