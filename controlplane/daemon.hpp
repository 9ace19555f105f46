// SPDX-License-Identifier: Apache-2.0
//
// daemon: READ FIRST. viaductd with all its parts. Parts start in the order of the members and stop
// in reverse.
#pragma once

#include "cli/cli.hpp"
#include "config/config.hpp"
#include "health/health.hpp"
#include "host/host_network.hpp"
#include "host/tx_audit.hpp"
#include "loop.hpp"
#include "model/pool.hpp"
#include "publish/call_sweeper.hpp"
#include "publish/links.hpp"
#include "publish/publish.hpp"
#include "publish/reload.hpp"
#include "start.hpp"
#include "state/state_writer.hpp"
#include "totals.hpp"

#include <csignal>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace viaduct {

class Daemon {
public:
    /// Signals for the daemon. Blocked (block_signals) before it is made, they wait for run().
    [[nodiscard]] static std::vector<int> signals() { return {SIGTERM, SIGINT, SIGHUP}; }

    /// Starts everything: when it returns, calls are forwarded. Throws Error with what is missing;
    /// everything that had started has stopped then.
    explicit Daemon(Config config);
    Daemon(const Daemon&) = delete;
    Daemon& operator=(const Daemon&) = delete;

    /// Serves until SIGTERM or SIGINT. SIGHUP reloads the configuration.
    void run();

private:
    void start_dataplane_empty();
    void publish_first();
    void tick(TimePoint now);
    void tick_second();
    [[nodiscard]] bool take_events(TimePoint now);
    void apply();
    void log_changes();
    void on_signal(int signal);
    void reload_by_signal();
    void set_addresses(const Config& next, std::vector<BackendLocation> places);
    [[nodiscard]] Reloader::Parts reload_parts();
    [[nodiscard]] Control control_parts();

    Loop loop_;
    Config config_; ///< the current one; the parts refer to it
    DataplaneRequest request_;
    Admins admins_;
    OnlyInstance only_instance_;
    CliServer cli_; ///< clients wait until start()
    SteeringSecret secret_;
    ProbePort probe_port_;
    StateAtStart state_;
    PoolModel model_;
    Publisher publisher_;
    std::optional<StateWriter> state_writer_; ///< made once the model is restored
    std::optional<RememberedCalls> calls_;
    std::optional<CallSweeper> sweeper_;
    std::optional<RunningDataplane> dataplane_;
    std::optional<HostNetwork> network_;
    std::optional<LinkWatch> links_;
    std::optional<HealthChecker> health_;
    std::optional<Reloader> reloader_;
    LoadMeter load_;
    TxAudit sent_;
    std::optional<Control> control_;
    Ticker ticker_;
    Ticker every_second_;

    std::uint64_t published_model_ = 0;
    std::uint64_t published_hops_ = 0;
    std::uint64_t logged_ = 0; ///< last change in the log
};

} // namespace viaduct
