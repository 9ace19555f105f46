// SPDX-License-Identifier: Apache-2.0
#include "cli/replay_command.hpp"

#include "calls/call_table_file.hpp"
#include "cli/text.hpp"
#include "config/config.hpp"
#include "host/host_network.hpp"
#include "model/pool.hpp"
#include "publish/call_sweeper.hpp"
#include "publish/publish.hpp"
#include "totals.hpp"

#include "viaduct/error.hpp"
#include "viaduct/replay.hpp"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <span>
#include <sys/mman.h>

namespace viaduct {

namespace {

using Json = nlohmann::ordered_json;

/// Largest IPv4 packet; replay has no device whose MTU could be the default.
constexpr std::uint32_t kLargestMtu = 65'535;

std::string dump(const Json& json) {
    return json.dump(-1, ' ', true); // ASCII only: bytes that are not UTF-8 become \u00XX
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

/// Zeroed memory for a table of calls; it takes no space until it is written to.
class TableMemory {
public:
    explicit TableMemory(std::size_t words) : words_(words) {
        constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
        void* const memory =
            mmap(nullptr, words * sizeof(CallTable::Word), PROT_READ | PROT_WRITE, kFlags, -1, 0);
        if (memory == MAP_FAILED)
            throw Error("not enough memory for the call table; lower steering.calls");
        memory_ = static_cast<CallTable::Word*>(memory);
    }
    ~TableMemory() { munmap(memory_, words_ * sizeof(CallTable::Word)); }
    TableMemory(const TableMemory&) = delete;
    TableMemory& operator=(const TableMemory&) = delete;
    [[nodiscard]] CallTable table() const { return CallTable(std::span(memory_, words_)); }

private:
    std::size_t words_;
    CallTable::Word* memory_ = nullptr;
};

/// Does the work of a viaductd's control thread that starts with the first frame, with all backends
/// up. Time is that of the capture.
class ReplaySite {
public:
    explicit ReplaySite(const Config& config)
        : model_(config), publisher_(config, config.secret.value_or(kReplaySecret), 0),
          memory_(CallTableFile::words_for(config.calls)), calls_(memory_.table()),
          sweeper_(calls_, publisher_) {
        for (const BackendState& backend : model_.backends())
            model_.set_health(backend.id, Health::Up, "replay: all backends are up", kBegin);
        snapshot_ = publisher_.build(model_, kBegin);
        counts_ = std::ranges::any_of(snapshot_->pools,
                                      [](const Pool& pool) { return pool.picker != nullptr; });
    }

    ReplayMoment at(std::chrono::nanoseconds at) {
        const auto units = static_cast<std::uint64_t>(at / publisher_.call_unit());
        if (!first_) {
            first_ = at;
            units_ = units;
        }
        const TimePoint now = kBegin + (at - *first_);
        if (units_ != units) pass(units, now);
        if (publisher_.is_stale(model_, now)) snapshot_ = publisher_.build(model_, now);
        return {*snapshot_, calls_, CallTime(units)};
    }

    [[nodiscard]] const Snapshot& snapshot() const noexcept { return *snapshot_; }

private:
    static constexpr TimePoint kBegin{std::chrono::hours(24)}; // as after a day of uptime

    /// Deadlines are whole units, so that nothing expires in between.
    void pass(std::uint64_t units, TimePoint now) {
        if (CallTableFile::is_all_past(std::exchange(units_, units), units)) calls_.clear();
        if (!counts_) return; // the numbers are not used
        for (const std::uint64_t passes = sweeper_.passes(); sweeper_.passes() == passes;)
            sweeper_.tick(CallTime(units), now);
        sweeper_.restart(); // the next pass need not wait
    }

    PoolModel model_;
    Publisher publisher_;
    TableMemory memory_;
    CallTable calls_;
    CallSweeper sweeper_;
    std::unique_ptr<const Snapshot> snapshot_;
    bool counts_ = false; ///< a pool steers by the load of its backends
    std::optional<std::chrono::nanoseconds> first_;
    std::uint64_t units_ = 0;
};

} // namespace

int run_replay(const ReplayCommand& command) {
    if (command.frames && !command.json) throw Error("--frames needs --json");
    const Config config = load_config(command.config);
    ReplaySite site(config);

    // Entries go to a temporary file first, so that a broken capture prints no incomplete object.
    const std::unique_ptr<FILE, int (*)(FILE*)> entries(std::tmpfile(), &std::fclose);
    if (command.frames && !entries) throw Error("cannot create a temporary file for --frames");
    const auto on_frame = [&](const ReplayFrame& frame) {
        if (!command.frames) return;
        const std::string entry =
            (frame.number > 1 ? "," : "") + dump(json_of(frame, site.snapshot()));
        if (std::fwrite(entry.data(), 1, entry.size(), entries.get()) != entry.size())
            throw Error("cannot write the temporary file for --frames: is the disk full?");
    };
    const ReplayTotals totals = replay([&](std::chrono::nanoseconds at) { return site.at(at); },
                                       replay_next_hops(config),
                                       config.ports.front().mtu.value_or(kLargestMtu),
                                       command.in,
                                       command.out,
                                       on_frame);

    if (totals.cut > 0)
        std::fprintf(stderr,
                     "viaductd: %llu of %llu frames in %s were truncated by the capture, so calls "
                     "that start in them are not known here; capture whole frames (tcpdump -s 0)\n",
                     static_cast<unsigned long long>(totals.cut),
                     static_cast<unsigned long long>(totals.received),
                     command.in.c_str());
    Json summary = {{"received", totals.received},
                    {"sent", totals.sent},
                    {"cut", totals.cut},
                    {"outcomes", outcomes_of(totals)}};
    if (!command.json) {
        print(to_table(summary));
    } else if (!command.frames) {
        print(dump(summary) + "\n");
    } else {
        std::string head = dump(summary);
        head.pop_back(); // the closing brace follows after the frames
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
