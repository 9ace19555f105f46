// SPDX-License-Identifier: Apache-2.0
//
// steer_bench: from a hash to a backend, in bursts of 32 with the table's lines fetched first: a
// settled slot, an unsettled one whose call is remembered or is not, a stateful pool with 10^4 to
// 10^7 calls, Call-IDs that collide under CRC-32C; and how long a slot table takes to build.
#include "full_table.hpp"
#include "micro.hpp"
#include "model/table.hpp"
#include "world.hpp"

#include "viaduct/steering/steer.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace viaduct::test {

namespace {

constexpr std::size_t kBurst = 32;

bench::FullTable& filled(std::size_t calls) {
    static std::map<std::size_t, std::unique_ptr<bench::FullTable>> made;
    std::unique_ptr<bench::FullTable>& one = made[calls];
    if (one) return *one;
    one = std::make_unique<bench::FullTable>(calls);
    for (std::size_t i = 0; i < calls; ++i)
        one->add(bench::hash_of(i));
    return *one;
}

enum class Kind { Settled, Unsettled, Stateful };

World make_world(Kind kind) {
    World made = world();
    Pool& pool = made.snapshot.pools[index(kProxies)];
    pool.marks = std::make_shared<SlotMarks>();
    pool.lifetimes.silence = 900; // as bench::FullTable dates them
    if (kind == Kind::Unsettled) {
        auto unsettled = std::make_shared<Unsettled>();
        unsettled->bits.fill(~std::uint64_t{0});
        unsettled->old = pool.slots;
        pool.unsettled = std::move(unsettled);
    }
    if (kind == Kind::Stateful) {
        auto picker = std::make_shared<Picker>();
        picker->by = SteerBy::LeastCalls;
        picker->turn = std::make_shared<std::atomic<std::uint64_t>>(0);
        picker->loads = std::make_shared<BackendLoads>();
        picker->members = {{kB1, 1}, {kB2, 1}, {kB3, 1}};
        picker->sequence = {0, 1, 2};
        pool.picker = std::move(picker);
        pool.tracking = Tracking::AllCalls;
    }
    return made;
}

/// A message inside a call.
SipDigest inside() {
    SipDigest digest;
    digest.kind = PayloadKind::Request;
    digest.method = Method::Update;
    digest.call_id = "some call";
    digest.from_tag = "1c1234567";
    digest.to_tag = "as7654321";
    digest.has_to_tag = true;
    digest.top_via_branch = "z9hG4bK1234567890abcdef";
    return digest;
}

/// `first`: of the calls asked for, above those that are there for a miss. A miss leaves nothing:
/// it is an OPTIONS, which begins nothing.
void run(benchmark::State& state, Kind kind, std::uint64_t first) {
    const auto calls = static_cast<std::uint64_t>(state.range(0));
    const World made = make_world(kind);
    const SteerView view{made.snapshot, filled(calls).table(), bench::kNow};
    SipDigest digest = inside();
    if (first != 0) {
        digest.method = Method::Options;
        digest.has_to_tag = false;
        digest.to_tag = {};
    }
    bench::Shuffled order(calls);
    for (auto _ : state) {
        std::array<std::uint64_t, kBurst> hashes;
        for (std::uint64_t& hash : hashes)
            hash = bench::hash_of(first + order.next());
        if (kind != Kind::Settled) view.calls.prefetch(hashes);
        for (const std::uint64_t hash : hashes) {
            const Steering steering = steer(view, kProxies, digest, hash);
            benchmark::DoNotOptimize(steering.backend);
        }
    }
    bench::report_ns(state, "ns_per_message", kBurst);
}

void settled(benchmark::State& state) {
    run(state, Kind::Settled, 0);
}
void unsettled_hit(benchmark::State& state) {
    run(state, Kind::Unsettled, 0);
}
void unsettled_miss(benchmark::State& state) {
    run(state, Kind::Unsettled, std::uint64_t{1} << 40);
}
void stateful_hit(benchmark::State& state) {
    run(state, Kind::Stateful, 0);
}
/// New calls that are remembered, as fast as old ones pass their deadline.
void begin(benchmark::State& state, Kind kind) {
    const auto calls = static_cast<std::uint64_t>(state.range(0));
    World made = make_world(kind);
    made.snapshot.pools[index(kProxies)].lifetimes.silence = 64;
    bench::FullTable full(calls);
    SipDigest digest = inside();
    digest.method = Method::Invite;
    digest.has_to_tag = false;
    digest.to_tag = {};
    std::uint64_t next = 0;
    std::uint64_t lost = 0;
    const auto begin_burst = [&] {
        const SteerView view{made.snapshot, full.table(), CallTime(next * 64 / calls)};
        std::array<std::uint64_t, kBurst> hashes;
        for (std::uint64_t& hash : hashes)
            hash = bench::hash_of(next++);
        view.calls.prefetch(hashes);
        for (const std::uint64_t hash : hashes)
            lost += steer(view, kProxies, digest, hash).remembered ? 0 : 1;
    };
    while (next < calls)
        begin_burst();
    for (auto _ : state)
        begin_burst();
    if (lost > next / 1'000) state.SkipWithError("not remembered");
    bench::report_ns(state, "ns_per_message", kBurst);
}
void unsettled_begin(benchmark::State& state) {
    begin(state, Kind::Unsettled);
}
void stateful_begin(benchmark::State& state) {
    begin(state, Kind::Stateful);
}
BENCHMARK(unsettled_begin)->ArgName("calls")->Arg(1'000'000);
BENCHMARK(stateful_begin)->ArgName("calls")->Arg(1'000'000);
BENCHMARK(settled)->ArgName("calls")->Arg(1'000'000);
BENCHMARK(unsettled_hit)->ArgName("calls")->Arg(1'000'000);
BENCHMARK(unsettled_miss)->ArgName("calls")->Arg(1'000'000);
BENCHMARK(stateful_hit)->ArgName("calls")->Arg(10'000)->Arg(1'000'000)->Arg(10'000'000);

/// 20,000 Call-IDs with one CRC-32C, or random ones: hashed, added, found.
std::vector<std::string> call_ids(bool collide) {
    const auto crc32c = [](const std::string& text) {
        std::uint32_t crc = ~0U;
        for (const char c : text) {
            crc ^= static_cast<std::uint8_t>(c);
            for (int bit = 0; bit < 8; ++bit)
                crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78U : 0U);
        }
        return ~crc;
    };
    // The sum is linear: what choices of '0' or '1' change it by nothing is a matter of algebra.
    constexpr std::size_t kPlaces = 56;
    const std::string zeros(kPlaces, '0');
    std::vector<std::pair<std::uint32_t, std::uint64_t>> rows;
    std::vector<std::uint64_t> kernel;
    for (std::size_t place = 0; place < kPlaces; ++place) {
        std::string one = zeros;
        one[place] = '1';
        std::uint32_t change = crc32c(zeros) ^ crc32c(one);
        std::uint64_t places = std::uint64_t{1} << place;
        for (const auto& [other, its] : rows)
            if ((change ^ other) < change) change ^= other, places ^= its;
        if (change == 0)
            kernel.push_back(places);
        else
            rows.emplace_back(change, places);
        std::sort(rows.begin(), rows.end(), std::greater{});
    }
    std::vector<std::string> made;
    for (std::uint64_t i = 0; i < 20'000; ++i) {
        std::uint64_t places = bench::hash_of(i);
        if (collide) {
            places = 0;
            for (std::size_t bit = 0; bit < 15; ++bit)
                if ((i >> bit & 1) != 0) places ^= kernel[bit];
        }
        made.push_back(zeros);
        for (std::size_t place = 0; place < kPlaces; ++place)
            if ((places >> place & 1) != 0) made.back()[place] = '1';
    }
    return made;
}
void collisions(benchmark::State& state) {
    const std::vector<std::string> ids = call_ids(state.range(0) != 0);
    const HashPrefix prefix = hash_prefix({1, 2, 3}, 1, KeyType::CallId);
    bench::FullTable full(20'000);
    std::uint64_t units = 0;
    for (auto _ : state) {
        units += 2; // those of the round before are past
        const CallTime now(units);
        for (const std::string& id : ids)
            benchmark::DoNotOptimize(full.table().remember(
                hash_key(prefix, id), {kB1, CallState::Answered, 3, now.after(1)}, now));
        for (const std::string& id : ids)
            benchmark::DoNotOptimize(full.table().find(hash_key(prefix, id), now));
    }
    bench::report_ns(state, "ns_per_call", ids.size());
}
BENCHMARK(collisions)->ArgName("collide")->Arg(0)->Arg(1);

void build(benchmark::State& state) {
    std::vector<Candidate> candidates;
    for (std::uint16_t i = 0; i < 100; ++i)
        candidates.push_back({BackendId{i}, "b" + std::to_string(i), 100});
    const auto kind = static_cast<TableKind>(state.range(0));
    for (auto _ : state)
        benchmark::DoNotOptimize(algorithm(kind).build(candidates, {1, 2, 3}));
    state.counters["ms_per_table"] =
        benchmark::Counter(static_cast<double>(state.iterations()) / 1e3,
                           benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK(build)->ArgName("maglev")->Arg(0)->Arg(1);

bench::Measurement measurement_of(const bench::Keeper& keeper) {
    bench::Measurement made;
    made.name = "steer";
    made.title = "From a hash to a backend";
    made.commands = {"build/bench/steer_bench --json build/bench/steer.json"};
    made.notes = {
        "Bursts of 32 in random order, the table's lines fetched first; the hash of the "
        "Call-ID is known already. A table of calls in pages of 4 kB.",
        "Collisions: 20,000 Call-IDs that one CRC-32C makes equal, or random ones, hashed "
        "twice, added and found."};
    const auto add = [&](const char* row, const char* who, const char* load) {
        keeper.add_to(made, row, who, load, "ns_per_message", "ns");
    };
    add("settled/calls:1000000", "settled", "1000000 calls");
    add("unsettled_hit/calls:1000000", "unsettled hit", "1000000 calls");
    add("unsettled_miss/calls:1000000", "unsettled miss", "1000000 calls");
    add("unsettled_begin/calls:1000000", "unsettled, begins", "1000000 calls");
    add("stateful_begin/calls:1000000", "stateful, begins", "1000000 calls");
    add("stateful_hit/calls:10000", "stateful hit", "10000 calls");
    add("stateful_hit/calls:1000000", "stateful hit", "1000000 calls");
    add("stateful_hit/calls:10000000", "stateful hit", "10000000 calls");
    keeper.add_to(made, "collisions/collide:0", "random", "20000 Call-IDs", "ns_per_call", "ns");
    keeper.add_to(made, "collisions/collide:1", "colliding", "20000 Call-IDs", "ns_per_call", "ns");
    keeper.add_to(made, "build/maglev:0", "rendezvous", "100 backends", "ms_per_table", "ms");
    keeper.add_to(made, "build/maglev:1", "maglev", "100 backends", "ms_per_table", "ms");
    return made;
}

} // namespace

} // namespace viaduct::test

int main(int argc, char** argv) {
    return viaduct::bench::run_micro("steer_bench", argc, argv, viaduct::test::measurement_of);
}
