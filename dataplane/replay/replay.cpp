// SPDX-License-Identifier: Apache-2.0
//
// replay: runs the pipeline over a capture file instead of a port.
//
// In:    libpcap or pcapng with Ethernet frames, micro- or nanosecond time stamps, read by libpcap.
// Out:   classic pcap of the frames that would be sent, in order, with the time stamps of the
//        frames that caused them; written next to its final place and renamed at the end.
// Cost:  one copy and one burst a frame, so that each has its own time; memory for the longest
//        frame.
#include "viaduct/replay.hpp"

#include "pipeline.hpp"
#include "steering/rate_limit.hpp"

#include "viaduct/datagram.hpp"
#include "viaduct/error.hpp"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <pcap/pcap.h>
#include <sys/stat.h>
#include <system_error>
#include <unistd.h>
#include <vector>

namespace viaduct {

namespace {

constexpr int kSnapLength = 262'144; // libpcap's own limit for one frame

struct CloseFile {
    void operator()(std::FILE* file) const noexcept { std::fclose(file); }
};
struct ClosePcap {
    void operator()(pcap_t* pcap) const noexcept { pcap_close(pcap); }
};
struct CloseDumper {
    void operator()(pcap_dumper_t* dumper) const noexcept { pcap_dump_close(dumper); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;
using Pcap = std::unique_ptr<pcap_t, ClosePcap>;
using Dumper = std::unique_ptr<pcap_dumper_t, CloseDumper>;

std::string errno_text(int error) {
    return std::generic_category().message(error);
}

[[noreturn]] void fail_read(const std::string& path, const std::string& why) {
    throw Error("cannot read capture " + path + ": " + why);
}

[[noreturn]] void fail_write(const std::string& path, const std::string& why) {
    throw Error("cannot write capture " + path + ": " + why);
}

/// Whether time stamps may be finer than a microsecond. libpcap does not report it; the magic
/// number does. pcapng sets it per interface, and nanoseconds can hold all that libpcap reads from
/// it.
bool has_nanoseconds(std::FILE* file) {
    std::array<int, 4> first{};
    std::uint32_t magic = 0;
    std::size_t count = 0;
    while (count < first.size() && (first[count] = std::getc(file)) != EOF)
        magic = magic << 8 | static_cast<std::uint32_t>(first[count++]);
    std::clearerr(file);
    while (count > 0)
        std::ungetc(first[--count], file); // glibc takes back the bytes it has just returned
    return magic == 0xa1b23c4d || magic == 0x4d3cb2a1 || magic == 0x0a0d0d0a;
}

/// A capture that is read.
class Reader {
public:
    explicit Reader(const std::string& path) : path_(path) {
        File file(std::fopen(path.c_str(), "rb"));
        if (!file) fail_read(path, errno_text(errno));
        precision_ =
            has_nanoseconds(file.get()) ? PCAP_TSTAMP_PRECISION_NANO : PCAP_TSTAMP_PRECISION_MICRO;
        std::array<char, PCAP_ERRBUF_SIZE> why{};
        pcap_.reset(pcap_fopen_offline_with_tstamp_precision(
            file.get(), static_cast<u_int>(precision_), why.data()));
        if (!pcap_)
            fail_read(path, std::string(why.data()) + "; replay reads libpcap and pcapng files");
        static_cast<void>(file.release()); // pcap_close() closes it
        if (const int link = pcap_datalink(pcap_.get()); link != DLT_EN10MB) {
            const char* name = pcap_datalink_val_to_name(link);
            fail_read(
                path,
                "its link type is " + (name != nullptr ? name : std::to_string(link)) +
                    ", but replay needs Ethernet (EN10MB): capture on one Ethernet interface");
        }
    }

    /// False at the end of the capture. `frame` is valid until the next call.
    bool next(pcap_pkthdr& header, std::span<const u_char>& frame) {
        pcap_pkthdr* found = nullptr;
        const u_char* bytes = nullptr;
        const int result = pcap_next_ex(pcap_.get(), &found, &bytes);
        if (result == PCAP_ERROR_BREAK) return false;
        if (result != 1) fail_read(path_, pcap_geterr(pcap_.get()));
        header = *found;
        frame = {bytes, found->caplen};
        return true;
    }

    [[nodiscard]] int precision() const noexcept { return precision_; }

    /// Time since 1970. A time that no clock can show counts as the first or last one that can be
    /// shown.
    [[nodiscard]] std::chrono::nanoseconds time_of(const pcap_pkthdr& header) const noexcept {
        using std::chrono::nanoseconds;
        constexpr std::int64_t kLastSecond = 9'000'000'000; // its nanoseconds still fit
        constexpr std::int64_t kParts = 1'000'000'000;
        const int scale = precision_ == PCAP_TSTAMP_PRECISION_NANO ? 1 : 1000;
        const auto seconds = std::clamp<std::int64_t>(header.ts.tv_sec, 0, kLastSecond);
        const auto part = std::clamp<std::int64_t>(header.ts.tv_usec, 0, kParts / scale - 1);
        return nanoseconds(seconds * kParts + part * scale);
    }

private:
    std::string path_;
    int precision_ = PCAP_TSTAMP_PRECISION_MICRO;
    Pcap pcap_;
};

/// A capture that is written. finish() moves it to its place; without finish() no file is left.
class Writer {
public:
    Writer(const std::string& path, int precision) : path_(path), target_(path) {
        std::array<char, PATH_MAX> real{};
        // Resolves symbolic links, so that rename() replaces the file and not the link to it.
        if (::realpath(path.c_str(), real.data()) != nullptr) target_ = real.data();
        File file = open();
        pcap_.reset(pcap_open_dead_with_tstamp_precision(
            DLT_EN10MB, kSnapLength, static_cast<u_int>(precision)));
        if (!pcap_) fail_write(path, errno_text(ENOMEM));
        dumper_.reset(pcap_dump_fopen(pcap_.get(), file.get()));
        if (!dumper_) fail_write(path, pcap_geterr(pcap_.get()));
        static_cast<void>(file.release()); // pcap_dump_close() closes it
    }
    Writer(const Writer&) = delete;
    Writer& operator=(const Writer&) = delete;
    ~Writer() {
        if (!beside_.empty()) ::unlink(beside_.c_str());
    }

    void write(timeval when, std::span<const std::byte> frame) {
        pcap_pkthdr header{};
        header.ts = when;
        header.caplen = header.len = static_cast<bpf_u_int32>(frame.size());
        pcap_dump(reinterpret_cast<u_char*>(dumper_.get()),
                  &header,
                  reinterpret_cast<const u_char*>(frame.data()));
        if (std::ferror(pcap_dump_file(dumper_.get())) != 0) fail_write(path_, errno_text(errno));
    }

    void finish() {
        if (pcap_dump_flush(dumper_.get()) != 0) fail_write(path_, errno_text(errno));
        dumper_.reset();
        if (beside_.empty()) return;
        if (::rename(beside_.c_str(), target_.c_str()) != 0) fail_write(path_, errno_text(errno));
        beside_.clear();
    }

private:
    /// Opens a new file in the folder of the target; or the target itself when it is not a regular
    /// file that could be replaced (/dev/null, a pipe).
    File open() {
        struct stat now {};
        if (::stat(target_.c_str(), &now) == 0 && !S_ISREG(now.st_mode)) {
            File file(std::fopen(target_.c_str(), "wb"));
            if (!file) fail_write(path_, errno_text(errno));
            return file;
        }
        const std::size_t slash = target_.rfind('/');
        beside_ = (slash == std::string::npos ? "" : target_.substr(0, slash + 1)) +
                  ".viaduct-replay-XXXXXX";
        const int fd = ::mkstemp(beside_.data());
        if (fd < 0) {
            const int error = errno;
            beside_.clear();
            fail_write(path_, errno_text(error));
        }
        const mode_t mask = ::umask(0); // mkstemp created it with 0600; give it the usual mode
        ::umask(mask);
        ::fchmod(fd, 0666 & ~mask);
        File file(::fdopen(fd, "wb"));
        if (!file) {
            const int error = errno;
            ::close(fd);
            fail_write(path_, errno_text(error));
        }
        return file;
    }

    std::string path_;   // as the operator wrote it
    std::string target_; // the file it means
    std::string beside_; // temporary name; empty: none, or already renamed
    Pcap pcap_;
    Dumper dumper_;
};

/// The links that the table names, at least one.
std::vector<LinkView> make_links(const NextHops& next_hops, std::uint32_t mtu) {
    std::size_t highest = 0;
    for (const NextHop& hop : next_hops.hops)
        highest = std::max(highest, index(hop.link));
    for (const Route& route : next_hops.routes)
        highest = std::max(highest, index(route.link));
    std::vector<LinkView> links;
    for (std::size_t port = 0; port <= highest; ++port)
        links.push_back({replay_port_mac(PortId{static_cast<std::uint8_t>(port)}),
                         mtu + static_cast<std::uint32_t>(sizeof(EtherHeader)),
                         true,
                         PortId{static_cast<std::uint8_t>(port)}});
    return links;
}

/// The Call-ID of a frame, also if the pipeline did not need to read the message.
std::string_view call_id_of(const Snapshot& snapshot, const Frame& frame) {
    if (frame.target.reply) // the same as in the request
        return read_digest({frame.bytes + kUdpHeadersSize, frame.length - kUdpHeadersSize}).call_id;
    if (info_of(frame.claim.leg).reads != Reads::Heard || !frame.claim.vip)
        return frame.digest.call_id;
    return read_digest(frame.payload(), snapshot.vips[index(*frame.claim.vip)].read_rules).call_id;
}

class Replay {
public:
    Replay(const ReplayControl& control,
           const NextHops& next_hops,
           std::uint32_t mtu,
           Writer& writer,
           const std::function<void(const ReplayFrame&)>& on_frame)
        : control_(control), next_hops_(next_hops), links_(make_links(next_hops, mtu)),
          writer_(writer), on_frame_(on_frame) {}

    ReplayTotals run(Reader& reader) {
        pcap_pkthdr header{};
        std::span<const u_char> captured;
        while (reader.next(header, captured)) {
            const std::span<const std::byte> bytes = std::as_bytes(captured);
            buffer_.assign(bytes.begin(), bytes.end());
            now_ = std::max(now_, reader.time_of(header));
            totals_.cut += header.caplen < header.len ? 1 : 0;
            take_frame(header.ts);
        }
        return totals_;
    }

private:
    static constexpr std::uint64_t kTicksPerSecond = 1'000'000'000;

    /// Processes a frame as a worker does a burst.
    void take_frame(timeval stamp) {
        set_frame(burst_, 0, buffer_.data(), static_cast<std::uint32_t>(buffer_.size()), PortId{});
        burst_.count = 1;
        const ReplayMoment moment = control_(now_);
        const std::uint32_t a_second = moment.snapshot.calls_a_second; // 0: no limit
        // One second late: so the first second also has the unused budget of the one before.
        const auto ticks = static_cast<std::uint64_t>(now_.count()) + kTicksPerSecond;
        std::uint32_t budget =
            a_second == 0 ? 0 : new_calls_.take(1, a_second, ticks, kTicksPerSecond);
        run_pipeline({moment.snapshot,
                      next_hops_,
                      links_,
                      moment.calls,
                      moment.now,
                      a_second == 0 ? nullptr : &budget},
                     burst_);
        if (budget > 0) new_calls_.give_back(budget, a_second, kTicksPerSecond);
        end_frame(moment.snapshot, stamp);
    }

    void end_frame(const Snapshot& snapshot, timeval stamp) {
        const Frame& frame = burst_.frames[0];
        Outcome outcome = burst_.outcomes[0];
        if (burst_.live_count > 0) {
            outcome = sent_outcome(frame);
            writer_.write(stamp, {frame.bytes, frame.length});
            ++totals_.sent;
        }
        ++totals_.received;
        ++totals_.outcomes[index(outcome)];
        if (on_frame_)
            on_frame_({totals_.received,
                       outcome,
                       frame.claim.vip,
                       frame.pool(),
                       frame.backend(),
                       call_id_of(snapshot, frame)});
    }

    const ReplayControl& control_;
    const NextHops& next_hops_;
    std::vector<LinkView> links_;
    Writer& writer_;
    const std::function<void(const ReplayFrame&)>& on_frame_;
    ReplayTotals totals_;
    RateLimit new_calls_;
    std::chrono::nanoseconds now_{0};
    Burst burst_;
    std::vector<std::byte> buffer_;
};

} // namespace

ReplayTotals replay(const ReplayControl& control,
                    const NextHops& next_hops,
                    std::uint32_t mtu,
                    const std::string& in,
                    const std::string& out,
                    const std::function<void(const ReplayFrame&)>& on_frame) {
    Reader reader(in);
    Writer writer(out, reader.precision());
    const ReplayTotals totals =
        std::make_unique<Replay>(control, next_hops, mtu, writer, on_frame)->run(reader);
    writer.finish();
    return totals;
}

} // namespace viaduct
