// SPDX-License-Identifier: Apache-2.0
//
// generator_traffic: frames of a capture as templates, who sends them on time, who takes them back.
//
// A stamp is 16 bytes behind the SIP message, in the same datagram: bytes behind Content-Length are
// none of the message's (RFC 3261 §18.3). A frame's time begins when it is made, so it includes
// waiting for room in the TX queue.
#pragma once

#include "viaduct/error.hpp"
#include "viaduct/net.hpp"

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_ip.h>
#include <rte_mbuf.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <memory>
#include <pcap/pcap.h>
#include <span>
#include <string>
#include <vector>

namespace viaduct::bench {

inline constexpr std::uint16_t kBurst = 32;
inline constexpr std::uint16_t kDescriptors = 1024;
/// With stamps no more are under way: what returns while we pause finds room in a queue.
inline constexpr std::uint64_t kWindow = kDescriptors / 2;

struct Stamp {
    static constexpr std::uint64_t kMagic = 0x5669; ///< the upper 16 bits of `sequence`
    std::uint64_t sequence;
    std::uint64_t tsc;
};
static_assert(sizeof(Stamp) == 16);

inline std::uint64_t ticks(double seconds) {
    return static_cast<std::uint64_t>(seconds * static_cast<double>(rte_get_tsc_hz()));
}
inline double microseconds(std::uint64_t tsc) {
    return static_cast<double>(tsc) * 1e6 / static_cast<double>(rte_get_tsc_hz());
}

inline bool is_ipv4_udp(std::span<const std::byte> frame) {
    if (frame.size() < sizeof(EtherHeader) + sizeof(Ipv4Header) + sizeof(UdpHeader)) return false;
    const auto* ether = reinterpret_cast<const EtherHeader*>(frame.data());
    const auto* ip = reinterpret_cast<const Ipv4Header*>(frame.data() + sizeof(EtherHeader));
    return ether->ether_type == Be16(kEtherTypeIpv4) && ip->protocol == kIpProtocolUdp &&
           sizeof(EtherHeader) + ip->total_length.host() <= frame.size();
}

/// Where the datagram ends: behind it a frame may have padding.
inline std::size_t datagram_end(std::span<const std::byte> frame) {
    const auto* ip = reinterpret_cast<const Ipv4Header*>(frame.data() + sizeof(EtherHeader));
    return sizeof(EtherHeader) + ip->total_length.host();
}

/// The frames to send, one behind the other in memory.
class Templates {
public:
    Templates(const std::string& path, bool stamp) {
        std::array<char, PCAP_ERRBUF_SIZE> why{};
        const std::unique_ptr<pcap_t, void (*)(pcap_t*)> pcap(
            pcap_open_offline(path.c_str(), why.data()), &pcap_close);
        if (!pcap) throw Error(std::string("--capture: ") + why.data());
        if (pcap_datalink(pcap.get()) != DLT_EN10MB) throw Error(path + " is not of Ethernet");
        pcap_pkthdr* header = nullptr;
        const u_char* bytes = nullptr;
        while (pcap_next_ex(pcap.get(), &header, &bytes) == 1)
            add({reinterpret_cast<const std::byte*>(bytes), header->caplen}, stamp);
        if (ends_.empty()) throw Error(path + " has no frames");
    }

    [[nodiscard]] std::size_t count() const { return ends_.size(); }
    [[nodiscard]] std::size_t bytes() const { return bytes_.size(); }
    [[nodiscard]] std::span<const std::byte> at(std::size_t i) const {
        const std::size_t begin = i == 0 ? 0 : ends_[i - 1];
        return {bytes_.data() + begin, ends_[i] - begin};
    }

private:
    void add(std::span<const std::byte> frame, bool stamp) {
        const std::string number = "frame " + std::to_string(ends_.size() + 1);
        if (stamp && !is_ipv4_udp(frame)) throw Error(number + " is no UDP over IPv4: no stamp");
        if (frame.size() + sizeof(Stamp) > RTE_MBUF_DEFAULT_DATAROOM)
            throw Error(number + " is too long");
        const std::size_t begin = bytes_.size();
        const std::size_t end = stamp ? datagram_end(frame) : frame.size();
        bytes_.insert(bytes_.end(), frame.begin(), frame.begin() + static_cast<long>(end));
        if (stamp) make_room(begin);
        ends_.push_back(bytes_.size());
    }

