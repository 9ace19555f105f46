// SPDX-License-Identifier: Apache-2.0
//
// invites: INVITEs for benchmarks, all alike but for the numbers in them.
#pragma once

#include "message_builder.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace viaduct::test {

/// An INVITE as phones send it, 560 bytes and more with its SDP; every Call-ID is another one.
[[nodiscard]] inline std::string make_invite(std::size_t number) {
    const std::string id = std::to_string(1'000'000 + number);
    return MessageBuilder("INVITE sip:+4930" + id + "@198.51.100.10 SIP/2.0", "INVITE")
        .set("Via", "SIP/2.0/UDP 192.0.2.7:5060;rport;branch=z9hG4bK" + id + "a7c6a8dlze.1")
        .set("From", "\"Alice\" <sip:alice@example.org>;tag=" + id)
        .set("To", "<sip:+4930" + id + "@198.51.100.10>")
        .set("Call-ID", id + "-f81d4fae7dec11d0a765@192.0.2.7")
        .set("Contact", "<sip:alice@192.0.2.7:5060>")
        .set("Content-Type", "application/sdp")
        .body("v=0\r\no=alice 2890844526 2890844526 IN IP4 192.0.2.7\r\ns=-\r\n"
              "c=IN IP4 192.0.2.7\r\nt=0 0\r\nm=audio 49172 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n")
        .text();
}

/// Of all numbered calls, apart from the kCallDigits digits with which it begins.
inline constexpr std::string_view kNumberedCallId = "00000000-f81d4fae7dec11d0a765@192.0.2.7";
inline constexpr std::size_t kCallDigits = 8;

inline constexpr std::string_view kDialogFromTag = "1000000";
inline constexpr std::string_view kDialogToTag = "a6c85cf";

/// An INVITE inside a dialog, the same one for every number, of a numbered call.
[[nodiscard]] inline std::string make_reinvite(std::size_t number) {
    std::string message = make_invite(number);
    message.replace(message.find(";tag=") + 5, kDialogFromTag.size(), kDialogFromTag);
    message.insert(message.find("\r\n", message.find("\r\nTo: ") + 2),
                   ";tag=" + std::string(kDialogToTag));
    const std::size_t id = message.find("Call-ID: ") + 9;
    message.replace(id, message.find("\r\n", id) - id, kNumberedCallId);
    return message;
}

inline void write_number(char* at, std::uint64_t number) {
    for (std::size_t i = kCallDigits; i-- > 0; number /= 10)
        at[i] = static_cast<char>('0' + number % 10);
}

} // namespace viaduct::test
