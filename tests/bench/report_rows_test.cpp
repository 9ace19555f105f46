// SPDX-License-Identifier: Apache-2.0
#include "report_rows.hpp"

#include <cstdio>
#include <gtest/gtest.h>
#include <stdexcept>
#include <string>

namespace viaduct::bench {

namespace {

Sample sample(std::string who, std::string load, std::string metric, std::vector<double> values) {
    return {std::move(who), std::move(load), std::move(metric), "", std::move(values), {}};
}

Measurements one(const std::string& name, std::vector<Sample> samples) {
    Measurement made;
    made.name = name;
    made.samples = std::move(samples);
    return {{name, made}};
}

Row row_of(const Measurements& measurements, std::string_view id) {
    for (const Row& row : derive_rows(measurements))
        if (row.spec->id == id) return row;
    throw std::logic_error("no such row");
}

Measurements rig1(std::vector<double> viaduct, std::vector<double> testpmd) {
    return one("rig1",
               {sample("viaduct", "1000 Call-IDs", "pps", std::move(viaduct)),
                sample("testpmd", "1000 Call-IDs", "pps", std::move(testpmd))});
}

/// A file with this text in a folder of its own, removed at the end.
class Folder {
public:
    Folder(const std::string& name, const std::string& content) {
        std::string made = testing::TempDir() + "report-XXXXXX";
        if (::mkdtemp(made.data()) == nullptr) throw std::runtime_error("no folder");
        path_ = made;
        file_ = path_ + "/" + name;
        write_files({{file_, content}});
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    ~Folder() {
        std::remove(file_.c_str());
        std::remove(path_.c_str());
    }
    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] const std::string& file() const { return file_; }

private:
    std::string path_;
    std::string file_;
};

std::string complaint_about(const std::string& content) {
    const Folder folder("rig1.json", content);
    try {
        (void)read_measurements(folder.path());
    } catch (const std::runtime_error& error) {
        return error.what();
    }
    return "none";
}

} // namespace

TEST(ReportRows, AreAllThereInOrderEvenOfNothing) {
    const std::vector<Row> rows = derive_rows({});
    std::string ids;
    for (const Row& row : rows) {
        ids += std::string(row.spec->id) + " ";
        EXPECT_FALSE(row.value);
        EXPECT_FALSE(row.reached());
        EXPECT_FALSE(row.why_not_yet.empty());
    }
    EXPECT_EQ(ids,
              "digest_vs_libosip2 digest_vs_sofia stages_ns rig1_vs_testpmd rig2_vs_testpmd "
              "rig3_vs_kamailio stateful_vs_hash worst_message loss_on_change ");
}

TEST(ReportRows, PairValuesOfTheSameRound) {
    // Unpaired, the medians would give 20 / 40.
    const Row row = row_of(rig1({10, 20, 40}, {40, 20, 100}), "rig1_vs_testpmd");
    ASSERT_TRUE(row.value);
    EXPECT_DOUBLE_EQ(row.value->median, 0.4);
    EXPECT_DOUBLE_EQ(row.value->low, 0.25);
    EXPECT_DOUBLE_EQ(row.value->high, 1);
    EXPECT_TRUE(row.reached());
    EXPECT_TRUE(row.stretched());
}

TEST(ReportRows, TakeTheMiddleOfTwoMediansWhenRoundsAreEven) {
    const Row row = row_of(rig1({1, 2, 3, 4}, {10, 10, 10, 10}), "rig1_vs_testpmd");
    EXPECT_DOUBLE_EQ(row.value->median, 0.25);
    EXPECT_TRUE(row.reached()); // the mark itself is reached
    EXPECT_FALSE(row.stretched());
}

TEST(ReportRows, RefuseRoundsThatDoNotPair) {
    EXPECT_THROW((void)derive_rows(rig1({1, 2}, {10})), std::runtime_error);
}

TEST(ReportRows, AreNotYetWhenAPeerIsMissingOrMeasuredNothing) {
    const Measurements alone = one("rig1", {sample("viaduct", "1000 Call-IDs", "pps", {1})});
    EXPECT_EQ(row_of(alone, "rig1_vs_testpmd").why_not_yet,
              "rig1.json has no testpmd, 1000 Call-IDs, pps");
    EXPECT_EQ(row_of(rig1({1}, {0}), "rig1_vs_testpmd").why_not_yet, "testpmd measured 0");
}

TEST(ReportRows, CountTimesWithTheLongerOneAboveTheLine) {
    const Row row =
        row_of(one("message",
                   {sample("viaduct_best", "mix of 1000", "ns_per_message", {50, 60}),
                    sample("libosip2", "mix of 1000", "ns_per_message", {5'000, 4'200})}),
               "digest_vs_libosip2");
    EXPECT_DOUBLE_EQ(row.value->low, 70);
    EXPECT_DOUBLE_EQ(row.value->high, 100);
    EXPECT_TRUE(row.reached());
}

TEST(ReportRows, AreReachedBySmallerNumbersWhereThoseAreBetter) {
    const auto stages = [](double ns) {
        return row_of(one("pipeline", {sample("stages", "1000 messages", "ns_per_packet", {ns})}),
                      "stages_ns");
    };
    EXPECT_FALSE(stages(86).reached());
    EXPECT_TRUE(stages(85).reached());
    EXPECT_FALSE(stages(85).stretched());
    EXPECT_TRUE(stages(56).stretched());
}

TEST(ReportRows, CountEveryLostPacketOfEveryRate) {
    const Measurements lost =
        one("no_pause",
            {sample("quiet", "200000 packets/s", "lost", {7, 7}),
             sample("changing", "200000 packets/s", "lost", {0, 2}),
             sample("changing", "200000 packets/s", "longest_gap_us", {90, 90}),
             sample("changing", "100000 packets/s", "lost", {1, 0})});
    const Row row = row_of(lost, "loss_on_change");
    EXPECT_DOUBLE_EQ(row.value->median, 3);
    EXPECT_FALSE(row.reached());
    EXPECT_TRUE(row_of(one("no_pause", {sample("changing", "1 packets/s", "lost", {0, 0})}),
                       "loss_on_change")
                    .reached());
}

TEST(MeasurementFile, ComesBackAsItWasWritten) {
    const Folder folder("rig1.json", "");
    Measurement written;
    written.name = "rig1";
    written.title = "a title";
    written.commands = {"one", "two"};
    written.versions = {{"dpdk", "22.11"}};
    written.notes = {"a note"};
    written.samples = {sample("viaduct", "1000 Call-IDs", "pps", {1.5, 2})};
    written.samples[0].unit = "packets/s";
    written.samples[0].remarks["level"] = "avx2";
    write_measurement(folder.file(), written);
    const Measurement read = read_measurements(folder.path()).at("rig1");
    EXPECT_EQ(read.title, "a title");
    EXPECT_EQ(read.commands, written.commands);
    EXPECT_EQ(read.versions, written.versions);
    EXPECT_EQ(read.notes, written.notes);
    EXPECT_FALSE(read.commit.empty());
    EXPECT_EQ(read.date.size(), 20U);
    const Sample* found = read.find("viaduct", "1000 Call-IDs", "pps");
    ASSERT_NE(found, nullptr);
    EXPECT_EQ(found->values, written.samples[0].values);
    EXPECT_EQ(found->remarks.at("level"), "avx2");
}

TEST(MeasurementFile, IsRefusedInOneLineWhenBroken) {
    const auto with = [](const std::string& samples) {
        return complaint_about(R"({"name":"rig1","samples":[)" + samples + "]}");
    };
    const std::string good = R"({"who":"a","load":"b","metric":"c","values":[1]})";
    EXPECT_EQ(with(good), "none");
    for (const std::string& complaint :
         {complaint_about(""),
          complaint_about("{\"name\":\"rig1\",\"samples\":[{\"who\":\"v"),
          complaint_about("[]"),
          complaint_about(R"({"name":"rig1"})"),
          complaint_about(R"({"name":"rig2","samples":[]})"),
          with(good + "," + good),
          with(R"({"who":"a","load":"b","metric":"c","values":[]})"),
          with(R"({"who":"a","load":"b","metric":"c","values":["1"]})"),
          with(R"({"who":"a","load":"b","metric":"c","values":[null]})"),
          with(R"({"who":"a","load":"b","values":[1]})")}) {
        EXPECT_NE(complaint.find("rig1.json is broken: "), std::string::npos) << complaint;
        EXPECT_EQ(complaint.find('\n'), std::string::npos) << complaint;
    }
}

TEST(Number, HasThreeDigitsAndNoExponent) {
    EXPECT_EQ(number(0), "0");
    EXPECT_EQ(number(0.3149), "0.31");
    EXPECT_EQ(number(2), "2");
    EXPECT_EQ(number(68.94), "68.9");
    EXPECT_EQ(number(578.2), "578");
    EXPECT_EQ(number(9'123'456), "9,120,000");
    EXPECT_EQ(number(-1'234), "-1,230");
}

} // namespace viaduct::bench
