// SPDX-License-Identifier: Apache-2.0
#include "generation.hpp"

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

/// The candidates that are not lost; and what the others are called.
std::vector<Candidate> without(const std::vector<Candidate>& candidates,
                               const std::vector<BackendId>& lost,
                               std::string& names) {
    std::vector<Candidate> left;
    for (const Candidate& one : candidates)
        if (std::ranges::find(lost, one.id) == lost.end())
            left.push_back(one);
        else
            names += (names.empty() ? "" : ", ") + one.name;
    return left;
}

BackendId owner(const std::shared_ptr<const SlotTable>& table, std::size_t slot) {
    return table ? (*table)[slot] : kNoBackend;
}

} // namespace

bool Generations::want(Wish wish, TimePoint now) {
    wanted_ = std::move(wish.eligible);
    if (generations_.empty()) {
        switch_to(wanted_, table_, "first verdicts", now);
        return true;
    }
    bool changed = false;
    std::string names;
    std::vector<Candidate> living = without(generations_.back().candidates, wish.lost, names);
    if (!names.empty() || wish.at_once || generations_.back().candidates.empty()) {
        // Nobody left, or nobody before: whoever may, takes new calls at once.
        const bool all = wish.at_once || living.empty();
        std::vector<Candidate> next = all ? wanted_ : std::move(living);
        const TableKind kind = all ? table_ : generations_.back().kind;
        if (!same(next, generations_.back().candidates) || kind != generations_.back().kind) {
            switch_to(std::move(next),
                      kind,
                      names.empty() ? wish.at_once ? "a change at once" : "nobody took calls"
                                    : names + " lost",
                      now);
            changed = true;
        }
    }
    if (announced_) { // it goes on, without the lost and without newcomers no longer wanted
        const std::vector<Candidate>& present = generations_.back().candidates;
        std::string ignored;
        std::vector<Candidate> next = without(announced_->candidates, wish.lost, ignored);
        std::erase_if(next, [&](const Candidate& one) {
            return !has_backend(wanted_, one.id) && !has_backend(present, one.id);
        });
        const bool no_change = same(next, present) && announced_->kind == generations_.back().kind;
        if (no_change || is(generations_.back(), wanted_)) {
            announced_.reset();
            changed = true;
        } else if (!same(next, announced_->candidates)) {
            announced_->candidates = std::move(next);
            fill(*announced_);
            changed = true;
        }
    }
    // Nobody was to be the next: whoever is there by now does not wait for that.
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
        switch_to(std::move(next.candidates), next.kind, "announced change", now);
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
    return generation.kind == table_ && same(generation.candidates, candidates);
}

void Generations::switch_to(std::vector<Candidate> candidates,
                            TableKind kind,
                            std::string reason,
                            TimePoint now) {
    if (!generations_.empty()) generations_.back().replaced = now;
    Generation next;
    next.number = ++number_;
    next.candidates = std::move(candidates);
    next.kind = kind;
    next.since = now;
    next.reason = std::move(reason);
    fill(next);
    generations_.push_back(std::move(next));
    if (generations_.size() > kMost) {
        // The second goes, and the oldest stands for it: what began in a slot on which they agreed
        // is where the oldest says, and what began in any other was remembered.
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

/// The table of its candidates; one that is in memory already is shared.
void Generations::fill(Generation& generation) const {
    for (const Generation& other : generations_)
        if (other.digest != "-" && other.kind == generation.kind &&
            same(other.candidates, generation.candidates)) {
            generation.table = other.table;
            generation.digest = other.digest;
            return;
        }
    generation.table = algorithm(generation.kind).build(generation.candidates, secret_);
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
    const std::shared_ptr<const SlotTable> before = slots();
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
