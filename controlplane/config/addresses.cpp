// SPDX-License-Identifier: Apache-2.0
//
// addresses: finds addresses that are used twice on the links of the ports.
//
// In:    valid host addresses (value.cpp).
// Out:   a mistake for an address of two stations or of none: the balancer would answer ARP for a
//        router, or send to a broadcast address.
// Cost:  entries times prefixes of all ports.
#include "config/check.hpp"

#include <algorithm>
#include <string>

namespace viaduct {

namespace {

class AddressChecker {
public:
    AddressChecker(const Config& config, const Sources& sources, Mistakes& mistakes)
        : config_(config), sources_(sources), mistakes_(mistakes) {}

    void run() {
        for (std::size_t i = 0; i < config_.ports.size(); ++i)
            check_port(config_.ports[i], sources_.ports[i]);
        for (std::size_t i = 0; i < config_.ports.size(); ++i)
            check_gateway(config_.ports[i], sources_.ports[i]);
        for (std::size_t i = 0; i < config_.vips.size(); ++i)
            check_vip(config_.vips[i].endpoint.address, sources_.vips[i]);
        for (std::size_t p = 0; p < config_.pools.size(); ++p)
            for (std::size_t i = 0; i < config_.pools[p].backends.size(); ++i)
                check_backend(config_.pools[p],
                              config_.pools[p].backends[i],
                              sources_.pools[p],
                              sources_.pools[p].backends[i]);
    }

private:
    void check_port(const PortConfig& port, const Source& source);
    void check_gateway(const PortConfig& port, const Source& source);
    void check_vip(Ipv4Addr address, const Source& source);
    void check_backend(const PoolConfig& pool,
                       const BackendConfig& backend,
                       const PoolSource& pool_source,
                       const Source& source);
    void check_reach(const BackendConfig& backend, const Source& source);
    /// Whether it is the address of one station: not a network or broadcast address, and not a
    /// gateway. False: a mistake was added. `what` e.g. "vip address", `remedy` e.g. "give the vip
    /// another address".
    bool check_station(const std::string& what,
                       Ipv4Addr address,
                       Position at,
                       const std::string& remedy);
    bool check_not_all(const std::string& what,
                       Ipv4Addr address,
                       Position at,
                       const std::string& remedy);

