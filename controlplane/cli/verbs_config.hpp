// SPDX-License-Identifier: Apache-2.0
//
// verbs_config: the handlers of the verbs that change the current configuration, for the table in
// verbs.cpp.
#pragma once

#include "cli/cli.hpp"
#include "cli/verbs_show.hpp"

namespace viaduct {

void add(Control& control, Arguments arguments, Reply& reply);
void preview(Control& control, Arguments arguments, Reply& reply);
void reload(Control& control, Arguments arguments, Reply& reply);
void remove(Control& control, Arguments arguments, Reply& reply);
void rollback(Control& control, Arguments arguments, Reply& reply);
void tier(Control& control, Arguments arguments, Reply& reply);
void vip_disable(Control& control, Arguments arguments, Reply& reply);
void vip_enable(Control& control, Arguments arguments, Reply& reply);
void weight(Control& control, Arguments arguments, Reply& reply);

} // namespace viaduct