    void make_room(std::size_t begin) {
        bytes_.resize(bytes_.size() + sizeof(Stamp));
        auto* ip = reinterpret_cast<Ipv4Header*>(bytes_.data() + begin + sizeof(EtherHeader));
        auto* udp = reinterpret_cast<UdpHeader*>(reinterpret_cast<std::byte*>(ip) +
                                                 (ip->version_ihl & 15) * 4);
        const auto grown = [](Be16 length) {
            return Be16(static_cast<std::uint16_t>(length.host() + sizeof(Stamp)));
        };
        ip->total_length = grown(ip->total_length);
        udp->length = grown(udp->length);
        udp->checksum = {}; // none: RFC 768
        ip->checksum = {};
        const std::uint16_t sum = rte_ipv4_cksum(reinterpret_cast<const rte_ipv4_hdr*>(ip));
        std::memcpy(ip->checksum.bytes.data(), &sum, sizeof(sum));
    }

    std::vector<std::byte> bytes_;
    std::vector<std::size_t> ends_;
};

/// Sends what is due. The schedule never moves: who comes late sends the more.
class Sender {
public:
    Sender(std::uint16_t port, bool stamp, const Templates& templates, rte_mempool* pool)
        : port_(port), stamp_(stamp), templates_(templates), pool_(pool) {}

    /// From now on `pps` frames a second; 0: as many as go.
    void begin(double pps) {
        drop_pending();
        first_ = first_ + sent_;
        sent_ = longest_lag_ = 0;
        per_tick_ = pps / static_cast<double>(rte_get_tsc_hz());
        began_ = rte_rdtsc();
    }

    void poll(std::uint64_t now) {
        if (at_ == pending_count_) make(now);
        if (at_ == pending_count_) return;
        const std::uint16_t taken = rte_eth_tx_burst(
            port_, 0, pending_.data() + at_, static_cast<std::uint16_t>(pending_count_ - at_));
        at_ = static_cast<std::uint16_t>(at_ + taken);
        sent_ += taken;
    }

    void drop_pending() {
        rte_pktmbuf_free_bulk(pending_.data() + at_, pending_count_ - at_);
        at_ = pending_count_ = 0;
    }

    [[nodiscard]] std::uint64_t first() const { return first_; }
    [[nodiscard]] std::uint64_t next() const { return first_ + sent_; }
    [[nodiscard]] std::uint64_t sent() const { return sent_; }
    [[nodiscard]] std::uint64_t longest_lag() const { return longest_lag_; }
    [[nodiscard]] std::uint64_t due(std::uint64_t now) const {
        return static_cast<std::uint64_t>(static_cast<double>(now - began_) * per_tick_);
    }

private:
    void make(std::uint64_t now) {
        std::uint64_t want = kBurst;
        if (per_tick_ > 0) {
            const std::uint64_t ahead = due(now);
            if (ahead <= sent_) return;
            want = std::min<std::uint64_t>(kBurst, ahead - sent_);
            const auto lag =
                static_cast<std::uint64_t>(static_cast<double>(ahead - sent_ - 1) / per_tick_);
            longest_lag_ = std::max(longest_lag_, lag);
        }
        at_ = pending_count_ = 0;
        if (rte_pktmbuf_alloc_bulk(pool_, pending_.data(), static_cast<unsigned>(want)) != 0)
            return; // all are under way: later
        for (; pending_count_ < want; ++pending_count_) {
            const std::span<const std::byte> frame = templates_.at(next_);
            next_ = next_ + 1 == templates_.count() ? 0 : next_ + 1;
            rte_mbuf* mbuf = pending_[pending_count_];
            auto* bytes = rte_pktmbuf_mtod(mbuf, std::byte*);
            std::memcpy(bytes, frame.data(), frame.size());
            mbuf->data_len = static_cast<std::uint16_t>(frame.size());
            mbuf->pkt_len = mbuf->data_len;
            if (!stamp_) continue;
            const Stamp stamp{Stamp::kMagic << 48 | (first_ + sent_ + pending_count_), rte_rdtsc()};
            std::memcpy(bytes + frame.size() - sizeof(stamp), &stamp, sizeof(stamp));
        }
    }

