// SPDX-License-Identifier: Apache-2.0
//
// slot_marks: the control plane's part of a sweep of the marks. Not in the core, because it uses
// locked instructions.
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
    for (std::size_t slot = 0; slot < kSlots; ++slot) {
        std::uint8_t old = kOld;
        if (!found[slot]) marks_[slot].compare_exchange_strong(old, 0, std::memory_order_seq_cst);
    }
    // Scan before storing No: a worker that marks a slot from here on stores Yes, and wins.
    any_.store(Any::Perhaps, std::memory_order_seq_cst);
    bool left = false;
    for (const std::atomic<std::uint8_t>& mark : marks_)
        left = left || mark.load(std::memory_order_seq_cst) != 0;
    Any perhaps = Any::Perhaps;
    any_.compare_exchange_strong(perhaps, left ? Any::Yes : Any::No, std::memory_order_seq_cst);
}

} // namespace viaduct
