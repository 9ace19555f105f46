// SPDX-License-Identifier: Apache-2.0
//
// main: READ FIRST. The only file that knows every part: what starts, in which order, and what the
// loop does each tick. Stopping is the same list backwards, by destructors.
#include "calls/call_table_backup.hpp"
#include "calls/call_table_file.hpp"
#include "cli/cli.hpp"
#include "cli/reference.hpp"
#include "cli/replay_command.hpp"
#include "config/config.hpp"
#include "health/health.hpp"
#include "host/host_network.hpp"
#include "host/instance_lock.hpp"
#include "host/tx_audit.hpp"
#include "log.hpp"
#include "loop.hpp"
#include "model/pool.hpp"
#include "publish/call_sweeper.hpp"
#include "publish/links.hpp"
#include "publish/publish.hpp"
#include "publish/reload.hpp"
#include "state/secret.hpp"
#include "state/state_writer.hpp"
#include "totals.hpp"

#include "viaduct/dataplane.hpp"
#include "viaduct/error.hpp"
#include "viaduct/steering/steer.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <arpa/inet.h>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <sched.h>
#include <string>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

namespace viaduct {

namespace {

constexpr std::chrono::milliseconds kTick{2};
constexpr unsigned kEventsPerTick = 4096; ///< the CLI gets its turn between

/// CPUs for the workers: those named, or the last ones the process may use.
std::vector<unsigned> choose_cpus(const Config& config) {
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    sched_getaffinity(0, sizeof(allowed), &allowed);
    std::vector<unsigned> cpus;
    for (unsigned cpu = 0; cpu < CPU_SETSIZE; ++cpu)
        if (CPU_ISSET(cpu, &allowed)) cpus.push_back(cpu);
    for (const unsigned cpu : config.cpus)
        if (std::find(cpus.begin(), cpus.end(), cpu) == cpus.end())
            throw Error("dataplane.cpus names CPU " + std::to_string(cpu) +
                        ", which this process may not use; it has " + std::to_string(cpus.size()));
    if (!config.cpus.empty()) return config.cpus;
    const std::size_t count = config.workers.value_or(
        static_cast<unsigned>(std::min(kMaxWorkers, std::max<std::size_t>(1, cpus.size() - 1))));
    if (count > cpus.size())
        throw Error("dataplane.workers = " + std::to_string(count) + ", but this process has " +
                    std::to_string(cpus.size()) + " CPUs; lower it");
    return {cpus.end() - static_cast<std::ptrdiff_t>(count), cpus.end()};
}

/// A UDP port of the kernel's that nobody else gets while we run: answers to probes arrive on it,
/// at the workers. What is punted to it by mistake finds a socket and makes no ICMP error.
class ProbePort {
public:
    ProbePort() : fd_(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        socklen_t length = sizeof(address);
        auto* generic = reinterpret_cast<sockaddr*>(&address);
        if (fd_ < 0 || bind(fd_, generic, length) != 0 || getsockname(fd_, generic, &length) != 0)
            throw Error(std::string("cannot reserve a UDP port for probes: ") +
                        std::strerror(errno));
        number_ = ntohs(address.sin_port);
    }
    ~ProbePort() { close(fd_); }
    ProbePort(const ProbePort&) = delete;
    ProbePort& operator=(const ProbePort&) = delete;
    [[nodiscard]] std::uint16_t number() const noexcept { return number_; }

private:
    int fd_;
    std::uint16_t number_ = 0;
};

/// What DPDK has to say, in our log. When the start fails, its first line is in the error.
void log_library() {
    for (const std::string& line : take_library_log())
        spdlog::warn("DPDK: {}", line);
}

/// Stops the data plane when it goes, wherever start-up got to.
struct RunningDataplane {
    RunningDataplane(const DataplaneRequest& request, CallTableBackup& calls) : copy(calls) {
        for (const std::string& note : start_dataplane(request))
            spdlog::info("{}", note);
        log_library();
    }
    ~RunningDataplane() {
        stop_dataplane();
        log_library();
        copy.end();
    }
    RunningDataplane(const RunningDataplane&) = delete;
    RunningDataplane& operator=(const RunningDataplane&) = delete;
    CallTableBackup& copy; ///< of the calls, for a reboot
};

DataplaneRequest request_of(const Config& config) {
    DataplaneRequest request;
    for (const PortConfig& port : config.ports)
        request.ports.push_back({port.name, port.device, port.mtu, twin_name(port)});
    request.cpus = choose_cpus(config);
    request.memory = config.memory;
    request.buffers = config.buffers;
    return request;
}

std::vector<TwinPort> twin_ports(const Config& config) {
    std::vector<TwinPort> ports;
    const std::vector<PortState> states = port_states();
    for (std::size_t i = 0; i < config.ports.size(); ++i) {
        const PortConfig& port = config.ports[i];
        ports.push_back({twin_name(port),
                         states[i].interface,
                         states[i].mac,
                         states[i].mtu,
                         states[i].driver == "net_af_packet"});
        spdlog::info("port {}: {} at {}, MTU {}, twin {}",
                     port.name,
                     states[i].driver,
                     to_string(states[i].mac),
                     states[i].mtu,
                     twin_name(port));
    }
    return ports;
}

void log_changes(const PoolModel& model, std::uint64_t& logged) {
    if (model.history().empty() || model.history().back().number == logged) return;
    for (const StateChange& change : model.history()) {
        if (change.number <= logged) continue;
        logged = change.number;
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

/// What the workers have to say, given to whom it concerns. False when there is more.
bool take_events(HealthChecker& health, HostNetwork& kernel, TimePoint now) {
    const double ns_per_tick = 1e9 / static_cast<double>(tsc_hz());
    for (unsigned i = 0; i < kEventsPerTick; ++i) {
        const std::optional<Event> event = next_event();
        if (!event) return true;
        const std::uint64_t ticks_now = tsc_now(); // of another CPU: may be a little behind
        const std::uint64_t ticks = ticks_now > event->rx_tsc ? ticks_now - event->rx_tsc : 0;
        const auto age = std::chrono::nanoseconds(
            static_cast<std::int64_t>(static_cast<double>(ticks) * ns_per_tick));
        switch (event->kind) {
        case EventKind::ProbeAnswer:
            health.on_answer(*event, Clock::now() - age);
            break;
        case EventKind::ProbeError:
            health.on_error(*event);
            break;
        case EventKind::NextHopMiss:
            kernel.resolve(event->port, event->destination.address, now);
            break;
        }
    }
    return false;
}

/// What SIGHUP asks for. The log says what came of it.
void reload_by_signal(Reloader& reloader, const std::function<void()>& apply) {
    notify_systemd("RELOADING=1");
    try {
        if (reloader.reload().empty())
            spdlog::info("SIGHUP: the file says what is in force: no change");
        else
            apply();
    } catch (const std::exception& error) { // of want of memory, too: what is in force stays
        spdlog::error("SIGHUP: {}", error.what());
    }
    notify_systemd("READY=1");
}

int run(Config config) {
    std::signal(SIGPIPE, SIG_IGN); // a log reader that dies must not take the balancer along
    Loop loop;
    std::function<void()> on_hangup;
    loop.on_signals({SIGTERM, SIGINT, SIGHUP}, [&](int signal) {
        if (signal == SIGHUP) {
            if (on_hangup) on_hangup();
            return;
        }
        spdlog::info("stopping on signal {}", signal);
        loop.stop();
    });
    if (geteuid() != 0) throw Error("viaductd must be started as root: it opens ports and TAPs");

    DataplaneRequest request = request_of(config);
    const Admins admins = find_admins(config.admins);
    // First, for who is refused here has changed nothing.
    make_socket_folder(config.socket);
    const InstanceLocks locks(config);
    if (!locks.unlocked_state().empty())
        spdlog::warn("the state folder is not locked: {}; give it to no other viaductd",
                     locks.unlocked_state());
    refuse_second_instance();
    CliServer cli(config.socket, loop);
    const SteeringSecret secret = config.secret ? *config.secret : kept_secret(config.state);
    const ProbePort probe_port;
    const StateAtStart state = read_state(config.state, config, secret);
    PoolModel model = model_of(config, state.kept);
    Publisher publisher(config, secret, probe_port.number());
    take_up(state.kept, model, publisher, Clock::now());
    StateWriter keeper(config.state, secret, state.kept.lineage, model, publisher);
    CallTableFile calls(calls_path(config),
                        {CallTableFile::words_for(config.calls),
                         publisher.call_unit(),
                         hash_bytes(secret, "table of calls"),
                         state.kept.lineage});
    if (!calls.refusal().empty())
        spdlog::warn("the table of calls {} is not used: {}", calls_path(config), calls.refusal());
    CallTableBackup copy(config.state, secret, state.kept.lineage, calls);
    if (!calls.was_kept())
        if (const std::string refusal = copy.load(); !refusal.empty())
            spdlog::warn("the copy of the calls {} is not used: {}; {}",
                         copy.path(),
                         refusal,
                         set_aside(copy.path()));
    // What the copy has may be a little less than what there was.
    if (!state.is_new || !state.refusal.empty()) publisher.calls_predate_us(calls.was_kept());
    request.calls = calls.table();
    CallSweeper sweeper(calls.table(), publisher);
    const RunningDataplane dataplane(request, copy);
    set_call_time(calls.tick());
    // Before the kernel gets the VIPs: no SIP message may reach it, or it answers with ICMP.
    publish(std::make_unique<const NextHops>());
    // Read here: the health checker's start is a change when a pool is not probed.
    std::uint64_t published_model = model.version();
    static_cast<void>(publisher.build(model));
    sweeper.mark_kept(calls.now());
    publish(publisher.build(model));
    settle();
    HostNetwork kernel(config, model.places(), twin_ports(config), loop);
    LinkWatch links(config, model);
    links.look();
    HealthChecker health(config, model, kernel.next_hops(), probe_port.number());

    std::uint64_t published_hops = 0;
    std::uint64_t logged = 0;
    const auto apply = [&] {
        if (std::exchange(published_hops, kernel.version()) != kernel.version())
            publish(std::make_unique<const NextHops>(kernel.next_hops().next_hops));
        if (std::exchange(published_model, model.version()) != model.version() ||
            publisher.is_stale(model, Clock::now()))
            publish(publisher.build(model));
        log_changes(model, logged);
        reclaim();
    };
    apply();
    Reloader reloader({config,
                       model,
                       publisher,
                       health,
                       sweeper,
                       [&](const Config& next, std::vector<BackendLocation> places) {
                           publish(publisher.stage_vips(next));
                           settle(); // or SIP that waits for the kernel meets the address there
                           try {
                               kernel.reconfigure(next, std::move(places));
                           } catch (...) { // workers know none of the new VIPs any more
                               publish(std::make_unique<const Snapshot>(*publisher.current()));
                               throw;
                           }
                       },
                       [&keeper] { return keeper.write_now(); }});
    on_hangup = [&] { reload_by_signal(reloader, apply); };
    const Ticker ticker = loop.every(kTick, [&](TimePoint now) {
        // An answer that still waits must not be taken for missing.
        if (take_events(health, kernel, now)) health.tick(now);
        links.tick(now, kernel.take_link_news());
        record_news(kernel.take_address_news(), config, model);
        const CallTime call_time = calls.tick();
        set_call_time(call_time);
        sweeper.tick(call_time, now);
        model.pass_deadlines(now);
        reloader.tick(now);
        apply();
        keeper.tick(now);
        copy.tick(now);
    });

    LoadMeter load;
    TxAudit sent;
    const Ticker every_second = loop.every(std::chrono::seconds(1), [&load, &sent](TimePoint) {
        load.tick();
        for (const std::string& line : sent.tick(port_states()))
            spdlog::warn("{}", line);
        log_library();
    });
    Control control{config,
                    model,
                    health,
                    publisher,
                    calls.table(),
                    sweeper,
                    loop,
                    load,
                    Clock::now(),
                    admins,
                    apply,
                    &reloader,
                    [&keeper] { return keeper.write_now(); },
                    [&kernel](Ipv4Addr address) { return kernel.view(address); },
                    &sent};
    cli.start(control);
    spdlog::info("ready: {} worker(s), {} backend(s), control socket {}",
                 worker_count(),
                 std::ranges::count_if(model.backends(), &BackendState::exists),
                 config.socket);
    notify_systemd("READY=1");
    loop.run();
    notify_systemd("STOPPING=1");
    return 0;
}

int run_command(int argc, char** argv) {
    CLI::App app{"Viaduct, a SIP load balancer"};
    std::string config_file;
    std::string check_file;
    bool reference = false;
    ReplayCommand replay;
    auto* run_option = app.add_option("--config", config_file, "run with this configuration");
    app.add_option("--check", check_file, "only check this configuration")->excludes(run_option);
    app.add_flag("--reference", reference, "print the reference of settings, verbs and counters");
    app.set_version_flag("--version", std::string("viaductd ") + VIADUCT_VERSION);
    CLI::App* replay_app = app.add_subcommand("replay", "send a capture through the real stages");
    replay_app->add_option("--config", replay.config, "configuration")->required();
    replay_app->add_option("--in", replay.in, "capture to read (pcap or pcapng)")->required();
    replay_app->add_option("--out", replay.out, "capture to write")->required();
    replay_app->add_flag("--json", replay.json, "print one JSON object");
    replay_app->add_flag("--frames", replay.frames, "with --json: one entry per frame");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        if (error.get_exit_code() == 0) return app.exit(error);
        throw Error(std::string(error.what()) + "; see --help");
    }
    if (*replay_app) return run_replay(replay);
    if (reference) {
        std::fputs(reference_page().c_str(), stdout);
        return std::fflush(stdout) == 0 ? 0 : 1;
    }
    if (!check_file.empty()) {
        static_cast<void>(load_config(check_file));
        return 0;
    }
    if (config_file.empty())
        throw Error(
            "say what to do: --config FILE, --check FILE, --reference or replay; see --help");
    Config config = load_config(config_file);
    start_log(config.log_level);
    return run(std::move(config));
}

} // namespace

} // namespace viaduct

int main(int argc, char** argv) {
    try {
        return viaduct::run_command(argc, argv);
    } catch (const viaduct::ConfigError& error) { // each mistake on its own line, FILE first
        std::fprintf(stderr, "%s\n", error.what());
    } catch (const std::exception& error) { // Error, or what the library throws for want of memory
        std::fprintf(stderr, "viaductd: %s\n", error.what());
    }
    return 1;
}
