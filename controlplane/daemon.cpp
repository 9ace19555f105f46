// SPDX-License-Identifier: Apache-2.0
#include "daemon.hpp"

#include "log.hpp"
#include "state/secret.hpp"

#include "viaduct/dataplane.hpp"
#include "viaduct/error.hpp"

#include <algorithm>
#include <csignal>
#include <unistd.h>
#include <utility>

namespace viaduct {

namespace {

constexpr std::chrono::milliseconds kTick{2};
constexpr unsigned kEventsPerTick = 4096; ///< then the CLI gets its turn

DataplaneRequest request_of_root(const Config& config) {
    if (geteuid() != 0)
        throw Error("viaductd must be started as root, because it opens ports and TAPs");
    return request_of(config);
}

} // namespace

Daemon::Daemon(Config config)
    : config_(std::move(config)), request_(request_of_root(config_)),
      admins_(find_admins(config_.admins)), only_instance_(config_), cli_(config_.socket, loop_),
      secret_(config_.secret ? *config_.secret : kept_secret(config_.state)),
      state_(read_state(config_.state, config_, secret_)), model_(model_of(config_, state_.kept)),
      publisher_(config_, secret_, probe_port_.number()) {
    loop_.on_signals(signals(), [this](int signal) { on_signal(signal); });
    take_up(state_.kept, model_, publisher_, Clock::now());
    state_writer_.emplace(config_.state, secret_, state_.kept.lineage, model_, publisher_);
    calls_.emplace(config_, secret_, publisher_.call_unit(), state_.kept.lineage);
    // The backup may hold slightly less than the table did.
    if (!state_.is_new || !state_.refusal.empty())
        publisher_.calls_predate_us(calls_->file.was_kept());
    start_dataplane_empty();
    publish_first();
    network_.emplace(config_, model_.places(), twin_ports(config_), loop_);
    links_.emplace(config_, model_);
    links_->look();
    health_.emplace(config_, model_, network_->next_hops(), probe_port_.number());
    apply();
    reloader_.emplace(reload_parts());
    control_.emplace(control_parts());
    ticker_ = loop_.every(kTick, [this](TimePoint now) { tick(now); });
    every_second_ = loop_.every(std::chrono::seconds(1), [this](TimePoint) { tick_second(); });
    cli_.start(*control_);
    spdlog::info("ready: {} worker(s), {} backend(s), control socket {}",
                 worker_count(),
                 std::ranges::count_if(model_.backends(), &BackendState::exists),
                 config_.socket);
}

void Daemon::run() {
    notify_systemd("READY=1");
    loop_.run();
    notify_systemd("STOPPING=1");
}

void Daemon::start_dataplane_empty() {
    request_.calls = calls_->file.table();
    sweeper_.emplace(calls_->file.table(), publisher_);
    dataplane_.emplace(request_, calls_->backup);
    set_call_time(calls_->file.tick());
}

/// Workers know the VIPs before the kernel gets their addresses: otherwise SIP messages reach the
/// kernel, which answers with ICMP.
void Daemon::publish_first() {
    publish(std::make_unique<const NextHops>());
    // Read before the health checker starts: it changes the model when a pool is not probed.
    published_model_ = model_.version();
    static_cast<void>(publisher_.build(model_));
    sweeper_->mark_kept(calls_->file.now());
    publish(publisher_.build(model_));
    settle();
}

Reloader::Parts Daemon::reload_parts() {
    return {config_,
            model_,
            publisher_,
            *health_,
            *sweeper_,
            [this](const Config& next, std::vector<BackendLocation> places) {
                set_addresses(next, std::move(places));
            },
            [this] { return state_writer_->write_now(); }};
}

Control Daemon::control_parts() {
    return {config_,
            model_,
            *health_,
            publisher_,
            calls_->file.table(),
            *sweeper_,
            loop_,
            load_,
            Clock::now(),
            admins_,
            [this] { apply(); },
            &*reloader_,
            [this] { return state_writer_->write_now(); },
            [this](Ipv4Addr address) { return network_->view(address); },
            &sent_};
}

void Daemon::tick(TimePoint now) {
    // While events wait, tick() must not run: an answer among them would count as missing.
    if (take_events(now)) health_->tick(now);
    links_->tick(now, network_->take_link_news());
    record_news(network_->take_address_news(), config_, model_);
    const CallTime call_time = calls_->file.tick();
    set_call_time(call_time);
    sweeper_->tick(call_time, now);
    model_.pass_deadlines(now);
    reloader_->tick(now);
    apply();
    state_writer_->tick(now);
    calls_->backup.tick(now);
}

void Daemon::tick_second() {
    load_.tick();
    for (const std::string& line : sent_.tick(port_states()))
        spdlog::warn("{}", line);
    log_library();
}

/// Passes the workers' events to the parts that handle them. Returns false when there are more.
bool Daemon::take_events(TimePoint now) {
    const double ns_per_tick = 1e9 / static_cast<double>(tsc_hz());
    for (unsigned i = 0; i < kEventsPerTick; ++i) {
        const std::optional<Event> event = next_event();
        if (!event) return true;
        const std::uint64_t ticks_now = tsc_now(); // TSC of another CPU: may be slightly behind
        const std::uint64_t ticks = ticks_now > event->rx_tsc ? ticks_now - event->rx_tsc : 0;
        const auto age = std::chrono::nanoseconds(
            static_cast<std::int64_t>(static_cast<double>(ticks) * ns_per_tick));
        switch (event->kind) {
        case EventKind::ProbeAnswer:
            health_->on_answer(*event, Clock::now() - age);
            break;
        case EventKind::ProbeError:
            health_->on_error(*event);
            break;
        case EventKind::NextHopMiss:
            network_->resolve(event->link, event->destination.address, now);
            break;
        }
    }
    return false;
}

/// Publishes all changes.
void Daemon::apply() {
    if (std::exchange(published_hops_, network_->version()) != network_->version())
        publish(std::make_unique<const NextHops>(network_->next_hops().next_hops));
    if (std::exchange(published_model_, model_.version()) != model_.version() ||
        publisher_.is_stale(model_, Clock::now()))
        publish(publisher_.build(model_));
    log_changes();
    reclaim();
}

void Daemon::log_changes() {
    if (model_.history().empty() || model_.history().back().number == logged_) return;
    for (const StateChange& change : model_.history()) {
        if (change.number <= logged_) continue;
        logged_ = change.number;
        if (!change.port.empty()) {
            const bool is_bad = change.to == "down" || change.to == "disputed";
            spdlog::log(is_bad ? spdlog::level::warn : spdlog::level::info,
                        "port {}: {} is {}: {}",
                        change.port,
                        change.address.empty() ? "link" : change.address,
                        change.to,
                        change.evidence);
            continue;
        }
        spdlog::log(change.to == "down" ? spdlog::level::warn : spdlog::level::info,
                    "backend {}/{}: {} -> {}: {}",
                    change.pool,
                    change.backend,
                    change.from,
                    change.to,
                    change.evidence);
    }
}

/// Changes the addresses for a reload: workers know new VIPs before the kernel does. Throws Error;
/// nothing has changed then.
void Daemon::set_addresses(const Config& next, std::vector<BackendLocation> places) {
    publish(publisher_.stage_vips(next));
    settle(); // SIP messages on their way to the kernel arrive before it has the address
    try {
        network_->reconfigure(next, std::move(places));
    } catch (...) { // workers forget the new VIPs
        publish(std::make_unique<const Snapshot>(*publisher_.current()));
        throw;
    }
}

void Daemon::on_signal(int signal) {
    if (signal == SIGHUP) {
        reload_by_signal();
        return;
    }
    spdlog::info("stopping on signal {}", signal);
    loop_.stop();
}

void Daemon::reload_by_signal() {
    notify_systemd("RELOADING=1");
    try {
        if (reloader_->reload().empty())
            spdlog::info("SIGHUP: configuration unchanged");
        else
            apply();
    } catch (const std::exception& error) { // also when out of memory: the configuration stays
        spdlog::error("SIGHUP: {}", error.what());
    }
    notify_systemd("READY=1");
}

} // namespace viaduct
