// SPDX-License-Identifier: Apache-2.0
//
// secret: the steering secret of a balancer whose configuration names none.
#pragma once

#include "viaduct/snapshot.hpp"

#include <string>

namespace viaduct {

/// The secret kept in `<state>/steering.secret`; made and written (mode 0600) when there is none,
/// so that calls find their backends again after a restart. Throws Error naming the file.
[[nodiscard]] SteeringSecret kept_secret(const std::string& state);

} // namespace viaduct
