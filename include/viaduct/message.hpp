// SPDX-License-Identifier: Apache-2.0
//
// message: the bytes of one UDP payload -> the few SIP fields steering needs.
//
// In:    payload as received. Hostile. No byte outside it is read.
// Out:   SipDigest; its views point into the payload and live as long as the frame.
// Cost:  one pass over the header lines, stops at the empty line or once every field is found;
//        no allocation, no copy.
// Spec:  RFC 3261 §7.1 and §7.2 (first line), §7.3 (fields, folding, compact names), §8.1.1.4 and
//        §20.8 (Call-ID), §20.16 (CSeq), §20.39 (To), §20.42 (Via).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace viaduct {

enum class PayloadKind : std::uint8_t {
    Request,
    Response,
    KeepAlive, ///< nothing, or only CR LF, or only zero bytes (RFC 5626 §3.5.1, §4.4.1)
    Stun,      ///< RFC 5389 §6: two zero bits and the magic cookie
    NotSip,    ///< anything else: the first line is neither a request line nor a status line
};

/// Methods by name are case-sensitive (RFC 3261 §7.1); a name not listed is `Other` and passes.
enum class Method : std::uint8_t {
    Other,
    Invite,
    Ack,
    Bye,
    Cancel,
    Register,
    Options,
    Prack,
    Subscribe,
    Notify,
    Publish,
    Info,
    Refer,
    Message,
    Update,
};

struct CSeq {
    std::uint32_t number = 0; ///< RFC 3261 §8.1.1.5 allows up to 2^31 - 1; larger saturates
    Method method = Method::Other;

    bool operator==(const CSeq&) const = default;
};

/// What every packet for a VIP is read for. Absent is an explicit state: an empty view, no value.
struct SipDigest {
    PayloadKind kind = PayloadKind::NotSip;
    Method method = Method::Other; ///< of a request
    std::uint16_t status = 0;      ///< of a response: 100..699; 0 in a request, or unreadable
    bool has_to_tag = false;       ///< To carries a tag: the message belongs to a dialog (§12)
    std::optional<CSeq> cseq;      ///< empty when absent or unreadable
    /// The value byte for byte, white space around it dropped; empty when absent. A fold inside it
    /// stays as it is: no legal Call-ID has one.
    std::string_view call_id;
    std::string_view top_via_branch; ///< branch of the first Via value; empty when absent
};

/// Reads one UDP payload. The first of several equal header fields counts. Line ends are CRLF or a
/// bare LF; a bare CR ends no line. Works on any length from 0 to 65,535.
[[nodiscard]] SipDigest read_digest(std::span<const std::byte> payload) noexcept;

} // namespace viaduct
