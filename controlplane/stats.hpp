// SPDX-License-Identifier: Apache-2.0
//
// stats: sums the workers' counters, and turns JSON into tables for people.
#pragma once

#include "viaduct/counters.hpp"
#include "viaduct/net.hpp"

#include <array>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace viaduct {

struct Totals {
    std::array<std::uint64_t, kOutcomeCount> outcomes{};
    std::array<std::uint64_t, kWorkerCounterCount> values{};
};

/// Sums over all workers.
[[nodiscard]] Totals read_totals();
[[nodiscard]] std::uint64_t forwarded_to(BackendId id);
[[nodiscard]] std::uint64_t returned_from(BackendId id);

/// How busy each worker was in the last whole second.
class LoadMeter {
public:
    /// Once a second.
    void tick();
    /// 0 to 1; empty until there was a whole second.
    [[nodiscard]] std::optional<double> busy_share(WorkerId worker) const;

private:
    struct Sample {
        std::uint64_t tsc = 0;
        std::vector<std::uint64_t> busy; ///< by WorkerId: BusyTsc
    };
    Sample earlier_;
    Sample later_;
};

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

/// The Markdown sections of docs/reference.md that list outcomes and worker counters.
[[nodiscard]] std::string counters_reference();

} // namespace viaduct
