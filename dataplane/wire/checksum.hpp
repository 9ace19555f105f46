// SPDX-License-Identifier: Apache-2.0
//
// checksum: the Internet checksum of a header of which one word changes.
#pragma once

#include <cstdint>

namespace viaduct {

/// One's-complement checksum after `from` became `to` (RFC 1624, equation 3).
[[nodiscard]] constexpr std::uint16_t
updated_checksum(std::uint16_t checksum, std::uint16_t from, std::uint16_t to) noexcept {
    std::uint32_t sum = static_cast<std::uint16_t>(~checksum);
    sum += static_cast<std::uint16_t>(~from);
    sum += to;
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return static_cast<std::uint16_t>(~sum);
}

} // namespace viaduct
