// SPDX-License-Identifier: Apache-2.0
//
// message_bench: this reader at every ScanLevel, libosip2, sofia-sip and libre on the same 1,000
// messages in one run, and which message costs this reader most a byte.
//
// Prints two Markdown tables. The first comes of Google Benchmark, 7 repetitions, interleaved; its
// own options work, too. VIADUCT_CORPUS names a folder of more messages (*.sip, *.dat) for the
// second. --json FILE writes a measurement file (measurement.hpp) in place of the second.
#include "corpora.hpp"
#include "full_reading.hpp"
#include "json_option.hpp"
#include "measurement.hpp"
#include "peers.hpp"
#include "sip_mix.hpp"
#include "worst_message.hpp"

#include "viaduct/sip/digest.hpp"
#include "viaduct/steering/steer.hpp"

#include <algorithm>
#include <benchmark/benchmark.h>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

namespace viaduct::test {

namespace {

constexpr std::size_t kMessages = 1'000;
/// What a pool that steers by hash and counts dialogs reads, and what one that only hashes reads.
constexpr Want kWanted = Want::ToTag | Want::CSeq;

const std::vector<std::string>& messages() {
    static const std::vector<std::string> made = [] {
        std::vector<std::string> texts;
        texts.reserve(kMessages);
        for (const MixMessage& message : sip_mix(kMessages))
            texts.emplace_back(message.text.data(), message.text.size()); // without spare capacity
        return texts;
    }();
    return made;
}

/// One iteration reads every message once.
template <typename Read> void read_all(benchmark::State& state, const Read& read) {
    const std::vector<std::string>& texts = messages();
    bool good = true;
    for (auto _ : state)
        for (const std::string& text : texts)
            good = read(text) && good;
    if (!good) state.SkipWithError("it refuses a message");
}

struct Reading {
    std::string_view name;
    Want want;
    bool hash;
};
constexpr std::array kReadings{Reading{"digest", kWanted, false},
                               Reading{"digest and hash", kWanted, true},
                               Reading{"digest with tags, and hash", kWanted | Want::Tags, true},
                               Reading{"Call-ID only, and hash", Want::Nothing, true}};

/// The names of all benchmarks, in the order they are shown in.
std::vector<std::string>& rows() {
    static std::vector<std::string> names;
    return names;
}

template <typename Run> void add_row(const std::string& name, Run run) {
    rows().push_back(name);
    benchmark::RegisterBenchmark(name.c_str(), run);
}

void register_reader() {
    for (const ScanLevel level : kScanLevels) {
        if (!has_scan_level(level)) continue;
        for (const Reading& reading : kReadings) {
            const std::string name =
                "Viaduct " + std::string(name_of(level)) + ": " + std::string(reading.name);
            add_row(name, [=](benchmark::State& state) {
                const HashPrefix prefix = hash_prefix({}, 1, KeyType::CallId);
                const ReadRules rules{.want = reading.want};
                read_all(state, [&](const std::string& text) {
                    const SipDigest digest =
                        read_digest_at(level, std::as_bytes(std::span(text)), rules);
                    benchmark::DoNotOptimize(digest.call_id.data());
                    if (reading.hash) {
                        const std::uint64_t hash = hash_key(prefix, digest.call_id);
                        benchmark::DoNotOptimize(hash);
                    }
                    return digest.defect == Defect::None && !digest.call_id.empty() &&
                           digest.cseq.has_value() == wants(reading.want, Want::CSeq);
                });
            });
        }
    }
}

/// Everything that can be asked, of every message.
void register_full_reading() {
    add_row("Viaduct: full reading", [](benchmark::State& state) {
        read_all(state, [](const std::string& text) {
            const std::size_t sum = read_fully(std::as_bytes(std::span(text)));
            benchmark::DoNotOptimize(sum);
            return sum != 0;
        });
    });
}

constexpr std::string_view kOsip = "libosip2";
constexpr std::string_view kSofia = "sofia-sip";
constexpr std::string_view kLibre = "libre";

void register_peers() {
    [[maybe_unused]] const auto add = [](std::string_view name, bool (*parses)(std::string_view)) {
        add_row(std::string(name), [=](benchmark::State& state) { read_all(state, parses); });
    };
#if defined(VIADUCT_OSIP)
    add(kOsip, osip_parses);
#endif
#if defined(VIADUCT_SOFIA)
    add(kSofia, sofia_parses);
#endif
#if defined(VIADUCT_LIBRE)
    add(kLibre, libre_parses);
#endif
}

/// Keeps the time of every repetition and prints them as one table at the end.
class Table : public benchmark::BenchmarkReporter {
public:
    bool ReportContext(const Context&) override { return true; }

