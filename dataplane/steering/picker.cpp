// SPDX-License-Identifier: Apache-2.0
#include "viaduct/steering/picker.hpp"

namespace viaduct {

namespace {

const Dealer::Member* by_turn(const Dealer& dealer, bool takes_turn) noexcept {
    const std::size_t size = dealer.sequence.size();
    std::uint64_t turn = takes_turn ? dealer.turn->fetch_add(1, std::memory_order_relaxed)
                                    : dealer.turn->load(std::memory_order_relaxed);
    // Past those that are full; in a sequence of unlike weights nobody stands far away.
    for (std::size_t i = 0; i < 2 * dealer.members.size() && i < size; ++i, ++turn) {
        const Dealer::Member& member = dealer.members[dealer.sequence[turn % size]];
        if (!dealer.is_full(member)) return &member;
    }
    for (const Dealer::Member& member : dealer.members)
        if (!dealer.is_full(member)) return &member;
    return nullptr;
}

/// Whoever would have the least for its weight with one more; of equals the one that comes first
/// from a place on that the hash draws.
class Least {
public:
    explicit Least(const Dealer& dealer) noexcept : dealer_(dealer) {}

    void look_at(const Dealer::Member& member) noexcept {
        if (dealer_.is_full(member)) return;
        const BackendLoad& load = (*dealer_.loads)[index(member.id)];
        const std::uint64_t would_have =
            dealer_.counts_work() ? load.work() + kOne : load.all() + 1;
        if (best_ != nullptr && would_have * best_->weight >= best_load_ * member.weight) return;
        best_ = &member;
        best_load_ = would_have;
    }
    void look_at_all(std::uint64_t from) noexcept {
        const std::size_t size = dealer_.members.size();
        std::size_t at = from % size;
        for (std::size_t i = 0; i < size; ++i, at = at + 1 == size ? 0 : at + 1)
            look_at(dealer_.members[at]);
    }
    [[nodiscard]] const Dealer::Member* best() const noexcept { return best_; }

private:
    /// A request of the usual work more.
    static constexpr std::uint64_t kOne = 4;
    const Dealer& dealer_;
    const Dealer::Member* best_ = nullptr;
    std::uint64_t best_load_ = 0;
};

const Dealer::Member* by_load(const Dealer& dealer, std::uint64_t hash) noexcept {
    Least least(dealer);
    const std::uint64_t draw = (hash ^ hash >> 32) * 0x9e3779b97f4a7c15U;
    if (dealer.members.size() > Dealer::kMostScanned) {
        const std::size_t size = dealer.sequence.size();
        least.look_at(dealer.members[dealer.sequence[(draw >> 32) % size]]);
        least.look_at(dealer.members[dealer.sequence[(draw & 0xffff'ffff) % size]]);
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

std::optional<BackendId>
choose(const Dealer& dealer, std::uint64_t hash, bool takes_turn) noexcept {
    if (dealer.members.empty()) return std::nullopt;
    const Dealer::Member* const chosen =
        dealer.by == SteerBy::RoundRobin ? by_turn(dealer, takes_turn) : by_load(dealer, hash);
    if (chosen == nullptr) return std::nullopt;
    return chosen->id;
}

} // namespace viaduct
