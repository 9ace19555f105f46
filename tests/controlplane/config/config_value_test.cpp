// SPDX-License-Identifier: Apache-2.0
//
// What each key takes, and what is said about anything else.
#include "config_text.hpp"

namespace viaduct::test {

TEST(ConfigValue, SaysWhatAValueMustBe) {
    const std::string name = "must be a name of 1 to 64 letters, digits, '_', '.' or '-'; found ";
    const std::string host =
        "address must be the IPv4 address of a host, such as \"192.0.2.10\"; found ";
    const std::string prefix = "each entry of addresses must be an IPv4 address with a prefix "
                               "length from 1 to 32, such as \"192.0.2.2/24\"; found ";
    const std::string mac =
        "mac must be the MAC address of one station, such as \"02:00:00:00:01:01\"; found ";
    const std::string interval = "interval must be a duration from \"50ms\" to \"1h\", a whole "
                                 "number followed by ms, s, m or h; found ";
    const std::string accept = "each entry of accept must be a class from \"2xx\" to \"6xx\" or a "
                               "code from 200 to 699; found ";
    const std::string uri = "uri must be a URI such as \"sip:192.0.2.10\", at most 255 ASCII "
                            "characters without blanks, quotes or angle brackets; found ";
    const std::string path = "an absolute path of at most ";
    const std::string long_name(65, 'n');
    const std::string long_shown = std::string(64, 'n') + "...";
    expect_each(
        kRich,
        {{"workers = 2", "workers = ^0", "workers must be an integer from 1 to 64; found 0"},
         {"workers = 2", "workers = ^65", "workers must be an integer from 1 to 64; found 65"},
         {"workers = 2",
          "workers = ^\"2\"",
          "workers must be an integer from 1 to 64; found a string"},
         {"workers = 2",
          "workers = ^2.0",
          "workers must be an integer from 1 to 64; found a floating-point number"},
         {"cpus = [1, 2]",
          "cpus = ^[]",
          "cpus must be an array of at least one entry, each an integer from 0 to 1023; found an "
          "empty one"},
         {"cpus = [1, 2]",
          "cpus = ^2",
          "cpus must be an array of at least one entry, each an integer from 0 to 1023; found an "
          "integer"},
         {"cpus = [1, 2]",
          "cpus = [1, ^-2]",
          "each entry of cpus must be an integer from 0 to 1023; found -2"},
         {"memory = \"ordinary\"",
          "memory = ^\"huge\"",
          R"(memory must be "auto", "hugepages" or "ordinary"; found "huge")"},
         {"memory = \"ordinary\"",
          "memory = ^true",
          R"(memory must be "auto", "hugepages" or "ordinary"; found a boolean)"},
         {"name = \"p0\"",
          "name = ^\"p.0\"",
          "name must be a name of 1 to 12 letters, digits, '_' or '-'; found \"p.0\""},
         {"name = \"p0\"",
          "name = ^\"p234567890123\"",
          "name must be a name of 1 to 12 letters, digits, '_' or '-'; found \"p234567890123\""},
         {"device = \"0000:03:00.0\"",
          "device = ^\"\"",
          "device must be a string of 1 to 255 printable ASCII characters; found \"\""},
         {"device = \"0000:03:00.0\"",
          "device = ^\"a\\nb\"",
          "device must be a string of 1 to 255 printable ASCII characters; found \"a\\x0ab\""},
         {"\"192.0.2.2/25\"", "^\"192.0.2.2\"", prefix + "\"192.0.2.2\""},
         {"\"192.0.2.2/25\"", "^\"192.0.2.2/33\"", prefix + "\"192.0.2.2/33\""},
         {"\"192.0.2.2/25\"", "^\"192.0.2.2/0\"", prefix + "\"192.0.2.2/0\""},
         {"\"192.0.2.2/25\"", "^\"192.0.2.2/\"", prefix + "\"192.0.2.2/\""},
         {"\"192.0.2.2/25\"", "^\"192.0.2.2/+5\"", prefix + "\"192.0.2.2/+5\""},
         {"\"192.0.2.2/25\"", "^25", prefix + "an integer"},
         {"device = \"0000:03:00.0\"",
          "device = ^\"\\u00e9\"",
          "device must be a string of 1 to 255 printable ASCII characters; found \"\\xc3\\xa9\""},
         {"gateway = \"198.51.100.1\"",
          "gateway = ^\"none\"",
          "gateway must be the IPv4 address of a host, such as \"192.0.2.10\"; found \"none\""},
         {"mtu = 1500", "mtu = ^575", "mtu must be an integer from 576 to 1968; found 575"},
         {"mtu = 1500", "mtu = ^67036", "mtu must be an integer from 576 to 1968; found 67036"},
         {"mtu = 1500", "mtu = ^1969", "mtu must be an integer from 576 to 1968; found 1969"},
         {"name = \"sip\"", "name = ^\"s p\"", "name " + name + "\"s p\""},
         {"name = \"sip\"", "name = ^\"\"", "name " + name + "\"\""},
         {"name = \"sip\"",
          "name = ^\"" + long_name + "\"",
          "name " + name + "\"" + long_shown + "\""},
         {"\"198.51.100.11\"", "^\"198.51.100.256\"", host + "\"198.51.100.256\""},
         {"\"198.51.100.11\"", "^\"0.0.0.0\"", host + "\"0.0.0.0\""},
         {"\"198.51.100.11\"", "^\"255.255.255.255\"", host + "\"255.255.255.255\""},
         {"\"198.51.100.11\"", "^3232", host + "an integer"},
         {"address = \"198.51.100.10\"\nport = 5070",
          "address = \"198.51.100.10\"\nport = ^0",
          "port must be an integer from 1 to 65535; found 0"},
         {"address = \"198.51.100.10\"\nport = 5070",
          "address = \"198.51.100.10\"\nport = ^65536",
          "port must be an integer from 1 to 65535; found 65536"},
         {"enabled = false", "enabled = ^0", "enabled must be true or false; found an integer"},
         {"lenient = true", "lenient = ^1", "lenient must be true or false; found an integer"},
         {"max_header_lines = 512",
          "max_header_lines = ^15",
          "max_header_lines must be an integer from 16 to 4096; found 15"},
         {"max_header_lines = 512",
          "max_header_lines = ^65552",
          "max_header_lines must be an integer from 16 to 4096; found 65552"},
         {"pool = \"proxies\"", "pool = ^[\"proxies\"]", "pool " + name + "an array"},
         {"mode = \"dsr-l2\"",
          "mode = ^\"proxy\"",
          R"(mode must be "dsr-l2" or "nat"; found "proxy")"},
         {"steering = \"hash\"",
          "steering = ^\"best-calls\"",
          R"(steering must be "hash", "round-robin", "least-calls", "least-transactions" or "least-work"; found "best-calls")"},
         {"table = \"rendezvous\"",
          "table = ^\"jump\"",
          R"(table must be "rendezvous" or "maglev"; found "jump")"},
         {"key = \"call-id\"",
          "key = ^\"to\"",
          R"(key must be "call-id", "aor", "from", "request-uri-user", "source", or "header:NAME"; )"
          R"(found "to")"},
         {"key = \"call-id\"",
          "key = ^\"header:a b\"",
          R"(key must be "call-id", "aor", "from", "request-uri-user", "source", or "header:NAME"; )"
          R"(found "header:a b")"},
         {"key = \"call-id\"",
          "keys = { REGISTER = ^7 }",
          R"(keys.REGISTER must be "call-id", "aor", "from", "request-uri-user", "source", or )"
          R"("header:NAME"; found an integer)"},
         {"min_up = 2", "min_up = ^0", "min_up must be an integer from 1 to 4096; found 0"},
         {"translate_any_port = true",
          "translate_any_port = ^\"yes\"",
          "translate_any_port must be true or false; found a string"},
         {"method = \"OPTIONS\"",
          "method = ^\"REGISTER\"",
          R"(method must be "none" or "OPTIONS"; found "REGISTER")"},
         {"\"sip:probe@example.com;x=\\\\y\"", "^\"sip:a b\"", uri + "\"sip:a b\""},
         {"\"sip:probe@example.com;x=\\\\y\"", "^\"tel:1\"", uri + "\"tel:1\""},
         {"\"sip:probe@example.com;x=\\\\y\"", "^\"sip:\"", uri + "\"sip:\""},
         {"\"sip:probe@example.com;x=\\\\y\"",
          "^\"sip:a\\r\\nVia: b\"",
          uri + "\"sip:a\\x0d\\x0aVia: b\""},
         {"interval = \"2s\"", "interval = ^\"49ms\"", interval + "\"49ms\""},
         {"interval = \"2s\"", "interval = ^\"2h\"", interval + "\"2h\""},
         {"interval = \"2s\"", "interval = ^\"2\"", interval + "\"2\""},
         {"interval = \"2s\"", "interval = ^\"s\"", interval + "\"s\""},
         {"interval = \"2s\"", "interval = ^\"0500ms\"", interval + "\"0500ms\""},
         {"interval = \"2s\"",
          "interval = ^\"99999999999999999999s\"",
          interval + "\"99999999999999999999s\""},
         {"interval = \"2s\"", "interval = ^2", interval + "an integer"},
         {"timeout = \"1500ms\"",
          "timeout = ^\"9ms\"",
          "timeout must be a duration from \"10ms\" to \"1m\", a whole number followed by ms, s, m "
          "or h; "
          "found \"9ms\""},
         {"fall = 3", "fall = ^0", "fall must be an integer from 1 to 100; found 0"},
         {"rise = 4", "rise = ^101", "rise must be an integer from 1 to 100; found 101"},
         {"[\"2xx\", 404, \"486\"]",
          "^[]",
          "accept must be an array of at least one entry, each a class from \"2xx\" to \"6xx\" or "
          "a code from 200 to 699; found an empty one"},
         {"\"486\"", "^\"1xx\"", accept + "\"1xx\""},
         {"\"486\"", "^\"2xxx\"", accept + "\"2xxx\""},
         {"\"486\"", "^\"\"", accept + "\"\""},
         {"\"486\"", "^700", accept + "700"},
         {"\"486\"", "^true", accept + "a boolean"},
         {"weight = 0", "weight = ^1001", "weight must be an integer from 0 to 1000; found 1001"},
         {"tier = 1", "tier = ^256", "tier must be an integer from 0 to 255; found 256"},
         {"\"02:00:00:00:01:0a\"", "^\"02:00:00:00:01\"", mac + "\"02:00:00:00:01\""},
         {"\"02:00:00:00:01:0a\"", "^\"ff:ff:ff:ff:ff:ff\"", mac + "\"ff:ff:ff:ff:ff:ff\""},
         {"\"02:00:00:00:01:0a\"", "^\"00:00:00:00:00:00\"", mac + "\"00:00:00:00:00:00\""},
         {"\"000102030405060708090a0b0c0d0e0F\"",
          "^\"000102\"",
          "secret must be a string of 32 hex digits; found 6 characters"},
         {"\"000102030405060708090a0b0c0d0e0F\"",
          "^\"0x0102030405060708090a0b0c0d0e0F\"",
          "secret must be a string of 32 hex digits; found a character that is not a hex digit"},
         {"\"000102030405060708090a0b0c0d0e0F\"",
          "^17",
          "secret must be a string of 32 hex digits; found an integer"},
         {"\"/run/lb \\\"one\\\".sock\"",
          "^\"lb.sock\"",
          "socket must be " + path + "107 printable ASCII characters; found \"lb.sock\""},
         {"\"/run/lb \\\"one\\\".sock\"",
          "^\"/" + std::string(107, 'a') + "\"",
          "socket must be " + path + "107 printable ASCII characters; found \"/" +
              std::string(63, 'a') + "...\""},
         {"\"/var/lib/lb\"",
          "^\"./lb\"",
          "state must be " + path + "1023 printable ASCII characters; found \"./lb\""},
         {"\"@voice\"",
          "^\"a b\"",
          "each entry of admins must be a name of 1 to 64 ASCII characters without blanks; found "
          "\"a b\""},
         {"log_level = \"debug\"",
          "log_level = ^\"trace\"",
          R"(log_level must be "debug", "info", "warning" or "error"; found "trace")"}});
}

TEST(ConfigValue, WritesAddressesAsPeopleDo) {
    EXPECT_EQ(to_string(Ipv4Addr{0xc0000201}), "192.0.2.1");
    EXPECT_EQ(to_string(Endpoint{{0xc00002ff}, 5060}), "192.0.2.255:5060");
    EXPECT_EQ(to_string(Ipv4Prefix{{0xc0000200}, 24}), "192.0.2.0/24");
    EXPECT_EQ(to_string(MacAddr{{0x02, 0, 0, 0, 0xaf, 0x01}}), "02:00:00:00:af:01");
}

} // namespace viaduct::test
