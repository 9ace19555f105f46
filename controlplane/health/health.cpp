// SPDX-License-Identifier: Apache-2.0
//
// health: sends probes and derives the state of a backend from their results.
//
// In:    the clock, and answers as the workers saw them. Answers are hostile: a sender must know
//        our probes' identifiers, and send from the right place.
// Out:   injected probes; health with its evidence for the PoolModel.
// Cost:  a tick checks every backend once; an answer is one hash lookup.
// Spec:  RFC 3261 §17.1.3 (matching answers), §17.1.2 (1xx is not a final answer).
#include "health/health.hpp"

#include "log.hpp"

#include "viaduct/dataplane.hpp"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <utility>

namespace viaduct {
namespace {

constexpr std::chrono::milliseconds kLongestSpread{200}; ///< first probes, for a quick start
constexpr std::size_t kMaxTold = 8; ///< reasons logged per backend that is down
/// Limits how often answers from strangers cause a search through all backends between two ticks.
constexpr unsigned kSearchesPerTick = 16;

bool accepted(const HealthConfig& health, std::uint16_t status) {
    return std::any_of(health.accept.begin(), health.accept.end(), [status](AcceptRange range) {
        return range.first <= status && status <= range.last;
    });
}

/// Returns e.g. "3.2 ms".
std::string milliseconds(std::chrono::microseconds time) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1f ms", static_cast<double>(time.count()) / 1000.0);
    return text;
}

/// Returns the status, e.g. "200", or a text when there is none.
std::string status_text(const Event& event) {
    return event.status == 0 ? "a datagram that is not a SIP response"
                             : std::to_string(event.status);
}

/// Returns why a client would not accept an answer with the probe's identifiers; empty: it would.
std::string misplaced(const Event& event, const ProbeFrame& probe, bool any_port) {
    const bool same_place = event.source == probe.destination ||
                            (any_port && event.source.address == probe.destination.address);
    if (!same_place)
        return " from " + to_string(event.source) + ", expected from " +
               to_string(probe.destination);
    if (event.destination != probe.source)
        return " to " + to_string(event.destination) + ", expected to " + to_string(probe.source);
    return {};
}

/// Names of ICMP errors: RFC 792, RFC 1812 §5.2.7.1.
std::string icmp_text(std::uint16_t type_code) {
    switch (type_code) {
    case 0x300:
        return "ICMP network unreachable";
    case 0x301:
        return "ICMP host unreachable";
    case 0x302:
        return "ICMP protocol unreachable";
    case 0x303:
        return "ICMP port unreachable";
    case 0x304:
        return "ICMP fragmentation needed";
    case 0x309:
    case 0x30a:
    case 0x30d:
        return "ICMP administratively prohibited";
    case 0xb00:
        return "ICMP time exceeded";
    default:
        return "ICMP type " + std::to_string(type_code >> 8) + " code " +
               std::to_string(type_code & 0xff);
    }
}

} // namespace

Health Damper::add(ProbeResult result) noexcept {
    const bool good = result == ProbeResult::Good;
    good_ = good ? good_ + 1 : 0;
    not_good_ = good ? 0 : not_good_ + 1;
    bad_code_ = result == ProbeResult::BadCode ? bad_code_ + 1 : 0;
    timeout_ = result == ProbeResult::Timeout ? timeout_ + 1 : 0;

    const Health lack = timeout_ > 0 ? Health::Down : Health::Busy; // state after a bad result
    switch (health_) {
    case Health::Unknown:
        health_ = good ? Health::Up : lack;
        break;
    case Health::Up:
        if (!good && not_good_ >= fall_) health_ = lack;
        break;
    case Health::Busy:
        if (good && good_ >= rise_) health_ = Health::Up;
        if (timeout_ > 0 && timeout_ >= fall_) health_ = Health::Down;
        break;
    case Health::Down:
        if (good && good_ >= rise_) health_ = Health::Up;
        if (bad_code_ > 0 && bad_code_ >= rise_) health_ = Health::Busy;
        break;
    }
    return health_;
}

HealthChecker::HealthChecker(const Config& config,
                             PoolModel& model,
                             const HostPaths& next_hops,
                             std::uint16_t probe_udp_port,
                             std::uint64_t seed)
    : config_(config), model_(model), next_hops_(next_hops), probe_udp_port_(probe_udp_port),
      random_(seed) {
    for (const BackendState& backend : model.backends())
        targets_.push_back(target_for(backend));
    take_unprobed();
}

