// SPDX-License-Identifier: Apache-2.0
#include "reference.hpp"

#include "cli.hpp"
#include "config.hpp"
#include "stats.hpp"

#include <cstdio>
#include <string>

namespace viaduct {

int print_reference() {
    const std::string page =
        "# Reference\n\n"
        "Printed by `viaductd --reference` from the tables in the code; do not edit by hand.\n\n" +
        settings_reference() + "\n" + verbs_reference() + "\n" + counters_reference();
    std::fwrite(page.data(), 1, page.size(), stdout);
    return std::fflush(stdout) == 0 ? 0 : 1;
}

} // namespace viaduct
