// SPDX-License-Identifier: Apache-2.0
//
// replay_command: `viaductd replay`: options in, the capture through the stages, JSON or a table
// out.
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

/// Returns the exit status. Throws Error with one line (ConfigError: with many).
int run_replay(const ReplayCommand& command);

} // namespace viaduct
