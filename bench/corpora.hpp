// SPDX-License-Identifier: Apache-2.0
//
// corpora: the messages in folders, for benchmarks that want the worst of all.
#pragma once

#include "hostile_shapes.hpp"

#include <cstdio>
#include <fstream>
#include <ftw.h>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace viaduct::bench {

/// Adds *.sip and *.dat of the folder and all folders below, named by their paths. A folder that
/// cannot be read is said on stderr.
inline void add_folder(std::vector<test::NamedMessage>& to, const std::string& folder) {
    static std::vector<test::NamedMessage>* found = nullptr; // nftw() hands no argument on
    found = &to;
    const auto visit = [](const char* path, const struct stat*, int type, struct FTW*) {
        const std::string_view name(path);
        if (type == FTW_F && (name.ends_with(".sip") || name.ends_with(".dat"))) {
            std::ifstream file(path, std::ios::binary);
            std::string text{std::istreambuf_iterator<char>(file), {}};
            if (text.size() <= test::kLongestDatagram)
                found->push_back({std::string(name), std::move(text)});
        }
        return 0;
    };
    if (::nftw(folder.c_str(), visit, 16, FTW_PHYS) != 0)
        std::fprintf(stderr, "bench: cannot read the folder %s\n", folder.c_str());
}

} // namespace viaduct::bench
