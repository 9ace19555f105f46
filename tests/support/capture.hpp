// SPDX-License-Identifier: Apache-2.0
//
// capture: writes and reads capture files for tests, in a temporary folder.
#pragma once

#include "frame_builder.hpp"

#include <cstdio>
#include <cstdlib>
#include <dirent.h>
#include <fstream>
#include <iterator>
#include <pcap/pcap.h>
#include <string>
#include <unistd.h>
#include <vector>

namespace viaduct::test {

/// A new folder under $TMPDIR or /tmp; removed with all files in it.
class TemporaryFolder {
public:
    TemporaryFolder() {
        const char* base = std::getenv("TMPDIR");
        path_ = std::string(base != nullptr ? base : "/tmp") + "/viaduct-test-XXXXXX";
        if (::mkdtemp(path_.data()) == nullptr) std::abort();
    }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;
    ~TemporaryFolder() {
        for (const std::string& name : names())
            ::unlink((*this / name).c_str());
        ::rmdir(path_.c_str());
    }
    std::string operator/(const std::string& name) const { return path_ + "/" + name; }

    /// Returns the names of its files, including hidden ones, sorted.
    [[nodiscard]] std::vector<std::string> names() const {
        std::vector<std::string> names;
        DIR* folder = ::opendir(path_.c_str());
        while (const dirent* entry = ::readdir(folder))
            if (const std::string name = entry->d_name; name != "." && name != "..")
                names.push_back(name);
        ::closedir(folder);
        std::sort(names.begin(), names.end());
        return names;
    }

private:
    std::string path_;
};

struct Captured {
    std::int64_t nanoseconds = 0; ///< since the epoch
    Bytes bytes;

    bool operator==(const Captured&) const = default;
};

inline void write_file(const std::string& path, const Bytes& bytes) {
    std::ofstream file(path, std::ios::binary);
    file.write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
}
[[nodiscard]] inline Bytes read_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return bytes_of(std::string{std::istreambuf_iterator<char>(file), {}});
}

/// Writes classic libpcap; `precision` is PCAP_TSTAMP_PRECISION_MICRO or _NANO.
inline void write_pcap(const std::string& path,
                       const std::vector<Captured>& frames,
                       int precision = PCAP_TSTAMP_PRECISION_MICRO,
                       int link = DLT_EN10MB) {
    pcap_t* pcap =
        pcap_open_dead_with_tstamp_precision(link, 262'144, static_cast<u_int>(precision));
    pcap_dumper_t* dumper = pcap_dump_open(pcap, path.c_str());
    if (dumper == nullptr) std::abort();
    for (const Captured& frame : frames) {
        pcap_pkthdr header{};
        header.ts.tv_sec = frame.nanoseconds / 1'000'000'000;
        header.ts.tv_usec = frame.nanoseconds % 1'000'000'000;
        if (precision == PCAP_TSTAMP_PRECISION_MICRO) header.ts.tv_usec /= 1000;
        header.caplen = header.len = static_cast<bpf_u_int32>(frame.bytes.size());
        pcap_dump(reinterpret_cast<u_char*>(dumper),
                  &header,
                  reinterpret_cast<const u_char*>(frame.bytes.data()));
    }
    pcap_dump_close(dumper);
    pcap_close(pcap);
}

/// Writes pcapng with one Ethernet interface and time stamps in nanoseconds.
inline void write_pcapng(const std::string& path, const std::vector<Captured>& frames) {
    Bytes all;
    const auto put = [&all](auto value) {
        const auto* first = reinterpret_cast<const std::byte*>(&value);
        all.insert(all.end(), first, first + sizeof(value));
    };
    const auto put32 = [&](std::size_t value) { put(static_cast<std::uint32_t>(value)); };
    const auto put16 = [&](std::size_t value) { put(static_cast<std::uint16_t>(value)); };
    // Section header block: byte order magic, version 1.0, unknown length.
    put32(0x0a0d0d0a), put32(28), put32(0x1a2b3c4d), put16(1), put16(0);
    put(std::int64_t{-1}), put32(28);
    // Interface description block: Ethernet, no snap length; if_tsresol = 9, end of options.
    put32(1), put32(32), put16(DLT_EN10MB), put16(0), put32(0);
    put16(9), put16(1), put32(9), put32(0), put32(32);
    for (const Captured& frame : frames) { // enhanced packet blocks, padded to four bytes
        const std::size_t padding = (4 - frame.bytes.size() % 4) % 4;
        const std::size_t length = 32 + frame.bytes.size() + padding;
        const auto stamp = static_cast<std::uint64_t>(frame.nanoseconds);
        put32(6), put32(length), put32(0), put32(stamp >> 32), put32(stamp & 0xffff'ffff);
        put32(frame.bytes.size()), put32(frame.bytes.size());
        all.insert(all.end(), frame.bytes.begin(), frame.bytes.end());
        all.resize(all.size() + padding);
        put32(length);
    }
    write_file(path, all);
}

/// Returns the frames of a capture; aborts when libpcap cannot read it to its end.
[[nodiscard]] inline std::vector<Captured> read_capture(const std::string& path) {
    char why[PCAP_ERRBUF_SIZE];
    pcap_t* pcap =
        pcap_open_offline_with_tstamp_precision(path.c_str(), PCAP_TSTAMP_PRECISION_NANO, why);
    if (pcap == nullptr) std::abort();
    std::vector<Captured> frames;
    pcap_pkthdr* header = nullptr;
    const u_char* bytes = nullptr;
    int result = 0;
    while ((result = pcap_next_ex(pcap, &header, &bytes)) == 1) {
        const auto* first = reinterpret_cast<const std::byte*>(bytes);
        frames.push_back({header->ts.tv_sec * 1'000'000'000 + header->ts.tv_usec,
                          Bytes(first, first + header->caplen)});
    }
    pcap_close(pcap);
    if (result != PCAP_ERROR_BREAK) std::abort();
    return frames;
}

} // namespace viaduct::test
