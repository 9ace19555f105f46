// SPDX-License-Identifier: Apache-2.0
//
// verbs_calls: tracked calls: `show generations` and `show calls`.
#include "cli/text.hpp"
#include "cli/verbs_show.hpp"
#include "model/pool.hpp"
#include "publish/call_sweeper.hpp"
#include "publish/publish.hpp"

#include "viaduct/error.hpp"
#include "viaduct/steering/steer.hpp"

#include <algorithm>

namespace viaduct {

namespace {

using Json = nlohmann::ordered_json;

Json names_of(const Generation& generation) {
    Json names = Json::array();
    for (const Candidate& one : generation.candidates)
        names.push_back(one.name);
    return names;
}

Json row_of(const std::string& pool, const Generation& generation, std::string_view state) {
    return {{"pool", pool},
            {"number", generation.number},
            {"state", state},
            {"since", utc(generation.since)},
            {"replaced", generation.replaced ? Json(utc(*generation.replaced)) : Json()},
            {"table", generation.digest},
            {"backends", names_of(generation)},
            {"reason", to_utf8(generation.reason)}};
}

void show_one_call(Control& control,
                   const std::string& vip,
                   const std::string& call_id,
                   Reply& reply) {
    const Snapshot& snapshot = published(control);
    const Vip& found = snapshot.vips[index(find_vip(snapshot, vip))];
    SipDigest digest;
    digest.call_id = call_id;
    const CallTime now = control.sweeper.now();
    const auto find_in = [&](PoolId pool) {
        return control.calls.find(steering_hash(snapshot.pools[index(pool)], digest), now);
    };
    PoolId pool = found.pool;
    std::optional<Call> call = find_in(pool);
    if (!call && found.previous) {
        call = find_in(*found.previous);
        if (call) pool = *found.previous;
    }
    reply.json = {{"vip", vip},
                  {"pool", snapshot.pools[index(pool)].name},
                  {"call_id", to_utf8(call_id)},
                  {"remembered", call.has_value()},
                  {"state", call ? Json(name_of(call->state)) : Json()},
                  {"backend", nullptr},
                  {"seconds_left", nullptr}};
    if (!call) return;
    if (index(call->backend) < snapshot.backends.size())
        reply.json["backend"] = snapshot.backends[index(call->backend)].name;
    reply.json["seconds_left"] = call->deadline.left(now) * control.publisher.call_unit().count();
}

} // namespace

double unsettled_percent(const Control& control, PoolId pool) {
    return percent(control.publisher.generations(pool).unsettled_slots(), kSlots);
}

Json seconds_to_switch(const Control& control, PoolId pool) {
    const std::optional<Generation>& announced = control.publisher.generations(pool).announced();
    if (!announced) return nullptr;
    return seconds_until(announced->since);
}

void show_generations(Control& control, Arguments arguments, Reply& reply) {
    Json rows = Json::array();
    Json pools = Json::array();
    std::string text;
    if (!arguments.empty()) static_cast<void>(control.model.find_pool(arguments[0]));
    for (const PoolState& pool : control.model.pools()) {
        const std::string& name = pool.config.name;
        if (!arguments.empty() && arguments[0] != name) continue;
        const Generations& generations = control.publisher.generations(pool.id);
        for (const Generation& one : generations.all())
            rows.push_back(row_of(name, one, one.replaced ? "old" : "now"));
        if (generations.announced())
            rows.push_back(row_of(name, *generations.announced(), "announced"));
        const Json left = seconds_to_switch(control, pool.id);
        pools.push_back({{"pool", name},
                         {"unsettled_percent", unsettled_percent(control, pool.id)},
                         {"switch_in_s", left},
                         {"gathered", generations.has_gathered()},
                         {"capped", generations.capped()}});
    }
    reply.text = to_table(rows) + "\n" + to_table(pools);
    reply.json["generations"] = std::move(rows);
    reply.json["pools"] = std::move(pools);
}

void show_calls(Control& control, Arguments arguments, Reply& reply) {
    if (arguments.size() == 2) {
        show_one_call(control, arguments[0], arguments[1], reply);
        return;
    }
    if (!arguments.empty()) static_cast<void>(control.model.find_pool(arguments[0]));
    Json rows = Json::array();
    for (const BackendState& backend : control.model.backends()) {
        if (!backend.exists()) continue;
        const PoolState& pool = control.model.pool(backend.pool);
        if (!arguments.empty() && arguments[0] != pool.config.name) continue;
        const CallCounts& counts = control.sweeper.counts()[index(backend.id)];
        rows.push_back({{"pool", pool.config.name},
                        {"backend", backend.config.name},
                        {"ringing", counts.ringing},
                        {"answered", counts.answered},
                        {"lasting", counts.lasting},
                        {"failed", counts.failed},
                        {"open", counts.open},
                        {"ended", counts.ended},
                        {"silent", counts.silent},
                        {"unknown", counts.unknown},
                        {"all_counted", control.publisher.tracks_every_call(pool)}});
    }
    const std::uint64_t used = control.sweeper.used();
    const std::uint64_t words = control.calls.words();
    const double share = percent(used, words);
    reply.text =
        to_table(rows) + "\nThe call table uses " + std::to_string(used) + " of " +
        std::to_string(words) + " words (" + Json(share).dump() +
        " %). Where all_counted is false, some calls may not be tracked.\nFailed: the INVITE was "
        "refused; one answered call in 14 also counts as failed until its next message. Silent: "
        "the call rang, then no message arrived for longer than timer c. Unknown: the start of the "
        "call was not seen, so it may be forged; limits and drains ignore it.\n";
    reply.json = {{"calls", std::move(rows)},
                  {"used", used},
                  {"words", words},
                  {"used_percent", share},
                  {"passes", control.sweeper.passes()}};
}

} // namespace viaduct