HealthChecker::Target HealthChecker::target_for(const BackendState& backend) const {
    Target target{.id = backend.id,
                  .health = {},
                  .mode = {},
                  .endpoint = backend.config.endpoint,
                  .mac = backend.config.mac,
                  .vip = std::nullopt,
                  .any_port = false,
                  .damper = Damper(1, 1),
                  .due = {},
                  .probe = std::nullopt,
                  .expired = {},
                  .late = {},
                  .reason = {},
                  .told = {},
                  .statistics = {}};
    if (!backend.exists()) { // placeholder
        target.health.kind = ProbeKind::None;
        return target;
    }
    const PoolConfig& pool = model_.pool(backend.pool).config;
    target.health = pool.health;
    target.mode = pool.mode;
    target.any_port = pool.translate_any_port;
    target.damper = Damper(pool.health.fall, pool.health.rise, backend.health);
    auto vip = std::ranges::find(config_.vips, pool.name, &VipConfig::pool);
    if (vip == config_.vips.end()) // it keeps its calls through that VIP
        vip = std::ranges::find_if(
            config_.vips, [&](const VipConfig& one) { return one.previous_pool == pool.name; });
    if (vip != config_.vips.end()) target.vip = vip->endpoint;
    return target;
}

/// Backends that are not probed count as up.
void HealthChecker::take_unprobed() {
    for (const Target& target : targets_)
        if (target.health.kind == ProbeKind::None && model_.backend(target.id).exists())
            model_.set_health(target.id, Health::Up, "no probe configured");
}

void HealthChecker::reconfigure(TimePoint now) {
    std::vector<Target> before = std::move(targets_);
    targets_.clear();
    for (const BackendState& backend : model_.backends()) {
        Target target = target_for(backend);
        target.due = now;
        Target* const known =
            index(backend.id) < before.size() ? &before[index(backend.id)] : nullptr;
        if (known != nullptr && known->health == target.health && known->mode == target.mode &&
            known->vip == target.vip && known->endpoint == target.endpoint &&
            known->mac == target.mac && known->any_port == target.any_port) {
            target = std::move(*known);
        } else if (known != nullptr) {
            forget_ids(*known);
            if (backend.exists()) target.statistics = known->statistics;
        }
        targets_.push_back(std::move(target));
    }
    take_unprobed();
}

const HealthChecker::Statistics& HealthChecker::statistics(BackendId id) const {
    return targets_[index(id)].statistics;
}

void HealthChecker::start_clock(TimePoint now) {
    for (std::size_t i = 0; i < targets_.size(); ++i) {
        const std::chrono::nanoseconds spread =
            std::min(targets_[i].health.interval, kLongestSpread);
        targets_[i].due = now + spread * i / targets_.size();
    }
    clock_started_ = true;
}

void HealthChecker::forget_ids(const Target& target) {
    if (target.probe) waiting_.erase(target.probe->ids.call_id);
    for (const Expired& old : target.expired)
        waiting_.erase(old.ids.call_id);
}

void HealthChecker::tick(TimePoint now) {
    searches_ = 0;
    if (!clock_started_) start_clock(now);
    for (Target& target : targets_) {
        if (target.health.kind == ProbeKind::None) continue;
        if (target.probe && now > target.probe->deadline) expire(target);
        if (target.probe && !target.probe->sent) try_send(target, now);
        if (!target.probe && now >= target.due) start_probe(target, now);
    }
}

void HealthChecker::start_probe(Target& target, TimePoint now) {
    const std::chrono::duration<double, std::nano> interval = target.health.interval;
    std::uniform_real_distribution<double> shrink(0.9, 1.0);
    const auto step =
        std::chrono::duration_cast<std::chrono::nanoseconds>(interval * shrink(random_));
    // A late tick does not move the next probe, so that delays do not add up. After a missed
    // interval the schedule starts again, so that there are no bursts.
    target.due = target.due + step > now ? target.due + step : now + step;
    target.probe = Probe{.deadline = now + target.health.timeout,
                         .sent = std::nullopt,
                         .obstacle = {},
                         .ids = make_probe_ids(),
                         .frame = {},
                         .udp_checksum = 0,
                         .clue = Clue::None,
                         .clue_text = {}};
    try_send(target, now);
}

