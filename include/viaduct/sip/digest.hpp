// SPDX-License-Identifier: Apache-2.0
//
// digest: reads from the bytes of one UDP payload the few SIP fields that steering needs.
//
// In:    payload as received. Hostile. No byte outside it is read.
// Out:   SipDigest; its views point into the payload and are valid as long as the frame.
// Cost:  one pass over the header lines up to the empty line, with the widest vectors the machine
//        has; no allocation, no copy. Linear: no input costs more than a few times as much as a
//        typical message of its size.
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
    KeepAlive, ///< empty, or only CR LF, or only zero bytes (RFC 5626 §3.5.1, §4.4.1)
    Stun,      ///< RFC 5389 §6: two zero bits and the magic cookie
    NotSip,    ///< the first line is neither a request line nor a status line; with a Call-ID it is
               ///< a SIP message with a broken first line
    Unread, ///< the first line was not wanted, and there is a Call-ID: Request, Response or NotSip
};

/// Method names are case-sensitive (RFC 3261 §7.1); a name not listed is `Other` and passes.
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

/// Why a message cannot be steered by its Call-ID, as far as it was read.
enum class Defect : std::uint8_t {
    None,
    AmbiguousCallId,    ///< different Call-IDs, or more equal ones than real messages have
    TooManyHeaderLines, ///< more than ReadRules::max_header_lines; call_id is from within
};

/// Fields that cost extra and that not every pool needs.
enum class Want : std::uint8_t {
    Nothing = 0,
    ToTag = 1,
    CSeq = 2,
    TopVia = 4,
    Tags = 8, ///< both tags, and what ToTag gives
    /// Kind, method and status from the first line. A message without a Call-ID always gives them.
    FirstLine = 16,
    CallReference = 32, ///< fills in may_reference_call
    Everything = 63,
    /// With Everything. Notes only where From, branch and CSeq start; dialog_tags() and similar
    /// functions read them on demand. The tag of To is known at once.
    Later = 64,
};

[[nodiscard]] constexpr Want operator|(Want a, Want b) noexcept {
    return static_cast<Want>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}
[[nodiscard]] constexpr bool wants(Want all, Want one) noexcept {
    return (static_cast<unsigned>(all) & static_cast<unsigned>(one)) != 0;
}

/// What steering may have to know of a message to remember its call. Most messages need little of
/// it.
inline constexpr Want kWantForCalls = Want::Everything | Want::Later;

inline constexpr std::uint16_t kMaxHeaderLines = 256;

/// How the messages of one VIP are read.
struct ReadRules {
    Want want = Want::Everything;
    /// Lenient: the first Call-ID counts, and reading stops once all wanted fields are known.
    /// Strict: different Call-IDs are a Defect, and every header line is examined.
    bool lenient = false;
    /// Lines between the first line and the empty line, including continuation lines.
    std::uint16_t max_header_lines = kMaxHeaderLines;
};

/// What is read from every packet for a VIP. Absent is an explicit state: an empty view, no value.
struct SipDigest {
    PayloadKind kind = PayloadKind::NotSip;
    Defect defect = Defect::None;
    Method method = Method::Other; ///< of a request
    std::uint16_t status = 0;      ///< of a response: 100..699; 0 in a request, or when unreadable
    /// To has a tag with a value: the message belongs to a dialog (§12).
    bool has_to_tag = false;
    /// A header field may be a Replaces, Join or Target-Dialog, judged by some characters of its
    /// name; levels may judge differently. False only if this was wanted and no field may be one;
    /// true if the header was not read completely.
    bool may_reference_call = true;
    std::optional<CSeq> cseq; ///< empty when absent or unreadable
    /// The value byte for byte without surrounding white space; empty when absent. A fold inside it
    /// is kept: no legal Call-ID has one.
    std::string_view call_id;
    std::string_view top_via_branch; ///< branch of the first Via value; empty when absent
    /// The tags of From and To, which distinguish the dialogs of a call (§12, §19.3); empty when
    /// absent or without a value. They end where a token does. Of a quoted string, which is not a
    /// legal tag, they hold the part before its first white space, semicolon or comma. Where they
    /// are wanted, `has_to_tag` means that `to_tag` is not empty.
    std::string_view from_tag;
    std::string_view to_tag;

    /// Where each value that was left for later starts in the payload; 0: absent, or already in a
    /// field above.
    struct Places {
        std::uint16_t from = 0;
        std::uint16_t cseq = 0;
        std::uint16_t top_via = 0;

        bool operator==(const Places&) const = default;
    } later;
};

/// Reads one UDP payload. The first of several From, To, CSeq and Via fields counts; fields that
/// the rules do not want are absent. Line ends are CRLF or a bare LF; a bare CR ends no line. Takes
/// any length from 0 to 65,535; may be called on any thread, after main() has started. A NotSip
/// payload also gives its Call-ID, if it has one. docs/sip.md lists the limits on what is read of
/// one value.
[[nodiscard]] SipDigest read_digest(std::span<const std::byte> payload,
                                    const ReadRules& rules = {}) noexcept;

/// The same into a fresh digest in its final place, which saves a copy.
void read_digest(std::span<const std::byte> payload,
                 const ReadRules& rules,
                 SipDigest& digest) noexcept;

struct DialogTags {
    std::string_view from;
    std::string_view to;
};

/// The fields that were wanted, read now if they were left for later; views into `payload`, which
/// must be the one that the digest was read from. Each call reads again.
[[nodiscard]] DialogTags dialog_tags(const SipDigest& digest,
                                     std::span<const std::byte> payload) noexcept;
[[nodiscard]] std::string_view top_via_branch(const SipDigest& digest,
                                              std::span<const std::byte> payload) noexcept;
[[nodiscard]] std::optional<CSeq> cseq_of(const SipDigest& digest,
                                          std::span<const std::byte> payload) noexcept;

/// The vector width of the line scan. Every level gives the same digest.
enum class ScanLevel : std::uint8_t { Scalar, Sse42, Avx2, Avx512 };

inline constexpr std::array kScanLevels{
    ScanLevel::Scalar, ScanLevel::Sse42, ScanLevel::Avx2, ScanLevel::Avx512};

[[nodiscard]] std::string_view name_of(ScanLevel level) noexcept;

/// Whether this machine supports the level.
[[nodiscard]] bool has_scan_level(ScanLevel level) noexcept;

/// The level of read_digest(): the fastest this machine has.
[[nodiscard]] ScanLevel best_scan_level() noexcept;

/// read_digest() at a level this machine has; for tests and benchmarks.
[[nodiscard]] SipDigest read_digest_at(ScanLevel level,
                                       std::span<const std::byte> payload,
                                       const ReadRules& rules = {}) noexcept;

} // namespace viaduct
