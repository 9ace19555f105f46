// SPDX-License-Identifier: Apache-2.0
#include "steering/hash_lanes.hpp"

#include "viaduct/sip/digest.hpp"
#include "viaduct/steering/steer.hpp"

#include <algorithm>
#include <array>
#include <string_view>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace viaduct {

namespace {

constexpr std::size_t kLanes = 8;
constexpr std::size_t kWords = 8;                  ///< of a key with its length
constexpr std::uint32_t kLongest = 8 * kWords - 1; ///< the last byte is the length
constexpr std::uint32_t kPrefixBytes = 16;         ///< hashed already: group and key type

void hash_scalar(const HashJob* jobs, std::size_t count, std::uint64_t* hashes) noexcept {
    for (std::size_t i = 0; i < count; ++i)
        hashes[i] = hash_key(*jobs[i].prefix, {jobs[i].key, jobs[i].size});
}

#if defined(__x86_64__)

/// By lane: the index of its last word.
std::array<std::uint64_t, kLanes> last_words(const HashJob* jobs) noexcept {
    std::array<std::uint64_t, kLanes> last{};
    for (std::size_t i = 0; i < kLanes; ++i)
        last[i] = jobs[i].size / 8;
    return last;
}

#define VIADUCT_AVX2 gnu::target("avx2,bmi,bmi2,popcnt")
#define VIADUCT_AVX512 gnu::target("avx512f,avx512bw,avx512vl,avx512vbmi,bmi,bmi2,popcnt")

struct State256 {
    __m256i v0;
    __m256i v1;
    __m256i v2;
    __m256i v3;
};

template <int kBits>
[[VIADUCT_AVX2, gnu::always_inline]] inline __m256i rotated256(__m256i words) noexcept {
    return _mm256_or_si256(_mm256_slli_epi64(words, kBits), _mm256_srli_epi64(words, 64 - kBits));
}

[[VIADUCT_AVX2, gnu::always_inline]] inline void round256(State256& s) noexcept {
    constexpr int kSwapHalves = 0xb1; // rotates by 32
    s.v0 = _mm256_add_epi64(s.v0, s.v1);
    s.v1 = _mm256_xor_si256(rotated256<13>(s.v1), s.v0);
    s.v0 = _mm256_shuffle_epi32(s.v0, kSwapHalves);
    s.v2 = _mm256_add_epi64(s.v2, s.v3);
    s.v3 = _mm256_xor_si256(rotated256<16>(s.v3), s.v2);
    s.v0 = _mm256_add_epi64(s.v0, s.v3);
    s.v3 = _mm256_xor_si256(rotated256<21>(s.v3), s.v0);
    s.v2 = _mm256_add_epi64(s.v2, s.v1);
    s.v1 = _mm256_xor_si256(rotated256<17>(s.v1), s.v2);
    s.v2 = _mm256_shuffle_epi32(s.v2, kSwapHalves);
}

/// The four rows as columns: word i of each.
[[VIADUCT_AVX2, gnu::always_inline]] inline void transpose256(const __m256i* rows,
                                                              __m256i* columns) noexcept {
    const __m256i a = _mm256_unpacklo_epi64(rows[0], rows[1]);
    const __m256i b = _mm256_unpackhi_epi64(rows[0], rows[1]);
    const __m256i c = _mm256_unpacklo_epi64(rows[2], rows[3]);
    const __m256i d = _mm256_unpackhi_epi64(rows[2], rows[3]);
    columns[0] = _mm256_permute2x128_si256(a, c, 0x20);
    columns[1] = _mm256_permute2x128_si256(b, d, 0x20);
    columns[2] = _mm256_permute2x128_si256(a, c, 0x31);
    columns[3] = _mm256_permute2x128_si256(b, d, 0x31);
}

/// 64 ones and 64 zeros: a load of 64 from 64 - n has n ones.
alignas(32) constexpr auto kOnes = [] {
    std::array<std::uint8_t, 128> bytes{};
    std::fill_n(bytes.begin(), 64, std::uint8_t{0xff});
    return bytes;
}();
alignas(32) constexpr auto kPlaces = [] {
    std::array<std::uint8_t, 64> bytes{};
    for (std::size_t i = 0; i < bytes.size(); ++i)
        bytes[i] = static_cast<std::uint8_t>(i);
    return bytes;
}();

[[VIADUCT_AVX2, gnu::always_inline]] inline __m256i load256(const void* bytes) noexcept {
    return _mm256_loadu_si256(static_cast<const __m256i*>(bytes));
}

/// Half of a key, zeros after its end, and the length as the last byte of the word with the end.
[[VIADUCT_AVX2, gnu::always_inline]] inline __m256i key_part256(const HashJob& job,
                                                                std::size_t from) noexcept {
    const __m256i bytes =
        _mm256_and_si256(load256(job.key + from), load256(kOnes.data() + 64 - job.size + from));
    const __m256i length = _mm256_set1_epi8(static_cast<char>(job.size + kPrefixBytes));
    const __m256i place = _mm256_set1_epi8(static_cast<char>(job.size | 7U));
    const __m256i is_place = _mm256_cmpeq_epi8(load256(kPlaces.data() + from), place);
    return _mm256_or_si256(bytes, _mm256_and_si256(length, is_place));
}

/// Two groups of four, whose rounds alternate.
[[VIADUCT_AVX2]] void hash_avx2(const HashJob* jobs, std::uint64_t* hashes) noexcept {
    __m256i words[2][kWords];
    State256 state[2];
    __m256i last[2];
    const auto last_word = last_words(jobs);
    for (std::size_t group = 0; group < 2; ++group) {
        const HashJob* const of = jobs + 4 * group;
        __m256i first[4];
        __m256i second[4];
        __m256i prefix[4];
        for (std::size_t i = 0; i < 4; ++i) {
            first[i] = key_part256(of[i], 0);
            second[i] = key_part256(of[i], 32);
            prefix[i] = load256(of[i].prefix->state.data());
        }
        transpose256(first, words[group]);
        transpose256(second, words[group] + 4);
        __m256i v[4];
        transpose256(prefix, v);
        state[group] = {v[0], v[1], v[2], v[3]};
        last[group] = load256(last_word.data() + 4 * group);
    }
    const std::uint64_t most = *std::max_element(last_word.begin(), last_word.end());
    for (std::uint64_t i = 0; i <= most; ++i)
        for (std::size_t group = 0; group < 2; ++group) {
            const __m256i ended =
                _mm256_cmpgt_epi64(_mm256_set1_epi64x(static_cast<long long>(i)), last[group]);
            State256 next = state[group];
            next.v3 = _mm256_xor_si256(next.v3, words[group][i]);
            round256(next);
            next.v0 = _mm256_xor_si256(next.v0, words[group][i]);
            State256& s = state[group];
            s.v0 = _mm256_blendv_epi8(next.v0, s.v0, ended);
            s.v1 = _mm256_blendv_epi8(next.v1, s.v1, ended);
            s.v2 = _mm256_blendv_epi8(next.v2, s.v2, ended);
            s.v3 = _mm256_blendv_epi8(next.v3, s.v3, ended);
        }
    for (State256& s : state)
        s.v2 = _mm256_xor_si256(s.v2, _mm256_set1_epi64x(0xff));
    for (int round = 0; round < 3; ++round)
        for (State256& s : state)
            round256(s);
    for (std::size_t group = 0; group < 2; ++group) {
        const State256& s = state[group];
        const __m256i hash =
            _mm256_xor_si256(_mm256_xor_si256(s.v0, s.v1), _mm256_xor_si256(s.v2, s.v3));
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(hashes + 4 * group), hash);
    }
}

