// SPDX-License-Identifier: Apache-2.0
#include "viaduct/steering/picker.hpp"

namespace viaduct {

namespace {

const Picker::Member* by_turn(const Picker& picker, bool dry_run) noexcept {
    const std::size_t size = picker.sequence.size();
    std::uint64_t turn = dry_run ? picker.turn->load(std::memory_order_relaxed)
                                 : picker.turn->fetch_add(1, std::memory_order_relaxed);
    // Skips full backends; weights are interleaved in the sequence, so the next other one is near.
    for (std::size_t i = 0; i < 2 * picker.members.size() && i < size; ++i, ++turn) {
        const Picker::Member& member = picker.members[picker.sequence[turn % size]];
        if (!picker.is_full(member)) return &member;
    }
    for (const Picker::Member& member : picker.members)
        if (!picker.is_full(member)) return &member;
    return nullptr;
}

/// Finds the backend with the lowest (load + 1) / weight; ties go to the first one from a start
/// that the hash draws.
class Least {
public:
    explicit Least(const Picker& picker) noexcept : picker_(picker) {}

    void look_at(const Picker::Member& member) noexcept {
        if (picker_.is_full(member)) return;
        const BackendLoad& load = (*picker_.loads)[index(member.id)];
        const std::uint64_t would_have =
            picker_.counts_work() ? load.work() + kOne : load.all() + 1;
        if (best_ != nullptr && would_have * best_->weight >= best_load_ * member.weight) return;
        best_ = &member;
        best_load_ = would_have;
    }
    void look_at_all(std::uint64_t from) noexcept {
        const std::size_t size = picker_.members.size();
        std::size_t at = from % size;
        for (std::size_t i = 0; i < size; ++i, at = at + 1 == size ? 0 : at + 1)
            look_at(picker_.members[at]);
    }
    [[nodiscard]] const Picker::Member* best() const noexcept { return best_; }

private:
    /// One more request of the usual work, in quarters.
    static constexpr std::uint64_t kOne = 4;
    const Picker& picker_;
    const Picker::Member* best_ = nullptr;
    std::uint64_t best_load_ = 0;
};

const Picker::Member* by_load(const Picker& picker, std::uint64_t hash) noexcept {
    Least least(picker);
    const std::uint64_t draw = (hash ^ hash >> 32) * 0x9e3779b97f4a7c15U;
    if (picker.members.size() > Picker::kMaxScanned) {
        const std::size_t size = picker.sequence.size();
        least.look_at(picker.members[picker.sequence[(draw >> 32) % size]]);
        least.look_at(picker.members[picker.sequence[(draw & 0xffff'ffff) % size]]);
        if (least.best() != nullptr) return least.best();
    }
    least.look_at_all(draw >> 32);
    return least.best();
}

} // namespace

void BackendLoad::change(LoadKind from, LoadKind to, SeenByPass seen) noexcept {
    constexpr std::uint32_t kLess = ~std::uint32_t{0};
    if (from == to) return;
    if (from == LoadKind::Call) calls_.add(kLess, seen);
    if (from == LoadKind::Other) others_.add(kLess, seen);
    if (to == LoadKind::Call) calls_.add(1, seen);
    if (to == LoadKind::Other) others_.add(1, seen);
}

void BackendLoad::add_work(std::uint32_t quarters, SeenByPass seen) noexcept {
    work_.add(quarters, seen);
}

void BackendLoad::take_work(std::uint32_t quarters, SeenByPass seen) noexcept {
    work_.add(0 - quarters, seen);
}

std::optional<BackendId> pick(const Picker& picker, std::uint64_t hash, bool dry_run) noexcept {
    if (picker.members.empty()) return std::nullopt;
    const Picker::Member* const chosen =
        picker.by == SteerBy::RoundRobin ? by_turn(picker, dry_run) : by_load(picker, hash);
    if (chosen == nullptr) return std::nullopt;
    return chosen->id;
}

} // namespace viaduct
