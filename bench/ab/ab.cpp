// SPDX-License-Identifier: Apache-2.0
//
// ab: two builds of the core in one process, in turn, on the same messages: how many times faster
// is the new one?
//
//   ab BASE.so NEW.so [--json FILE] [--name OF-BASE] [--row TEXT]... [--pairs N] [--calls N]
//      [--corpus FOLDER]... [--may-differ N]
//
// scripts/ab makes both objects and runs this. Prints a table; --json also writes a measurement
// file (measurement.hpp). Exit 1, and one line, when something is wrong or the builds decide
// differently.
#include "corpora.hpp"
#include "loads.hpp"
#include "measurement.hpp"
#include "worst.hpp"

#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>
#include <vector>

namespace viaduct::bench {

namespace {

struct Options {
    std::string base;
    std::string current;
    std::string json;
    std::string name = "base";
    std::vector<std::string> rows;
    std::vector<std::string> corpora;
    std::size_t pairs = 400;
    std::uint64_t calls = 10'000'000;
    std::size_t may_differ = 0;
};

constexpr double kChunkNs = 500e3;
constexpr std::chrono::seconds kRowLimit{15};
/// With fewer the quantiles say nothing.
constexpr std::size_t kMinPairs = 20;

class Report {
public:
    explicit Report(const Options& options) : options_(options) {
        made_.name = "ab";
        made_.title = "This build next to " + options.name + ", in turn in one process";
        made_.commands = {"scripts/ab --base " + options.name + " --json build/bench/ab.json"};
        made_.versions["base of ab"] = options.name;
        made_.notes = {
            "Both builds are shared objects in one process on one CPU. Chunks of half a "
            "millisecond take turns; value i of both samples is one pair. Pairs that another "
            "thread "
            "interrupted are left out.",
            "Stateful: answered calls in a table in small pages; each message belongs to another "
            "call.",
            "Worst message: the message, of the corpora and of bench/hostile_shapes.hpp, that lost "
            "most against the base; each is measured alone."};
    }

    [[nodiscard]] bool wants(const std::string& row) const {
        if (options_.rows.empty()) return true;
        for (const std::string& text : options_.rows)
            if (row.find(text) != std::string::npos) return true;
        return false;
    }

    void print_head() const {
        std::printf("%-43s %9s %9s  %7s  %-14s %6s %8s\n",
                    "ROW",
                    "BASE, NS",
                    "NEW, NS",
                    "FASTER",
                    "10 % TO 90 %",
                    "PAIRS",
                    "DROPPED");
    }

    /// Throws std::runtime_error when too few pairs count.
    void add(const std::string& row,
             const std::vector<Pair>& pairs,
             const std::map<std::string, std::string>& remarks = {}) {
        const Comparison found = compare(pairs);
        std::printf("%-43s %9.1f %9.1f  %7.2f  %-14s %6zu %8zu\n",
                    row.c_str(),
                    found.base_ns,
                    found.new_ns,
                    found.ratio,
                    spread(found).c_str(),
                    found.pairs,
                    found.dropped);
        std::fflush(stdout);
        if (found.pairs < std::min(kMinPairs, options_.pairs))
            throw std::runtime_error(row + ": only " + std::to_string(found.pairs) + " of " +
                                     std::to_string(pairs.size()) +
                                     " pairs ran without interruption: the machine is too busy");
        Sample base{"base", row, "ns", "ns", {}, remarks};
        Sample current{"new", row, "ns", "ns", {}, remarks};
        for (const Pair& pair : undisturbed(pairs)) {
            base.values.push_back(rounded(pair.base_ns));
            current.values.push_back(rounded(pair.new_ns));
        }
        made_.samples.push_back(std::move(base));
        made_.samples.push_back(std::move(current));
    }

    [[nodiscard]] bool is_empty() const { return made_.samples.empty(); }
    void note(const std::string& text) { made_.notes.push_back(text); }

