// SPDX-License-Identifier: Apache-2.0
//
// own_table: an empty table of calls with its own memory.
#pragma once

#include "viaduct/steering/call_table.hpp"

#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>

namespace viaduct::test {

/// Enough words that no slot's lines fill up unintentionally in a test.
inline constexpr std::size_t kManyWords = std::size_t{1} << 22;

/// Copies share the memory.
struct OwnTable {
    explicit OwnTable(std::size_t count = kManyWords)
        : memory(static_cast<CallTable::Word*>(std::aligned_alloc(64, count * 8)), &std::free),
          words(memory.get(), count), table(words) {
        std::memset(static_cast<void*>(memory.get()), 0, count * 8);
    }
    std::shared_ptr<CallTable::Word> memory;
    std::span<CallTable::Word> words;
    CallTable table;
};

} // namespace viaduct::test
