// SPDX-License-Identifier: Apache-2.0
#include "host/shared_interface.hpp"

#include "config/config.hpp"
#include "host/host_network.hpp"

#include <algorithm>
#include <array>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

namespace viaduct {
namespace {

bool overlap(const Ipv4Prefix& one, const Ipv4Prefix& other) {
    const std::uint32_t mask = std::min(one.mask(), other.mask());
    return (one.address.value & mask) == (other.address.value & mask);
}

/// Returns the twin that has, or may be given, this exact address.
const Twin* owner(Ipv4Addr address, bool is_shared, const std::vector<Twin>& twins) {
    for (const Twin& twin : twins)
        if (std::ranges::find(twin.addresses, address, &Ipv4Prefix::address) !=
                twin.addresses.end() ||
            (is_shared && std::ranges::find(twin.lent, address) != twin.lent.end()))
            return &twin;
    return nullptr;
}

} // namespace

std::optional<Objection> objection_to(const nlmsghdr* message,
                                      const std::vector<Twin>& twins,
                                      const std::vector<TwinPort>& ports) {
    const auto* header = static_cast<const ifaddrmsg*>(nlmsg_data(message));
    const auto local = NetlinkAttributes(message, sizeof *header).get<Be32>(IFA_LOCAL);
    const auto link = static_cast<int>(header->ifa_index);
    std::array<char, IF_NAMESIZE> buffer{};
    if (header->ifa_family != AF_INET || !local ||
        if_indextoname(header->ifa_index, buffer.data()) == nullptr ||
        std::ranges::find(twins, link, &Twin::link) != twins.end())
        return std::nullopt;
    const std::string name = buffer.data();
    if (name == "lo") return std::nullopt; // answers no ARP, and no route leads there
    const Ipv4Prefix prefix{Ipv4Addr{local->host()}, header->ifa_prefixlen};
    const std::string has = name + " has the address " + to_string(prefix);
    const std::string remedy = "; ip address del " + to_string(prefix) + " dev " + name;

    const auto port = std::ranges::find(ports, name, &TwinPort::interface);
    const bool is_shared = port != ports.end();
    if (const Twin* const twin = owner(prefix.address, is_shared, twins))
        return Objection{"port " + twin->port + ": " + has + ", which must be only on the twin " +
                             twin->interface +
                             ": otherwise ping, ssh and routing daemons get no answer" + remedy,
                         true,
                         prefix.address};
    if (!is_shared) return std::nullopt;
    const Twin& own = twins[static_cast<std::size_t>(port - ports.begin())];
    const bool hides = std::ranges::any_of(
        own.addresses, [&](const Ipv4Prefix& one) { return overlap(one, prefix); });
    return Objection{
        "port " + own.port + ": " + has + ", which cannot be reached while viaductd runs" +
            (hides ? ", and the kernel may look there for hosts on the twin " + own.interface : "") +
            remedy,
        false,
        prefix.address};
}

bool is_new(Ipv4Addr address, const std::vector<Twin>& wanted, const std::vector<Twin>& now) {
    return owner(address, true, wanted) != nullptr && owner(address, true, now) == nullptr;
}

std::vector<Objection>
objections(Netlink& netlink, const std::vector<Twin>& twins, const std::vector<TwinPort>& ports) {
    std::vector<Objection> found;
    ifaddrmsg header{};
    header.ifa_family = AF_INET;
    (void)netlink.dump(NetlinkMessage(RTM_GETADDR, NLM_F_DUMP, header),
                       [&](const nlmsghdr* message) {
                           if (auto objection = objection_to(message, twins, ports))
                               found.push_back(std::move(*objection));
                       });
    return found;
}

} // namespace viaduct
