// SPDX-License-Identifier: Apache-2.0
//
// main: viaductd's command line.
#include "cli/reference.hpp"
#include "cli/replay_command.hpp"
#include "config/config.hpp"
#include "daemon.hpp"
#include "log.hpp"

#include "viaduct/error.hpp"

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <exception>
#include <string>
#include <utility>

namespace viaduct {

namespace {

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
            "nothing to do: give --config FILE, --check FILE, --reference or replay; see --help");
    Config config = load_config(config_file);
    start_log(config.log_level);
    std::signal(SIGPIPE, SIG_IGN); // a log reader that exits must not end the balancer
    block_signals(Daemon::signals());
    Daemon(std::move(config)).run();
    return 0;
}

} // namespace

} // namespace viaduct

int main(int argc, char** argv) {
    try {
        return viaduct::run_command(argc, argv);
    } catch (const viaduct::ConfigError& error) { // each mistake on its own line, FILE first
        std::fprintf(stderr, "%s\n", error.what());
    } catch (const std::exception& error) { // Error, or out of memory in the library
        std::fprintf(stderr, "viaductd: %s\n", error.what());
    }
    return 1;
}
