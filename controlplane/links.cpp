// SPDX-License-Identifier: Apache-2.0
#include "links.hpp"

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
        if (is_up && before == "unknown") continue; // as it should be
        StateChange change;
        change.port = config_.ports[i].name;
        change.from = before;
        change.to = state_of(lacks_[i]);
        change.evidence = is_up ? "the link is there" : lacks[i];
        model_.record(std::move(change));
        if (is_up) on_up_(static_cast<PortId>(i));
    }
}

void LinkWatch::tick(TimePoint now, bool has_news) {
    if (!has_news && now - looked_ < kPeriod) return;
    looked_ = now;
    look();
}

} // namespace viaduct
