// SPDX-License-Identifier: Apache-2.0
//
// reference: makes docs/reference.md from the tables in the code.
#pragma once

#include <string>

namespace viaduct {

/// Returns the whole page: settings, verbs, outcomes and counters.
[[nodiscard]] std::string reference_page();
/// Returns the sections of outcomes and worker counters.
[[nodiscard]] std::string counters_reference();

} // namespace viaduct
