// SPDX-License-Identifier: Apache-2.0
//
// hostile_shapes: payloads written to cost a reader as much as they can, each with a name.
//
// Long runs of one mark where each kind of value is read; short lines that begin like wanted ones;
// as many lines as are looked at; escapes, half parameters, long and repeated Call-IDs; everything
// at 512 and 1,400 bytes and at the longest a datagram holds.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace viaduct::test {

struct NamedMessage {
    std::string name;
    std::string text;
};

inline constexpr std::size_t kLongestDatagram = 65'507;

namespace hostile {

inline constexpr std::array<std::size_t, 3> kSizes{512, 1'400, kLongestDatagram};
inline constexpr std::string_view kFirstLine = "INVITE sip:b@example.org SIP/2.0\r\n";
inline constexpr std::size_t kLines = 256; ///< as many as are looked at

/// Readable in a name and in a terminal.
[[nodiscard]] inline std::string shown(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '\r')
            out += "\\r";
        else if (c == '\n')
            out += "\\n";
        else if (c == '\t')
            out += "\\t";
        else if (c == '\0')
            out += "\\0";
        else
            out += c;
    }
    return out;
}

/// `start`, then `unit` again and again, at most `lines` times and `bytes` bytes in all.
[[nodiscard]] inline std::string repeated(std::string_view start,
                                          std::string_view unit,
                                          std::size_t bytes,
                                          std::size_t lines = kLongestDatagram) {
    std::string text(start);
    while (text.size() + unit.size() <= bytes && lines-- > 0)
        text += unit;
    return text;
}

inline void add(std::vector<NamedMessage>& shapes, std::string name, std::string text) {
    name += ", " + std::to_string(text.size()) + " bytes";
    shapes.push_back({std::move(name), std::move(text)});
}

/// One mark, or one half of something, all through a value.
inline void add_runs(std::vector<NamedMessage>& shapes) {
    constexpr std::array<std::string_view, 8> kPlaces{"To: ",
                                                      "Via: ",
                                                      "Call-ID: ",
                                                      "CSeq: ",
                                                      "x: ",
                                                      "To: <sip:a@b>;tag=a",
                                                      "Call-ID: a\r\nTo: ",
                                                      "To: \""};
    constexpr std::array<std::string_view, 25> kUnits{
        ";",    "\"",   "<",      ",",     " ",     "\t",   "\r",      "\n",   "\\",
        "\\\"", ";tag", "; tag",  ";t",    ";tag ", ";a=b", ";branch", "\"\"", "<>",
        "a",    "1",    ";\r\n ", "\r\n ", "\n\t",  ">",    "="};
    for (const std::size_t bytes : kSizes) {
        for (const std::string_view unit : kUnits) {
            for (const std::string_view place : kPlaces)
                add(shapes,
                    "'" + shown(unit) + "' after '" + shown(place) + "'",
                    repeated(std::string(kFirstLine) + std::string(place), unit, bytes));
            constexpr std::string_view kEnd = " SIP/2.0\r\ni: a\r\n\r\n";
            add(shapes,
                "'" + shown(unit) + "' in the request line",
                repeated("INVITE ", unit, bytes - kEnd.size()) + std::string(kEnd));
            add(shapes, "'" + shown(unit) + "' and nothing else", repeated("", unit, bytes));
            add(shapes,
                "'" + shown(unit) + "' before the request line",
                repeated("", unit, bytes - 64) + std::string(kFirstLine) + "i: a\r\n\r\n");
            add(shapes,
                "'" + shown(unit) + "' in the status line",
                repeated("SIP/2.0 200 ", unit, bytes));
        }
        add(shapes, "zero bytes", std::string(bytes, '\0'));
        add(shapes, "zero bytes, then one", std::string(bytes - 1, '\0') + "a");
        add(shapes, "CRLF, then a letter", repeated("", "\r\n", bytes - 1) + "a");
    }
}

/// Lines that begin like wanted ones, alone and in pairs.
inline void add_lines(std::vector<NamedMessage>& shapes) {
    constexpr std::array<std::string_view, 28> kLinesTried{
        "i:\n",       "i: a\n",        "i \n",    "ca\n",       "call-id\n",
        "Call-ID \n", "to\n",          "t:\n",    "v:\n",       "cseq\n",
        "\r",         "a\n",           " \n",     "c\n",        "Call-ID: a\n",
        "t: ;tag=\n", "v: ;branch=\n", "CSeq:\n", "CSeq: 1 \n", "to \n",
        "i: a\r\n",   "i\t:\n a\n",    "t:\n \n", "via\n",      "\r\r\n",
        "c:\n",       "f:\n",          "from\n"};
    for (const std::size_t bytes : kSizes)
        for (const std::string_view line : kLinesTried) {
            add(shapes, "lines '" + shown(line) + "'", repeated(kFirstLine, line, bytes, kLines));
            add(shapes,
                "more lines '" + shown(line) + "' than are looked at",
                repeated(kFirstLine, line, bytes));
            add(shapes,
                "lines '" + shown(line) + "' after a Call-ID",
                repeated(std::string(kFirstLine) + "Call-ID: a\r\n", line, bytes, kLines - 1));
        }
    for (const std::size_t bytes : {std::size_t{512}, std::size_t{1'400}})
        for (const std::string_view first : kLinesTried)
            for (const std::string_view second : kLinesTried)
                if (first != second)
                    add(shapes,
                        "lines '" + shown(first) + "' and '" + shown(second) + "' in turn",
                        repeated(kFirstLine,
                                 std::string(first) + std::string(second),
                                 bytes,
                                 kLines / 2));
}

/// 256 lines that fill a datagram to its end.
inline void add_long_lines(std::vector<NamedMessage>& shapes) {
    constexpr std::size_t kLineBytes = (kLongestDatagram - kFirstLine.size()) / kLines;
    constexpr std::array<std::string_view, 8> kStarts{
        "i: ", "Call-ID: ", "t: ", "v: ", "CSeq: ", "x: ", " ", "Contact: "};
    for (const std::string_view start : kStarts)
        for (const std::string_view unit : {";", "\"", "<", ",", " ", ";tag", "a", "\r", "\\\""})
            add(shapes,
                "256 lines '" + shown(start) + "' of '" + shown(unit) + "'",
                repeated(kFirstLine,
                         repeated(start, unit, kLineBytes - 1) + "\n",
                         kLongestDatagram,
                         kLines));
}

/// Long Call-IDs: one, several alike, several that differ in the last byte.
inline void add_call_ids(std::vector<NamedMessage>& shapes) {
    for (const std::size_t bytes : kSizes)
        for (std::size_t count = 1; count <= 9; ++count) {
            const std::size_t room = (bytes - kFirstLine.size()) / count;
            const std::string line = "i: " + std::string(room - 5, 'a') + "\r\n";
            std::string text(kFirstLine);
            for (std::size_t i = 0; i < count; ++i)
                text += line;
            add(shapes, std::to_string(count) + " long equal Call-IDs", text);
            text[text.size() - 3] = 'b';
            add(shapes, std::to_string(count) + " long Call-IDs, the last one other", text);
        }
}

} // namespace hostile

[[nodiscard]] inline std::vector<NamedMessage> hostile_shapes() {
    std::vector<NamedMessage> shapes;
    hostile::add_runs(shapes);
    hostile::add_lines(shapes);
    hostile::add_long_lines(shapes);
    hostile::add_call_ids(shapes);
    return shapes;
}

} // namespace viaduct::test
