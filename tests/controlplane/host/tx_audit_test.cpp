// SPDX-License-Identifier: Apache-2.0
//
// Nothing that a port's queues took vanishes uncounted, and nothing that only waits is called lost.
#include "host/tx_audit.hpp"

#include <gtest/gtest.h>

namespace viaduct::test {
namespace {

class Audit : public ::testing::Test {
protected:
    Audit() : ports_(2) {
        ports_[0].name = "p0";
        ports_[1].name = "p1";
        ports_[1].driver = "net_e1000_em";
        ports_[0].counts_sent = ports_[1].counts_sent = true;
    }
    std::vector<std::string> seconds(std::size_t count) {
        std::vector<std::string> said;
        for (std::size_t i = 0; i < count; ++i)
            for (std::string& line : audit_.tick(ports_))
                said.push_back(std::move(line));
        return said;
    }
    std::vector<PortState> ports_;
    TxAudit audit_;
};

TEST_F(Audit, WhatAQueueTookAndNobodySentIsCountedAndSaidOnce) {
    ports_[0].given = ports_[0].sent = 100;
    ports_[1].given = 100;
    ports_[1].sent = 60; // the other queue's
    EXPECT_TRUE(seconds(TxAudit::kPatience).empty());
    const std::vector<std::string> said = seconds(60);
    ASSERT_EQ(said.size(), 1U);
    EXPECT_NE(said[0].find("port p1: 40 frame(s)"), std::string::npos) << said[0];
    EXPECT_NE(said[0].find("net_e1000_em"), std::string::npos) << said[0];
    EXPECT_EQ(audit_.lost(0), 0U);
    EXPECT_EQ(audit_.lost(1), 40U);
    EXPECT_EQ(audit_.lost(7), 0U);
}

TEST_F(Audit, FramesOnTheirWayAndErrorsAreNotLost) {
    for (std::uint64_t i = 0; i < 60; ++i) { // always a second's frames behind
        ports_[0].given = 1000 * (i + 1);
        ports_[0].sent = 1000 * i - 5 * i;
        ports_[0].tx_errors = 5 * i;
        EXPECT_TRUE(seconds(1).empty());
        EXPECT_EQ(audit_.lost(0), 0U);
    }
}

TEST_F(Audit, ADeviceThatSentMoreThanItWasGivenHidesNothingLater) {
    ports_[0].given = 10;
    ports_[0].sent = 12; // frames of its own
    EXPECT_TRUE(seconds(10).empty());
    ports_[0].given = 110;
    EXPECT_EQ(seconds(10).size(), 1U);
    EXPECT_EQ(audit_.lost(0), 98U);
}

TEST_F(Audit, WithoutALinkFramesWaitAndAreNotLost) {
    ports_[0].no_link = "the device has no link";
    ports_[0].given = 500;
    EXPECT_TRUE(seconds(60).empty());
    EXPECT_EQ(audit_.lost(0), 0U);
    ports_[0].no_link.clear();
    EXPECT_TRUE(seconds(TxAudit::kPatience).empty()); // the queue runs empty
    ports_[0].sent = 500;
    EXPECT_TRUE(seconds(10).empty());
    EXPECT_EQ(audit_.lost(0), 0U);
}

TEST_F(Audit, WhatADeviceDropsWithoutALinkIsNotLost) {
    ports_[0].given = 100;
    ports_[0].sent = 90;
    EXPECT_EQ(seconds(10).size(), 1U);
    ports_[0].no_link = "the device has no link";
    ports_[0].given = 600; // 500 of them are dropped
    EXPECT_TRUE(seconds(10).empty());
    ports_[0].no_link.clear();
    EXPECT_TRUE(seconds(10).empty());
    EXPECT_EQ(audit_.lost(0), 10U) << "as before";
    ports_[0].given = 700;
    ports_[0].sent = 187;
    EXPECT_TRUE(seconds(10).empty());
    EXPECT_EQ(audit_.lost(0), 13U) << "what is lost since counts";
}

TEST_F(Audit, ADriverThatDoesNotCountLosesNothing) {
    ports_[0].given = 100;
    ports_[0].counts_sent = false;
    EXPECT_TRUE(seconds(10).empty());
    EXPECT_EQ(audit_.lost(0), 0U);
}

TEST_F(Audit, LossesThatEndedAndBeginAgainAreSaidAgain) {
    ports_[0].given = 50;
    EXPECT_EQ(seconds(10).size(), 1U);
    ports_[0].sent = 50; // counted late
    EXPECT_TRUE(seconds(10).empty());
    EXPECT_EQ(audit_.lost(0), 0U);
    ports_[0].given = 60;
    EXPECT_EQ(seconds(10).size(), 1U);
    EXPECT_EQ(audit_.lost(0), 10U);
}

} // namespace
} // namespace viaduct::test