struct State512 {
    __m512i v0;
    __m512i v1;
    __m512i v2;
    __m512i v3;
};

// The maskz forms keep every lane: GCC 12 warns that the plain ones read an uninitialised value.
template <int kBits>
[[VIADUCT_AVX512, gnu::always_inline]] inline __m512i rotated512(__m512i words) noexcept {
    return _mm512_maskz_rol_epi64(0xff, words, kBits);
}

[[VIADUCT_AVX512, gnu::always_inline]] inline void round512(State512& s) noexcept {
    s.v0 = _mm512_add_epi64(s.v0, s.v1);
    s.v1 = _mm512_xor_si512(rotated512<13>(s.v1), s.v0);
    s.v0 = rotated512<32>(s.v0);
    s.v2 = _mm512_add_epi64(s.v2, s.v3);
    s.v3 = _mm512_xor_si512(rotated512<16>(s.v3), s.v2);
    s.v0 = _mm512_add_epi64(s.v0, s.v3);
    s.v3 = _mm512_xor_si512(rotated512<21>(s.v3), s.v0);
    s.v2 = _mm512_add_epi64(s.v2, s.v1);
    s.v1 = _mm512_xor_si512(rotated512<17>(s.v1), s.v2);
    s.v2 = rotated512<32>(s.v2);
}

