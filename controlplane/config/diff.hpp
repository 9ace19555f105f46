// SPDX-License-Identifier: Apache-2.0
//
// diff: the differences between two configurations, by the names of vips, pools and backends.
#pragma once

#include "config/config.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace viaduct {

struct ConfigDifference {
    enum class Kind : std::uint8_t { Added, Removed, Changed };

    Kind kind = Kind::Changed;
    std::string what;   ///< "vip sip", "pool proxies", "backend b1 of pool proxies", "[dataplane]"
    std::string key;    ///< Changed: the setting
    std::string before; ///< Changed: as TOML; "" when not set, or secret
    std::string after;
    bool needs_restart = false;
};

/// Returns the differences in the order of the reference. Another order of entries is not a
/// difference, except for ports.
[[nodiscard]] std::vector<ConfigDifference> differences(const Config& before, const Config& after);

/// Returns one line for the operator.
[[nodiscard]] std::string to_string(const ConfigDifference& difference);

} // namespace viaduct
