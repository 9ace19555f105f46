// SPDX-License-Identifier: Apache-2.0
//
// verbs_show: model, counters and configuration -> the answers of `show`.
//
// In:    Control; reads only. Every number is current but may be a few packets behind.
// Out:   Reply.json, an object whose key names the content; text only where the generic table does
//        not suffice.
// Cost:  a few numbers per backend and worker, on the control thread.

#include "cli/verbs_show.hpp"

#include "cli/text.hpp"
#include "cli/verbs_drain.hpp"
#include "health/health.hpp"
#include "host/tx_audit.hpp"
#include "model/pool.hpp"
#include "publish/call_sweeper.hpp"
#include "publish/links.hpp"
#include "publish/publish.hpp"
#include "totals.hpp"

#include "viaduct/dataplane.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <sstream>
#include <toml++/toml.h>
#include <unistd.h>

namespace viaduct {

std::string utc(std::chrono::system_clock::time_point at) {
    const auto since = std::chrono::floor<std::chrono::milliseconds>(at.time_since_epoch()).count();
    const auto milliseconds = static_cast<int>(((since % 1000) + 1000) % 1000);
    const auto seconds = static_cast<std::time_t>((since - milliseconds) / 1000);
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    char date[32];
    char all[48];
    std::strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &parts);
    std::snprintf(all, sizeof all, "%s.%03dZ", date, milliseconds);
    return all;
}

std::string utc(TimePoint at) {
    const auto ago =
        std::chrono::duration_cast<std::chrono::system_clock::duration>(at - Clock::now());
    return utc(std::chrono::system_clock::now() + ago);
}

std::int64_t seconds_until(TimePoint at) {
    const auto left = std::chrono::ceil<std::chrono::seconds>(at - Clock::now());
    return std::max<std::int64_t>(0, left.count());
}