    void ReportRuns(const std::vector<Run>& runs) override {
        for (const Run& run : runs) {
            const std::string name = run.run_name.function_name;
            if (run.error_occurred) {
                std::fprintf(stderr, "%s: %s\n", name.c_str(), run.error_message.c_str());
                failed_ = true;
            } else if (run.run_type == Run::RT_Iteration) {
                times_[name].push_back(run.GetAdjustedCPUTime() / kMessages);
            }
        }
    }

    void Finalize() override {
        std::size_t bytes = 0;
        for (const std::string& text : messages())
            bytes += text.size();
        std::printf("%zu messages of %zu bytes on average:\n\n", kMessages, bytes / kMessages);
        std::printf("| reader | ns a message, median | spread (cv) | x libosip2 | x sofia-sip | "
                    "x libre |\n|---|---|---|---|---|---|\n");
        for (const std::string& name : rows()) {
            if (!times_.contains(name)) continue;
            std::printf("| %s | %.1f | %.1f %% |", name.c_str(), median(name), spread(name));
            for (const std::string_view peer : {kOsip, kSofia, kLibre}) {
                const std::string peer_name(peer);
                if (times_.contains(peer_name))
                    std::printf(" %.1f |", median(peer_name) / median(name));
                else
                    std::printf(" - |");
            }
            std::printf("\n");
        }
    }

    [[nodiscard]] bool failed() const { return failed_; }
    /// ns a message of every repetition, by row; empty when the row was not run.
    [[nodiscard]] std::vector<double> times_of(const std::string& name) const {
        const auto found = times_.find(name);
        return found == times_.end() ? std::vector<double>{} : found->second;
    }

private:
    [[nodiscard]] double median(const std::string& name) const {
        std::vector<double> times = times_.at(name);
        std::sort(times.begin(), times.end());
        return (times[(times.size() - 1) / 2] + times[times.size() / 2]) / 2;
    }
    /// Standard deviation in percent of the mean.
    [[nodiscard]] double spread(const std::string& name) const {
        const std::vector<double>& times = times_.at(name);
        const auto count = static_cast<double>(times.size());
        double sum = 0;
        double squares = 0;
        for (const double time : times)
            sum += time;
        for (const double time : times)
            squares += (time - sum / count) * (time - sum / count);
        return count < 2 ? 0 : 100 * std::sqrt(squares / (count - 1)) / (sum / count);
    }

