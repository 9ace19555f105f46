// SPDX-License-Identifier: Apache-2.0
//
// Sums over workers, tables for people, and text of strangers that reaches neither terminal nor
// JSON raw.
#include "cli/reference.hpp"
#include "cli/text.hpp"
#include "fake_dataplane.hpp"
#include "totals.hpp"

#include <algorithm>
#include <gtest/gtest.h>

namespace viaduct::test {
namespace {

using Json = nlohmann::ordered_json;

bool is_plain(std::string_view text) {
    return std::ranges::all_of(text, [](unsigned char c) { return c == '\n' || c >= 0x20; }) &&
           text.find('\x7f') == std::string_view::npos;
}

std::string every_byte() {
    std::string bytes;
    for (int i = 0; i < 256; ++i)
        bytes += static_cast<char>(i);
    return bytes;
}

TEST(Stats, SumsEveryNumberOverAllWorkers) {
    FakeDataplane& fake = fake_dataplane();
    fake.reset(3);
    std::uint64_t weight = 1;
    for (const auto& worker : fake.workers) {
        for (std::size_t i = 0; i < kOutcomeCount; ++i)
            worker->outcomes[i].add(weight * (i + 1));
        for (std::size_t i = 0; i < kWorkerCounterCount; ++i)
            worker->values[i].add(weight * (i + 2));
        worker->forwarded[7].add(weight * 5);
        worker->returned[kMaxBackends - 1].add(weight * 6);
        weight *= 1000;
    }
    const Totals totals = read_totals();
    for (std::size_t i = 0; i < kOutcomeCount; ++i)
        EXPECT_EQ(totals.outcomes[i], 1'001'001 * (i + 1));
    for (std::size_t i = 0; i < kWorkerCounterCount; ++i)
        EXPECT_EQ(totals.values[i], 1'001'001 * (i + 2));
    EXPECT_EQ(forwarded_to(BackendId{7}), 5'005'005U);
    EXPECT_EQ(forwarded_to(BackendId{8}), 0U);
    EXPECT_EQ(returned_from(BackendId{kMaxBackends - 1}), 6'006'006U);
}

TEST(Stats, IsZeroWithoutWorkers) {
    fake_dataplane().reset(0);
    EXPECT_EQ(read_totals().outcomes[0], 0U);
    EXPECT_EQ(forwarded_to(BackendId{0}), 0U);
}

TEST(Load, IsThatOfTheLastWholeSecond) {
    FakeDataplane& fake = fake_dataplane();
    fake.reset(2);
    LoadMeter load;
    EXPECT_EQ(load.busy_share(WorkerId{0}), std::nullopt);
    load.tick();
    EXPECT_EQ(load.busy_share(WorkerId{0}), std::nullopt) << "one sample is no second";
    (*fake.workers[0])[WorkerCounter::BusyTsc].add(250);
    fake.tsc_now += 1000;
    load.tick();
    EXPECT_EQ(load.busy_share(WorkerId{0}), 0.25);
    EXPECT_EQ(load.busy_share(WorkerId{1}), 0.0);
    (*fake.workers[0])[WorkerCounter::BusyTsc].add(1100); // a round ends a little after the sample
    fake.tsc_now += 1000;
    EXPECT_EQ(load.busy_share(WorkerId{0}), 0.25) << "until the next sample";
    load.tick();
    EXPECT_EQ(load.busy_share(WorkerId{0}), 1.0);
    EXPECT_EQ(load.busy_share(WorkerId{2}), std::nullopt) << "there is no such worker";
}

TEST(Table, AlignsColumnsAndSetsNumbersToTheRight) {
    const Json rows = {{{"name", "b1"}, {"weight", 5}, {"up", true}},
                       {{"name", "long"}, {"weight", 1000}, {"up", false}}};
    EXPECT_EQ(to_table(rows),
              "NAME  WEIGHT  UP\n"
              "b1         5  yes\n"
              "long    1000  no\n");
}

TEST(Table, ShowsWhatIsMissingAsADash) {
    const Json rows = {{{"a", 1}, {"b", nullptr}}, {{"b", 2.5}, {"c", ""}}};
    EXPECT_EQ(to_table(rows),
              "A    B  C\n"
              "1    -  -\n"
              "-  2.5  -\n");
}

TEST(Table, AlignsCharactersThatAreSeveralBytes) {
    const Json rows = {{{"n", "\xc3\xa9\xc3\xa9"}, {"v", 1}}, {{"n", "abc"}, {"v", 2}}};
    EXPECT_EQ(to_table(rows), "N    V\n\xc3\xa9\xc3\xa9   1\nabc  2\n");
}

TEST(Table, PrintsAnObjectAsLinesAndWhatIsNestedAsSections) {
    const Json object = {
        {"pid", 7}, {"admins", {"root", "ops"}}, {"counts", {{"x", 1}}}, {"rows", {{{"a", 1}}}}};
    EXPECT_EQ(to_table(object),
              "pid     7\n"
              "admins  root, ops\n"
              "\ncounts:\n"
              "x  1\n"
              "\nrows:\n"
              "A\n1\n");
}

TEST(Table, PrintsTheOnlyTableOfAnObjectWithoutAHeading) {
    EXPECT_EQ(to_table({{"rows", {{{"a", 1}}}}}), "A\n1\n");
}

TEST(Table, SaysNoneForNothing) {
    EXPECT_EQ(to_table(Json::array()), "(none)\n");
    EXPECT_EQ(to_table(Json::object()), "(none)\n");
}

TEST(Table, LetsNoControlCharacterThroughInKeysOrValues) {
    const std::string evil = every_byte() + "\x1b[2J\r\n\xc2\x9b\xe2\x80\xae";
    const Json rows = Json::array({{{evil, evil}, {"n", 1}}});
    for (const Json& json :
         {rows, Json(rows[0]), Json{{"list", rows}}, Json{{"s", {evil, evil}}}}) {
        const std::string table = to_table(json);
        EXPECT_TRUE(is_plain(table)) << table;
        EXPECT_EQ(table.find("\xc2\x9b"), std::string::npos) << "C1 control sequence introducer";
        EXPECT_EQ(table.find("\xe2\x80\xae"), std::string::npos) << "right-to-left override";
        EXPECT_EQ(to_utf8(table), table) << "is UTF-8";
    }
    EXPECT_EQ(std::ranges::count(to_table(rows), '\n'), 2) << "no value starts a line of its own";
}

TEST(TerminalText, KeepsLettersOfAnyLanguageAndEscapesTheRest) {
    EXPECT_EQ(terminal_text("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x93\x9e \xc2\xa7"),
              "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x93\x9e \xc2\xa7");
    EXPECT_EQ(terminal_text("a\x1b[31m\nb\x7f\xff"), "a\\x1b[31m\\x0ab\\x7f\\xff");
    EXPECT_EQ(terminal_text("a\r\nb", true), "a\\x0d\nb");
    EXPECT_EQ(terminal_text(std::string("\0", 1)), "\\x00");
    EXPECT_EQ(terminal_text("\xe2\x80\xae\xef\xbb\xbf"), "\\xe2\\x80\\xae\\xef\\xbb\\xbf");
}

TEST(TerminalText, ChangesNothingWhenAppliedTwice) {
    const std::string once = terminal_text(every_byte());
    EXPECT_EQ(terminal_text(once), once);
}

TEST(Utf8, LeavesUtf8AndTurnsOtherBytesIntoTheirCodePoints) {
    EXPECT_EQ(to_utf8("a\xc3\xa9\xf0\x9f\x93\x9e"), "a\xc3\xa9\xf0\x9f\x93\x9e");
    EXPECT_EQ(Json(to_utf8("a\xff\x80z")).dump(-1, ' ', true), "\"a\\u00ff\\u0080z\"");
}

TEST(Utf8, TakesNoOverlongNoSurrogateNoCutOffAndNothingOverTheTop) {
    for (const std::string bad : {"\xc0\xaf",
                                  "\xc1\xbf",
                                  "\xe0\x80\xaf",
                                  "\xf0\x80\x80\xaf",
                                  "\xed\xa0\x80",
                                  "\xf4\x90\x80\x80",
                                  "\xf5\x80\x80\x80",
                                  "\xe2\x82",
                                  "\xf0\x9f\x93",
                                  "\x80",
                                  "\xfe"}) {
        std::string expected;
        for (const char c : bad) {
            const auto byte = static_cast<unsigned char>(c);
            expected += static_cast<char>(0xc0 | (byte >> 6));
            expected += static_cast<char>(0x80 | (byte & 0x3f));
        }
        EXPECT_EQ(to_utf8(bad), expected);
    }
}

TEST(Utf8, MakesEveryPairOfBytesPrintableAsJson) {
    for (int a = 0; a < 256; ++a)
        for (int b = 0; b < 256; ++b) {
            const std::string text =
                to_utf8(std::string{static_cast<char>(a), static_cast<char>(b)});
            const std::string dumped = Json(text).dump(-1, ' ', true); // throws if not UTF-8
            ASSERT_EQ(Json::parse(dumped).get<std::string>(), text);
        }
}

TEST(Reference, ListsEveryOutcomeAndCounter) {
    const std::string text = counters_reference();
    for (const OutcomeInfo& info : kOutcomes)
        EXPECT_NE(text.find("| `" + std::string(info.name) + "` |"), std::string::npos);
    for (const WorkerCounterInfo& info : kWorkerCounters)
        EXPECT_NE(text.find("| `" + std::string(info.name) + "` |"), std::string::npos);
}

} // namespace
} // namespace viaduct::test
