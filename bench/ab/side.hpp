// SPDX-License-Identifier: Apache-2.0
//
// side: the C interface between the driver (ab.cpp) and a shared object with the core of one build
// (side.cpp).
//
// The driver makes all messages and frames and owns them, so that both builds work on the same
// bytes at the same addresses. A side returns a checksum of what its build decided.
#pragma once

#include <cstddef>
#include <cstdint>

extern "C" {

enum AbKind : std::uint32_t {
    /// Frames through all stages to a pool that steers by hash.
    kAbHash = 0,
    /// The same to a stateful pool whose table has `calls` answered calls. Each frame gets the
    /// Call-ID of the next call before it is sent.
    kAbCalls = 1,
    /// Messages: what a pool reads that counts dialogs, and the keyed hash of the Call-ID.
    kAbDigest = 2,
};

struct AbLoad {
    AbKind kind;
    std::uint32_t items;       ///< messages or frames
    std::byte* const* data;    ///< of each item; dsr-l2 writes the MAC addresses of frames
    const std::uint32_t* size; ///< of each item, bytes
    /// kAbCalls: where each frame has the kAbDigits digits with which its Call-ID begins, and the
    /// whole Call-ID, which all frames share apart from these digits.
    std::byte* const* number;
    const char* call_id;
    std::uint64_t calls;
    const std::uint32_t* order; ///< indexes of items; the order is repeated
    std::uint32_t order_size;
};

enum : std::uint32_t {
    kAbVersion = 1, ///< of this interface
    kAbUnit = 32,   ///< items of one unit of work: a burst
    kAbDigits = 8,
};

// What a shared object exports:
//
// ab_version   kAbVersion of its build.
// ab_prepare   A load, ready to run; null when this build refuses it. `load` must outlive it.
// ab_run       Runs so many units; the checksum of all decisions since ab_prepare.
// ab_release   Frees what ab_prepare made.
using AbVersion = std::uint32_t();
using AbPrepare = void*(const AbLoad* load);
using AbRun = std::uint64_t(void* prepared, std::uint64_t units);
using AbRelease = void(void* prepared);

[[gnu::visibility("default")]] AbVersion ab_version;
[[gnu::visibility("default")]] AbPrepare ab_prepare;
[[gnu::visibility("default")]] AbRun ab_run;
[[gnu::visibility("default")]] AbRelease ab_release;

} // extern "C"
