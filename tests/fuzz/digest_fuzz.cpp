// SPDX-License-Identifier: Apache-2.0
//
// digest_fuzz: any bytes through the reader, at every level this machine has.
//
// In:    byte 0 the rules, bytes 1 and 2 where the payload is cut, then the payload. The highest
//        bit of byte 2 stands for the first line not wanted, the next one for references wanted.
// Laws:  every level gives the digest of the scalar one; views lie in the payload; what is not
//        wanted is absent, and wanting more or fewer fields changes no other; a cut message has a
//        beginning of the same Call-ID, or none; what follows the empty line changes nothing.
#include "digests.hpp"
#include "fuzz_input.hpp"
#include "guarded.hpp"

#include "viaduct/sip/digest.hpp"
#include "viaduct/steering/keys.hpp"

namespace viaduct::fuzz {

namespace {

constexpr std::size_t kControlBytes = 3;

ReadRules rules_from(std::uint8_t control, std::uint8_t more) {
    static constexpr std::array<std::uint16_t, 8> kMaxLines{
        kMaxHeaderLines, kMaxHeaderLines, 0, 1, 2, 5, 64, 65'535};
    return {.want = static_cast<Want>((control & 7) | (control >> 4 & 8) |
                                      ((more & 0x80) == 0 ? 16 : 0) | (more >> 1 & 32)),
            .lenient = (control & 8) != 0,
            .max_header_lines = kMaxLines[control >> 4 & 7]};
}

/// The same answer about the same bytes, which may lie elsewhere.
bool same(const SipDigest& a,
          std::span<const std::byte> a_bytes,
          const SipDigest& b,
          std::span<const std::byte> b_bytes) {
    const auto place = [](std::string_view part, std::span<const std::byte> whole) {
        return part.empty() ? 0 : part.data() - view_of(whole).data();
    };
    return a.kind == b.kind && a.defect == b.defect && a.method == b.method &&
           a.status == b.status && a.has_to_tag == b.has_to_tag && a.cseq == b.cseq &&
           a.call_id == b.call_id && place(a.call_id, a_bytes) == place(b.call_id, b_bytes) &&
           a.top_via_branch == b.top_via_branch &&
           place(a.top_via_branch, a_bytes) == place(b.top_via_branch, b_bytes) &&
           a.from_tag == b.from_tag && place(a.from_tag, a_bytes) == place(b.from_tag, b_bytes) &&
           a.to_tag == b.to_tag && place(a.to_tag, a_bytes) == place(b.to_tag, b_bytes);
}

void check_digest(const SipDigest& digest, std::span<const std::byte> payload, ReadRules rules) {
    const std::string_view text = view_of(payload);
    require(lies_in(digest.call_id, text), "the Call-ID lies in the payload");
    require(lies_in(digest.top_via_branch, text), "the branch lies in the payload");
    for (const std::string_view tag : {digest.from_tag, digest.to_tag})
        require(lies_in(tag, text) && tag.find_first_of(" \t\r\n;,") == tag.npos,
                "a tag lies in the payload, and ends where a token does");
    const bool readable = digest.status >= 100 && digest.status <= 699;
    require(digest.status == 0 || (readable && digest.kind == PayloadKind::Response),
            "only a response has a status, of 100 to 699");
    require(digest.method == Method::Other || digest.kind == PayloadKind::Request,
            "only a request has a method");
    constexpr std::string_view kSpace = " \t\r\n";
    if (!digest.call_id.empty())
        require(kSpace.find(digest.call_id.front()) == std::string_view::npos &&
                    kSpace.find(digest.call_id.back()) == std::string_view::npos,
                "no white space is around the Call-ID");
    if (wants(rules.want, Want::Tags)) {
        require(digest.has_to_tag == !digest.to_tag.empty(), "there is a To-tag or there is none");
    } else {
        require(digest.from_tag.empty() && digest.to_tag.empty(), "no unwanted tags");
        if (!wants(rules.want, Want::ToTag)) require(!digest.has_to_tag, "no unwanted To-tag");
    }
    require(digest.may_reference_call || wants(rules.want, Want::CallReference),
            "nothing is said unasked");
    require(digest.may_reference_call || referenced_call(payload).empty(),
            "a message that refers may");
    if (!wants(rules.want, Want::CSeq)) require(!digest.cseq, "no unwanted CSeq");
    if (!wants(rules.want, Want::TopVia))
        require(digest.top_via_branch.empty(), "no unwanted branch");
    if (rules.lenient)
        require(digest.defect != Defect::AmbiguousCallId, "lenient: the first Call-ID counts");
    if (digest.kind == PayloadKind::KeepAlive || digest.kind == PayloadKind::Stun)
        require(digest.call_id.empty() && digest.defect == Defect::None,
                "keep-alives and STUN are not read on");
}

/// Against the same payload read for everything, first strictly, then leniently.
void check_rules(const SipDigest& digest, std::span<const std::byte> payload, ReadRules rules) {
    ReadRules all = rules;
    all.want = Want::Everything;
    const SipDigest whole = read_digest(payload, all);
    require(same(whole, payload, test::read_late(payload, all), payload),
            "what is left for later reads alike");
    if (digest.kind == PayloadKind::Unread)
        require(!wants(rules.want, Want::FirstLine) && !digest.call_id.empty() &&
                    whole.kind != PayloadKind::KeepAlive && whole.kind != PayloadKind::Stun,
                "the first line is not read where it is not wanted, and there is a Call-ID");
    else
        require(digest.kind == whole.kind && digest.method == whole.method &&
                    digest.status == whole.status,
                "the first line does not depend on what else is wanted");
    if (whole.defect != Defect::None || digest.defect != Defect::None) {
        require(rules.lenient || digest.defect == whole.defect,
                "strictly, a defect does not depend on what is wanted");
        return;
    }
    require(digest.call_id == whole.call_id, "the Call-ID does not depend on what is wanted");
    if (wants(rules.want, Want::ToTag | Want::Tags))
        require(digest.has_to_tag == whole.has_to_tag, "To-tag whatever else is wanted");
    if (wants(rules.want, Want::Tags))
        require(digest.from_tag == whole.from_tag && digest.to_tag == whole.to_tag,
                "tags whatever else is wanted");
    if (wants(rules.want, Want::CSeq))
        require(digest.cseq == whole.cseq, "CSeq whatever else is wanted");
    if (wants(rules.want, Want::TopVia))
        require(digest.top_via_branch == whole.top_via_branch, "branch whatever else is wanted");
    if (rules.lenient) return;
    all.lenient = true;
    const SipDigest lenient = read_digest(payload, all);
    require(same(whole, payload, lenient, payload), "what passes strictly reads alike leniently");
}

/// What does not depend on the bytes behind: `digest` is of `payload` by `rules`.
void check_ends(const SipDigest& digest,
                std::string_view payload,
                std::size_t cut_to,
                const ReadRules& rules) {
    if (digest.defect != Defect::None || digest.kind == PayloadKind::KeepAlive ||
        digest.kind == PayloadKind::Stun)
        return;
    const std::string call_id(digest.call_id); // the guarded bytes are written anew below
    const std::string from_tag(digest.from_tag);
    const std::string to_tag(digest.to_tag);
    const auto cut = test::guarded(payload.substr(0, cut_to));
    const SipDigest of_cut = read_digest(cut, rules);
    require(call_id.starts_with(of_cut.call_id), "a cut message has no other Call-ID");
    // Where header fields have not begun, line feeds do not end them.
    const std::size_t first_line = payload.find_first_not_of("\r\n");
    const std::size_t first_end = payload.find('\n', first_line);
    if (digest.kind == PayloadKind::NotSip ||
        payload.find_first_not_of('\n', first_end) == payload.npos)
        return;
    const std::string longer =
        std::string(payload) + "\n\nCall-ID: in-the-body\nTo: b;tag=b\nf: b;tag=b\n";
    const SipDigest of_longer = read_digest(std::as_bytes(std::span(longer)), rules);
    require(of_longer.kind == digest.kind && of_longer.defect == Defect::None &&
                of_longer.call_id == call_id && of_longer.has_to_tag == digest.has_to_tag &&
                of_longer.from_tag == from_tag && of_longer.to_tag == to_tag &&
                of_longer.cseq == digest.cseq,
            "the body is not read");
}

} // namespace

} // namespace viaduct::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace viaduct;
    using namespace viaduct::fuzz;
    if (size < kControlBytes) return 0;
    const ReadRules rules = rules_from(data[0], data[2]);
    const std::string_view payload(reinterpret_cast<const char*>(data) + kControlBytes,
                                   size - kControlBytes);
    const std::size_t cut_to = (data[1] | std::size_t{data[2]} << 8) % (payload.size() + 1);

    const auto at_start = test::guarded_start(payload);
    const auto at_end = test::guarded(payload);
    const SipDigest scalar = read_digest_at(ScanLevel::Scalar, at_start, rules);
    check_digest(scalar, at_start, rules);
    for (const ScanLevel level : kScanLevels)
        if (has_scan_level(level))
            require(same(read_digest_at(level, at_end, rules), at_end, scalar, at_start),
                    "every level gives the scalar digest");
    check_rules(scalar, at_start, rules);
    check_ends(scalar, payload, cut_to, rules);
    return 0;
}

extern "C" std::size_t
LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size, unsigned seed) {
    return viaduct::fuzz::mutate_input(viaduct::fuzz::kControlBytes, data, size, max_size, seed);
}
