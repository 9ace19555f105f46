// SPDX-License-Identifier: Apache-2.0
#include "model/generation.hpp"

#include <algorithm>
#include <utility>

namespace viaduct {

namespace {

bool is_same(const Candidate& a, const Candidate& b) {
    return a.id == b.id && a.weight == b.weight && a.name == b.name;
}

bool same(const std::vector<Candidate>& a, const std::vector<Candidate>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), is_same);
}

bool has_backend(const std::vector<Candidate>& candidates, BackendId id) {
    return std::ranges::any_of(candidates, [&](const Candidate& one) { return one.id == id; });
}

/// Returns the generation without the candidates for which `is_lost` holds, and adds their names to
/// `names`.
template <typename IsLost>
Generation without(const Generation& generation, IsLost is_lost, std::string& names) {
    Generation left;
    left.kind = generation.kind;
    left.lost = generation.lost;
    for (const Candidate& one : generation.candidates) {
        if (!is_lost(one)) {
            left.candidates.push_back(one);
            continue;
        }
        names += (names.empty() ? "" : ", ") + one.name;
        if (left.kind != TableKind::Rendezvous) left.lost.push_back(one); // that moves only its own
    }
    return left;
}

bool same_table(const Generation& a, const Generation& b) {
    return a.kind == b.kind && same(a.candidates, b.candidates) && same(a.lost, b.lost);
}

std::shared_ptr<const SlotTable> build(const Generation& generation, const SteeringSecret& secret) {
    const TableAlgorithm& how = algorithm(generation.kind);
    if (generation.lost.empty() || generation.candidates.empty())
        return how.build(generation.candidates, secret);
    std::vector<Candidate> all = generation.candidates;
    all.insert(all.end(), generation.lost.begin(), generation.lost.end());
    auto table = std::make_shared<SlotTable>(*how.build(all, secret));
    const std::shared_ptr<const SlotTable> heirs = build_rendezvous(generation.candidates, secret);
    for (std::size_t slot = 0; slot < kSlots; ++slot)
        if (!has_backend(generation.candidates, (*table)[slot])) (*table)[slot] = (*heirs)[slot];
    return table;
}

BackendId owner(const std::shared_ptr<const SlotTable>& table, std::size_t slot) {
    return table ? (*table)[slot] : kNoBackend;
}

} // namespace

bool Generations::want(Wish wish, TimePoint now) {
    wanted_ = std::move(wish.eligible);
    Generation wanted;
    wanted.candidates = wanted_;
    wanted.kind = table_;
    if (generations_.empty()) {
        switch_to(std::move(wanted), "first health results", now);
        return true;
    }
    const auto is_lost = [&](const Candidate& one) {
        return std::ranges::find(wish.lost, one.id) != wish.lost.end();
    };
    bool changed = false;
    std::string names;
    Generation living = without(generations_.back(), is_lost, names);
    if (!names.empty() || wish.at_once || generations_.back().candidates.empty()) {
        // With no backend left or none before, all eligible backends take new calls at once.
        const bool all = wish.at_once || living.candidates.empty();
        Generation next = all ? std::move(wanted) : std::move(living);
        if (!same_table(next, generations_.back())) {
            switch_to(std::move(next),
                      names.empty() ? wish.at_once ? "immediate change" : "no backend took calls"
                                    : names + " lost",
                      now);
            changed = true;
        }
    }
    if (announced_) { // keep it, without lost backends and newcomers no longer wanted
        const Generation& present = generations_.back();
        std::string ignored;
        Generation next = without(
            *announced_,
            [&](const Candidate& one) {
                return is_lost(one) ||
                       (!has_backend(wanted_, one.id) && !has_backend(present.candidates, one.id));
            },
            ignored);
        const bool no_change = same(next.candidates, present.candidates) &&
                               next.kind == present.kind && present.lost.empty();
        if (no_change || is(present, wanted_)) {
            announced_.reset();
            changed = true;
        } else if (!same_table(next, *announced_)) {
            announced_->candidates = std::move(next.candidates);
            announced_->lost = std::move(next.lost);
            fill(*announced_);
            changed = true;
        }
    }
    // An announcement of an empty set is cancelled as soon as a backend is eligible.
    if (announced_ && announced_->candidates.empty() && !wanted_.empty()) announced_.reset();
    if (!announced_ && !is(generations_.back(), wanted_)) {
        announce(wanted_, now);
        changed = true;
    }
    if (changed) find_unsettled();
    return changed;
}

bool Generations::tick(TimePoint now) {
    bool changed = false;
    if (announced_ && announced_->since <= now) {
        Generation next = std::move(*announced_);
        announced_.reset();
        switch_to(std::move(next), "announced change", now);
        if (!is(generations_.back(), wanted_)) announce(wanted_, now);
        changed = true;
    }
    while (has_old(now)) {
        generations_.pop_front();
        changed = true;
    }
    if (changed) find_unsettled();
    return changed;
}

