// SPDX-License-Identifier: Apache-2.0
//
// text: turns JSON into tables for people, and bytes of any origin into text that is safe to show.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace viaduct {

/// Returns an array of flat objects as a table with a header line and aligned columns (numbers to
/// the right), or an object as `key  value` lines with nested arrays and objects as separate
/// sections.
[[nodiscard]] std::string to_table(const nlohmann::ordered_json& json);

/// Returns a byte string as valid UTF-8. Each byte that is not UTF-8 becomes U+0000..U+00FF, so
/// that dump(..., ensure_ascii = true) prints it as \u00XX.
[[nodiscard]] std::string to_utf8(std::string_view bytes);

/// Makes text of any origin safe for a terminal. Control characters, invisible and
/// direction-changing ones and bytes that are not UTF-8 become \xNN; with `keep_lines` line feeds
/// stay.
[[nodiscard]] std::string terminal_text(std::string_view text, bool keep_lines = false);

} // namespace viaduct
