// SPDX-License-Identifier: Apache-2.0
//
// snapshot_rules: which combinations of a snapshot's members are legal.
//
// In:    a snapshot that is about to be published, or that a test has built.
// Out:   the first rule that it breaks. Workers rely on these rules and do not check them.
// Cost:  a few comparisons for each pool, VIP and backend; control plane and tests only.
#pragma once

#include "viaduct/snapshot.hpp"

#include <cassert>
#include <string_view>

namespace viaduct {

/// The first rule that the snapshot breaks; empty: it breaks none.
[[nodiscard]] std::string_view broken_rule(const Snapshot& snapshot) noexcept;

inline void assert_valid([[maybe_unused]] const Snapshot& snapshot) noexcept {
    assert(broken_rule(snapshot).empty());
}

} // namespace viaduct
