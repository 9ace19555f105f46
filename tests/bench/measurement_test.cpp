// SPDX-License-Identifier: Apache-2.0
#include "measurement.hpp"

#include <cstdio>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <stdexcept>
#include <string>
#include <unistd.h>

namespace viaduct::bench {
namespace {

TEST(MeasurementFile, IsWrittenWholeAndReadByTheReport) {
    std::string folder = testing::TempDir() + "measurement-XXXXXX";
    ASSERT_NE(::mkdtemp(folder.data()), nullptr);
    Measurement written;
    written.name = "rig1";
    written.title = "a title";
    written.commands = {"one", "two"};
    written.versions = {{"dpdk", "22.11"}};
    written.notes = {"a \"note\""};
    written.samples = {
        {"viaduct", "1000 Call-IDs", "pps", "packets/s", {1, 2}, {{"level", "avx2"}}},
        {"testpmd", "1000 Call-IDs", "pps", "packets/s", {2, 4}, {}}};
    write_measurement(folder + "/rig1.json", written);
    EXPECT_NE(::access((folder + "/rig1.json.part").c_str(), F_OK), 0);

    const std::string command =
        "python3 -B " REPORT " page " + folder + " " + folder + " >" + folder + "/out 2>&1";
    EXPECT_EQ(std::system(command.c_str()), 0);
    std::ifstream file(folder + "/out");
    const std::string out(std::istreambuf_iterator<char>(file), {});
    EXPECT_NE(out.find("rig1_vs_testpmd            0.5  0.5 to 0.5"), std::string::npos) << out;
    EXPECT_NE(out.find("rig1       measured 0 minutes ago"), std::string::npos) << out;
    for (const char* name : {"/rig1.json", "/results.json", "/index.html", "/out"})
        std::remove((folder + name).c_str());
    ::rmdir(folder.c_str());
}

TEST(MeasurementFile, ThatCannotBeWrittenIsSaidInOneLine) {
    try {
        write_measurement("/nonexistent/rig1.json", {});
        FAIL() << "it was written";
    } catch (const std::runtime_error& error) {
        EXPECT_EQ(std::string(error.what()),
                  "cannot write /nonexistent/rig1.json (is its folder there, and yours?)");
    }
}

TEST(Spread, IsTheMiddleOfTwoMediansWhenRoundsAreEven) {
    const Spread spread = spread_of(std::vector<double>{4, 1, 3, 2});
    EXPECT_DOUBLE_EQ(spread.median, 2.5);
    EXPECT_DOUBLE_EQ(spread.low, 1);
    EXPECT_DOUBLE_EQ(spread.high, 4);
}

} // namespace
} // namespace viaduct::bench
