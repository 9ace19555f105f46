// SPDX-License-Identifier: Apache-2.0
//
// frame: a packet as bytes, with the results of the stages so far. The stages see no mbufs, only
// this.
#pragma once

#include "stage_clock.hpp"

#include "viaduct/counters.hpp"
#include "viaduct/net.hpp"
#include "viaduct/sip/digest.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace viaduct {

inline constexpr std::size_t kMaxBurst = 32;

/// The properties of a port that the stages need.
struct PortView {
    MacAddr mac;
    std::uint32_t max_frame_bytes = 0; ///< MTU and Ethernet header, without FCS
    bool any_destination = false;      ///< replay: take frames for any destination MAC
};

/// The leg of the conversation that a frame belongs to.
enum class Leg : std::uint8_t {
    ClientToVip,
    BackendToClient, ///< nat: returns through Viaduct
    BackendToVip,    ///< nat: a backend calls a VIP of a nat pool
    ProbeReply
};

struct Frame {
    std::byte* bytes = nullptr; ///< Ethernet header first; rewritten in place
    std::uint32_t length = 0;   ///< bytes from there that may be accessed
    PortId rx_port{};
    Leg leg = Leg::ClientToVip; // by classify, as are the offsets below
    std::uint16_t udp_offset = 0;
    std::uint16_t payload_length = 0; ///< by the UDP header; the frame may be padded beyond it
    std::optional<VipId> vip;         ///< the VIP it is for, or leaves from
    std::optional<PoolId> pool;
    std::optional<BackendId> backend; ///< by classify: its nat sender; by steer: its receiver
    std::uint32_t slot = 0;           // by steer
    bool is_rejected = false;         ///< by steer: answered instead of forwarded
    bool is_guess = false;            ///< by rewrite: sent to a MAC that the kernel does not know
    bool is_stranger = false;         ///< by classify: answers a probe from an unknown address
    PortId tx_port{};                 // by rewrite
    Ipv4Addr next_hop;                // by rewrite: the station whose MAC it needs
    SipDigest digest;                 // by parse; default for responses of a nat backend

    static constexpr std::size_t kIpOffset = sizeof(EtherHeader);

    /// Lays a header over the frame. The caller has checked that it is within `length`.
    template <typename Header> [[nodiscard]] Header& header_at(std::size_t offset) noexcept {
        return *reinterpret_cast<Header*>(bytes + offset);
    }
    [[nodiscard]] std::span<const std::byte> payload() const noexcept {
        return {bytes + udp_offset + sizeof(UdpHeader), payload_length};
    }
};

/// Up to kMaxBurst packets that pass the stages together.
struct Burst {
    std::array<Frame, kMaxBurst> frames;
    std::array<Outcome, kMaxBurst> outcomes;  ///< valid for frames that are no longer live
    std::array<std::uint8_t, kMaxBurst> live; ///< positions of frames without an outcome yet
    std::size_t count = 0;
    std::size_t live_count = 0;
    struct {
        std::uint32_t remembered = 0; ///< calls that this burst added to the table
        std::uint32_t table_full = 0; ///< calls not added: the table was full
        std::uint32_t flooded = 0;    ///< calls not added: too many started
    } calls;
    StageClock clock;
};

} // namespace viaduct