double percent(std::uint64_t part, std::uint64_t whole) {
    if (whole == 0) return 0;
    return std::round(10'000.0 * static_cast<double>(part) / static_cast<double>(whole)) / 100;
}

namespace {

using Json = nlohmann::ordered_json;

Json json_of(const std::optional<std::int64_t>& number) {
    return number ? Json(*number) : Json();
}

Json null_if_empty(const std::string& text) {
    return text.empty() ? Json() : Json(text);
}

/// Returns part / whole with one decimal; null when `whole` is 0.
Json ratio(double part, double whole) {
    if (whole <= 0) return nullptr;
    return std::round(part / whole * 10) / 10;
}

double uptime_seconds(const Control& control) {
    return std::chrono::duration<double>(Clock::now() - control.started).count();
}

std::uint64_t value_of(const WorkerCounters& counters, WorkerCounter which) {
    return counters[which].read();
}

std::uint64_t value_of(const Totals& totals, WorkerCounter which) {
    return totals.values[static_cast<std::size_t>(which)];
}

/// Returns the backend's share of new calls, as a share of the slots.
Json share_percent(const Control& control, const BackendState& backend) {
    const auto& all = control.publisher.generations(backend.pool).all();
    if (all.empty()) return nullptr;
    const auto slots = control.publisher.generations(backend.pool).slots();
    if (!slots) return 0;
    return ratio(100.0 * static_cast<double>(std::ranges::count(*slots, backend.id)),
                 static_cast<double>(slots->size()));
}

/// Returns the operator's wish, from a verb or from the file.
std::string_view wish_for(const BackendState& backend) {
    return backend.membership == Membership::Leaving && backend.admin != Admin::Disabled
               ? name_of(backend.membership)
               : name_of(backend.admin);
}

/// Describes what is left in a VIP's previous pool; nulls: it has none. calls_refused: calls that
/// were or seem to be refused. all_counted false: calls_left may miss silent calls. moves_in_s
/// null: new calls go to the new pool.
Json before_move(const Control& control, const std::string& vip) {
    Json before = {{"previous_pool", nullptr},
                   {"calls_left", nullptr},
                   {"calls_refused", nullptr},
                   {"all_counted", nullptr},
                   {"moves_in_s", nullptr}};
    const std::vector<Move>& moves = control.publisher.moves();
    const auto move = std::ranges::find(moves, vip, &Move::vip);
    if (move == moves.end()) return before;
    before["previous_pool"] = move->previous;
    const PoolState& pool = control.model.find_pool(move->previous);
    if (control.sweeper.passes() > 0) {
        std::uint64_t living = 0;
        std::uint64_t refused = 0;
        for (const BackendId id : pool.backends) {
            // Calls from before the announcement are unknown, because their start was not seen.
            living += control.sweeper.counts()[index(id)].active() +
                      control.sweeper.counts()[index(id)].unknown;
            refused += control.sweeper.counts()[index(id)].failed;
        }
        before["calls_left"] = living;
        before["calls_refused"] = refused;
    }
    before["all_counted"] = control.publisher.tracks_every_call(pool);
    if (!move->has_moved) before["moves_in_s"] = seconds_until(VipMoves::due(*move, control.model));
    return before;
}

} // namespace

void show_version(Control& control, Arguments, Reply& reply) {
    reply.json = {{"version", VIADUCT_VERSION},
                  {"dataplane", dataplane_version()},
                  {"uptime_s", static_cast<std::uint64_t>(std::max(0.0, uptime_seconds(control)))},
                  {"pid", getpid()}};
}

void show_vips(Control& control, Arguments, Reply& reply) {
    Json& vips = reply.json["vips"] = Json::array();
    for (const VipConfig& vip : control.config.vips) {
        const PoolId pool = control.model.find_pool(vip.pool).id;
        Json row = {{"vip", vip.name}, {"address", to_string(vip.endpoint)}, {"pool", vip.pool}};
        row.update(before_move(control, vip.name));
        row["enabled"] = vip.enabled;
        row["announce"] = vip.announce;
        const AddressView view =
            control.view_address ? control.view_address(vip.endpoint.address) : AddressView{};
        std::string others;
        for (const OtherStation& other : view.others)
            others += (others.empty() ? "" : ", ") + describe(other, control.model);
        row["on_twin"] = view.is_here;
        row["also_at"] = null_if_empty(others);
        row["health_known"] = control.model.health_known(pool);
        row["eligible"] = control.publisher.elect(control.model, pool).candidates.size();
        vips.push_back(std::move(row));
    }
}

void show_pools(Control& control, Arguments, Reply& reply) {
    Json& pools = reply.json["pools"] = Json::array();
    for (const PoolState& pool : control.model.pools()) {
        const auto up = std::ranges::count_if(pool.backends, [&](BackendId id) {
            return control.model.backend(id).health == Health::Up;
        });
        const Election election = control.publisher.elect(control.model, pool.id);
        pools.push_back(
            {{"pool", pool.config.name},
             {"mode", name_of(pool.config.mode)},
             {"steering", name_of(pool.config.steering)},
             {"backends", pool.backends.size()},
             {"up", up},
             {"eligible", election.candidates.size()},
             {"tier", election.candidates.empty() ? Json() : Json(election.tier)},
             {"health_known", control.model.health_known(pool.id)},
             {"table", control.publisher.digest(pool.id)},
             {"announced", control.publisher.generations(pool.id).announced().has_value()},
             {"gathered", control.publisher.generations(pool.id).has_gathered()},
             {"unsettled_percent", unsettled_percent(control, pool.id)},
             {"switch_in_s", seconds_to_switch(control, pool.id)}});
    }
}

void show_backends(Control& control, Arguments, Reply& reply) {
    Json& backends = reply.json["backends"] = Json::array();
    for (const BackendState& backend : control.model.backends()) {
        if (!backend.exists()) continue;
        backends.push_back({{"pool", backend.pool_name},
                            {"backend", backend.config.name},
                            {"address", to_string(backend.config.endpoint)},
                            {"weight", backend.config.weight},
                            {"tier", backend.config.tier},
                            {"new_calls_percent", share_percent(control, backend)},
                            {"health", name_of(backend.health)},
                            {"admin", wish_for(backend)},
                            {"since", utc(backend.changed)},
                            {"calls_left", calls_left(control, backend)},
                            {"calls_refused", calls_refused(control, backend)},
                            {"disabled_in_s", json_of(seconds_left(backend))},
                            {"forwarded", forwarded_to(backend.id) - backend.forwarded_before},
                            {"returned", returned_from(backend.id) - backend.returned_before},
                            {"evidence", to_utf8(backend.evidence)}});
    }
}

void show_health(Control& control, Arguments, Reply& reply) {
    Json rows = Json::array();
    for (const BackendState& backend : control.model.backends()) {
        if (!backend.exists()) continue;
        const HealthChecker::Statistics& seen = control.health.statistics(backend.id);
        Json row = {{"pool", backend.pool_name},
                    {"backend", backend.config.name},
                    {"health", name_of(backend.health)},
                    {"sent", seen.sent},
                    {"good", seen.good},
                    {"bad_code", seen.bad_code},
                    {"timeout", seen.timeout},
                    {"rejected", seen.rejected},
                    {"last_status", nullptr},
                    {"last_rtt_us", nullptr}};
        if (seen.last_status != 0) row["last_status"] = seen.last_status;
        if (seen.last_rtt) row["last_rtt_us"] = seen.last_rtt->count();
        rows.push_back(std::move(row));
    }
    reply.text = to_table(rows) + "\nanswers without a waiting probe: " +
                 std::to_string(control.health.unknown_answers()) + "\n";
    reply.json["health"] = std::move(rows);
    reply.json["unknown_answers"] = control.health.unknown_answers();
}

void show_ports(Control& control, Arguments, Reply& reply) {
    Json& ports = reply.json["ports"] = Json::array();
    for (const PortState& port : port_states()) {
        const std::uint64_t lost = control.sent == nullptr ? 0 : control.sent->lost(ports.size());
        ports.push_back({{"port", port.name},
                         {"driver", port.driver},
                         {"mac", to_string(port.mac)},
                         {"mtu", port.mtu},
                         {"link", port.no_link.empty() ? "up" : "down"},
                         {"down_because", null_if_empty(port.no_link)},
                         {"received", port.received},
                         {"sent", port.sent},
                         {"missed", port.missed},
                         {"rx_errors", port.rx_errors},
                         {"tx_errors", port.tx_errors},
                         {"tx_lost", lost},
                         {"no_buffers", port.no_buffers}});
    }
}

namespace {

/// Builds with -Dstage_tsc=true only: adds the ticks of each stage, per packet (`row`) and in total
/// (`ticks`).
void add_stages(const WorkerCounters& counters, Json& row, Json& ticks) {
    const auto received = static_cast<double>(value_of(counters, WorkerCounter::Received));
    for (std::size_t i = 0; i < kStageCount; ++i) {
        const std::string name(kStageNames[i]);
        const std::uint64_t total = counters.stage_tsc[i].read();
        row[name] = ratio(static_cast<double>(total), received);
        ticks[name] = total;
    }
}

} // namespace

void show_workers(Control& control, Arguments, Reply& reply) {
    const double ticks = uptime_seconds(control) * static_cast<double>(tsc_hz());
    Json rows = Json::array();
    Json stage_tsc = Json::array();
    for (std::size_t i = 0; i < worker_count(); ++i) {
        const auto id = static_cast<WorkerId>(i);
        const WorkerCounters& counters = read_counters(id);
        const auto busy = static_cast<double>(value_of(counters, WorkerCounter::BusyTsc));
        const std::uint64_t received = value_of(counters, WorkerCounter::Received);
        const std::optional<double> last_second = control.load.busy_share(id);
        Json row = {{"worker", i},
                    {"cpu", worker_cpu(id)},
                    {"received", received},
                    {"sent", value_of(counters, WorkerCounter::Sent)},
                    {"busy_percent", ratio(100 * std::min(busy, ticks), ticks)},
                    {"busy_percent_1s", nullptr},
                    {"cycles_per_packet", ratio(busy, static_cast<double>(received))},
                    {"polls", value_of(counters, WorkerCounter::Polls)},
                    {"busy_polls", value_of(counters, WorkerCounter::BusyPolls)},
                    {"events_lost", value_of(counters, WorkerCounter::EventsLost)}};
        if (last_second) row["busy_percent_1s"] = ratio(100 * *last_second, 1);
        if (kStageTsc) add_stages(counters, row, stage_tsc.emplace_back(Json::object()));
        rows.push_back(std::move(row));
    }
    reply.json["workers"] = std::move(rows);
    if (!kStageTsc) return;
    reply.text = to_table(reply.json["workers"]);
    reply.json["stage_tsc"] = std::move(stage_tsc);
}

void show_outcomes(Control&, Arguments, Reply& reply) {
    const Totals totals = read_totals();
    reply.json["received"] = value_of(totals, WorkerCounter::Received);
    reply.json["sent"] = value_of(totals, WorkerCounter::Sent);
    Json outcomes = Json::object();
    Json counters = Json::object();
    Json rows = Json::array();
    std::uint64_t sum = 0;
    for (const OutcomeInfo& info : kOutcomes) {
        const std::uint64_t count = totals.outcomes[static_cast<std::size_t>(info.outcome)];
        outcomes[std::string(info.name)] = count;
        sum += count;
        if (count != 0)
            rows.push_back({{"outcome", info.name}, {"packets", count}, {"meaning", info.help}});
    }
    const std::size_t zero = kOutcomeCount - rows.size();
    rows.push_back({{"outcome", "total"}, {"packets", sum}, {"meaning", "sum of the above"}});

    Json counter_rows = Json::array();
    for (const WorkerCounterInfo& info : kWorkerCounters) {
        const std::uint64_t value = value_of(totals, info.counter);
        counters[std::string(info.name)] = value;
        counter_rows.push_back({{"counter", info.name}, {"value", value}, {"meaning", info.help}});
    }
    reply.json["outcomes"] = std::move(outcomes);
    reply.json["counters"] = std::move(counters);
    reply.text = to_table(rows) + std::to_string(zero) + " other outcomes are zero\n\n" +
                 to_table(counter_rows);
}

void show_events(Control& control, Arguments arguments, Reply& reply) {
    std::size_t wanted = 50;
    if (!arguments.empty()) {
        const std::string& text = arguments[0];
        const char* const end = text.data() + text.size();
        const auto [stop, error] = std::from_chars(text.data(), end, wanted);
        if (error != std::errc{} || stop != end || wanted < 1 || wanted > PoolModel::kHistory)
            throw Error("show events: the count must be a number from 1 to " +
                        std::to_string(PoolModel::kHistory));
    }
    const auto& history = control.model.history();
    Json& events = reply.json["events"] = Json::array();
    for (std::size_t i = history.size() - std::min(wanted, history.size()); i < history.size();
         ++i) {
        const StateChange& change = history[i];
        events.push_back({{"number", change.number},
                          {"at", utc(change.at)},
                          {"pool", null_if_empty(change.pool)},
                          {"backend", null_if_empty(change.backend)},
                          {"port", null_if_empty(change.port)},
                          {"address", null_if_empty(change.address)},
                          {"from", change.from},
                          {"to", change.to},
                          {"evidence", to_utf8(change.evidence)}});
    }
    // The table shows these columns only when they have values.
    Json rows = events;
    for (const char* const rare : {"port", "address"})
        if (std::ranges::all_of(events, [&](const Json& event) { return event[rare].is_null(); }))
            for (Json& row : rows)
                row.erase(rare);
    reply.text = to_table(rows);
}

void show_config(Control& control, Arguments, Reply& reply) {
    reply.text = print_config(control.config);
    std::ostringstream json;
    json << toml::json_formatter{toml::parse(reply.text)};
    reply.json = Json::parse(json.str());
}

} // namespace viaduct
