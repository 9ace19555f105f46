// SPDX-License-Identifier: Apache-2.0
//
// rule_reader: reads a message at every scan level of this machine, directly before and after an
// unreadable page, and expects the same from each reading.
#pragma once

#include "digests.hpp"
#include "guarded.hpp"
#include "message_builder.hpp"

#include "viaduct/sip/digest.hpp"

#include <functional>
#include <gtest/gtest.h>
#include <string>
#include <string_view>

namespace viaduct::test {

inline constexpr ReadRules kLenient{Want::Everything, true};

inline void read_everywhere(std::string_view text,
                            const std::function<void(const SipDigest&)>& expect,
                            const ReadRules& rules = {}) {
    for (const ScanLevel level : levels()) {
        SCOPED_TRACE(std::string(name_of(level)) + ": " + escaped(text.substr(0, 2000)));
        expect(read_digest_at(level, guarded(text), rules));
        expect(read_digest_at(level, guarded_start(text), rules));
    }
}

/// Expects a request with this Call-ID and without defects.
inline void expect_call_id(const MessageBuilder& message,
                           std::string_view call_id,
                           const ReadRules& rules = {}) {
    read_everywhere(
        message.text(),
        [&](const SipDigest& digest) {
            EXPECT_EQ(digest.kind, PayloadKind::Request);
            EXPECT_EQ(digest.defect, Defect::None);
            EXPECT_EQ(digest.call_id, call_id);
        },
        rules);
}
inline void expect_defect(const MessageBuilder& message,
                          Defect defect,
                          std::string_view call_id,
                          const ReadRules& rules = {}) {
    read_everywhere(
        message.text(),
        [&](const SipDigest& digest) {
            EXPECT_EQ(digest.kind, PayloadKind::Request);
            EXPECT_EQ(digest.defect, defect);
            EXPECT_EQ(digest.call_id, call_id);
        },
        rules);
}
inline void expect_ambiguous(const MessageBuilder& message, std::string_view first) {
    expect_defect(message, Defect::AmbiguousCallId, first);
    expect_call_id(message, first, kLenient);
}
inline void expect_branch(std::string_view via, std::string_view branch) {
    read_everywhere(invite().via(via).text(), [&](const SipDigest& digest) {
        EXPECT_EQ(digest.top_via_branch, branch);
        EXPECT_EQ(digest.call_id, "a84b4c76e66710@192.0.2.1");
    });
}
/// Expects this tag in a To and in a From with this value. It is found whatever else is read, and
/// Want::ToTag reports its presence.
inline void expect_tag(std::string_view value, std::string_view tag) {
    const std::string text = invite().from(value).to(value).text();
    for (const Want want : {Want::Everything, Want::Tags, Want::ToTag})
        read_everywhere(text,
                        [&](const SipDigest& digest) {
                            EXPECT_EQ(digest.has_to_tag, !tag.empty());
                            EXPECT_EQ(digest.from_tag, want == Want::ToTag ? "" : tag);
                            EXPECT_EQ(digest.to_tag, want == Want::ToTag ? "" : tag);
                            EXPECT_EQ(digest.call_id, "a84b4c76e66710@192.0.2.1");
                        },
                        {.want = want});
}
inline void expect_kind(std::string_view text, PayloadKind kind) {
    read_everywhere(text, [&](const SipDigest& digest) {
        EXPECT_EQ(name_of(digest.kind), name_of(kind));
        EXPECT_EQ(digest.defect, Defect::None);
        EXPECT_EQ(digest.call_id, "");
    });
}
/// Returns an INVITE with `line` first and without another Call-ID.
[[nodiscard]] inline MessageBuilder with_line(const std::string& line) {
    return invite().without("Call-ID").line_before(line);
}

} // namespace viaduct::test
