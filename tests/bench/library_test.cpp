// SPDX-License-Identifier: Apache-2.0
#include "ab/library.hpp"

#include <gtest/gtest.h>
#include <stdexcept>
#include <string>

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

} // namespace
} // namespace viaduct::bench
