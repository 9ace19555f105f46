// SPDX-License-Identifier: Apache-2.0
#include "viaduct/steering/call_table.hpp"

#include <algorithm>

namespace viaduct {

namespace {

static_assert(kMaxBackends <= std::size_t{1} << 12);

/// How often a thread looks again before it removes another thread's unfinished addition.
constexpr unsigned kPatience = 200;
/// Limit of retries after changes by other threads; never reached so far.
constexpr unsigned kAttempts = 1000;

void relax() noexcept {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

/// A value that is unique to one attempt of one thread: the address of its stack, and the time.
std::uint64_t nonce() noexcept {
    const char here = 0;
    std::uint64_t when = 0;
#if defined(__x86_64__)
    when = __builtin_ia32_rdtsc();
#endif
    return (reinterpret_cast<std::uintptr_t>(&here) + when) * 0x9e3779b97f4a7c15U;
}

/// Eviction order: lower values go first, by classes. -1: must not be evicted.
constexpr int kClass = CallTime::kMaxAhead + 1;
constexpr int kWorthOfPast = 0; // the highest of each class
constexpr int kWorthOfEnded = kWorthOfPast + kClass;
constexpr int kWorthOfAsked = kWorthOfEnded + kClass;
constexpr int kWorthOfRinging = kWorthOfAsked + kClass;

int worth(const Call& call, CallTime now) noexcept {
    const int left = call.deadline.left(now);
    if (left < 0) return kWorthOfPast;
    switch (call.state) {
    case CallState::Ended:
    case CallState::PendingRequest:
        return kWorthOfPast + 1 + left;
    case CallState::Unknown:
        if (call.dialog == Call::kUnconfirmed) return kWorthOfPast + 1 + left;
        // Without the notes of a call its refusals would be taken for answers.
        return call.is_note() ? kWorthOfRinging : kWorthOfAsked + 1 + left;
    case CallState::Ringing:
    case CallState::Refused:
        return kWorthOfAsked + 1 + left;
    case CallState::SoftState:
        return call.is_accepted() ? -1 : kWorthOfEnded + 1 + left;
    case CallState::Answered:
        break;
    }
    return -1;
}

constexpr bool is_known(const Call& call) noexcept {
    if (call.state == CallState::Unknown)
        return call.dialog >= Call::kUnconfirmed && call.dialog <= Call::kBackendConfirmed;
    return call.state >= kFirstCallState && call.state <= kLastCallState;
}

/// The highest worth that may be evicted for a new call.
int most_for(const Call& fresh) noexcept {
    switch (fresh.state) {
    case CallState::Unknown:
        return fresh.dialog == Call::kUnconfirmed ? kWorthOfPast : kWorthOfAsked;
    case CallState::PendingRequest:
        return kWorthOfEnded;
    case CallState::SoftState:
    case CallState::Refused: // a standalone request of a backend
        return kWorthOfAsked;
    case CallState::Ringing:
    case CallState::Answered:
    case CallState::Ended:
        break;
    }
    return kWorthOfRinging;
}

constexpr CallTable::NoteClass class_of(Note::Kind kind) noexcept {
    return kind == Note::Kind::Dialog || kind == Note::Kind::PastDialog
               ? CallTable::NoteClass::Dialogs
               : CallTable::NoteClass::Branches;
}

/// The note that a word holds.
Note note_of(const Call& call) noexcept {
    return {static_cast<Note::Kind>(call.dialog), static_cast<std::uint16_t>(index(call.backend))};
}
Call call_of_note(const Note& note, CallTime deadline) noexcept {
    return {static_cast<BackendId>(note.what & Note::kMask),
            CallState::Unknown,
            static_cast<std::uint8_t>(note.kind),
            deadline};
}

} // namespace

/// What look() finds in the sixteen words of a hash.
struct CallTable::Places {
    Place live;
    Place pending; ///< same tag, being added by another thread
    Place room;    ///< where a new word would go
};

bool CallTable::change(const Place& place, std::uint64_t wanted) noexcept {
    std::uint64_t seen = place.seen;
    return place.word->compare_exchange_strong(seen, wanted, std::memory_order_seq_cst);
}

/// Returns a unique pending word: a thread must not take another thread's word for its own.
std::uint64_t CallTable::pending_word(std::uint64_t tag) noexcept {
    const std::uint64_t own = nonce();
    return tag | (own >> 34 << kBackendShift & 0x3fff'ffff) | kPending | (own >> 20 & 0x7fff);
}

std::uint64_t CallTable::find_word(std::uint64_t hash, CallTime now) const noexcept {
    if (!exists()) return 0;
    const std::uint64_t tag = tag_of(hash);
    for (const Word* bucket : buckets_of(hash))
        for (std::size_t i = 0; i < kBucketWords; ++i) {
            const std::uint64_t word = bucket[i].load(std::memory_order_relaxed);
            if (((word ^ tag) & kTagMask) != 0 || word == 0) continue;
            if (!is_pending(word) && CallTime(word).left(now) >= 0) return word;
        }
    return 0;
}

/// seq_cst, here and where words are changed: remember() relies on one order of all changes and
/// looks.
CallTable::Places
CallTable::look(std::uint64_t hash, CallTime now, const Word* except, int most) const noexcept {
    Places places;
    const std::uint64_t tag = tag_of(hash);
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
            if (seen != 0 && ((seen ^ tag) & kTagMask) == 0) {
                if (is_pending(seen))
                    places.pending = {word, seen};
                else if (call.deadline.left(now) >= 0)
                    places.live = {word, seen};
            }
            const int value = seen == 0 ? 0 : is_pending(seen) ? -1 : worth(call, now);
            if (value == 0 && free++ == 0) first_free = {word, seen};
            if (value <= 0 || value > most || most_free > 0 || (least >= 0 && value >= least))
                continue;
            least = value;
            places.room = {word, seen};
        }
        // The emptier bucket, so that both have room until the table is nearly full.
        if (free > most_free) {
            most_free = free;
            places.room = first_free;
        }
    }
    return places;
}

/// `mine` holds a pending word. True: no other word of this hash was there afterwards. Of two
/// threads at least one sees the other's word, and must not go on.
bool CallTable::is_alone(std::uint64_t hash, CallTime now, const Word* mine) noexcept {
    for (;;) {
        Places places = look(hash, now, mine, kWorthOfPast);
        if (places.live.word != nullptr) return false;
        if (places.pending.word == nullptr) return true;
        if (places.pending.word < mine) return false; // of two that see each other, the lower stays
        take_away(places.pending);
    }
}

CallTable::Remembered
CallTable::remember(std::uint64_t hash, const Call& fresh, CallTime now) noexcept {
    if (!exists()) return {};
    const std::uint64_t tag = tag_of(hash);
    const int most = most_for(fresh);
    unsigned patience = kPatience;
    for (unsigned attempt = 0; attempt < kAttempts;) {
        Places places = look(hash, now, nullptr, most);
        if (places.live.word != nullptr) return {Result::Found, call_of(places.live.seen)};
        if (places.pending.word != nullptr && patience-- > 0) { // its thread is about to finish
            relax();
            continue;
        }
        ++attempt;
        if (places.pending.word != nullptr) { // its thread was stopped
            take_away(places.pending);
            patience = kPatience;
            continue;
        }
        if (places.room.word == nullptr) return {};
        const std::uint64_t pending = pending_word(tag);
        if (!change(places.room, pending)) continue;
        const Place mine{places.room.word, pending};
        if (!is_alone(hash, now, mine.word))
            take_away(mine);
        else if (change(mine, word_of(tag, fresh)))
            return {Result::Added, fresh};
    }
    return {};
}

bool CallTable::update(std::uint64_t hash, const Call& seen, const Call& wanted) noexcept {
    if (!exists()) return false;
    const std::uint64_t tag = tag_of(hash);
    const std::uint64_t before = word_of(tag, seen);
    for (Word* bucket : buckets_of(hash))
        for (std::size_t i = 0; i < kBucketWords; ++i) {
            std::uint64_t expected = before;
            if (bucket[i].load(std::memory_order_relaxed) == before &&
                bucket[i].compare_exchange_strong(
                    expected, word_of(tag, wanted), std::memory_order_seq_cst))
                return true;
        }
    return false;
}

bool CallTable::forget(std::uint64_t hash, const Call& seen) noexcept {
    if (!exists()) return false;
    const std::uint64_t word = word_of(tag_of(hash), seen);
    for (Word* bucket : buckets_of(hash))
        for (std::size_t i = 0; i < kBucketWords; ++i)
            if (bucket[i].load(std::memory_order_relaxed) == word && change({bucket + i, word}, 0))
                return true;
    return false;
}

CallTable::Place CallTable::find_note(std::uint64_t hash,
                                      NoteClass of,
                                      std::uint16_t what,
                                      CallTime now) const noexcept {
    const std::uint64_t tag = tag_of(hash) ^ kNoteTag;
    Place by_few; // used unless a note has all the bits
    for (Word* bucket : buckets_of(hash))
        for (std::size_t i = 0; i < kBucketWords; ++i) {
            const std::uint64_t word = bucket[i].load(std::memory_order_relaxed);
            if (((word ^ tag) & kTagMask) != 0) continue;
            const Call call = call_of(word);
            if (!call.is_note() || call.deadline.left(now) < 0) continue;
            const Note note = note_of(call);
            if (class_of(note.kind) != of) continue;
            if (note.kind != Note::Kind::FewBranches) {
                if (note.what == what) return {bucket + i, word};
            } else if (note.what == Note::kAllBranches || note.what == Note::few_of(what)) {
                by_few = {bucket + i, word};
            }
        }
    return by_few;
}

bool CallTable::note(std::uint64_t hash,
                     const Note& note,
                     CallTime deadline,
                     CallTime now) noexcept {
    constexpr int kTries = 4;
    if (!exists()) return false;
    const std::uint64_t wanted = word_of(tag_of(hash) ^ kNoteTag, call_of_note(note, deadline));
    for (int tries = 0; tries < kTries; ++tries) {
        Place place;
        if (note.kind != Note::Kind::FewBranches)
            place = find_note(hash, class_of(note.kind), note.what, now);
        if (place.word != nullptr && note_of(call_of(place.seen)).kind == Note::Kind::FewBranches)
            place = {}; // a FewBranches note stays; this one is added next to it
        if (place.word == nullptr) place = look(hash, now, nullptr, kWorthOfEnded).room;
        if (place.word == nullptr) return false;
        if (change(place, wanted)) return true;
    }
    return false;
}

std::optional<Note::Kind> CallTable::noted(std::uint64_t hash,
                                           NoteClass of,
                                           std::uint16_t what,
                                           CallTime now) const noexcept {
    if (!exists()) return std::nullopt;
    const Place place = find_note(hash, of, what, now);
    if (place.word == nullptr) return std::nullopt;
    return note_of(call_of(place.seen)).kind;
}

std::optional<Note>
CallTable::any_note(std::uint64_t hash, Note::Kind kind, CallTime now) const noexcept {
    if (!exists()) return std::nullopt;
    const std::uint64_t tag = tag_of(hash) ^ kNoteTag;
    for (const Word* bucket : buckets_of(hash))
        for (std::size_t i = 0; i < kBucketWords; ++i) {
            const std::uint64_t word = bucket[i].load(std::memory_order_relaxed);
            if (((word ^ tag) & kTagMask) != 0) continue;
            const Call call = call_of(word);
            if (call.is_note() && note_of(call).kind == kind && call.deadline.left(now) >= 0)
                return note_of(call);
        }
    return std::nullopt;
}

void CallTable::put_back(std::uint64_t place,
                         std::uint64_t word,
                         CallTime then,
                         CallTime now,
                         std::int64_t age) noexcept {
    const Call call = call_of(word);
    const std::int64_t left = call.deadline.left(then) - age;
    if (place >= words() || !is_known(call) || left < 0) return;
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
        if (word != 0 && !is_known(call_of(word))) words_[i].store(0, std::memory_order_relaxed);
    }
}

} // namespace viaduct