/// Fills in source and destination. Returns the obstacle, for the operator; empty: there is none.
std::string HealthChecker::address_frame(const Target& target, ProbeFrame& frame) const {
    const BackendState& backend = model_.backend(target.id);
    const NextHop& hop = next_hops_.next_hops.hops[index(target.id)];
    const std::optional<MacAddr> mac = hop.mac ? hop.mac : next_hops_.next_hops.fallback;
    const Ipv4Addr own = next_hops_.link_addresses[index(hop.link)];
    if (info_of(target.mode).backend_owns_vip && !target.vip)
        return "pool \"" + model_.pool(backend.pool).config.name +
               "\" has no VIP to probe; add a [[vip]] that names it";
    if (own == Ipv4Addr{})
        return "port \"" + config_.ports[index(hop.link)].name +
               "\" has no address to probe from; add one to its `addresses`";
    if (!mac) return "next hop " + to_string(hop.address) + " not resolved";
    frame.source_mac = next_hops_.link_macs[index(hop.link)];
    frame.destination_mac = *mac;
    frame.source = {own, probe_udp_port_};
    frame.destination = info_of(target.mode).backend_owns_vip ? *target.vip : target.endpoint;
    frame.uri = target.health.uri;
    return {};
}

void HealthChecker::try_send(Target& target, TimePoint now) {
    Probe& probe = *target.probe;
    probe.obstacle = address_frame(target, probe.frame);
    if (!probe.obstacle.empty()) return;
    const PortId port = port_of(next_hops_.next_hops.hops[index(target.id)].link);
    // Every probe is a separate call with a new Call-ID, so its CSeq is always 1.
    const std::vector<std::byte> frame =
        build_frame(probe.frame, build_options(probe.frame, probe.ids, 1));
    if (!inject(port, frame)) {
        probe.obstacle = "probe could not be sent on port \"" + config_.ports[index(port)].name +
                         "\" (queue full, or over the MTU)";
        return;
    }
    UdpHeader udp;
    std::memcpy(&udp, frame.data() + sizeof(EtherHeader) + sizeof(Ipv4Header), sizeof udp);
    probe.udp_checksum = udp.checksum.host();
    probe.sent = now;
    probe.deadline = now + target.health.timeout;
    waiting_.emplace(probe.ids.call_id, target.id);
    ++target.statistics.sent;
}

void HealthChecker::note(Probe& probe, Clue clue, std::string text) {
    if (clue < probe.clue) return;
    probe.clue = clue;
    probe.clue_text = std::move(text);
}

void HealthChecker::on_answer(const Event& event, TimePoint received) {
    const auto waiting = waiting_.find(std::string{event.call_id.view()});
    if (waiting == waiting_.end()) {
        ++unknown_answers_;
        take_unknown(event);
        return;
    }
    Target& target = targets_[index(waiting->second)];
    if (!target.probe || target.probe->ids.call_id != event.call_id.view()) {
        take_late(target, event, received);
        return;
    }
    Probe& probe = *target.probe;
    if (event.branch.view() != probe.ids.branch) {
        ++unknown_answers_;
        note(probe,
             Clue::Place,
             status_text(event) + " from " + to_string(event.source) +
                 " without the probe's branch in its top Via");
        return;
    }
    // A late answer counts as no answer, even if tick() has not noticed yet.
    if (received > probe.deadline) {
        ++unknown_answers_;
        target.late = std::chrono::duration_cast<std::chrono::microseconds>(received - *probe.sent);
        return;
    }
    if (const std::string wrong = misplaced(event, probe.frame, target.any_port); !wrong.empty()) {
        ++target.statistics.rejected;
        note(probe, Clue::Answer, status_text(event) + wrong);
        return;
    }
    if (event.status < 200) { // the final answer is still to come (RFC 3261 §17.1.2.2)
        note(probe,
             Clue::Answer,
             "only " + std::to_string(event.status) + ", no final answer in " +
                 std::to_string(target.health.timeout.count()) + " ms");
        return;
    }
    const auto rtt = std::chrono::duration_cast<std::chrono::microseconds>(
        std::max(received - *probe.sent, Clock::duration::zero())); // two clocks: TSC and ours
    target.statistics.last_status = event.status;
    target.statistics.last_rtt = rtt;
    std::string evidence = std::to_string(event.status) + " in " + milliseconds(rtt);
    // A sender that knows the identifiers got the probe: a bond may send from any interface.
    if (info_of(target.mode).by_mac && event.source_mac != probe.frame.destination_mac)
        evidence += " from MAC " + to_string(event.source_mac);
    target.late.reset();
    if (accepted(target.health, event.status)) {
        ++target.statistics.good;
        finish(target, ProbeResult::Good, evidence);
    } else {
        ++target.statistics.bad_code;
        finish(target, ProbeResult::BadCode, evidence + ", not in accept");
    }
}