    std::map<std::string, std::vector<double>> times_;
    bool failed_ = false;
};

/// One row: how a byte of the worst message compares with a typical INVITE's.
template <typename Read>
void print_worst(const std::string& name,
                 const Read& read,
                 const std::vector<NamedMessage>& messages,
                 const std::vector<std::string>& typical,
                 std::size_t count) {
    const double usual = typical_ns_per_byte(read, typical);
    for (const ByteCost& cost : dearest(read, messages, count))
        std::printf("| %s | %.3f | %.3f | %.2f | %s |\n",
                    name.c_str(),
                    usual,
                    cost.ns_per_byte,
                    cost.ns_per_byte / usual,
                    cost.message->name.c_str());
    std::fflush(stdout);
}

void print_worst_of(const std::vector<NamedMessage>& all,
                    const char* what,
                    const std::vector<std::string>& typical) {
    std::printf("\nThe worst of %zu %s, and the three worst at the best level:\n\n"
                "| reader | typical INVITE, ns a byte | worst, ns a byte | ratio | which |\n"
                "|---|---|---|---|---|\n",
                all.size(),
                what);
    for (const ScanLevel level : kScanLevels) {
        if (!has_scan_level(level)) continue;
        for (const Want want : {Want::Nothing, kWanted, Want::Everything}) {
            const ReadRules rules{.want = want};
            const std::string name =
                std::string(name_of(level)) + (want == Want::Nothing ? ": Call-ID only"
                                               : want == kWanted     ? ": digest"
                                                                     : ": everything");
            const auto read = [&](std::span<const std::byte> bytes) {
                const SipDigest digest = read_digest_at(level, bytes, rules);
                benchmark::DoNotOptimize(digest.call_id.data());
            };
            print_worst(name, read, all, typical, level == best_scan_level() ? 3 : 1);
        }
    }
    const auto read = [](std::span<const std::byte> bytes) {
        benchmark::DoNotOptimize(read_fully(bytes));
    };
    print_worst("full reading", read, all, typical, 3);
}

std::vector<std::string> typical_invites() {
    std::vector<std::string> typical;
    for (MixMessage& message : sip_mix(kMessages))
        if (message.kind == MixKind::Invite) typical.push_back(std::move(message.text));
    return typical;
}

std::vector<NamedMessage> corpora() {
    std::vector<NamedMessage> found;
    bench::add_folder(found, VIADUCT_TEST_CORPUS);
    if (const char* folder = std::getenv("VIADUCT_CORPUS")) bench::add_folder(found, folder);
    return found;
}

bench::Measurement measurement_of(const Table& table) {
    bench::Measurement made;
    made.name = "message";
    made.title = "Reading a message";
    made.commands = {"build/bench/message_bench --json build/bench/message.json"};
    made.notes = {"The same 1,000 distinct messages for all: INVITE and 200 with SDP, BYE and "
                  "REGISTER in equal parts, 400 to 1,400 bytes."};
    const auto add = [&](const std::string& who, const std::string& row) {
        const std::vector<double> times = table.times_of(row);
        if (times.empty()) return;
        made.samples.push_back({who, "mix of 1000", "ns_per_message", "ns", times, {}});
    };
    const auto row_of = [](ScanLevel level) {
        return "Viaduct " + std::string(name_of(level)) + ": digest and hash";
    };
    add("viaduct_best", row_of(best_scan_level()));
    if (!made.samples.empty())
        made.samples.back().remarks["level"] = std::string(name_of(best_scan_level()));
    for (const ScanLevel level : kScanLevels)
        add("viaduct_" + std::string(name_of(level)), row_of(level));
    add("viaduct_full", "Viaduct: full reading");
    add("libosip2", std::string(kOsip));
    add("sofia", std::string(kSofia));
    add("libre", std::string(kLibre));
#if defined(VIADUCT_OSIP)
    made.versions["libosip2"] = VIADUCT_OSIP;
#endif
#if defined(VIADUCT_SOFIA)
    made.versions["sofia-sip"] = VIADUCT_SOFIA;
#endif
#if defined(VIADUCT_LIBRE)
    made.versions["libre"] = VIADUCT_LIBRE;
#endif
    return made;
}

int run(int argc, char** argv) {
    const std::string json = bench::take_json_option(argc, argv);
    std::string repetitions = "--benchmark_repetitions=7";
    std::string interleaved = "--benchmark_enable_random_interleaving=true";
    std::string time = "--benchmark_min_time=0.1";
    std::vector<char*> arguments{argv[0], repetitions.data(), interleaved.data(), time.data()};
    arguments.insert(arguments.end(), argv + 1, argv + argc);
    int count = static_cast<int>(arguments.size());
    benchmark::Initialize(&count, arguments.data());
    if (benchmark::ReportUnrecognizedArguments(count, arguments.data())) return 1;
    register_reader();
    register_full_reading();
    register_peers();
    Table table;
    benchmark::RunSpecifiedBenchmarks(&table);
    if (table.failed()) return 1;
    if (!json.empty()) { // the long tables are for people
        bench::write_measurement(json, measurement_of(table));
        return 0;
    }
    const std::vector<std::string> typical = typical_invites();
    print_worst_of(corpora(), "messages of the corpora", typical);
    print_worst_of(hostile_shapes(), "messages made to be dear", typical);
    return 0;
}

} // namespace

} // namespace viaduct::test

int main(int argc, char** argv) {
    try {
        return viaduct::test::run(argc, argv);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "message_bench: %s\n", error.what());
        return 1;
    }
}
