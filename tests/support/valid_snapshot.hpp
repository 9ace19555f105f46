// SPDX-License-Identifier: Apache-2.0
//
// valid_snapshot: whether a snapshot that a test has built or published is one that workers may
// get.
#pragma once

#include "viaduct/snapshot_rules.hpp"

#include <gtest/gtest.h>

namespace viaduct::test {

inline void expect_valid(const Snapshot& snapshot) {
    EXPECT_EQ(broken_rule(snapshot), "");
}

} // namespace viaduct::test