    void write() const {
        if (!options_.json.empty()) write_measurement(options_.json, made_);
    }

private:
    static std::string spread(const Comparison& found) {
        char text[32];
        std::snprintf(text, sizeof(text), "%.2f to %.2f", found.low, found.high);
        return text;
    }
    /// To hundredths, as far as anything can be measured.
    static double rounded(double ns) { return std::round(ns * 100) / 100; }

    const Options& options_;
    Measurement made_;
};

void measure_loads(const Options& options, Library& base, Library& current, Report& report) {
    Turns turns(base, current);
    for (Load& load : make_loads(options.calls)) {
        if (!report.wants(load.name())) continue;
        const AbLoad view = load.view();
        base.prepare(view);
        current.prepare(view);
        report.add(load.name(), turns.measure({options.pairs, kChunkNs, kRowLimit}, load.name()));
        // Of ten million calls a few find no room in the table.
        if (load.astray() > load.size() / 100)
            throw std::runtime_error(load.name() + ": " + std::to_string(load.astray()) + " of " +
                                     std::to_string(load.size()) +
                                     " frames did not go where they should");
        base.release();
        current.release();
    }
}

void measure_worst(const Options& options, Library& base, Library& current, Report& report) {
    struct Row {
        const char* name;
        AbKind kind;
    };
    std::vector<test::NamedMessage> messages;
    for (const Row& row : {Row{"worst message, digest and hash", kAbDigest},
                           Row{"worst message, all stages", kAbHash}}) {
        if (!report.wants(row.name)) continue;
        if (messages.empty()) {
            for (const std::string& folder : options.corpora)
                add_folder(messages, folder);
            for (test::NamedMessage& shape : test::hostile_shapes())
                messages.push_back(std::move(shape));
        }
        const Worst worst = find_worst(base, current, row.kind, messages);
        report.add(row.name, worst.pairs, {{"worst_message", worst.message}});
        std::printf("    of %zu messages: %s\n", messages.size(), worst.message.c_str());
        if (worst.differing.empty()) continue;
        const std::string note =
            std::string(row.name) + ": the two builds decide differently about " +
            std::to_string(worst.differing.size()) + " of " + std::to_string(messages.size()) +
            " messages, such as " + worst.differing.front();
        if (worst.differing.size() > options.may_differ)
            throw std::runtime_error(note + "; if that is wanted, use --may-differ " +
                                     std::to_string(worst.differing.size()));
        std::printf("    %s\n", note.c_str());
        report.note(note);
    }
}

int run(int argc, char** argv) {
    Options options;
    CLI::App app("Two builds of the core in one process, in turn, on the same messages.");
    app.add_option("base", options.base, "shared object of the base")->required();
    app.add_option("new", options.current, "shared object of the new build")->required();
    app.add_option("--json", options.json, "write a measurement file");
    app.add_option("--name", options.name, "name of the base");
    app.add_option("--row", options.rows, "only rows that contain this");
    app.add_option("--corpus", options.corpora, "folder of messages for the worst message");
    app.add_option("--pairs", options.pairs, "pairs of chunks per row, but for the worst message")
        ->check(CLI::Range(1, 100'000));
    app.add_option("--calls", options.calls, "calls in the tables")
        ->check(CLI::Range(1, 50'000'000));
    app.add_option(
        "--may-differ", options.may_differ, "number of messages that may be decided differently");
    CLI11_PARSE(app, argc, argv);

    Library base(options.base);
    Library current(options.current);
    Report report(options);
    std::printf("on CPU %d\n", pin_to_one_cpu());
    report.print_head();
    measure_loads(options, base, current, report);
    measure_worst(options, base, current, report);
    if (report.is_empty()) throw std::runtime_error("no row contains what --row says");
    report.write();
    return 0;
}

} // namespace

} // namespace viaduct::bench

int main(int argc, char** argv) {
    try {
        return viaduct::bench::run(argc, argv);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "ab: %s\n", error.what());
        return 1;
    }
}
