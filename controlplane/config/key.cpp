// SPDX-License-Identifier: Apache-2.0
//
// key: the part of a message that a pool hashes, "aor" or "header:X-Tenant", also by method: {
// REGISTER = "aor" }; and the work of each method: { INVITE = 1.75 }.
#include "config/value.hpp"

#include "viaduct/sip/message.hpp"

#include <array>
#include <cmath>
#include <cstdio>
#include <utility>

namespace viaduct {

namespace {

constexpr std::array<std::pair<std::string_view, KeyType>, 5> kNames{{
    {"call-id", KeyType::CallId},
    {"aor", KeyType::Aor},
    {"from", KeyType::From},
    {"request-uri-user", KeyType::RequestUriUser},
    {"source", KeyType::Source},
}};
constexpr std::string_view kHeader = "header:";
constexpr std::size_t kLongestHeader = 64;

/// Initial and standalone requests, and NOTIFY outside of any dialog. Other requests follow their
/// call.
constexpr std::array<std::string_view, 8> kMethods{
    "INVITE", "SUBSCRIBE", "REFER", "REGISTER", "PUBLISH", "OPTIONS", "MESSAGE", "NOTIFY"};

bool is_header_name(std::string_view name) {
    constexpr std::string_view kMarks = "-.!%*_+`'~"; // RFC 3261 §25.1: token
    if (name.empty() || name.size() > kLongestHeader) return false;
    for (const char c : name)
        if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
            kMarks.find(c) == std::string_view::npos)
            return false;
    return true;
}

} // namespace

std::string describe(const Rule&, const KeyConfig*) {
    std::string text;
    for (const auto& [name, type] : kNames)
        text += '"' + std::string(name) + "\", ";
    return text + "or \"header:NAME\"";
}

std::string describe(const Rule& rule, const KeysByMethod*) {
    std::string text = "a table of methods (";
    for (const std::string_view method : kMethods)
        text += (text.back() == '(' ? "" : ", ") + std::string(method);
    return text + "), each " + describe(rule, static_cast<const KeyConfig*>(nullptr));
}

bool read(const toml::node& node, const Rule& rule, Mistakes& mistakes, KeyConfig& out) {
    const auto value = node.value_exact<std::string>();
    if (value) {
        for (const auto& [name, type] : kNames)
            if (*value == name) {
                out = {type, {}};
                return true;
            }
        if (value->starts_with(kHeader) && is_header_name(value->substr(kHeader.size()))) {
            out = {KeyType::Header, value->substr(kHeader.size())};
            return true;
        }
    }
    add_wrong(mistakes,
              node.source().begin,
              rule,
              describe(rule, &out),
              value ? '"' + *value + '"' : std::string(type_of(node)));
    return false;
}

bool read(const toml::node& node, const Rule& rule, Mistakes& mistakes, KeysByMethod& out) {
    const toml::table* const table = node.as_table();
    if (table == nullptr) {
        add_wrong(mistakes, node.source().begin, rule, describe(rule, &out), type_of(node));
        return false;
    }
    KeysByMethod made;
    bool good = true;
    for (const auto& [name, value] : *table) {
        bool known = false;
        for (const std::string_view method : kMethods)
            known = known || method == name.str();
        if (!known) {
            add_wrong(mistakes,
                      name.source().begin,
                      rule,
                      describe(rule, &out),
                      '"' + std::string(name.str()) + '"');
            good = false;
            continue;
        }
        const std::string key = std::string(rule.key) + "." + std::string(name.str());
        Rule each = rule;
        each.key = key;
        KeyConfig wanted;
        good = read(value, each, mistakes, wanted) && good;
        made.list.emplace_back(std::string(name.str()), wanted);
    }
    if (good) out = std::move(made);
    return good;
}

std::string to_string(const KeyConfig& key) {
    if (key.type == KeyType::Header) return std::string(kHeader) + key.header;
    for (const auto& [name, type] : kNames)
        if (type == key.type) return std::string(name);
    return {};
}

std::string show(const Rule& rule, const KeyConfig& value) {
    return show(rule, to_string(value));
}

std::string show(const Rule& rule, const KeysByMethod& value) {
    if (value.list.empty()) return {};
    std::string text = "{";
    for (const auto& [method, key] : value.list)
        text += (text.size() > 1 ? ", " : " ") + method + " = " + show(rule, key);
    return text + " }";
}

// ---- work by method

namespace {

constexpr std::array<std::string_view, 14> kWorkMethods{"INVITE",
                                                        "BYE",
                                                        "CANCEL",
                                                        "REGISTER",
                                                        "OPTIONS",
                                                        "PRACK",
                                                        "SUBSCRIBE",
                                                        "NOTIFY",
                                                        "PUBLISH",
                                                        "INFO",
                                                        "REFER",
                                                        "MESSAGE",
                                                        "UPDATE",
                                                        "other"};
constexpr double kMaxWork = 50;

std::string in_wholes(unsigned quarters) {
    std::array<char, 16> text{};
    const int size = std::snprintf(text.data(), text.size(), "%g", quarters / 4.0);
    return {text.data(), static_cast<std::size_t>(size)};
}

} // namespace

std::string describe(const Rule&, const WorkByMethod*) {
    std::string text = "a table of methods (";
    for (const std::string_view method : kWorkMethods)
        text += (text.back() == '(' ? "" : ", ") + std::string(method);
    return text + "), each a number from 0.25 to 50 in steps of 0.25";
}

bool read(const toml::node& node, const Rule& rule, Mistakes& mistakes, WorkByMethod& out) {
    const auto wrong = [&](const toml::source_position& at, const std::string& found) {
        add_wrong(mistakes, at, rule, describe(rule, &out), found);
        return false;
    };
    const toml::table* const table = node.as_table();
    if (table == nullptr) return wrong(node.source().begin, std::string(type_of(node)));
    WorkByMethod made;
    made.list.clear();
    bool good = true;
    for (const auto& [name, value] : *table) {
        const auto number = value.value<double>();
        const double quarters = number.value_or(0) * 4;
        const std::string method(name.str());
        if (std::ranges::find(kWorkMethods, method) == kWorkMethods.end())
            good = wrong(name.source().begin, '"' + method + '"');
        else if (!number || quarters < 1 || quarters > kMaxWork * 4 ||
                 std::floor(quarters) != quarters)
            good = wrong(value.source().begin,
                         method + " = " +
                             (number ? std::to_string(*number) : std::string(type_of(value))));
        else
            made.list.emplace_back(method, static_cast<unsigned>(quarters));
    }
    if (good) out = std::move(made);
    return good;
}

std::string show(const Rule&, const WorkByMethod& value) {
    std::string text = "{";
    for (const auto& [method, quarters] : value.list)
        text += (text.size() > 1 ? ", " : " ") + method + " = " + in_wholes(quarters);
    return text + " }";
}

} // namespace viaduct
