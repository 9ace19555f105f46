// SPDX-License-Identifier: Apache-2.0
#include "stages/stages.hpp"

#include <cstring>
#include <string_view>

namespace viaduct::stages {

namespace {

/// Whether the payload may be a request. Nearly all messages of nat backends are responses.
bool may_be_request(std::span<const std::byte> payload) noexcept {
    constexpr std::string_view kResponse = "SIP/2.0 ";
    return payload.size() > kResponse.size() &&
           std::memcmp(payload.data(), kResponse.data(), kResponse.size()) != 0;
}

/// Whether a message that is not a request is a final response.
bool is_final_response(std::span<const std::byte> payload) noexcept {
    constexpr std::size_t kStatus = 8; // after "SIP/2.0 "
    return payload.size() > kStatus && payload[kStatus] >= std::byte{'2'};
}

} // namespace

std::optional<Outcome> digest(const PipelineView& view, Frame& frame) noexcept {
    // Only Viaduct knows the Call-ID and branch of a probe: a response must match both.
    constexpr ReadRules kProbeRules{Want::TopVia | Want::FirstLine, true};
    const Snapshot& snapshot = view.snapshot;
    const std::span<const std::byte> payload = frame.payload();
    switch (info_of(frame.claim.leg).reads) {
    case Reads::ByVip:
        read_digest(payload, snapshot.vips[index(*frame.claim.vip)].read_rules, frame.digest);
        return std::nullopt;
    case Reads::Identity:
        read_digest(payload, kProbeRules, frame.digest);
        return std::nullopt;
    case Reads::Heard:
        if (!may_be_request(payload) && !(hears_answers(snapshot.pools[index(*frame.claim.pool)]) &&
                                          is_final_response(payload)))
            return std::nullopt;
        break;
    case Reads::Whole:
        break;
    }
    read_digest(payload, snapshot.vips[index(*frame.claim.vip)].whole_reading(), frame.digest);
    return std::nullopt;
}

} // namespace viaduct::stages
