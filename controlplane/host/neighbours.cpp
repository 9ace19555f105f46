// SPDX-License-Identifier: Apache-2.0
//
// neighbours: raw rtnetlink, because libnl does not support managed entries.
// Spec:  RFC 826 (ARP), RFC 4861 §7.3.2 (the states, which the kernel also uses for ARP).
#include "host/neighbours.hpp"

#include <algorithm>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

namespace viaduct {
namespace {

constexpr std::uint16_t kUsable =
    NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT | NUD_NOARP;
constexpr auto kAskAgain = std::chrono::seconds(1);

ndmsg header(int link) {
    ndmsg neighbour{};
    neighbour.ndm_family = AF_INET;
    neighbour.ndm_ifindex = link;
    return neighbour;
}

} // namespace

Neighbours::Neighbours(std::vector<int> links) : links_(std::move(links)) {}

Neighbours::~Neighbours() {
    for (const Station& station : managed_) {
        try {
            release(station);
        } catch (...) { // out of memory; the entries go away with the twin
        }
    }
}

int Neighbours::read_all() {
    std::map<Station, Known> before;
    before.swap(known_);
    const auto take_one = [this](const nlmsghdr* message) { take(message); };
    const int error = reader_.dump(NetlinkMessage(RTM_GETNEIGH, NLM_F_DUMP, header(0)), take_one);
    if (error != 0 && error != EINTR) known_ = before;
    for (const Station& station : managed_) { // same rule as in take()
        const auto was = before.find(station);
        if (was == before.end() || !was->second.mac) continue;
        const auto [now, is_gone] = known_.try_emplace(station);
        if (is_gone || now->second.state == NUD_INCOMPLETE) now->second.mac = was->second.mac;
    }
    changed_ = changed_ || known_ != before;
    return error;
}

void Neighbours::take(const nlmsghdr* message) {
    if (message->nlmsg_type != RTM_NEWNEIGH && message->nlmsg_type != RTM_DELNEIGH) return;
    const auto* neighbour = static_cast<const ndmsg*>(nlmsg_data(message));
    const auto link = std::find(links_.begin(), links_.end(), neighbour->ndm_ifindex);
    const NetlinkAttributes attributes(message, sizeof *neighbour);
    const auto address = attributes.get<Be32>(NDA_DST);
    if (neighbour->ndm_family != AF_INET || neighbour->ndm_type != RTN_UNICAST ||
        link == links_.end() || !address)
        return;
    const Station station{static_cast<LinkId>(link - links_.begin()), Ipv4Addr{address->host()}};
    const bool is_managed = managed_.contains(station);
    const auto before = known_.find(station);
    if (message->nlmsg_type == RTM_DELNEIGH) {
        // A full kernel table (gc_thresh) drops good entries. Enter this one again at once, and
        // keep its MAC until the kernel reports it.
        if (is_managed && before != known_.end() && (neighbour->ndm_state & kUsable) != 0) {
            before->second.managed = false;
            (void)enter(station, NTF_EXT_MANAGED);
            return;
        }
        changed_ = known_.erase(station) > 0 || changed_;
        return;
    }
    const std::uint32_t flags = attributes.get<std::uint32_t>(NDA_FLAGS_EXT).value_or(0);
    Known now{neighbour->ndm_state, (flags & NTF_EXT_MANAGED) != 0, std::nullopt};
    if ((now.state & kUsable) != 0) now.mac = attributes.get<MacAddr>(NDA_LLADDR);
    if (now.state == NUD_INCOMPLETE && is_managed && before != known_.end())
        now.mac = before->second.mac; // being resolved again
    Known& known = known_[station];
    changed_ = changed_ || known.mac != now.mac;
    known = now;
    // Only we use a client's entry, so nothing else would make the kernel verify it. Managed
    // entries are kept fresh by the kernel.
    if ((now.state & NUD_STALE) != 0 && !is_managed) ask(station, Clock::now());
}

std::optional<MacAddr> Neighbours::mac_of(const Station& station) const {
    const auto found = known_.find(station);
    return found == known_.end() ? std::nullopt : found->second.mac;
}

std::vector<NeighbourMap::Entry> Neighbours::usable() const {
    std::vector<NeighbourMap::Entry> entries;
    for (const auto& [station, known] : known_)
        if (known.mac) entries.push_back({station.link, station.address, *known.mac});
    return entries;
}

int Neighbours::enter(const Station& station, std::uint32_t extended_flags) {
    ndmsg neighbour = header(links_[index(station.link)]);
    neighbour.ndm_flags = NTF_USE;
    NetlinkMessage message(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_REPLACE, neighbour);
    message.add(NDA_DST, Be32(station.address.value));
    if (extended_flags != 0) message.add(NDA_FLAGS_EXT, extended_flags);
    return asker_.request(message);
}

int Neighbours::manage(const Station& station) {
    if (!managed_.insert(station).second) return 0;
    return enter(station, NTF_EXT_MANAGED);
}

void Neighbours::release(const Station& station) {
    (void)asker_.request(NetlinkMessage(RTM_DELNEIGH, 0, header(links_[index(station.link)]))
                             .add(NDA_DST, Be32(station.address.value)));
}

void Neighbours::manage_only(const std::set<Station>& wanted) {
    for (const Station& station : managed_)
        if (!wanted.contains(station)) release(station);
    std::erase_if(managed_, [&](const Station& station) { return !wanted.contains(station); });
}

void Neighbours::restore_managed() {
    for (const Station& station : managed_) {
        const auto found = known_.find(station);
        const bool fine = found != known_.end() &&
                          ((found->second.state & NUD_PERMANENT) != 0 ||
                           (found->second.managed && (found->second.state & NUD_FAILED) == 0));
        if (!fine) (void)enter(station, NTF_EXT_MANAGED);
    }
}

void Neighbours::ask(const Station& station, TimePoint now) {
    if (asked_.size() >= kMaxAsked && now - swept_ >= kAskAgain) {
        swept_ = now; // walks over all entries: not for every miss of a flood
        std::erase_if(asked_, [&](const auto& entry) { return now - entry.second >= kAskAgain; });
    }
    const auto last = asked_.find(station);
    // Known clients are asked for even in a flood: their entries would stay stale otherwise, and a
    // full kernel table drops stale entries first.
    if (last == asked_.end() && asked_.size() >= kMaxAsked && !mac_of(station)) return;
    if (last != asked_.end() && now - last->second < kAskAgain) return;
    asked_[station] = now;
    (void)enter(station, 0);
}

} // namespace viaduct