    const Config& config_;
    const Sources& sources_;
    Mistakes& mistakes_;
    Seen<Ipv4Addr> port_addresses_;
    Seen<Ipv4Addr> gateways_;
    Seen<Ipv4Addr> vips_;
    std::vector<Ipv4Prefix> prefixes_; ///< of all ports
    std::vector<Position> prefixes_at_;
    bool knows_prefixes_ = true; ///< false: some could not be read
};

/// Returns "network" or "broadcast" if the address has that meaning in the prefix. RFC 3021:
/// prefixes of two addresses or one have no such address.
std::string_view meaning_in(const Ipv4Prefix& prefix, Ipv4Addr address) {
    if (prefix.length >= 31 || !prefix.contains(address)) return {};
    const std::uint32_t host = address.value & ~prefix.mask();
    return host == 0 ? "network" : host == ~prefix.mask() ? "broadcast" : std::string_view();
}

void AddressChecker::check_port(const PortConfig& port, const Source& source) {
    knows_prefixes_ = knows_prefixes_ && source.good("addresses");
    for (std::size_t i = 0; source.good("addresses") && i < port.addresses.size(); ++i) {
        const Ipv4Prefix& prefix = port.addresses[i];
        const Position at = source.at("addresses", i);
        if (const auto* first = port_addresses_.earlier(prefix.address, at))
            mistakes_.add(at,
                          "address " + to_string(prefix.address) + " is listed twice, first " +
                              on_line(*first));
        const std::string_view meaning = meaning_in(prefix, prefix.address);
        if (meaning == "network")
            mistakes_.add(
                at, to_string(prefix) + " is the network address; give the port's own address");
        else if (!meaning.empty())
            mistakes_.add(
                at, to_string(prefix) + " is the broadcast address; give the port's own address");
        prefixes_.push_back(prefix);
        prefixes_at_.push_back(at);
    }
}

void AddressChecker::check_gateway(const PortConfig& port, const Source& source) {
    if (!port.gateway || !source.good("gateway") || !source.good("addresses")) return;
    const Position at = source.at("gateway");
    const std::string gateway = "gateway " + to_string(*port.gateway);
    static_cast<void>(gateways_.earlier(*port.gateway, at));
    bool inside = false;
    std::string all;
    for (const Ipv4Prefix& prefix : port.addresses) {
        if (prefix.address == *port.gateway) {
            mistakes_.add(at, gateway + " is the port's own address");
            return;
        }
        inside = inside || prefix.contains(*port.gateway);
        all += (all.empty() ? "" : ", ") + to_string(prefix);
    }
    if (!inside)
        mistakes_.add(at,
                      port.addresses.empty()
                          ? gateway + " needs an address on this port whose prefix contains it"
                          : gateway + " is not in a prefix of this port's addresses: " + all);
    else if (const auto* other = port_addresses_.find(*port.gateway))
        mistakes_.add(at,
                      gateway + " is another port's own address (" + on_line(*other) +
                          "); give the router's address");
    else
        check_not_all("gateway", *port.gateway, at, "give the router's address");
}

bool AddressChecker::check_not_all(const std::string& what,
                                   Ipv4Addr address,
                                   Position at,
                                   const std::string& remedy) {
    const auto found = std::ranges::find_if(
        prefixes_, [&](const Ipv4Prefix& one) { return !meaning_in(one, address).empty(); });
    if (found == prefixes_.end()) return true;
    const Position& line = prefixes_at_[static_cast<std::size_t>(found - prefixes_.begin())];
    mistakes_.add(at,
                  what + " " + to_string(address) + " is the " +
                      std::string(meaning_in(*found, address)) + " address of a port's prefix " +
                      to_string(*found) + " (" + on_line(line) + "); " + remedy);
    return false;
}

bool AddressChecker::check_station(const std::string& what,
                                   Ipv4Addr address,
                                   Position at,
                                   const std::string& remedy) {
    if (const auto* router = gateways_.find(address)) {
        mistakes_.add(at,
                      what + " " + to_string(address) + " is a port's gateway (" +
                          on_line(*router) + "); " + remedy);
        return false;
    }
    return check_not_all(what, address, at, remedy);
}

void AddressChecker::check_vip(Ipv4Addr address, const Source& source) {
    if (!source.good("address")) return;
    const Position at = source.at("address");
    static_cast<void>(vips_.earlier(address, at));
    if (const auto* port = port_addresses_.find(address))
        mistakes_.add(at,
                      "vip address " + to_string(address) + " is a port's own address (" +
                          on_line(*port) + "); give the vip another address");
    else
        check_station("vip address", address, at, "give the vip another address");
}

void AddressChecker::check_backend(const PoolConfig& pool,
                                   const BackendConfig& backend,
                                   const PoolSource& pool_source,
                                   const Source& source) {
    if (!source.good("address")) return;
    const Ipv4Addr address = backend.endpoint.address;
    const Position at = source.at("address");
    const std::string text = "backend address " + to_string(address);
    if (const auto* vip = vips_.find(address))
        mistakes_.add(at,
                      text + " is a vip's address (" + on_line(*vip) + "); give " +
                          (info_of(pool.mode).backend_owns_vip
                               ? "the address that it has in addition to the vip's"
                               : "the backend's own address"));
    else if (const auto* port = port_addresses_.find(address))
        mistakes_.add(at,
                      text + " is a port's own address (" + on_line(*port) +
                          "); give the backend's address");
    else if (check_station("backend address", address, at, "give the backend's address") &&
             info_of(pool.mode).by_mac && pool_source.good("mode"))
        check_reach(backend, source);
}

/// dsr-l2 sends frames to the backend's MAC address, which must be on the link and not beyond a
/// router.
void AddressChecker::check_reach(const BackendConfig& backend, const Source& source) {
    if (backend.mac || !source.good("mac") || !knows_prefixes_ || prefixes_.empty()) return;
    std::string all;
    for (const Ipv4Prefix& prefix : prefixes_) {
        if (prefix.contains(backend.endpoint.address)) return;
        all += (all.empty() ? "" : ", ") + to_string(prefix);
    }
    mistakes_.add(source.at("address"),
                  "backend address " + to_string(backend.endpoint.address) +
                      " is not in a port's prefix (" + all +
                      "), but dsr-l2 reaches only backends on a port's segment: give its address "
                      "there, set its mac, or use nat");
}

} // namespace

void check_addresses(const Config& config, const Sources& sources, Mistakes& mistakes) {
    AddressChecker(config, sources, mistakes).run();
}

} // namespace viaduct