void HealthChecker::take_late(Target& target, const Event& event, TimePoint received) {
    ++unknown_answers_;
    for (const Expired& old : target.expired)
        if (old.ids.call_id == event.call_id.view() && old.ids.branch == event.branch.view() &&
            received > old.deadline)
            target.late =
                std::chrono::duration_cast<std::chrono::microseconds>(received - old.sent);
}

void HealthChecker::take_unknown(const Event& event) {
    if (++searches_ > kSearchesPerTick) return;
    for (Target& target : targets_) {
        if (!target.probe || !target.probe->sent) continue;
        const ProbeFrame& asked = target.probe->frame;
        const bool is_its_place = info_of(target.mode).by_mac
                                      ? event.source_mac == asked.destination_mac
                                      : event.source.address == asked.destination.address;
        if (!is_its_place) continue;
        std::string text = status_text(event) + " from " + to_string(event.source);
        if (event.status != 0) text += " without the probe's Call-ID";
        note(*target.probe, Clue::Place, std::move(text));
    }
}

void HealthChecker::on_error(const Event& event) {
    if (++searches_ > kSearchesPerTick) return;
    for (Target& target : targets_)
        if (target.probe && target.probe->sent &&
            target.probe->frame.destination == event.destination &&
            target.probe->udp_checksum == event.udp_checksum)
            note(*target.probe,
                 Clue::Icmp,
                 icmp_text(event.status) + " from " + to_string(event.source.address));
}

void HealthChecker::expire(Target& target) {
    ++target.statistics.timeout;
    const Probe& probe = *target.probe;
    std::string evidence = probe.obstacle;
    if (probe.sent && probe.clue != Clue::None) {
        evidence = probe.clue_text;
    } else if (probe.sent) {
        evidence = "no answer in " + std::to_string(target.health.timeout.count()) + " ms";
        if (const auto late = std::exchange(target.late, std::nullopt)) // of this or the last probe
            evidence += "; a late one took " + milliseconds(*late);
    }
    finish(target, ProbeResult::Timeout, std::move(evidence));
}

void HealthChecker::finish(Target& target, ProbeResult result, std::string evidence) {
    Probe& probe = *target.probe;
    if (result == ProbeResult::Timeout && probe.sent) {
        target.expired.push_back({*probe.sent, probe.deadline, std::move(probe.ids)});
        if (target.expired.size() > kMaxExpired) {
            waiting_.erase(target.expired.front().ids.call_id);
            target.expired.pop_front();
        }
    } else {
        waiting_.erase(probe.ids.call_id);
    }
    target.probe.reset();
    const Health health = target.damper.add(result);
    std::string reason = evidence;
    std::erase_if(reason, [](char c) { return '0' <= c && c <= '9'; }); // times and ports
    const bool is_other = reason != target.reason;
    target.reason = std::move(reason);
    if (target.damper.in_a_row() > 1)
        evidence += ", " + std::to_string(target.damper.in_a_row()) + " in a row";
    const BackendState& backend = model_.backend(target.id);
    if (health != Health::Down || backend.health != health) {
        target.told.clear();
        if (health == Health::Down) target.told.push_back(target.reason);
        model_.set_health(target.id, health, std::move(evidence));
    } else if (is_other) { // e.g. the server was started with wrong settings
        if (target.told.size() < kMaxTold && std::ranges::count(target.told, target.reason) == 0) {
            target.told.push_back(target.reason);
            spdlog::info("backend {}/{} is still down: {}",
                         backend.pool_name,
                         backend.config.name,
                         evidence);
        }
        model_.explain(target.id, std::move(evidence));
    }
}

} // namespace viaduct
