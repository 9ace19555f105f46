// SPDX-License-Identifier: Apache-2.0
#include "publish/links.hpp"

#include "viaduct/dataplane.hpp"

#include <utility>

namespace viaduct {

namespace {

std::string state_of(const std::optional<std::string>& lack) {
    if (!lack) return "unknown";
    return lack->empty() ? "up" : "down";
}

} // namespace

void LinkWatch::look() {
    const std::vector<std::string> lacks = follow_links();
    lacks_.resize(lacks.size());
    for (std::size_t i = 0; i < lacks.size(); ++i) {
        if (lacks_[i] == lacks[i]) continue;
        const std::string before = state_of(std::exchange(lacks_[i], lacks[i]));
        const bool is_up = lacks[i].empty();
        if (is_up && before == "unknown") continue; // the normal case, no event
        StateChange change;
        change.port = config_.ports[i].name;
        change.from = before;
        change.to = state_of(lacks_[i]);
        change.evidence = is_up ? "link detected" : lacks[i];
        model_.record(std::move(change));
    }
}

std::string describe(const OtherStation& station, const PoolModel& model) {
    const std::string mac = to_string(station.mac);
    if (!station.backend) return mac + " (not a backend)";
    const BackendState& backend = model.backend(*station.backend);
    return mac + " (backend " + backend.config.name + " of pool " + backend.pool_name + ")";
}

void record_news(const std::vector<AddressNews>& all, const Config& config, PoolModel& model) {
    for (const AddressNews& news : all) {
        StateChange change;
        change.port = config.ports[index(news.address.link)].name;
        change.address = to_string(news.address.address);
        change.from = news.is_there ? "ours" : "disputed";
        change.to = news.is_there ? "disputed" : (news.has_left ? "left" : "ours");
        change.evidence = news.has_left
                              ? "this balancer no longer has the address; " +
                                    describe(news.other, model) + " has it"
                              : describe(news.other, model) +
                                    (news.is_there ? " also answers ARP for it and takes traffic"
                                                   : " no longer answers");
        if (news.is_there && news.other.backend)
            change.evidence += "; set net.ipv4.conf.all.arp_ignore=1 and arp_announce=2 there";
        model.record(std::move(change));
    }
}

void LinkWatch::tick(TimePoint now, bool has_news) {
    if (!has_news && now - looked_ < kPeriod) return;
    looked_ = now;
    look();
}

} // namespace viaduct
