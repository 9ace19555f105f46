// SPDX-License-Identifier: Apache-2.0
//
// drop_filter: raw rtnetlink, because libnl supports neither direct-action nor classic bytecode.
//
// The program is `tc filter add dev X ingress bpf da bytecode '3,0 0 0 MARK,0 0 0 STATE,6 0 0 2'`:
// two loads without effect that hold the mark and the state to restore, and "return TC_ACT_SHOT".
// The kernel returns the bytecode in a dump; it keeps a name for eBPF programs only.
#include "host/drop_filter.hpp"

#include "viaduct/error.hpp"

#include <arpa/inet.h>
#include <array>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <memory>
#include <net/if.h>

namespace viaduct {
namespace {

constexpr std::uint32_t kMark = 0x56644472; // "VdDr"
// The state: the former value of disable_ipv6, and whether the clsact qdisc is ours.
constexpr std::uint32_t kIpv6WasOff = 1;
constexpr std::uint32_t kIpv6Unknown = 2; // no IPv6 in this kernel
constexpr std::uint32_t kOwnQdisc = 4;

constexpr std::uint32_t kIngress = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS);
constexpr std::uint32_t kEgress = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_EGRESS);

using Program = std::array<sock_filter, 3>;

struct Found {
    std::uint32_t handle = 0;
    std::uint32_t info = 0; // priority and protocol
    std::uint32_t state = 0;
};

std::string ipv6_switch(const std::string& interface) {
    return "/proc/sys/net/ipv6/conf/" + interface + "/disable_ipv6";
}

tcmsg header(int link, std::uint32_t parent) {
    tcmsg tc{};
    tc.tcm_family = AF_UNSPEC;
    tc.tcm_ifindex = link;
    tc.tcm_parent = parent;
    return tc;
}

/// Returns our filters at `parent`, and adds the number of foreign ones there to `foreign`.
std::vector<Found> find_filters(Netlink& netlink, int link, std::uint32_t parent, int& foreign) {
    std::vector<Found> found;
    const auto look = [&](const nlmsghdr* message) {
        const auto* tc = static_cast<const tcmsg*>(nlmsg_data(message));
        if (message->nlmsg_type != RTM_NEWTFILTER || tc->tcm_handle == 0) return;
        const NetlinkAttributes options =
            NetlinkAttributes(message, sizeof *tc).inside(TCA_OPTIONS);
        const auto program = options.get<Program>(TCA_BPF_OPS);
        const auto length = options.get<std::uint16_t>(TCA_BPF_OPS_LEN);
        if (length == 3 && program && (*program)[0].k == kMark && (*program)[0].code == 0)
            found.push_back({tc->tcm_handle, tc->tcm_info, (*program)[1].k});
        else
            ++foreign;
    };
    // Without clsact the dump is empty or refused; nothing is ours in either case.
    (void)netlink.dump(NetlinkMessage(RTM_GETTFILTER, NLM_F_DUMP, header(link, parent)), look);
    return found;
}

tcmsg clsact(int link) {
    tcmsg tc = header(link, TC_H_CLSACT);
    tc.tcm_handle = TC_H_MAKE(TC_H_CLSACT, 0);
    return tc;
}

/// Removes our filter, and the qdisc if it is ours and unused; restores IPv6.
void undo(Netlink& netlink, int link, const std::string& interface) {
    int foreign = 0;
    bool own_qdisc = false;
    for (const Found& ours : find_filters(netlink, link, kIngress, foreign)) {
        tcmsg tc = header(link, kIngress);
        tc.tcm_handle = ours.handle;
        tc.tcm_info = ours.info;
        (void)netlink.request(NetlinkMessage(RTM_DELTFILTER, 0, tc).add(TCA_KIND, "bpf"));
        own_qdisc = own_qdisc || (ours.state & kOwnQdisc) != 0;
        if ((ours.state & (kIpv6WasOff | kIpv6Unknown)) == 0)
            (void)write_sysctl(ipv6_switch(interface), "0");
    }
    find_filters(netlink, link, kEgress, foreign);
    if (own_qdisc && foreign == 0)
        (void)netlink.request(
            NetlinkMessage(RTM_DELQDISC, 0, clsact(link)).add(TCA_KIND, "clsact"));
}

int add_filter(Netlink& netlink, int link, std::uint32_t state) {
    const Program program{{
        {BPF_LD | BPF_IMM, 0, 0, kMark},
        {BPF_LD | BPF_IMM, 0, 0, state},
        {BPF_RET | BPF_K, 0, 0, TC_ACT_SHOT},
    }};
    tcmsg tc = header(link, kIngress);
    tc.tcm_info = TC_H_MAKE(0, htons(ETH_P_ALL));
    NetlinkMessage message(RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, tc);
    message.add(TCA_KIND, "bpf").open(TCA_OPTIONS);
    message.add(TCA_BPF_OPS_LEN, std::uint16_t{program.size()});
    message.add(TCA_BPF_OPS, program);
    message.add(TCA_BPF_FLAGS, std::uint32_t{TCA_BPF_FLAG_ACT_DIRECT});
    return netlink.request(message.close());
}

} // namespace

void remove_leftover_filters(Netlink& netlink) {
    const std::unique_ptr<struct if_nameindex, void (*)(struct if_nameindex*)> links(
        if_nameindex(), &if_freenameindex);
    for (const auto* link = links.get(); link != nullptr && link->if_index != 0; ++link)
        undo(netlink, static_cast<int>(link->if_index), link->if_name);
}

DropFilter::DropFilter(Netlink& netlink, const std::string& port, std::string interface)
    : netlink_(netlink), interface_(std::move(interface)),
      link_(static_cast<int>(if_nametoindex(interface_.c_str()))) {
    const auto fail = [&](const std::string& step, int error) {
        return Error("port " + port + ": cannot " + step + " " + interface_ + ": " +
                     std::strerror(error));
    };
    if (link_ == 0) throw fail("find interface", ENODEV);

    std::uint32_t state = read_sysctl(ipv6_switch(interface_)).value_or(kIpv6Unknown);
    int error =
        netlink_.request(NetlinkMessage(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_EXCL, clsact(link_))
                             .add(TCA_KIND, "clsact"));
    if (error != 0 && error != EEXIST) throw fail("add a clsact qdisc to", error);
    if (error == 0) state |= kOwnQdisc;

    error = add_filter(netlink_, link_, state);
    if (error != 0) {
        if ((state & kOwnQdisc) != 0)
            (void)netlink_.request(
                NetlinkMessage(RTM_DELQDISC, 0, clsact(link_)).add(TCA_KIND, "clsact"));
        throw fail("add the ingress drop filter (kernel option NET_CLS_BPF) to", error);
    }
    if ((state & (kIpv6WasOff | kIpv6Unknown)) == 0) {
        error = write_sysctl(ipv6_switch(interface_), "1");
        if (error != 0) {
            undo(netlink_, link_, interface_);
            throw fail("disable IPv6 on", error);
        }
    }
}

DropFilter::~DropFilter() {
    try {
        undo(netlink_, link_, interface_);
    } catch (...) { // out of memory: the next start finds the mark
    }
}

} // namespace viaduct
