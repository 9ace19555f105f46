// SPDX-License-Identifier: Apache-2.0
//
// host_network: sets up twins and filters, then updates the next-hop table as routes and neighbours
// change.
//
// Cost:  a change of neighbours rebuilds the table once per burst of messages; a change of routes
//        also reads our ports' routes again, at most once in kRoutePause.
// Spec:  rtnetlink(7).
#include "host/host_network.hpp"

#include "host/address_watch.hpp"
#include "host/drop_filter.hpp"
#include "host/instance_lock.hpp"
#include "host/neighbours.hpp"
#include "host/netlink.hpp"
#include "host/next_hop_table.hpp"
#include "host/shared_interface.hpp"
#include "host/twin.hpp"
#include "log.hpp"

#include "viaduct/error.hpp"

#include <algorithm>
#include <deque>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <set>
#include <sys/epoll.h>

namespace viaduct {
namespace {

constexpr std::string_view kTwinPrefix = "vd-";
constexpr auto kTick = std::chrono::milliseconds(100);
constexpr auto kRoutePause = std::chrono::milliseconds(100);
constexpr auto kUpkeep = std::chrono::seconds(1);
constexpr std::size_t kMaxGateways = 1000;
constexpr auto kComplaintPause = std::chrono::minutes(1);
constexpr int kDumpTries = 5; // an inconsistent dump is repeated

/// Logs a failure that recurs at every tick: at once, then at most once a minute.
class Complaint {
public:
    void say(const char* what, int error, TimePoint now) {
        if (now < silent_until_) return;
        silent_until_ = now + kComplaintPause;
        spdlog::warn("cannot read the kernel's {}: {}; will retry", what, std::strerror(error));
    }

private:
    TimePoint silent_until_{};
};

} // namespace

std::string twin_name(const PortConfig& port) {
    return std::string(kTwinPrefix) + port.name;
}

void refuse_second_instance() {
    const std::unique_ptr<struct if_nameindex, void (*)(struct if_nameindex*)> links(
        if_nameindex(), &if_freenameindex);
    for (const auto* link = links.get(); link != nullptr && link->if_index != 0; ++link) {
        const std::string name = link->if_name;
        if (!name.starts_with(kTwinPrefix)) continue;
        const std::optional<int> holder = tap_holder(name);
        throw Error("another viaductd" +
                    (holder ? " (pid " + std::to_string(*holder) + ")" : std::string()) +
                    " is running in this network namespace: it owns the interface " + name +
                    "; stop it, or start this one with ip netns exec in its own namespace");
    }
}

struct HostNetwork::Impl {
    Impl(const Config& wanted,
         std::vector<BackendLocation> backends,
         const std::vector<TwinPort>& ports,
         Loop& control_loop);
    ~Impl();
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;

    void set_up_ports(const std::vector<TwinPort>& ports);
    void reconfigure(const Config& wanted, std::vector<BackendLocation> backends);
    void on_events();
    void tell_lost_twin(const nlmsghdr* message) const;
    void take_link(const nlmsghdr* message);
    void came_up(LinkId link);
    [[nodiscard]] OtherStation station_with(LinkId link, const MacAddr& mac) const;
    void on_tick(TimePoint now);
    /// Both read the kernel's table again; a failure is logged and tried again at the next tick.
    void read_neighbours(TimePoint now);
    void read_routes(TimePoint now);
    void read_addresses(TimePoint now);
    int dump_routes(std::vector<LinkRoute>& routes);
    void take_route(const nlmsghdr* message, std::vector<LinkRoute>& routes);
    std::optional<HopId> gateway_hop(const Station& gateway);
    /// Rebuilds the table; raises the version when it differs.
    void rebuild();
    /// Makes the kernel keep the station resolved. A failure is logged; during the start it throws.
    void manage(const Station& station);
    void resolve(const Station& station, TimePoint now);

    Config config_;
    std::vector<BackendLocation> backends_; ///< by BackendId
    Loop& loop_;
    Netlink netlink_;
    Netlink events_;
    // The following members are undone in reverse order: the kernel may hear an interface again
    // only after the VIPs are gone from the twins; otherwise it would answer SIP with ICMP.
    std::deque<DropFilter> filters_;
    std::vector<Twin> twins_; ///< by LinkId
    Undo undo_;
    std::optional<Neighbours> neighbours_;
    std::optional<AddressWatch> addresses_;
    std::vector<bool> running_; ///< by LinkId: the twin is up and has carrier

