// SPDX-License-Identifier: Apache-2.0
//
// pipeline_bench: bursts of 32 from distinct INVITEs through the core stages, as a worker runs
// them.
//
// ns per packet without DPDK. `messages` says how many distinct ones take turns: with 1,000 they
// stay in the caches, with 100,000 most of them do not. `pools` and `backends` say how many the
// snapshot has; messages are spread over all of them. libosip2 parses the same messages beside it,
// where it is installed. Seven repetitions, interleaved, unless Google Benchmark's own options say
// otherwise; --json FILE also writes a measurement file (measurement.hpp).
#include "full_table.hpp"
#include "invites.hpp"
#include "micro.hpp"
#include "scaled_world.hpp"

#include "viaduct/sip/digest.hpp"
#include "viaduct/steering/steer.hpp"

#if defined(VIADUCT_OSIP)
#include <osipparser2/osip_parser.h>
#endif

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace viaduct::test {

namespace {

std::vector<std::string> make_messages(std::size_t count) {
    std::vector<std::string> messages;
    for (std::size_t i = 0; i < count; ++i)
        messages.push_back(make_invite(i));
    return messages;
}

/// Message i goes to `vip_of(i)`.
std::vector<Bytes> make_frames(std::size_t count,
                               const std::function<std::string(std::size_t)>& vip_of) {
    std::vector<Bytes> frames;
    for (const std::string& message : make_messages(count))
        frames.push_back(
            frame().ipv4(kClient, vip_of(frames.size())).udp(5060, 5060).payload(message).build());
    return frames;
}

void report(benchmark::State& state, std::size_t per_iteration) {
    bench::report_ns(state, "ns_per_packet", per_iteration);
}

/// The last round made it leave; it arrives again.
void set_arriving_frame(Burst& burst, std::size_t i, Bytes& bytes) {
    static const MacAddr port_mac = mac(kPort0Mac);
    std::memcpy(bytes.data(), port_mac.bytes.data(), port_mac.bytes.size());
    bytes[11] = std::byte{0xc1};
    set_frame(burst, i, bytes.data(), static_cast<std::uint32_t>(bytes.size()), PortId{0});
}

/// All stages, in dsr-l2.
void run_stages(benchmark::State& state, const World& made, std::vector<Bytes> frames) {
    Burst burst;
    burst.count = kMaxBurst;
    std::size_t next = 0;
    for (auto _ : state) {
        for (std::size_t i = 0; i < kMaxBurst; ++i) {
            set_arriving_frame(burst, i, frames[next]);
            next = next + 1 == frames.size() ? 0 : next + 1;
        }
        run_pipeline(made.view(), burst);
        if (burst.live_count != kMaxBurst) state.SkipWithError("a frame was not forwarded");
    }
    report(state, kMaxBurst);
}
void stages(benchmark::State& state) {
    const auto count = static_cast<std::size_t>(state.range(0));
    run_stages(
        state, world(), make_frames(count, [](std::size_t) { return std::string(kDsrVip); }));
}
BENCHMARK(stages)->ArgName("messages")->Arg(1'000)->Arg(100'000);

/// 1,000 messages in turn to the VIPs of so many pools, three backends each.
void pools(benchmark::State& state) {
    const auto count = static_cast<std::size_t>(state.range(0));
    run_stages(state, scaled_world(count, 3), make_frames(1'000, [count](std::size_t i) {
                   return scaled_vip(i % count);
               }));
}
BENCHMARK(pools)->ArgName("pools")->Arg(1)->Arg(10)->Arg(100);

/// 1,000 messages to one pool of so many backends.
void backends(benchmark::State& state) {
    run_stages(state,
               scaled_world(1, static_cast<std::size_t>(state.range(0))),
               make_frames(1'000, [](std::size_t) { return scaled_vip(0); }));
}
BENCHMARK(backends)->ArgName("backends")->Arg(3)->Arg(30)->Arg(300);

/// INVITEs inside one dialog, whose Call-IDs begin with a number to be written at `numbers`.
struct Reinvites {
    std::vector<Bytes> frames;
    std::vector<char*> numbers;
};

Reinvites make_reinvites(std::size_t count) {
    Reinvites made;
    for (std::size_t i = 0; i < count; ++i) {
        const std::string message = make_reinvite(i);
        const std::size_t at = message.find(kNumberedCallId);
        made.frames.push_back(
            frame().ipv4(kClient, kDsrVip).udp(5060, 5060).payload(message).build());
        made.numbers.push_back(reinterpret_cast<char*>(made.frames.back().data()) + 42 + at);
    }
    return made;
}

void remember_all_calls(Pool& pool) {
    auto picker = std::make_shared<Picker>();
    picker->by = SteerBy::RoundRobin;
    picker->turn = std::make_shared<std::atomic<std::uint64_t>>(0);
    picker->loads = std::make_shared<BackendLoads>();
    picker->members = {{kB1, 1}, {kB2, 1}, {kB3, 1}};
    picker->sequence = {0, 1, 2};
    pool.picker = std::move(picker);
    pool.tracking = Tracking::AllCalls;
}

/// Answered calls whose Call-IDs have the numbers below `count`, each in the dialog of `messages`.
std::unique_ptr<bench::FullTable>
fill_table(std::uint64_t count, bench::Pages pages, const World& made, Reinvites& messages) {
    const HashPrefix& prefix = made.snapshot.pools[index(kProxies)].call_id_hash;
    std::string id(kNumberedCallId);
    // The first message of a dialog leaves its mark in the call.
    bench::FullTable one(1);
    one.add(hash_key(prefix, id), bench::kNow.after(900), 0);
    Burst burst;
    burst.count = 1;
    write_number(messages.numbers[0], 0);
    set_arriving_frame(burst, 0, messages.frames[0]);
    run_pipeline({made.snapshot, made.next_hops, made.links, one.table(), bench::kNow}, burst);
    const std::uint8_t dialog = one.table().find(hash_key(prefix, id), bench::kNow).value().dialog;
    if (dialog == 0) throw std::logic_error("a message inside a dialog did not name it");

    auto full = std::make_unique<bench::FullTable>(count, pages);
    for (std::uint64_t i = 0; i < count; ++i) {
        write_number(id.data(), i);
        full->add(hash_key(prefix, id), bench::kNow.after(900), dialog);
    }
    return full;
}

/// Ten million calls in turn, each remembered, where the pool is stateful; by hash with the table
/// of calls left alone. The same messages for all: only the number in their Call-ID changes.
void calls(benchmark::State& state) {
    const auto count = static_cast<std::uint64_t>(state.range(0));
    const bool stateful = state.range(1) != 0;
    const bool huge = state.range(2) != 0;
    static World made = world();
    static Reinvites messages = make_reinvites(1'024);
    Pool& pool = made.snapshot.pools[index(kProxies)];
    pool.lifetimes.silence = 900; // as bench::FullTable dates them
    if (!pool.marks) pool.marks = std::make_shared<SlotMarks>();
    remember_all_calls(pool);
    for (Vip& vip : made.snapshot.vips)
        vip.read_rules.want = stateful ? kWantForCalls : Want::CallReference;
    static std::array<std::unique_ptr<bench::FullTable>, 2> tables;
    std::unique_ptr<bench::FullTable>& full = tables[huge ? 1 : 0];
    if (!full)
        full = fill_table(count, huge ? bench::Pages::Huge : bench::Pages::Small, made, messages);
    if (!stateful) {
        pool.picker.reset();
        pool.tracking = Tracking::MovedSlots;
    }
    bench::Shuffled order(count);
    const PipelineView view{made.snapshot, made.next_hops, made.links, full->table(), bench::kNow};
    Burst burst;
    burst.count = kMaxBurst;
    std::size_t next = 0;
    for (auto _ : state) {
        for (std::size_t i = 0; i < kMaxBurst; ++i) {
            write_number(messages.numbers[next], order.next());
            set_arriving_frame(burst, i, messages.frames[next]);
            next = next + 1 == messages.frames.size() ? 0 : next + 1;
        }
        run_pipeline(view, burst);
        if (burst.live_count != kMaxBurst) state.SkipWithError("a frame was not forwarded");
        if (burst.calls.remembered > 1) state.SkipWithError("a call was not remembered");
    }
    report(state, kMaxBurst);
}
BENCHMARK(calls)
    ->ArgNames({"calls", "stateful", "huge"})
    ->Args({10'000'000, 0, 0})
    ->Args({10'000'000, 1, 0})
    ->Args({10'000'000, 1, 1});

/// Reading alone, then with the keyed hash of the Call-ID.
void digest(benchmark::State& state) {
    const std::vector<std::string> messages = make_messages(1'000);
    const HashPrefix prefix = hash_prefix({}, 1, KeyType::CallId);
    std::size_t next = 0;
    for (auto _ : state) {
        const SipDigest read = read_digest(std::as_bytes(std::span(messages[next])));
        benchmark::DoNotOptimize(read.call_id.data());
        if (state.range(0) != 0) {
            const std::uint64_t hash = hash_key(prefix, read.call_id);
            benchmark::DoNotOptimize(hash);
        }
        next = next + 1 == messages.size() ? 0 : next + 1;
    }
    report(state, 1);
}
BENCHMARK(digest)->ArgName("hash")->Arg(0)->Arg(1);

#if defined(VIADUCT_OSIP)
void osip(benchmark::State& state) {
    parser_init();
    const std::vector<std::string> messages = make_messages(1'000);
    std::size_t next = 0;
    for (auto _ : state) {
        osip_message_t* message = nullptr;
        osip_message_init(&message);
        if (osip_message_parse(message, messages[next].data(), messages[next].size()) != 0)
            state.SkipWithError("libosip2 refuses the message");
        osip_message_free(message);
        next = next + 1 == messages.size() ? 0 : next + 1;
    }
    report(state, 1);
}
BENCHMARK(osip);
#endif

bench::Measurement measurement_of(const bench::Keeper& keeper) {
    bench::Measurement made;
    made.name = "pipeline";
    made.title = "All stages of a packet, without network driver";
    made.commands = {"build/bench/pipeline_bench --json build/bench/pipeline.json"};
    made.notes = {
        "Bursts of 32 of distinct INVITEs with SDP, about 620 bytes each, dsr-l2, three "
        "backends unless the load says otherwise. 1,000 messages stay in the caches, "
        "most of 100,000 do not.",
        "10,000,000 calls: INVITEs inside the dialogs of answered calls, whose Call-IDs change "
        "all the time; hash leaves the table of calls alone, stateful finds each call in it. The "
        "table lies in small "
        "pages, unless its row says otherwise."};
    const auto add = [&](const char* row, const char* who, const char* load) {
        keeper.add_to(made, row, who, load, "ns_per_packet", "ns");
    };
    add("stages/messages:1000", "stages", "1000 messages");
    add("stages/messages:100000", "stages", "100000 messages");
    add("pools/pools:1", "stages", "pools=1");
    add("pools/pools:10", "stages", "pools=10");
    add("pools/pools:100", "stages", "pools=100");
    add("backends/backends:3", "stages", "backends=3");
    add("backends/backends:30", "stages", "backends=30");
    add("backends/backends:300", "stages", "backends=300");
    add("calls/calls:10000000/stateful:0/huge:0", "hash", "10000000 calls");
    add("calls/calls:10000000/stateful:1/huge:0", "stateful", "10000000 calls");
    add("calls/calls:10000000/stateful:1/huge:1",
        "stateful, table in huge pages",
        "10000000 calls");
    add("osip/", "libosip2", "1000 messages");
#if defined(VIADUCT_OSIP)
    made.versions["libosip2"] = VIADUCT_OSIP;
#endif
    return made;
}

} // namespace

} // namespace viaduct::test

int main(int argc, char** argv) {
    return viaduct::bench::run_micro("pipeline_bench", argc, argv, viaduct::test::measurement_of);
}
