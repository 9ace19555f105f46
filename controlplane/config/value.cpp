// SPDX-License-Identifier: Apache-2.0
//
// value: readers, descriptions and TOML text for each type of setting.
//
// In:    nodes of the operator's file; any type, any content.
// Out:   the value, or one mistake that says what was wanted and what was found.
#include "config/value.hpp"

#include "log.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace viaduct {

namespace {

bool is_letter_or_digit(char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

bool is_printable(char c) {
    return c >= 0x20 && c < 0x7f;
}

bool is_word(char c) {
    return c > 0x20 && c < 0x7f;
}

bool fits(Form form, std::string_view text) {
    const auto all = [text](auto&& rule) { return std::all_of(text.begin(), text.end(), rule); };
    switch (form) {
    case Form::Text:
        return all(is_printable);
    case Form::Name:
        return all(
            [](char c) { return is_letter_or_digit(c) || c == '_' || c == '.' || c == '-'; });
    case Form::TwinName:
        return all([](char c) { return is_letter_or_digit(c) || c == '_' || c == '-'; });
    case Form::Word:
        return all(is_word);
    case Form::Path:
        return text.starts_with('/') && all(is_printable);
    case Form::Uri: // RFC 3261 §25.1: a URI has no blank, quote or angle bracket
        return text.starts_with("sip:") && text.size() > 4 &&
               all([](char c) { return is_word(c) && c != '<' && c != '>' && c != '"'; });
    }
    return false;
}

/// Returns the value itself if it is a number or a text, otherwise its type.
std::string found(const toml::node& node) {
    if (const auto* number = node.as_integer()) return std::to_string(number->get());
    if (const auto* text = node.as_string()) return '"' + printable(text->get()) + '"';
    return std::string(type_of(node));
}

/// Reads a text with `parse`, which returns an optional.
template <typename T, typename Parse>
bool read_text(const toml::node& node, const Rule& rule, Mistakes& mistakes, T& out, Parse parse) {
    if (const auto* text = node.as_string())
        if (const std::optional<T> value = parse(std::string_view(text->get()))) {
            out = *value;
            return true;
        }
    const std::string shown = node.is_string() ? found(node) : std::string(type_of(node));
    add_wrong(mistakes, node.source().begin, rule, describe(rule, &out), shown);
    return false;
}

std::optional<std::int64_t> parse_number(std::string_view text) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    if (text.front() == '-' || (text.front() == '0' && text.size() > 1)) return std::nullopt;
    return value;
}

struct Unit {
    std::string_view name;
    std::int64_t ms;
};
constexpr std::array kUnits{
    Unit{"h", 3'600'000}, Unit{"m", 60'000}, Unit{"s", 1'000}, Unit{"ms", 1}};

std::optional<std::int64_t> parse_duration_ms(std::string_view text) {
    const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
    if (digits > 9) return std::nullopt; // prevents overflow
    const auto number = parse_number(text.substr(0, digits));
    if (!number) return std::nullopt;
    for (const Unit& unit : kUnits)
        if (text.substr(digits) == unit.name) return *number * unit.ms;
    return std::nullopt;
}

std::string duration_text(std::int64_t ms) {
    const auto* unit = std::find_if(kUnits.begin(), kUnits.end() - 1, [ms](const Unit& u) {
        return (ms != 0 || u.name == "s") && ms % u.ms == 0;
    });
    return std::to_string(ms / unit->ms) + std::string(unit->name);
}

/// Returns false for 0/8, 127/8, multicast, reserved and broadcast addresses (RFC 6890 §2.2.2).
bool is_host(Ipv4Addr address) {
    const std::uint32_t first = address.value >> 24;
    return first != 0 && first != 127 && first < 224;
}

std::optional<AcceptRange> parse_accept(std::string_view text) {
    const bool is_class = text.size() == 3 && text.ends_with("xx");
    const auto number = parse_number(is_class ? text.substr(0, 1) : text);
    const std::int64_t first = number ? (is_class ? *number * 100 : *number) : 0;
    if (first < 200 || first > 699) return std::nullopt; // 1xx is not a final answer
    return AcceptRange{static_cast<std::uint16_t>(first),
                       static_cast<std::uint16_t>(is_class ? first + 99 : first)};
}

std::string quoted(std::string_view text) {
    std::string result = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') result += '\\';
        result += c;
    }
    return result + '"';
}

} // namespace

