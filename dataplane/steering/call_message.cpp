// SPDX-License-Identifier: Apache-2.0
#include "steering/call_message.hpp"

#include <cstring>

namespace viaduct {

std::uint64_t mark_hash(std::string_view text) noexcept {
    constexpr std::uint64_t kFactor = 0x9e3779b97f4a7c15U;
    std::uint64_t sum = text.size();
    const char* at = text.data();
    std::size_t left = text.size();
    std::uint64_t word = 0;
    const auto add = [&] { sum = (sum ^ word) * kFactor, sum ^= sum >> 32; };
    for (; left > sizeof(word); at += sizeof(word), left -= sizeof(word)) {
        std::memcpy(&word, at, sizeof(word));
        add();
    }
    if (text.size() >= sizeof(word)) { // the last eight bytes, which may overlap those read before
        std::memcpy(&word, text.data() + text.size() - sizeof(word), sizeof(word));
    } else {
        word = 0;
        for (std::size_t i = 0; i < left; ++i)
            word = word << 8 | static_cast<std::uint8_t>(at[i]);
    }
    add();
    return sum;
}

} // namespace viaduct
