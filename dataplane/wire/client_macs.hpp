// SPDX-License-Identifier: Apache-2.0
//
// client_macs: the MAC from which a client on a link has recently sent, for responses that leave
// before the kernel knows it.
//
// The kernel's neighbour table comes first, and is asked as soon as an entry is used: a forged
// entry is used only for the milliseconds until ARP has an answer. A backend's response may be
// handled by another worker than the request: all workers share the table, without locks.
//
// Cost:  one cache line a request from a client on the link; 256 KB.
#pragma once

#include "viaduct/net.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace viaduct {

class ClientMacs {
public:
    /// In units of the caller's clock, some 32 s: every transaction has finished by then (64*T1).
    static constexpr std::uint32_t kLifetime = 64;
    static constexpr std::size_t kEntries = 1U << 14;

    /// Notes the MAC of a client. Any thread. `now`: any clock with units of half a second to a
    /// second that all threads share.
    void note(LinkId link, Ipv4Addr address, const MacAddr& mac, std::uint32_t now) noexcept {
        const Place place(link, address);
        Entry& entry = entries_[place.at];
        const std::uint64_t sender = place.sender(now);
        const std::uint64_t by = place.by(mac);
        // Most clients have sent before, in this unit: a line that no thread writes stays in all
        // caches.
        if (entry.by.load(std::memory_order_relaxed) != by)
            entry.by.store(by, std::memory_order_relaxed);
        if (entry.sender.load(std::memory_order_relaxed) != sender)
            entry.sender.store(sender, std::memory_order_relaxed);
    }

    /// Whether note() would change nothing.
    [[nodiscard]] bool
    knows(LinkId link, Ipv4Addr address, const MacAddr& mac, std::uint32_t now) const noexcept {
        const Place place(link, address);
        const Entry& entry = entries_[place.at];
        return entry.sender.load(std::memory_order_relaxed) == place.sender(now) &&
               entry.by.load(std::memory_order_relaxed) == place.by(mac);
    }

    [[nodiscard]] std::optional<MacAddr>
    find(LinkId link, Ipv4Addr address, std::uint32_t now) const noexcept {
        const Place place(link, address);
        const Entry& entry = entries_[place.at];
        const std::uint64_t sender = entry.sender.load(std::memory_order_relaxed);
        const std::uint64_t by = entry.by.load(std::memory_order_relaxed);
        // A thread whose clock is slightly ahead may have noted it: one unit more on both sides.
        const std::uint32_t age = (now + 1 - static_cast<std::uint32_t>(sender)) & kTimeMask;
        if ((sender & ~std::uint64_t{kTimeMask}) != place.sender(0) || age > kLifetime + 1)
            return std::nullopt;
        // Two threads may have written one word each: the MAC word holds a part of the hash to
        // detect it.
        if ((by & 0xffff) != place.check) return std::nullopt;
        MacAddr mac;
        for (std::size_t i = 0; i < mac.bytes.size(); ++i)
            mac.bytes[i] = static_cast<std::uint8_t>(by >> (56 - 8 * i));
        return mac;
    }

private:
    static constexpr std::uint32_t kTimeMask = 0xff'ffff;

    struct Entry {
        std::atomic<std::uint64_t> sender{0}; ///< address, link, time; 0: empty
        std::atomic<std::uint64_t> by{0};     ///< MAC, part of the hash
    };
    struct Place {
        Place(LinkId link, Ipv4Addr address) noexcept
            : who(std::uint64_t{address.value} << 32 | std::uint64_t{index(link)} << 24) {
            const std::uint64_t mixed = (who >> 24) * 0x9e3779b97f4a7c15U;
            at = static_cast<std::size_t>(mixed >> 50); // 14 bits
            check = mixed >> 34 & 0xffff;
        }
        [[nodiscard]] std::uint64_t sender(std::uint32_t time) const noexcept {
            return who | (time & kTimeMask);
        }
        [[nodiscard]] std::uint64_t by(const MacAddr& mac) const noexcept {
            std::uint64_t word = 0;
            for (const std::uint8_t byte : mac.bytes)
                word = word << 8 | byte;
            return word << 16 | check;
        }
        std::uint64_t who;
        std::size_t at = 0;
        std::uint64_t check = 0;
    };
    static_assert(kEntries == std::size_t{1} << 14, "Place has 14 bits");

    std::array<Entry, kEntries> entries_; // writers and readers: workers, relaxed
};

/// The table, and the time on the clock that it requires.
struct Clients {
    ClientMacs* macs = nullptr;
    std::uint32_t now = 0;
};

} // namespace viaduct
