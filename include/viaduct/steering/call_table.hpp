// SPDX-License-Identifier: Apache-2.0
//
// call_table: the table of remembered calls and their backends, shared by all workers.
//
// Each call is one 8-byte word in memory that the control plane owns and that may outlive the
// process. Any number of threads find, remember, touch and sweep at the same time, without locks,
// waiting or allocation. Two workers that remember the same call at the same time get the same
// backend.
//
// In:    the keyed 64-bit hash of a call's key (hash_key). The key itself is not kept. A false
//        match needs 34 equal hash bits in one of 16 words: fewer than one in 10^9 lookups at any
//        load. Further branches of an INVITE and further dialogs of a call are noted in other words
//        of the same two cache lines.
// Cost:  one or two cache lines a lookup, usually in one page; prefetch them.
// Spec:  RFC 3261 §17 (messages of a call belong together), docs/steering.md.
#pragma once

#include "viaduct/closed_set.hpp"
#include "viaduct/net.hpp"
#include "viaduct/prefetch.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace viaduct {

/// The state of a remembered call. The order is that of the words on disk.
enum class CallState : std::uint8_t {
    /// An in-call message was seen, but not the start of the call: the message may be forged.
    /// `dialog` is kUnconfirmed or kBackendConfirmed, or a Note kind: then it is a note of a call.
    Unknown = 0,
    Ringing = 2,  ///< started, not known to be answered; evicted first when room is needed
    Answered = 3, ///< a message inside its dialog was seen
    Ended = 4, ///< a BYE for its only dialog was seen: kept for late messages while there is room
    /// A registration, subscription or publication, until its Expires. `dialog` is a kSoftState
    /// value.
    SoftState = 5,
    /// Like Ringing, but refused: the client may try again (RFC 3261 §22). Also a standalone
    /// request of a backend.
    Refused = 6,
    PendingRequest = 7, ///< not a call, but a request without an answer yet; `dialog` is its method
};
inline constexpr auto kFirstCallState = CallState::Ringing; ///< the first after Unknown
inline constexpr auto kLastCallState = CallState::PendingRequest;

[[nodiscard]] constexpr std::string_view name_of(CallState state) noexcept {
    constexpr auto kFirst = static_cast<std::size_t>(kFirstCallState);
    constexpr std::array kNames{std::string_view("ringing"),
                                std::string_view("answered"),
                                std::string_view("ended"),
                                std::string_view("lasting"),
                                std::string_view("failed"),
                                std::string_view("open")};
    static_assert(kNames.size() == count_of<CallState, kFirst>());
    static_assert(kFirst + kNames.size() == static_cast<std::size_t>(kLastCallState) + 1);
    if (state == CallState::Unknown) return "unknown";
    return kNames[static_cast<std::size_t>(state) - kFirst];
}

/// Coarse time for the table: units since an arbitrary moment, 11 bits that wrap around. A deadline
/// is at most kMaxAhead units in the future; the table must be swept more often than that.
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
    /// Units left until this moment; negative when it has passed.
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
    /// Distinguishes the dialogs of a call: 1..14 for the only one seen, 0 none yet, 15 several.
    /// While the call is Ringing or Refused, distinguishes the branches of its INVITE in the same
    /// way; 15: not all branches are noted.
    std::uint8_t dialog = 0;
    CallTime deadline; ///< the call is forgotten after it

    static constexpr std::uint8_t kSeveralDialogs = 15;
    static constexpr std::uint8_t kUnconfirmed = 1;        ///< Unknown: sent by a client
    static constexpr std::uint8_t kBackendConfirmed = 7;   ///< Unknown: sent by a backend
    static constexpr std::uint8_t kSoftStateGranted = 0;   ///< SoftState: accepted
    static constexpr std::uint8_t kSoftStateRequested = 1; ///< SoftState: not accepted yet
    static constexpr std::uint8_t kSoftStateEnding = 2;    ///< SoftState: its end was requested
    /// SoftState: values up to this one are not known to be accepted. The values for registrations
    /// by address are in registration.hpp.
    static constexpr std::uint8_t kMaxQueries = 7;
    [[nodiscard]] constexpr bool is_accepted() const noexcept {
        return dialog == kSoftStateGranted || dialog > kMaxQueries;
    }

    /// True for a note of a call; false for a call.
    [[nodiscard]] constexpr bool is_note() const noexcept {
        return state == CallState::Unknown && dialog != kUnconfirmed && dialog != kBackendConfirmed;
    }
    bool operator==(const Call&) const = default;
};