    std::uint16_t port_;
    bool stamp_;
    const Templates& templates_;
    rte_mempool* pool_;
    std::array<rte_mbuf*, kBurst> pending_{}; ///< made; from at_ on not yet taken by the port
    std::uint16_t at_ = 0;
    std::uint16_t pending_count_ = 0;
    std::size_t next_ = 0;
    std::uint64_t first_ = 0; ///< sequence number of the first frame since begin()
    std::uint64_t sent_ = 0;
    std::uint64_t longest_lag_ = 0;
    std::uint64_t began_ = 0;
    double per_tick_ = 0;
};

/// How often each time was seen, in classes at most 1/64 of their value wide.
class Histogram {
public:
    void add(std::uint64_t value) {
        ++counts_[class_of(value)];
        ++total_;
        least_ = std::min(least_, value);
        most_ = std::max(most_, value);
    }
    [[nodiscard]] std::uint64_t least() const { return total_ == 0 ? 0 : least_; }
    [[nodiscard]] std::uint64_t most() const { return most_; }
    /// The value that `share` of all do not exceed.
    [[nodiscard]] std::uint64_t quantile(double share) const {
        const auto rank = static_cast<std::uint64_t>(share * static_cast<double>(total_));
        std::uint64_t below = 0;
        for (std::size_t i = 0; i < counts_.size(); ++i)
            if ((below += counts_[i]) > rank) return std::clamp(middle(i), least_, most_);
        return most_;
    }

private:
    static constexpr unsigned kBits = 6;
    static std::size_t class_of(std::uint64_t value) {
        if (value < 1U << kBits) return value;
        const auto shift = static_cast<unsigned>(std::bit_width(value)) - kBits - 1;
        return (std::size_t{shift} << kBits) + (value >> shift);
    }
    static std::uint64_t middle(std::size_t number) {
        if (number < 2U << kBits) return number;
        const std::size_t shift = (number >> kBits) - 1;
        return (((number & ((1U << kBits) - 1)) | 1U << kBits) << shift) + (1ULL << shift) / 2;
    }

    std::vector<std::uint64_t> counts_ = std::vector<std::uint64_t>(std::size_t{65} << kBits);
    std::uint64_t total_ = 0;
    std::uint64_t least_ = std::numeric_limits<std::uint64_t>::max();
    std::uint64_t most_ = 0;
};

/// Takes what comes back, of frames `first` and later.
class Receiver {
public:
    Receiver(std::uint16_t port, bool stamp, std::uint64_t first)
        : port_(port), stamp_(stamp), first_(first), next_(first), last_poll_(rte_rdtsc()),
          last_rx_(last_poll_) {}

    /// What has come, a full queue at most: if it waited, the other side would have to drop.
    void poll() {
        for (unsigned bursts = 0; bursts < kDescriptors / kBurst && poll_burst(); ++bursts) {
        }
    }

    /// Whether so many are under way that frame `sequence` must wait. Not for ever: they may be
    /// lost.
    [[nodiscard]] bool must_wait(std::uint64_t sequence, std::uint64_t now) const {
        return stamp_ && sequence - next_ > kWindow && now - last_rx_ < patience_;
    }

