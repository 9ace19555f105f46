// SPDX-License-Identifier: Apache-2.0
//
// text: turns JSON into tables for people, and bytes of any origin into text that is safe to show.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace viaduct {

/// An array of flat objects as a table with a header line and aligned columns (numbers to the
/// right); an object as `key  value` lines, nested arrays and objects as sections of their own.
[[nodiscard]] std::string to_table(const nlohmann::ordered_json& json);

/// A byte string as valid UTF-8: bytes that are not UTF-8 become U+0000..U+00FF one by one, so that
/// dump(..., ensure_ascii = true) prints them as \u00XX.
[[nodiscard]] std::string to_utf8(std::string_view bytes);

/// Text of any origin made safe for a terminal: control characters, invisible and
/// direction-changing ones and bytes that are not UTF-8 become \xNN; with `keep_lines` line feeds
/// stay.
[[nodiscard]] std::string terminal_text(std::string_view text, bool keep_lines = false);

} // namespace viaduct
