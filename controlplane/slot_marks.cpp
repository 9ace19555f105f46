// SPDX-License-Identifier: Apache-2.0
//
// slot_marks: what the control plane does with the marks around a sweep. Here, and not in the core,
// because it takes locked instructions.
#include "viaduct/snapshot.hpp"

namespace viaduct {

void SlotMarks::begin_sweep() noexcept {
    if (!any()) return;
    for (std::atomic<std::uint8_t>& mark : marks_) {
        std::uint8_t fresh = kFresh;
        mark.compare_exchange_strong(fresh, kOld, std::memory_order_seq_cst);
    }
}

void SlotMarks::end_sweep(const std::vector<bool>& found) noexcept {
    bool left = false;
    for (std::size_t slot = 0; slot < kSlots; ++slot) {
        std::uint8_t old = kOld;
        if (!found[slot]) marks_[slot].compare_exchange_strong(old, 0, std::memory_order_seq_cst);
    }
    any_.store(false, std::memory_order_seq_cst);
    for (const std::atomic<std::uint8_t>& mark : marks_) // one may have been made meanwhile
        left = left || mark.load(std::memory_order_seq_cst) != 0;
    if (left) any_.store(true, std::memory_order_seq_cst);
}

} // namespace viaduct
