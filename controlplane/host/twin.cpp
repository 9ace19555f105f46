// SPDX-License-Identifier: Apache-2.0
//
// twin: links, addresses, routes and rules by rtnetlink.
// Spec:  rtnetlink(7), RFC 1122 §3.3.4.2 (which interface answers ARP for an address).
#include "host/twin.hpp"

#include "config/config.hpp"
#include "host/host_network.hpp"
#include "host/next_hop_table.hpp"

#include "viaduct/error.hpp"

#include <algorithm>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <utility>

namespace viaduct {
namespace {

[[noreturn]] void fail(const Twin& twin, const std::string& step, int error) {
    throw Error("port " + twin.port + ": cannot " + step + ": " + std::strerror(error));
}

Be32 wire(Ipv4Addr address) {
    return Be32(address.value);
}

int set_link(Netlink& netlink, const Twin& twin, bool up) {
    ifinfomsg link{};
    link.ifi_index = twin.link;
    link.ifi_change = IFF_UP;
    link.ifi_flags = up ? IFF_UP : 0;
    return netlink.request(NetlinkMessage(RTM_NEWLINK, 0, link));
}

int change_address(
    Netlink& netlink, int type, int flags, const Twin& twin, const Ipv4Prefix& prefix) {
    ifaddrmsg address{};
    address.ifa_family = AF_INET;
    address.ifa_prefixlen = prefix.length;
    address.ifa_index = static_cast<unsigned>(twin.link);
    return netlink.request(NetlinkMessage(type, flags, address)
                               .add(IFA_LOCAL, wire(prefix.address))
                               .add(IFA_ADDRESS, wire(prefix.address)));
}

/// Changes a route in the twin's own table: on the link, or through its gateway when `prefix` is
/// empty.
int change_route(Netlink& netlink,
                 int type,
                 int flags,
                 const Twin& twin,
                 const std::optional<Ipv4Prefix>& prefix) {
    rtmsg route{};
    route.rtm_family = AF_INET;
    route.rtm_dst_len = prefix ? prefix->length : std::uint8_t{0};
    route.rtm_protocol = kOwner;
    route.rtm_scope = prefix ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
    route.rtm_type = RTN_UNICAST;
    NetlinkMessage message(type, flags, route);
    message.add(RTA_TABLE, twin.table).add(RTA_OIF, twin.link);
    if (prefix)
        message.add(RTA_DST, Be32(prefix->address.value & prefix->mask()));
    else
        message.add(RTA_GATEWAY, wire(*twin.gateway));
    return netlink.request(message);
}

int change_rule(Netlink& netlink, int type, int flags, const Twin& twin, Ipv4Addr source) {
    fib_rule_hdr rule{};
    rule.family = AF_INET;
    rule.src_len = 32;
    rule.action = FR_ACT_TO_TBL;
    return netlink.request(NetlinkMessage(type, flags, rule)
                               .add(FRA_SRC, wire(source))
                               .add(FRA_TABLE, twin.table)
                               .add(FRA_PRIORITY, twin.table)
                               .add(FRA_PROTOCOL, kOwner));
}

void set_sysctl(const Twin& twin, const std::string& key, const std::string& value) {
    const int error = write_sysctl("/proc/sys/net/ipv4/conf/" + twin.interface + "/" + key, value);
    if (error != 0)
        fail(twin, "set net.ipv4.conf." + twin.interface + "." + key + " to " + value, error);
}

void set_up_link(Netlink& netlink, const Twin& twin, Undo& undo) {
    ifinfomsg link{};
    link.ifi_index = twin.link;
    int error = netlink.request(NetlinkMessage(RTM_NEWLINK, 0, link).add(IFLA_ADDRESS, twin.mac));
    if (error != 0) fail(twin, "give " + twin.interface + " the MAC " + to_string(twin.mac), error);
    error = netlink.request(
        NetlinkMessage(RTM_NEWLINK, 0, link).add(IFLA_MTU, std::uint32_t{twin.mtu}));
    if (error != 0)
        fail(twin, "give " + twin.interface + " the MTU " + std::to_string(twin.mtu), error);
    // Only the port that carries an address answers ARP for it.
    set_sysctl(twin, "arp_ignore", "1");
    // Clients may come in on one port and be reached through another; the host's strict setting
    // would drop them here. Loose (2) is the least strict value that overrides `all`.
    set_sysctl(twin, "rp_filter", "2");
    error = set_link(netlink, twin, true);
    if (error != 0) fail(twin, "bring " + twin.interface + " up", error);
    undo.add([&netlink, twin] { (void)set_link(netlink, twin, false); });
}

void add_address(Netlink& netlink, const Twin& twin, const Ipv4Prefix& prefix) {
    const int error = change_address(netlink, RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, twin, prefix);
    if (error == EEXIST)
        throw Error("port " + twin.port + ": " + twin.interface + " already has the address " +
                    to_string(prefix) +
                    " from another program; remove it there, or leave a vip's address to that "
                    "program with announce = false");
    if (error != 0) fail(twin, "add address " + to_string(prefix) + " to " + twin.interface, error);
}

void add_rule(Netlink& netlink, const Twin& twin, Ipv4Addr source) {
    const int error = change_rule(netlink, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, twin, source);
    if (error != 0) fail(twin, "add the routing rule from " + to_string(source), error);
}

void remove_address(Netlink& netlink, const Twin& twin, const Ipv4Prefix& prefix) {
    (void)change_address(netlink, RTM_DELADDR, 0, twin, prefix);
}

void remove_rule(Netlink& netlink, const Twin& twin, Ipv4Addr source) {
    (void)change_rule(netlink, RTM_DELRULE, 0, twin, source);
}

/// Returns the source addresses that use the twin's own table. Each has a rule, including those
/// that other programs add.
std::vector<Ipv4Addr> sources_of(const Twin& twin) {
    std::vector<Ipv4Addr> sources;
    if (!twin.gateway) return sources;
    for (const Ipv4Prefix& prefix : twin.addresses)
        sources.push_back(prefix.address);
    sources.insert(sources.end(), twin.lent.begin(), twin.lent.end());
    return sources;
}

/// Returns the items of `these` that are not in `those`.
template <typename Item>
std::vector<Item> missing(const std::vector<Item>& these, const std::vector<Item>& those) {
    std::vector<Item> found;
    for (const Item& item : these)
        if (std::ranges::find(those, item) == those.end()) found.push_back(item);
    return found;
}

/// Prefers the table attribute of a dumped message: the header holds only 8 bits.
std::uint32_t table_of(std::uint8_t header, const NetlinkAttributes& attributes, int attribute) {
    return attributes.get<std::uint32_t>(attribute).value_or(header);
}

bool is_ours(std::uint32_t table) {
    return table >= kFirstTable && table < kFirstTable + kMaxPorts;
}

} // namespace

Undo::~Undo() {
    for (auto step = steps_.rbegin(); step != steps_.rend(); ++step) {
        try {
            (*step)();
        } catch (...) { // out of memory: the next start removes the rest
        }
    }
}

std::vector<Twin> plan_twins(const Config& config, const std::vector<TwinPort>& ports) {
    std::vector<Twin> twins;
    for (std::size_t i = 0; i < ports.size(); ++i) {
        Twin twin;
        twin.port = config.ports[i].name;
        twin.interface = ports[i].twin;
        twin.link = static_cast<int>(if_nametoindex(ports[i].twin.c_str()));
        if (twin.link == 0)
            throw Error("port " + twin.port + ": there is no interface " + twin.interface);
        twin.mac = ports[i].mac;
        twin.mtu = ports[i].mtu;
        twin.addresses = config.ports[i].addresses;
        twin.gateway = config.ports[i].gateway;
        twin.table = kFirstTable + static_cast<std::uint32_t>(i);
        twins.push_back(std::move(twin));
    }
    for (const VipConfig& vip : config.vips) {
        const Ipv4Addr address = vip.endpoint.address;
        if (twins.empty()) break;
        Twin& twin = twins[index(link_of_vip(address, config))];
        if (std::ranges::find(twin.addresses, address, &Ipv4Prefix::address) !=
                twin.addresses.end() ||
            std::ranges::find(twin.lent, address) != twin.lent.end())
            continue; // also another VIP's address
        if (vip.announce)
            twin.addresses.push_back({address, 32});
        else
            twin.lent.push_back(address);
    }
    return twins;
}

int add_gateway_routes(Netlink& netlink, const Twin& twin) {
    // The table also needs the link routes; otherwise neighbours would be reached through the
    // gateway.
    for (const Ipv4Prefix& prefix : twin.addresses) {
        if (prefix.length == 32) continue;
        const int error =
            change_route(netlink, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, twin, prefix);
        if (error != 0 && error != EEXIST) return error;
    }
    const int error =
        change_route(netlink, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, twin, std::nullopt);
    return error == EEXIST ? 0 : error;
}

void set_up_twin(Netlink& netlink, Twin& twin, Undo& undo) {
    const std::vector<Ipv4Prefix> wanted = std::exchange(twin.addresses, {});
    set_up_link(netlink, twin, undo);
    undo.add([&netlink, &twin] {
        for (const Ipv4Addr source : sources_of(twin))
            remove_rule(netlink, twin, source);
        for (const Ipv4Prefix& prefix : twin.addresses)
            remove_address(netlink, twin, prefix);
    });
    for (const Ipv4Prefix& prefix : wanted) {
        add_address(netlink, twin, prefix);
        twin.addresses.push_back(prefix);
    }
    if (!twin.gateway) return;
    undo.add([&netlink, twin] {
        (void)change_route(netlink, RTM_DELROUTE, 0, twin, std::nullopt);
        for (const Ipv4Prefix& prefix : twin.addresses)
            if (prefix.length < 32) (void)change_route(netlink, RTM_DELROUTE, 0, twin, prefix);
    });
    const int error = add_gateway_routes(netlink, twin);
    if (error != 0) fail(twin, "add the route through gateway " + to_string(*twin.gateway), error);
    for (const Ipv4Addr source : sources_of(twin))
        add_rule(netlink, twin, source);
}

void change_addresses(Netlink& netlink, std::vector<Twin>& twins, const std::vector<Twin>& wanted) {
    Undo undo;
    for (std::size_t i = 0; i < twins.size(); ++i) {
        for (const Ipv4Prefix& prefix : missing(wanted[i].addresses, twins[i].addresses)) {
            add_address(netlink, twins[i], prefix);
            undo.add([&, i, prefix] { remove_address(netlink, twins[i], prefix); });
        }
        for (const Ipv4Addr source : missing(sources_of(wanted[i]), sources_of(twins[i]))) {
            add_rule(netlink, twins[i], source);
            undo.add([&, i, source] { remove_rule(netlink, twins[i], source); });
        }
    }
    undo.forget();
    for (std::size_t i = 0; i < twins.size(); ++i) {
        for (const Ipv4Addr source : missing(sources_of(twins[i]), sources_of(wanted[i])))
            remove_rule(netlink, twins[i], source);
        for (const Ipv4Prefix& prefix : missing(twins[i].addresses, wanted[i].addresses))
            remove_address(netlink, twins[i], prefix);
        twins[i].addresses = wanted[i].addresses;
        twins[i].lent = wanted[i].lent;
    }
}

void remove_leftovers(Netlink& netlink) {
    std::vector<NetlinkMessage> removals;
    fib_rule_hdr rules{};
    rules.family = AF_INET;
    (void)netlink.dump(NetlinkMessage(RTM_GETRULE, NLM_F_DUMP, rules), [&](const nlmsghdr* found) {
        const auto* rule = static_cast<const fib_rule_hdr*>(nlmsg_data(found));
        const NetlinkAttributes attributes(found, sizeof *rule);
        if (!is_ours(table_of(rule->table, attributes, FRA_TABLE)) ||
            attributes.get<std::uint8_t>(FRA_PROTOCOL) != kOwner)
            return;
        NetlinkMessage removal(RTM_DELRULE, 0, *rule);
        removal.add_all(attributes);
        removals.push_back(std::move(removal));
    });
    rtmsg routes{};
    routes.rtm_family = AF_INET;
    routes.rtm_protocol = kOwner;
    (void)netlink.dump(NetlinkMessage(RTM_GETROUTE, NLM_F_DUMP, routes),
                       [&](const nlmsghdr* found) {
                           const auto* route = static_cast<const rtmsg*>(nlmsg_data(found));
                           const NetlinkAttributes attributes(found, sizeof *route);
                           if (route->rtm_protocol != kOwner ||
                               !is_ours(table_of(route->rtm_table, attributes, RTA_TABLE)))
                               return;
                           NetlinkMessage removal(RTM_DELROUTE, 0, *route);
                           removal.add_all(attributes);
                           removals.push_back(std::move(removal));
                       });
    for (const NetlinkMessage& removal : removals)
        (void)netlink.request(removal);
}

} // namespace viaduct
