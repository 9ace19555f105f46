// SPDX-License-Identifier: Apache-2.0
#include "replay_command.hpp"

#include "config.hpp"
#include "kernel.hpp"
#include "pool.hpp"
#include "publish.hpp"
#include "stats.hpp"

#include "viaduct/replay.hpp"

#include <cstdio>
#include <nlohmann/json.hpp>

namespace viaduct {

namespace {

using Json = nlohmann::ordered_json;

/// An IPv4 packet can be no larger; replay has no device whose MTU would be the default.
constexpr std::uint32_t kLargestMtu = 65'535;

std::string dump(const Json& json) {
    return json.dump(-1, ' ', true); // ASCII only: bytes that are not UTF-8 read as \u00XX
}

void print(const std::string& text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
}

template <typename Id, typename Things>
Json name_or_null(const std::optional<Id>& id, const Things& things) {
    return id ? Json(things[index(*id)].name) : Json(nullptr);
}

Json outcomes_of(const ReplayTotals& totals) {
    Json outcomes = Json::object();
    for (const OutcomeInfo& row : kOutcomes)
        outcomes[std::string(row.name)] = totals.outcomes[static_cast<std::size_t>(row.outcome)];
    return outcomes;
}

Json json_of(const ReplayFrame& frame, const Snapshot& snapshot) {
    return {{"n", frame.number},
            {"outcome", name_of(frame.outcome)},
            {"vip", name_or_null(frame.vip, snapshot.vips)},
            {"pool", name_or_null(frame.pool, snapshot.pools)},
            {"backend", name_or_null(frame.backend, snapshot.backends)},
            {"call_id", frame.call_id.empty() ? Json(nullptr) : Json(to_utf8(frame.call_id))}};
}

} // namespace

int run_replay(const ReplayCommand& command) {
    if (command.frames && !command.json) throw Error("--frames needs --json");
    const Config config = load_config(command.config);
    PoolModel model(config);
    for (const BackendState& backend : model.backends())
        model.set_health(backend.id, Health::Up, "replay: all backends are up");
    Publisher publisher(config, config.secret.value_or(kReplaySecret), 0);
    const auto snapshot = publisher.build(model);

    // Entries go to a file of their own first, so that a capture that breaks off prints no half
    // object.
    const std::unique_ptr<FILE, int (*)(FILE*)> entries(std::tmpfile(), &std::fclose);
    if (command.frames && !entries) throw Error("cannot make a temporary file for --frames");
    const auto on_frame = [&](const ReplayFrame& frame) {
        if (!command.frames) return;
        const std::string entry = (frame.number > 1 ? "," : "") + dump(json_of(frame, *snapshot));
        if (std::fwrite(entry.data(), 1, entry.size(), entries.get()) != entry.size())
            throw Error("cannot write the temporary file for --frames: is the disk full?");
    };
    const ReplayTotals totals = replay(*snapshot,
                                       replay_next_hops(config),
                                       config.ports.front().mtu.value_or(kLargestMtu),
                                       command.in,
                                       command.out,
                                       on_frame);

    Json summary = {
        {"received", totals.received}, {"sent", totals.sent}, {"outcomes", outcomes_of(totals)}};
    if (!command.json) {
        print(to_table(summary));
    } else if (!command.frames) {
        print(dump(summary) + "\n");
    } else {
        std::string head = dump(summary);
        head.pop_back(); // the closing brace comes after the frames
        print(head + ",\"frames\":[");
        std::rewind(entries.get());
        std::string chunk(1 << 16, '\0');
        while (const std::size_t count = std::fread(chunk.data(), 1, chunk.size(), entries.get()))
            std::fwrite(chunk.data(), 1, count, stdout);
        print("]}\n");
    }
    if (std::fflush(stdout) != 0) throw Error("cannot write to standard output");
    return 0;
}

} // namespace viaduct
