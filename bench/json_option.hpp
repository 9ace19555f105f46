// SPDX-License-Identifier: Apache-2.0
//
// json_option: the benchmarks' one option of their own, `--json FILE`.
#pragma once

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <string>

namespace viaduct::bench {

/// Takes `--json FILE` out of the arguments; empty when it is not there. Throws without a FILE.
[[nodiscard]] inline std::string take_json_option(int& argc, char** argv) {
    for (int i = 1; i < argc; ++i) {
        if (std::strcmp(argv[i], "--json") != 0) continue;
        if (i + 1 == argc) throw std::runtime_error("--json wants the name of a file");
        std::string file = argv[i + 1];
        std::copy(argv + i + 2, argv + argc + 1, argv + i); // with the null pointer at the end
        argc -= 2;
        return file;
    }
    return {};
}

} // namespace viaduct::bench
