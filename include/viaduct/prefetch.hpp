// SPDX-License-Identifier: Apache-2.0
//
// prefetch: begin to fetch a cache line that will be read soon.
//
// GCC takes a function that only has __builtin_prefetch in it for one without effect, and leaves
// out the calls of it that were not inlined before it looked.
#pragma once

namespace viaduct {

/// `line`: any address; one that is not mapped does no harm.
inline void prefetch(const void* line) noexcept {
#if defined(__x86_64__)
    asm volatile("prefetcht0 (%0)" : : "r"(line));
#else
    __builtin_prefetch(line);
    asm volatile(""); // an effect
#endif
}

} // namespace viaduct
