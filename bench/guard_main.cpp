// SPDX-License-Identifier: Apache-2.0
//
// guard: has the reader or a stage become slower than bench/baseline.json says?
//
//   build/bench/guard --baseline FILE RUN...    judge; each RUN a folder with message.json and
//                                               pipeline.json; the best of them counts
//   build/bench/guard --renew FILE RUN          make it the baseline
//
// Exit 0: as good, or of another CPU; 1: over 10 % slower; 2: something is missing or broken.
#include "guard.hpp"

#include <cstdio>
#include <cstring>
#include <exception>

namespace viaduct::bench {

namespace {

int run(int argc, char** argv) {
    const bool renew = argc == 4 && std::strcmp(argv[1], "--renew") == 0;
    if (!renew && (argc < 4 || std::strcmp(argv[1], "--baseline") != 0)) {
        std::fprintf(stderr, "usage: guard --baseline FILE RUN... | --renew FILE RUN\n");
        return 2;
    }
    std::vector<Baseline> runs;
    for (int i = 3; i < argc; ++i)
        runs.push_back(measured_baseline(read_measurements(argv[i])));
    if (renew) {
        write_baseline(argv[2], runs.front());
        std::printf("%s: %zu ratios of %s, %s\n",
                    argv[2],
                    runs.front().ratios.size(),
                    runs.front().cpu.c_str(),
                    runs.front().level.c_str());
        return 0;
    }
    const Verdict verdict = judge(read_baseline(argv[2]), runs);
    std::fputs(verdict.lines.c_str(), stdout);
    return verdict.judgement == Judgement::Worse ? 1 : 0;
}

} // namespace

} // namespace viaduct::bench

int main(int argc, char** argv) {
    try {
        return viaduct::bench::run(argc, argv);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "guard: %s\n", error.what());
        return 2;
    }
}
