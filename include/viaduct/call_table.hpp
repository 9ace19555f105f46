// SPDX-License-Identifier: Apache-2.0
//
// call_table: which backend a call belongs to, remembered by all workers together.
//
// One 8-byte word a call, in memory that the control plane owns and that may outlive the process.
// Any number of threads find, remember, touch and sweep at once: no lock, no waiting for others,
// no allocation. Two workers that remember the same call at the same time get the same backend.
//
// In:    the keyed 64-bit hash of a call's key (hash_key). The key itself is not kept: two keys
//        are taken for one when 34 bits of their hashes agree in one of 16 words, which is rarer
//        than 10^-9 a lookup at any load.
// Cost:  two cache lines a lookup; fetch them ahead with prefetch().
// Spec:  RFC 3261 §17 (a call's messages belong together), docs/steering.md.
#pragma once

#include "viaduct/net.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace viaduct {

/// How far a remembered call has come. The order is that of the words on disk.
enum class CallState : std::uint8_t {
    Ringing = 2,  ///< begun, and not known to be answered: goes first when room is needed
    Answered = 3, ///< something inside its dialog was seen
    Ended = 4,   ///< a BYE for its only dialog was seen: kept for late messages while there is room
    Lasting = 5, ///< a registration, subscription or publication: until its Expires
    Failed = 6, ///< like Ringing, but its INVITE was refused: it may be tried again (RFC 3261 §22)
    Open = 7,   ///< no call, but a request that is not answered yet; `dialog` is its method
};
inline constexpr auto kFirstCallState = CallState::Ringing;
inline constexpr auto kLastCallState = CallState::Open;

[[nodiscard]] constexpr std::string_view name_of(CallState state) noexcept {
    constexpr auto kFirst = static_cast<std::size_t>(kFirstCallState);
    constexpr std::array kNames{std::string_view("ringing"),
                                std::string_view("answered"),
                                std::string_view("ended"),
                                std::string_view("lasting"),
                                std::string_view("failed"),
                                std::string_view("open")};
    static_assert(kFirst + kNames.size() == static_cast<std::size_t>(kLastCallState) + 1);
    return kNames[static_cast<std::size_t>(state) - kFirst];
}

/// Coarse time for the table: units since an arbitrary moment, 11 bits that wrap around. A
/// deadline lies at most kMaxAhead units ahead; the table is swept more often than that.
class CallTime {
public:
    static constexpr std::uint16_t kMask = 0x7ff;
    static constexpr std::uint16_t kMaxAhead = 1023;

    constexpr CallTime() noexcept = default;
    explicit constexpr CallTime(std::uint64_t units) noexcept
        : units_(static_cast<std::uint16_t>(units & kMask)) {}
    [[nodiscard]] constexpr std::uint16_t value() const noexcept { return units_; }
    [[nodiscard]] constexpr CallTime after(std::uint16_t units) const noexcept {
        return CallTime(std::uint64_t{units_} + (units < kMaxAhead ? units : kMaxAhead));
    }
    /// Units left until this moment; negative once it has passed.
    [[nodiscard]] constexpr int left(CallTime now) const noexcept {
        const int ahead = (units_ - now.units_) & kMask;
        return ahead > kMaxAhead ? ahead - (kMask + 1) : ahead;
    }
    bool operator==(const CallTime&) const = default;

private:
    std::uint16_t units_ = 0;
};

/// What is remembered of one call.
struct Call {
    BackendId backend{};
    CallState state = CallState::Ringing;
    /// Tells dialogs of one call apart: 1..14 for the only one seen, 0 none yet, 15 several.
    std::uint8_t dialog = 0;
    CallTime deadline; ///< forgotten when it has passed

    static constexpr std::uint8_t kSeveralDialogs = 15;

    bool operator==(const Call&) const = default;
};

/// A view: who made the memory keeps it until no thread uses the table any more.
class CallTable {
public:
    static constexpr std::size_t kBucketWords = 8; ///< one cache line
    /// 64 words a slot: with fewer, slots that have many calls by chance would be full too soon.
    static constexpr std::size_t kLeastWords = std::size_t{1} << 22;
    static constexpr std::size_t kMostWords = std::size_t{1} << 29;
    using Word = std::atomic<std::uint64_t>;
    static_assert(Word::is_always_lock_free && sizeof(Word) == 8);

    /// No table: finds nothing and is full.
    CallTable() noexcept = default;
    /// `words`: zeros, or what a table left there; a power of two of them from kLeastWords on,
    /// aligned to 64 bytes.
    explicit CallTable(std::span<Word> words) noexcept
        : words_(words.data()), bucket_mask_(words.size() / kBucketWords - 1) {}