std::string Mistakes::report(const std::string& file) {
    std::stable_sort(
        list_.begin(), list_.end(), [](const Mistake& a, const Mistake& b) { return a.at < b.at; });
    std::string text;
    for (const Mistake& mistake : list_) {
        if (!text.empty()) text += '\n';
        text += file + ':' + std::to_string(mistake.at.line) + ':' +
                std::to_string(mistake.at.column) + ": " + mistake.text;
    }
    return text;
}

std::string_view type_of(const toml::node& node) {
    switch (node.type()) {
    case toml::node_type::none:
        return "nothing";
    case toml::node_type::table:
        return "a table";
    case toml::node_type::array:
        return "an array";
    case toml::node_type::string:
        return "a string";
    case toml::node_type::integer:
        return "an integer";
    case toml::node_type::floating_point:
        return "a floating-point number";
    case toml::node_type::boolean:
        return "a boolean";
    case toml::node_type::date:
        return "a date";
    case toml::node_type::time:
        return "a time";
    case toml::node_type::date_time:
        return "a date and time";
    }
    return "something else";
}

void add_wrong(Mistakes& mistakes,
               Position at,
               const Rule& rule,
               std::string_view wanted,
               std::string_view found) {
    std::string text(rule.key);
    text.append(" must be ").append(wanted).append("; found ").append(found);
    mistakes.add(at, std::move(text));
}

// --- integers, booleans, texts ---

bool read(const toml::node& node, const Rule& rule, Mistakes& mistakes, std::int64_t& out) {
    const auto* number = node.as_integer();
    if (number == nullptr || number->get() < rule.min || number->get() > rule.max) {
        add_wrong(mistakes,
                  node.source().begin,
                  rule,
                  describe(rule, &out),
                  number == nullptr ? std::string(type_of(node)) : found(node));
        return false;
    }
    out = number->get();
    return true;
}
std::string describe(const Rule& rule, const std::int64_t*) {
    return "an integer from " + std::to_string(rule.min) + " to " + std::to_string(rule.max);
}
std::string show(const Rule&, std::int64_t value) {
    return std::to_string(value);
}

bool read(const toml::node& node, const Rule& rule, Mistakes& mistakes, bool& out) {
    const auto* flag = node.as_boolean();
    if (flag == nullptr) {
        add_wrong(mistakes, node.source().begin, rule, describe(rule, &out), type_of(node));
        return false;
    }
    out = flag->get();
    return true;
}
std::string describe(const Rule&, const bool*) {
    return "true or false";
}
std::string show(const Rule&, bool value) {
    return value ? "true" : "false";
}

bool read(const toml::node& node, const Rule& rule, Mistakes& mistakes, std::string& out) {
    return read_text(
        node, rule, mistakes, out, [&rule](std::string_view text) -> std::optional<std::string> {
            const auto& choices = rule.choices;
            const bool good =
                choices.empty()
                    ? !text.empty() && text.size() <= static_cast<std::size_t>(rule.max) &&
                          fits(rule.form, text)
                    : std::find(choices.begin(), choices.end(), text) != choices.end();
            if (!good) return std::nullopt;
            return std::string(text);
        });
}
std::string describe(const Rule& rule, const std::string*) {
    if (!rule.choices.empty()) {
        std::string text;
        for (std::size_t i = 0; i < rule.choices.size(); ++i) {
            if (i > 0) text += i + 1 == rule.choices.size() ? " or " : ", ";
            text += quoted(rule.choices[i]);
        }
        return text;
    }
    const std::string max = std::to_string(rule.max);
    switch (rule.form) {
    case Form::Text:
        return "a string of 1 to " + max + " printable ASCII characters";
    case Form::Name:
        return "a name of 1 to " + max + " letters, digits, '_', '.' or '-'";
    case Form::TwinName:
        return "a name of 1 to " + max + " letters, digits, '_' or '-'";
    case Form::Word:
        return "a name of 1 to " + max + " ASCII characters without blanks";
    case Form::Path:
        return "an absolute path of at most " + max + " printable ASCII characters";
    case Form::Uri:
        return "a URI such as \"sip:192.0.2.10\", at most " + max +
               " ASCII characters without blanks, quotes or angle brackets";
    }
    return {};
}
std::string show(const Rule&, const std::string& value) {
    return value.empty() ? std::string() : quoted(value);
}

// --- addresses ---

bool read(const toml::node& node, const Rule& rule, Mistakes& mistakes, Ipv4Addr& out) {
    return read_text(node, rule, mistakes, out, [](std::string_view text) {
        const auto address = parse_ipv4(text);
        return address && is_host(*address) ? address : std::nullopt;
    });
}
std::string describe(const Rule&, const Ipv4Addr*) {
    return "the IPv4 address of a host, such as \"192.0.2.10\"";
}
std::string show(const Rule&, Ipv4Addr value) {
    return quoted(to_string(value));
}

