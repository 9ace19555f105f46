// SPDX-License-Identifier: Apache-2.0
//
// digest: the bytes of one UDP payload -> the few SIP fields steering needs.
//
// In:    payload as received. Hostile. No byte outside it is read.
// Out:   SipDigest; its views point into the payload and live as long as the frame.
// Cost:  one pass over the header lines up to the empty line, with the widest vectors the machine
//        has; no allocation, no copy. Linear: no input costs more than a few times what a typical
//        message of its size costs.
// Spec:  RFC 3261 §7.1 and §7.2 (first line), §7.3 (fields, folding, compact names), §8.1.1.4 and
//        §20.8 (Call-ID), §20.16 (CSeq), §20.20 (From), §20.39 (To), §19.3 (tags), §20.42 (Via).
//        docs/sip.md has every rule.
#pragma once

#include <array>
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
    NotSip,    ///< the first line is neither a request line nor a status line: something else, or,
               ///< if it has a Call-ID, a SIP message with a broken first line
    Unread, ///< the first line was not wanted, and there is a Call-ID: Request, Response or NotSip
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

/// What a message has against being steered by its Call-ID, as far as it was read.
enum class Defect : std::uint8_t {
    None,
    AmbiguousCallId,    ///< Call-IDs that differ, or more of them than any honest message has
    TooManyHeaderLines, ///< more than ReadRules::max_header_lines; the Call-ID is one before those
};

/// Fields that cost extra and that not every pool needs.
enum class Want : std::uint8_t {
    Nothing = 0,
    ToTag = 1,
    CSeq = 2,
    TopVia = 4,
    Tags = 8, ///< both tags, and what ToTag gives
    /// What the first line says: kind, method, status. A message without a Call-ID gives them
    /// always.
    FirstLine = 16,
    CallReference = 32, ///< what may_reference_call says
    Everything = 63,
    /// With Everything. Of tags, branch and CSeq only where they begin: dialog_tags() and its like
    /// read them when they are asked for. Of To it is known whether there is a tag.
    Later = 64,
};

[[nodiscard]] constexpr Want operator|(Want a, Want b) noexcept {
    return static_cast<Want>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}
[[nodiscard]] constexpr bool wants(Want all, Want one) noexcept {
    return (static_cast<unsigned>(all) & static_cast<unsigned>(one)) != 0;
}

/// What steering may have to know of a message to remember its call. Most need little of it.
inline constexpr Want kWantForCalls = Want::Everything | Want::Later;

inline constexpr std::uint16_t kMaxHeaderLines = 256;

/// How the messages of one VIP are read.
struct ReadRules {
    Want want = Want::Everything;
    /// The first Call-ID counts and reading ends once all that is wanted is known. Otherwise
    /// Call-IDs that differ are a Defect, and every header line is looked at.
    bool lenient = false;
    /// Lines between the first line and the empty line, continuation lines among them.
    std::uint16_t max_header_lines = kMaxHeaderLines;
};

/// What every packet for a VIP is read for. Absent is an explicit state: an empty view, no value.
struct SipDigest {
    PayloadKind kind = PayloadKind::NotSip;
    Defect defect = Defect::None;
    Method method = Method::Other; ///< of a request
    std::uint16_t status = 0;      ///< of a response: 100..699; 0 in a request, or unreadable
    /// To carries a tag with a value: the message belongs to a dialog (§12).
    bool has_to_tag = false;
    /// A header field may be a Replaces, Join or Target-Dialog: two characters of its name say so.
    /// False only where it was asked, and true where the header was not read to its end.
    bool may_reference_call = true;
    std::optional<CSeq> cseq; ///< empty when absent or unreadable
    /// The value byte for byte, white space around it dropped; empty when absent. A fold inside it
    /// stays as it is: no legal Call-ID has one.
    std::string_view call_id;
    std::string_view top_via_branch; ///< branch of the first Via value; empty when absent
    /// The tags of From and To, which tell the dialogs of a call apart (§12, §19.3); empty when
    /// absent or without a value. They end where a token does: of a quoted string, which no tag is,
    /// they have what stands before its first white space, semicolon or comma. Where they are
    /// wanted, `has_to_tag` says that `to_tag` is not empty.
    std::string_view from_tag;
    std::string_view to_tag;

    /// What was left for later: where each value begins in the payload; 0: it is absent, or above.
    struct Places {
        std::uint16_t from = 0;
        std::uint16_t to = 0;
        std::uint16_t cseq = 0;
        std::uint16_t top_via = 0;

        bool operator==(const Places&) const = default;
    } later;
};

/// Reads one UDP payload. The first of several From, To, CSeq and Via fields counts; what of them
/// the rules do not want is absent. Line ends are CRLF or a bare LF; a bare CR ends no line. Works
/// on any length from 0 to 65,535, on any thread, from main() on. A payload that is NotSip gives
/// its Call-ID, too, if it has one. docs/sip.md lists the limits on what is looked at in one value.
[[nodiscard]] SipDigest read_digest(std::span<const std::byte> payload,
                                    const ReadRules& rules = {}) noexcept;

/// The same into a digest that nothing was read into yet: one that lies where it is wanted need not
/// be copied there.
void read_digest(std::span<const std::byte> payload,
                 const ReadRules& rules,
                 SipDigest& digest) noexcept;

struct DialogTags {
    std::string_view from;
    std::string_view to;
};

/// What was wanted, read now if it was left for later; views into `payload`, which the digest was
/// read from. Each call reads anew.
[[nodiscard]] DialogTags dialog_tags(const SipDigest& digest,
                                     std::span<const std::byte> payload) noexcept;
[[nodiscard]] std::string_view top_via_branch(const SipDigest& digest,
                                              std::span<const std::byte> payload) noexcept;
[[nodiscard]] std::optional<CSeq> cseq_of(const SipDigest& digest,
                                          std::span<const std::byte> payload) noexcept;

/// How many bytes at a time lines are looked for. Every level gives the same digest.
enum class ScanLevel : std::uint8_t { Scalar, Sse42, Avx2, Avx512 };

inline constexpr std::array kScanLevels{
    ScanLevel::Scalar, ScanLevel::Sse42, ScanLevel::Avx2, ScanLevel::Avx512};

[[nodiscard]] std::string_view name_of(ScanLevel level) noexcept;

/// Whether this machine can run it.
[[nodiscard]] bool has_scan_level(ScanLevel level) noexcept;

/// The level read_digest() uses unless told: the fastest this machine has.
[[nodiscard]] ScanLevel best_scan_level() noexcept;

/// read_digest() at a level this machine has; for tests and benchmarks.
[[nodiscard]] SipDigest read_digest_at(ScanLevel level,
                                       std::span<const std::byte> payload,
                                       const ReadRules& rules = {}) noexcept;

} // namespace viaduct
