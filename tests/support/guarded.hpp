// SPDX-License-Identifier: Apache-2.0
//
// guarded: bytes between unreadable pages, so that an access one byte too far crashes.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string_view>
#include <sys/mman.h>
#include <unistd.h>

namespace viaduct::test {

/// Memory between two PROT_NONE pages, for one input at a time: each call invalidates the last
/// result.
class Guarded {
public:
    explicit Guarded(std::size_t capacity) {
        const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
        size_ = (capacity + page - 1) / page * page;
        mapped_ = size_ + 2 * page;
        void* all =
            ::mmap(nullptr, mapped_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (all == MAP_FAILED) std::abort();
        first_ = static_cast<std::byte*>(all) + page;
        if (size_ > 0 && ::mprotect(first_, size_, PROT_READ | PROT_WRITE) != 0) std::abort();
        page_ = page;
    }
    Guarded(const Guarded&) = delete;
    Guarded& operator=(const Guarded&) = delete;
    ~Guarded() { ::munmap(first_ - page_, mapped_); }

    /// Returns a copy whose last byte is the last readable one.
    [[nodiscard]] std::span<std::byte> at_end(std::span<const std::byte> bytes) {
        return place(bytes, size_ - bytes.size());
    }
    /// Returns a copy whose first byte is the first readable one.
    [[nodiscard]] std::span<std::byte> at_start(std::span<const std::byte> bytes) {
        return place(bytes, 0);
    }

private:
    std::span<std::byte> place(std::span<const std::byte> bytes, std::size_t offset) {
        if (bytes.size() > size_) std::abort();
        if (!bytes.empty()) std::memcpy(first_ + offset, bytes.data(), bytes.size());
        return {first_ + offset, bytes.size()};
    }

    std::byte* first_ = nullptr;
    std::size_t size_ = 0;
    std::size_t mapped_ = 0;
    std::size_t page_ = 0;
};

/// Return a copy that ends at an unreadable page; valid until the next call.
[[nodiscard]] inline std::span<std::byte> guarded(std::span<const std::byte> bytes) {
    static Guarded place(512 * 1024);
    return place.at_end(bytes);
}
[[nodiscard]] inline std::span<std::byte> guarded(std::string_view text) {
    return guarded(std::as_bytes(std::span(text)));
}

/// Return a copy that starts after an unreadable page; valid until the next call.
[[nodiscard]] inline std::span<std::byte> guarded_start(std::span<const std::byte> bytes) {
    static Guarded place(512 * 1024);
    return place.at_start(bytes);
}
[[nodiscard]] inline std::span<std::byte> guarded_start(std::string_view text) {
    return guarded_start(std::as_bytes(std::span(text)));
}

} // namespace viaduct::test
