// SPDX-License-Identifier: Apache-2.0
//
// sanitized: whether this build has a sanitizer that makes everything many times slower.
#pragma once

namespace viaduct::test {

// GCC defines macros for it; Clang 14 reports it through __has_feature.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kIsSanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr bool kIsSanitized = true;
#else
inline constexpr bool kIsSanitized = false;
#endif
#else
inline constexpr bool kIsSanitized = false;
#endif

} // namespace viaduct::test
