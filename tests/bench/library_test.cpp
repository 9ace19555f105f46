// SPDX-License-Identifier: Apache-2.0
#include "ab/library.hpp"
#include "ab/turns.hpp"

#include <chrono>
#include <gtest/gtest.h>
#include <stdexcept>
#include <string>
#include <vector>

namespace viaduct::bench {
namespace {

AbLoad one_item() {
    AbLoad load{};
    load.items = 1;
    return load;
}

std::string refusal_of(const std::string& path) {
    try {
        const Library library(path);
    } catch (const std::runtime_error& error) {
        return error.what();
    }
    return "none";
}

TEST(Library, TwoBuildsShareNeitherFunctionsNorStaticVariables) {
    Library first(TOY_1);
    Library second(TOY_2);
    const AbLoad load = one_item();
    first.prepare(load);
    second.prepare(load);
    EXPECT_EQ(first.run(3), 1'001'003U);  // TOY_NUMBER from two places, units
    EXPECT_EQ(second.run(5), 2'002'005U); // not 8 units, which both together have run
    EXPECT_EQ(first.run(4), 1'001'007U);
    EXPECT_EQ(second.run(1), 2'002'006U);
}

TEST(Library, OrderOfLoadingDoesNotMatter) {
    Library second(TOY_2);
    Library first(TOY_1);
    const AbLoad load = one_item();
    second.prepare(load);
    first.prepare(load);
    EXPECT_EQ(second.run(0) / 1'000, 2'002U);
    EXPECT_EQ(first.run(0) / 1'000, 1'001U);
}

TEST(Library, RefusedLoadIsAnError) {
    Library first(TOY_1);
    EXPECT_THROW(first.prepare(AbLoad{}), std::runtime_error);
}

TEST(Library, ObjectOfAnotherVersionIsRefused) {
    EXPECT_NE(refusal_of(TOY_OLD).find("version 0 of bench/ab/side.hpp"), std::string::npos)
        << refusal_of(TOY_OLD);
}

TEST(Library, MissingFileIsRefusedWithItsName) {
    EXPECT_NE(refusal_of("/nonexistent/side.so").find("/nonexistent/side.so"), std::string::npos);
}

constexpr Plan kPlan{10, 1'000, std::chrono::seconds(10)};

TEST(Turns, RunBothBuildsEquallyOften) {
    Library base(TOY_1);
    Library current(TOY_2);
    const AbLoad load = one_item();
    base.prepare(load);
    current.prepare(load);
    const std::vector<Pair> pairs = Turns(base, current).measure_anyway(kPlan);
    EXPECT_GE(undisturbed(pairs).size(), 10U);
    EXPECT_EQ(current.run(0) - base.run(0), 1'001'000U); // the decisions; the units are equal
}

TEST(Turns, BuildsThatDecideDifferentlyAreAnError) {
    Library base(TOY_1);
    Library current(TOY_2);
    const AbLoad load = one_item();
    base.prepare(load);
    current.prepare(load);
    try {
        (void)Turns(base, current).measure(kPlan, "the row");
        FAIL() << "it was measured";
    } catch (const std::runtime_error& error) {
        EXPECT_EQ(std::string(error.what()).find("the row: the two builds decide differently"), 0U)
            << error.what();
    }
}

TEST(Turns, BuildsThatDecideAlikeAreMeasured) {
    Library base(TOY_1);
    Library current(TOY_SAME);
    const AbLoad load = one_item();
    base.prepare(load);
    current.prepare(load);
    EXPECT_GE(Turns(base, current).measure(kPlan, "the row").size(), 10U);
}

} // namespace
} // namespace viaduct::bench
