// SPDX-License-Identifier: Apache-2.0
//
// links: which looks make an event, and what is shown.
#include "control_desk.hpp"
#include "publish/links.hpp"

#include <gtest/gtest.h>

namespace viaduct::test {
namespace {

using Json = nlohmann::ordered_json;
using std::chrono::milliseconds;

struct Desk : ControlDesk {
    Desk() : ControlDesk(two_ports()) {
        for (const PortConfig& port : config.ports) {
            fake_dataplane().ports.emplace_back().name = port.name;
        }
    }
    static Config two_ports() {
        Config made = desk_config();
        made.ports.push_back(made.ports[0]);
        made.ports[1].name = "p1";
        return made;
    }
    /// "p1 up down no carrier"
    [[nodiscard]] std::vector<std::string> events() const {
        std::vector<std::string> texts;
        for (const StateChange& change : model.history())
            texts.push_back(change.port + " " + change.from + " " + change.to + " " +
                            change.evidence);
        return texts;
    }
    std::string& lack(std::size_t port) { return fake_dataplane().ports[port].no_link; }
    LinkWatch links{config, model};
};

TEST(LinkWatch, TellsEachChangeOnce) {
    Desk desk;
    desk.links.look();
    EXPECT_TRUE(desk.events().empty()) << "a link that is up at the start is no event";
    desk.lack(1) = "eth1 has no carrier";
    desk.links.look();
    desk.links.look();
    desk.lack(1) = "eth1 is down";
    desk.links.look();
    desk.lack(1).clear();
    desk.links.look();
    desk.links.look();
    EXPECT_EQ(desk.events(),
              (std::vector<std::string>{"p1 up down eth1 has no carrier",
                                        "p1 down down eth1 is down",
                                        "p1 down up link detected"}));
}

TEST(LinkWatch, TellsOfALinkThatIsDownAtTheStart) {
    Desk desk;
    desk.lack(0) = "eth1 is down";
    desk.links.look();
    desk.lack(0).clear();
    desk.links.look();
    EXPECT_EQ(
        desk.events(),
        (std::vector<std::string>{"p0 unknown down eth1 is down", "p0 down up link detected"}));
}

TEST(LinkWatch, LooksNowAndThenAndAtOnceWhenTheKernelHasNews) {
    Desk desk;
    const TimePoint start = Clock::now();
    desk.links.tick(start, false);
    desk.lack(0) = "eth1 is down";
    desk.links.tick(start + LinkWatch::kPeriod - milliseconds(1), false);
    EXPECT_EQ(desk.events().size(), 0U);
    desk.links.tick(start + LinkWatch::kPeriod - milliseconds(1), true);
    EXPECT_EQ(desk.events().size(), 1U);
    desk.lack(0).clear();
    desk.links.tick(start + 2 * LinkWatch::kPeriod, false);
    EXPECT_EQ(desk.events().size(), 2U);
}

TEST(LinkWatch, ShowsPortsAndEventsWithTheReason) {
    Desk desk;
    desk.all_up();
    desk.links.look();
    EXPECT_EQ(desk.ask("show events").find("PORT"), std::string::npos);
    const std::uint64_t version = desk.model.version();
    desk.lack(1) = "eth1 has no carrier";
    desk.links.look();
    EXPECT_EQ(desk.model.version(), version) << "nothing is to be published for it";
    const Json ports = desk.ask_json("show ports")["ports"];
    EXPECT_EQ(ports[0]["link"], "up");
    EXPECT_EQ(ports[0]["down_because"], nullptr);
    EXPECT_EQ(ports[1]["link"], "down");
    EXPECT_EQ(ports[1]["down_because"], "eth1 has no carrier");
    const Json events = desk.ask_json("show events")["events"];
    ASSERT_EQ(events.size(), 5U);
    EXPECT_EQ(events[0]["backend"], "b1");
    EXPECT_EQ(events[0]["port"], nullptr);
    EXPECT_EQ(events[4]["port"], "p1");
    EXPECT_EQ(events[4]["backend"], nullptr);
    EXPECT_EQ(events[4]["to"], "down");
    EXPECT_NE(desk.ask("show events").find("PORT"), std::string::npos);
}

} // namespace
} // namespace viaduct::test
