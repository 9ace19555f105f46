// SPDX-License-Identifier: Apache-2.0
//
// text: JSON -> tables for people; bytes -> safe text.
//
// In:    texts of any origin.
// Out:   text that cannot affect a terminal.
// Spec:  RFC 3629 §3 and §4 (definition of UTF-8).

#include "cli/text.hpp"

#include <algorithm>
#include <cstdio>
#include <optional>
#include <utility>
#include <vector>

namespace viaduct {
namespace {

using Json = nlohmann::ordered_json;

struct CodePoint {
    char32_t value = 0;
    std::size_t length = 0; ///< bytes
};

/// Returns the first character of `bytes`; empty when it is not UTF-8 (RFC 3629 §3).
std::optional<CodePoint> first_code_point(std::string_view bytes) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(bytes[i]); };
    if (bytes.empty()) return std::nullopt;
    const unsigned char lead = byte(0);
    if (lead < 0x80) return CodePoint{lead, 1};
    const std::size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || bytes.size() < length) return std::nullopt;
    char32_t value = lead & (0xffU >> (length + 1));
    for (std::size_t i = 1; i < length; ++i) {
        if ((byte(i) & 0xc0) != 0x80) return std::nullopt;
        value = (value << 6) | (byte(i) & 0x3fU);
    }
    const bool overlong = (length == 3 && value < 0x800) || (length == 4 && value < 0x10000);
    const bool surrogate = value >= 0xd800 && value <= 0xdfff;
    if (overlong || surrogate || value > 0x10ffff) return std::nullopt;
    return CodePoint{value, length};
}

/// Whether the character is visible, does not move the cursor and does not change the direction of
/// text.
bool shows_as_itself(char32_t c) {
    struct Range {
        char32_t first, last;
    };
    static constexpr Range kHidden[] = {
        {0x00, 0x1f},
        {0x7f, 0x9f},
        {0xad, 0xad},
        {0x61c, 0x61c},
        {0x200b, 0x200f},
        {0x2028, 0x202e},
        {0x2060, 0x206f},
        {0xfeff, 0xfeff},
        {0xfff9, 0xfffb},
        {0xe0000, 0xe0fff},
    };
    return std::ranges::none_of(kHidden,
                                [c](const Range& r) { return c >= r.first && c <= r.last; });
}

std::size_t width_of(std::string_view text) {
    return static_cast<std::size_t>(
        std::ranges::count_if(text, [](char c) { return (c & 0xc0) != 0x80; }));
}

std::string cell_text(const Json& value) {
    if (value.is_null()) return "-";
    if (value.is_boolean()) return value.get<bool>() ? "yes" : "no";
    if (value.is_string()) {
        const auto& text = value.get_ref<const std::string&>();
        return text.empty() ? "-" : terminal_text(text);
    }
    if (value.is_array()) {
        std::string joined;
        for (const Json& item : value)
            joined.append(joined.empty() ? "" : ", ").append(cell_text(item));
        return joined.empty() ? "-" : joined;
    }
    return value.dump(-1, ' ', true, Json::error_handler_t::replace);
}

std::string heading_text(const std::string& key) {
    std::string text = terminal_text(key);
    for (char& c : text)
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    return text;
}

using Row = std::vector<std::string>;

/// Aligns columns, separated by two blanks. `right` marks right-aligned columns.
std::string align(const std::vector<Row>& rows, const std::vector<bool>& right) {
    std::vector<std::size_t> widths(right.size(), 0);
    for (const Row& row : rows)
        for (std::size_t i = 0; i < row.size(); ++i)
            widths[i] = std::max(widths[i], width_of(row[i]));
    std::string out;
    for (const Row& row : rows) {
        for (std::size_t i = 0; i < row.size(); ++i) {
            const std::string blanks(widths[i] - width_of(row[i]), ' ');
            const bool last = i + 1 == row.size();
            out += i == 0 ? "" : "  ";
            out += right[i] ? blanks + row[i] : row[i] + (last ? "" : blanks);
        }
        out += '\n';
    }
    return out;
}

bool is_table(const Json& json) {
    return json.is_array() && !json.empty() &&
           std::ranges::all_of(json, [](const Json& row) { return row.is_object(); });
}

std::string rows_to_table(const Json& json) {
    std::vector<std::string> keys;
    for (const Json& object : json)
        for (const auto& item : object.items())
            if (std::ranges::find(keys, item.key()) == keys.end()) keys.push_back(item.key());

    std::vector<Row> rows(1);
    std::vector<bool> right;
    for (const std::string& key : keys) {
        rows.front().push_back(heading_text(key));
        bool numbers = false;
        bool others = false;
        for (const Json& object : json) {
            const auto found = object.find(key);
            if (found == object.end() || found->is_null()) continue;
            (found->is_number() ? numbers : others) = true;
        }
        right.push_back(numbers && !others);
    }
    for (const Json& object : json) {
        Row row;
        for (const std::string& key : keys)
            row.push_back(object.contains(key) ? cell_text(object[key]) : "-");
        rows.push_back(std::move(row));
    }
    return align(rows, right);
}

/// Prints scalars first, as `key  value`; then nested values, each after its name.
std::string object_to_table(const Json& json) {
    std::vector<Row> scalars;
    std::vector<std::string> nested;
    for (const auto& [key, value] : json.items()) {
        if (value.is_object() || is_table(value))
            nested.push_back(key);
        else
            scalars.push_back({terminal_text(key), cell_text(value)});
    }
    std::string out = align(scalars, {false, false});
    const bool alone = scalars.empty() && nested.size() == 1;
    for (const std::string& key : nested) {
        if (!alone) out.append(out.empty() ? "" : "\n").append(terminal_text(key)).append(":\n");
        out += to_table(json[key]);
    }
    return out;
}

} // namespace

std::string to_table(const nlohmann::ordered_json& json) {
    if (is_table(json)) return rows_to_table(json);
    if (json.is_object()) return json.empty() ? "(none)\n" : object_to_table(json);
    if (json.is_array() && json.empty()) return "(none)\n";
    return cell_text(json) + "\n";
}

std::string to_utf8(std::string_view bytes) {
    std::string out;
    while (!bytes.empty()) {
        const auto character = first_code_point(bytes);
        if (character) {
            out += bytes.substr(0, character->length);
            bytes.remove_prefix(character->length);
        } else {
            const auto byte = static_cast<unsigned char>(bytes.front());
            out += static_cast<char>(0xc0 | (byte >> 6));
            out += static_cast<char>(0x80 | (byte & 0x3f));
            bytes.remove_prefix(1);
        }
    }
    return out;
}

std::string terminal_text(std::string_view text, bool keep_lines) {
    std::string out;
    while (!text.empty()) {
        const auto character = first_code_point(text);
        const std::size_t length = character ? character->length : 1;
        if (character && (shows_as_itself(character->value) || (keep_lines && text[0] == '\n'))) {
            out += text.substr(0, length);
        } else {
            for (const char c : text.substr(0, length)) {
                char escaped[5];
                std::snprintf(escaped, sizeof escaped, "\\x%02x", static_cast<unsigned char>(c));
                out += escaped;
            }
        }
        text.remove_prefix(length);
    }
    return out;
}

} // namespace viaduct
