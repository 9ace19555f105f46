// SPDX-License-Identifier: Apache-2.0
//
// replay_command: `viaductd replay`: sends a capture through the stages and prints JSON or a table.
#pragma once

#include <string>

namespace viaduct {

struct ReplayCommand {
    std::string config;
    std::string in;
    std::string out;
    bool json = false;
    bool frames = false; ///< only with json
};

/// Returns the exit status. Throws Error with one line (ConfigError: with several).
int run_replay(const ReplayCommand& command);

} // namespace viaduct