bool read(const toml::node& node, const Rule& rule, Mistakes& mistakes, Ipv4Prefix& out) {
    return read_text(
        node, rule, mistakes, out, [](std::string_view text) -> std::optional<Ipv4Prefix> {
            const std::size_t slash = text.find('/');
            if (slash == std::string_view::npos || slash + 1 == text.size()) return std::nullopt;
            const auto address = parse_ipv4(text.substr(0, slash));
            const auto length = parse_number(text.substr(slash + 1));
            if (!address || !is_host(*address) || !length || *length < 1 || *length > 32)
                return std::nullopt;
            return Ipv4Prefix{*address, static_cast<std::uint8_t>(*length)};
        });
}
std::string describe(const Rule&, const Ipv4Prefix*) {
    return "an IPv4 address with a prefix length from 1 to 32, such as \"192.0.2.2/24\"";
}
std::string show(const Rule&, const Ipv4Prefix& value) {
    return quoted(to_string(value));
}

bool read(const toml::node& node, const Rule& rule, Mistakes& mistakes, MacAddr& out) {
    return read_text(node, rule, mistakes, out, [](std::string_view text) {
        const auto mac = parse_mac(text);
        return mac && !mac->is_multicast() && *mac != MacAddr{} ? mac : std::nullopt;
    });
}
std::string describe(const Rule&, const MacAddr*) {
    return "the MAC address of one station, such as \"02:00:00:00:01:01\"";
}
std::string show(const Rule&, const MacAddr& value) {
    return quoted(to_string(value));
}

// --- durations, secrets, status codes ---

bool read(const toml::node& node,
          const Rule& rule,
          Mistakes& mistakes,
          std::chrono::milliseconds& out) {
    return read_text(node,
                     rule,
                     mistakes,
                     out,
                     [&rule](std::string_view text) -> std::optional<std::chrono::milliseconds> {
                         const auto ms = parse_duration_ms(text);
                         if (!ms || *ms < rule.min || *ms > rule.max) return std::nullopt;
                         return std::chrono::milliseconds(*ms);
                     });
}
std::string describe(const Rule& rule, const std::chrono::milliseconds*) {
    return "a duration from " + quoted(duration_text(rule.min)) + " to " +
           quoted(duration_text(rule.max)) + ", a whole number followed by ms, s, m or h";
}
std::string show(const Rule&, std::chrono::milliseconds value) {
    return quoted(duration_text(value.count()));
}

bool read(const toml::node& node, const Rule& rule, Mistakes& mistakes, SteeringSecret& out) {
    const auto* text = node.as_string();
    SteeringSecret secret{};
    bool good = text != nullptr && text->get().size() == secret.size() * 2;
    for (std::size_t i = 0; good && i < secret.size(); ++i) {
        const char* first = text->get().data() + i * 2;
        good = std::from_chars(first, first + 2, secret[i], 16).ptr == first + 2;
    }
    if (good)
        out = secret;
    else // never repeat the text of a secret, not even of a wrong one
        add_wrong(mistakes,
                  node.source().begin,
                  rule,
                  describe(rule, &out),
                  text == nullptr ? std::string(type_of(node))
                  : text->get().size() == secret.size() * 2
                      ? "a character that is not a hex digit"
                      : std::to_string(text->get().size()) + " characters");
    return good;
}
std::string describe(const Rule&, const SteeringSecret*) {
    return "a string of 32 hex digits";
}
std::string show(const Rule&, const SteeringSecret&) {
    return "\"(hidden)\"";
}

bool read(const toml::node& node, const Rule& rule, Mistakes& mistakes, AcceptRange& out) {
    const auto* number = node.as_integer();
    const auto* text = node.as_string();
    std::optional<AcceptRange> range;
    if (number != nullptr) range = parse_accept(std::to_string(number->get()));
    if (text != nullptr && !text->get().empty()) range = parse_accept(text->get());
    if (!range) {
        add_wrong(mistakes, node.source().begin, rule, describe(rule, &out), found(node));
        return false;
    }
    out = *range;
    return true;
}
std::string describe(const Rule&, const AcceptRange*) {
    return "a class from \"2xx\" to \"6xx\" or a code from 200 to 699";
}
std::string show(const Rule&, const AcceptRange& value) {
    if (value.first == value.last) return std::to_string(value.first);
    return quoted(std::to_string(value.first / 100) + "xx");
}

} // namespace viaduct
