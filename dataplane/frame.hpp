// SPDX-License-Identifier: Apache-2.0
//
// frame: a packet as bytes, with the results of the stages so far. The stages see no mbufs, only
// this.
//
// Each group of results has one writer among the stages; later stages only read it
// (scripts/check.sh). The lane, which does what several stages do, writes the same groups.
#pragma once

#include "leg.hpp"
#include "stage_clock.hpp"

#include "viaduct/counters.hpp"
#include "viaduct/net.hpp"
#include "viaduct/prefetch.hpp"
#include "viaduct/sip/digest.hpp"
#include "viaduct/snapshot.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace viaduct {

inline constexpr std::size_t kMaxBurst = 32;

/// The properties of a link that the stages need.
struct LinkView {
    MacAddr mac;
    std::uint32_t max_frame_bytes = 0; ///< MTU and Ethernet header, without FCS
    bool any_destination = false;      ///< replay: take frames for any destination MAC
    PortId port{};                     ///< the port that leads to it
};

enum class Fragment : std::uint8_t { Whole, First, Later };

/// Where the headers are, as in DPDK's rte_net_hdr_lens. Writer: decode.
struct Layout {
    std::uint16_t l2_len = 0;      ///< with VLAN tags
    std::uint16_t l3_len = 0;      ///< with options
    std::uint16_t l4_len = 0;      ///< 0: not UDP, or a fragment without its header
    std::uint16_t payload_len = 0; ///< by the UDP header; the frame may be padded beyond it
    std::uint8_t vlan_tags = 0;
    std::uint8_t protocol = 0; ///< kIpProtocolUdp or kIpProtocolIcmp
    Fragment fragment = Fragment::Whole;

    [[nodiscard]] std::size_t l4_offset() const noexcept { return std::size_t{l2_len} + l3_len; }
};

/// Which conversation the frame belongs to. Writer: claim.
struct Claim {
    Leg leg = Leg::ClientToVip;
    bool is_stranger = false;        ///< it answers a probe from an unknown address
    std::optional<VipId> vip;        ///< the VIP it is for, or leaves from
    std::optional<PoolId> pool;      ///< of the VIP, or of the sender
    std::optional<BackendId> sender; ///< the nat backend that sent it
    std::uint16_t quoted_offset = 0; ///< ICMP error: the IPv4 header that it quotes
};

/// Where its call leads by hash. Writer: admit.
struct CallKey {
    std::uint64_t hash = 0; ///< of the Call-ID
    std::uint32_t slot = 0; ///< 0..kSlots-1
    bool is_steered = false;
    bool slot_is_enough = false; ///< the owner of the slot is the backend
    bool is_looked_up = false;   ///< in the table of calls
};

/// Where it goes. Writer: steer.
struct Target {
    std::optional<PoolId> pool; ///< the pool that decided; empty: the frame has not come so far
    std::optional<BackendId> backend;
    bool reply = false; ///< the sender gets a reply instead
};

/// How it leaves. Writer: route.
struct Exit {
    const Egress* egress = nullptr; ///< of the target, or of the sending backend
    PortId tx_port{};
    LinkId link{};
    Ipv4Addr next_hop; ///< the station whose MAC it needs
    MacAddr mac;
    bool is_guess = false; ///< the kernel does not know the MAC
};

static_assert(Claim{}.leg == Leg::ClientToVip, "lane.cpp takes frames of clients only");

struct Frame {
    std::byte* bytes = nullptr; ///< link-layer header first; changed in place, by edit and emit
    std::uint32_t length = 0;   ///< bytes from there that may be accessed
    PortId rx_port{};
    Layout layout;
    Claim claim;
    SipDigest digest; ///< writer: digest. Default for responses that are not read
    CallKey key;
    Target target;
    Exit exit;

    /// Lays a header over the frame. The caller has checked that it is within `length`.
    template <typename Header> [[nodiscard]] Header& header_at(std::size_t offset) noexcept {
        return *reinterpret_cast<Header*>(bytes + offset);
    }
    template <typename Header>
    [[nodiscard]] const Header& header_at(std::size_t offset) const noexcept {
        return *reinterpret_cast<const Header*>(bytes + offset);
    }
    void set_macs(const MacAddr& destination, const MacAddr& source) noexcept {
        auto& ether = header_at<EtherHeader>(0);
        ether.destination = destination;
        ether.source = source;
    }
    /// Valid where decode found a UDP header, and before edit makes a reply.
    [[nodiscard]] std::span<const std::byte> payload() const noexcept {
        return {bytes + layout.l4_offset() + sizeof(UdpHeader), layout.payload_len};
    }
    /// Fetches the first lines of the payload, which include the Call-ID of most messages.
    void prefetch_payload() const noexcept {
        constexpr std::size_t kCacheLine = 64;
        constexpr std::size_t kLines = 6;
        const std::span<const std::byte> all = payload();
        for (std::size_t line = 0; line < kLines && line * kCacheLine < all.size(); ++line)
            prefetch(all.data() + line * kCacheLine);
    }
    /// The pool and backend of the frame so far: after steer where it goes, before where it is
    /// from.
    [[nodiscard]] std::optional<PoolId> pool() const noexcept {
        return target.pool ? target.pool : claim.pool;
    }
    [[nodiscard]] std::optional<BackendId> backend() const noexcept {
        return target.pool ? target.backend : claim.sender;
    }
};

/// Calls that a burst added to the table, or could not.
struct CallCounts {
    std::uint32_t remembered = 0;
    std::uint32_t table_full = 0; ///< not added: the table was full
    std::uint32_t flooded = 0;    ///< not added: too many started
};

/// Up to kMaxBurst packets that pass the stages together.
struct Burst {
    std::array<Frame, kMaxBurst> frames;
    std::array<Outcome, kMaxBurst> outcomes;  ///< valid for frames that are no longer live
    std::array<std::uint8_t, kMaxBurst> live; ///< positions of frames without an outcome yet
    std::size_t count = 0;
    std::size_t live_count = 0;
    CallCounts calls;
    StageClock clock;
};

} // namespace viaduct