bool Generations::is(const Generation& generation, const std::vector<Candidate>& candidates) const {
    return generation.kind == table_ && generation.lost.empty() &&
           same(generation.candidates, candidates);
}

void Generations::switch_to(Generation next, std::string reason, TimePoint now) {
    if (!generations_.empty()) generations_.back().replaced = now;
    next.number = ++number_;
    next.since = now;
    next.reason = std::move(reason);
    fill(next);
    generations_.push_back(std::move(next));
    if (generations_.size() > kMost) {
        // The second generation goes; the oldest covers for it. Where both agreed on a slot, its
        // calls are at the owner that the oldest names; calls of all other slots were remembered.
        generations_.front().replaced = generations_[1].replaced;
        generations_.erase(generations_.begin() + 1);
        ++capped_;
    }
    find_unsettled();
}

void Generations::announce(std::vector<Candidate> candidates, TimePoint now) {
    Generation next;
    next.number = number_ + 1;
    next.candidates = std::move(candidates);
    next.kind = table_;
    next.since = now + times_.t_settle;
    next.reason = "announced";
    fill(next);
    announced_ = std::move(next);
}

/// Sets table and digest. Shares the table of a generation in memory that has the same candidates.
void Generations::fill(Generation& generation) const {
    for (const Generation& other : generations_)
        if (other.digest != "-" && same_table(other, generation)) {
            generation.table = other.table;
            generation.digest = other.digest;
            return;
        }
    generation.table = build(generation, secret_);
    generation.digest = table_digest(generation.table.get(), generation.candidates);
}

void Generations::find_unsettled() {
    unsettled_.reset();
    unsettled_count_ = 0;
    if (generations_.size() < 2 && !announced_) return;
    auto found = std::make_shared<Unsettled>();
    const auto compare = [&](const std::shared_ptr<const SlotTable>& table) {
        const auto& present = generations_.back().table;
        if (table == present) return;
        for (std::size_t slot = 0; slot < kSlots; ++slot)
            if (owner(table, slot) != owner(present, slot))
                found->bits[slot / 64] |= std::uint64_t{1} << (slot % 64);
    };
    for (const Generation& generation : generations_)
        compare(generation.table);
    if (announced_) compare(announced_->table);
    for (const std::uint64_t word : found->bits)
        unsettled_count_ += static_cast<std::size_t>(std::popcount(word));
    if (unsettled_count_ == 0) return;
    found->old = generations_.front().table;
    if (!found->old) {
        auto nobody = std::make_shared<SlotTable>();
        nobody->fill(kNoBackend);
        found->old = std::move(nobody);
    }
    unsettled_ = std::move(found);
}

std::shared_ptr<const SlotTable> Generations::slots() const {
    return generations_.empty() ? nullptr : generations_.back().table;
}

const std::string& Generations::digest() const {
    static const std::string none = "-";
    return generations_.empty() ? none : generations_.back().digest;
}

bool Generations::has_old(TimePoint now) const {
    return generations_.size() > 1 && generations_.front().replaced &&
           *generations_.front().replaced + times_.call_lifetime <= now;
}

std::vector<Candidate> Generations::promised() const {
    if (announced_) return announced_->candidates;
    return generations_.empty() ? std::vector<Candidate>{} : generations_.back().candidates;
}

bool Generations::has_gathered() const {
    return announced_ && !is(*announced_, wanted_);
}

std::size_t Generations::would_move(const std::vector<Candidate>& eligible, TableKind table) const {
    const std::shared_ptr<const SlotTable> after = algorithm(table).build(eligible, secret_);
    const std::shared_ptr<const SlotTable> before = announced_ ? announced_->table : slots();
    std::size_t moved = 0;
    for (std::size_t slot = 0; slot < kSlots; ++slot)
        moved += owner(after, slot) != owner(before, slot) ? 1 : 0;
    return moved;
}

bool Generations::has(BackendId backend) const {
    const auto names = [&](const Generation& generation) {
        return has_backend(generation.candidates, backend);
    };
    return std::ranges::any_of(generations_, names) || (announced_ && names(*announced_));
}

void Generations::restore(std::vector<Generation> generations,
                          std::optional<Generation> announced,
                          TimePoint now) {
    for (Generation& generation : generations) {
        if (generation.replaced && *generation.replaced + times_.call_lifetime <= now) continue;
        generation.number = number_ = std::max(number_ + 1, generation.number);
        fill(generation);
        generations_.push_back(std::move(generation));
    }
    if (!generations_.empty()) wanted_ = generations_.back().candidates;
    if (!generations_.empty() && announced) {
        announced_ = std::move(announced);
        announced_->number = number_ + 1;
        announced_->since = std::min(announced_->since, now + times_.t_settle);
        fill(*announced_);
        wanted_ = announced_->candidates;
    }
    find_unsettled();
}

} // namespace viaduct
