// SPDX-License-Identifier: Apache-2.0
//
// generator: sends the frames of a capture at an exact rate, and says what became of them.
//
//   generator [EAL options] -- --capture FILE --rate PPS|max --seconds S [--stamp] [--json] ...
//
// In:    a capture with Ethernet frames, sent as they are, one after the other, over and over.
// Out:   what was sent and came back; with --stamp what was lost, doubled, out of order, how long
//        it took and how long nothing came. Its clock is the TSC.
// Cost:  one lcore sends and receives in turns; when EAL is given a second one, that receives.
//
#include "generator_traffic.hpp"

#include "viaduct/error.hpp"

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <rte_mbuf.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>

namespace viaduct::bench {

namespace {

constexpr unsigned kMbufs = 8191;
constexpr double kProbesPerSecond = 100; ///< while nothing has come back yet

std::atomic<bool> interrupted{false};

struct Options {
    std::string capture;
    std::string rate = "max";
    double pps = 0; ///< of `rate`; 0: as fast as it goes
    double seconds = 10;
    double warmup = 1;
    double wait = 10;
    std::uint16_t tx_port = 0;
    std::uint16_t rx_port = 0;
    bool stamp = false;
    bool json = false;
};

void start_port(std::uint16_t port, rte_mempool* pool, double wait) {
    const std::string name = "port " + std::to_string(port) + ": ";
    const auto check = [&](int result, const char* step) {
        if (result < 0) throw Error(name + step + ": " + rte_strerror(-result));
    };
    rte_eth_dev_info info{};
    check(rte_eth_dev_info_get(port, &info), "there is no such port (give EAL a --vdev)");
    rte_eth_conf conf{};
    conf.txmode.offloads = info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
    check(rte_eth_dev_configure(port, 1, 1, &conf), "cannot configure it");
    std::uint16_t rx = kDescriptors;
    std::uint16_t tx = kDescriptors;
    check(rte_eth_dev_adjust_nb_rx_tx_desc(port, &rx, &tx), "cannot choose descriptors");
    check(rte_eth_rx_queue_setup(port, 0, rx, SOCKET_ID_ANY, nullptr, pool), "no RX queue");
    rte_eth_txconf tx_conf = info.default_txconf;
    tx_conf.offloads = conf.txmode.offloads;
    check(rte_eth_tx_queue_setup(port, 0, tx, SOCKET_ID_ANY, &tx_conf), "no TX queue");
    check(rte_eth_dev_start(port), "cannot start it");
    rte_eth_promiscuous_enable(port); // what comes back is addressed to someone else
    rte_eth_link link{};
    for (const std::uint64_t began = rte_rdtsc(); link.link_status != RTE_ETH_LINK_UP;) {
        if (interrupted || rte_rdtsc() - began > ticks(wait)) throw Error(name + "no link");
        rte_delay_us_sleep(1'000);
        check(rte_eth_link_get_nowait(port, &link), "cannot read the link");
    }
}

/// One frame every 10 ms until one comes back: then all in between is ready.
void await_path(const Options& options, Sender& sender) {
    Receiver receiver(options.rx_port, options.stamp, 0);
    sender.begin(kProbesPerSecond);
    for (const std::uint64_t began = rte_rdtsc(); receiver.received == 0; receiver.poll()) {
        const std::uint64_t now = rte_rdtsc();
        if (interrupted || now - began > ticks(options.wait)) throw Error("nothing comes back");
        sender.poll(now);
    }
    receiver.drain();
}

/// Sends for so long. Returns when what is under way has come or is lost.
Receiver run(const Options& options, Sender& sender, double seconds) {
    const unsigned other = rte_get_next_lcore(rte_lcore_id(), 1, 0);
    sender.begin(options.pps);
    Receiver receiver(options.rx_port, options.stamp, sender.first());
    struct Shared {
        Receiver& receiver;
        std::atomic<bool> sending{true};
    } shared{receiver};
    if (other != RTE_MAX_LCORE)
        rte_eal_remote_launch(
            [](void* argument) {
                auto* mine = static_cast<Shared*>(argument);
                while (mine->sending.load(std::memory_order_relaxed))
                    mine->receiver.poll();
                mine->receiver.drain();
                return 0;
            },
            &shared,
            other);
    const std::uint64_t began = rte_rdtsc();
    const std::uint64_t length = ticks(seconds);
    for (std::uint64_t now = began; now - began < length && !interrupted; now = rte_rdtsc()) {
        const bool alone = other == RTE_MAX_LCORE;
        if (!alone || !receiver.must_wait(sender.next(), now)) sender.poll(now);
        if (alone) receiver.poll();
    }
    shared.sending = false;
    if (other != RTE_MAX_LCORE)
        rte_eal_wait_lcore(other);
    else
        receiver.drain();
    sender.drop_pending();
    if (interrupted) throw Error("interrupted");
    return receiver;
}

nlohmann::ordered_json report(const Options& options,
                              const Templates& templates,
                              const Sender& sender,
                              const Receiver& receiver) {
    nlohmann::ordered_json json;
    const auto sent = static_cast<double>(sender.sent());
    const auto frames = static_cast<double>(templates.count());
    json["rate"] = options.rate;
    json["seconds"] = options.seconds;
    json["frames"] = templates.count();
    json["mean_frame_bytes"] = static_cast<double>(templates.bytes()) / frames;
    json["sent"] = sender.sent();
    json["received"] = receiver.received;
    json["lost"] = static_cast<std::int64_t>(sender.sent() - receiver.received);
    json["sent_pps"] = sent / options.seconds;
    json["received_pps"] = static_cast<double>(receiver.received_in_time) / options.seconds;
    json["kept_pace"] = sent + kBurst >= options.pps * options.seconds * 0.999;
    json["longest_lag_us"] = microseconds(sender.longest_lag());
    json["foreign"] = receiver.foreign;
    json["longest_gap_us"] = microseconds(receiver.longest_gap());
    json["longest_watched_gap_us"] = microseconds(receiver.longest_watched_gap());
    json["longest_own_pause_us"] = microseconds(receiver.longest_pause());
    if (!options.stamp) return json;
    json["duplicated"] = receiver.duplicated;
    json["reordered"] = receiver.reordered;
    const Histogram& times = receiver.times();
    json["min_us"] = microseconds(times.least());
    json["p50_us"] = microseconds(times.quantile(0.5));
    json["p99_us"] = microseconds(times.quantile(0.99));
    json["p999_us"] = microseconds(times.quantile(0.999));
    json["max_us"] = microseconds(times.most());
    return json;
}

void parse(Options& options, int argc, char** argv) {
    CLI::App app{"Sends the frames of a capture at an exact rate"};
    app.add_option("--capture", options.capture)->required();
    app.add_option("--rate", options.rate, "frames a second, or max")->required();
    app.add_option("--seconds", options.seconds)->check(CLI::Range(0.01, 600.0));
    app.add_option("--warmup", options.warmup, "seconds before that")->check(CLI::Range(0.0, 60.0));
    app.add_option("--wait", options.wait, "seconds for the first frame to come back; 0: do not")
        ->check(CLI::Range(0.0, 60.0));
    app.add_option("--tx-port", options.tx_port);
    auto* rx_port = app.add_option("--rx-port", options.rx_port, "tx-port, when left out");
    app.add_flag("--stamp", options.stamp, "number and time each frame");
    app.add_flag("--json", options.json, "one object; otherwise a line for each value");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        if (app.exit(error) == 0) std::exit(0);
        throw Error("wrong arguments");
    }
    if (rx_port->count() == 0) options.rx_port = options.tx_port;
    if (options.rate == "max") return;
    char* end = nullptr;
    options.pps = std::strtod(options.rate.c_str(), &end);
    if (*end != '\0' || !(options.pps >= 1 && options.pps <= 1e9))
        throw Error("--rate: \"" + options.rate + "\" is neither 1 to 1e9 frames a second nor max");
}

void measure(int argc, char** argv) {
    Options options;
    parse(options, argc, argv);
    const Templates templates(options.capture, options.stamp);
    rte_mempool* pool = rte_pktmbuf_pool_create(
        "generator", kMbufs, 256, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
    if (pool == nullptr) throw Error("no memory for packet buffers");
    start_port(options.tx_port, pool, std::max(1.0, options.wait));
    if (options.rx_port != options.tx_port)
        start_port(options.rx_port, pool, std::max(1.0, options.wait));
    Sender sender(options.tx_port, options.stamp, templates, pool);
    if (options.wait > 0) await_path(options, sender);
    if (options.warmup > 0) run(options, sender, options.warmup);
    std::fprintf(stderr, "generator: measuring\n");
    const Receiver receiver = run(options, sender, options.seconds);
    const nlohmann::ordered_json json = report(options, templates, sender, receiver);
    if (options.json)
        std::printf("%s\n", json.dump(1).c_str());
    else
        for (const auto& [key, value] : json.items())
            std::printf("%-22s %s\n", key.c_str(), value.dump().c_str());
}

} // namespace

} // namespace viaduct::bench

int main(int argc, char** argv) {
    for (const int number : {SIGINT, SIGTERM})
        std::signal(number, [](int) { viaduct::bench::interrupted = true; });
    rte_openlog_stream(stderr); // standard output is for the result
    const int taken = rte_eal_init(argc, argv);
    if (taken < 0) {
        std::fprintf(stderr, "generator: cannot start DPDK: %s\n", rte_strerror(rte_errno));
        return 1;
    }
    int result = 0;
    try {
        viaduct::bench::measure(argc - taken, argv + taken);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "generator: %s\n", error.what());
        result = 1;
    }
    for (std::uint16_t port = 0; port < RTE_MAX_ETHPORTS; ++port) {
        if (rte_eth_dev_is_valid_port(port) == 0) continue;
        rte_eth_dev_stop(port);
        rte_eth_dev_close(port);
    }
    rte_eal_cleanup();
    return result;
}
