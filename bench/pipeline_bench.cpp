// SPDX-License-Identifier: Apache-2.0
//
// pipeline_bench: bursts of 32 from distinct INVITEs through the core stages, as a worker runs
// them.
//
// ns per packet without DPDK. `messages` says how many distinct ones take turns: with 1,000 they
// stay in the caches, with 100,000 most of them do not. libosip2 parses the same messages beside
// it, where it is installed.
#include "message_builder.hpp"
#include "world.hpp"

#include "viaduct/message.hpp"
#include "viaduct/steer.hpp"

#include <benchmark/benchmark.h>

#if defined(VIADUCT_OSIP)
#include <osipparser2/osip_parser.h>
#endif

#include <string>
#include <vector>

namespace viaduct::test {

namespace {

/// An INVITE as phones send it, 560 bytes and more with its SDP; every Call-ID is another one.
std::string make_invite(std::size_t number) {
    const std::string id = std::to_string(1'000'000 + number);
    return MessageBuilder("INVITE sip:+4930" + id + "@198.51.100.10 SIP/2.0", "INVITE")
        .set("Via", "SIP/2.0/UDP 192.0.2.7:5060;rport;branch=z9hG4bK" + id + "a7c6a8dlze.1")
        .set("From", "\"Alice\" <sip:alice@example.org>;tag=" + id)
        .set("To", "<sip:+4930" + id + "@198.51.100.10>")
        .set("Call-ID", id + "-f81d4fae7dec11d0a765@192.0.2.7")
        .set("Contact", "<sip:alice@192.0.2.7:5060>")
        .set("Content-Type", "application/sdp")
        .body("v=0\r\no=alice 2890844526 2890844526 IN IP4 192.0.2.7\r\ns=-\r\n"
              "c=IN IP4 192.0.2.7\r\nt=0 0\r\nm=audio 49172 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n")
        .text();
}

std::vector<std::string> make_messages(std::size_t count) {
    std::vector<std::string> messages;
    for (std::size_t i = 0; i < count; ++i)
        messages.push_back(make_invite(i));
    return messages;
}

std::vector<Bytes> make_frames(std::size_t count) {
    std::vector<Bytes> frames;
    for (const std::string& message : make_messages(count))
        frames.push_back(frame().ipv4(kClient, kDsrVip).udp(5060, 5060).payload(message).build());
    return frames;
}

void report(benchmark::State& state, std::size_t per_iteration) {
    state.counters["ns_per_packet"] = benchmark::Counter(
        static_cast<double>(state.iterations()) * static_cast<double>(per_iteration) / 1e9,
        benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

/// classify, parse, admit, steer, rewrite (dsr-l2).
void stages(benchmark::State& state) {
    World made = world();
    std::vector<Bytes> frames = make_frames(static_cast<std::size_t>(state.range(0)));
    const MacAddr port_mac = mac(kPort0Mac);
    Burst burst;
    burst.count = kMaxBurst;
    std::size_t next = 0;
    for (auto _ : state) {
        for (std::size_t i = 0; i < kMaxBurst; ++i) {
            Bytes& bytes = frames[next];
            next = next + 1 == frames.size() ? 0 : next + 1;
            // The last round made it leave; it arrives anew.
            std::memcpy(bytes.data(), port_mac.bytes.data(), port_mac.bytes.size());
            bytes[11] = std::byte{0xc1};
            set_frame(burst, i, bytes.data(), static_cast<std::uint32_t>(bytes.size()), PortId{0});
        }
        run_pipeline(made.view(), burst);
        if (burst.live_count != kMaxBurst) state.SkipWithError("a frame was not forwarded");
    }
    report(state, kMaxBurst);
}
BENCHMARK(stages)->ArgName("messages")->Arg(1'000)->Arg(100'000);

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

} // namespace

} // namespace viaduct::test

BENCHMARK_MAIN();
