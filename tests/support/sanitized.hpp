// SPDX-License-Identifier: Apache-2.0
//
// sanitized: whether a sanitizer that makes everything many times slower watches this build.
#pragma once

namespace viaduct::test {

// GCC says so by one macro, Clang 14 by another.
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