    [[nodiscard]] bool exists() const noexcept { return words_ != nullptr; }
    [[nodiscard]] std::size_t words() const noexcept {
        return exists() ? (bucket_mask_ + 1) * kBucketWords : 0;
    }

    void prefetch(std::uint64_t hash) const noexcept;

    [[nodiscard]] std::optional<Call> find(std::uint64_t hash, CallTime now) const noexcept;

    enum class Result : std::uint8_t {
        Found, ///< it was there: the call that was
        Added,
        Full, ///< nothing there could go: only living answered calls and registrations
    };
    struct Remembered {
        Result result = Result::Full;
        Call call; ///< valid unless Full: the same for every thread that asks
    };
    /// The call with this hash, or else `fresh`, from now on. To make room, what has passed its
    /// deadline goes first, then the Ended and then the Ringing call with the nearest deadline.
    [[nodiscard]] Remembered remember(std::uint64_t hash, const Call& fresh, CallTime now) noexcept;

    /// Replaces what is remembered of a call, unless another thread changed it since `seen` was
    /// read. False: it did, or the call is gone.
    bool update(std::uint64_t hash, const Call& seen, const Call& wanted) noexcept;

    /// Takes it away, unless another thread changed it since `seen` was read. False: it did.
    bool forget(std::uint64_t hash, const Call& seen) noexcept;

    /// Goes over `count` buckets from `first` on (both are cut to what there is): forgets calls
    /// past their deadline, and calls for which `visit(slot, call)` is false. One thread at a time.
    template <typename Visit>
    void sweep(std::size_t first, std::size_t count, CallTime now, Visit visit) noexcept {
        const std::size_t end = std::min(first + count, exists() ? bucket_mask_ + 1 : 0);
        for (std::size_t bucket = first; bucket < end; ++bucket)
            for (std::size_t i = 0; i < kBucketWords; ++i) {
                Word& word = words_[bucket * kBucketWords + i];
                std::uint64_t seen = word.load(std::memory_order_relaxed);
                if (seen == 0 || is_pending(seen)) continue;
                const Call call = call_of(seen);
                const bool keep = call.deadline.left(now) >= 0 && visit(bucket & 0xffff, call);
                // A word that a worker touched meanwhile stays.
                if (!keep) change({&word, seen}, 0);
            }
    }
    /// Before any thread uses it, over memory that a killed process left: what one of its threads
    /// was just adding goes, and what is no word.
    void forget_unfinished() noexcept;

    /// Calls `visit(place, word)` for every word in use of `count` buckets from `first` on, for a
    /// copy that put_back() reads. Any thread.
    template <typename Visit> void copy(std::size_t first, std::size_t count, Visit visit) const {
        const std::size_t end = std::min(first + count, buckets()) * kBucketWords;
        for (std::size_t place = first * kBucketWords; place < end; ++place) {
            const std::uint64_t word = words_[place].load(std::memory_order_relaxed);
            if (word != 0 && !is_pending(word)) visit(place, word);
        }
    }
    /// Before any thread uses it: a word that copy() gave at `then`, `age` units ago. What has
    /// passed its deadline, or is no word, stays out.
    void put_back(std::uint64_t place,
                  std::uint64_t word,
                  CallTime then,
                  CallTime now,
                  std::int64_t age) noexcept;
    void clear() noexcept;
    [[nodiscard]] std::size_t buckets() const noexcept { return exists() ? bucket_mask_ + 1 : 0; }

private:
    struct Place { ///< a word, and what it held when it was seen
        Word* word = nullptr;
        std::uint64_t seen = 0;
    };
    struct Places;
    static constexpr unsigned kTagShift = 30;
    static constexpr std::uint64_t kTagMask = ~std::uint64_t{0} << kTagShift;

    [[nodiscard]] static bool is_pending(std::uint64_t word) noexcept;
    [[nodiscard]] static Call call_of(std::uint64_t word) noexcept;
    [[nodiscard]] static std::uint64_t word_of(std::uint64_t hash, const Call& call) noexcept;
    /// Home first. Both have the same low 16 bits: the slot.
    [[nodiscard]] std::array<Word*, 2> buckets_of(std::uint64_t hash) const noexcept;
    [[nodiscard]] Places look(std::uint64_t hash, CallTime now, const Word* except) const noexcept;
    [[nodiscard]] bool is_alone(std::uint64_t hash, CallTime now, const Word* mine) noexcept;
    static bool change(const Place& place, std::uint64_t wanted) noexcept;
    static void take_away(const Place& place) noexcept { change(place, 0); }

    Word* words_ = nullptr; // writers: workers and control; readers: the same
    std::size_t bucket_mask_ = 0;
};

} // namespace viaduct
