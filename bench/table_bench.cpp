// SPDX-License-Identifier: Apache-2.0
//
// table_bench: the table of calls by itself: found, not found, added, swept, in bursts of 32, with
// 10^4 to 10^7 calls in it; DPDK's rte_hash in its lock-free mode beside it, where it is installed.
//
// Both are asked by a hash that is there already, and fetch a burst's memory together.
#include "full_table.hpp"
#include "micro.hpp"

#if defined(VIADUCT_DPDK)
#include <rte_eal.h>
#include <rte_hash.h>
#include <rte_malloc.h>
#endif

#include <array>
#include <map>
#include <memory>

namespace viaduct::bench {

namespace {

constexpr std::size_t kBurst = 32;
using Hashes = std::array<std::uint64_t, kBurst>;

/// One for each number of calls, made when it is first wanted: seven repetitions share it.
FullTable& filled(std::size_t calls) {
    static std::map<std::size_t, std::unique_ptr<FullTable>> made;
    std::unique_ptr<FullTable>& one = made[calls];
    if (one) return *one;
    auto fresh = std::make_unique<FullTable>(calls);
    for (std::size_t i = 0; i < calls; ++i)
        fresh->add(hash_of(i));
    return *(made[calls] = std::move(fresh));
}

void find(benchmark::State& state, std::uint64_t first) {
    const auto calls = static_cast<std::size_t>(state.range(0));
    CallTable& table = filled(calls).table();
    Shuffled order(calls);
    std::uint64_t found = 0;
    for (auto _ : state) {
        Hashes hashes;
        for (std::uint64_t& hash : hashes)
            hash = hash_of(first + order.next());
        table.prefetch(hashes);
        for (const std::uint64_t hash : hashes)
            found += table.find(hash, kNow) ? 1 : 0;
    }
    const auto all = static_cast<std::uint64_t>(state.iterations()) * kBurst;
    if (first == 0 ? found < all - all / 1'000 : found > all / 1'000)
        state.SkipWithError("found wrongly");
    state.counters["refused"] = static_cast<double>(filled(calls).refused());
    report_ns(state, "ns_per_lookup", kBurst);
    state.counters["bytes_per_call"] =
        static_cast<double>(filled(calls).bytes()) / static_cast<double>(calls);
}
void hit(benchmark::State& state) {
    find(state, 0);
}
void miss(benchmark::State& state) {
    find(state, std::uint64_t{1} << 40);
}
#define VIADUCT_CALLS ArgName("calls")->Arg(10'000)->Arg(1'000'000)->Arg(10'000'000)
BENCHMARK(hit)->VIADUCT_CALLS;
BENCHMARK(miss)->VIADUCT_CALLS;

/// New calls come as fast as old ones pass their deadline: about so many are there all the time.
void insert(benchmark::State& state) {
    const auto calls = static_cast<std::uint64_t>(state.range(0));
    FullTable full(calls);
    std::uint64_t next = 0;
    std::uint64_t units = 0;
    const auto add_burst = [&] {
        Hashes hashes;
        for (std::uint64_t& hash : hashes)
            hash = hash_of(next++);
        full.table().prefetch(hashes);
        units = next * 64 / calls; // a call lasts for 64 units
        const CallTime now(units);
        for (const std::uint64_t hash : hashes) {
            const Call call{BackendId{1}, CallState::Answered, 3, now.after(64)};
            benchmark::DoNotOptimize(full.table().remember(hash, call, now));
        }
    };
    while (next < calls)
        add_burst();
    for (auto _ : state)
        add_burst();
    report_ns(state, "ns_per_insert", kBurst);
}
BENCHMARK(insert)->ArgName("calls")->Arg(10'000)->Arg(1'000'000)->Arg(10'000'000);

/// A whole pass, as control makes one about every half second.
void sweep(benchmark::State& state) {
    const auto calls = static_cast<std::size_t>(state.range(0));
    CallTable& table = filled(calls).table();
    std::array<std::uint64_t, 2> counts{};
    for (auto _ : state)
        table.sweep(0, table.buckets(), kNow, [&](std::size_t, const Call& call) {
            ++counts[index(call.backend)];
            return true;
        });
    if (counts[0] + counts[1] !=
        (calls - filled(calls).refused()) * static_cast<std::uint64_t>(state.iterations()))
        state.SkipWithError("counted wrongly");
    state.counters["ms_per_pass"] =
        benchmark::Counter(static_cast<double>(state.iterations()) / 1e3,
                           benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK(sweep)->VIADUCT_CALLS;

/// The same while calls end: those of one second, of which as many begin.
void expire(benchmark::State& state) {
    constexpr std::uint64_t kASecond = 50'000;
    const auto calls = static_cast<std::size_t>(state.range(0));
    FullTable full(calls);
    for (std::size_t i = 0; i < calls; ++i)
        full.add(hash_of(i));
    std::uint64_t next = calls;
    for (auto _ : state) {
        state.PauseTiming();
        for (std::uint64_t i = 0; i < kASecond; ++i)
            full.add(hash_of(next++), CallTime(kNow.value() - 1));
        state.ResumeTiming();
        full.table().sweep(
            0, full.table().buckets(), kNow, [](std::size_t, const Call&) { return true; });
    }
    state.counters["ms_per_pass"] =
        benchmark::Counter(static_cast<double>(state.iterations()) / 1e3,
                           benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK(expire)->ArgName("calls")->Arg(1'000'000)->Arg(10'000'000);

#if defined(VIADUCT_DPDK)
void start_eal() {
    static const bool started = [] {
        std::array<std::string, 8> texts{"table_bench",
                                         "--no-huge",
                                         "--no-pci",
                                         "--no-telemetry",
                                         "--no-shconf",
                                         "-m",
                                         "3072",
                                         "--log-level=lib.eal:error"};
        std::array<char*, texts.size()> arguments{};
        for (std::size_t i = 0; i < texts.size(); ++i)
            arguments[i] = texts[i].data();
        return rte_eal_init(static_cast<int>(arguments.size()), arguments.data()) >= 0;
    }();
    if (!started) throw std::runtime_error("DPDK does not start");
}

struct FreeHash {
    void operator()(rte_hash* hash) const noexcept { rte_hash_free(hash); }
};
using Peer = std::unique_ptr<rte_hash, FreeHash>;

/// Keys are the same 64-bit hashes, values a word: the smallest it can be.
Peer make_peer(std::size_t calls, std::size_t filled_with) {
    start_eal();
    static unsigned number = 0;
    const std::string name = "calls" + std::to_string(++number);
    rte_hash_parameters wanted{};
    wanted.name = name.c_str();
    wanted.entries = static_cast<std::uint32_t>(calls + calls / 8);
    wanted.key_len = 8;
    wanted.hash_func = [](const void* key, std::uint32_t, std::uint32_t) {
        return *static_cast<const std::uint32_t*>(key);
    };
    wanted.socket_id = SOCKET_ID_ANY;
    wanted.extra_flag = RTE_HASH_EXTRA_FLAGS_RW_CONCURRENCY_LF | RTE_HASH_EXTRA_FLAGS_EXT_TABLE;
    Peer made(rte_hash_create(&wanted));
    if (!made) return made;
    for (std::size_t i = 0; i < filled_with; ++i) {
        const std::uint64_t key = hash_of(i);
        if (rte_hash_add_key_data(made.get(), &key, nullptr) != 0) return nullptr;
    }
    return made;
}

/// Of all of DPDK, in bytes.
std::size_t allocated() {
    rte_malloc_socket_stats stats{};
    return rte_malloc_get_socket_stats(0, &stats) == 0 ? stats.heap_allocsz_bytes : 0;
}

struct FilledPeer {
    Peer hash;
    std::size_t bytes = 0;
};

/// One for each number of calls; null: no memory.
FilledPeer& filled_peer(std::size_t calls) {
    start_eal();
    static std::map<std::size_t, FilledPeer> made;
    FilledPeer& one = made[calls];
    if (one.hash) return one;
    const std::size_t before = allocated();
    one.hash = make_peer(calls, calls);
    one.bytes = allocated() - before;
    return one;
}

void rte_find(benchmark::State& state, std::uint64_t first) {
    const auto calls = static_cast<std::size_t>(state.range(0));
    const FilledPeer& peer = filled_peer(calls);
    if (!peer.hash) return state.SkipWithError("no memory for rte_hash");
    Shuffled order(calls);
    std::uint64_t found = 0;
    for (auto _ : state) {
        Hashes hashes;
        std::array<const void*, kBurst> keys{};
        std::array<hash_sig_t, kBurst> signatures{};
        for (std::size_t i = 0; i < kBurst; ++i) {
            hashes[i] = hash_of(first + order.next());
            keys[i] = &hashes[i];
            signatures[i] = static_cast<hash_sig_t>(hashes[i]);
        }
        std::uint64_t hits = 0;
        std::array<void*, kBurst> values{};
        found += static_cast<std::uint64_t>(rte_hash_lookup_with_hash_bulk_data(
            peer.hash.get(), keys.data(), signatures.data(), kBurst, &hits, values.data()));
    }
    const auto all = static_cast<std::uint64_t>(state.iterations()) * kBurst;
    if (first == 0 && found != all) state.SkipWithError("found wrongly");
    report_ns(state, "ns_per_lookup", kBurst);
    state.counters["bytes_per_call"] = static_cast<double>(peer.bytes) / static_cast<double>(calls);
}
void rte_hit(benchmark::State& state) {
    rte_find(state, 0);
}
void rte_miss(benchmark::State& state) {
    rte_find(state, std::uint64_t{1} << 40);
}
BENCHMARK(rte_hit)->VIADUCT_CALLS;
BENCHMARK(rte_miss)->VIADUCT_CALLS;

/// A pass over all keys, as somebody would make who looks for calls past their deadline.
void rte_sweep(benchmark::State& state) {
    const auto calls = static_cast<std::size_t>(state.range(0));
    const FilledPeer& peer = filled_peer(calls);
    if (!peer.hash) return state.SkipWithError("no memory for rte_hash");
    std::uint64_t seen = 0;
    for (auto _ : state) {
        const void* key = nullptr;
        void* value = nullptr;
        std::uint32_t place = 0;
        while (rte_hash_iterate(peer.hash.get(), &key, &value, &place) >= 0)
            ++seen;
    }
    if (seen != calls * static_cast<std::uint64_t>(state.iterations()))
        state.SkipWithError("counted wrongly");
    state.counters["ms_per_pass"] =
        benchmark::Counter(static_cast<double>(state.iterations()) / 1e3,
                           benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK(rte_sweep)->VIADUCT_CALLS;

/// As many go as come: one thread, so that a place is free at once.
void rte_insert(benchmark::State& state) {
    const auto calls = static_cast<std::size_t>(state.range(0));
    const Peer peer = make_peer(calls, calls);
    if (!peer) return state.SkipWithError("no memory for rte_hash");
    std::uint64_t next = calls;
    for (auto _ : state)
        for (std::size_t i = 0; i < kBurst; ++i, ++next) {
            const std::uint64_t gone = hash_of(next - calls);
            const std::int32_t place = rte_hash_del_key(peer.get(), &gone);
            if (place >= 0) rte_hash_free_key_with_position(peer.get(), place);
            const std::uint64_t fresh = hash_of(next);
            benchmark::DoNotOptimize(rte_hash_add_key_data(peer.get(), &fresh, nullptr));
        }
    report_ns(state, "ns_per_insert", kBurst);
}
BENCHMARK(rte_insert)->VIADUCT_CALLS;
#endif

Measurement measurement_of(const Keeper& keeper) {
    Measurement made;
    made.name = "table";
    made.title = "The table of calls";
    made.commands = {"build/bench/table_bench --json build/bench/table.json"};
    made.notes = {
        "Bursts of 32, asked by a hash that is known already, in random order; pages of 4 kB. "
        "Inserting goes on while as many calls pass their deadline; from rte_hash one is deleted "
        "for each that is added, in the same figure.",
        "rte_hash: RTE_HASH_EXTRA_FLAGS_RW_CONCURRENCY_LF with keys of 8 bytes and bulk lookups."};
    for (const char* calls : {"10000", "1000000", "10000000"}) {
        const std::string argument = std::string("/calls:") + calls;
        const std::string load = std::string(calls) + " calls";
        const auto add = [&](const char* row, const char* who, const char* counter) {
            keeper.add_to(made, row + argument, who, load.c_str(), counter, "ns");
        };
        add("hit", "hit", "ns_per_lookup");
        add("miss", "miss", "ns_per_lookup");
        add("insert", "insert", "ns_per_insert");
        keeper.add_to(made, "sweep" + argument, "sweep", load.c_str(), "ms_per_pass", "ms");
        keeper.add_to(made, "hit" + argument, "table", load.c_str(), "bytes_per_call", "bytes");
        add("rte_hit", "rte_hash hit", "ns_per_lookup");
        add("rte_miss", "rte_hash miss", "ns_per_lookup");
        add("rte_insert", "rte_hash delete and insert", "ns_per_insert");
        const auto add_pass = [&](const char* row, const char* who) {
            keeper.add_to(made, row + argument, who, load.c_str(), "ms_per_pass", "ms");
        };
        add_pass("expire", "sweep, 50000 calls pass");
        add_pass("rte_sweep", "rte_hash sweep");
        keeper.add_to(
            made, "rte_hit" + argument, "rte_hash", load.c_str(), "bytes_per_call", "bytes");
    }
#if defined(VIADUCT_DPDK)
    made.versions["dpdk"] = VIADUCT_DPDK;
#endif
    return made;
}

} // namespace

} // namespace viaduct::bench

int main(int argc, char** argv) {
    return viaduct::bench::run_micro("table_bench", argc, argv, viaduct::bench::measurement_of);
}
