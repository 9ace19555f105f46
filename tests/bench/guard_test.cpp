// SPDX-License-Identifier: Apache-2.0
#include "guard.hpp"
#include "machine.hpp"

#include <cstdio>
#include <gtest/gtest.h>
#include <unistd.h>

namespace viaduct::bench {

namespace {

Baseline baseline(std::vector<std::pair<std::string, double>> ratios) {
    return {"a CPU", "avx2", std::move(ratios)};
}

Measurement file(const std::string& name, std::vector<Sample> samples) {
    Measurement made;
    made.name = name;
    made.samples = std::move(samples);
    return made;
}

} // namespace

TEST(Guard, AllowsTenPercentAndNoMore) {
    const Baseline was = baseline({{"a", 100}});
    EXPECT_EQ(judge(was, {baseline({{"a", 90.1}})}).judgement, Judgement::Good);
    EXPECT_EQ(judge(was, {baseline({{"a", 300}})}).judgement, Judgement::Good);
    EXPECT_EQ(judge(was, {baseline({{"a", 89.9}})}).judgement, Judgement::Worse);
}

TEST(Guard, TakesEachRatioAtItsBestOfTwoRuns) {
    const Baseline was = baseline({{"a", 100}, {"b", 100}});
    EXPECT_EQ(judge(was, {baseline({{"a", 50}, {"b", 100}}), baseline({{"a", 100}, {"b", 50}})})
                  .judgement,
              Judgement::Good);
    EXPECT_EQ(judge(was, {baseline({{"a", 50}, {"b", 100}}), baseline({{"a", 60}, {"b", 100}})})
                  .judgement,
              Judgement::Worse);
}

TEST(Guard, SaysOneLineForEachRatio) {
    const Verdict verdict =
        judge(baseline({{"a", 100}, {"b", 10}}), {baseline({{"a", 110}, {"b", 5}})});
    EXPECT_EQ(verdict.lines,
              "ok    a                            110, baseline     100  +10.0 %\n"
              "FAIL  b                              5, baseline      10  -50.0 %\n");
}

TEST(Guard, MissesWhatIsNoLongerMeasured) {
    EXPECT_EQ(judge(baseline({{"a", 1}}), {baseline({})}).judgement, Judgement::Worse);
}

TEST(Guard, ComparesNothingWithAnotherCpu) {
    Baseline other = baseline({{"a", 1}});
    other.cpu = "another";
    EXPECT_EQ(judge(baseline({{"a", 100}}), {other}).judgement, Judgement::OtherCpu);
    other = baseline({{"a", 1}});
    other.level = "scalar";
    EXPECT_EQ(judge(baseline({{"a", 100}}), {other}).judgement, Judgement::OtherCpu);
}

TEST(Guard, MeasuresRatiosRoundByRound) {
    Sample best{"viaduct_best", "mix of 1000", "ns_per_message", "ns", {10, 20, 10}, {}};
    best.remarks["level"] = "avx2";
    const Measurements from{
        {"message",
         file("message",
              {best, {"libosip2", "mix of 1000", "ns_per_message", "ns", {900, 2'000, 800}, {}}})},
        {"pipeline", file("pipeline", {})}};
    const Baseline measured = measured_baseline(from);
    EXPECT_EQ(measured.cpu, cpu_model());
    EXPECT_EQ(measured.level, "avx2");
    ASSERT_EQ(measured.ratios.size(), 1U);
    EXPECT_DOUBLE_EQ(measured.find("digest_vs_libosip2").value_or(0), 90);
}

TEST(Guard, ReadsTheBaselineItWrote) {
    const std::string path = testing::TempDir() + "guard-" + std::to_string(::getpid());
    write_baseline(path, baseline({{"b", 81.234}, {"a", 2}}));
    const Baseline read = read_baseline(path);
    std::remove(path.c_str());
    EXPECT_EQ(read.cpu, "a CPU");
    EXPECT_EQ(read.level, "avx2");
    EXPECT_EQ(read.ratios, baseline({{"b", 81.23}, {"a", 2}}).ratios);
    EXPECT_THROW((void)read_baseline(path), std::runtime_error);
}

} // namespace viaduct::bench
