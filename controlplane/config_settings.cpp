// SPDX-License-Identifier: Apache-2.0
//
// config_settings: the table of sections and the table of settings. A setting is one row here.
#include "config_settings.hpp"

#include <array>
#include <utility>

namespace viaduct {

namespace {

constexpr SectionInfo kSections[] = {
    {Section::Dataplane, {}, "dataplane", "[dataplane]", "The workers."},
    {Section::Port, {}, "port", "[[port]]", "A network port; at least one."},
    {Section::Vip, {}, "vip", "[[vip]]", "An address and UDP port that clients use; at least one."},
    {Section::Pool,
     {},
     "pool",
     "[[pool]]",
     "A set of backends that do the same work; at least one."},
    {Section::Health,
     Section::Pool,
     "health",
     "[pool.health]",
     "How the backends of the pool above are probed; may be left out."},
    {Section::Backend,
     Section::Pool,
     "backend",
     "[[pool.backend]]",
     "A server of the pool above; at least one."},
    {Section::Steering, {}, "steering", "[steering]", "How calls are spread."},
    {Section::Control, {}, "control", "[control]", "The control plane."},
};
static_assert(std::size(kSections) == static_cast<std::size_t>(Section::Control) + 1);

template <typename C, typename T> C class_of(T C::*);

template <typename Holder> constexpr auto& inner(Holder& holder) {
    return holder;
}
template <typename Holder, typename C, typename T, typename... Rest>
constexpr auto& inner(Holder& holder, T C::*first, Rest... rest) {
    return inner(holder.*first, rest...);
}

/// field<&VipConfig::endpoint, &Endpoint::udp_port>(): a member, or a member of a member.
template <auto First, auto... Rest> constexpr Field field() {
    using C = decltype(class_of(First));
    using T = std::remove_reference_t<decltype(inner(std::declval<C&>(), First, Rest...))>;
    return {[](const toml::node& node, const Rule& rule, Mistakes& mistakes, Owner owner) {
                return read(node, rule, mistakes, inner(*std::get<C*>(owner), First, Rest...));
            },
            [](const Rule& rule) { return describe(rule, static_cast<const T*>(nullptr)); },
            [](const Rule& rule, ConstOwner owner) {
                return show(rule, inner(*std::get<const C*>(owner), First, Rest...));
            }};
}

/// For a setting that has one choice so far.
constexpr Field kOnlyChoice{
    [](const toml::node& node, const Rule& rule, Mistakes& mistakes, Owner) {
        std::string ignored;
        return read(node, rule, mistakes, ignored);
    },
    [](const Rule& rule) { return describe(rule, static_cast<const std::string*>(nullptr)); },
    [](const Rule& rule, ConstOwner) { return show(rule, std::string(rule.choices.front())); },
};

constexpr std::string_view kMemoryKinds[] = {"auto", "hugepages", "ordinary"};
static_assert(static_cast<int>(MemoryKind::Ordinary) == 2);
constexpr std::string_view kProbeKinds[] = {"none", "OPTIONS"};
static_assert(static_cast<int>(ProbeKind::Options) == 1);
constexpr auto kModes = [] {
    std::array<std::string_view, kForwardModes.size()> names;
    for (const ForwardModeInfo& mode : kForwardModes)
        names[static_cast<std::size_t>(mode.mode)] = mode.name;
    return names;
}();
constexpr std::string_view kLogLevels[] = {"debug", "info", "warning", "error"};
constexpr std::string_view kSteerings[] = {"hash"};
constexpr std::string_view kTables[] = {"rendezvous"};
constexpr std::string_view kKeys[] = {"call-id"};

constexpr bool kStartOnly = true; // the only kind so far

constexpr Setting kSettings[] = {
    {Section::Dataplane,
     Need::Optional,
     kStartOnly,
     {"workers", 1, kMaxWorkers},
     field<&Config::workers>(),
     "one less than the machine has, at least one",
     "how many workers, each on a processor of its own"},
    {Section::Dataplane,
     Need::Optional,
     kStartOnly,
     {.key = "cpus", .max = 1023, .may_be_empty = false},
     field<&Config::cpus>(),
     "chosen at start, and said in the log",
     "the processors the workers run on; as many as workers, if both are given"},
    {Section::Dataplane,
     Need::Default,
     kStartOnly,
     {.key = "memory", .choices = kMemoryKinds},
     field<&Config::memory>(),
     "\"auto\"",
     "what packet buffers lie in; auto takes huge pages if there are enough"},
    {Section::Dataplane,
     Need::Optional,
     kStartOnly,
     {"buffers", 1, 16'777'216},
     field<&Config::buffers>(),
     "what queues of 1,024 descriptors and the rings can hold, which is also the least",
     "how many packet buffers there are; more for drivers that hold on to many"},
    {Section::Port,
     Need::Required,
     kStartOnly,
     {"name", 1, 12, Form::TwinName},
     field<&PortConfig::name>(),
     "",
     "unlike any other port's; the kernel's twin of the port is vd-NAME"},
    {Section::Port,
     Need::Required,
     kStartOnly,
     {"device", 1, 255},
     field<&PortConfig::device>(),
     "",
     "PCI address or DPDK device string, such as net_af_packet0,iface=eth1"},
    {Section::Port,
     Need::Default,
     kStartOnly,
     {"addresses"},
     field<&PortConfig::addresses>(),
     "[]",
     "the balancer's own addresses here; the kernel's twin of the port carries them"},
    {Section::Port,
     Need::Optional,
     kStartOnly,
     {"gateway"},
     field<&PortConfig::gateway>(),
     "only the subnets of addresses are reached",
     "next hop for all else that leaves by this port; in a subnet of addresses"},
    {Section::Port,
     Need::Optional,
     kStartOnly,
     {"mtu", 576, 9216},
     field<&PortConfig::mtu>(),
     "the device's",
     "largest IP packet sent, in bytes"},
    {Section::Vip,
     Need::Required,
     kStartOnly,
     {"name", 1, 64, Form::Name},
     field<&VipConfig::name>(),
     "",
     "unlike any other vip's"},
    {Section::Vip,
     Need::Required,
     kStartOnly,
     {"address"},
     field<&VipConfig::endpoint, &Endpoint::address>(),
     "",
     "where clients send; no port's own address"},
    {Section::Vip,
     Need::Default,
     kStartOnly,
     {"port", 1, 65535},
     field<&VipConfig::endpoint, &Endpoint::udp_port>(),
     "5060",
     "UDP port"},
    {Section::Vip,
     Need::Required,
     kStartOnly,
     {"pool", 1, 64, Form::Name},
     field<&VipConfig::pool>(),
     "",
     "the pool that takes the calls"},
    {Section::Vip,
     Need::Default,
     kStartOnly,
     {"enabled"},
     field<&VipConfig::enabled>(),
     "true",
     "false: SIP for this vip is dropped as vip_disabled"},
    {Section::Vip,
     Need::Default,
     kStartOnly,
     {"lenient"},
     field<&VipConfig::lenient>(),
     "false",
     "true: of several Call-IDs the first counts; false: when they differ, the message is dropped "
     "as ambiguous_call_id"},
    {Section::Vip,
     Need::Default,
     kStartOnly,
     {"max_header_lines", 16, 4096},
     field<&VipConfig::max_header_lines>(),
     "256",
     "a message with more is dropped as too_many_header_lines; continuation lines count"},
    {Section::Pool,
     Need::Required,
     kStartOnly,
     {"name", 1, 64, Form::Name},
     field<&PoolConfig::name>(),
     "",
     "unlike any other pool's; goes into the hash, so renaming a pool moves its calls"},
    {Section::Pool,
     Need::Default,
     kStartOnly,
     {.key = "mode", .choices = kModes},
     field<&PoolConfig::mode>(),
     "\"dsr-l2\"",
     "dsr-l2: backends own the vip and answer clients themselves; nat: all passes through us, for "
     "one vip a pool"},
    {Section::Pool,
     Need::Default,
     kStartOnly,
     {.key = "steering", .choices = kSteerings},
     kOnlyChoice,
     "\"hash\"",
     "how a backend is chosen"},
    {Section::Pool,
     Need::Default,
     kStartOnly,
     {.key = "table", .choices = kTables},
     kOnlyChoice,
     "\"rendezvous\"",
     "how the table of the hash is filled"},
    {Section::Pool,
     Need::Default,
     kStartOnly,
     {.key = "key", .choices = kKeys},
     kOnlyChoice,
     "\"call-id\"",
     "what is hashed"},
    {Section::Pool,
     Need::Default,
     kStartOnly,
     {"min_up", 1, kMaxBackends},
     field<&PoolConfig::min_up>(),
     "1",
     "a tier with fewer backends up is passed over for the next one"},
    {Section::Pool,
     Need::Default,
     kStartOnly,
     {"translate_any_port"},
     field<&PoolConfig::translate_any_port>(),
     "false",
     "nat only: true translates packets from any UDP port of a backend, not only from its own"},
    {Section::Health,
     Need::Default,
     kStartOnly,
     {.key = "method", .choices = kProbeKinds},
     field<&HealthConfig::kind>(),
     "\"OPTIONS\"",
     "none: backends count as up"},
    {Section::Health,
     Need::Optional,
     kStartOnly,
     {"uri", 5, 255, Form::Uri},
     field<&HealthConfig::uri>(),
     "sip: and the address the probe is sent to",
     "Request-URI and To of probes"},
    {Section::Health,
     Need::Default,
     kStartOnly,
     {"interval", 50, 3'600'000},
     field<&HealthConfig::interval>(),
     "\"500ms\"",
     "from one probe of a backend to the next"},
    {Section::Health,
     Need::Default,
     kStartOnly,
     {"timeout", 10, 60'000},
     field<&HealthConfig::timeout>(),
     "\"300ms\"",
     "an answer later than this counts as none; at most interval"},
    {Section::Health,
     Need::Default,
     kStartOnly,
     {"fall", 1, 100},
     field<&HealthConfig::fall>(),
     "2",
     "failures in a row that make a backend down"},
    {Section::Health,
     Need::Default,
     kStartOnly,
     {"rise", 1, 100},
     field<&HealthConfig::rise>(),
     "2",
     "successes in a row that make it up again"},
    {Section::Health,
     Need::Default,
     kStartOnly,
     {.key = "accept", .may_be_empty = false},
     field<&HealthConfig::accept>(),
     "[\"2xx\"]",
     "answers that count as healthy; any other makes the backend busy"},
    {Section::Backend,
     Need::Required,
     kStartOnly,
     {"name", 1, 64, Form::Name},
     field<&BackendConfig::name>(),
     "",
     "unlike any other in the pool; goes into the hash, so renaming a backend moves its calls"},
    {Section::Backend,
     Need::Required,
     kStartOnly,
     {"address"},
     field<&BackendConfig::endpoint, &Endpoint::address>(),
     "",
     "the backend's own, not the vip's"},
    {Section::Backend,
     Need::Default,
     kStartOnly,
     {"port", 1, 65535},
     field<&BackendConfig::endpoint, &Endpoint::udp_port>(),
     "5060",
     "UDP port; in dsr-l2 the vip's"},
    {Section::Backend,
     Need::Default,
     kStartOnly,
     {"weight", 0, 1000},
     field<&BackendConfig::weight>(),
     "100",
     "its share of calls against the others of its tier; 0: none"},
    {Section::Backend,
     Need::Default,
     kStartOnly,
     {"tier", 0, 255},
     field<&BackendConfig::tier>(),
     "0",
     "0 is used first, higher ones when too few are up"},
    {Section::Backend,
     Need::Optional,
     kStartOnly,
     {"mac"},
     field<&BackendConfig::mac>(),
     "asked of the kernel",
     "the backend's MAC; in nat that of the router to it, if there is one"},
    {Section::Steering,
     Need::Optional,
     kStartOnly,
     {.key = "secret", .hidden = true},
     field<&Config::secret>(),
     "made once and kept in the state folder",
     "keys the hash; the same on every balancer of a cluster, and known to nobody else"},
    {Section::Control,
     Need::Default,
     kStartOnly,
     {"socket", 1, 107, Form::Path},
     field<&Config::socket>(),
     "\"/run/viaduct/viaduct.sock\"",
     "where viaductctl connects"},
    {Section::Control,
     Need::Default,
     kStartOnly,
     {"state", 1, 1023, Form::Path},
     field<&Config::state>(),
     "\"/var/lib/viaduct\"",
     "folder for what must outlive a restart"},
    {Section::Control,
     Need::Default,
     kStartOnly,
     {"admins", 1, 64, Form::Word},
     field<&Config::admins>(),
     "[\"root\"]",
     "users and groups who may change things; everyone may look"},
    {Section::Control,
     Need::Default,
     kStartOnly,
     {.key = "log_level", .choices = kLogLevels},
     field<&Config::log_level>(),
     "\"info\"",
     "the least that is logged"},
};

} // namespace

std::span<const SectionInfo> sections() noexcept {
    return kSections;
}

std::span<const Setting> settings() noexcept {
    return kSettings;
}

} // namespace viaduct
