// SPDX-License-Identifier: Apache-2.0
#include "publish/call_sweeper.hpp"

#include "viaduct/dataplane.hpp"

#include <chrono>
#include <utility>

namespace viaduct {

namespace {

constexpr std::size_t kBucketsATick = 8'192; ///< 0.5 MiB
constexpr std::chrono::milliseconds kBetweenPasses{500};

} // namespace

void CallSweeper::tick(CallTime now, TimePoint clock) {
    now_ = now;
    if (!table_.exists()) return;
    switch (phase_) {
    case Phase::Idle:
        if (clock >= next_pass_) begin();
        break;
    case Phase::Grace:
        if (grace_over(grace_)) begin_counting();
        break;
    case Phase::Sweep:
        sweep_piece(now);
        if (next_bucket_ >= table_.buckets()) end(clock);
        break;
    }
}

bool CallSweeper::found_none(BackendId id) const noexcept {
    const CallCounts& counts = counts_[index(id)];
    return counts.active() + counts.silent + counts.unknown + counts.ended + counts.failed +
               counts.open ==
           0;
}

bool CallSweeper::is_nobody(const Snapshot& snapshot, BackendId id) {
    return index(id) >= snapshot.backends.size() || snapshot.backends[index(id)].name.empty();
}

void CallSweeper::mark_kept(CallTime now) {
    now_ = now;
    const Snapshot& snapshot = *publisher_.current();
    table_.sweep(0, table_.buckets(), now, [&](std::size_t slot, const Call& call) {
        if (call.is_note()) return true;
        if (is_nobody(snapshot, call.backend)) return false;
        if (call.state == CallState::PendingRequest) return true;
        const PoolId pool = snapshot.backends[index(call.backend)].pool;
        const auto& slots = snapshot.pools[index(pool)].slots;
        if (!slots || (*slots)[slot] != call.backend)
            publisher_.marks(pool).mark(static_cast<std::uint32_t>(slot));
        return true;
    });
}

void CallSweeper::begin() {
    const Snapshot* const snapshot = publisher_.current();
    if (snapshot == nullptr) return;
    found_.assign(snapshot->pools.size(), {});
    for (std::size_t pool = 0; pool < found_.size(); ++pool) {
        SlotMarks& marks = publisher_.marks(static_cast<PoolId>(pool));
        if (!marks.any()) continue;
        marks.begin_sweep();
        found_[pool].resize(kSlots);
    }
    counting_.fill({});
    counting_used_ = 0;
    next_bucket_ = 0;
    publisher_.loads().reaches(0);
    grace_ = begin_grace();
    phase_ = Phase::Grace;
}

void CallSweeper::begin_counting() {
    unseen_before_.clear();
    for (std::size_t id = 0; id < publisher_.current()->backends.size(); ++id)
        unseen_before_.push_back(publisher_.loads()[id].unseen());
    phase_ = Phase::Sweep;
}

/// Whether a ringing call was silent for longer than timer C, so that it is over (RFC 3261 §16.6).
bool CallSweeper::is_silent(const Snapshot& snapshot, const Call& call) const {
    constexpr std::chrono::seconds kAnswers{20}; // time for its final response to arrive
    const Pool& pool = snapshot.pools[index(snapshot.backends[index(call.backend)].pool)];
    const auto most = std::chrono::ceil<std::chrono::seconds>(
        (publisher_.longest_ringing() + kAnswers) /
        static_cast<double>(publisher_.call_unit().count()));
    const CallLifetimes& lives = pool.lifetimes;
    const int whole = lives.cap != 0 ? lives.cap : lives.silence;
    return whole - call.deadline.left(now_) > most.count() + 1;
}

namespace {

/// Returns the work of an open request for its backend, in quarters.
std::uint64_t work_of(const Snapshot& snapshot, const Call& call) {
    const PoolId pool = snapshot.backends[index(call.backend)].pool;
    const auto& picker = snapshot.pools[index(pool)].picker;
    return picker && call.dialog < picker->work.size() ? picker->work[call.dialog] : 0;
}

} // namespace

void CallSweeper::sweep_piece(CallTime now) {
    const Snapshot& snapshot = *publisher_.current();
    const auto visit = [&](std::size_t slot, const Call& call) {
        if (call.is_note()) {
            ++counting_used_;
            return true;
        }
        if (is_nobody(snapshot, call.backend)) return false;
        ++counting_used_;
        CallCounts& counts = counting_[index(call.backend)];
        switch (call.state) {
        case CallState::Ringing:
            ++(is_silent(snapshot, call) ? counts.silent : counts.ringing);
            break;
        case CallState::Unknown:
            ++counts.unknown;
            break;
        case CallState::Answered:
            ++counts.answered;
            break;
        case CallState::SoftState:
            ++counts.lasting;
            break;
        case CallState::Ended:
            ++counts.ended;
            break;
        case CallState::Refused:
            ++counts.failed;
            break;
        case CallState::PendingRequest:
            ++counts.open;
            counts.work += work_of(snapshot, call);
            return true; // open requests belong to no slot
        }
        const PoolId pool = snapshot.backends[index(call.backend)].pool;
        const auto& slots = snapshot.pools[index(pool)].slots;
        const bool is_dealt_out = snapshot.pools[index(pool)].picker != nullptr; // any slot
        if (is_dealt_out || (slots && (*slots)[slot] == call.backend)) return true;
        // The call may have started under an earlier table, and generations may be forgotten or
        // agree again.
        publisher_.marks(pool).mark(static_cast<std::uint32_t>(slot));
        if (!found_[index(pool)].empty()) found_[index(pool)][slot] = true;
        return true;
    };
    for (const std::size_t end = next_bucket_ + kBucketsATick; next_bucket_ < end;) {
        const std::size_t first = std::exchange(next_bucket_, next_bucket_ + table_.bucket_row());
        publisher_.loads().reaches(next_bucket_);
        table_.sweep(first, table_.bucket_row(), now, visit);
    }
}

void CallSweeper::end(TimePoint clock) {
    for (std::size_t pool = 0; pool < found_.size(); ++pool)
        if (!found_[pool].empty())
            publisher_.marks(static_cast<PoolId>(pool)).end_sweep(found_[pool]);
    const auto number = [](std::uint64_t found) { return static_cast<std::uint32_t>(found); };
    for (std::size_t id = 0; id < unseen_before_.size(); ++id) {
        const CallCounts& found = counting_[id];
        publisher_.loads()[id].set(
            {number(found.ringing + found.answered), number(found.lasting), number(found.work)},
            unseen_before_[id]);
    }
    counts_ = counting_;
    used_ = counting_used_;
    ++passes_;
    next_pass_ = clock + kBetweenPasses;
    phase_ = Phase::Idle;
}

} // namespace viaduct
