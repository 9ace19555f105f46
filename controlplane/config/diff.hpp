// SPDX-License-Identifier: Apache-2.0
//
// diff: what differs between two configurations, by the names of vips, pools and backends.
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
    std::string key;    ///< Changed: which setting
    std::string before; ///< Changed: as TOML; "" where it is not set, or secret
    std::string after;
    bool needs_restart = false;
};

/// In the order of the reference. The order of entries in a file is no difference, but that of
/// ports is.
[[nodiscard]] std::vector<ConfigDifference> differences(const Config& before, const Config& after);

/// One line for people.
[[nodiscard]] std::string to_string(const ConfigDifference& difference);

} // namespace viaduct