/// The eight rows as columns: word i of each.
[[VIADUCT_AVX512, gnu::always_inline]] inline void transpose512(__m512i* m) noexcept {
    constexpr __mmask8 kAll = 0xff;
    __m512i pairs[8];
    for (std::size_t i = 0; i < 8; i += 2) {
        pairs[i] = _mm512_maskz_unpacklo_epi64(kAll, m[i], m[i + 1]);
        pairs[i + 1] = _mm512_maskz_unpackhi_epi64(kAll, m[i], m[i + 1]);
    }
    // Now 128-bit parts: part p of pairs[r] has words 2p + (r & 1) of two rows.
    __m512i quads[8];
    for (std::size_t i = 0; i < 2; ++i)
        for (std::size_t half = 0; half < 2; ++half) {
            const __m512i a = pairs[4 * half + i];
            const __m512i b = pairs[4 * half + i + 2];
            quads[4 * half + i] = _mm512_maskz_shuffle_i64x2(kAll, a, b, 0x44);
            quads[4 * half + i + 2] = _mm512_maskz_shuffle_i64x2(kAll, a, b, 0xee);
        }
    for (std::size_t i = 0; i < 4; ++i) { // i & 1: odd words; i & 2: upper words
        const std::size_t word = (i & 1U) + 2 * (i & 2U);
        m[word] = _mm512_maskz_shuffle_i64x2(kAll, quads[i], quads[i + 4], 0x88);
        m[word + 2] = _mm512_maskz_shuffle_i64x2(kAll, quads[i], quads[i + 4], 0xdd);
    }
}

[[VIADUCT_AVX512]] void hash_avx512(const HashJob* jobs, std::uint64_t* hashes) noexcept {
    __m512i words[8];
    __m512i prefixes[8];
    for (std::size_t i = 0; i < kLanes; ++i) {
        const HashJob& job = jobs[i];
        const __m512i key =
            _mm512_maskz_loadu_epi8(_bzhi_u64(~std::uint64_t{0}, job.size), job.key);
        words[i] =
            _mm512_mask_mov_epi8(key,
                                 std::uint64_t{1} << (job.size | 7U),
                                 _mm512_set1_epi8(static_cast<char>(job.size + kPrefixBytes)));
        prefixes[i] = _mm512_maskz_loadu_epi64(0x0f, job.prefix->state.data());
    }
    transpose512(words);
    transpose512(prefixes);
    State512 s{prefixes[0], prefixes[1], prefixes[2], prefixes[3]};
    const auto last_word = last_words(jobs);
    const __m512i last = _mm512_loadu_si512(last_word.data());
    const std::uint64_t most = *std::max_element(last_word.begin(), last_word.end());
    for (std::uint64_t i = 0; i <= most; ++i) {
        const __mmask8 goes_on =
            _mm512_cmpge_epu64_mask(last, _mm512_set1_epi64(static_cast<long long>(i)));
        State512 next = s;
        next.v3 = _mm512_xor_si512(next.v3, words[i]);
        round512(next);
        s.v0 = _mm512_mask_xor_epi64(s.v0, goes_on, next.v0, words[i]);
        s.v1 = _mm512_mask_mov_epi64(s.v1, goes_on, next.v1);
        s.v2 = _mm512_mask_mov_epi64(s.v2, goes_on, next.v2);
        s.v3 = _mm512_mask_mov_epi64(s.v3, goes_on, next.v3);
    }
    s.v2 = _mm512_xor_si512(s.v2, _mm512_set1_epi64(0xff));
    for (int round = 0; round < 3; ++round)
        round512(s);
    _mm512_storeu_si512(
        hashes, _mm512_xor_si512(_mm512_xor_si512(s.v0, s.v1), _mm512_xor_si512(s.v2, s.v3)));
}