/// A note of a call; `what`, 12 bits of a hash, distinguishes notes of one class.
struct Note {
    /// The order is that of the words on disk, stored in Call::dialog.
    enum class Kind : std::uint8_t {
        Branch = 2,     ///< an INVITE without To-tag that has no final answer yet
        PastBranch = 3, ///< an INVITE branch that was refused, or that a client did not send
        Dialog = 4,     ///< a dialog in progress, in addition to the one in the call's own word
        PastDialog = 5, ///< a dialog that a BYE has ended
        FewBranches = 6 ///< all branches with the same few_of(); kAllBranches: all branches
    };
    static constexpr std::uint16_t kMask = 0xfff;
    static constexpr std::uint16_t kAllBranches = Call::kSeveralDialogs;
    /// The few bits of a hash that Call::dialog holds: 1 to 14.
    [[nodiscard]] static constexpr std::uint8_t few_of(std::uint16_t what) noexcept {
        return static_cast<std::uint8_t>(1 + what % 14);
    }

    Kind kind = Kind::Branch;
    std::uint16_t what = 0;

    bool operator==(const Note&) const = default;
};

/// A view: the creator of the memory keeps it until no thread uses the table any more.
class CallTable {
public:
    static constexpr std::size_t kBucketWords = 8; ///< one cache line
    static constexpr unsigned kSlotBits = 16;      ///< the lowest bits of a hash are its slot
    /// The lines of a slot are adjacent, and at least as many as fit in a page: with fewer, slots
    /// that happen to have many calls would fill up too soon. So slots share lines in all but large
    /// tables.
    static constexpr unsigned kMinRowBits = 6;
    static constexpr std::size_t kMinWords = kBucketWords << kMinRowBits;
    static constexpr std::size_t kMaxWords = std::size_t{1} << 29;
    using Word = std::atomic<std::uint64_t>;
    static_assert(Word::is_always_lock_free && sizeof(Word) == 8);

    /// No table: finds nothing and is always full.
    CallTable() noexcept = default;
    /// `words`: zeros, or what an earlier table left there. Their number is a power of two, at
    /// least kMinWords; they are aligned to 64 bytes.
    explicit CallTable(std::span<Word> words) noexcept : words_(words.data()) {
        const auto bits = static_cast<unsigned>(std::countr_zero(words.size() / kBucketWords));
        row_bits_ = bits > kSlotBits + kMinRowBits ? bits - kSlotBits : kMinRowBits;
        shared_bits_ = kSlotBits - (bits - row_bits_);
        shared_mask_ = ((std::uint64_t{1} << shared_bits_) - 1) << kTagShift;
    }

    [[nodiscard]] bool exists() const noexcept { return words_ != nullptr; }
    [[nodiscard]] std::size_t words() const noexcept { return buckets() * kBucketWords; }

    /// Prefetches what find() will read, for many calls at once: first the home buckets of all, so
    /// that their page walks overlap, then the other buckets of the calls that are not at home (two
    /// of five).
    void prefetch(std::span<const std::uint64_t> hashes) const noexcept {
        if (!exists()) return;
        for (const std::uint64_t hash : hashes)
            viaduct::prefetch(buckets_of(hash)[0]);
        for (const std::uint64_t hash : hashes) {
            const auto [home, other] = buckets_of(hash);
            if (!has_tag_of(tag_of(hash), home)) viaduct::prefetch(other);
        }
    }

    [[nodiscard]] std::optional<Call> find(std::uint64_t hash, CallTime now) const noexcept {
        const std::uint64_t word = find_word(hash, now);
        if (word == 0) return std::nullopt;
        return call_of(word);
    }

    enum class Result : std::uint8_t {
        Found, ///< it was there already; `call` is the existing one
        Added,
        Full, ///< no word there could be evicted: only answered calls in progress and registrations
    };
    struct Remembered {
        Result result = Result::Full;
        Call call; ///< valid unless Full; the same for all threads
    };
    /// Returns the call with this hash, or adds `fresh`. To make room, words past their deadline
    /// are evicted first, then Ended calls, then soft state that is not accepted yet, then Ringing
    /// calls, each by nearest deadline. An Unknown call evicts nothing, and soft state evicts no
    /// Ringing call.
    [[nodiscard]] Remembered remember(std::uint64_t hash, const Call& fresh, CallTime now) noexcept;

