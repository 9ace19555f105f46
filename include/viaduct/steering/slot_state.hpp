// SPDX-License-Identifier: Apache-2.0
//
// slot_state: whether the owner of a slot is enough to find its calls.
//
// In:    a pool of a snapshot.
// Out:   the one definition of "settled" (docs/steering.md), for steering, the control plane and
//        the CLI.
// Cost:  two loads in a pool that is not changing, and one more while any slot is moved or marked.
#pragma once

#include "viaduct/closed_set.hpp"
#include "viaduct/snapshot.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace viaduct {

enum class SlotState : std::uint8_t {
    Settled, ///< all generations in memory, and an announced one, name the same owner
    Moved,   ///< they differ: the Call-ID does not show where a call started; marked or not
    Marked,  ///< they agree, but a remembered call is at another backend
};

/// As the CLI writes it.
[[nodiscard]] constexpr std::string_view name_of(SlotState state) noexcept {
    constexpr std::array<std::string_view, count_of<SlotState>()> kNames{
        "settled", "unsettled", "marked"};
    static_assert(names_all<SlotState>(kNames));
    return kNames[static_cast<std::size_t>(state)];
}

[[nodiscard]] inline SlotState slot_state(const Pool& pool, std::uint32_t slot) noexcept {
    if (pool.unsettled && pool.unsettled->contains(slot)) return SlotState::Moved;
    if (pool.marks && pool.marks->any() && pool.marks->contains(slot)) return SlotState::Marked;
    return SlotState::Settled;
}

/// Whether the owner of the slot decides alone: its calls are not looked up.
[[nodiscard]] inline bool is_settled(const Pool& pool, std::uint32_t slot) noexcept {
    return !pool.always_looks_up() && slot_state(pool, slot) == SlotState::Settled;
}

/// Whether is_settled() holds for every slot of the pool.
[[nodiscard]] inline bool is_settled(const Pool& pool) noexcept {
    return !pool.always_looks_up() && !pool.unsettled && !(pool.marks && pool.marks->any());
}

} // namespace viaduct
