// SPDX-License-Identifier: Apache-2.0
//
// mix_pcap: a capture of the messages of carrier_mix.hpp, for the rigs to replay.
//
//   mix_pcap --out FILE [--calls N] [--messages M] [--bytes B] [--requests-only]
//            [--destination-mac M] [--vip A]
//
// Ethernet, IPv4, UDP from 250 clients (192.0.2.1 and up, port 5060) to the VIP's port 5060, right
// lengths and checksums. --bytes: every message has exactly that many bytes of SIP.
// The file appears whole or not at all.
#include "carrier_mix.hpp"
#include "frame_builder.hpp"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <pcap/pcap.h>
#include <string>
#include <vector>

namespace viaduct::test {

namespace {

struct Options {
    std::string out;
    CarrierMixRequest mix{.calls = 1'000, .messages = 0};
    std::string destination_mac = "02:00:00:00:00:01";
    std::string vip = "198.51.100.10";
};

bool write_capture(const std::string& path,
                   const std::vector<MixMessage>& messages,
                   const Options& options) {
    pcap_t* pcap = pcap_open_dead(DLT_EN10MB, 65'535);
    pcap_dumper_t* dumper = pcap_dump_open(pcap, path.c_str());
    if (dumper == nullptr) {
        std::fprintf(stderr, "mix_pcap: cannot write %s: %s\n", path.c_str(), pcap_geterr(pcap));
        pcap_close(pcap);
        return false;
    }
    for (std::size_t i = 0; i < messages.size(); ++i) {
        const Bytes bytes = frame()
                                .macs(kClientMac, options.destination_mac)
                                .ipv4("192.0.2." + std::to_string(1 + i % 250), options.vip)
                                .udp(5060, 5060)
                                .payload(messages[i].text)
                                .build();
        pcap_pkthdr header{};
        header.ts.tv_sec = static_cast<time_t>(i / 100'000); // as if 100,000 came a second
        header.ts.tv_usec = static_cast<suseconds_t>(i % 100'000 * 10);
        header.caplen = header.len = static_cast<bpf_u_int32>(bytes.size());
        pcap_dump(reinterpret_cast<u_char*>(dumper),
                  &header,
                  reinterpret_cast<const u_char*>(bytes.data()));
    }
    const bool good = pcap_dump_flush(dumper) == 0 && std::ferror(pcap_dump_file(dumper)) == 0;
    pcap_dump_close(dumper);
    pcap_close(pcap);
    if (!good) std::fprintf(stderr, "mix_pcap: cannot write %s: is the disk full?\n", path.c_str());
    return good;
}

int run(const Options& options) {
    const std::vector<MixMessage> messages = CarrierMix().make_all(options.mix);
    if (messages.size() < options.mix.messages) {
        std::fprintf(stderr,
                     "mix_pcap: %zu calls have %zu messages only: ask for fewer messages or for "
                     "more calls\n",
                     options.mix.calls,
                     messages.size());
        return 1;
    }
    const std::string part = options.out + ".part";
    if (!write_capture(part, messages, options) ||
        std::rename(part.c_str(), options.out.c_str()) != 0) {
        std::remove(part.c_str());
        return 1;
    }
    std::size_t bytes = 0;
    for (const MixMessage& message : messages)
        bytes += message.text.size();
    std::printf("%s: %zu messages of %zu Call-IDs, %zu bytes of SIP each on average\n",
                options.out.c_str(),
                messages.size(),
                options.mix.calls,
                bytes / messages.size());
    return 0;
}

int parse_and_run(int argc, char** argv) {
    Options options;
    CLI::App app("A capture of SIP messages as a carrier's balancer receives them.", "mix_pcap");
    app.add_option("--out", options.out, "the file to write")->required();
    app.add_option("--calls", options.mix.calls, "distinct Call-IDs (1000)")
        ->check(CLI::Range(1, 1'000'000));
    app.add_option("--messages", options.mix.messages, "messages (one for each Call-ID)");
    app.add_option(
           "--bytes", options.mix.bytes, "of SIP in every message (300 to 1400 as they come)")
        ->check(CLI::Range(kCarrierMinBytes, kCarrierMaxBytes));
    app.add_flag("--requests-only", options.mix.requests_only, "no answers");
    app.add_option("--destination-mac", options.destination_mac, "of the balancer's port")
        ->check([](const std::string& text) {
            return parse_mac(text) ? std::string() : "\"" + text + "\" is no MAC address";
        });
    app.add_option("--vip", options.vip, "where the messages go")
        ->check([](const std::string& text) {
            return parse_ipv4(text) ? std::string() : "\"" + text + "\" is no IPv4 address";
        });
    CLI11_PARSE(app, argc, argv);
    if (options.mix.messages == 0) options.mix.messages = options.mix.calls;
    if (options.mix.messages < options.mix.calls) {
        std::fprintf(stderr, "mix_pcap: --messages must be at least --calls\n");
        return 1;
    }
    return run(options);
}

} // namespace

} // namespace viaduct::test

int main(int argc, char** argv) {
    return viaduct::test::parse_and_run(argc, argv);
}
