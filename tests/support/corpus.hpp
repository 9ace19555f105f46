// SPDX-License-Identifier: Apache-2.0
//
// corpus: the messages of tests/corpus, for every test that uses all of them.
//
// Each NAME.sip has a NAME.expect next to it with lines `key=value`. Rules for reading:
//   lenient=yes   max_header_lines=16
// and the expected result; only the given keys are compared, and empty means absent:
//   kind=request|response|keepalive|stun|not_sip   method=INVITE (Other when not known)
//   defect=none|ambiguous_call_id|too_many_header_lines   status=200   call_id=...
//   cseq=314159 INVITE   branch=...   from_tag=...   to_tag=...   has_to_tag=yes|no
#pragma once

#include "viaduct/sip/digest.hpp"

#include <algorithm>
#include <fstream>
#include <glob.h>
#include <iterator>
#include <map>
#include <string>
#include <vector>

namespace viaduct::test {

/// Returns the paths in tests/corpus with this suffix, without it.
[[nodiscard]] inline std::vector<std::string> corpus_stems(const std::string& suffix) {
    glob_t found{};
    const std::string pattern = std::string(VIADUCT_CORPUS) + "/*" + suffix;
    std::vector<std::string> stems;
    if (::glob(pattern.c_str(), 0, nullptr, &found) == 0)
        for (std::size_t i = 0; i < found.gl_pathc; ++i) {
            const std::string path = found.gl_pathv[i];
            stems.push_back(path.substr(0, path.size() - suffix.size()));
        }
    ::globfree(&found);
    return stems;
}

struct CorpusMessage {
    std::string stem;
    std::string text;
    ReadRules rules;
    std::map<std::string, std::string> expected; ///< expected result
};

[[nodiscard]] inline std::vector<CorpusMessage> corpus() {
    std::vector<CorpusMessage> all;
    for (const std::string& stem : corpus_stems(".sip")) {
        std::ifstream message(stem + ".sip", std::ios::binary);
        CorpusMessage one{stem, {std::istreambuf_iterator<char>(message), {}}, {}, {}};
        std::ifstream expectation(stem + ".expect");
        for (std::string line; std::getline(expectation, line);) {
            const std::string key = line.substr(0, line.find('='));
            const std::string value = line.substr(std::min(line.size(), key.size() + 1));
            if (key == "lenient")
                one.rules.lenient = value == "yes";
            else if (key == "max_header_lines")
                one.rules.max_header_lines = static_cast<std::uint16_t>(std::stoi(value));
            else
                one.expected[key] = value;
        }
        all.push_back(std::move(one));
    }
    return all;
}

} // namespace viaduct::test
