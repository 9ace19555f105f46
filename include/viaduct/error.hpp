// SPDX-License-Identifier: Apache-2.0
//
// error: the one exception. Thrown on the control path only (start, configuration, verbs, replay),
// caught in main() and in the CLI dispatcher, which print its text as it is.
#pragma once

#include <stdexcept>

namespace viaduct {

/// A mistake or a missing resource that the operator can fix. The text is one line: what, where,
/// what to do.
class Error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

} // namespace viaduct
