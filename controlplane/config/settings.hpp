// SPDX-License-Identifier: Apache-2.0
//
// settings: all sections and settings.
//
// Reading, printing and the reference all use these two tables. Private to the configuration.
#pragma once

#include "config/value.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

namespace viaduct {

enum class Section : std::uint8_t {
    Dataplane,
    Port,
    Vip,
    Pool,
    Health,
    Backend,
    Steering,
    Timers,
    Control
};

struct SectionInfo {
    Section section;
    std::optional<Section> parent;
    std::string_view key;    ///< in the parent table
    std::string_view header; ///< as written in the file; "[[...]]": one or more
    std::string_view help;
};

/// Indexed by Section.
[[nodiscard]] std::span<const SectionInfo> sections() noexcept;

[[nodiscard]] inline const SectionInfo& info(Section section) noexcept {
    return sections()[static_cast<std::size_t>(section)];
}

/// The struct that holds a section's settings.
using Owner =
    std::variant<Config*, PortConfig*, VipConfig*, PoolConfig*, HealthConfig*, BackendConfig*>;
using ConstOwner = std::variant<const Config*,
                                const PortConfig*,
                                const VipConfig*,
                                const PoolConfig*,
                                const HealthConfig*,
                                const BackendConfig*>;

/// Access to the member that holds a setting; its type determines the functions.
struct Field {
    bool (*read)(const toml::node&, const Rule&, Mistakes&, Owner);
    std::string (*describe)(const Rule&);
    std::string (*show)(const Rule&, ConstOwner);
};

enum class Need : std::uint8_t { Required, Default, Optional };

struct Setting {
    Section section;
    Need need;
    bool start_only; ///< a change needs a restart
    Rule rule;
    Field field;
    std::string_view fallback; ///< Default: as TOML; Optional: the effect when not set, for people
    std::string_view help;
};

/// In the order of the reference.
[[nodiscard]] std::span<const Setting> settings() noexcept;

} // namespace viaduct
