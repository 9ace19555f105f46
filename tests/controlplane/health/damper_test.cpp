// SPDX-License-Identifier: Apache-2.0
//
// Rows of probe results in, rows of states out.
#include "health/health.hpp"

#include <algorithm>
#include <gtest/gtest.h>
#include <random>

namespace viaduct::test {
namespace {

// Letters: G good, B bad code, T time-out -> u up, b busy, d down

ProbeResult result_of(char letter) {
    return letter == 'G'   ? ProbeResult::Good
           : letter == 'B' ? ProbeResult::BadCode
                           : ProbeResult::Timeout;
}
char letter_of(Health health) {
    return "?ubd"[static_cast<std::size_t>(health)];
}
std::string states_after(unsigned fall, unsigned rise, std::string_view results) {
    Damper damper(fall, rise);
    std::string states;
    for (const char letter : results) {
        states += letter_of(damper.add(result_of(letter)));
        EXPECT_EQ(letter_of(damper.health()), states.back());
    }
    return states;
}

TEST(Damper, TurnsRowsOfResultsIntoRowsOfStates) {
    const struct {
        const char* what;
        unsigned fall, rise;
        const char* results;
        const char* states;
    } rows[] = {
        {"the first result is a verdict: good", 3, 3, "G", "u"},
        {"the first result is a verdict: bad code", 3, 3, "B", "b"},
        {"the first result is a verdict: time-out", 3, 3, "T", "d"},
        {"down after `fall` time-outs", 3, 2, "GTTT", "uuud"},
        {"busy after `fall` bad codes", 3, 2, "GBBB", "uuub"},
        {"mixed results fall together, the last one says where", 3, 2, "GTBT", "uuud"},
        {"mixed results fall together, the last one says where", 3, 2, "GTTB", "uuub"},
        {"one good result starts the count anew", 3, 2, "GTTGTTGTTT", "uuuuuuuuud"},
        {"flapping never falls", 2, 2, "GTGTGBGTGB", "uuuuuuuuuu"},
        {"flapping never rises", 2, 2, "TGTGTGBGTG", "dddddddddd"},
        {"up after `rise` good ones", 2, 3, "TGGG", "dddu"},
        {"up from busy after `rise` good ones", 2, 3, "BGGG", "bbbu"},
        {"busy to down after `fall` time-outs", 3, 2, "BTTT", "bbbd"},
        {"down to busy after `rise` bad codes", 2, 3, "TBBB", "dddb"},
        {"busy and down keep apart when results alternate", 2, 2, "BTBTBT", "bbbbbb"},
        {"down stays down when results alternate", 2, 2, "TBTBTB", "dddddd"},
        {"down, busy, up", 2, 2, "TBBGG", "ddbbu"},
        {"up again, then `fall` counts anew", 2, 2, "TGGTT", "dduud"},
        {"a good one between bad codes starts `rise` anew", 2, 2, "TBGBB", "ddddb"},
        {"fall 1: at once", 1, 2, "GTGGBGGT", "uddubbud"},
        {"rise 1: at once", 2, 1, "TGTTBG", "duudbu"},
        {"fall 1 and rise 1: the last result is the state", 1, 1, "GTBGBTG", "udbubdu"},
    };
    for (const auto& row : rows)
        EXPECT_EQ(states_after(row.fall, row.rise, row.results), row.states)
            << row.what << ": fall " << row.fall << ", rise " << row.rise << ", " << row.results;
}

/// How many of the last results are among `kinds`.
unsigned tail(std::string_view results, std::string_view kinds) {
    const std::size_t last_other = results.find_last_not_of(kinds);
    return static_cast<unsigned>(
        last_other == std::string_view::npos ? results.size() : results.size() - last_other - 1);
}

TEST(Damper, KeepsItsPromisesForAnyRow) {
    std::mt19937 random(1);
    for (int row = 0; row < 2000; ++row) {
        const unsigned fall = 1 + static_cast<unsigned>(random()) % 4;
        const unsigned rise = 1 + static_cast<unsigned>(random()) % 4;
        const std::string_view mix =
            row % 2 == 0 ? "GBT" : "GGGGBTTT"; // long rows of one kind, too
        std::string results;
        for (int i = 0; i < 100; ++i)
            results += mix[random() % mix.size()];
        const std::string states = states_after(fall, rise, results);
        for (std::size_t i = 1; i < states.size(); ++i) {
            const std::string_view so_far = std::string_view{results}.substr(0, i + 1);
            const char was = states[i - 1];
            const char is = states[i];
            const std::string where = results.substr(0, i + 1) + " -> " + states.substr(0, i + 1) +
                                      " fall " + std::to_string(fall) + " rise " +
                                      std::to_string(rise);
            // No change without its row of results ...
            if (was == 'u' && is != 'u') {
                ASSERT_GE(tail(so_far, "BT"), fall) << where;
                ASSERT_EQ(is, results[i] == 'T' ? 'd' : 'b') << where;
            }
            if (was != 'u' && is == 'u') {
                ASSERT_GE(tail(so_far, "G"), rise) << where;
            }
            if (was == 'b' && is == 'd') {
                ASSERT_GE(tail(so_far, "T"), fall) << where;
            }
            if (was == 'd' && is == 'b') {
                ASSERT_GE(tail(so_far, "B"), rise) << where;
            }
            // ... and none missed.
            if (tail(so_far, "BT") >= fall) {
                ASSERT_NE(is, 'u') << where;
            }
            if (tail(so_far, "G") >= rise) {
                ASSERT_EQ(is, 'u') << where;
            }
            if (tail(so_far, "T") >= fall) {
                ASSERT_EQ(is, 'd') << where;
            }
            if (tail(so_far, "B") >= std::max(fall, rise)) {
                ASSERT_EQ(is, 'b') << where;
            }
        }
    }
}

} // namespace
} // namespace viaduct::test
