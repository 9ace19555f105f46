// SPDX-License-Identifier: Apache-2.0
//
// corpus: every tests/corpus/NAME.sip is read and compared with NAME.expect, lines `key=value`:
//   kind=request|response|keepalive|stun|not_sip   method=INVITE (Other when not known)
//   defect=none|ambiguous_call_id|too_many_header_lines   status=200   call_id=...   to_tag=yes|no
//   cseq=314159 INVITE   branch=...
// An empty value means absent. Only the keys that are given are compared.
#include "guarded.hpp"

#include "viaduct/message.hpp"

#include <algorithm>
#include <array>
#include <fstream>
#include <glob.h>
#include <gtest/gtest.h>
#include <iterator>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace viaduct::test {
namespace {

std::vector<std::string> files(const std::string& suffix) {
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

std::string content_of(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

std::string kind_name(PayloadKind kind) {
    switch (kind) {
    case PayloadKind::Request:
        return "request";
    case PayloadKind::Response:
        return "response";
    case PayloadKind::KeepAlive:
        return "keepalive";
    case PayloadKind::Stun:
        return "stun";
    case PayloadKind::NotSip:
        return "not_sip";
    }
    return "?";
}

std::string method_name(Method method) {
    static constexpr std::array kNames{"Other",
                                       "INVITE",
                                       "ACK",
                                       "BYE",
                                       "CANCEL",
                                       "REGISTER",
                                       "OPTIONS",
                                       "PRACK",
                                       "SUBSCRIBE",
                                       "NOTIFY",
                                       "PUBLISH",
                                       "INFO",
                                       "REFER",
                                       "MESSAGE",
                                       "UPDATE"};
    return kNames.at(static_cast<std::size_t>(method));
}

std::string defect_name(Defect defect) {
    switch (defect) {
    case Defect::None:
        return "none";
    case Defect::AmbiguousCallId:
        return "ambiguous_call_id";
    case Defect::TooManyHeaderLines:
        return "too_many_header_lines";
    }
    return "?";
}

std::map<std::string, std::string> described(const SipDigest& digest) {
    std::string cseq;
    if (digest.cseq)
        cseq = std::to_string(digest.cseq->number) + " " + method_name(digest.cseq->method);
    return {{"kind", kind_name(digest.kind)},
            {"defect", defect_name(digest.defect)},
            {"method", method_name(digest.method)},
            {"status", std::to_string(digest.status)},
            {"call_id", std::string(digest.call_id)},
            {"to_tag", digest.has_to_tag ? "yes" : "no"},
            {"cseq", cseq},
            {"branch", std::string(digest.top_via_branch)}};
}

TEST(Corpus, EveryMessageHasItsExpectationAndTheOtherWayRound) {
    EXPECT_EQ(files(".sip"), files(".expect"));
    EXPECT_GE(files(".sip").size(), 25U) << "looked in " << VIADUCT_CORPUS;
}

TEST(Corpus, EveryMessageReadsAsExpected) {
    for (const std::string& stem : files(".sip")) {
        SCOPED_TRACE(stem);
        const std::string message = content_of(stem + ".sip");
        const auto found = described(read_digest(guarded(message)));
        std::ifstream expectation(stem + ".expect");
        int compared = 0;
        for (std::string line; std::getline(expectation, line); ++compared) {
            const std::string key = line.substr(0, line.find('='));
            ASSERT_TRUE(found.contains(key)) << "unknown key: " << line;
            EXPECT_EQ(key + "=" + found.at(key), line);
        }
        EXPECT_GT(compared, 0) << "nothing is expected of it";
    }
}

} // namespace
} // namespace viaduct::test
