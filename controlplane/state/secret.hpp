// SPDX-License-Identifier: Apache-2.0
//
// secret: the steering secret of a balancer whose configuration does not set one.
#pragma once

#include "viaduct/snapshot.hpp"

#include <string>

namespace viaduct {

/// Reads the secret in `<state>/steering.secret`, or makes and writes one (mode 0600), so that
/// calls find their backends again after a restart. Throws Error naming the file.
[[nodiscard]] SteeringSecret kept_secret(const std::string& state);

} // namespace viaduct