    /// Replaces a call, unless another thread changed it since `seen` was read. False: it did, or
    /// the call is gone.
    bool update(std::uint64_t hash, const Call& seen, const Call& wanted) noexcept;

    /// Removes a call, unless another thread changed it since `seen` was read. False: it did.
    bool forget(std::uint64_t hash, const Call& seen) noexcept;

    /// Adds a note to the call with this hash, or changes the kind and deadline of its note of the
    /// same class (branches or dialogs) and bits. False: there is no room; Ringing calls are not
    /// evicted.
    bool note(std::uint64_t hash, const Note& note, CallTime deadline, CallTime now) noexcept;
    /// The kind of the note with these bits in this class.
    enum class NoteClass : std::uint8_t { Branches, Dialogs };
    [[nodiscard]] std::optional<Note::Kind>
    noted(std::uint64_t hash, NoteClass of, std::uint16_t what, CallTime now) const noexcept;
    /// Any note of that kind.
    [[nodiscard]] std::optional<Note>
    any_note(std::uint64_t hash, Note::Kind kind, CallTime now) const noexcept;

    /// The first of the bucket_row() adjacent buckets that may hold the words of a call.
    [[nodiscard]] std::size_t first_bucket(std::uint64_t hash) const noexcept {
        return (hash & ((std::uint64_t{1} << kSlotBits) - 1)) >> shared_bits_ << row_bits_;
    }
    [[nodiscard]] std::size_t bucket_row() const noexcept { return std::size_t{1} << row_bits_; }

    /// Visits `count` buckets from `first` on (both are cut to the size of the table). Removes
    /// words, including notes, that are past their deadline or for which `visit(slot, call)`
    /// returns false. One thread at a time.
    template <typename Visit>
    void sweep(std::size_t first, std::size_t count, CallTime now, Visit visit) noexcept {
        const std::size_t end = std::min(first + count, buckets());
        for (std::size_t bucket = first; bucket < end; ++bucket)
            for (std::size_t i = 0; i < kBucketWords; ++i) {
                Word& word = words_[bucket * kBucketWords + i];
                std::uint64_t seen = word.load(std::memory_order_relaxed);
                if (seen == 0 || is_pending(seen)) continue;
                const Call call = call_of(seen);
                const bool keep =
                    call.deadline.left(now) >= 0 && visit(slot_of(bucket, seen), call);
                // A word that a worker changed in the meantime stays.
                if (!keep) change({&word, seen}, 0);
            }
    }
    /// Removes unfinished additions and invalid words that a killed process left. Call it before
    /// any thread uses the table.
    void forget_unfinished() noexcept;

    /// Calls `visit(place, word)` for every word in use in `count` buckets from `first` on, for a
    /// copy that put_back() reads. Any thread.
    template <typename Visit> void copy(std::size_t first, std::size_t count, Visit visit) const {
        const std::size_t end = std::min(first + count, buckets()) * kBucketWords;
        for (std::size_t place = first * kBucketWords; place < end; ++place) {
            const std::uint64_t word = words_[place].load(std::memory_order_relaxed);
            if (word != 0 && !is_pending(word)) visit(place, word);
        }
    }
    /// Restores a word that copy() gave at `then`, `age` units ago. Invalid words and those past
    /// their deadline are ignored. Call it before any thread uses the table.
    void put_back(std::uint64_t place,
                  std::uint64_t word,
                  CallTime then,
                  CallTime now,
                  std::int64_t age) noexcept;
    void clear() noexcept;
    [[nodiscard]] std::size_t buckets() const noexcept {
        return exists() ? std::size_t{1} << (kSlotBits - shared_bits_ + row_bits_) : 0;
    }

private:
    struct Place { ///< a word, and its value when it was read
        Word* word = nullptr;
        std::uint64_t seen = 0;
    };
    struct Places;
    static constexpr unsigned kTagShift = 30;
    static constexpr std::uint64_t kTagMask = ~std::uint64_t{0} << kTagShift;
    // Layout of a word, from the top: 34 bits of the hash (tag), 12 backend, 3 state, 4 dialog, 11
    // deadline. Where slots share lines, the lowest bits of the tag hold the part of the slot
    // number that the lines do not determine. A note has its call's tag, changed by kNoteTag, and
    // its bits in place of the backend.
    static constexpr std::uint64_t kNoteTag = std::uint64_t{0x2545f4914} << kTagShift;
    static constexpr unsigned kBackendShift = 18;
    static constexpr unsigned kStateShift = 15;
    static constexpr unsigned kDialogShift = 11;
    static constexpr std::uint64_t kStateMask = std::uint64_t{7} << kStateShift;
    /// A word that a worker is adding: no thread may use it yet, any thread may remove it.
    static constexpr std::uint64_t kPending = std::uint64_t{1} << kStateShift;

