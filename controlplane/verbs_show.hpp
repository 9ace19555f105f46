// SPDX-License-Identifier: Apache-2.0
//
// verbs_show: the handlers of the `show` verbs; the table in verbs.cpp is their only user.
#pragma once

#include "cli.hpp"

#include <string>
#include <vector>

namespace viaduct {

using Arguments = const std::vector<std::string>&;

void show_backends(Control& control, Arguments arguments, Reply& reply);
void show_config(Control& control, Arguments arguments, Reply& reply);
void show_events(Control& control, Arguments arguments, Reply& reply);
void show_health(Control& control, Arguments arguments, Reply& reply);
void show_outcomes(Control& control, Arguments arguments, Reply& reply);
void show_pools(Control& control, Arguments arguments, Reply& reply);
void show_ports(Control& control, Arguments arguments, Reply& reply);
void show_version(Control& control, Arguments arguments, Reply& reply);
void show_vips(Control& control, Arguments arguments, Reply& reply);
void show_workers(Control& control, Arguments arguments, Reply& reply);

} // namespace viaduct
