// SPDX-License-Identifier: Apache-2.0
//
// value: one TOML value -> the type of a setting, or a mistake; and back to TOML.
//
// A setting's C++ type selects the reader, its Rule the range. Private to the configuration.
#pragma once

#include "config/config.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <toml++/toml.h>
#include <vector>

namespace viaduct {

using Position = toml::source_position;

/// The operator's mistakes.
class Mistakes {
public:
    void add(Position at, std::string text) { list_.push_back({at, std::move(text)}); }
    [[nodiscard]] bool empty() const noexcept { return list_.empty(); }
    /// Returns one line `FILE:LINE:COL: text` per mistake, sorted by position, without a newline at
    /// the end.
    [[nodiscard]] std::string report(const std::string& file);

private:
    struct Mistake {
        Position at;
        std::string text;
    };
    std::vector<Mistake> list_;
};

/// Characters that a text may contain.
enum class Form : std::uint8_t {
    Text,     ///< printable ASCII
    Name,     ///< [A-Za-z0-9_.-]
    TwinName, ///< [A-Za-z0-9_-]
    Word,     ///< ASCII without blanks
    Path,     ///< printable ASCII, starts with '/'
    Uri,      ///< ASCII without blanks, quotes, brackets; starts with "sip:"
};

/// The values that a setting may have.
struct Rule {
    std::string_view key;
    std::int64_t min = 0; ///< integers: the value; durations: milliseconds
    std::int64_t max = 0; ///< as min; texts: number of characters
    Form form = Form::Text;
    bool may_be_empty = true;                    ///< arrays
    bool hidden = false;                         ///< never printed
    std::span<const std::string_view> choices{}; ///< enums: by value
};

/// Returns "an integer", "a table", ...
[[nodiscard]] std::string_view type_of(const toml::node& node);

/// Adds the mistake `KEY must be WANTED; found FOUND`.
void add_wrong(Mistakes& mistakes,
               Position at,
               const Rule& rule,
               std::string_view wanted,
               std::string_view found);

/// read: returns false when the value is wrong and a mistake was added; `out` is unchanged then.
/// describe: says what the rule allows, e.g. "an integer from 1 to 64"; the pointer only selects
/// the type.
/// show: returns TOML; empty: not set.
bool read(const toml::node& node, const Rule& rule, Mistakes& mistakes, std::int64_t& out);
bool read(const toml::node& node, const Rule& rule, Mistakes& mistakes, bool& out);
bool read(const toml::node& node, const Rule& rule, Mistakes& mistakes, std::string& out);
bool read(const toml::node& node, const Rule& rule, Mistakes& mistakes, Ipv4Addr& out);
bool read(const toml::node& node, const Rule& rule, Mistakes& mistakes, Ipv4Prefix& out);
bool read(const toml::node& node, const Rule& rule, Mistakes& mistakes, MacAddr& out);
bool read(const toml::node& node, const Rule& rule, Mistakes& mistakes, SteeringSecret& out);
bool read(const toml::node& node, const Rule& rule, Mistakes& mistakes, AcceptRange& out);
bool read(const toml::node& node,
          const Rule& rule,
          Mistakes& mistakes,
          std::chrono::milliseconds& out);

bool read(const toml::node& node, const Rule& rule, Mistakes& mistakes, KeyConfig& out);
bool read(const toml::node& node, const Rule& rule, Mistakes& mistakes, KeysByMethod& out);
bool read(const toml::node& node, const Rule& rule, Mistakes& mistakes, WorkByMethod& out);

[[nodiscard]] std::string describe(const Rule& rule, const std::int64_t*);
[[nodiscard]] std::string describe(const Rule& rule, const bool*);
[[nodiscard]] std::string describe(const Rule& rule, const std::string*);
[[nodiscard]] std::string describe(const Rule& rule, const Ipv4Addr*);
[[nodiscard]] std::string describe(const Rule& rule, const Ipv4Prefix*);
[[nodiscard]] std::string describe(const Rule& rule, const MacAddr*);
[[nodiscard]] std::string describe(const Rule& rule, const SteeringSecret*);
[[nodiscard]] std::string describe(const Rule& rule, const AcceptRange*);
[[nodiscard]] std::string describe(const Rule& rule, const std::chrono::milliseconds*);

[[nodiscard]] std::string describe(const Rule& rule, const KeyConfig*);
[[nodiscard]] std::string describe(const Rule& rule, const KeysByMethod*);
[[nodiscard]] std::string describe(const Rule& rule, const WorkByMethod*);

[[nodiscard]] std::string show(const Rule& rule, std::int64_t value);
[[nodiscard]] std::string show(const Rule& rule, bool value);
[[nodiscard]] std::string show(const Rule& rule, const std::string& value);
[[nodiscard]] std::string show(const Rule& rule, Ipv4Addr value);
[[nodiscard]] std::string show(const Rule& rule, const Ipv4Prefix& value);
[[nodiscard]] std::string show(const Rule& rule, const MacAddr& value);
[[nodiscard]] std::string show(const Rule& rule, const SteeringSecret& value);
[[nodiscard]] std::string show(const Rule& rule, const AcceptRange& value);
[[nodiscard]] std::string show(const Rule& rule, std::chrono::milliseconds value);

[[nodiscard]] std::string show(const Rule& rule, const KeyConfig& value);
[[nodiscard]] std::string show(const Rule& rule, const KeysByMethod& value);
[[nodiscard]] std::string show(const Rule& rule, const WorkByMethod& value);

template <typename T>
concept Small = std::is_same_v<T, unsigned> || std::is_same_v<T, std::uint16_t>;
template <typename T>
concept Choice = std::is_enum_v<T>;

// Smaller integers: the rule keeps the value in range.
template <Small T> bool read(const toml::node& node, const Rule& rule, Mistakes& mistakes, T& out) {
    std::int64_t value = 0;
    if (!read(node, rule, mistakes, value)) return false;
    out = static_cast<T>(value);
    return true;
}
template <Small T> std::string describe(const Rule& rule, const T*) {
    return describe(rule, static_cast<const std::int64_t*>(nullptr));
}
template <Small T> std::string show(const Rule& rule, T value) {
    return show(rule, std::int64_t{value});
}

// Enums: the index of the choice is the value of the enumerator.
template <Choice T>
bool read(const toml::node& node, const Rule& rule, Mistakes& mistakes, T& out) {
    std::string value;
    if (!read(node, rule, mistakes, value)) return false;
    for (std::size_t i = 0; i < rule.choices.size(); ++i)
        if (rule.choices[i] == value) out = static_cast<T>(i);
    return true;
}
template <Choice T> std::string describe(const Rule& rule, const T*) {
    return describe(rule, static_cast<const std::string*>(nullptr));
}
template <Choice T> std::string show(const Rule& rule, T value) {
    return show(rule, std::string(rule.choices[static_cast<std::size_t>(value)]));
}

template <typename T>
bool read(const toml::node& node, const Rule& rule, Mistakes& mistakes, std::optional<T>& out) {
    T value{};
    if (!read(node, rule, mistakes, value)) return false;
    out = value;
    return true;
}
template <typename T> std::string describe(const Rule& rule, const std::optional<T>*) {
    return describe(rule, static_cast<const T*>(nullptr));
}
template <typename T> std::string show(const Rule& rule, const std::optional<T>& value) {
    return value ? show(rule, *value) : std::string();
}

// Arrays: all entries are checked, so that all mistakes are reported.
template <typename T> std::string describe(const Rule& rule, const std::vector<T>*) {
    return std::string(rule.may_be_empty ? "an array" : "an array of at least one entry") +
           ", each " + describe(rule, static_cast<const T*>(nullptr));
}
template <typename T>
bool read(const toml::node& node, const Rule& rule, Mistakes& mistakes, std::vector<T>& out) {
    const toml::array* array = node.as_array();
    if (array == nullptr || (array->empty() && !rule.may_be_empty)) {
        add_wrong(mistakes,
                  node.source().begin,
                  rule,
                  describe(rule, &out),
                  array == nullptr ? type_of(node) : "an empty one");
        return false;
    }
    const std::string key = "each entry of " + std::string(rule.key);
    Rule each = rule;
    each.key = key;
    std::vector<T> values(array->size());
    bool good = true;
    for (std::size_t i = 0; i < array->size(); ++i)
        good = read(*array->get(i), each, mistakes, values[i]) && good;
    if (good) out = std::move(values);
    return good;
}
template <typename T> std::string show(const Rule& rule, const std::vector<T>& values) {
    if (values.empty() && !rule.may_be_empty) return {};
    std::string text = "[";
    for (const T& value : values) {
        if (text.size() > 1) text += ", ";
        text += show(rule, value);
    }
    return text + "]";
}

} // namespace viaduct
