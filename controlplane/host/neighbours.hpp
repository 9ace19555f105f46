// SPDX-License-Identifier: Apache-2.0
//
// neighbours: who has which MAC on our ports, as the kernel's neighbour table knows it.
//
// In:    RTM_NEWNEIGH and RTM_DELNEIGH messages. Out: MACs by station, and requests to resolve.
// Cost:  one map operation per message; for the rate limit at most kMaxAsked
//        unknown addresses are remembered, and the known ones.
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

    /// `links` are the interface indices of the twins, by PortId.
    explicit Neighbours(std::vector<int> links);
    ~Neighbours(); ///< removes the managed entries; never throws
    Neighbours(const Neighbours&) = delete;
    Neighbours& operator=(const Neighbours&) = delete;

    /// Reads the whole table afresh. 0, or an errno; then what was known stays.
    [[nodiscard]] int read_all();
    /// Takes one message of the kernel; others than neighbours of our ports change nothing.
    void take(const nlmsghdr* message);
    /// True once after anything changed.
    [[nodiscard]] bool take_changed() noexcept { return std::exchange(changed_, false); }

    [[nodiscard]] std::optional<MacAddr> mac_of(const Station& station) const;
    [[nodiscard]] std::vector<NeighbourMap::Entry> usable() const;

    /// Has the kernel resolve the station and keep it resolved (NTF_EXT_MANAGED) until we are gone,
    /// even when routes no longer lead to it: gateways keep their HopId, and few ever change.
    /// 0, also for one that is managed already, or an errno.
    int manage(const Station& station);
    /// Leaves the others to the kernel.
    void manage_only(const std::set<Station>& wanted);
    /// Enters managed stations again that failed to answer (the kernel itself would try again after
    /// 5 s) or that were dropped (twin down and up, `ip neigh`). An operator's permanent entry
    /// stays.
    void restore_managed();
    /// Has the kernel resolve or confirm the station once; at most once a second for each.
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
    Netlink asker_; ///< of its own: what a dump says may make us ask at once
    std::vector<int> links_;
    std::map<Station, Known> known_; ///< bounded by the kernel's own table
    std::set<Station> managed_;
    std::map<Station, TimePoint> asked_;
    TimePoint swept_{}; ///< when old ones were last taken out of asked_
    bool changed_ = false;
};

} // namespace viaduct
