// SPDX-License-Identifier: Apache-2.0
//
// machine: what a figure was measured on, and with which state of the tree.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace viaduct::bench {

/// CPU, clock, caches, memory, kernel, ... by name, in the order they are shown in. What the
/// machine does not tell is left out.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> machine_facts();

/// The CPU's name with its family and model: virtual machines often give no more than a brand.
[[nodiscard]] std::string cpu_model();

/// Cycles of the TSC in a nanosecond, as near as the kernel tells; 0 when it does not.
[[nodiscard]] double cycles_per_ns();

/// The commit that is checked out, with `-dirty` when files other than reports differ from it;
/// `unknown` without git.
[[nodiscard]] std::string commit_of_tree();

/// 2026-11-20T15:48:57Z
[[nodiscard]] std::string now_utc();

} // namespace viaduct::bench
