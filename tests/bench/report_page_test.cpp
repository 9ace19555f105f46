// SPDX-License-Identifier: Apache-2.0
#include "report_page.hpp"
#include "svg.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace viaduct::bench {

namespace {

Measurement rig1() {
    Measurement made;
    made.name = "rig1";
    made.commit = "0123456789abcdef";
    made.date = "2026-11-20T15:48:57Z";
    made.commands = {"testpmd <&\">"};
    made.notes = {"<script>"};
    made.versions = {{"dpdk", "22.11"}};
    made.samples = {{"viaduct", "1000 Call-IDs", "pps", "packets/s", {9e6, 9.5e6, 8e6}, {}},
                    {"testpmd", "1000 Call-IDs", "pps", "packets/s", {33e6, 34e6, 32e6}, {}},
                    {"viaduct", "800 bytes", "pps", "packets/s", {8e6}, {}},
                    {"viaduct", "300 bytes", "pps", "packets/s", {9e6}, {}}};
    return made;
}

std::size_t count(const std::string& page, std::string_view part) {
    std::size_t found = 0;
    for (std::size_t at = page.find(part); at != std::string::npos; at = page.find(part, at + 1))
        ++found;
    return found;
}

} // namespace

TEST(ReportPage, StandsAlone) {
    const std::string page = index_html(make_report({{"rig1", rig1()}}));
    for (const char* foreign : {"<script", "<link", "<img", "src=", "url(", "@import"})
        EXPECT_EQ(page.find(foreign), std::string::npos) << foreign;
    EXPECT_NE(page.find("<svg"), std::string::npos);
}

TEST(ReportPage, EscapesWhatFilesSay) {
    const std::string page = index_html(make_report({{"rig1", rig1()}}));
    EXPECT_NE(page.find("testpmd &lt;&amp;&quot;&gt;"), std::string::npos);
    EXPECT_NE(page.find("&lt;script&gt;"), std::string::npos);
}

TEST(ReportPage, NamesEveryDrawingForThoseWhoHearIt) {
    const std::string page = index_html(make_report({{"rig1", rig1()}}));
    EXPECT_EQ(count(page, "<svg"), 3U);
    EXPECT_EQ(count(page, "<desc"), 3U);
}

TEST(ReportPage, HasASectionForWhatIsNotMeasured) {
    const std::string page = index_html(make_report({}));
    for (const std::string_view file : kFiles)
        EXPECT_NE(page.find("<h2 id=\"" + std::string(file) + "\""), std::string::npos) << file;
    EXPECT_EQ(page.find("<svg"), std::string::npos);
    EXPECT_NE(page.find("<strong>0 of 9 marks reached</strong>"), std::string::npos);
}

TEST(ReportPage, DrawsNothingOfValuesThatALogarithmDoesNotHave) {
    EXPECT_EQ(line_chart({"id", "title", ""}, "x", "y", {{"name", LineKind::Ours, {{300, {}}}}}),
              "");
    EXPECT_EQ(dot_chart({"id", "title", ""}, "us", {"p50"}, {{"name", {0}, true}}), "");
    const std::string some =
        dot_chart({"id", "title", ""}, "us", {"p50", "p99"}, {{"name", {0, 5}, true}});
    EXPECT_EQ(some.find("nan"), std::string::npos);
    EXPECT_EQ(some.find("inf"), std::string::npos);
}

TEST(ResultsJson, HasNullsForWhatIsNotYet) {
    const Report report = make_report({{"rig1", rig1()}});
    const auto json = nlohmann::json::parse(results_json(report));
    EXPECT_EQ(json.at("commit"), "0123456789abcdef");
    EXPECT_EQ(json.at("versions").at("dpdk"), "22.11");
    ASSERT_EQ(json.at("rows").size(), kRows.size());
    EXPECT_TRUE(json.at("rows")[0].at("value").is_null());
    EXPECT_TRUE(json.at("rows")[0].at("low").is_null());
    EXPECT_TRUE(json.at("rows")[0].at("reached").is_null());
    EXPECT_EQ(json.at("rows")[3].at("id"), "rig1_vs_testpmd");
    EXPECT_EQ(json.at("rows")[3].at("reach"), 0.25);
    EXPECT_TRUE(json.at("rows")[3].at("reached").is_boolean());
}

TEST(Report, WarnsWhenFilesAreOfDifferentCommits) {
    Measurement other = rig1();
    other.name = "rig2";
    other.commit = "fedcba9876543210";
    EXPECT_TRUE(make_report({{"rig1", rig1()}}).warnings.empty());
    const Report report = make_report({{"rig1", rig1()}, {"rig2", other}});
    ASSERT_FALSE(report.warnings.empty());
    EXPECT_EQ(report.warnings[0],
              "The figures were not all measured of the same commit: rig1 0123456789, rig2 "
              "fedcba9876.");
}

TEST(Report, TellsTheAgeOfAMeasurement) {
    Report report;
    report.date = "2026-11-20T18:49:00Z";
    EXPECT_EQ(age(report, rig1()), "3 hours");
    report.date = "2026-11-20T15:50:10Z";
    EXPECT_EQ(age(report, rig1()), "1 minute");
    report.date = "2026-11-30T15:50:10Z";
    EXPECT_EQ(age(report, rig1()), "10 days");
    EXPECT_EQ(age(report, {}), "unknown");
}

} // namespace viaduct::bench