    /// After the last frame was sent: until nothing has come for 100 ms, 1 s at most.
    void drain() {
        received_in_time = received;
        const std::uint64_t began = rte_rdtsc();
        while (rte_rdtsc() - std::max(began, last_rx_) < ticks(0.1) &&
               rte_rdtsc() - began < ticks(1))
            poll();
    }

    [[nodiscard]] std::uint64_t longest_gap() const { return longest_gap_; }
    /// The same, less the pauses of our own in it.
    [[nodiscard]] std::uint64_t longest_watched_gap() const { return longest_watched_gap_; }
    [[nodiscard]] std::uint64_t longest_pause() const { return longest_pause_; }
    [[nodiscard]] const Histogram& times() const { return times_; }

    std::uint64_t received = 0; ///< each frame once
    std::uint64_t received_in_time = 0;
    std::uint64_t duplicated = 0;
    std::uint64_t reordered = 0; ///< came after one that was sent later (RFC 4737 §3)
    std::uint64_t foreign = 0;   ///< not of this measurement: the kernel's ARP and the like

private:
    /// True when there may be more.
    bool poll_burst() {
        std::array<rte_mbuf*, kBurst> mbufs{};
        const std::uint16_t count = rte_eth_rx_burst(port_, 0, mbufs.data(), kBurst);
        const std::uint64_t now = rte_rdtsc();
        const std::uint64_t pause = now - last_poll_;
        longest_pause_ = std::max(longest_pause_, pause);
        if (pause > noticed_) paused_ += pause;
        last_poll_ = now;
        if (count == 0) return false;
        const std::uint64_t before = received;
        for (std::uint16_t i = 0; i < count; ++i)
            take({rte_pktmbuf_mtod(mbufs[i], const std::byte*), mbufs[i]->data_len}, now);
        rte_pktmbuf_free_bulk(mbufs.data(), count);
        if (received > before) {
            longest_gap_ = std::max(longest_gap_, now - last_rx_);
            longest_watched_gap_ = std::max(longest_watched_gap_, now - last_rx_ - paused_);
            last_rx_ = now;
            paused_ = 0;
        }
        return count == kBurst;
    }

    void take(std::span<const std::byte> frame, std::uint64_t now) {
        Stamp stamp{};
        if (!is_ipv4_udp(frame)) {
            ++foreign;
            return;
        }
        if (!stamp_) {
            ++received;
            return;
        }
        std::memcpy(&stamp, frame.data() + datagram_end(frame) - sizeof(stamp), sizeof(stamp));
        const std::uint64_t sequence = stamp.sequence & ((1ULL << 48) - 1);
        if (stamp.sequence >> 48 != Stamp::kMagic || sequence < first_) {
            ++foreign;
            return;
        }
        std::uint32_t& seen = seen_[sequence % seen_.size()];
        const auto round = static_cast<std::uint32_t>(sequence / seen_.size());
        if (seen == round) {
            ++duplicated;
            return;
        }
        seen = round;
        ++received;
        if (sequence < next_) ++reordered;
        next_ = std::max(next_, sequence + 1);
        times_.add(now - std::min(now, stamp.tsc));
    }

    std::uint16_t port_;
    bool stamp_;
    std::uint64_t first_;
    std::uint64_t next_; ///< the highest sequence number so far, and one
    std::uint64_t last_poll_;
    std::uint64_t last_rx_;
    std::uint64_t patience_ = ticks(0.1);
    std::uint64_t noticed_ = ticks(20e-6); ///< a longer round was not all our own work
    std::uint64_t paused_ = 0;             ///< since last_rx_
    std::uint64_t longest_pause_ = 0;
    std::uint64_t longest_watched_gap_ = 0;
    std::uint64_t longest_gap_ = 0;
    Histogram times_;
    /// Which of the sequence numbers that share an entry came last. More are never under way.
    std::vector<std::uint32_t> seen_ = std::vector<std::uint32_t>(65'536, ~std::uint32_t{0});
};

} // namespace viaduct::bench
