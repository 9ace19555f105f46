// SPDX-License-Identifier: Apache-2.0
//
// The configuration's promises: every mistake told, with its place; defaults; text and back; no
// input that harms.
#include "config/settings.hpp"
#include "config_text.hpp"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <random>
#include <unistd.h>

namespace viaduct::test {

TEST(Config, SaysThatOtherTimersOfSipChangeNothingHere) {
    const auto text = [](const std::string& name) {
        return "timer \"" + name +
               "\" has no effect, because a load balancer repeats nothing itself: remove it; only "
               "t1, b, f and c are used";
    };
    expect_mistakes(kLeast + "[timers]\nt1 = \"500ms\"\n^t2 = \"4s\"\n^t4 = \"5s\"\n^K = 5\n",
                    {text("t2"), text("t4"), text("K")});
    expect_mistakes(kLeast + "[timers]\n^t3 = \"4s\"\n", {"unknown key \"t3\" in [timers]"});
    expect_mistakes(kLeast + "[steering]\n^t2 = \"4s\"\n", {"unknown key \"t2\" in [steering]"});
}

TEST(Config, LoadsTheSketchOfTheManual) {
    const Config config = parse_config(kRich, "lb.toml");
    EXPECT_EQ(config.file, "lb.toml");
    EXPECT_EQ(config.workers, 2U);
    EXPECT_EQ(config.cpus, (std::vector<unsigned>{1, 2}));
    EXPECT_EQ(config.memory, MemoryKind::Ordinary);
    EXPECT_EQ(config.buffers, 120'000U);
    ASSERT_EQ(config.ports.size(), 2U);
    EXPECT_EQ(config.ports[0].device, "net_af_packet0,iface=lb0");
    ASSERT_EQ(config.ports[0].addresses.size(), 2U);
    EXPECT_EQ(config.ports[0].addresses[1], (Ipv4Prefix{*parse_ipv4("192.0.2.2"), 25}));
    EXPECT_EQ(config.ports[0].gateway, parse_ipv4("198.51.100.1"));
    EXPECT_EQ(config.ports[0].mtu, 1500);
    EXPECT_EQ(config.ports[1].gateway, std::nullopt);
    ASSERT_EQ(config.vips.size(), 2U);
    EXPECT_EQ(config.vips[0].endpoint, (Endpoint{*parse_ipv4("198.51.100.10"), 5070}));
    EXPECT_FALSE(config.vips[0].enabled);
    EXPECT_TRUE(config.vips[0].lenient);
    EXPECT_TRUE(config.vips[0].announce);
    EXPECT_EQ(config.vips[0].max_header_lines, 512);
    EXPECT_FALSE(config.vips[1].lenient);
    EXPECT_EQ(config.vips[1].max_header_lines, 256);
    EXPECT_EQ(config.vips[1].pool, "core.nat");
    ASSERT_EQ(config.pools.size(), 2U);
    EXPECT_EQ(config.pools[0].min_up, 2U);
    const HealthConfig& health = config.pools[0].health;
    EXPECT_EQ(health.uri, "sip:probe@example.com;x=\\y");
    EXPECT_EQ(health.interval, std::chrono::seconds(2));
    EXPECT_EQ(health.timeout, std::chrono::milliseconds(1500));
    EXPECT_EQ(health.fall, 3U);
    EXPECT_EQ(health.rise, 4U);
    EXPECT_EQ(health.accept, (std::vector<AcceptRange>{{200, 299}, {404, 404}, {486, 486}}));
    ASSERT_EQ(config.pools[0].backends.size(), 2U);
    EXPECT_EQ(config.pools[0].backends[0].weight, 0U);
    EXPECT_EQ(config.pools[0].backends[0].tier, 1U);
    EXPECT_EQ(config.pools[0].backends[0].mac, parse_mac("02:00:00:00:01:0a"));
    EXPECT_EQ(config.pools[1].mode, ForwardMode::Nat);
    EXPECT_TRUE(config.pools[1].translate_any_port);
    EXPECT_EQ(config.pools[1].health.kind, ProbeKind::None);
    ASSERT_TRUE(config.secret);
    EXPECT_EQ((*config.secret)[15], 0x0f);
    EXPECT_EQ(config.socket, "/run/lb \"one\".sock");
    EXPECT_EQ(config.admins, (std::vector<std::string>{"root", "@voice"}));
    EXPECT_EQ(config.log_level, "debug");
}

TEST(Config, FillsInTheDefaultsOfTheStructs) {
    Config expected;
    expected.file = "lb.toml";
    expected.ports = {{"p0", "net_af_packet0,iface=lb0", {}, {}, {}}};
    expected.vips = {{"sip", {*parse_ipv4("198.51.100.10"), 5060}, "proxies"}};
    PoolConfig& pool = expected.pools.emplace_back();
    pool.name = "proxies";
    BackendConfig& backend = pool.backends.emplace_back();
    backend.name = "b1";
    backend.endpoint = {*parse_ipv4("198.51.100.21"), 5060};
    EXPECT_EQ(parse_config(kLeast, "lb.toml"), expected);
}

TEST(Config, PrintsWhatReadsBackTheSame) {
    for (const std::string& text : {kRich, kLeast}) {
        Config config = parse_config(text, "lb.toml");
        const std::string printed = print_config(config);
        EXPECT_EQ(printed.find("000102"), std::string::npos) << "the secret is printed";
        config.secret.reset();
        EXPECT_EQ(parse_config(printed, "lb.toml"), config) << printed;
    }
    const std::string printed = print_config(parse_config(kRich, "lb.toml"));
    EXPECT_NE(printed.find("\n# secret = \"(hidden)\"\n"), std::string::npos) << printed;
}

TEST(Config, PrintsEverySettingSetOrNot) {
    const std::string printed = print_config(parse_config(kLeast, "lb.toml"));
    for (const Setting& setting : settings()) {
        const std::string key(setting.rule.key);
        EXPECT_TRUE(printed.find(key + " = ") != std::string::npos ||
                    printed.find("# " + key + ": ") != std::string::npos)
            << key;
    }
}

TEST(Config, NamesEverySettingInTheReference) {
    const std::string reference = settings_reference();
    ASSERT_FALSE(settings().empty());
    for (const SectionInfo& section : sections()) {
        const std::size_t start = reference.find("### `" + std::string(section.header) + "`\n");
        ASSERT_NE(start, std::string::npos) << section.header;
        const std::string part = reference.substr(start, reference.find("\n### ", start) - start);
        std::size_t rows = 0;
        for (const Setting& setting : settings()) {
            if (setting.section != section.section) continue;
            ++rows;
            const std::size_t row = part.find("\n| `" + std::string(setting.rule.key) + "` | ");
            ASSERT_NE(row, std::string::npos) << setting.rule.key;
            const std::string line = part.substr(row + 1, part.find('\n', row + 1) - row - 1);
            EXPECT_NE(line.find(setting.help), std::string::npos) << line;
            EXPECT_EQ(std::count(line.begin(), line.end(), '|'), 6) << line;
        }
        EXPECT_GT(rows, 0U) << section.header;
    }
}

TEST(Config, SaysWhereTheUnknownKeyIs) {
    expect_each(
        kRich,
        {{"workers = 2",
          "^worker = 2",
          R"(unknown key "worker" in [dataplane]; did you mean "workers"?)"},
         {"mtu = 1500", "^MTU = 1500", R"(unknown key "MTU" in [[port]])"},
         {"enabled = false",
          "^enable = false",
          R"(unknown key "enable" in [[vip]]; did you mean "enabled"?)"},
         {"min_up = 2", "^minup = 2", R"(unknown key "minup" in [[pool]]; did you mean "min_up"?)"},
         {"min_up = 2",
          "^call_livetime = \"4h\"",
          R"(unknown key "call_livetime" in [[pool]]; did you mean "call_lifetime"?)"},
         {"fall = 3", "^fail = 3", R"(unknown key "fail" in [pool.health]; did you mean "fall"?)"},
         {"tier = 1", "^teir = 1", R"(unknown key "teir" in [[pool.backend]])"},
         {"tier = 1",
          "^tiers = 1",
          R"(unknown key "tiers" in [[pool.backend]]; did you mean "tier"?)"},
         {"secret = ",
          "^secrets = ",
          R"(unknown key "secrets" in [steering]; did you mean "secret"?)"},
         {"log_level",
          "^loglevel",
          R"(unknown key "loglevel" in [control]; did you mean "log_level"?)"},
         {"[dataplane]",
          "[^data_plane]",
          R"(unknown section [data_plane]; did you mean [dataplane]?)"},
         {"[steering]", "[^tinners]", R"(unknown section [tinners]; did you mean [timers]?)"},
         {"[dataplane]", "^speed = 1\n[dataplane]", R"(unknown key "speed" outside any section)"},
         {"[control]\n",
          "[[^vips]]\n[control]\n",
          R"(unknown section [[vips]]; did you mean [[vip]]?)"},
         {"[pool.health]\n  method = \"none\"",
          "[pool.^helth]\n  method = \"none\"",
          R"(unknown key "helth" in [[pool]]; did you mean [pool.health]?)"},
         {"mtu = 1500", "^\"a\\u0007b\" = 1", R"(unknown key "a\x07b" in [[port]])"}});
}

TEST(Config, SaysWhichKeyIsMissing) {
    const std::string name = " a name of 1 to 64 letters, digits, '_', '.' or '-'";
    expect_each(
        kLeast,
        {{"[[port]]\nname = \"p0\"",
          "^[[port]]",
          R"(missing key "name" in [[port]]: a name of 1 to 12 letters, digits, '_' or '-')"},
         {"[[port]]\nname = \"p0\"\ndevice = \"net_af_packet0,iface=lb0\"",
          "^[[port]]\nname = \"p0\"",
          "missing key \"device\" in [[port]]: a string of 1 to 255 printable ASCII "
          "characters"},
         {"[[vip]]\nname = \"sip\"", "^[[vip]]", R"(missing key "name" in [[vip]]:)" + name},
         {"[[vip]]\nname = \"sip\"\naddress = \"198.51.100.10\"",
          "^[[vip]]\nname = \"sip\"",
          R"(missing key "address" in [[vip]]: the IPv4 address of a host, such as "192.0.2.10")"},
         {"[[vip]]\nname = \"sip\"\naddress = \"198.51.100.10\"\npool = \"proxies\"",
          "^[[vip]]\nname = \"sip\"\naddress = \"198.51.100.10\"",
          R"(missing key "pool" in [[vip]]:)" + name},
         {"[[pool]]\nname = \"proxies\"", "^[[pool]]", R"(missing key "name" in [[pool]]:)" + name},
         {"[[pool.backend]]\nname = \"b1\"",
          "^[[pool.backend]]",
          R"(missing key "name" in [[pool.backend]]:)" + name},
         {"[[pool.backend]]\nname = \"b1\"\naddress = \"198.51.100.21\"",
          "^[[pool.backend]]\nname = \"b1\"",
          "missing key \"address\" in [[pool.backend]]: the IPv4 address of a host, such as "
          "\"192.0.2.10\""}});
}

TEST(Config, SaysHowASectionIsWritten) {
    expect_each(
        kLeast,
        {{"[[port]]", "^[port]", "port must be written [[port]], because there may be several"},
         {"[[pool.backend]]",
          "^[pool.backend]",
          "backend must be written [[pool.backend]], because there may be several"},
         {"[[port]]", "^[[control]]\n[[port]]", "control must be one table, [control]"},
         {"[[port]]", "control = ^5\n[[port]]", "control must be one table, [control]"},
         {"[[pool.backend]]\nname = \"b1\"\naddress = \"198.51.100.21\"",
          "backend = [{name = \"b1\", address = \"198.51.100.21\"}, ^7]",
          "each [[pool.backend]] must be a table"}});
}

TEST(Config, TellsEveryMistakeInTheOrderOfTheFile) {
    std::string text = change(kRich, "workers = 2", "workers = ^0");
    text = change(text, "mtu = 1500", "^mtuu = 1500");
    text = change(text, "enabled = false", "enabled = ^\"no\"");
    text = change(text, "accept = [\"2xx\", 404, \"486\"]", "accept = [^\"2\", 404, ^99]");
    text = change(text, "address = \"203.0.113.21\"", "address = ^\"198.51.100.22.1\"");
    text = change(text, "[control]", "[control]\n^sockets = 1");
    const std::string accept = "each entry of accept must be a class from \"2xx\" to \"6xx\" or a "
                               "code from 200 to 699; found ";
    expect_mistakes(text,
                    {"workers must be an integer from 1 to 64; found 0",
                     R"(unknown key "mtuu" in [[port]]; did you mean "mtu"?)",
                     "enabled must be true or false; found a string",
                     accept + "\"2\"",
                     accept + "99",
                     "address must be the IPv4 address of a host, such as \"192.0.2.10\"; found "
                     "\"198.51.100.22.1\"",
                     R"(unknown key "sockets" in [control]; did you mean "socket"?)"});
}

TEST(Config, SaysWhereTheSyntaxIsBroken) {
    const auto expect_start = [](const std::string& text, const std::string& start) {
        const std::vector<std::string> mistakes = mistakes_of(text);
        ASSERT_EQ(mistakes.size(), 1U) << text;
        EXPECT_TRUE(mistakes[0].starts_with(start) && mistakes[0].size() > start.size())
            << mistakes[0];
    };
    expect_start("[control]\nsocket = \n", "lb.toml:2:10: ");
    expect_start("[control]\nsocket = \"/run/lb", "lb.toml:2:");
    expect_start("[control]\nsocket = 1\nsocket = 2\n", "lb.toml:3:");
    expect_start("[control]\nsocket = \"/a\" b\n", "lb.toml:2:");
    expect_start("\xef\xbb\xbf" + kLeast, "lb.toml:1:1: starts with a byte order mark");
    expect_start("# \xff\n", "lb.toml:1:");
    expect_start("# \xc3\xa9\n# \xc3\xa9\na = 1 \xc3\xa9",
                 "lb.toml:3:7: only ASCII is allowed outside");
    expect_start("a = \"#\xc3\xa9\"", "lb.toml:1:7: only ASCII is allowed outside");
    expect_start("a = \"\\\"# \xc2\xa0\"", "lb.toml:1:10: only ASCII");
    expect_start("name =\xc2\xa0\"a\"\n", "lb.toml:1:7: only ASCII");
    expect_start("a = \"\"\nb = \"\"\"x\"\"\"\n",
                 "lb.toml:2:5: multi-line strings are not supported");
    expect_start("a = ''\nb = '''x'''\n", "lb.toml:2:5: multi-line strings are not supported");
    expect_start(std::string("\xff\xfe[\0", 4) + kLeast, "lb.toml:1:");
    expect_start("[control]\nsocket = \"/\xc3\x28\"\n", "lb.toml:2:");
    expect_start(kLeast + std::string(1, '\0'), "lb.toml:13:1: ");
    expect_start(kLeast + "x = \"\x1b[2J\"\n", "lb.toml:13:");
}

TEST(Config, SurvivesKeysOfAnyDepth) {
    std::string deep = "a";
    for (int i = 0; i < 500'000; ++i)
        deep += ".a";
    for (const std::string& text :
         {"[" + deep + "]\n", deep + " = 1\n", "x = {" + deep + " = 1}\n"}) {
        const std::vector<std::string> mistakes = mistakes_of(text);
        ASSERT_EQ(mistakes.size(), 1U);
        EXPECT_TRUE(mistakes[0].starts_with("lb.toml:1:")) << mistakes[0];
        EXPECT_TRUE(mistakes[0].ends_with(": too many dots in one line: no key is that deep"));
    }
    EXPECT_EQ(mistakes_of("x = " + std::string(100'000, '[')).size(), 1U);
    // The deepest that is let through: as many dots as a line may have, as often as values nest.
    std::string nested = "x = ";
    for (int i = 0; i < 120; ++i)
        nested += "[\n{" + deep.substr(0, 65) + " = ";
    nested += '1';
    for (int i = 0; i < 120; ++i)
        nested += "}]";
    const std::vector<std::string> mistakes = mistakes_of(nested + '\n');
    ASSERT_EQ(mistakes.size(), 4U);
    EXPECT_EQ(mistakes[0], "lb.toml:1:1: unknown section [[x]]");
}

TEST(Config, CountsNoDotsOfStringsAndComments) {
    std::string dots(1000, '.');
    EXPECT_EQ(mistakes_of(change(kLeast, "[[vip]]", "# " + dots + "\n[[vip]]")),
              std::vector<std::string>{});
    for (const std::string quote : {"\"", "'"}) {
        const std::string text = quote + "n\\\\" + dots + quote;
        const std::vector<std::string> mistakes = mistakes_of(change(kLeast, "\"sip\"", text));
        ASSERT_EQ(mistakes.size(), 1U);
        EXPECT_NE(mistakes[0].find("name must be a name"), std::string::npos) << mistakes[0];
    }
}

TEST(Config, SaysWhyAFileCannotBeRead) {
    const auto why = [](const std::string& file) -> std::string {
        try {
            (void)load_config(file);
        } catch (const ConfigError& error) {
            return std::string("ConfigError ") + error.what();
        } catch (const Error& error) {
            return error.what();
        }
        return {};
    };
    std::string folder = testing::TempDir() + "viaduct-config-XXXXXX";
    ASSERT_NE(mkdtemp(folder.data()), nullptr);
    const std::string file = folder + "/lb.toml";
    EXPECT_EQ(why(file), "cannot read " + file + ": No such file or directory");
    EXPECT_EQ(why(folder), "cannot read " + folder + ": Is a directory");
    std::ofstream(file) << kLeast;
    EXPECT_EQ(load_config(file), parse_config(kLeast, file));
    std::ofstream(file) << "x";
    EXPECT_TRUE(why(file).starts_with("ConfigError " + file + ":1:")) << why(file);
    ASSERT_EQ(truncate(file.c_str(), 16 * 1024 * 1024 + 1), 0);
    EXPECT_EQ(why(file), "cannot read " + file + ": larger than 16 MiB");
    unlink(file.c_str());
    rmdir(folder.c_str());
}

TEST(Config, SurvivesEveryBeginningOfAFile) {
    std::size_t read = 0;
    for (std::size_t size = 0; size <= kRich.size(); ++size)
        read += mistakes_of(kRich.substr(0, size)).empty() ? 1U : 0U;
    EXPECT_GT(read, 0U); // the whole one at least
    EXPECT_LT(read, kRich.size());
}

TEST(Config, SurvivesAnyChangedByte) {
    std::minstd_rand random(1); // NOLINT: the same changes each time
    std::size_t wrong = 0;
    for (int round = 0; round < 5000; ++round) {
        std::string text = kRich;
        text[random() % text.size()] = static_cast<char>(random() & 0xff);
        for (const std::string& mistake : mistakes_of(text)) {
            EXPECT_TRUE(mistake.starts_with("lb.toml:")) << mistake;
            EXPECT_TRUE(std::all_of(mistake.begin(), mistake.end(), [](char c) {
                return c >= 0x20 && c < 0x7f;
            })) << mistake;
            ++wrong;
        }
    }
    EXPECT_GT(wrong, 0U);
}

} // namespace viaduct::test
