// SPDX-License-Identifier: Apache-2.0
//
// diff: compares two Configs, setting by setting.
#include "config/diff.hpp"

#include "config/settings.hpp"

#include <algorithm>
#include <utility>

namespace viaduct {

namespace {

class Comparison {
public:
    std::vector<ConfigDifference> found;

    void compare(const Config& before, const Config& after);

private:
    using Kind = ConfigDifference::Kind;

    void settings_of(Section section, const std::string& what, ConstOwner before, ConstOwner after);
    void pool(const PoolConfig& before, const PoolConfig& after);

    /// Compares entries by name, and calls `changed` for those in both.
    template <typename Entry, typename Changed>
    void entries(const std::string& what,
                 const std::string& where,
                 const std::vector<Entry>& before,
                 const std::vector<Entry>& after,
                 bool needs_restart,
                 Changed changed) {
        const auto title = [&](const Entry& entry) { return what + " " + entry.name + where; };
        for (const Entry& entry : after) {
            const auto old = std::ranges::find(before, entry.name, &Entry::name);
            if (old == before.end())
                found.push_back({Kind::Added, title(entry), {}, {}, {}, needs_restart});
            else
                changed(title(entry), *old, entry);
        }
        for (const Entry& entry : before)
            if (std::ranges::find(after, entry.name, &Entry::name) == after.end())
                found.push_back({Kind::Removed, title(entry), {}, {}, {}, needs_restart});
    }
};

void Comparison::settings_of(Section section,
                             const std::string& what,
                             ConstOwner before,
                             ConstOwner after) {
    for (const Setting& setting : settings()) {
        if (setting.section != section || setting.rule.hidden) continue;
        std::string old = setting.field.show(setting.rule, before);
        std::string now = setting.field.show(setting.rule, after);
        if (old == now) continue;
        found.push_back({Kind::Changed,
                         what,
                         std::string(setting.rule.key),
                         std::move(old),
                         std::move(now),
                         setting.start_only});
    }
}

void Comparison::pool(const PoolConfig& before, const PoolConfig& after) {
    settings_of(Section::Pool, "pool " + after.name, &before, &after);
    settings_of(
        Section::Health, "[pool.health] of pool " + after.name, &before.health, &after.health);
    entries("backend",
            " of pool " + after.name,
            before.backends,
            after.backends,
            false,
            [this](const std::string& what, const BackendConfig& old, const BackendConfig& now) {
                settings_of(Section::Backend, what, &old, &now);
            });
}

void Comparison::compare(const Config& before, const Config& after) {
    settings_of(Section::Dataplane, "[dataplane]", &before, &after);
    entries("port",
            "",
            before.ports,
            after.ports,
            true,
            [this](const std::string& what, const PortConfig& old, const PortConfig& now) {
                settings_of(Section::Port, what, &old, &now);
            });
    if (found.empty() &&
        !std::ranges::equal(before.ports, after.ports, {}, &PortConfig::name, &PortConfig::name))
        found.push_back({Kind::Changed, "[[port]]", "order", {}, {}, true});
    entries("vip",
            "",
            before.vips,
            after.vips,
            false,
            [this](const std::string& what, const VipConfig& old, const VipConfig& now) {
                settings_of(Section::Vip, what, &old, &now);
            });
    entries("pool",
            "",
            before.pools,
            after.pools,
            false,
            [this](const std::string&, const PoolConfig& old, const PoolConfig& now) {
                pool(old, now);
            });
    settings_of(Section::Steering, "[steering]", &before, &after);
    if (before.secret != after.secret)
        found.push_back({Kind::Changed, "[steering]", "secret", {}, {}, true});
    settings_of(Section::Timers, "[timers]", &before, &after);
    settings_of(Section::Control, "[control]", &before, &after);
}

} // namespace

std::vector<ConfigDifference> differences(const Config& before, const Config& after) {
    Comparison comparison;
    comparison.compare(before, after);
    return std::move(comparison.found);
}

std::string to_string(const ConfigDifference& difference) {
    switch (difference.kind) {
    case ConfigDifference::Kind::Added:
        return difference.what + ": added";
    case ConfigDifference::Kind::Removed:
        return difference.what + ": removed";
    case ConfigDifference::Kind::Changed:
        break;
    }
    const auto value = [](const std::string& text) { return text.empty() ? "(not set)" : text; };
    if (difference.before.empty() && difference.after.empty())
        return difference.what + ": " + difference.key + " changes";
    return difference.what + ": " + difference.key + " = " + value(difference.before) + " -> " +
           value(difference.after);
}

} // namespace viaduct
