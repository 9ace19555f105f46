// SPDX-License-Identifier: Apache-2.0
//
// hash_lanes: SipHash-1-3 of eight keys side by side, in vectors. Gives what hash_key() gives.
//
// How:   one round has four dependent steps, so a single hash waits for its own results; eight
//        hashes in the lanes of a vector do not.
// Cost:  less than half of eight scalar hashes with AVX2, a third with AVX-512. Other CPUs, and the
//        keys that do not fit, use the scalar hash.
#pragma once

#include "viaduct/sip/digest.hpp"
#include "viaduct/snapshot.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

namespace viaduct {

struct HashJob {
    const char* key;
    std::uint32_t size;
    std::uint32_t readable; ///< bytes from `key` on that may be read, at least `size`
    const HashPrefix* prefix;
};

/// Writes the hash of each key, hash_key(*prefix, key), to `hashes`, which has room for all.
void hash_keys(std::span<const HashJob> jobs, std::uint64_t* hashes) noexcept;

/// The same at a level that this machine has; for tests.
void hash_keys_at(ScanLevel level, std::span<const HashJob> jobs, std::uint64_t* hashes) noexcept;

} // namespace viaduct
