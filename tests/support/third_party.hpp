// SPDX-License-Identifier: Apache-2.0
//
// third_party: messages of other projects, which may be used but not kept in this repository.
//
// In:    an unpacked folder: $VIADUCT_CORPUS_DIR, $VIADUCT_CORPUS, or build/corpus. Each sub-folder
//        has a tab-separated table with a header line that states the Call-ID of each file.
// Out:   payloads with their expected Call-ID; nothing when the folder is missing.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <optional>
#include <pcap/pcap.h>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace viaduct::test {

struct Sample {
    std::string name; ///< the file, and the frame in a capture
    std::string payload;
    std::optional<std::string> call_id; ///< empty text: it has none; no value: not stated
};

[[nodiscard]] inline std::string third_party_folder() {
    for (const char* name : {"VIADUCT_CORPUS_DIR", "VIADUCT_CORPUS"})
        if (const char* folder = std::getenv(name); folder != nullptr && *folder != '\0')
            return folder;
    return VIADUCT_THIRD_PARTY;
}

[[nodiscard]] inline std::string file_text(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

/// Returns the rows of a table, each by the names of its columns.
[[nodiscard]] inline std::vector<std::map<std::string, std::string>>
table_rows(const std::string& path) {
    const auto cells = [](const std::string& line) {
        std::vector<std::string> all(1);
        for (const char c : line)
            if (c == '\t')
                all.emplace_back();
            else
                all.back() += c;
        return all;
    };
    std::ifstream file(path);
    std::string line;
    std::getline(file, line);
    const std::vector<std::string> names = cells(line);
    std::vector<std::map<std::string, std::string>> rows;
    while (std::getline(file, line)) {
        const std::vector<std::string> values = cells(line);
        auto& row = rows.emplace_back();
        for (std::size_t i = 0; i < std::min(names.size(), values.size()); ++i)
            row[names[i]] = values[i];
    }
    return rows;
}

[[nodiscard]] inline std::optional<std::string> stated(const std::string& cell) {
    if (cell == "?") return std::nullopt;
    return cell == "(none)" ? std::string() : cell;
}

enum class Held : std::uint8_t {
    Udp,      ///< one whole UDP datagram over IPv4
    Tcp,      ///< a segment
    Fragment, ///< part of a datagram or segment
    Cut,      ///< truncated by the capture
    Other,
};

/// Returns the content of a frame. Skips VLAN and PPPoE headers (RFC 2516) before the IPv4 header.
inline Held held_by(std::string_view frame, int link, std::string& payload) {
    const auto byte = [&](std::size_t at) { return static_cast<std::uint8_t>(frame[at]); };
    const auto word = [&](std::size_t at) {
        return at + 2 <= frame.size() ? static_cast<std::uint16_t>(byte(at) << 8 | byte(at + 1))
                                      : std::uint16_t{0};
    };
    std::size_t at = 4;
    if (link == DLT_EN10MB) {
        at = 14;
        std::uint16_t type = word(12);
        while (type == 0x8100 || type == 0x88a8) {
            type = word(at + 2);
            at += 4;
        }
        if (type == 0x8864 && word(at + 6) == 0x0021) { // session stage, IPv4 in PPP
            type = 0x0800;
            at += 8;
        }
        if (type != 0x0800) return Held::Other;
    } else if (link != DLT_NULL) {
        return Held::Other;
    }
    if (frame.size() < at + 20 || byte(at) >> 4 != 4) return Held::Other;
    const std::uint8_t protocol = byte(at + 9);
    if (protocol != 17 && protocol != 6) return Held::Other;
    if ((word(at + 6) & 0x3fff) != 0) return Held::Fragment;
    const std::size_t inner = at + (byte(at) & 0x0fU) * 4U;
    const std::size_t end = protocol == 17 ? inner + word(inner + 4) : at + word(at + 2);
    if (end > frame.size() || inner + (protocol == 17 ? 8U : 20U) > frame.size()) return Held::Cut;
    const std::size_t first = inner + (protocol == 17 ? 8U : (byte(inner + 12) >> 4U) * 4U);
    if (first > end) return Held::Other;
    payload = frame.substr(first, end - first);
    return protocol == 17 ? Held::Udp : Held::Tcp;
}

/// Calls `take(frame number, frame, link type)` for every frame. False: libpcap cannot read on.
template <typename Take> bool each_frame(const std::string& path, Take take) {
    char why[PCAP_ERRBUF_SIZE];
    pcap_t* pcap = pcap_open_offline(path.c_str(), why);
    if (pcap == nullptr) return false;
    const int link = pcap_datalink(pcap);
    pcap_pkthdr* header = nullptr;
    const u_char* bytes = nullptr;
    int result = 0;
    for (std::size_t number = 1; (result = pcap_next_ex(pcap, &header, &bytes)) == 1; ++number)
        take(number, std::string_view(reinterpret_cast<const char*>(bytes), header->caplen), link);
    pcap_close(pcap);
    return result == PCAP_ERROR_BREAK;
}

} // namespace viaduct::test
