// SPDX-License-Identifier: Apache-2.0
//
// digests: compares, describes and makes SipDigests for tests.
#pragma once

#include "viaduct/sip/digest.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace viaduct::test {

/// Returns the scan levels that this machine supports, the scalar one first.
[[nodiscard]] inline std::vector<ScanLevel> levels() {
    std::vector<ScanLevel> here;
    for (const ScanLevel level : kScanLevels)
        if (has_scan_level(level)) here.push_back(level);
    return here;
}

[[nodiscard]] inline std::string_view view_of(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Whether two digests of equal payloads are equal, including the positions in the payload.
[[nodiscard]] inline bool same(const SipDigest& a,
                               std::span<const std::byte> in_a,
                               const SipDigest& b,
                               std::span<const std::byte> in_b) {
    const auto same_part = [&](std::string_view x, std::string_view y) {
        return x == y &&
               (x.empty() || x.data() - view_of(in_a).data() == y.data() - view_of(in_b).data());
    };
    return a.kind == b.kind && a.defect == b.defect && a.method == b.method &&
           a.status == b.status && a.has_to_tag == b.has_to_tag && a.cseq == b.cseq &&
           same_part(a.call_id, b.call_id) && same_part(a.top_via_branch, b.top_via_branch) &&
           same_part(a.from_tag, b.from_tag) && same_part(a.to_tag, b.to_tag) && a.later == b.later;
}

/// Whether a value has few enough quotes, brackets and parameters that the digest examines all of
/// them.
[[nodiscard]] inline bool has_few_marks(std::string_view value) {
    constexpr std::ptrdiff_t kFewMarks = 24;
    constexpr std::string_view kMarks = "\"<>;\\";
    return std::ranges::count_if(value, [&](char c) { return kMarks.find(c) != kMarks.npos; }) <
           kFewMarks;
}

/// Returns the digest of a request outside, or inside, the only dialog of its call.
[[nodiscard]] inline SipDigest
request_digest(Method method, std::string_view call_id, bool inside = false) {
    SipDigest digest;
    digest.kind = PayloadKind::Request;
    digest.method = method;
    digest.cseq = CSeq{1, method};
    digest.call_id = call_id;
    digest.from_tag = "caller";
    digest.to_tag = inside ? "callee" : "";
    digest.has_to_tag = inside;
    digest.top_via_branch = "z9hG4bK-1";
    return digest;
}

/// Reads with Want::Later, then fetches everything that was left for later.
[[nodiscard]] inline SipDigest read_late(std::span<const std::byte> payload, ReadRules rules) {
    rules.want = rules.want | Want::Later;
    SipDigest digest = read_digest(payload, rules);
    const DialogTags tags = dialog_tags(digest, payload);
    digest.from_tag = tags.from;
    digest.to_tag = tags.to;
    digest.top_via_branch = top_via_branch(digest, payload);
    digest.cseq = cseq_of(digest, payload);
    digest.later = {};
    return digest;
}

[[nodiscard]] inline std::string name_of(PayloadKind kind) {
    static constexpr std::array kNames{
        "request", "response", "keepalive", "stun", "not_sip", "unread"};
    return kNames.at(static_cast<std::size_t>(kind));
}
[[nodiscard]] inline std::string name_of(Defect defect) {
    static constexpr std::array kNames{"none", "ambiguous_call_id", "too_many_header_lines"};
    return kNames.at(static_cast<std::size_t>(defect));
}
[[nodiscard]] inline std::string name_of(Method method) {
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

/// Returns the fields by the keys of the corpus; an empty value means absent.
[[nodiscard]] inline std::map<std::string, std::string> described(const SipDigest& digest) {
    std::string cseq;
    if (digest.cseq)
        cseq = std::to_string(digest.cseq->number) + " " + name_of(digest.cseq->method);
    return {{"kind", name_of(digest.kind)},
            {"defect", name_of(digest.defect)},
            {"method", name_of(digest.method)},
            {"status", std::to_string(digest.status)},
            {"call_id", std::string(digest.call_id)},
            {"has_to_tag", digest.has_to_tag ? "yes" : "no"},
            {"from_tag", std::string(digest.from_tag)},
            {"to_tag", std::string(digest.to_tag)},
            {"cseq", cseq},
            {"branch", std::string(digest.top_via_branch)}};
}

/// Returns the text of a C++ string literal.
[[nodiscard]] inline std::string escaped(std::string_view text) {
    std::string all;
    for (const char c : text) {
        if (c == '\r') {
            all += "\\r";
        } else if (c == '\n') {
            all += "\\n";
        } else if (c == '"' || c == '\\') {
            all += {'\\', c};
        } else if (c >= ' ' && c <= '~') {
            all += c;
        } else {
            std::array<char, 5> octal{}; // a hexadecimal escape would include following digits
            std::snprintf(octal.data(), octal.size(), "\\%03o", static_cast<unsigned char>(c));
            all += octal.data();
        }
    }
    return all;
}

[[nodiscard]] inline std::string text_of(const SipDigest& digest) {
    std::string all;
    for (const auto& [key, value] : described(digest))
        all += key + "=" + escaped(value) + " ";
    return all;
}

} // namespace viaduct::test
