// SPDX-License-Identifier: Apache-2.0
//
// call_id_diff_fuzz: our Call-ID against sofia-sip's, on what both accept.
//
// In:    byte 0: whether what kReasons are about is taken out first; then a payload. Both accept it
//        when we find a SIP message without defect that has a Call-ID, and sofia-sip one with a
//        Call-ID and no error in a field that matters to it.
// Law:   the Call-IDs are the same bytes. A difference passes only for reasons of kReasons, which
//        must foretell what sofia-sip reads; how often each did is printed at the end.
#include "fuzz_input.hpp"

#include "viaduct/sip/digest.hpp"

#include <bit>
#include <optional>
#include <sofia-sip/msg.h>
#include <sofia-sip/sip.h>
#include <sofia-sip/sip_header.h>
#include <sofia-sip/sip_parser.h>

namespace viaduct::fuzz {

namespace {

constexpr std::string_view kLws = " \t\r\n"; ///< both skip it before the first line

/// As if the first line were good: what of it each accepts is not compared here. Nothing: we would
/// refuse it for too many lines.
std::optional<std::string> our_call_id(std::string_view payload) {
    const std::size_t first = std::min(payload.find_first_not_of(kLws), payload.size());
    const std::size_t end = std::min(payload.find('\n', first), payload.size());
    const std::string text = "BYE sip:b@example.org SIP/2.0" + std::string(payload.substr(end));
    const SipDigest digest = read_digest(std::as_bytes(std::span(text)), {.lenient = true});
    if (digest.defect == Defect::TooManyHeaderLines) return std::nullopt;
    return std::string(digest.call_id);
}

/// Empty: it does not accept the payload.
std::optional<std::string> their_call_id(std::string_view payload) {
    msg_t* parsed =
        ::msg_make(::sip_default_mclass(), 0, payload.data(), static_cast<ssize_t>(payload.size()));
    if (parsed == nullptr) return std::nullopt;
    std::optional<std::string> call_id;
    const sip_t* sip = ::sip_object(parsed);
    if (sip != nullptr && (sip->sip_flags & MSG_FLG_ERROR) == 0 &&
        (sip->sip_request != nullptr || sip->sip_status != nullptr) && sip->sip_call_id != nullptr)
        call_id = sip->sip_call_id->i_id;
    ::msg_destroy(parsed);
    return call_id;
}

/// A CR alone ends a line, too. RFC 3261 §25.1 knows only CRLF; we take a bare LF as well.
void end_lines_at_bare_cr(std::string& text) {
    for (std::size_t i = text.find_first_not_of(kLws); i < text.size(); ++i)
        if (text[i] == '\r' && (i + 1 == text.size() || text[i + 1] != '\n')) text[i] = '\n';
}

/// Blanks at the begin of the line after the first one do not make it a continuation: the first
/// line cannot be folded. To us a line that begins with a blank never is a header field of its own.
void unfold_first_line(std::string& text) {
    const std::size_t first = std::min(text.find_first_not_of(kLws), text.size());
    const std::size_t line = std::min(text.find('\n', first), text.size() - 1) + 1;
    text.erase(line, std::min(text.find_first_not_of(" \t", line), text.size()) - line);
}

/// A name may be folded before its colon; RFC 3261 §25.1 has only blanks and tabs there (HCOLON).
void unfold_names(std::string& text) {
    std::size_t line = std::min(text.find_first_not_of(kLws), text.size());
    for (std::size_t i = line; i + 1 < text.size(); ++i) {
        if (text[i] != '\n') continue;
        if (i == line || (i == line + 1 && text[line] == '\r')) return; // the body begins
        if (text[i + 1] != ' ' && text[i + 1] != '\t') {
            line = i + 1;
        } else if (text.find(':', line) > i) {
            text[i] = ' ';
            if (i > line && text[i - 1] == '\r') text[i - 1] = ' ';
        }
    }
}

/// A zero byte ends the text, as in C; to us it is a byte like others.
void end_text_at_zero(std::string& text) {
    text.resize(std::min(text.find('\0'), text.size()));
}

/// What sofia-sip does and we do not. Rewritten so, a message must be read by us as it is by them.
struct Reason {
    const char* name;
    void (*rewrite)(std::string& text);
    std::uint64_t count = 0;
};
std::array kReasons{Reason{"a bare CR ends a line", end_lines_at_bare_cr},
                    Reason{"the first line is not folded", unfold_first_line},
                    Reason{"a name may be folded", unfold_names},
                    Reason{"a zero byte ends the text", end_text_at_zero}};

/// Whether some of the reasons, as few as can be, make us read `theirs`; counts those.
bool explained(std::string_view payload, const std::string& theirs) {
    for (std::size_t wanted = 1; wanted <= kReasons.size(); ++wanted)
        for (unsigned set = 1; set < 1U << kReasons.size(); ++set) {
            if (static_cast<std::size_t>(std::popcount(set)) != wanted) continue;
            std::string text(payload);
            for (std::size_t i = 0; i < kReasons.size(); ++i)
                if ((set >> i & 1) != 0) kReasons[i].rewrite(text);
            std::string expected = theirs; // a fold in it stays as it was written
            if ((set & 1) != 0) end_lines_at_bare_cr(expected);
            const auto ours = our_call_id(text);
            if (ours && *ours != expected) continue;
            for (std::size_t i = 0; i < kReasons.size(); ++i)
                kReasons[i].count += set >> i & 1;
            return true;
        }
    return false;
}

constexpr std::size_t kControlBytes = 1;

std::uint64_t both_accept = 0;

void print_counts() {
    std::fprintf(stderr, "explained: both accept %ju", static_cast<std::uintmax_t>(both_accept));
    for (const Reason& reason : kReasons)
        std::fprintf(stderr, "; %s %ju", reason.name, static_cast<std::uintmax_t>(reason.count));
    std::fprintf(stderr, "\n");
}

} // namespace

} // namespace viaduct::fuzz

extern "C" int LLVMFuzzerInitialize(int*, char***) {
    return std::atexit(viaduct::fuzz::print_counts);
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace viaduct;
    using namespace viaduct::fuzz;
    if (size < kControlBytes) return 0;
    std::string payload(reinterpret_cast<const char*>(data) + kControlBytes, size - kControlBytes);
    const bool plain = (data[0] & 3) != 3;
    if (plain)
        for (const Reason& reason : kReasons)
            reason.rewrite(payload);
    const SipDigest digest = read_digest(std::as_bytes(std::span(payload)));
    if (digest.kind != PayloadKind::Request && digest.kind != PayloadKind::Response) return 0;
    if (digest.defect != Defect::None || digest.call_id.empty()) return 0;
    const std::optional<std::string> theirs = their_call_id(payload);
    if (!theirs) return 0;
    ++both_accept;
    if (digest.call_id == *theirs || (!plain && explained(payload, *theirs))) return 0;
    std::fprintf(stderr,
                 "law broken: Call-ID '%.*s' is '%s' to sofia-sip\n",
                 static_cast<int>(digest.call_id.size()),
                 digest.call_id.data(),
                 theirs->c_str());
    std::abort();
}

extern "C" std::size_t
LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t max_size, unsigned seed) {
    return viaduct::fuzz::mutate_input(viaduct::fuzz::kControlBytes, data, size, max_size, seed);
}
