// SPDX-License-Identifier: Apache-2.0
//
// fuzz_input: what the fuzz targets share: laws that abort, and mutations that know what a SIP
// message looks like.
//
// An input is a few control bytes (how many, the target says) and a payload. libFuzzer's own
// mutations seldom move a whole line or fold one; those here do little else, and leave the bytes to
// libFuzzer and its dictionary.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <vector>

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t max_size);

namespace viaduct::fuzz {

/// A law that must hold for every input; libFuzzer keeps the input that breaks it.
inline void require(bool holds, const char* law) {
    if (holds) return;
    std::fprintf(stderr, "law broken: %s\n", law);
    std::abort();
}

[[nodiscard]] inline std::string_view view_of(std::span<const std::byte> bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// An empty part lies anywhere.
[[nodiscard]] inline bool lies_in(std::string_view part, std::string_view whole) {
    return part.empty() || (part.data() >= whole.data() &&
                            part.data() + part.size() <= whole.data() + whole.size());
}

/// Changes a SIP message, a line or a few characters at a time.
class MessageMutator {
public:
    explicit MessageMutator(unsigned seed) : random_(seed) {}

    [[nodiscard]] std::string mutated(std::string text) {
        for (std::size_t changes = 1 + below(3); changes > 0; --changes)
            change(text);
        return text;
    }

private:
    static constexpr std::array<std::string_view, 30> kLines{
        "Call-ID: a84b4c76e66710@192.0.2.1\r\n",
        "Call-ID: other\r\n",
        "i: a84b4c76e66710@192.0.2.1\r\n",
        "I :\r\n folded\r\n",
        "call-id\t: x\r\n\ty\r\n",
        "Call-ID-X: no\r\n",
        "Call-ID\r\n",
        "To: <sip:bob@example.org>;tag=a6c85cf\r\n",
        "To: \"B;tag=\\\"<\" <sip:b@example.org;tag=no> ; tag = 1\r\n",
        "t: sip:b@example.org;tag=1\r\n",
        "From: \"Alice\" <sip:alice@example.org>;tag=1928301774\r\n",
        "f: <sip:a@192.0.2.1>\r\n",
        "CSeq: 314159 INVITE\r\n",
        "CSeq:4294967296   BYE\r\n",
        "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK776asdhds;rport\r\n",
        "v: SIP / 2.0 / UDP [2001:db8::1] : 5060 ; x=\"a,\" ; branch=z9hG4bKa , SIP/2.0/TCP b\r\n",
        "Via: SIP/2.0/UDP h;received=192.0.2.9;rport=1;maddr=203.0.113.1;ttl=3\r\n",
        "Max-Forwards: 70\r\n",
        "Contact: <sip:a@192.0.2.1:5060;transport=udp>;expires=60, <tel:+4930>\r\n",
        "m: *\r\n",
        "Route: <sip:p1.example.org;lr>,<sips:p2.example.org:5061;lr>\r\n",
        "Record-Route: <sip:203.0.113.5;lr;ftag=\"a,b\">\r\n",
        "Require: 100rel, timer\r\n",
        "Proxy-Require: x\r\n",
        "Replaces: 12345@192.0.2.1;to-tag=1;from-tag=2;early-only\r\n",
        "Target-Dialog: a@b;local-tag=1;remote-tag=2\r\n",
        "Expires: 3600\r\n",
        "User-Agent: fuzz (x) \"y\"\r\n",
        "Content-Length: 9\r\n",
        "\r\n"};
    static constexpr std::array<std::string_view, 32> kTokens{
        "\r\n", "\n",       "\r", " ",  "\t",    ":",    ";",     ",",
        "\"",   "<",        ">",  "=",  "\\",    "\\\"", "\r\n ", "\n\t",
        "i:",   "v:",       "t:", "f:", ";tag=", ";lr",  "@",     "SIP/2.0",
        "sip:", ";branch=", "[",  "]",  "%00",   "\x80", "'",     std::string_view("\0", 1)};
    static constexpr std::array<std::string_view, 16> kNames{"Call-ID",
                                                             "i",
                                                             "To",
                                                             "t",
                                                             "From",
                                                             "f",
                                                             "Via",
                                                             "v",
                                                             "CSeq",
                                                             "Contact",
                                                             "m",
                                                             "Content-Length",
                                                             "l",
                                                             "Route",
                                                             "cALL-id",
                                                             "X"};

    [[nodiscard]] std::size_t below(std::size_t limit) { return random_() % limit; }

    [[nodiscard]] static std::vector<std::string> lines_of(const std::string& text) {
        std::vector<std::string> lines;
        for (std::size_t at = 0; at < text.size();) {
            const std::size_t end = std::min(text.find('\n', at), text.size() - 1) + 1;
            lines.push_back(text.substr(at, end - at));
            at = end;
        }
        return lines;
    }

    void change(std::string& text) {
        std::vector<std::string> lines = lines_of(text);
        if (lines.empty()) lines.emplace_back("INVITE sip:b@example.org SIP/2.0\r\n");
        const std::size_t at = below(lines.size());
        const auto there = [&lines](std::size_t i) {
            return lines.begin() + static_cast<std::ptrdiff_t>(i);
        };
        switch (below(8)) {
        case 0:
            lines.insert(there(below(lines.size() + 1)), std::string(lines[at]));
            break;
        case 1:
            lines.erase(there(at));
            break;
        case 2:
            std::swap(lines[at], lines[below(lines.size())]);
            break;
        case 3:
            lines.insert(there(below(lines.size() + 1)), std::string(kLines[below(kLines.size())]));
            break;
        case 4:
            respell(lines[at]);
            break;
        case 5:
            end_otherwise(lines[at]);
            break;
        case 6: { // a piece of one line goes into another
            const std::string& from = lines[below(lines.size())];
            const std::size_t first = below(from.size() + 1);
            const std::string piece = from.substr(first, below(24));
            lines[at].insert(below(lines[at].size() + 1), piece);
            break;
        }
        default: {
            const std::string_view token = kTokens[below(kTokens.size())];
            std::string run;
            for (std::size_t count = below(8) == 0 ? below(64) : 1; count > 0; --count)
                run += token;
            lines[at].insert(below(lines[at].size() + 1), run);
            break;
        }
        }
        text.clear();
        for (const std::string& line : lines)
            text += line;
    }

    /// Another name, another letter case, or white space before the colon.
    void respell(std::string& line) {
        const std::size_t colon = std::min(line.find(':'), line.size());
        switch (below(3)) {
        case 0:
            line.replace(0, colon, kNames[below(kNames.size())]);
            break;
        case 1:
            for (std::size_t i = 0; i < colon; ++i)
                if (below(2) == 0) line[i] = static_cast<char>(line[i] ^ 0x20);
            break;
        default:
            line.insert(colon, below(2) == 0 ? " " : "\t ");
            break;
        }
    }

    void end_otherwise(std::string& line) {
        static constexpr std::array<std::string_view, 6> kEnds{
            "\r\n", "\n", "\r", "", "\r\r\n", "\r\n "};
        while (!line.empty() && (line.back() == '\n' || line.back() == '\r'))
            line.pop_back();
        line += kEnds[below(kEnds.size())];
    }

    std::minstd_rand random_;
};

/// LLVMFuzzerCustomMutator of a target whose inputs begin with this many control bytes.
[[nodiscard]] inline std::size_t mutate_input(std::size_t control_bytes,
                                              std::uint8_t* data,
                                              std::size_t size,
                                              std::size_t max_size,
                                              unsigned seed) {
    if (seed % 3 == 0 || size < control_bytes) return ::LLVMFuzzerMutate(data, size, max_size);
    const std::string payload(reinterpret_cast<const char*>(data) + control_bytes,
                              size - control_bytes);
    const std::string changed = MessageMutator(seed).mutated(payload);
    const std::size_t kept = std::min(changed.size(), max_size - control_bytes);
    std::memcpy(data + control_bytes, changed.data(), kept);
    return control_bytes + kept;
}

} // namespace viaduct::fuzz
