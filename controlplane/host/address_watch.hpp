// SPDX-License-Identifier: Apache-2.0
//
// address_watch: announces our addresses on the link, and detects other stations that use them.
//
// In:    the addresses on the twins (netlink), whoever added them; ARP frames that reach the twins,
//        which are hostile.
// Out:   each address announced twice when it is new or the link has come back; other stations that
//        claim it.
// Cost:  a map lookup per ARP frame; a probe per address in kProbePeriod.
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
    static constexpr std::chrono::milliseconds kQuickPeriod{1000}; ///< while others claim it
    static constexpr std::chrono::milliseconds kGone{3500};        ///< silence until it is gone
    static constexpr std::size_t kMaxOthers = 4; ///< per address; further stations are ignored

    struct Link {
        int index = 0; ///< of the twin
        MacAddr mac;
    };
    /// Another station started or stopped claiming the address.
    struct News {
        Station address;
        MacAddr other;
        bool is_there = false;
        bool has_left = false; ///< it is no longer our address
    };

    /// `links` is indexed by LinkId. Throws Error when the kernel refuses a packet socket.
    AddressWatch(std::vector<Link> links, Loop& loop);
    ~AddressWatch();
    AddressWatch(const AddressWatch&) = delete;
    AddressWatch& operator=(const AddressWatch&) = delete;

    /// Reads all addresses of the twins again. Returns 0 or an errno; after an error the known ones
    /// stay.
    [[nodiscard]] int read_all(Netlink& netlink, TimePoint now);
    /// Handles RTM_NEWADDR or RTM_DELADDR.
    void take(const nlmsghdr* message, TimePoint now);
    /// Announces all addresses of the port again.
    void announce(LinkId link, TimePoint now);
    /// Sends due announcements and probes.
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
    /// Returns the address in the message; empty: not on a twin.
    [[nodiscard]] std::optional<Station> station_of(const nlmsghdr* message) const;
    void hold(const Station& address, TimePoint now);
    void leave(const Station& address);
    void send(const Station& address, Ipv4Addr sender) const;
    void hear(LinkId link, int fd);
    void take_frame(LinkId link, const std::byte* bytes, std::size_t length, TimePoint now);

    std::vector<Link> links_;
    Loop& loop_;
    std::vector<int> sockets_; ///< by LinkId
    std::map<Station, Held> held_;
    std::vector<News> news_;
};

} // namespace viaduct
