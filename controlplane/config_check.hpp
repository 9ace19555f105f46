// SPDX-License-Identifier: Apache-2.0
//
// config_check: mistakes no single value shows: two alike, one that wants what is not there.
//
// Private to the configuration.
#pragma once

#include "config_value.hpp"

#include <set>
#include <string_view>
#include <vector>

namespace viaduct {

/// Where an entry of the Config came from. Keys found wrong are left out of further checks, so that
/// one mistake is told once.
struct Source {
    Position header;                    ///< the entry's table, or what holds it when there is none
    const toml::table* table = nullptr; ///< null: only defaults
    std::set<std::string_view> wrong;

    [[nodiscard]] bool good(std::string_view key) const { return !wrong.contains(key); }
    [[nodiscard]] bool has(std::string_view key) const {
        return table != nullptr && table->contains(key) && good(key);
    }
    /// The value's place, or the entry's when the value is a default.
    [[nodiscard]] Position at(std::string_view key) const;
    [[nodiscard]] Position at(std::string_view key, std::size_t entry) const;
};

struct PoolSource : Source {
    Source health;
    std::vector<Source> backends;
};

/// By the same positions as in the Config.
struct Sources {
    Source dataplane, steering, timers, control;
    std::vector<Source> ports, vips;
    std::vector<PoolSource> pools;
};

/// Adds every mistake across entries of a Config whose values were read one by one.
void check_config(const Config& config, const Sources& sources, Mistakes& mistakes);

} // namespace viaduct
