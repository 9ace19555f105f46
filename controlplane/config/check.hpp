// SPDX-License-Identifier: Apache-2.0
//
// check: mistakes across values, such as duplicates and missing references.
//
// Private to the configuration.
#pragma once

#include "config/value.hpp"

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace viaduct {

/// The position of an entry of the Config. Keys found wrong are left out of further checks, so that
/// each mistake is reported once.
struct Source {
    Position header;                    ///< the entry's table, or its parent when it has none
    const toml::table* table = nullptr; ///< null: only defaults
    std::set<std::string_view> wrong;

    [[nodiscard]] bool good(std::string_view key) const { return !wrong.contains(key); }
    [[nodiscard]] bool has(std::string_view key) const {
        return table != nullptr && table->contains(key) && good(key);
    }
    /// Returns the position of the value, or of the entry when the value is a default.
    [[nodiscard]] Position at(std::string_view key) const;
    [[nodiscard]] Position at(std::string_view key, std::size_t entry) const;
};

struct PoolSource : Source {
    Source health;
    std::vector<Source> backends;
};

/// Same order as in the Config.
struct Sources {
    Source dataplane, steering, timers, control;
    std::vector<Source> ports, vips;
    std::vector<PoolSource> pools;
};

/// Remembers where each key was first seen.
template <typename Key> class Seen {
public:
    /// Returns the earlier position of `key`; null when this is the first.
    const Position* earlier(const Key& key, Position at) {
        const auto [place, is_new] = places_.try_emplace(key, at);
        return is_new ? nullptr : &place->second;
    }
    [[nodiscard]] const Position* find(const Key& key) const {
        const auto place = places_.find(key);
        return place == places_.end() ? nullptr : &place->second;
    }

private:
    std::map<Key, Position> places_;
};

/// Returns e.g. "on line 7", for the other entry of a disagreement.
[[nodiscard]] inline std::string on_line(Position at) {
    return "on line " + std::to_string(at.line);
}

/// Adds the mistakes in addresses of ports, gateways, VIPs and backends. Part of check_config().
void check_addresses(const Config& config, const Sources& sources, Mistakes& mistakes);

/// Adds every mistake across the entries of a Config whose values were read one by one.
void check_config(const Config& config, const Sources& sources, Mistakes& mistakes);

} // namespace viaduct
