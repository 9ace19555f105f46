// SPDX-License-Identifier: Apache-2.0
#include "host/address_watch.hpp"

#include "viaduct/error.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cstring>
#include <linux/if_addr.h>
#include <linux/if_packet.h>
#include <linux/rtnetlink.h>
#include <net/ethernet.h>
#include <set>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace viaduct {
namespace {

constexpr unsigned kAnnouncements = 2;                // RFC 5227 §1.1: ANNOUNCE_NUM
constexpr std::chrono::seconds kAnnounceInterval{2};  // ANNOUNCE_INTERVAL
constexpr std::chrono::milliseconds kFirstProbe{500}; // backends' MACs are known by then
constexpr unsigned kSentPerTick = 32;                 // the kernel uses the twin's queue as well
constexpr unsigned kReadAtOnce = 64;

constexpr MacAddr kEverybody{{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
constexpr std::uint16_t kRequest = 1;
constexpr std::uint16_t kReply = 2;

struct ArpFrame { // RFC 826 over Ethernet
    EtherHeader ether;
    Be16 hardware_type;
    Be16 protocol_type;
    std::uint8_t hardware_length;
    std::uint8_t protocol_length;
    Be16 operation;
    MacAddr sender_mac;
    Be32 sender;
    MacAddr target_mac;
    Be32 target;
};
static_assert(sizeof(ArpFrame) == 42 && alignof(ArpFrame) == 1);

int open_socket(int link) {
    const int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, htons(ETHERTYPE_ARP));
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(ETHERTYPE_ARP);
    address.sll_ifindex = link;
    if (fd >= 0 && bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0)
        return fd;
    const int error = errno;
    if (fd >= 0) close(fd);
    throw Error(std::string("cannot open a packet socket for ARP: ") + std::strerror(error));
}

} // namespace

AddressWatch::AddressWatch(std::vector<Link> links, Loop& loop)
    : links_(std::move(links)), loop_(loop) {
    try {
        for (const Link& link : links_)
            sockets_.push_back(open_socket(link.index));
    } catch (...) {
        for (const int fd : sockets_)
            close(fd);
        throw;
    }
    for (std::size_t i = 0; i < sockets_.size(); ++i)
        loop_.watch(sockets_[i], EPOLLIN, [this, i](std::uint32_t) {
            hear(static_cast<LinkId>(i), sockets_[i]);
        });
}

AddressWatch::~AddressWatch() {
    for (const int fd : sockets_) {
        loop_.forget(fd);
        close(fd);
    }
}

int AddressWatch::read_all(Netlink& netlink, TimePoint now) {
    std::set<Station> before;
    for (const auto& [address, held] : held_)
        before.insert(address);
    ifaddrmsg header{};
    header.ifa_family = AF_INET;
    const int error =
        netlink.dump(NetlinkMessage(RTM_GETADDR, NLM_F_DUMP, header), [&](const nlmsghdr* message) {
            const auto address = station_of(message);
            if (!address) return;
            before.erase(*address);
            hold(*address, now);
        });
    if (error != 0) return error;
    for (const Station& address : before)
        leave(address);
    return 0;
}

std::optional<Station> AddressWatch::station_of(const nlmsghdr* message) const {
    const auto* header = static_cast<const ifaddrmsg*>(nlmsg_data(message));
    const auto link = std::ranges::find(links_, static_cast<int>(header->ifa_index), &Link::index);
    const auto address = NetlinkAttributes(message, sizeof *header).get<Be32>(IFA_LOCAL);
    if (header->ifa_family != AF_INET || link == links_.end() || !address) return std::nullopt;
    return Station{static_cast<LinkId>(link - links_.begin()), Ipv4Addr{address->host()}};
}

void AddressWatch::take(const nlmsghdr* message, TimePoint now) {
    const std::optional<Station> address = station_of(message);
    if (!address) return;
    if (message->nlmsg_type == RTM_NEWADDR)
        hold(*address, now);
    else
        leave(*address);
}

void AddressWatch::hold(const Station& address, TimePoint now) {
    if (held_.contains(address)) return;
    held_[address] = {kAnnouncements, now, now + kFirstProbe, {}};
    tick(now);
}

void AddressWatch::leave(const Station& address) {
    const auto held = held_.find(address);
    if (held == held_.end()) return;
    for (const Other& other : held->second.others)
        news_.push_back({address, other.mac, false, true});
    held_.erase(held);
}

void AddressWatch::announce(LinkId link, TimePoint now) {
    for (auto& [address, held] : held_) {
        if (address.link != link) continue;
        held.announcements = kAnnouncements;
        held.announce_at = now;
    }
    tick(now);
}

void AddressWatch::tick(TimePoint now) {
    unsigned sent = 0;
    for (auto& [address, held] : held_) {
        std::erase_if(held.others, [&, &where = address](const Other& other) {
            if (now - other.heard < kGone) return false;
            news_.push_back({where, other.mac, false});
            return true;
        });
        if (sent >= kSentPerTick) continue; // the rest at the next tick
        if (held.announcements > 0 && held.announce_at <= now) {
            --held.announcements;
            held.announce_at = now + kAnnounceInterval;
            send(address, address.address);
            ++sent;
        }
        if (held.probe_at <= now) {
            held.probe_at = now + (held.others.empty() ? kProbePeriod : kQuickPeriod);
            send(address, Ipv4Addr{});
            ++sent;
        }
    }
}

/// Sends an announcement if `sender` is the address itself, a probe if it is 0.0.0.0. A twin
/// without carrier loses it; it is sent again when the link comes up.
void AddressWatch::send(const Station& address, Ipv4Addr sender) const {
    const MacAddr& mac = links_[index(address.link)].mac;
    const ArpFrame frame{{kEverybody, mac, Be16(ETHERTYPE_ARP)},
                         Be16(1),
                         Be16(kEtherTypeIpv4),
                         6,
                         4,
                         Be16(kRequest),
                         mac,
                         Be32(sender.value),
                         MacAddr{},
                         Be32(address.address.value)};
    static_cast<void>(::send(sockets_[index(address.link)], &frame, sizeof frame, MSG_DONTWAIT));
}

void AddressWatch::hear(LinkId link, int fd) {
    const TimePoint now = Clock::now();
    std::array<std::byte, sizeof(ArpFrame)> bytes{}; // padding after the frame is cut off
    for (unsigned i = 0; i < kReadAtOnce; ++i) {
        const ssize_t got = recv(fd, bytes.data(), bytes.size(), 0);
        if (got < 0) return; // no more data, or the twin is down, which is reported once
        take_frame(link, bytes.data(), static_cast<std::size_t>(got), now);
    }
}

void AddressWatch::take_frame(LinkId link,
                              const std::byte* bytes,
                              std::size_t length,
                              TimePoint now) {
    ArpFrame frame;
    if (length < sizeof frame) return;
    std::memcpy(&frame, bytes, sizeof frame);
    if (frame.hardware_type != Be16(1) || frame.protocol_type != Be16(kEtherTypeIpv4) ||
        (frame.operation != Be16(kRequest) && frame.operation != Be16(kReply)))
        return;
    const Station address{link, Ipv4Addr{frame.sender.host()}};
    const auto held = held_.find(address);
    const MacAddr& mac = frame.sender_mac;
    if (held == held_.end() || std::ranges::find(links_, mac, &Link::mac) != links_.end()) return;
    std::vector<Other>& others = held->second.others;
    const auto known = std::ranges::find(others, mac, &Other::mac);
    if (known != others.end()) {
        known->heard = now;
        return;
    }
    if (others.size() >= kMaxOthers) return;
    others.push_back({mac, now});
    held->second.probe_at = std::min(held->second.probe_at, now + kQuickPeriod);
    news_.push_back({address, mac, true});
}

std::vector<MacAddr> AddressWatch::others(const Station& address) const {
    std::vector<MacAddr> macs;
    if (const auto held = held_.find(address); held != held_.end())
        for (const Other& other : held->second.others)
            macs.push_back(other.mac);
    return macs;
}

} // namespace viaduct
