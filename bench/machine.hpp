// SPDX-License-Identifier: Apache-2.0
//
// machine: when, and of which state of the tree, a figure was measured.
#pragma once

#include <string>

namespace viaduct::bench {

/// The commit that is checked out, with `-dirty` when files other than reports differ from it;
/// `unknown` without git.
[[nodiscard]] std::string commit_of_tree();

/// 2026-11-20T15:48:57Z
[[nodiscard]] std::string now_utc();

} // namespace viaduct::bench
