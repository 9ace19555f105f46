// SPDX-License-Identifier: Apache-2.0
//
// address_watch: tells the segment where our addresses are, and finds out who else has them.
//
// In:    the addresses that the twins have (netlink), whoever put them there; ARP frames that reach
//        the twins, which are hostile.
// Out:   each address announced twice when it is new or the link has come back; other stations that
//        say they have it.
// Cost:  a map look-up per ARP frame; a probe per address in kProbePeriod.
// Spec:  RFC 826, RFC 5227 §1.1 (probe, announcement), §2.3, §2.4.
#pragma once

#include "host/netlink.hpp"
#include "host/next_hop_table.hpp"
#include "loop.hpp"

#include <map>
#include <optional>
#include <utility>
#include <vector>

namespace viaduct {

class AddressWatch {
public:
    static constexpr std::chrono::milliseconds kProbePeriod{10'000};
    static constexpr std::chrono::milliseconds kQuickPeriod{1000}; ///< while others have it, too
    static constexpr std::chrono::milliseconds kGone{3500};        ///< silent for so long
    static constexpr std::size_t kMaxOthers = 4; ///< of one address; further ones are not looked at

    struct Link {
        int index = 0; ///< of the twin
        MacAddr mac;
    };
    /// Another station began or ceased to say that it has the address.
    struct News {
        Station address;
        MacAddr other;
        bool is_there = false;
        bool has_left = false; ///< it is ours no more
    };

    /// `links` by PortId. Throws Error when the kernel gives no packet socket.
    AddressWatch(std::vector<Link> links, Loop& loop);
    ~AddressWatch();
    AddressWatch(const AddressWatch&) = delete;
    AddressWatch& operator=(const AddressWatch&) = delete;

    /// Reads all addresses of the twins afresh. 0, or an errno; then what was known stays.
    [[nodiscard]] int read_all(Netlink& netlink, TimePoint now);
    /// Takes RTM_NEWADDR or RTM_DELADDR.
    void take(const nlmsghdr* message, TimePoint now);
    /// Announces all addresses of the port again.
    void announce(PortId port, TimePoint now);
    /// Sends what is due.
    void tick(TimePoint now);

    [[nodiscard]] bool has(const Station& address) const { return held_.contains(address); }
    [[nodiscard]] std::vector<MacAddr> others(const Station& address) const;
    [[nodiscard]] std::vector<News> take_news() { return std::exchange(news_, {}); }

private:
    struct Other {
        MacAddr mac;
        TimePoint heard;
    };
    struct Held {
        unsigned announcements = 0; ///< still to be sent
        TimePoint announce_at;
        TimePoint probe_at;
        std::vector<Other> others;
    };
    /// Whose address the message tells of; nothing: no twin's.
    [[nodiscard]] std::optional<Station> station_of(const nlmsghdr* message) const;
    void hold(const Station& address, TimePoint now);
    void leave(const Station& address);
    void send(const Station& address, Ipv4Addr sender) const;
    void hear(PortId port, int fd);
    void take_frame(PortId port, const std::byte* bytes, std::size_t length, TimePoint now);

    std::vector<Link> links_;
    Loop& loop_;
    std::vector<int> sockets_; ///< by PortId
    std::map<Station, Held> held_;
    std::vector<News> news_;
};

} // namespace viaduct
