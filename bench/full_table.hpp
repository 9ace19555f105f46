// SPDX-License-Identifier: Apache-2.0
//
// full_table: a table of calls with so many in it, in memory like the daemon's: small pages, unless
// its mount says otherwise.
#pragma once

#include "viaduct/steering/call_table.hpp"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <new>
#include <span>
#include <sys/mman.h>

namespace viaduct::bench {

inline constexpr CallTime kNow{100};

/// What the daemon makes for so many calls (CallTableFile::words_for).
[[nodiscard]] inline std::size_t words_for(std::size_t calls) noexcept {
    return std::max(CallTable::kMinWords, std::bit_ceil(calls + calls * 3 / 5));
}

enum class Pages : std::uint8_t { Small, Huge };

class FullTable {
public:
    explicit FullTable(std::size_t room_for, Pages pages = Pages::Small)
        : bytes_(words_for(room_for) * 8) {
        memory_ = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory_ == MAP_FAILED) throw std::bad_alloc();
        madvise(memory_, bytes_, pages == Pages::Small ? MADV_NOHUGEPAGE : MADV_HUGEPAGE);
        table_ = CallTable(std::span(static_cast<CallTable::Word*>(memory_), bytes_ / 8));
    }
    ~FullTable() { munmap(memory_, bytes_); }
    FullTable(const FullTable&) = delete;
    FullTable& operator=(const FullTable&) = delete;

    /// `dialog`: Call::dialog of the one answered dialog of each call.
    void add(std::uint64_t hash, CallTime deadline = kNow.after(900), std::uint8_t dialog = 3) {
        const auto backend = static_cast<BackendId>(hash >> 8 & 1);
        const Call call{backend, CallState::Answered, dialog, deadline};
        if (table_.remember(hash, call, kNow).result == CallTable::Result::Full) ++refused_;
    }
    /// Calls whose sixteen words were all taken, which happens before the table is full.
    [[nodiscard]] std::uint64_t refused() const noexcept { return refused_; }
    [[nodiscard]] CallTable& table() noexcept { return table_; }
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }

private:
    std::size_t bytes_;
    std::uint64_t refused_ = 0;
    void* memory_ = nullptr;
    CallTable table_;
};

/// Call i's hash: what a keyed hash gives, any 64 bits.
[[nodiscard]] constexpr std::uint64_t hash_of(std::uint64_t i) noexcept {
    i += 0x9e3779b97f4a7c15U;
    i = (i ^ (i >> 30)) * 0xbf58476d1ce4e5b9U;
    i = (i ^ (i >> 27)) * 0x94d049bb133111ebU;
    return i ^ (i >> 31);
}

/// Numbers below `count` in an order that no prefetcher foresees.
class Shuffled {
public:
    explicit Shuffled(std::uint64_t count) noexcept : count_(count) {}
    [[nodiscard]] std::uint64_t next() noexcept {
        state_ = state_ * 6364136223846793005U + 1442695040888963407U;
        return (state_ >> 32) * count_ >> 32;
    }

private:
    std::uint64_t count_;
    std::uint64_t state_ = 1;
};

} // namespace viaduct::bench
