// SPDX-License-Identifier: Apache-2.0
//
// neighbours: MACs of stations on our ports, from the kernel's neighbour table.
//
// In:    RTM_NEWNEIGH and RTM_DELNEIGH messages.
// Out:   MACs by station, and requests to resolve.
// Cost:  one map operation per message. The rate limit remembers the known addresses and at most
//        kMaxAsked unknown ones.
#pragma once

#include "host/netlink.hpp"
#include "host/next_hop_table.hpp"
#include "loop.hpp"

#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

namespace viaduct {

class Neighbours {
public:
    static constexpr std::size_t kMaxAsked = 4096;

    /// `links` are the interface indices of the twins, by LinkId.
    explicit Neighbours(std::vector<int> links);
    ~Neighbours(); ///< removes the managed entries; never throws
    Neighbours(const Neighbours&) = delete;
    Neighbours& operator=(const Neighbours&) = delete;

    /// Reads the whole table again. Returns 0 or an errno; after an error the known entries stay.
    [[nodiscard]] int read_all();
    /// Handles a message of the kernel; ignores all but neighbours on our ports.
    void take(const nlmsghdr* message);
    /// Returns true once after a change.
    [[nodiscard]] bool take_changed() noexcept { return std::exchange(changed_, false); }

    [[nodiscard]] std::optional<MacAddr> mac_of(const Station& station) const;
    [[nodiscard]] std::vector<NeighbourMap::Entry> usable() const;

    /// Makes the kernel resolve the station and keep it resolved (NTF_EXT_MANAGED) until we exit,
    /// even when routes no longer lead to it: gateways keep their HopId, and they rarely change.
    /// Returns 0, also for a managed station, or an errno.
    int manage(const Station& station);
    /// Stops managing all other stations.
    void manage_only(const std::set<Station>& wanted);
    /// Enters managed stations again that failed to answer (the kernel would try again only after 5
    /// s) or that were dropped (twin down and up, `ip neigh`). An operator's permanent entry stays.
    void restore_managed();
    /// Makes the kernel resolve or confirm the station once; at most once a second for each.
    void ask(const Station& station, TimePoint now);

private:
    struct Known {
        std::uint16_t state = 0; ///< NUD_*
        bool managed = false;
        std::optional<MacAddr> mac;

        bool operator==(const Known&) const = default;
    };
    void release(const Station& station);
    int enter(const Station& station, std::uint32_t extended_flags);

    Netlink reader_;
    Netlink asker_; ///< separate socket: a dump may cause requests at once
    std::vector<int> links_;
    std::map<Station, Known> known_; ///< bounded by the kernel's own table
    std::set<Station> managed_;
    std::map<Station, TimePoint> asked_;
    TimePoint swept_{}; ///< when old entries of asked_ were last removed
    bool changed_ = false;
};

} // namespace viaduct
