// SPDX-License-Identifier: Apache-2.0
#include "model/table.hpp"

#include "viaduct/steering/steer.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstdio>
#include <queue>

namespace viaduct {

namespace {

constexpr unsigned kLogBits = 10; // the logarithm's table has 1,024 entries and the end point
constexpr std::size_t kLogEntries = std::size_t{1} << kLogBits;

/// log2(1 + i / 1024) as a fraction of 2^32, by repeated squaring. No floating point, so that every
/// compiler and machine makes the same table.
constexpr auto kLogTable = [] {
    std::array<std::uint64_t, kLogEntries + 1> table{};
    for (std::size_t i = 0; i < kLogEntries; ++i) {
        std::uint64_t mantissa = (kLogEntries + i) << (31 - kLogBits); // 1.0 is 2^31
        std::uint64_t result = 0;
        for (int step = 0; step < 32; ++step) {
            mantissa = mantissa * mantissa >> 31;
            result <<= 1;
            if (mantissa >> 32 != 0) {
                result |= 1;
                mantissa >>= 1;
            }
        }
        table[i] = result;
    }
    table[kLogEntries] = std::uint64_t{1} << 32;
    return table;
}();

/// Returns -log2(value / 2^64) as a multiple of 2^-32, for `value` > 0. Falls as `value` grows.
constexpr std::uint64_t negative_log2(std::uint64_t value) noexcept {
    const auto shift = static_cast<unsigned>(std::countl_zero(value));
    const std::uint64_t fraction = (value << shift) << 1; // bits after the leading one
    const std::uint64_t entry = fraction >> (64 - kLogBits);
    const std::uint64_t rest = (fraction << kLogBits) >> 32;
    const std::uint64_t low = kLogTable[entry];
    const std::uint64_t log = low + ((kLogTable[entry + 1] - low) * rest >> 32);
    return (std::uint64_t{shift + 1} << 32) - log;
}

/// A bijection that spreads every bit over the word (Steele, Lea, Flood: SplitMix, 2014).
constexpr std::uint64_t mix(std::uint64_t word) noexcept {
    word = (word ^ (word >> 30)) * 0xbf58476d1ce4e5b9U;
    word = (word ^ (word >> 27)) * 0x94d049bb133111ebU;
    return word ^ (word >> 31);
}

constexpr std::uint64_t kGolden = 0x9e3779b97f4a7c15U;

/// A candidate and the hash of its name, the seed of all its draws.
struct Contender {
    const Candidate* candidate;
    std::uint64_t seed;
};

/// Sorted by name, so that the order of the candidates does not matter.
std::vector<Contender> contenders_of(const std::vector<Candidate>& candidates,
                                     const SteeringSecret& secret) {
    std::vector<Contender> contenders;
    contenders.reserve(candidates.size());
    for (const Candidate& candidate : candidates)
        contenders.push_back({&candidate, hash_bytes(secret, candidate.name)});
    std::sort(contenders.begin(), contenders.end(), [](const Contender& a, const Contender& b) {
        return a.candidate->name < b.candidate->name;
    });
    return contenders;
}

/// The order in which one backend prefers the slots, each once.
class Preference {
public:
    explicit Preference(std::uint64_t seed) noexcept
        : start_(mix(seed)), step_(mix(seed + kGolden) | 1), factor_(mix(seed + 2 * kGolden) | 1) {}

    [[nodiscard]] std::size_t next() noexcept {
        // Each step is a bijection of 16 bits: an odd factor, or a shift of the upper half down.
        std::uint64_t slot = (start_ + step_ * count_++) & (kSlots - 1);
        slot ^= slot >> 8;
        slot = slot * factor_ & (kSlots - 1);
        return static_cast<std::size_t>(slot ^ slot >> 7);
    }

private:
    std::uint64_t start_;
    std::uint64_t step_;
    std::uint64_t factor_;
    std::uint64_t count_ = 0;
};

} // namespace

std::shared_ptr<const SlotTable> build_rendezvous(const std::vector<Candidate>& candidates,
                                                  const SteeringSecret& secret) {
    if (candidates.empty()) return nullptr;
    // Equal scores go to the first name.
    const std::vector<Contender> contenders = contenders_of(candidates, secret);
    auto table = std::make_shared<SlotTable>();
    for (std::size_t slot = 0; slot < kSlots; ++slot) {
        const Contender* best = nullptr;
        std::uint64_t best_log = 0;
        for (const Contender& contender : contenders) {
            const std::uint64_t draw = mix(contender.seed + slot * kGolden) | 1;
            const std::uint64_t log = negative_log2(draw);
            // The smallest -log(u) / weight wins, so that each gets the share of its weight.
            if (best == nullptr ||
                log * best->candidate->weight < best_log * contender.candidate->weight) {
                best = &contender;
                best_log = log;
            }
        }
        (*table)[slot] = best->candidate->id;
    }
    return table;
}

std::shared_ptr<const SlotTable> build_maglev(const std::vector<Candidate>& candidates,
                                              const SteeringSecret& secret) {
    if (candidates.empty()) return nullptr;
    const std::vector<Contender> contenders = contenders_of(candidates, secret);
    std::vector<Preference> preferences;
    preferences.reserve(contenders.size());
    for (const Contender& contender : contenders)
        preferences.emplace_back(contender.seed);

    // The next turn goes to the backend with the lowest (slots + 1) / weight. It takes the free
    // slot that it prefers most.
    struct Turn {
        std::size_t who;
        std::uint64_t would_have;
        unsigned weight;
        bool operator<(const Turn& other) const noexcept { // a heap returns the largest first
            const std::uint64_t mine = would_have * other.weight;
            const std::uint64_t theirs = other.would_have * weight;
            return mine != theirs ? mine > theirs : who > other.who;
        }
    };
    std::priority_queue<Turn> turns;
    for (std::size_t i = 0; i < contenders.size(); ++i)
        turns.push({i, 1, contenders[i].candidate->weight});

    auto table = std::make_shared<SlotTable>();
    table->fill(kNoBackend);
    for (std::size_t filled = 0; filled < kSlots; ++filled) {
        Turn turn = turns.top();
        turns.pop();
        std::size_t slot = preferences[turn.who].next();
        while ((*table)[slot] != kNoBackend)
            slot = preferences[turn.who].next();
        (*table)[slot] = contenders[turn.who].candidate->id;
        ++turn.would_have;
        turns.push(turn);
    }
    return table;
}

std::string table_digest(const SlotTable* table, const std::vector<Candidate>& candidates) {
    if (table == nullptr) return "-";
    std::array<std::uint64_t, kMaxBackends> name_hash{};
    for (const Candidate& candidate : candidates)
        name_hash[index(candidate.id)] = hash_bytes({}, candidate.name);
    std::uint64_t digest = 0;
    for (const BackendId id : *table)
        digest = mix(digest ^ name_hash[index(id)]) + kGolden;
    std::array<char, 17> text{};
    std::snprintf(text.data(), text.size(), "%016llx", static_cast<unsigned long long>(digest));
    return text.data();
}

} // namespace viaduct
