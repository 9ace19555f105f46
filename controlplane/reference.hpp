// SPDX-License-Identifier: Apache-2.0
//
// reference: prints docs/reference.md from the tables in the code.
#pragma once

namespace viaduct {

/// Writes the whole page to standard output. Returns the exit status.
int print_reference();

} // namespace viaduct