#undef VIADUCT_AVX2
#undef VIADUCT_AVX512

#endif

using HashEight = void (*)(const HashJob*, std::uint64_t*) noexcept;

/// Null: the level has no vectors for it.
HashEight hash_eight_at(ScanLevel level) noexcept {
    switch (level) {
#if defined(__x86_64__)
    case ScanLevel::Avx2:
        return hash_avx2;
    case ScanLevel::Avx512:
        return hash_avx512;
#else
    case ScanLevel::Avx2:
    case ScanLevel::Avx512:
#endif
    case ScanLevel::Scalar:
    case ScanLevel::Sse42:
        break;
    }
    return nullptr;
}

const HashEight hash_eight = [] {
#if defined(__x86_64__)
    __builtin_cpu_init(); // this may run before the compiler's own start-up code
#endif
    HashEight best = nullptr;
    for (const ScanLevel level : kScanLevels)
        if (has_scan_level(level)) best = hash_eight_at(level);
    return best;
}();

bool fits(const HashJob& job) noexcept {
    return job.size <= kLongest && job.readable >= 8 * kWords;
}

/// Hashes up to eight keys; unused lanes repeat one of them.
void hash_some(HashEight eight, std::span<const HashJob> jobs, std::uint64_t* hashes) noexcept {
    bool all_fit = jobs.size() == kLanes;
    for (const HashJob& job : jobs)
        all_fit &= fits(job);
    if (all_fit) [[likely]] {
        eight(jobs.data(), hashes);
        return;
    }
    const auto lane = std::ranges::find_if(jobs, fits);
    if (lane == jobs.end()) {
        hash_scalar(jobs.data(), jobs.size(), hashes);
        return;
    }
    std::array<HashJob, kLanes> lanes;
    for (std::size_t i = 0; i < kLanes; ++i)
        lanes[i] = i < jobs.size() && fits(jobs[i]) ? jobs[i] : *lane;
    std::array<std::uint64_t, kLanes> got;
    eight(lanes.data(), got.data());
    for (std::size_t i = 0; i < jobs.size(); ++i) {
        if (fits(jobs[i])) [[likely]]
            hashes[i] = got[i];
        else
            hash_scalar(&jobs[i], 1, hashes + i);
    }
}

void hash_by(HashEight eight, std::span<const HashJob> jobs, std::uint64_t* hashes) noexcept {
    while (eight != nullptr && jobs.size() > 1) { // one alone is faster without vectors
        const std::size_t count = std::min(kLanes, jobs.size());
        hash_some(eight, jobs.first(count), hashes);
        jobs = jobs.subspan(count);
        hashes += count;
    }
    hash_scalar(jobs.data(), jobs.size(), hashes);
}

} // namespace

void hash_keys(std::span<const HashJob> jobs, std::uint64_t* hashes) noexcept {
    hash_by(hash_eight, jobs, hashes);
}

void hash_keys_at(ScanLevel level, std::span<const HashJob> jobs, std::uint64_t* hashes) noexcept {
    hash_by(hash_eight_at(level), jobs, hashes);
}

} // namespace viaduct
