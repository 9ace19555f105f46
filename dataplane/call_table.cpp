// SPDX-License-Identifier: Apache-2.0
#include "viaduct/call_table.hpp"

#include <algorithm>

namespace viaduct {

namespace {

static_assert(kMaxBackends <= std::size_t{1} << 12);

/// How often a thread looks again before it takes away what another began to add and did not end.
constexpr unsigned kPatience = 200;
/// Changes by other threads in between that a thread puts up with; more never happened.
constexpr unsigned kAttempts = 1000;

void relax() noexcept {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

/// What tells one attempt of one thread from all others: where its stack is, and when.
std::uint64_t nonce() noexcept {
    const char here = 0;
    std::uint64_t when = 0;
#if defined(__x86_64__)
    when = __builtin_ia32_rdtsc();
#endif
    return (reinterpret_cast<std::uintptr_t>(&here) + when) * 0x9e3779b97f4a7c15U;
}

/// Of what may go: the lower the sooner. -1: it may not.
int worth(const Call& call, CallTime now) noexcept {
    const int left = call.deadline.left(now);
    if (left < 0) return 0;
    switch (call.state) {
    case CallState::Ended:
    case CallState::Open:
        return 1 + left;
    case CallState::Ringing:
    case CallState::Failed:
        return 1 + CallTime::kMaxAhead + 1 + left;
    case CallState::Answered:
    case CallState::Lasting:
        break;
    }
    return -1;
}

constexpr bool is_state(CallState state) noexcept {
    return state >= kFirstCallState && state <= kLastCallState;
}

} // namespace

/// What a look at the sixteen words of a hash finds.
struct CallTable::Places {
    Place live;
    Place pending; ///< of the same tag, being added by another thread
    Place room;    ///< where a new word would go
};

bool CallTable::change(const Place& place, std::uint64_t wanted) noexcept {
    std::uint64_t seen = place.seen;
    return place.word->compare_exchange_strong(seen, wanted, std::memory_order_seq_cst);
}

/// A pending word like no other: a thread must not take somebody else's for its own.
std::uint64_t CallTable::pending_word(std::uint64_t tag) noexcept {
    const std::uint64_t own = nonce();
    return tag | (own >> 34 << kBackendShift & 0x3fff'ffff) | kPending | (own >> 20 & 0x7fff);
}

std::uint64_t CallTable::find_word(std::uint64_t hash, CallTime now) const noexcept {
    if (!exists()) return 0;
    for (const Word* bucket : buckets_of(hash))
        for (std::size_t i = 0; i < kBucketWords; ++i) {
            const std::uint64_t word = bucket[i].load(std::memory_order_relaxed);
            if (((word ^ hash) & kTagMask) != 0 || word == 0) continue;
            if (!is_pending(word) && CallTime(word).left(now) >= 0) return word;
        }
    return 0;
}

/// seq_cst, here and where words are changed: remember() relies on one order of all changes and
/// looks.
CallTable::Places
CallTable::look(std::uint64_t hash, CallTime now, const Word* except) const noexcept {
    Places places;
    std::size_t most_free = 0;
    int least = -1;
    for (Word* bucket : buckets_of(hash)) {
        std::size_t free = 0;
        Place first_free;
        for (std::size_t i = 0; i < kBucketWords; ++i) {
            Word* const word = bucket + i;
            if (word == except) continue;
            const std::uint64_t seen = word->load(std::memory_order_seq_cst);
            const Call call = call_of(seen);
            if (seen != 0 && ((seen ^ hash) & kTagMask) == 0) {
                if (is_pending(seen))
                    places.pending = {word, seen};
                else if (call.deadline.left(now) >= 0)
                    places.live = {word, seen};
            }
            const int value = seen == 0 ? 0 : is_pending(seen) ? -1 : worth(call, now);
            if (value == 0 && free++ == 0) first_free = {word, seen};
            if (value <= 0 || most_free > 0 || (least >= 0 && value >= least)) continue;
            least = value;
            places.room = {word, seen};
        }
        // The emptier bucket: so both stay open until the table is nearly full.
        if (free > most_free) {
            most_free = free;
            places.room = first_free;
        }
    }
    return places;
}

/// `mine` holds a pending word. True: no other word of this hash was there after it, so that of two
/// threads at least one sees the other's, and may not go on.
bool CallTable::is_alone(std::uint64_t hash, CallTime now, const Word* mine) noexcept {
    for (;;) {
        Places places = look(hash, now, mine);
        if (places.live.word != nullptr) return false;
        if (places.pending.word == nullptr) return true;
        if (places.pending.word < mine) return false; // of two that see each other, the lower stays
        take_away(places.pending);
    }
}

CallTable::Remembered
CallTable::remember(std::uint64_t hash, const Call& fresh, CallTime now) noexcept {
    if (!exists()) return {};
    unsigned patience = kPatience;
    for (unsigned attempt = 0; attempt < kAttempts;) {
        Places places = look(hash, now, nullptr);
        if (places.live.word != nullptr) return {Result::Found, call_of(places.live.seen)};
        if (places.pending.word != nullptr && patience-- > 0) { // its thread is about to finish
            relax();
            continue;
        }
        ++attempt;
        if (places.pending.word != nullptr) { // or was stopped
            take_away(places.pending);
            patience = kPatience;
            continue;
        }
        if (places.room.word == nullptr) return {};
        const std::uint64_t pending = pending_word(hash & kTagMask);
        if (!change(places.room, pending)) continue;
        const Place mine{places.room.word, pending};
        if (!is_alone(hash, now, mine.word))
            take_away(mine);
        else if (change(mine, word_of(hash, fresh)))
            return {Result::Added, fresh};
    }
    return {};
}

bool CallTable::update(std::uint64_t hash, const Call& seen, const Call& wanted) noexcept {
    if (!exists()) return false;
    const std::uint64_t before = word_of(hash, seen);
    for (Word* bucket : buckets_of(hash))
        for (std::size_t i = 0; i < kBucketWords; ++i) {
            std::uint64_t expected = before;
            if (bucket[i].load(std::memory_order_relaxed) == before &&
                bucket[i].compare_exchange_strong(
                    expected, word_of(hash, wanted), std::memory_order_seq_cst))
                return true;
        }
    return false;
}

bool CallTable::forget(std::uint64_t hash, const Call& seen) noexcept {
    if (!exists()) return false;
    const std::uint64_t word = word_of(hash, seen);
    for (Word* bucket : buckets_of(hash))
        for (std::size_t i = 0; i < kBucketWords; ++i)
            if (bucket[i].load(std::memory_order_relaxed) == word && change({bucket + i, word}, 0))
                return true;
    return false;
}

void CallTable::put_back(std::uint64_t place,
                         std::uint64_t word,
                         CallTime then,
                         CallTime now,
                         std::int64_t age) noexcept {
    const Call call = call_of(word);
    const std::int64_t left = call.deadline.left(then) - age;
    if (place >= words() || !is_state(call.state) || left < 0) return;
    const CallTime deadline = now.after(static_cast<std::uint16_t>(left));
    words_[place].store((word & ~std::uint64_t{CallTime::kMask}) | deadline.value(),
                        std::memory_order_relaxed);
}

void CallTable::clear() noexcept {
    for (std::size_t i = 0; i < words(); ++i)
        words_[i].store(0, std::memory_order_relaxed);
}

void CallTable::forget_unfinished() noexcept {
    for (std::size_t i = 0; i < words(); ++i) {
        const std::uint64_t word = words_[i].load(std::memory_order_relaxed);
        const bool is_known = is_state(call_of(word).state);
        if (word != 0 && !is_known) words_[i].store(0, std::memory_order_relaxed);
    }
}

} // namespace viaduct
