// SPDX-License-Identifier: Apache-2.0
//
// prefetch: starts to load a cache line that will be read soon.
//
// GCC considers a function that contains only __builtin_prefetch to be without effect, and drops
// calls of it that were not inlined early.
#pragma once

namespace viaduct {

/// `line`: any address; an unmapped one does no harm.
inline void prefetch(const void* line) noexcept {
#if defined(__x86_64__)
    asm volatile("prefetcht0 (%0)" : : "r"(line));
#else
    __builtin_prefetch(line);
    asm volatile(""); // an effect
#endif
}

} // namespace viaduct
