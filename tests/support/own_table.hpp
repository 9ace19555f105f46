// SPDX-License-Identifier: Apache-2.0
//
// own_table: an empty table of calls with memory of its own.
#pragma once

#include "viaduct/steering/call_table.hpp"

#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>

namespace viaduct::test {

/// So many words that no slot's lines fill up in a test that does not want it.
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
