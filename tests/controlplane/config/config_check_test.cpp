// SPDX-License-Identifier: Apache-2.0
//
// Entries that do not go together are told, at the place that matters.
#include "config_text.hpp"

#include <algorithm>

namespace viaduct::test {

TEST(ConfigCheck, WantsAPortAVipAPoolAndABackend) {
    expect_mistakes("^^^",
                    {"no [[port]] in the file; at least one is needed",
                     "no [[vip]] in the file; at least one is needed",
                     "no [[pool]] in the file; at least one is needed"});
    expect_each(kLeast,
                {{"[[pool]]\nname = \"proxies\"\n[[pool.backend]]\nname = \"b1\"\naddress = "
                  "\"198.51.100.21\"\n",
                  "^[[pool]]\nname = \"proxies\"\n",
                  "no [[pool.backend]] in [[pool]]; at least one is needed"}});
    expect_mistakes(
        std::string("^") +
            change(kLeast, "[[port]]\nname = \"p0\"\ndevice = \"net_af_packet0,iface=lb0\"\n", ""),
        {"no [[port]] in the file; at least one is needed"});
}

TEST(ConfigCheck, SaysWhichTwoAreAlike) {
    expect_each(
        kRich,
        {{"name = \"p1\"", "name = ^\"p0\"", R"(two ports are named "p0", the first on line 8)"},
         {"device = \"0000:03:00.0\"",
          "device = ^\"net_af_packet0,iface=lb0\"",
          R"(two ports have the device "net_af_packet0", the first on line 9)"},
         {"device = \"0000:03:00.0\"",
          "device = \"0000:03:00.0\"\n[[port]]\nname = \"p2\"\ndevice = ^\"3:0.0,arg=1\"",
          R"(two ports have the device "0000:03:00.0", the first on line 16)"},
         {"device = \"0000:03:00.0\"",
          "device = ^\"net_af_packet1,iface=lb0,framecnt=64\"",
          R"(two ports have the interface "lb0", the first on line 9)"},
         {"device = \"0000:03:00.0\"",
          "device = \"x\"\naddresses = [^\"192.0.2.2/24\"]",
          "address 192.0.2.2 is listed twice, first on line 10"},
         {"cpus = [1, 2]", "cpus = [1, ^1]", "cpus lists CPU 1 twice"},
         {"name = \"core\"",
          "name = ^\"sip\"",
          R"(two vips are named "sip", the first on line 19)"},
         {"address = \"198.51.100.11\"",
          "address = ^\"198.51.100.10\"\nport = 5070",
          "two vips have 198.51.100.10:5070, the first on line 20"},
         {"name = \"b2\"",
          "name = ^\"b1\"",
          R"(two backends of this pool are named "b1", the first on line 48)"},
         {"address = \"198.51.100.22\"",
          "address = ^\"198.51.100.21\"",
          "two backends of this pool have 198.51.100.21:5070, the first on line 49"}});
    expect_mistakes(kLeast + "[[pool]]\nname = ^\"proxies\"\n[[pool.backend]]\nname = "
                             "\"b\"\naddress = \"198.51.100.22\"\n",
                    {R"(two pools are named "proxies", the first on line 9)"});
}

TEST(ConfigCheck, AnnouncesAnAddressOrNot) {
    const std::string second = "address = \"198.51.100.10\"\nport = 5061\n";
    expect_each(kRich,
                {{"address = \"198.51.100.11\"\n",
                  second + "announce = ^false\n",
                  "announce is false, but true for the vip with the same address on line 20; vips "
                  "with the same address need the same announce"},
                 {"lenient = true\nmax_header_lines = 512\n\n[[vip]]\nname = \"core\"\naddress = "
                  "\"198.51.100.11\"",
                  "announce = false\n\n[[vip]]\nname = \"core\"\naddress = ^\"198.51.100.10\"",
                  "announce is true, but false for the vip with the same address on line 20; vips "
                  "with the same address need the same announce"}});
    EXPECT_EQ(mistakes_of(change(
                  change(kRich, "address = \"198.51.100.11\"\n", second + "announce = false\n"),
                  "lenient = true",
                  "announce = false")),
              std::vector<std::string>{});
}

TEST(ConfigCheck, TakesOneAddressWithTwoPorts) {
    EXPECT_EQ(
        mistakes_of(change(kRich, "address = \"198.51.100.11\"", "address = \"198.51.100.10\"")),
        std::vector<std::string>{});
}

TEST(ConfigCheck, SaysWhatDoesNotFitTogether) {
    expect_each(
        kRich,
        {{"cpus = [1, 2]",
          "cpus = ^[1, 2, 3]",
          "cpus has 3 entries, but workers is 2; make them equal or remove one"},
         {"\"192.0.2.2/25\"",
          "^\"192.0.2.0/25\"",
          "192.0.2.0/25 is the network address; give the port's own address"},
         {"\"192.0.2.2/25\"",
          "^\"192.0.2.127/25\"",
          "192.0.2.127/25 is the broadcast address; give the port's own address"},
         {"gateway = \"198.51.100.1\"",
          "gateway = ^\"192.0.2.129\"",
          "gateway 192.0.2.129 is not in a prefix of this port's addresses: 198.51.100.2/24, "
          "192.0.2.2/25"},
         {"gateway = \"198.51.100.1\"",
          "gateway = ^\"198.51.100.2\"",
          "gateway 198.51.100.2 is the port's own address"},
         {"device = \"0000:03:00.0\"",
          "device = \"x\"\ngateway = ^\"192.0.2.1\"",
          "gateway 192.0.2.1 needs an address on this port whose prefix contains it"},
         {"address = \"198.51.100.10\"",
          "address = ^\"198.51.100.2\"",
          "vip address 198.51.100.2 is a port's own address (on line 10); give the vip another "
          "address"},
         {"min_up = 2",
          "min_up = ^3",
          "min_up (3) is larger than the number of backends of pool \"proxies\" (2)"},
         {"min_up = 2",
          "translate_any_port = ^true",
          "translate_any_port works only with mode = \"nat\""},
         {"timeout = \"1500ms\"",
          "timeout = ^\"2001ms\"",
          "timeout (2001ms) is longer than interval (2000ms)"},
         {"method = \"none\"",
          "interval = ^\"200ms\"",
          "timeout (300ms, the default) is longer than interval (200ms)"},
         {"port = 5070\n  weight = 0",
          "port = ^5071\n  weight = 0",
          "the backend's port is 5071, but vip \"sip\" has 5070; dsr-l2 does not change ports: "
          "make them equal or use nat"},
         {"  [[pool.backend]]\n  name = \"b2\"\n  address = \"198.51.100.22\"\n  port = 5070",
          "  ^[[pool.backend]]\n  name = \"b2\"\n  address = \"198.51.100.22\"",
          "the backend's port is 5060, but vip \"sip\" has 5070; dsr-l2 does not change ports: "
          "make them equal or use nat"},
         {"address = \"198.51.100.22\"",
          "address = ^\"198.51.100.11\"",
          "backend address 198.51.100.11 is a vip's address (on line 29); give the address that it "
          "has in addition to the vip's"},
         {"address = \"203.0.113.21\"",
          "address = ^\"198.51.100.10\"",
          "backend address 198.51.100.10 is a vip's address (on line 20); give the backend's own "
          "address"},
         {"address = \"198.51.100.22\"",
          "address = ^\"198.51.100.2\"",
          "backend address 198.51.100.2 is a port's own address (on line 10); give the backend's "
          "address"}});
}

TEST(ConfigCheck, TakesNoAddressOfTheRouterOrOfAllForAStation) {
    const std::string of_all = " (on line 10); give ";
    expect_each(
        kRich,
        {{"address = \"198.51.100.10\"",
          "address = ^\"198.51.100.1\"",
          "vip address 198.51.100.1 is a port's gateway (on line 11); give the vip another "
          "address"},
         {"address = \"198.51.100.10\"",
          "address = ^\"198.51.100.255\"",
          "vip address 198.51.100.255 is the broadcast address of a port's prefix "
          "198.51.100.2/24" +
              of_all + "the vip another address"},
         {"address = \"198.51.100.10\"",
          "address = ^\"198.51.100.0\"",
          "vip address 198.51.100.0 is the network address of a port's prefix 198.51.100.2/24" +
              of_all + "the vip another address"},
         {"address = \"198.51.100.10\"",
          "address = ^\"192.0.2.127\"",
          "vip address 192.0.2.127 is the broadcast address of a port's prefix 192.0.2.2/25" +
              of_all + "the vip another address"},
         {"address = \"198.51.100.22\"",
          "address = ^\"198.51.100.1\"",
          "backend address 198.51.100.1 is a port's gateway (on line 11); give the backend's "
          "address"},
         {"address = \"198.51.100.22\"",
          "address = ^\"198.51.100.255\"",
          "backend address 198.51.100.255 is the broadcast address of a port's prefix "
          "198.51.100.2/24" +
              of_all + "the backend's address"},
         {"address = \"203.0.113.21\"",
          "address = ^\"192.0.2.0\"",
          "backend address 192.0.2.0 is the network address of a port's prefix 192.0.2.2/25" +
              of_all + "the backend's address"},
         {"gateway = \"198.51.100.1\"",
          "gateway = ^\"198.51.100.255\"",
          "gateway 198.51.100.255 is the broadcast address of a port's prefix 198.51.100.2/24" +
              of_all + "the router's address"},
         {"gateway = \"198.51.100.1\"",
          "gateway = ^\"192.0.2.0\"",
          "gateway 192.0.2.0 is the network address of a port's prefix 192.0.2.2/25" + of_all +
              "the router's address"},
         {"device = \"0000:03:00.0\"",
          "device = \"x\"\naddresses = [\"203.0.113.2/24\", \"198.51.100.3/24\"]\n"
          "gateway = ^\"198.51.100.2\"",
          "gateway 198.51.100.2 is another port's own address (on line 10); give the router's "
          "address"},
         {"address = \"198.51.100.10\"",
          "address = ^\"192.0.2.2\"",
          "vip address 192.0.2.2 is a port's own address (on line 10); give the vip another "
          "address"}});
}

TEST(ConfigCheck, KnowsThatAPrefixOfTwoHasNoAddressOfAll) { // RFC 3021
    const auto with = [](const std::string& addresses, const std::string& vip) {
        return change(change(kLeast, "\"198.51.100.10\"", vip),
                      "device = \"net_af_packet0,iface=lb0\"\n",
                      "device = \"x\"\naddresses = [" + addresses + ", \"198.51.100.2/24\"]\n");
    };
    expect_mistakes(with("\"192.0.2.0/31\"", "\"192.0.2.1\""), {});
    expect_mistakes(with("\"192.0.2.1/31\"", "\"192.0.2.0\""), {});
    expect_mistakes(with("\"192.0.2.255/32\"", "\"192.0.2.254\""), {});
    expect_mistakes(with("\"192.0.2.1/30\"", "^\"192.0.2.3\""),
                    {"vip address 192.0.2.3 is the broadcast address of a port's prefix "
                     "192.0.2.1/30 (on line 4); give the vip another address"});
    expect_mistakes(with("\"192.0.2.1/31\"", "^\"192.0.2.1\""),
                    {"vip address 192.0.2.1 is a port's own address (on line 4); give the vip "
                     "another address"});
}

TEST(ConfigCheck, WantsABackendOfDsrOnASegmentOfAPort) {
    const std::string text = "backend address 203.0.113.99 is not in a port's prefix "
                             "(198.51.100.2/24, 192.0.2.2/25), but dsr-l2 reaches only backends on "
                             "a port's segment: give its address there, set its mac, or use nat";
    const std::string before = "address = \"198.51.100.22\"";
    expect_each(kRich, {{before, "address = ^\"203.0.113.99\"", text}});
    for (const char* good :
         {"address = \"203.0.113.99\"\nmac = \"02:00:00:00:01:0b\"", "address = \"192.0.2.99\""})
        EXPECT_EQ(mistakes_of(change(kRich, before, good)), std::vector<std::string>{}) << good;
    // In nat a router may lead there; and where no port has an address nothing can be said.
    EXPECT_EQ(mistakes_of(change(kRich, "\"203.0.113.21\"", "\"203.0.113.99\"")),
              std::vector<std::string>{});
    EXPECT_EQ(mistakes_of(change(kLeast, "\"198.51.100.21\"", "\"203.0.113.99\"")),
              std::vector<std::string>{});
}

TEST(ConfigCheck, SaysWhichPoolAVipMisses) {
    // One vip is added, as the pool that nobody uses any more would be a second mistake.
    const std::string vip = "[[vip]]\nname = \"x\"\naddress = \"192.0.2.10\"\npool = ^\"y\"\n";
    expect_mistakes(
        kRich + vip,
        {R"(vip "x" names pool "y", which does not exist; pools: "proxies", "core.nat")"});
    std::string pools;
    for (const char c : std::string("abcdefgh")) {
        const std::string name = std::string("\"") + c + "\"";
        pools +=
            "[[vip]]\nname = " + name +
            "\naddress = \"192.0.2.9\"\nport = " + std::to_string(int{c}) + "\npool = " + name +
            "\n[[pool]]\nname = " + name +
            "\nmode = \"nat\"\n[[pool.backend]]\nname = \"b\"\naddress = \"203.0.113.9\"\nport = " +
            std::to_string(int{c}) + "\n";
    }
    expect_mistakes(kLeast + pools + vip,
                    {"vip \"x\" names pool \"y\", which does not exist; pools: \"proxies\", \"a\", "
                     "\"b\", \"c\", \"d\", \"e\", \"f\", \"g\", ..."});
}

TEST(ConfigCheck, WantsAnotherPoolThatExistsAsThePreviousOne) {
    const std::string vip =
        "[[vip]]\nname = \"x\"\naddress = \"192.0.2.10\"\nport = 5070\npool = \"proxies\"\n";
    expect_mistakes(
        kRich + vip + "previous_pool = ^\"y\"\n",
        {R"(vip "x" names pool "y", which does not exist; pools: "proxies", "core.nat")"});
    expect_mistakes(
        kRich + vip + "previous_pool = ^\"proxies\"\n",
        {"previous_pool is the same as pool; name the earlier pool of this vip, or remove it"});
}

TEST(ConfigCheck, WantsCallsToBeKnownForLongerThanAnyTimer) {
    const auto with = [](const std::string& pool, const std::string& timers) {
        return change(kLeast, "name = \"proxies\"\n", "name = \"proxies\"\n" + pool) +
               "[timers]\n" + timers;
    };
    expect_mistakes(with("t_settle = ^\"31s\"\n", ""),
                    {"t_settle (31000ms) of pool \"proxies\" is shorter than 64 times t1 "
                     "(32000ms), the time for which requests are repeated"});
    expect_mistakes(with("", "f = ^\"41s\"\n"),
                    {"t_settle (40000ms, the default) of pool \"proxies\" is shorter than timer f "
                     "(41000ms), the time for which requests are repeated"});
    expect_mistakes(with("call_lifetime = ^\"2m\"\n", ""),
                    {"call_lifetime (120000ms) of pool \"proxies\" is shorter than timer c "
                     "(180000ms), the time for which a call may ring"});
    expect_mistakes(with("call_lifetime = \"2m\"\n", "c = \"2m\"\nb = \"20s\"\n"), {});
}

TEST(ConfigCheck, WantsMaxCallBetweenRingingAndSilence) {
    const auto with = [](const std::string& cap) {
        return change(
                   kLeast, "name = \"proxies\"\n", "name = \"proxies\"\ncall_lifetime = \"2h\"\n") +
               "[steering]\nmax_call = " + cap + "\n";
    };
    expect_mistakes(with("\"3m\""), {});
    expect_mistakes(with("\"2h\""), {});
    expect_mistakes(
        with("^\"2m\""),
        {"max_call (120000ms) is shorter than timer c (180000ms), the time for which a call may "
         "ring"});
    expect_mistakes(
        with("^\"3h\""),
        {"max_call (10800000ms) is longer than call_lifetime of pool \"proxies\" "
         "(7200000ms), the longest time without a message; raise call_lifetime or lower max_call"});
}

TEST(ConfigCheck, SaysWhichPoolNobodyUses) {
    expect_mistakes(kLeast + "[[pool]]\nname = ^\"spare\"\n[[pool.backend]]\nname = \"b\"\naddress "
                             "= \"198.51.100.22\"\n",
                    {R"(no vip uses pool "spare"; name it in a [[vip]] or remove it)"});
}

TEST(ConfigCheck, WantsSomeWeightInEachPool) {
    expect_mistakes(kLeast + "weight = ^0\n[[pool.backend]]\nname = \"b2\"\naddress = "
                             "\"198.51.100.22\"\nweight = 0\n",
                    {"every backend of this pool has weight 0, so no backend would get calls"});
}

TEST(ConfigCheck, KeepsNatAnswersApart) {
    const auto pool =
        [](const std::string& name, const std::string& backend, const std::string& more) {
            return "[[vip]]\nname = \"" + name +
                   "\"\naddress = \"192.0.2.9\"\nport = " + std::to_string(5000 + int{name[0]}) +
                   "\npool = \"" + name + "\"\n[[pool]]\nname = \"" + name +
                   "\"\nmode = \"nat\"\n" + more + "[[pool.backend]]\nname = \"b\"\n" + backend;
        };
    const std::string any = "translate_any_port = true\n";
    const std::string at_5060 = "address = \"203.0.113.9\"\n";
    const std::string at_5061 = at_5060 + "port = 5061\n";
    const std::string base = kLeast + pool("a", at_5060, "");
    const std::size_t line = static_cast<std::size_t>(std::count(base.begin(), base.end(), '\n'));
    const std::string where = " is also in another nat pool (on line " + std::to_string(line) +
                              "); its answers could not be told apart";
    EXPECT_EQ(mistakes_of(base + pool("b", at_5061, "")), std::vector<std::string>{});
    expect_mistakes(base + pool("b", change(at_5060, "\"2", "^\"2"), ""),
                    {"backend 203.0.113.9:5060" + where});
    expect_mistakes(base + pool("b", change(at_5061, "\"2", "^\"2"), any),
                    {"backend 203.0.113.9:5061" + where});
    const std::string base_any = kLeast + pool("a", at_5060, any);
    const std::string where_any = change(where, std::to_string(line), std::to_string(line + 1));
    expect_mistakes(base_any + pool("b", change(at_5061, "\"2", "^\"2"), ""),
                    {"backend 203.0.113.9:5061" + where_any});
    // A backend's own pool and pools of other modes do not count.
    EXPECT_EQ(mistakes_of(base_any + "[[pool.backend]]\nname = \"c\"\n" + at_5061),
              std::vector<std::string>{});
}

TEST(ConfigCheck, GivesANatPoolToOneVip) {
    expect_mistakes(
        kRich + "[[vip]]\nname = \"two\"\naddress = \"198.51.100.12\"\npool = ^\"core.nat\"\n",
        {"nat pool \"core.nat\" already has a vip (on line 27); it can have only one, because its "
         "answers carry the address of the vip"});
    EXPECT_EQ(
        mistakes_of(kLeast +
                    "[[vip]]\nname = \"two\"\naddress = \"198.51.100.12\"\npool = \"proxies\"\n"),
        std::vector<std::string>{});
}

TEST(ConfigCheck, KeepsToTheLimitsOfTheContract) {
    std::string ports;
    for (std::size_t i = 1; i <= kMaxPorts; ++i)
        ports += std::string(i == kMaxPorts ? "^" : "") + "[[port]]\nname = \"q" +
                 std::to_string(i) + "\"\ndevice = \"d" + std::to_string(i) + "\"\n";
    expect_mistakes(kLeast + ports, {"more than 16 ports"});

    std::string backends;
    for (std::size_t i = 1; i <= kMaxBackends; ++i)
        backends += std::string(i == kMaxBackends ? "^" : "") + "[[pool.backend]]\nname = \"c" +
                    std::to_string(i) +
                    "\"\naddress = \"203.0.113.1\"\nport = " + std::to_string(1024 + i) + "\n";
    const std::string nat =
        change(kLeast, "name = \"proxies\"", "name = \"proxies\"\nmode = \"nat\"");
    expect_mistakes(nat + backends, {"more than 4096 backends over all pools"});

    std::string cpus = "0";
    for (std::size_t i = 1; i <= kMaxWorkers; ++i)
        cpus += std::string(i == kMaxWorkers ? ", ^" : ", ") + std::to_string(i);
    expect_mistakes("[dataplane]\ncpus = [" + cpus + "]\n" + kLeast,
                    {"cpus has more than 64 entries"});
}

TEST(ConfigCheck, TellsEachMistakeOnce) {
    // What cannot be read is not judged further: no "which does not exist", no "two have 0.0.0.0".
    const std::string host =
        "address must be the IPv4 address of a host, such as \"192.0.2.10\"; found ";
    std::string text = change(kRich, "\"198.51.100.10\"", "^\"x\"");
    text = change(text, "\"198.51.100.11\"", "^\"y\"");
    text = change(text, "name = \"core.nat\"\nmode", "^nam = \"core.nat\"\nmode");
    text = change(text, "\n[[pool]]\n^nam", "\n^[[pool]]\n^nam");
    expect_mistakes(
        text,
        {host + "\"x\"",
         host + "\"y\"",
         "missing key \"name\" in [[pool]]: a name of 1 to 64 letters, digits, '_', '.' or '-'",
         "unknown key \"nam\" in [[pool]]; did you mean \"name\"?"});
}

} // namespace viaduct::test
