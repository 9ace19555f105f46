// SPDX-License-Identifier: Apache-2.0
//
// report: the measurement files of build/bench -> bench/report/results.json and index.html.
//
//   build/bench/report [--in build/bench] [--out bench/report]
//
// Both whole or none. What was not measured is "not yet"; a broken file ends it with one line.
#include "report_page.hpp"

#include <cstdio>
#include <cstring>
#include <exception>
#include <stdexcept>
#include <string>
#include <sys/stat.h>

namespace viaduct::bench {

namespace {

int run(int argc, char** argv) {
    std::string in = "build/bench";
    std::string out = "bench/report";
    for (int i = 1; i < argc; i += 2) {
        const bool is_in = std::strcmp(argv[i], "--in") == 0;
        if ((!is_in && std::strcmp(argv[i], "--out") != 0) || i + 1 == argc) {
            std::fprintf(stderr, "usage: report [--in FOLDER] [--out FOLDER]\n");
            return 1;
        }
        (is_in ? in : out) = argv[i + 1];
    }
    const Report report = make_report(read_measurements(in));
    ::mkdir(out.c_str(), 0755); // there already, or writing says why not
    write_files(
        {{out + "/results.json", results_json(report)}, {out + "/index.html", index_html(report)}});
    std::fputs(terminal_table(report).c_str(), stdout);
    std::printf("page: %s/index.html\n", out.c_str());
    return 0;
}

} // namespace

} // namespace viaduct::bench

int main(int argc, char** argv) {
    try {
        return viaduct::bench::run(argc, argv);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "report: %s\n", error.what());
        return 1;
    }
}