    std::vector<Station> gateways_; ///< hop kFirstGatewayHop + i; only grows: hops keep their ids
    std::vector<Route> routes_;
    decltype(NextHops::link_gateways) link_gateways_;
    std::vector<NeighbourMap::Entry> entries_; ///< source of the current NeighbourMap
    std::vector<TwinPort> ports_;
    HostPaths source_;
    std::uint64_t version_ = 0; ///< 0: still starting
    bool neighbours_lost_ = false;
    bool routes_changed_ = false;
    bool addresses_lost_ = false;
    bool link_news_ = false;
    bool table_stale_ = false;
    bool told_gateways_full_ = false;
    Complaint no_neighbours_;
    Complaint no_routes_;
    Complaint no_addresses_;
    TimePoint routes_read_{};
    TimePoint upkeep_done_{};
    Ticker ticker_; ///< last member: stops before the others are destroyed
};

HostNetwork::Impl::Impl(const Config& wanted,
                        std::vector<BackendLocation> backends,
                        const std::vector<TwinPort>& ports,
                        Loop& control_loop)
    : config_(wanted), backends_(std::move(backends)), loop_(control_loop) {
    remove_leftovers(netlink_);
    remove_leftover_filters(netlink_);
    set_up_ports(ports);
    // Subscribe before reading the tables, so that no change is missed.
    events_.subscribe({RTNLGRP_NEIGH, RTNLGRP_IPV4_ROUTE, RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR});
    for (std::size_t i = 0; i < twins_.size(); ++i)
        if (twins_[i].gateway) (void)gateway_hop({static_cast<LinkId>(i), *twins_[i].gateway});
    read_neighbours(Clock::now());
    read_routes(Clock::now());
    read_addresses(Clock::now());
    rebuild();
    loop_.watch(events_.fd(), EPOLLIN, [this](std::uint32_t) { on_events(); });
    ticker_ = loop_.every(kTick, [this](TimePoint now) { on_tick(now); });
}

HostNetwork::Impl::~Impl() {
    loop_.forget(events_.fd());
}

void HostNetwork::Impl::set_up_ports(const std::vector<TwinPort>& ports) {
    ports_ = ports;
    twins_ = plan_twins(config_, ports);
    for (const Objection& objection : objections(netlink_, twins_, ports_)) {
        if (objection.is_fatal) throw Error(objection.text);
        spdlog::warn("{}", objection.text);
    }
    std::vector<int> links;
    for (std::size_t i = 0; i < twins_.size(); ++i)
        if (!ports[i].interface.empty() && ports[i].kernel_hears)
            filters_.emplace_back(netlink_, twins_[i].port, ports[i].interface);
    for (std::size_t i = 0; i < twins_.size(); ++i) {
        set_up_twin(netlink_, twins_[i], undo_);
        links.push_back(twins_[i].link);
        source_.link_macs.push_back(twins_[i].mac);
        source_.link_addresses.push_back(config_.ports[i].addresses.empty()
                                             ? Ipv4Addr{}
                                             : config_.ports[i].addresses.front().address);
    }
    neighbours_.emplace(std::move(links));
    std::vector<AddressWatch::Link> ends;
    for (const Twin& twin : twins_)
        ends.push_back({twin.link, twin.mac});
    addresses_.emplace(std::move(ends), loop_);
    running_.assign(twins_.size(), true);
}

void HostNetwork::Impl::reconfigure(const Config& wanted, std::vector<BackendLocation> backends) {
    const std::vector<Twin> twins = plan_twins(wanted, ports_);
    // Existing conflicts were warned about before, and must not prevent other changes.
    for (const Objection& objection : objections(netlink_, twins, ports_))
        if (objection.is_fatal && is_new(objection.address, twins, twins_))
            throw Error(objection.text);
    change_addresses(netlink_, twins_, twins);
    config_ = wanted;
    backends_ = std::move(backends);
    rebuild();
    std::set<Station> used(gateways_.begin(), gateways_.end());
    for (std::size_t b = 0; b < backends_.size(); ++b) {
        const NextHop& hop = source_.next_hops.hops[b];
        if (!backends_[b].mac) used.insert({hop.link, hop.address});
    }
    neighbours_->manage_only(used);
}

void HostNetwork::Impl::on_events() {
    const bool whole = events_.drain([this](const nlmsghdr* message) {
        switch (message->nlmsg_type) {
        case RTM_NEWNEIGH:
        case RTM_DELNEIGH:
            neighbours_->take(message);
            break;
        case RTM_NEWADDR:
            if (const auto objection = objection_to(message, twins_, ports_))
                spdlog::warn("{}", objection->text);
            [[fallthrough]];
        case RTM_DELADDR:
            addresses_->take(message, Clock::now());
            break;
        case RTM_DELLINK:
            tell_lost_twin(message);
            link_news_ = true;
            routes_changed_ = true;
            break;
        // A link that goes down takes its IPv4 routes with it, without a message for each.
        case RTM_NEWLINK:
            take_link(message);
            [[fallthrough]];
        case RTM_NEWROUTE:
        case RTM_DELROUTE:
            routes_changed_ = true;
            break;
        default:
            break;
        }
    });
    if (!whole) {
        neighbours_lost_ = true;
        routes_changed_ = true;
        addresses_lost_ = true;
        link_news_ = true;
    }
    on_tick(Clock::now());
}

void HostNetwork::Impl::tell_lost_twin(const nlmsghdr* message) const {
    const auto* link = static_cast<const ifinfomsg*>(nlmsg_data(message));
    if (link->ifi_family != AF_UNSPEC) return; // it only left a bridge
    for (const Twin& twin : twins_)
        if (twin.link == link->ifi_index)
            spdlog::error("port {}: the interface {} was removed: ARP, ping and next hops no "
                          "longer work on this port; restart viaductd",
                          twin.port,
                          twin.interface);
}

void HostNetwork::Impl::take_link(const nlmsghdr* message) {
    link_news_ = true;
    const auto* link = static_cast<const ifinfomsg*>(nlmsg_data(message));
    for (std::size_t i = 0; i < twins_.size(); ++i) {
        if (link->ifi_family != AF_UNSPEC || twins_[i].link != link->ifi_index) continue;
        const bool runs = (link->ifi_flags & IFF_RUNNING) != 0;
        if (runs && !running_[i]) came_up(static_cast<LinkId>(i));
        running_[i] = runs;
    }
}

/// The kernel forgot the neighbours of a twin without carrier; others may have forgotten us.
void HostNetwork::Impl::came_up(LinkId link) {
    neighbours_->restore_managed();
    addresses_->announce(link, Clock::now());
}

void HostNetwork::Impl::on_tick(TimePoint now) {
    if (neighbours_lost_) read_neighbours(now);
    if (addresses_lost_) read_addresses(now);
    addresses_->tick(now);
    if (routes_changed_ && now - routes_read_ >= kRoutePause) read_routes(now);
    if (now - upkeep_done_ >= kUpkeep) {
        upkeep_done_ = now;
        neighbours_->restore_managed();
    }
    table_stale_ = neighbours_->take_changed() || table_stale_;
    if (std::exchange(table_stale_, false)) rebuild();
}

void HostNetwork::Impl::read_neighbours(TimePoint now) {
    int error = EINTR;
    for (int tries = 0; tries < kDumpTries && error == EINTR; ++tries)
        error = neighbours_->read_all();
    neighbours_lost_ = error != 0;
    if (error != 0) no_neighbours_.say("neighbours", error, now);
}

void HostNetwork::Impl::read_routes(TimePoint now) {
    routes_read_ = now;
    std::vector<LinkRoute> routes;
    int error = EINTR;
    for (int tries = 0; tries < kDumpTries && error == EINTR; ++tries) {
        routes.clear();
        error = dump_routes(routes);
    }
    routes_changed_ = error != 0;
    if (error != 0) {
        no_routes_.say("routes", error, now);
        return;
    }
    // The kernel drops the routes of a twin that was down. Adding them again causes an event.
    for (std::size_t i = 0; i < twins_.size(); ++i) {
        const bool there = std::any_of(routes.begin(), routes.end(), [&](const LinkRoute& route) {
            return route.own_table && index(route.link) == i && route.prefix.length == 0;
        });
        if (twins_[i].gateway && !there) (void)add_gateway_routes(netlink_, twins_[i]);
    }
    link_gateways_ = link_gateways(routes);
    routes_ = flatten_routes(std::move(routes));
    table_stale_ = true;
}

void HostNetwork::Impl::read_addresses(TimePoint now) {
    int error = EINTR;
    for (int tries = 0; tries < kDumpTries && error == EINTR; ++tries)
        error = addresses_->read_all(netlink_, now);
    addresses_lost_ = error != 0;
    if (error != 0) no_addresses_.say("addresses", error, now);
}

int HostNetwork::Impl::dump_routes(std::vector<LinkRoute>& routes) {
    for (const Twin& twin : twins_) {
        rtmsg header{};
        header.rtm_family = AF_INET;
        NetlinkMessage question(RTM_GETROUTE, NLM_F_DUMP, header);
        question.add(RTA_OIF, twin.link); // filtered in the kernel: a host may have a million
        const int error =
            netlink_.dump(question, [&](const nlmsghdr* message) { take_route(message, routes); });
        if (error != 0) return error;
    }
    return 0;
}

void HostNetwork::Impl::take_route(const nlmsghdr* message, std::vector<LinkRoute>& routes) {
    const auto* route = static_cast<const rtmsg*>(nlmsg_data(message));
    const NetlinkAttributes attributes(message, sizeof *route);
    const std::uint32_t table = attributes.get<std::uint32_t>(RTA_TABLE).value_or(route->rtm_table);
    const bool own = table >= kFirstTable && table < kFirstTable + twins_.size();
    if (message->nlmsg_type != RTM_NEWROUTE || route->rtm_type != RTN_UNICAST ||
        (!own && table != RT_TABLE_MAIN))
        return;

    const auto add = [&](int link, unsigned flags, const NetlinkAttributes& hop) {
        const auto twin = std::find_if(
            twins_.begin(), twins_.end(), [&](const Twin& t) { return t.link == link; });
        // A gateway with an IPv6 address has RTA_VIA; only IPv4 is resolved.
        if (twin == twins_.end() || (flags & RTNH_F_DEAD) != 0 || hop.inside(RTA_VIA).size() > 0)
            return false;
        const auto id = static_cast<LinkId>(twin - twins_.begin());
        LinkRoute found;
        found.prefix.address.value = attributes.get<Be32>(RTA_DST).value_or(Be32{}).host();
        found.prefix.length = route->rtm_dst_len;
        found.link = id;
        found.own_table = own;
        found.metric = attributes.get<std::uint32_t>(RTA_PRIORITY).value_or(0);
        if (const auto gateway = hop.get<Be32>(RTA_GATEWAY)) {
            found.gateway = gateway_hop({id, Ipv4Addr{gateway->host()}});
            if (!found.gateway) return false;
        }
        routes.push_back(found);
        return true;
    };
    if (const auto link = attributes.get<int>(RTA_OIF)) {
        add(*link, route->rtm_flags, attributes);
        return;
    }
    // Multipath: use the first path through one of our ports.
    const NetlinkAttributes ways = attributes.inside(RTA_MULTIPATH);
    const auto* bytes = static_cast<const std::byte*>(ways.data());
    for (std::size_t at = 0; at + sizeof(rtnexthop) <= ways.size();) {
        rtnexthop way;
        std::memcpy(&way, bytes + at, sizeof way);
        if (way.rtnh_len < sizeof way || at + way.rtnh_len > ways.size()) return;
        const NetlinkAttributes hop(bytes + at + sizeof way, way.rtnh_len - sizeof way);
        if (add(way.rtnh_ifindex, way.rtnh_flags, hop)) return;
        at += (std::size_t{way.rtnh_len} + 3) & ~std::size_t{3};
    }
}

std::optional<HopId> HostNetwork::Impl::gateway_hop(const Station& gateway) {
    const auto found = std::find(gateways_.begin(), gateways_.end(), gateway);
    const auto at = static_cast<std::size_t>(found - gateways_.begin());
    if (found == gateways_.end()) {
        if (gateways_.size() >= kMaxGateways) {
            if (!std::exchange(told_gateways_full_, true))
                spdlog::warn("more than {} gateways: routes through further gateways are not used",
                             kMaxGateways);
            return std::nullopt;
        }
        gateways_.push_back(gateway);
        manage(gateway);
    }
    return static_cast<HopId>(index(kFirstGatewayHop) + at);
}

void HostNetwork::Impl::manage(const Station& station) {
    const int error = neighbours_->manage(station);
    if (error == 0) return;
    const Twin& twin = twins_[index(station.link)];
    const std::string text = "port " + twin.port + ": cannot ask the kernel to resolve " +
                             to_string(station.address) + " on " + twin.interface + ": " +
                             std::strerror(error) +
                             (error == ENOBUFS ? " (raise net.ipv4.neigh.default.gc_thresh3)" : "");
    if (version_ == 0) throw Error(text);
    spdlog::warn("{}", text);
}

OtherStation HostNetwork::Impl::station_with(LinkId link, const MacAddr& mac) const {
    for (std::size_t b = 0; b < backends_.size(); ++b) {
        const NextHop& hop = source_.next_hops.hops[b];
        // Not through a gateway, which has its own MAC.
        if (hop.link == link && hop.address == backends_[b].address && hop.mac == mac)
            return {mac, static_cast<BackendId>(b)};
    }
    return {mac, std::nullopt};
}

void HostNetwork::Impl::rebuild() {
    NextHops fresh;
    fresh.hops.resize(kMaxBackends);
    for (const Station& gateway : gateways_)
        fresh.hops.push_back({gateway.link, gateway.address, neighbours_->mac_of(gateway)});
    fresh.routes = routes_;
    fresh.link_gateways = link_gateways_;
    for (std::size_t b = 0; b < backends_.size(); ++b) {
        if (backends_[b].address == Ipv4Addr{}) continue; // unused id
        const Station station = station_for(backends_[b], config_, fresh);
        const std::optional<MacAddr>& fixed = backends_[b].mac;
        if (!fixed) manage(station);
        fresh.hops[b] = {
            station.link, station.address, fixed ? fixed : neighbours_->mac_of(station)};
    }
    std::vector<NeighbourMap::Entry> entries = neighbours_->usable();
    const NextHops& current = source_.next_hops;
    if (version_ > 0 && fresh.hops == current.hops && fresh.routes == current.routes &&
        fresh.link_gateways == current.link_gateways && entries == entries_)
        return;
    fresh.neighbours = NeighbourMap(entries);
    entries_ = std::move(entries);
    source_.next_hops = std::move(fresh);
    ++version_;
}

void HostNetwork::Impl::resolve(const Station& station, TimePoint now) {
    if (index(station.link) >= twins_.size() || station.address == Ipv4Addr{} ||
        neighbours_->mac_of(station))
        return; // 0.0.0.0 means a missing hop
    const NextHops& current = source_.next_hops;
    const Route* route = current.route_to(station.address);
    const bool on_link = route != nullptr && route->link == station.link && !route->gateway;
    const auto is_it = [&](const NextHop& hop) {
        return hop.link == station.link && hop.address == station.address;
    };
    // Other addresses would fill the kernel's table with entries that cannot answer.
    if (on_link || std::any_of(current.hops.begin(), current.hops.end(), is_it))
        neighbours_->ask(station, now);
}

HostNetwork::HostNetwork(const Config& config,
                         std::vector<BackendLocation> backends,
                         const std::vector<TwinPort>& ports,
                         Loop& loop)
    : impl_(std::make_unique<Impl>(config, std::move(backends), ports, loop)) {}

HostNetwork::~HostNetwork() = default;

void HostNetwork::reconfigure(const Config& config, std::vector<BackendLocation> backends) {
    impl_->reconfigure(config, std::move(backends));
}

const HostPaths& HostNetwork::next_hops() const noexcept {
    return impl_->source_;
}

std::uint64_t HostNetwork::version() const noexcept {
    return impl_->version_;
}

bool HostNetwork::take_link_news() noexcept {
    return std::exchange(impl_->link_news_, false);
}

AddressView HostNetwork::view(Ipv4Addr address) const {
    AddressView view;
    for (std::size_t i = 0; i < impl_->twins_.size(); ++i) {
        const Station here{static_cast<LinkId>(i), address};
        view.is_here = view.is_here || impl_->addresses_->has(here);
        for (const MacAddr& mac : impl_->addresses_->others(here))
            view.others.push_back(impl_->station_with(here.link, mac));
    }
    return view;
}

std::vector<AddressNews> HostNetwork::take_address_news() {
    std::vector<AddressNews> told;
    for (const AddressWatch::News& news : impl_->addresses_->take_news())
        told.push_back({news.address,
                        impl_->station_with(news.address.link, news.other),
                        news.is_there,
                        news.has_left});
    return told;
}

void HostNetwork::resolve(LinkId link, Ipv4Addr address, TimePoint now) {
    impl_->resolve({link, address}, now);
}

} // namespace viaduct