    [[nodiscard]] static bool is_pending(std::uint64_t word) noexcept {
        return (word & kStateMask) == kPending;
    }
    // Inline, so that the parts stay in registers: a call that is stored in parts and loaded as a
    // whole waits for the stores.
    [[nodiscard]] static Call call_of(std::uint64_t word) noexcept {
        Call call;
        call.backend = static_cast<BackendId>(word >> kBackendShift & 0xfff);
        call.state = static_cast<CallState>(word >> kStateShift & 7);
        call.dialog = static_cast<std::uint8_t>(word >> kDialogShift & 0xf);
        call.deadline = CallTime(word);
        return call;
    }
    [[nodiscard]] static std::uint64_t word_of(std::uint64_t tag, const Call& call) noexcept {
        return tag | std::uint64_t{index(call.backend)} << kBackendShift |
               std::uint64_t{static_cast<std::uint8_t>(call.state)} << kStateShift |
               std::uint64_t{call.dialog} << kDialogShift | call.deadline.value();
    }
    [[nodiscard]] static bool has_tag_of(std::uint64_t tag, const Word* bucket) noexcept {
        for (std::size_t i = 0; i < kBucketWords; ++i)
            if (((bucket[i].load(std::memory_order_relaxed) ^ tag) & kTagMask) == 0) return true;
        return false;
    }
    /// The tag in its place in a word; the other bits are zero.
    [[nodiscard]] std::uint64_t tag_of(std::uint64_t hash) const noexcept {
        return (hash & kTagMask & ~shared_mask_) | (hash << kTagShift & shared_mask_);
    }
    [[nodiscard]] std::size_t slot_of(std::size_t bucket, std::uint64_t word) const noexcept {
        return bucket >> row_bits_ << shared_bits_ | (word & shared_mask_) >> kTagShift;
    }
    /// 0: not found.
    [[nodiscard]] std::uint64_t find_word(std::uint64_t hash, CallTime now) const noexcept;
    /// Two buckets of the slot, home first. All buckets of a slot are adjacent: up to 2^25 words
    /// they are within one page, so that the second costs no page walk.
    [[nodiscard]] std::array<Word*, 2> buckets_of(std::uint64_t hash) const noexcept {
        const std::uint64_t mask = (std::uint64_t{1} << row_bits_) - 1;
        const std::uint64_t home = hash >> kSlotBits & mask;
        // Never the home bucket: the lowest bit always differs.
        const std::uint64_t tag = hash >> kTagShift;
        const std::uint64_t other = home ^ ((tag * 0x9e3779b97f4a7c15U >> 40 | 1) & mask);
        Word* const first = words_ + first_bucket(hash) * kBucketWords;
        return {first + home * kBucketWords, first + other * kBucketWords};
    }
    [[nodiscard]] Places
    look(std::uint64_t hash, CallTime now, const Word* except, int most) const noexcept;
    [[nodiscard]] Place
    find_note(std::uint64_t hash, NoteClass of, std::uint16_t what, CallTime now) const noexcept;
    [[nodiscard]] bool is_alone(std::uint64_t hash, CallTime now, const Word* mine) noexcept;
    [[nodiscard]] static std::uint64_t pending_word(std::uint64_t tag) noexcept;
    static bool change(const Place& place, std::uint64_t wanted) noexcept;
    static void take_away(const Place& place) noexcept { change(place, 0); }

    Word* words_ = nullptr;         // writers: workers and control; readers: the same
    unsigned row_bits_ = 0;         ///< bits of a bucket's number within its slot
    unsigned shared_bits_ = 0;      ///< log2 of the slots that share their buckets
    std::uint64_t shared_mask_ = 0; ///< the bits of the shared slot number in a word
};

} // namespace viaduct
